"""Documents of a run worked on once more: as they are, or under other settings in a run of their own.

What a run froze never changes, so other settings make another run; the old one keeps its documents and their history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain
from typing import Any

from eat_worker.errors import ConfigurationError
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Document
from eat_worker.method.prompts import prompt_set
from eat_worker.models.fingerprint import fingerprint
from eat_worker.runs.opening import open_existing
from eat_worker.settings import Settings
from eat_worker.settings.types import KINDS, convert
from eat_worker.storage.store import Store
from eat_worker.storage.values import Run, RunSpec

# They decide who works on a document, and the old run's workers are asked for.
FIXED = ("prompts", "extractor")


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did: documents that wait again in `run`, which is another than `of` when settings changed.

    `already`: documents that the run of the changed settings had before.
    """

    run: str
    of: str
    documents: int
    already: int = 0

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat retry --json`."""
        return asdict(self)


def retry_failed(settings: Settings, run: str) -> Retried:
    """Put the run's failed documents back into the queue. Raises NotFound, EatError when the run is cancelled."""
    with open_existing(settings) as store:
        name = store.runs.get_run(run).spec.name
        return Retried(name, name, store.operating.reopen_failed(run))


def retry_with(settings: Settings, run: str, changes: Sequence[str], *, outcome: str | None = None) -> Retried:
    """Submit documents of the run again under a run with some of its settings changed, each as NAME=VALUE.

    Those that failed, or with `outcome` those with an English entity that ended so. The same command finds the same
    run and adds nothing. Raises NotFound, ConfigurationError when a change cannot be.
    """
    with open_existing(settings) as store:
        old = store.runs.get_run(run)
        spec = changed(old.spec, changes)
        operating = store.operating
        found = (
            operating.iter_failed_texts(old.id) if outcome is None else operating.iter_texts_by_outcome(old.id, outcome)
        )
        return _derived(store, old, spec, found)


def changed(spec: RunSpec, changes: Sequence[str]) -> RunSpec:
    """The spec of the run that `changes` make of this one. Raises ConfigurationError."""
    values = dict(_change(spec.config, change) for change in changes)
    config = replace(spec.config, **values)
    if config == spec.config:
        raise ConfigurationError(f"{', '.join(changes)}: run {spec.name} has these settings already")
    digest = fingerprint({"of": spec.name, "config": config.to_json()})[:6]
    return replace(spec, name=f"{spec.name[:93]}-{digest}", config=config)


def _change(config: MethodConfig, change: str) -> tuple[str, Any]:
    name, mark, value = change.partition("=")
    name = name.strip().replace("-", "_")
    known = [item.name for item in fields(MethodConfig) if item.name not in FIXED]
    if not mark:
        raise ConfigurationError(f"--set {change}: write NAME=VALUE, such as rounds=5")
    if name in FIXED:
        raise ConfigurationError(f"--set {change}: other workers would be needed; submit the corpus with --{name}")
    if name not in known:
        raise ConfigurationError(f"--set {change}: a run has no setting {name}; it has: {', '.join(known)}")
    before = getattr(config, name)
    try:
        return name, convert(value.strip(), before)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"--set {change}: {value!r} is not {KINDS[type(before)]}") from error


def _derived(store: Store, old: Run, spec: RunSpec, found: Iterator[Document]) -> Retried:
    first = next(found, None)  # no document makes no run
    if first is None:
        return Retried(spec.name, old.spec.name, 0)
    run = store.runs.add_run(spec)
    store.runs.add_prompts(prompt_set(spec.config.prompts).listed(spec.config.rounds))
    added = store.runs.add_documents(run.id, chain([first], found))
    if added.new:
        store.operating.add_event("derived", run.id, of=old.spec.name, documents=added.new)
    return Retried(spec.name, old.spec.name, added.new, added.already)
