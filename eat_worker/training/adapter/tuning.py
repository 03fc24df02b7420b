"""`eat train adapter` from start to end: measure the base, train, measure the adapter, write what was learnt.

Everything the run leaves lies in one folder, and all that is needed to go on or to repeat it lies there too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eat_worker.errors import ConfigurationError
from eat_worker.method.config import MethodConfig
from eat_worker.method.prompts import prompt_set
from eat_worker.models.folder import folder_parts
from eat_worker.training.adapter.accuracy import sample
from eat_worker.training.adapter.card import Repeat, Trained, is_finished, write_cards
from eat_worker.training.adapter.checkpoint import NAME as CHECKPOINT
from eat_worker.training.adapter.corpus import Corpus, read_corpus
from eat_worker.training.adapter.curve import write_curve
from eat_worker.training.adapter.examples import Example, examples_of
from eat_worker.training.adapter.loop import History, train
from eat_worker.training.adapter.measuring import Measured, measure_apart
from eat_worker.training.adapter.recipe import Limits, Recipe
from eat_worker.training.eacl.chats import conversations
from eat_worker.training.eacl.pairs import EaclPair

BEFORE = "accuracy-before.json"

Tell = Callable[[str, History | None], None]
"""Hears what goes on, and during training the history after every step."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training run."""

    base: Path
    files: tuple[Path, ...]
    folder: Path
    recipe: Recipe
    limits: Limits
    method: MethodConfig
    #: Held-out pairs per language that are asked before and after; 0: none.
    measured: int
    #: CPU threads.
    threads: int
    resume: bool
    #: Remembers digests of large files.
    digests: Path
    lang: str | None = None
    #: The run of a card that this one has to be, with the same base and pairs.
    repeats: Repeat | None = None


def tune(job: Job, tell: Tell) -> Trained:
    """Train the adapter and write adapter, cards and curve into the job's folder.

    Raises ConfigurationError when the folder is there already (or, with `resume`, is not), or does not belong to this
    job; CorpusError when the pairs cannot be read.
    """
    corpus = read_corpus(job.files, job.recipe, job.lang)
    base = folder_parts(job.base, job.digests)
    _demand_same(job.repeats, corpus, base)
    claim(job.folder, resume=job.resume)
    asked = sample(corpus.held_out, job.measured, config=job.method, seed=job.recipe.seed) if job.measured else []
    before = _before(job, asked, tell)
    history, left_out = _train(job, corpus, base, tell)
    tell("measuring the adapter", None)
    after = measure_apart(_measured(job, job.folder), asked, job.method) if asked else None
    trained = Trained(job.base, base, corpus.described(), job.recipe, job.method, history, left_out, before, after)
    write_cards(job.folder, trained, threads=job.threads, digests=job.digests)
    (job.folder / CHECKPOINT).unlink(missing_ok=True)
    return trained


def claim(folder: Path, *, resume: bool) -> None:
    """Make the new folder of a run.

    Raises ConfigurationError when it is there already; with `resume`, when it is not, or its run has ended.
    """
    if resume and not folder.is_dir():
        raise ConfigurationError(f"{folder} is not there: nothing to resume")
    if not resume and folder.exists():
        raise ConfigurationError(f"{folder} exists already; add --resume to continue, or name another folder")
    if resume and is_finished(folder):
        raise ConfigurationError(f"{folder} is finished; name another folder to train again")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error.strerror}; name another folder") from error


def _demand_same(repeats: Repeat | None, corpus: Corpus, base: dict[str, str]) -> None:
    if repeats is None:
        return
    if repeats.data != corpus.digest:
        raise ConfigurationError(f"the card names other pairs: {repeats.data[:12]}, these are {corpus.digest[:12]}")
    other = sorted(name for name in base if repeats.base.get(name) != base[name])
    if other:
        raise ConfigurationError(f"the card names another base: the {', '.join(other)} of this one differ")


def _measured(job: Job, adapter: Path | None) -> Measured:
    return Measured(job.base, job.recipe.base_precision, adapter, job.threads)


def _before(job: Job, asked: list[EaclPair], tell: Tell) -> dict[str, Any] | None:
    """What the base alone gets right; a resumed run has it already."""
    kept = job.folder / BEFORE
    if not asked:
        return None
    if not kept.is_file():
        tell("measuring the base", None)
        found = measure_apart(_measured(job, None), asked, job.method)
        kept.write_text(json.dumps(found, indent=1), encoding="utf-8")
    values: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return values


def _train(job: Job, corpus: Corpus, base: dict[str, str], tell: Tell) -> tuple[History, int]:
    """Train and save; the history, and how many chats were too long."""
    import torch

    from eat_worker.training.adapter.student import Student

    torch.set_num_threads(job.threads)
    tell("reading the chats", None)
    chats, left_out = _examples(job, corpus.train)
    held_out, _ = _examples(job, corpus.held_out)
    if not chats:
        raise ConfigurationError(f"no chat has at most {job.recipe.longest} tokens; raise --longest")
    tell("loading the base", None)
    student = Student(job.base, job.recipe)
    history = train(
        student,
        chats,
        held_out,
        recipe=job.recipe,
        limits=job.limits,
        folder=job.folder,
        belongs_to=_belongs_to(job, corpus, base),
        tell=lambda history: tell("training", history),
    )
    student.save(job.folder)
    write_curve(job.folder, history, f"Adapter of {job.base.name}: r={job.recipe.r}, {job.recipe.base_precision}")
    return history, left_out


def _examples(job: Job, pairs: tuple[EaclPair, ...]) -> tuple[list[Example], int]:
    chats = conversations(pairs, prompts=prompt_set(job.method.prompts), config=job.method)
    return examples_of(chats, job.base, job.recipe.longest)


def _belongs_to(job: Job, corpus: Corpus, base: dict[str, str]) -> dict[str, Any]:
    return {
        "base": base,
        "data": corpus.digest,
        "recipe": job.recipe.to_json(),
        "prompts": prompt_set(job.method.prompts).id,
        "method": job.method.to_json(),
    }
