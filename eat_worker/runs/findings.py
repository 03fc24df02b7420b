"""What a report page shows beside figures: flags of the model's answers, and the sentences that went worst."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from eat_worker.runs.opening import open_existing
from eat_worker.settings import Settings
from eat_worker.storage.values import Dossier


@dataclass(frozen=True, slots=True)
class Findings:
    """`flags` counts rounds by (run, flag). `worst` reads one dossier at a time, the worst first."""

    flags: Mapping[tuple[str, str], int]
    worst: Iterator[Dossier]


@contextmanager
def open_findings(
    settings: Settings,
    *,
    most: int,
    dataset: str | None = None,
    run: str | None = None,
    lang: str | None = None,
) -> Iterator[Findings]:
    """The flags and the `most` worst documents of every run that fits; None fits all. Raises NotFound."""
    with open_existing(settings) as store:
        flags = store.reading.flag_counts(dataset=dataset, run=run, lang=lang)
        worst = store.reading.worst(most, dataset=dataset, run=run, lang=lang)
        yield Findings(flags, (store.reading.dossier(number) for number in worst))
