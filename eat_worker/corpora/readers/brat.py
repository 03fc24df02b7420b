"""brat: a folder of pairs NAME.txt and NAME.ann. Offsets are code points of the text, as brat counts them.

A text is one document; --split cuts it into sentences. Only T lines are read. Parts of a discontinuous entity become
entities of their own, and that is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eat_worker.corpora.parsing import Defaults, document_of
from eat_worker.corpora.readers import Reader
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document

_MAX_BYTES = 2**24  # of one text


def read_brat(path: Path, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """The documents and refused texts of a folder, by name."""
    for text in sorted(path.rglob("*.txt")):
        name = text.relative_to(path).with_suffix("").as_posix()
        body = b""
        try:
            body = _body(text)
            entities = _entities(text.with_suffix(".ann"), tally)
            document = document_of({"id": name, "text": body.decode(), "entities": entities}, defaults, tally)
        except RecordError as error:
            tally.rejected[error.code] += 1
            tally.rejected_bytes += len(body)
            yield Rejected(str(text), 1, 0, error.code, str(error), body)
        except UnicodeDecodeError as error:
            tally.rejected["E_UTF8"] += 1
            tally.rejected_bytes += len(body)
            yield Rejected(str(text), 1, error.start, "E_UTF8", f"byte {error.start} is not UTF-8", body)
        else:
            tally.documents += 1
            tally.document_bytes += len(body)
            yield document


def _body(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise RecordError("E_TEXT_TOO_LONG", f"the text has more than {_MAX_BYTES:,} bytes")
        return file.read_bytes()
    except OSError as error:
        raise CorpusError(f"{file} cannot be read: {error.strerror or error}") from error


def _entities(file: Path, tally: Tally) -> list[dict[str, object]] | None:
    """The entities of an .ann file; None where there is none: nothing is known then."""
    if not file.exists():
        return None
    found: list[dict[str, object]] = []
    for line in _body(file).decode().split("\n"):
        if line.startswith("T"):
            found += _of_line(line, tally)
    return found


def _of_line(line: str, tally: Tally) -> list[dict[str, object]]:
    try:
        _, place, words = line.rstrip("\r").split("\t", 2)
        tag, offsets = place.split(" ", 1)
        spans = [tuple(map(int, part.split())) for part in offsets.split(";")]
        pairs = [(start, end) for start, end in spans]
    except ValueError:
        raise RecordError("E_ENTITY", f"not an entity of brat: {line[:60]!r}") from None
    if len(pairs) == 1:
        return [{"start": pairs[0][0], "end": pairs[0][1], "tag": tag, "words": words}]
    tally.note("discontinuous entities taken apart")
    return [{"start": start, "end": end, "tag": tag} for start, end in pairs]


def _folder(path: Path) -> str:
    return "it holds .ann files of brat" if next(path.rglob("*.ann"), None) else ""


READER = Reader(None, lambda _: "", read_brat, _folder)
