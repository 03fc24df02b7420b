"""The column layouts of BIO files, told apart by a vote of the first sentences of a file.

    xx:token<TAB>tag              WikiANN: every token carries the language of its sentence
    token tag, token<TAB>tag      AQMAR, HiNER, UD-NER
    token _ _ tag                 pioNER, MultiCoNER, CoNLL-2002/2003
    i<TAB>token<TAB>tag...        UNER and other CoNLL-U relatives, `# text = ` above
    character<TAB>tag             KLUE (`## id` above, a blank is a blank), WikiANN ja and zh (a blank is written #)

No single line decides, and every sentence is checked against the decision. Knows lines and columns; no offsets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eat_worker.corpora.records import RecordError

_PREFIX = re.compile(r"([a-z]{2,12}(?:-[a-z]+)*):")
_NUMBER = re.compile(r"[0-9]{1,9}(?:[-.][0-9]{1,9})?")  # 7, 7-8 or 7.1
_TAG = re.compile(r"O|[BIESLUM]-.+")
_VOICE = 50  # lines of a sentence that have a say; an endless first sentence is one voice among many
_BLANK, _HASH = " ", "#"
_CHARACTER_SHARE = 0.8  # of tokens in a sentence, and of sentences in a file
_FOREIGN_SHARE = 0.5  # a sentence of a file of characters has more single ones
_SPELT = 12  # so many single letters in a row are a sentence cut into characters
_HEADERS = frozenset(("token", "tokens", "word", "words", "form", "text", "sentence", "character", "char"))
_TAG_HEADERS = frozenset(("tag", "tags", "ner", "ner_tag", "ner_tags", "label", "labels", "entity", "bio", "iob"))


class Row(NamedTuple):
    """One token line. `number` is the first column where tokens are numbered: 7, or 7-8 for a range."""

    token: str
    tag: str
    number: str = ""

    @property
    def is_header(self) -> bool:
        """Whether the line names the columns and holds no token."""
        return self.tag.lower() in _TAG_HEADERS and self.token.lower() in _HEADERS


@dataclass(frozen=True, slots=True)
class Layout:
    """How a token line is split. `columns` is what every line must have (at least, where tokens are numbered).

    `prefixed`: the language and a colon stand before every token and are no part of it. `characters`: a token is one
    character. `hash_blank`: the character # stands for a blank.
    """

    separator: str
    columns: int
    numbered: bool = False
    prefixed: bool = False
    characters: bool = False
    hash_blank: bool = False

    def row(self, line: str) -> Row:
        """The columns of a line. Raises RecordError (E_COLUMNS) when the line has too few of them or too many."""
        fields = line.split(self.separator)
        if len(fields) > self.columns and self.separator == " ":
            fields = [field for field in fields if field]
        if len(fields) < self.columns or (len(fields) > self.columns and not self.numbered):
            raise RecordError("E_COLUMNS", f"{len(fields)} columns instead of {self.columns}: {line[:60]!r}")
        if self.numbered:
            if not _NUMBER.fullmatch(fields[0]):
                raise RecordError("E_COLUMNS", f"the first column is not a token number: {line[:60]!r}")
            return Row(fields[1], fields[2].rstrip(" "), fields[0])
        return Row(fields[0], fields[-1].rstrip(" "))

    def tokens(self, rows: Sequence[Row]) -> tuple[str, list[Row]]:
        """The language that the tokens carry, "" where they carry none, and the rows with the tokens as they are meant.

        Raises RecordError (E_LAYOUT) when the sentence is written in another way than the file.
        """
        prefix = common_prefix(row.token for row in rows)
        if self.prefixed and not prefix:
            raise RecordError(
                "E_LAYOUT", "not all tokens carry the same language, such as ko:, as those of the file do"
            )
        if prefix and not self.prefixed and len(rows) > 1:
            raise RecordError("E_LAYOUT", f"all tokens begin with {prefix!r}, and those of the file do not")
        if self.prefixed:
            rows = [row._replace(token=row.token[len(prefix) :]) for row in rows]
        if self.characters:
            if _single_share(rows) < _FOREIGN_SHARE and len(rows) > 1:
                raise RecordError("E_LAYOUT", "the tokens are words, and those of the file are single characters")
            rows = [row._replace(token=_BLANK) if self._is_blank(row.token) else row for row in rows]
        return prefix.removesuffix(":") if self.prefixed else "", list(rows)

    def _is_blank(self, token: str) -> bool:
        return not token or (self.hash_blank and token == _HASH)

    def is_comment(self, line: str) -> bool:
        """Whether a line speaks about the sentence; the token # stands in a line like any other token's."""
        if not line.startswith("#"):
            return False
        fields = line.split(self.separator)
        return self.numbered or len(fields) != self.columns or not _TAG.fullmatch(fields[-1].rstrip(" "))


