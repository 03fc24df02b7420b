"""spaCy's DocBin (.spacy): its documents by spaCy itself, so that tokens, blanks and entities are what spaCy means."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from eat_worker.corpora.parsing import Defaults, document_of
from eat_worker.corpora.readers import Reader
from eat_worker.corpora.records import RecordError, Rejected, Tally
from eat_worker.errors import ConfigurationError, CorpusError
from eat_worker.method.document import Document


def read_docbin(path: Path, defaults: Defaults, tally: Tally) -> Iterator[Document | Rejected]:
    """The documents of a file. Raises ConfigurationError without spaCy."""
    try:
        import spacy
        from spacy.tokens import DocBin
    except ImportError:
        raise ConfigurationError("a DocBin needs spaCy: pip install spacy") from None
    try:
        bin_ = DocBin().from_disk(path)
    except Exception as error:  # spaCy and msgpack raise what they like on a damaged file
        raise CorpusError(f"{path} is no DocBin that spaCy can read: {error}") from error
    vocabulary = spacy.blank(defaults.lang or "xx").vocab
    for number, doc in enumerate(bin_.get_docs(vocabulary), start=1):
        entities = [{"start": one.start_char, "end": one.end_char, "tag": one.label_} for one in doc.ents]
        record = {"text": doc.text, "entities": entities}
        try:
            document = document_of(record, defaults, tally)
        except RecordError as error:
            tally.rejected[error.code] += 1
            yield Rejected(str(path), number, 0, error.code, f"document {number}: {error}", doc.text.encode())
        else:
            tally.documents += 1
            yield document


def _recognised(sample: bytes) -> str:
    """zlib data with msgpack in it that begins with the keys of a DocBin."""
    if sample[:1] != b"\x78":
        return ""
    try:
        head = zlib.decompressobj().decompress(sample, 200)
    except zlib.error:
        return ""
    return "it is a DocBin of spaCy" if b"version" in head and b"attrs" in head else ""


READER = Reader(None, _recognised, read_docbin)
