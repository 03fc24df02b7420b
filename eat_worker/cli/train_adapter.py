"""`eat train adapter`: fine-tune a base model for backward alignment by QLoRA."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import setting
from eat_worker.errors import ConfigurationError

if TYPE_CHECKING:
    from eat_worker.training.adapter.card import Trained
    from eat_worker.training.adapter.loop import History
    from eat_worker.training.adapter.recipe import Recipe
    from eat_worker.training.adapter.tuning import Job, Tell

_NEEDED = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "matplotlib")
_PATH = click.Path(path_type=Path)


@eat_command("adapter", short_help="Fine-tune a base model for backward alignment.")
@click.argument("files", nargs=-1, required=True, type=_PATH, metavar="PAIRS...")
@click.option("--base", type=_PATH, metavar="DIR", required=True, help="Folder of the base model's safetensors.")
@click.option("--out", "folder", type=_PATH, metavar="DIR", required=True, help="New folder for the adapter.")
@click.option("--preset", default="paper", metavar="NAME", help="Settings to begin with: paper.")
@click.option("--from-card", "card", type=_PATH, metavar="DIR", help="Repeat the run of another adapter.")
@click.option("--base-precision", type=click.Choice(["nf4", "bf16"]), help="Precision of the frozen base; paper: nf4.")
@click.option("--epochs", type=int, metavar="N", help="Passes over the pairs; paper: 5.")
@click.option("--learning-rate", type=float, metavar="R", help="Learning rate; paper: 1e-4.")
@click.option("--schedule", type=click.Choice(["cosine", "constant"]), help="How the rate falls; default: cosine.")
@click.option("--batch", type=int, metavar="N", help="Chats per step; default: 16.")
@click.option("--at-once", type=int, metavar="N", help="Tokens computed in one pass: memory; default: 2048.")
@click.option("--longest", type=int, metavar="N", help="Leave out chats of more tokens; default: 512.")
@click.option("--seed", type=int, metavar="N", help="Decides order, held-out pages and first weights; default: 0.")
@click.option("--max-steps", type=click.IntRange(min=1), metavar="N", help="Stop after this many steps.")
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Longest training.")
@click.option("--measured", type=click.IntRange(min=0), default=50, show_default=True, metavar="N",
              help="Held-out pairs per language asked before and after; 0: none.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue a run that was stopped.")
@click.option("--lang", metavar="LANG", help="Language of records that name none; default: from the file's name.")
@setting("prompts", "Prompt set the adapter will be used with.")
@setting("rounds", "Rounds per chat it will be used with: 1, 3 or 5.")
@setting("alignment")
@setting("threads", "CPU threads.")
def adapter_command(
    call: Call,
    files: tuple[Path, ...],
    *,
    base: Path,
    folder: Path,
    preset: str,
    card: Path | None,
    max_steps: int | None,
    max_minutes: float | None,
    measured: int,
    resume: bool,
    lang: str | None,
    **recipe: Any,
) -> None:
    """Train a LoRA on EACL PAIRS (JSON Lines, see `eat eacl`) and write it to a new folder, with cards and loss curve.

    Pages, not rows, are held out (90:10); held-out pairs are asked before and after. Every 25 steps a checkpoint is
    written: after any stop the same command with --resume continues. With --json: {"adapter", "steps",
    "horizon", "stopped", "seconds", "tokens", "left_out", "loss", "held_out_loss", "before", "after"}.
    """
    demand_ready(base)
    from eat_worker.training.adapter.recipe import Limits
    from eat_worker.training.adapter.tuning import Job, tune

    job = Job(
        base=base,
        files=files,
        folder=folder,
        recipe=_recipe(preset, recipe),
        limits=Limits(max_steps, max_minutes),
        method=call.settings.method_config,
        measured=measured,
        threads=call.settings.thread_count,
        resume=resume,
        digests=call.settings.models_dir,
        lang=lang,
    )
    if card is not None:
        job = _repeated(job, card)
    with ExitStack() as stack:
        trained = tune(job, teller(call, stack))
    _show(call, folder, trained)


def _recipe(preset: str, changed: dict[str, Any]) -> Recipe:
    from eat_worker.training.adapter.recipe import PRESETS

    if preset not in PRESETS:
        raise ConfigurationError(f"preset {preset!r} is not one of: {', '.join(PRESETS)}")
    return replace(PRESETS[preset], **{name: value for name, value in changed.items() if value is not None})


def _repeated(job: Job, card: Path) -> Job:
    """The job with the card's settings in the place of its own."""
    from eat_worker.training.adapter.card import read_repeat
    from eat_worker.training.adapter.recipe import PRESETS, Limits

    if job.recipe != PRESETS["paper"] or job.limits != Limits():
        raise click.UsageError("--from-card brings its own settings and number of steps; give neither beside it")
    again = read_repeat(card)
    return replace(job, recipe=again.recipe, limits=again.limits, method=again.method, repeats=again)


def demand_ready(base: Path) -> None:
    """Raises ConfigurationError, with what to do, unless the libraries and the base are here."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"{', '.join(missing)} is not installed; run: pip install 'eat_worker[train]'")
    if not base.is_dir():
        raise ConfigurationError(f"{base}: no such folder; make one from a GGUF file with: eat model convert")


def teller(call: Call, stack: ExitStack) -> Tell:
    """Tells what goes on, and how many steps are done."""
    from eat_worker.cli.progress import Progress

    bar = stack.enter_context(Progress("training", silent=call.quiet or call.as_json, unit="steps"))

    def tell(what: str, history: History | None) -> None:
        if history is None:
            bar.say(what)
            return
        bar.update(history.step, history.horizon or None, f"loss {history.losses[-1]['loss']:.3f}")

    return tell


def _show(call: Call, folder: Path, trained: Trained) -> None:
    figures = {"adapter": str(folder), **trained.figures()}
    if call.as_json:
        call.emit(figures)
        return
    click.echo(str(folder))
    loss, held_out = figures["loss"], figures["held_out_loss"]
    call.tell(f"{figures['steps']} steps in {figures['seconds']:.0f} s, ended by {figures['stopped']}")
    call.tell(f"loss {loss['first']:.3f} -> {loss['last']:.3f}")
    if held_out:
        call.tell(f"held-out loss {held_out['first']:.3f} -> {held_out['last']:.3f}")
    if trained.before and trained.after:
        for way in ("bound", "free"):
            was, now = trained.before[way]["all"], trained.after[way]["all"]
            call.tell(f"exact spans, {way}: {was['exact']} -> {now['exact']} of {now['pairs']}")
