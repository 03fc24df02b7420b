"""`eat train names` from start to end: the phases, one after the other, the mean of the last two, and the cards.

The folder of the run holds the adapter, and below it a folder of each phase, from which the next one goes on.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eat_worker.models.folder import folder_parts
from eat_worker.training.adapter.checkpoint import NAME as CHECKPOINT
from eat_worker.training.adapter.curve import JSON_NAME, write_curve
from eat_worker.training.adapter.loop import History, train
from eat_worker.training.adapter.tuning import Tell, claim
from eat_worker.training.names.card import Taught, write_names_cards
from eat_worker.training.names.lessons import Lesson, digest_of, lessons_of
from eat_worker.training.names.mean import write_mean
from eat_worker.training.names.sources import read_sources


@dataclass(frozen=True, slots=True)
class NamesJob:
    """One run: the base, the sources as `read_sources` takes them, and the new folder."""

    base: Path
    english: tuple[Path, ...]
    eacl: Path
    news: Path
    folder: Path
    #: CPU threads.
    threads: int
    resume: bool
    #: Remembers digests of large files.
    digests: Path
    #: Steps of a phase at most, for trying it out; None: as many as made the adapter that comes along.
    max_steps: int | None = None


def tune_names(job: NamesJob, tell: Tell) -> dict[str, Any]:
    """Train all phases and write adapter, curves and cards; what the card says of each phase.

    Raises ConfigurationError when the folder is there already (or, with `resume`, is not), or does not belong to this
    job; CorpusError when a source cannot be read.
    """
    parts = folder_parts(job.base, job.digests)
    tell("reading the sources", None)
    sources = read_sources(job.english, job.eacl, job.news)
    lessons = lessons_of(sources, job.base)
    claim(job.folder, resume=job.resume)
    taught: list[Taught] = []
    for lesson in lessons:
        folder = job.folder / f"{lesson.name}-phase"
        folder.mkdir(exist_ok=True)
        history = _learn(job, lesson, folder, parts, tell, start=taught[-1].folder if taught else None)
        taught.append(Taught(lesson, history, folder))
    write_mean(taught[-2].folder, taught[-1].folder, job.folder)
    write_names_cards(
        job.folder, job.base, parts, taught, sources=sources.digests, threads=job.threads, digests=job.digests
    )
    return {"adapter": str(job.folder), "data": digest_of(lessons), "phases": [one.figures() for one in taught]}


def _learn(  # noqa: PLR0917  # a job's parts
    job: NamesJob, lesson: Lesson, folder: Path, parts: Mapping[str, str], tell: Tell, start: Path | None = None
) -> History:
    """One phase, unless the folder has it already."""
    import torch

    from eat_worker.training.adapter.student import Student

    done = folder / JSON_NAME
    if done.is_file():
        return History(**json.loads(done.read_text(encoding="utf-8")))
    torch.set_num_threads(job.threads)
    tell(f"loading the base for the {lesson.name} phase", None)
    gc.collect()  # the base of the phase before
    student = Student(job.base, lesson.recipe, start)
    history = train(
        student,
        lesson.learnt,
        lesson.held_out,
        recipe=lesson.recipe,
        limits=lesson.limits if job.max_steps is None else replace(lesson.limits, max_steps=job.max_steps),
        folder=folder,
        belongs_to={"base": dict(parts), "lesson": lesson.described()},
        tell=lambda history: tell("training", history),
    )
    student.save(folder)
    write_curve(folder, history, f"Adapter of {job.base.name}: {lesson.name} phase, r={lesson.recipe.r}")
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return history
