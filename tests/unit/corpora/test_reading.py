from __future__ import annotations

import gzip
import io
import sys
import tracemalloc
from pathlib import Path

import pytest

from eat_worker.corpora.reading import read_documents
from eat_worker.corpora.records import Rejected
from eat_worker.errors import ConfigurationError, CorpusError
from eat_worker.method.document import Document

THREE = b'{"text": "a"}\n{"text": 5}\n{"text": "b"}\n{"text": "c"}\n'


def write(folder: Path, body: bytes, name: str = "corpus.jsonl") -> Path:
    path = folder / name
    path.write_bytes(body)
    return path


def test_a_given_format_overrides_the_name(tmp_path: Path) -> None:
    path = write(tmp_path, b"Anna B-PER\n", "corpus.jsonl")
    (document,) = read_documents(path, lang="de", format="bio")
    assert isinstance(document, Document)
    assert document.text == "Anna"


def test_the_limit_counts_documents(tmp_path: Path) -> None:
    path = write(tmp_path, THREE)
    assert [type(record) for record in read_documents(path, lang="de", limit=2)] == [Document, Rejected, Document]
    assert list(read_documents(path, lang="de", limit=0)) == []


def test_the_tally_adds_up_to_the_file(tmp_path: Path) -> None:
    reading = read_documents(write(tmp_path, b"\xef\xbb\xbf" + THREE + b"\n"), lang="de")
    for _ in reading:
        pass
    assert (reading.tally.documents, reading.tally.rejected) == (3, {"E_TEXT_TYPE": 1})
    assert (reading.tally.document_bytes, reading.tally.rejected_bytes, reading.tally.other_bytes) == (42, 12, 4)


def test_a_missing_file_is_told_before_the_first_record(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no file"):
        read_documents(tmp_path / "absent")


def test_an_unknown_language_is_told_before_the_file_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown language code 'kr'; did you mean ko"):
        read_documents(tmp_path / "absent", lang="kr")


def test_an_empty_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nothing to do: .* has no records"):
        read_documents(write(tmp_path, b""))


def test_a_file_of_blank_lines_is_told_at_its_end(tmp_path: Path) -> None:
    reading = read_documents(write(tmp_path, b"\n \n"))
    with pytest.raises(CorpusError, match=r"nothing to do: .* has no records"):
        next(reading)


def test_a_file_of_refused_records_only_is_no_empty_file(tmp_path: Path) -> None:
    assert len(list(read_documents(write(tmp_path, b"{}\n{}\n")))) == 2


@pytest.mark.parametrize("taken", [0, 1])
def test_a_reading_that_is_dropped_closes_its_file(tmp_path: Path, taken: int) -> None:
    reading = read_documents(write(tmp_path, THREE), lang="de")
    for _ in range(taken):
        next(reading)
    del reading  # a file left open is a ResourceWarning, and warnings are errors


def test_close_ends_it(tmp_path: Path) -> None:
    with read_documents(write(tmp_path, THREE), lang="de") as reading:
        next(reading)
    assert list(reading) == []


def test_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(THREE)))
    records = list(read_documents("-", lang="de"))
    assert len(records) == 4
    assert [record.where for record in records if isinstance(record, Rejected)] == ["<stdin>:2:14"]


def test_truncated_gzip_ends_in_one_refusal(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(THREE)[:-8], "corpus.jsonl.gz")
    *kept, last = read_documents(path, lang="de")
    assert len(kept) == 4
    assert isinstance(last, Rejected)
    assert (last.code, last.line, last.byte, last.raw) == ("E_TRUNCATED", 5, 54, b"")
    assert last.message == "the gzip data ends early; every line before this one is whole"


def test_an_endless_line_is_refused_with_its_size(tmp_path: Path) -> None:
    body = b'{"text": "' + b"x" * 100_000 + b'"}\n{"text": "b"}\n'
    first, second = read_documents(write(tmp_path, body), lang="de", max_line_bytes=50_000)
    assert isinstance(first, Rejected)
    assert (first.code, first.size, len(first.raw)) == ("E_LINE_TOO_LONG", 100_013, 4096)
    assert isinstance(second, Document)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("wb") as file:
        file.writelines(b'{"text": "Satz Nummer %d %s"}\n' % (number, b"x" * 1000) for number in range(10_000))
        file.write(b"y" * 20_000_000 + b"\n")
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_documents(path, lang="de", max_line_bytes=2**20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 10_001
    assert peak < 4_000_000
