"""Pairs from files that others made: the released `corpus_xx.json`, JSON Lines, with all their oddities.

A record that is no pair is refused with its reason; nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eat_worker.training.eacl.objects import objects_in
from eat_worker.training.eacl.pairs import EaclPair, PairError, Refused, lang_of, parse_pair


def import_pairs(path: Path | str, lang: str | None = None) -> Iterator[EaclPair | Refused]:
    """The pairs and refused records of a file in order: a JSON array, JSON Lines, or pretty-printed objects.

    The language is the record's own, else `lang`, else what the file's name tells (`corpus_ko.json`). Raises
    CorpusError when the file cannot be read or is empty.
    """
    default = lang or lang_of(path)
    for found in objects_in(path):
        try:
            yield parse_pair(found.raw, default)
        except PairError as error:
            shown = found.raw.decode("utf-8", errors="replace")
            yield Refused(error.reason, f"{path}:{found.line}: {error}", shown)
