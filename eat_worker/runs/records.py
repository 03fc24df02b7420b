"""What an annotated document is in a file: the record that `eat annotate` and `eat export` write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eat_worker.method.document import Alignment

Record = dict[str, Any]
"""One JSON object of a file: text, id, lang, dataset, entities, english, ledger and more."""

_OF_AN_ENTITY = ("start", "end", "tag", "words", "english", "via", "confidence")


def entities_and_ledger(text: str, alignments: Iterable[Alignment]) -> tuple[list[Record], list[Record]]:
    """The entities that have words in the text, which can be read back as gold, and one line per English entity.

    Offsets are [start, end) in code points of `text`.
    """
    ledger = [_line(text, alignment) for alignment in alignments]
    found = [{name: line[name] for name in _OF_AN_ENTITY} for line in ledger if line["start"] is not None]
    return found, ledger


def _line(text: str, alignment: Alignment) -> Record:
    span, english = alignment.span, alignment.english
    return {
        "english": english.mention,
        "tag": english.tag,
        "outcome": str(alignment.outcome),
        "start": span.start if span else None,
        "end": span.end if span else None,
        "words": text[span.start : span.end] if span else None,
        "via": alignment.via,
        "answer": alignment.answer,
        "confidence": alignment.confidence,
    }
