"""What reading a corpus yields beside documents: refused records, and the tally of where every byte went.

Knows the reason codes. Knows no file format.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType

CODES = MappingProxyType(
    {
        "E_UTF8": "the bytes are not UTF-8",
        "E_JSON": "the line is not JSON",
        "E_NUMBER": "a number no JSON reader agrees on: NaN, Infinity, or beyond a double",
        "E_SURROGATE": "half of a surrogate pair: no database and no tokenizer takes it",
        "E_NUL": "U+0000, which PostgreSQL cannot store",
        "E_DEPTH": "nested too deeply",
        "E_NOT_OBJECT": "the line is not one JSON object",
        "E_TEXT_MISSING": "no text, or null",
        "E_TEXT_TYPE": "the text is not a string",
        "E_TEXT_BLANK": "the text shows nothing: blanks and invisible characters only",
        "E_TEXT_TOO_LONG": "the text is longer than a document may be",
        "E_LINE_TOO_LONG": "the line is longer than a record may be",
        "E_LANG": "the language is missing or unknown",
        "E_ENTITY": "a gold entity is malformed, outside of the text, or overlaps another",
        "E_ID": "the id is neither a string nor an integer",
        "E_DUP_ID": "the id already belongs to another record of the file",
        "E_FIELD": "dataset or meta has the wrong type",
        "E_COLUMNS": "a line of a table lacks a column, or has too many",
        "E_TAG": "a tag of a token is not O or a letter of BIO, BIOES, BILOU or BMES with a type",
        "E_LAYOUT": "the sentence is written in another way than the rest of its file",
        "E_TRUNCATED": "the compressed file ends early or is damaged",
    }
)
"""Why a record can be refused."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """One refused record, bound for quarantine."""

    file: str
    #: Where the record begins in the decompressed file: counted from 1,
    line: int
    #: ... and from 0.
    byte: int
    code: str
    message: str
    #: The record as it is in the file, line ends included,
    raw: bytes
    #: ... without so many bytes of a record that is longer than the limit.
    dropped: int = 0

    @property
    def where(self) -> str:
        """`file:line:byte`."""
        return f"{self.file}:{self.line}:{self.byte}"

    @property
    def size(self) -> int:
        """Bytes of the record in the file."""
        return len(self.raw) + self.dropped


class RecordError(Exception):
    """A record that must be refused: a key of CODES and a sentence. Never leaves this package."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


MOST_NOTES = 200
"""Different notes a tally keeps; what a hostile file adds to them is counted under one more."""


@dataclass(slots=True)
class Tally:
    """What has been read so far. The byte counts together are the file: decompressed, and in UTF-8."""

    documents: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    #: I- tags that began an entity without B-.
    repaired: int = 0
    #: Gold entities left out, by their tag in the file: those without counterpart here, and those that cover blanks
    #: only.
    dropped: Counter[str] = field(default_factory=Counter)
    #: What was changed, repaired or guessed: a sentence that begins with what it counts -> how often.
    notes: Counter[str] = field(default_factory=Counter)
    document_bytes: int = 0
    rejected_bytes: int = 0
    other_bytes: int = 0  # blank lines, comments between sentences, byte order mark

    @property
    def bytes(self) -> int:
        """All bytes accounted for."""
        return self.document_bytes + self.rejected_bytes + self.other_bytes

    def note(self, said: str, count: int = 1) -> None:
        """Count something that the reader changed, repaired or guessed."""
        self.notes[said if said in self.notes or len(self.notes) < MOST_NOTES else "other notes"] += count
