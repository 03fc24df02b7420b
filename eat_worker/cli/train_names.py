"""`eat train names`: train an adapter as the one that comes along was, or one like it for another base."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import setting
from eat_worker.cli.train_adapter import demand_ready, teller

_PATH = click.Path(path_type=Path)


@eat_command("names", short_help="Fine-tune a base model to list names, as the adapter that comes along was.")
@click.argument("english", nargs=-1, required=True, type=_PATH, metavar="ENGLISH...")
@click.option("--eacl", type=_PATH, metavar="DIR", required=True, help="EACL pairs (ko.jsonl) and entity_types.tsv.")
@click.option("--news", type=_PATH, metavar="DIR", required=True, help="Translated documents: en.jsonl, ko.jsonl, ...")
@click.option("--base", type=_PATH, metavar="DIR", required=True, help="Folder of the base model's safetensors.")
@click.option("--out", "folder", type=_PATH, metavar="DIR", required=True, help="New folder for the adapter.")
@click.option("--max-steps", type=click.IntRange(min=1), metavar="N", help="Steps of a phase at most, to try it out.")
@click.option("--resume", is_flag=True, help="Continue a run that was stopped.")
@setting("threads", "CPU threads.")
def names_command(
    call: Call,
    english: tuple[Path, ...],
    *,
    eacl: Path,
    news: Path,
    base: Path,
    folder: Path,
    max_steps: int | None,
    resume: bool,
) -> None:
    """Train a LoRA on ENGLISH (BIO files), EACL pairs and translated news in three phases, into a new folder.

    With --json: {"adapter", "data", "phases": [{"phase", "steps", "tokens", "seconds", "loss", "held_out_loss", ...}]}.
    """
    demand_ready(base)
    from eat_worker.training.names.tuning import NamesJob, tune_names

    threads, digests = call.settings.thread_count, call.settings.models_dir
    job = NamesJob(base, english, eacl, news, folder, threads, resume=resume, digests=digests, max_steps=max_steps)
    with ExitStack() as stack:
        told = tune_names(job, teller(call, stack))
    if call.as_json:
        call.emit(told)
        return
    click.echo(str(folder))
    for phase in told["phases"]:
        loss = phase["loss"]
        call.tell(f"{phase['phase']} phase: {phase['steps']} steps in {phase['seconds']:.0f} s")
        call.tell(f"loss {loss['first']:.3f} -> {loss['last']:.3f}")
