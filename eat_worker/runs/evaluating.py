"""Two files of any system scored against each other: no run, no model and no database.

Sentences find each other by their text, wherever they stand; files in the same order need no memory.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Unpack

from eat_worker.corpora.reading import Reading, read_documents
from eat_worker.corpora.records import Rejected
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document
from eat_worker.metrics.f1 import counts_by_scorer
from eat_worker.metrics.summary import Figures, figures
from eat_worker.metrics.tally import Tally
from eat_worker.runs.corpus import Corpus, demand_clean, resolved

ALL = "all"
_Waiting = defaultdict[str, deque[Document]]


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """The figures of one data set and language; `lang` is "all" where languages are pooled."""

    dataset: str
    lang: str
    documents: int
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat eval --json`."""
        head = {"dataset": self.dataset, "lang": self.lang, "documents": self.documents}
        return head | self.figures.to_json()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures, and what became of the sentences that have no partner.

    `missing` gold sentences have no prediction and count as wholly missed. `unknown` predictions belong to no gold
    sentence and count for nothing, as do the gold sentences of `without_gold`, whose entities are not known.
    `rejected` and `dropped` are those of each file: refused records by code, entities left out by their tag.
    """

    rows: tuple[EvaluationRow, ...]
    matched: int
    missing: int
    unknown: int
    without_gold: int
    rejected: Mapping[str, Mapping[str, int]]
    dropped: Mapping[str, Mapping[str, int]]

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat eval --json`."""
        names = ("matched", "missing", "unknown", "without_gold", "rejected", "dropped")
        return {"rows": [row.to_json() for row in self.rows], **{name: getattr(self, name) for name in names}}


def evaluate(gold: Path, predictions: Path, **corpus: Unpack[Corpus]) -> Evaluation:
    """Score the entities of `predictions` against those of `gold`, whatever format each file has.

    The options hold for both files, as in `submit`; with `on_error` = "fail" a refused record of either ends it before
    anything is scored. Language and data set of a sentence are those of its gold record. Raises CorpusError when a file
    cannot be read or no sentence of one is in the other.
    """
    on_error, how = resolved(corpus)
    scored = _Scored()
    with ExitStack() as stack:
        if on_error == "fail":
            for path in (gold, predictions):
                demand_clean(path, how)
        sides = [stack.enter_context(read_documents(path, **how)) for path in (gold, predictions)]
        unmatched = _match(_documents(sides[0]), _documents(sides[1]), scored)
    if not scored.matched:
        raise CorpusError(
            f"no sentence of {predictions} is a sentence of {gold}: a pair must have the same text, blanks included"
        )
    for document in unmatched[0]:
        scored.add(document, None)
    tallies = {"gold": sides[0].tally, "predictions": sides[1].tally}
    return Evaluation(
        rows=tuple(scored.rows()),
        matched=scored.matched,
        missing=scored.missing,
        unknown=len(unmatched[1]),
        without_gold=scored.without_gold,
        rejected={name: dict(tally.rejected) for name, tally in tallies.items()},
        dropped={name: dict(tally.dropped) for name, tally in tallies.items()},
    )


def _documents(reading: Reading) -> Iterator[Document]:
    return (record for record in reading if not isinstance(record, Rejected))


def _match(left: Iterator[Document], right: Iterator[Document], scored: _Scored) -> list[list[Document]]:
    """Score every pair as soon as both are there; what is left over of each side."""
    waiting: tuple[_Waiting, _Waiting] = (defaultdict(deque), defaultdict(deque))
    for pair in zip_longest(left, right):
        for side, document in enumerate(pair):
            if document is None:
                continue
            partners = waiting[1 - side].get(document.text)
            if not partners:
                waiting[side][document.text].append(document)
                continue
            partner = partners.popleft()
            if not partners:
                del waiting[1 - side][document.text]
            scored.add(*((document, partner) if side == 0 else (partner, document)))
    return [[document for documents in side.values() for document in documents] for side in waiting]


class _Scored:
    """The counts of all pairs, by data set and language, and of all together."""

    def __init__(self) -> None:
        self.matched = self.missing = self.without_gold = 0
        self._groups: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)

    def add(self, gold: Document, prediction: Document | None) -> None:
        """Score one sentence; without a prediction, or with one that says nothing of entities, nothing was found."""
        self.matched += prediction is not None
        if gold.gold is None:
            self.without_gold += 1
            return
        self.missing += prediction is None or prediction.gold is None
        found = prediction.gold if prediction else None
        right, guess = ([(one.start, one.end, one.tag) for one in side or ()] for side in (gold.gold, found))
        by_scorer = counts_by_scorer(gold.text, gold.lang, right, guess)
        counts = {f"{name}/{tag}": of_tag for name, tags in by_scorer.items() for tag, of_tag in tags.items()}
        for key in ((gold.dataset or "", gold.lang), (ALL, ALL)):
            self._groups[key].add(counts)

    def rows(self) -> Iterator[EvaluationRow]:
        """A row per data set and language, and one over all where there are several."""
        several = len(self._groups) > 2
        for dataset, lang in sorted(self._groups, key=lambda key: (key == (ALL, ALL), key)):
            tally = self._groups[dataset, lang]
            if several or lang != ALL:
                yield EvaluationRow(dataset, lang, tally.documents, figures(*tally.everything()))
