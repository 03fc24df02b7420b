"""A corpus file into the queue: read as a stream, stored in batches, refused records set aside with the reason.

Publishes nothing: rows are the queue, and a dispatcher finds them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Unpack

from eat_worker.corpora.quarantine import Quarantine
from eat_worker.corpora.reading import read_documents
from eat_worker.corpora.records import Rejected
from eat_worker.corpora.tagmaps import TagMap
from eat_worker.engines.identity import engine_identity
from eat_worker.errors import ConfigurationError, CorpusError
from eat_worker.method.document import Document
from eat_worker.method.prompts import prompt_set
from eat_worker.models.fingerprint import fingerprint
from eat_worker.runs.corpus import Corpus, demand_clean, resolved
from eat_worker.settings import Settings
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import Added, RunSpec

EVERY = 1000  # records between two calls of on_progress
_NAME = re.compile(r"[\w.+-]{1,100}")
OnProgress = Callable[[int], None]
"""Hears the number of records read."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submit did."""

    run: str
    new: int
    already: int
    #: Documents of the run, those of earlier submits too, that have not ended yet.
    left: int
    #: Refused records by code.
    rejected: Mapping[str, int]
    #: Holds them; None without any.
    quarantine: str | None
    #: Gold entities left out by their tag in the file: tags without counterpart here.
    dropped: Mapping[str, int]
    #: I- tags of a BIO file that began an entity.
    repaired: int
    #: What was guessed, changed or repaired: a sentence that begins with what it counts, and how often.
    notes: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat submit --json`."""
        return asdict(self)


def submit(
    settings: Settings,
    path: Path,
    *,
    name: str | None = None,
    priority: int | None = None,
    on_progress: OnProgress | None = None,
    **corpus: Unpack[Corpus],
) -> Submitted:
    """Store the documents of a corpus under a run with frozen settings; what is there already is not stored again.

    The run is called `name`, or after file, language and settings, so that the same command finds the same run.
    Where every record is refused no run is made. `priority` changes that of the run; None leaves it, 0 in a new one.
    Raises CorpusError when the file cannot be read at all, or a record is refused that must not be; ConfigurationError
    on an unknown language or tag map or when a run of that name has other settings, ModelMissing without weights.
    Nothing is stored then.
    """
    on_error, how = resolved(corpus)
    if on_error == "fail":
        demand_clean(path, how)
    with read_documents(path, **how) as reading:
        first = next(reading, None)  # a file without records makes no run
        if first is None:
            raise CorpusError(f"nothing to do: {path} has no records")
        lang, dataset, tags = how.get("lang"), how.get("dataset"), how.get("tag_map")
        spec = run_spec(settings, path, lang=lang, dataset=dataset, name=name, tags=tags)
        kept = Quarantine(settings.state / "quarantine", spec.name)
        with open_store(settings.database, create=True) as store, kept as quarantine:
            accepted = _accepted(_reported(chain([first], reading), on_progress), quarantine)
            added, left = _stored(store, spec, accepted, priority)
        tally = reading.tally
    return Submitted(
        run=spec.name,
        new=added.new,
        already=added.already,
        left=left,
        rejected=dict(quarantine.counts),
        quarantine=str(quarantine.path) if quarantine.path else None,
        dropped=dict(tally.dropped),
        repaired=tally.repaired,
        notes=dict(tally.notes),
    )


def _stored(store: Store, spec: RunSpec, accepted: Iterator[Document], priority: int | None) -> tuple[Added, int]:
    """Documents added, and documents of the run that have not ended."""
    first = next(accepted, None)
    if first is None:
        known = [run.id for run in store.runs.list_runs() if run.spec.name == spec.name]
        return Added(new=0, already=0), store.reading.count_unfinished(known)
    run = store.runs.add_run(spec)
    if priority is not None:
        store.operating.set_priority(run.id, priority)
    store.runs.add_prompts(prompt_set(spec.config.prompts).listed(spec.config.rounds))
    added = store.runs.add_documents(run.id, chain([first], accepted))
    return added, store.reading.count_unfinished([run.id])


def run_spec(
    settings: Settings,
    path: Path,
    *,
    lang: str | None,
    dataset: str | None,
    name: str | None = None,
    tags: TagMap | None = None,
) -> RunSpec:
    """What a submit of this file freezes. `tags`: a map of gold tags that was asked for; it makes another run.

    Raises ConfigurationError on a name that cannot name a file.
    """
    identity = engine_identity(settings)
    config = settings.method_config
    if name is None:
        frozen = {"config": config.to_json(), "fingerprint": identity.fingerprint, "dataset": dataset}
        frozen |= {} if tags is None else {"tag_map": dict(tags)}
        stem = re.sub(r"[^\w.+-]+", "-", "stdin" if str(path) == "-" else _stem(path)).strip("-.")[:60]
        name = "-".join(part for part in (stem or "corpus", lang, fingerprint(frozen)[:6]) if part)
    elif not _NAME.fullmatch(name) or name.startswith("."):
        raise ConfigurationError(f"--run {name!r}: a run's name has 1 to 100 letters, digits and any of . _ + -")
    return RunSpec(
        name=name,
        lang=lang or "",
        dataset=dataset or "",
        config=config,
        fingerprint=identity.fingerprint,
        model=identity.detail,
        queues=identity.queues,
    )


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0] or path.name


def _reported(records: Iterable[Document | Rejected], on_progress: OnProgress | None) -> Iterator[Document | Rejected]:
    number = 0
    for number, record in enumerate(records, start=1):
        yield record
        if on_progress and number % EVERY == 0:
            on_progress(number)
    if on_progress:
        on_progress(number)


def _accepted(records: Iterable[Document | Rejected], quarantine: Quarantine) -> Iterator[Document]:
    for record in records:
        if isinstance(record, Rejected):
            quarantine.add(record)
        else:
            yield record
