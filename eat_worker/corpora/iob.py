"""Entities over tokens from the tags of the tokens: IOB2 as written, IOB1 and stray I- tags as CoNLL repairs them.

Knows tags and token positions; knows no text and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eat_worker.corpora.records import RecordError


class TokenSpan(NamedTuple):
    """An entity over tokens [first, last): `tag` as the file has it."""

    first: int
    last: int
    tag: str


def split_tag(tag: str) -> tuple[str, str]:
    """("O", "") or (B or I, type). Raises RecordError (E_TAG) on anything else."""
    prefix, dash, kind = tag.partition("-")
    if tag == "O" or (dash and kind and prefix in ("B", "I")):
        return prefix, kind
    raise RecordError("E_TAG", f"tag {tag[:40]!r} is not O, B-TYPE or I-TYPE")


def spans_of(tags: Sequence[str]) -> tuple[list[TokenSpan], int]:
    """The entities of a tagged sentence, and how many of them began with I- instead of B- (counted, not refused)."""
    spans: list[TokenSpan] = []
    repaired = 0
    first, current = 0, ""  # the open entity; no type is empty
    for position, tag in enumerate(tags):
        prefix, kind = split_tag(tag)
        if prefix == "I" and kind == current:
            continue
        if current:
            spans.append(TokenSpan(first, position, current))
        repaired += prefix == "I"
        first, current = position, kind
    if current:
        spans.append(TokenSpan(first, len(tags), current))
    return spans, repaired
