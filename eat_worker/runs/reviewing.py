"""Corrected annotations of a run brought back, beside those of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from eat_worker.corpora.reviews import Correction, Unusable, read_corrections
from eat_worker.runs.opening import open_existing
from eat_worker.settings import Settings
from eat_worker.storage.reviews import ReviewOutcome
from eat_worker.storage.values import Review

BATCH = 500
REASONS = {
    ReviewOutcome.UNKNOWN: "the run has no annotated document of that id or text",
    ReviewOutcome.TEXT_DIFFERS: "the text is not that of the document",
}


@dataclass(slots=True)
class Imported:
    """What came of an import: reviews by outcome, and what was refused as (number of the record, reason)."""

    run: str
    outcomes: Counter[ReviewOutcome] = field(default_factory=Counter)
    refused: list[tuple[int, str]] = field(default_factory=list)


def import_reviews(settings: Settings, file: Path, run: str, *, author: str, reason: str) -> Imported:
    """Store the corrections of a file as reviews of the run's documents; a second time adds nothing.

    A record is refused when it is unusable or its text is not the document's; the others are stored. Raises NotFound
    (the run) and CorpusError (the file cannot be read at all).
    """
    with open_existing(settings) as store:
        found = store.runs.get_run(run)
        done = Imported(found.spec.name)
        for batch in _batches(read_corrections(file), done):
            given = [(one.ext_id, one.text, Review(author, reason, one.entities)) for one in batch]
            for one, outcome in zip(batch, store.runs.add_reviews(found.id, given), strict=True):
                done.outcomes[outcome] += 1
                if outcome in REASONS:
                    done.refused.append((one.number, REASONS[outcome]))
    done.refused.sort()
    return done


def _batches(found: Iterator[Correction | Unusable], done: Imported) -> Iterator[list[Correction]]:
    while several := list(islice(found, BATCH)):
        done.refused += ((one.number, one.reason) for one in several if isinstance(one, Unusable))
        yield [one for one in several if isinstance(one, Correction)]
