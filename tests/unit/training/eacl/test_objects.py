"""JSON objects found in files of any shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from eat_worker.errors import CorpusError
from eat_worker.training.eacl import objects
from eat_worker.training.eacl.objects import objects_in
from eat_worker.training.eacl.pairs import EaclPair, Refused, import_pairs


def found(tmp_path: Path, content: bytes) -> list[tuple[int, bytes]]:
    file = tmp_path / "corpus_ko.json"
    file.write_bytes(content)
    return [tuple(one) for one in objects_in(file)]


@pytest.mark.parametrize(
    "content",
    [
        b'[{"a": "}{"},{"b": {"c": "\\""}}]',
        b'\xef\xbb\xbf[{"a": "}{"}, {"b": {"c": "\\""}},]',
        b'{"a": "}{"} {"b": {"c": "\\""}}',
    ],
)
def test_objects_of_one_line(tmp_path: Path, content: bytes) -> None:
    assert found(tmp_path, content) == [(1, b'{"a": "}{"}'), (1, b'{"b": {"c": "\\""}}')]


def test_objects_of_lines_and_of_pretty_print(tmp_path: Path) -> None:
    assert found(tmp_path, b'{"a": 1}\r\n\r\n{"b": 2}\n[\n  {\n    "c": 3\n  }\n]\n') == [
        (1, b'{"a": 1}'),
        (3, b'{"b": 2}'),
        (5, b'{\n    "c": 3\n  }'),
    ]


def test_a_broken_line_does_not_take_the_next_one_with_it(tmp_path: Path) -> None:
    assert found(tmp_path, b'{"a": "no end}\n{"b": 2}\n{"c": {"d": 4}\n{"e": 5}') == [
        (1, b'{"a": "no end}'),
        (2, b'{"b": 2}'),
        (3, b'{"c": {"d": 4}'),
        (4, b'{"e": 5}'),
    ]


def test_what_stands_between_objects_is_told(tmp_path: Path) -> None:
    assert found(tmp_path, b'hello\n{"a": 1} x {"b": 2}\n"bye"') == [
        (1, b"hello"),
        (2, b'{"a": 1}'),
        (2, b"x"),
        (2, b'{"b": 2}'),
        (3, b'"bye"'),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_chunks_may_end_anywhere(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_CHUNK", size)
    content = '[{"a": "서울\\\\"},\n{"b": "\\"}"}]\n{"c": "x}\n{"d": {}}'.encode()
    assert [raw.decode() for _, raw in found(tmp_path, content)] == [
        '{"a": "서울\\\\"}',
        '{"b": "\\"}"}',
        '{"c": "x}',
        '{"d": {}}',
    ]


def test_an_object_without_end_is_cut_and_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "LONGEST", 100)
    monkeypatch.setattr(objects, "_CHUNK", 50)
    pieces = found(tmp_path, b'{"a": "' + b"x" * 1000 + b'\n{"b": 2}')
    assert pieces[-1][1] == b'{"b": 2}'
    assert max(len(raw) for _, raw in pieces) <= 200


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"\x1f\x8b\x08", "gzip -dc")])
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        found(tmp_path, content)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot be read"):
        list(objects_in(tmp_path / "nothing.json"))


def test_import_keeps_pairs_and_refuses_the_rest_with_place_and_reason(tmp_path: Path) -> None:
    file = tmp_path / "corpus_ko.json"
    file.write_text('[{"eng_entity": "Seoul", "tgt_entity": "서울", "text": "서울은 수도."},\n{"text": 3}]', "utf-8")
    pair, refused = import_pairs(file)
    assert pair == EaclPair("ko", "Seoul", "서울", "서울은 수도.", "서울")
    assert isinstance(refused, Refused)
    assert refused.reason == "no_english"
    assert refused.message.endswith("corpus_ko.json:2: english or eng_entity is missing or blank")
    assert refused.record == '{"text": 3}'
