"""`eat train`: its group, and an extractor from BIO files; adapters are in `train_adapter` and `train_names`."""

from __future__ import annotations

from pathlib import Path

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.train_adapter import adapter_command
from eat_worker.cli.train_names import names_command

train_command = click.Group("train", help="Train an extractor or an adapter.")
_PATH = click.Path(path_type=Path)


@eat_command("extractor", short_help="Train an extractor of English entities on BIO files.")
@click.argument("files", nargs=-1, required=True, type=_PATH, metavar="TRAIN...")
@click.option(
    "--kind",
    type=click.Choice(["crf", "flan_t5", "token_classification"]),
    default="crf",
    show_default=True,
    help="What to train.",
)
@click.option("--out", required=True, type=_PATH, metavar="PATH", help="Where to write it: a file (crf) or a folder.")
@click.option("--dev", type=_PATH, metavar="FILE", help="Measure on this BIO file when done.")
@click.option("--base", type=_PATH, metavar="FOLDER", help="The checkpoint to start from (all kinds but crf).")
@click.option("--names", type=_PATH, metavar="FILE", help="Lines `name<TAB>tag`: names put into the sentences (crf).")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the data.  [flan_t5: 50, else 3; crf: none]")
@click.option("--seed", type=int, default=13, show_default=True, help="The same seed gives the same extractor.")
def extractor_command(
    call: Call,
    *,
    files: tuple[Path, ...],
    kind: str,
    out: Path,
    dev: Path | None,
    base: Path | None,
    names: Path | None,
    epochs: int | None,
    seed: int,
) -> None:
    """Train on TRAIN (English, any BIO layout), write the extractor to --out and its card beside it.

    The card lists files with hashes, settings, seed, versions and scores; --json prints it.
    """
    from eat_worker.training.extractor import card_path, train_extractor

    card = train_extractor(kind, files, out, dev=dev, base=base, names=names, epochs=epochs, seed=seed)
    if call.as_json:
        call.emit(card)
        return
    click.echo(str(out))
    if card["dev"]:
        scores = card["dev"]["scores"]
        f1 = ", ".join(f"{name.replace('_', '-')} F1 {scores[name]['f1']}" for name in ("token_strict", "span"))
        call.tell(f"{card['dev']['file']}: {f1}")
    call.tell(f"card: {card_path(out)}")


for _command in (extractor_command, adapter_command, names_command):
    train_command.add_command(_command)
