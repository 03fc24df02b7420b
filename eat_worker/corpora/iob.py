"""Entities over tokens from the tags of the tokens: BIO, BIOES, BILOU and BMES; stray I- tags as CoNLL repairs them.

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


_BEGIN, _INSIDE, _END, _SINGLE = frozenset("B"), frozenset("IM"), frozenset("EL"), frozenset("SU")
_LETTERS = _BEGIN | _INSIDE | _END | _SINGLE


def split_tag(tag: str) -> tuple[str, str]:
    """("O", "") or (letter, type); BIOES, BILOU and BMES have other letters. Raises RecordError (E_TAG) on the rest."""
    letter, dash, kind = tag.partition("-")
    if tag == "O" or (dash and kind and letter in _LETTERS):
        return letter, kind
    raise RecordError("E_TAG", f"tag {tag[:40]!r} is not O, B-TYPE or I-TYPE, nor E-, S-, L-, U- or M-TYPE")


def spans_of(tags: Sequence[str]) -> tuple[list[TokenSpan], int]:
    """The entities of a tagged sentence, and how many began without B- where one belongs (counted, not refused)."""
    spans: list[TokenSpan] = []
    repaired = 0
    first, current = 0, ""  # the open entity; no type is empty
    for position, tag in enumerate(tags):
        letter, kind = split_tag(tag)
        goes_on = kind == current and current and letter not in _BEGIN and letter not in _SINGLE
        if not goes_on:
            if current:
                spans.append(TokenSpan(first, position, current))
            repaired += letter in _INSIDE or letter in _END
            first, current = position, kind
        if letter in _END or letter in _SINGLE:
            spans.append(TokenSpan(first, position + 1, kind))
            current = ""
    if current:
        spans.append(TokenSpan(first, len(tags), current))
    return spans, repaired