def is_spelt(rows: Sequence[Row]) -> bool:
    """Whether a sentence of a spaced language is cut into letters, which would be put together with blanks."""
    letters = sum(len(row.token) == 1 and row.token.isalpha() for row in rows)
    return len(rows) >= _SPELT and letters >= 0.9 * len(rows) and _single_share(rows) == 1


def common_prefix(tokens: Iterable[str]) -> str:
    """The language prefix, with its colon, when all tokens have the same; "" otherwise."""
    tokens = iter(tokens)
    found = _PREFIX.match(next(tokens, ""))
    return found[0] if found and all(token.startswith(found[0]) for token in tokens) else ""


def _single_share(rows: Sequence[Row]) -> float:
    return sum(len(row.token) <= 1 for row in rows) / len(rows)


def detect(sentences: Iterable[Sequence[str]]) -> Layout | None:
    """The layout of a file by its first sentences (lines without their ends); None when no line ends in a tag."""
    voices = [[line for line in sentence[:_VOICE] if line.strip()] for sentence in sentences]
    lines = [line for voice in voices for line in voice]
    bare = [line for line in lines if not line.startswith("#")]
    bare = bare or lines
    separator = "\t" if sum("\t" in line for line in bare) * 2 > len(bare) else " "
    fields = [line.split(separator) for line in bare]
    numbered = sum(len(row) > 2 and row[0].isdecimal() for row in fields)
    if separator == "\t" and numbered * 2 > len(fields):
        return Layout("\t", 3, numbered=True) if any(_tagged(row, 2) for row in fields) else None
    found = Counter(len(row) for row in fields if _tagged(row, -1))
    if not found:
        return None
    columns = found.most_common(1)[0][0]
    return _with_characters(Layout(separator, columns), voices, comments=bare is not lines)


def _with_characters(layout: Layout, voices: Sequence[Sequence[str]], *, comments: bool) -> Layout:
    """The layout with what the tokens of its sentences show."""
    sentences = []
    for voice in voices:
        fields = [line.split(layout.separator) for line in voice if not (comments and line.startswith("#"))]
        rows = [Row(row[0], row[-1]) for row in fields if len(row) == layout.columns and _tagged(row, -1)]
        if rows:
            sentences.append(rows)
    prefixes = [common_prefix(row.token for row in rows) for rows in sentences]
    prefixed = sum(map(bool, prefixes)) * 2 > len(sentences)
    if prefixed:
        sentences = [
            [row._replace(token=row.token.removeprefix(prefix)) for row in rows]
            for rows, prefix in zip(sentences, prefixes, strict=True)
        ]
    single = sum(_single_share(rows) >= _CHARACTER_SHARE for rows in sentences)
    characters = single >= _CHARACTER_SHARE * len(sentences)
    tokens = Counter(row.token for rows in sentences for row in rows)
    blanks = sum(count for token, count in tokens.items() if not token.strip())
    marked = any(line.startswith("## ") for voice in voices for line in voice)
    hash_blank = characters and layout.separator == "\t" and not marked and (not blanks or tokens["#"] > blanks)
    return Layout(layout.separator, layout.columns, False, prefixed, characters, hash_blank)


def _tagged(fields: Sequence[str], column: int) -> bool:
    return len(fields) > 1 and len(fields) > column and _TAG.fullmatch(fields[column].rstrip(" ")) is not None
