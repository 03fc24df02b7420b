"""The column layouts of BIO files, told apart by looking at the first lines of a file.

    xx:token<TAB>tag              WikiANN: every token carries the language
    token tag, token<TAB>tag      AQMAR, HiNER, UD-NER
    token _ _ tag                 pioNER, MultiCoNER, CoNLL-2002/2003
    i<TAB>token<TAB>tag...        UNER and other CoNLL-U relatives, `# text = ` above
    character<TAB>tag             KLUE (`## id` above, a blank is a blank), WikiANN ja and zh (a blank is written #)

Knows lines and columns; knows no sentences and no offsets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eat_worker.corpora.records import RecordError

_PREFIX = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*:")
_NUMBER = re.compile(r"[0-9]{1,9}(?:[-.][0-9]{1,9})?")  # 7, 7-8 or 7.1
_TAG = re.compile(r"O|[BI]-.+")
_CHARACTER_SHARE = 0.95  # a file of words never comes near; a file of characters may hold a few runs of Latin letters


class Row(NamedTuple):
    """One token line. `number` is the first column where tokens are numbered: 7, or 7-8 for a range."""

    token: str
    tag: str
    number: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a token line is split. `columns` is what every line must have (at least, where tokens are numbered).

    `prefix` stands before every token and is no part of it. `characters`: a token is one character. `hash_blank`: the
    character # stands for a blank.
    """

    separator: str
    columns: int
    numbered: bool = False
    prefix: str = ""
    characters: bool = False
    hash_blank: bool = False

    def row(self, line: str) -> Row:
        """The token of a line. Raises RecordError (E_COLUMNS) when the line has too few columns or too many."""
        fields = line.split(self.separator)
        if len(fields) > self.columns and self.separator == " ":
            fields = [field for field in fields if field]
        if len(fields) < self.columns or (len(fields) > self.columns and not self.numbered):
            raise RecordError("E_COLUMNS", f"{len(fields)} columns instead of {self.columns}: {line[:60]!r}")
        if self.numbered:
            if not _NUMBER.fullmatch(fields[0]):
                raise RecordError("E_COLUMNS", f"the first column is not a token number: {line[:60]!r}")
            return Row(fields[1], fields[2].rstrip(" "), fields[0])
        word = fields[0].removeprefix(self.prefix)
        if self.characters and (not word or (self.hash_blank and word == "#")):
            word = " "
        return Row(word, fields[-1].rstrip(" "))

    def is_comment(self, line: str) -> bool:
        """Whether a line speaks about the sentence; the token # stands in a line like any other token's."""
        if not line.startswith("#"):
            return False
        fields = line.split(self.separator)
        return self.numbered or len(fields) != self.columns or not _TAG.fullmatch(fields[-1].rstrip(" "))


def detect(lines: Sequence[str]) -> Layout | None:
    """The layout of a file by its first lines (without line ends); None when no line ends in a BIO tag."""
    rows = [line for line in lines if line.strip() and not line.startswith("#")]
    rows = rows or [line for line in lines if line.strip()]
    separator = "\t" if sum("\t" in row for row in rows) * 2 > len(rows) else " "
    fields = [row.split(separator) for row in rows]
    numbered = sum(len(row) > 2 and row[0].isdecimal() for row in fields)
    if separator == "\t" and numbered * 2 > len(fields):
        return Layout("\t", 3, numbered=True) if any(_tagged(row, 2) for row in fields) else None
    fields = [row for row in fields if _tagged(row, -1)]
    if not fields:
        return None
    columns = Counter(map(len, fields)).most_common(1)[0][0]
    prefix = _common_prefix([row[0] for row in fields])
    tokens = [row[0].removeprefix(prefix) for row in fields]
    characters = sum(len(token) <= 1 for token in tokens) >= _CHARACTER_SHARE * len(tokens)
    has_blanks = any(not token.strip() for token in tokens) or any(line.startswith("## ") for line in lines)
    hash_blank = characters and separator == "\t" and not has_blanks
    return Layout(separator, columns, prefix=prefix, characters=characters, hash_blank=hash_blank)


def _tagged(fields: Sequence[str], column: int) -> bool:
    return len(fields) > 1 and len(fields) > column and _TAG.fullmatch(fields[column].rstrip(" ")) is not None


def _common_prefix(tokens: Sequence[str]) -> str:
    """The language prefix, when all tokens have the same."""
    found = _PREFIX.match(tokens[0])
    if found and all(token.startswith(found[0]) for token in tokens):
        return found[0]
    return ""
