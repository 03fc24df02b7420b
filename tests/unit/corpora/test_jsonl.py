from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from eat_worker.corpora.reading import read_documents
from eat_worker.corpora.records import Rejected
from eat_worker.method.document import Document, GoldEntity


def write(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "corpus.jsonl"
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    return path


def only(path: Path, **options: Any) -> Document:
    (document,) = read_documents(path, **options)
    assert isinstance(document, Document)
    return document


def refused(path: Path, **options: Any) -> list[Rejected]:
    return [record for record in read_documents(path, **options) if isinstance(record, Rejected)]


def test_a_full_record_becomes_a_document(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "id": "a1",
            "lang": "ko",
            "dataset": "klue",
            "text": "😀 서울에 김",
            "entities": [{"start": 6, "end": 7, "tag": "PS"}, {"start": 2, "end": 4, "tag": "LC"}],
            "meta": {"page": 7},
            "url": "x",
        },
    )
    assert only(path) == Document(
        text="😀 서울에 김",
        lang="ko",
        ext_id="a1",
        dataset="klue",
        gold=(GoldEntity(2, 4, "LOC"), GoldEntity(6, 7, "PER")),
        meta={"url": "x", "page": 7},
    )


def test_a_bare_text_takes_language_and_dataset_from_the_call(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a"})
    assert only(path, lang="de", dataset="d") == Document("a", "de", None, "d", None, {})


def test_the_records_own_language_and_dataset_win(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a", "lang": "ru", "dataset": "x"})
    document = only(path, lang="de", dataset="d")
    assert (document.lang, document.dataset) == ("ru", "x")


def test_no_entities_and_no_gold_are_not_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a", "entities": []}, {"text": "b"})
    records = list(read_documents(path, lang="de"))
    assert [record.gold for record in records if isinstance(record, Document)] == [(), None]


def test_a_record_without_any_language_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (rejected,) = refused(write(tmp_path, {"text": "a"}))
    assert rejected.code == "E_LANG"
    assert rejected.message == "the record names no language; add lang to it, or give --lang"


def test_an_unknown_language_names_the_likely_one(tmp_path: Path) -> None:
    (rejected,) = refused(write(tmp_path, {"text": "a", "lang": "jp"}))
    assert rejected.message == "unknown language code 'jp'; did you mean ja (Japanese)?"


def test_an_integer_id_becomes_its_digits(tmp_path: Path) -> None:
    assert only(write(tmp_path, {"text": "a", "id": 18446744073709551615}), lang="de").ext_id == "18446744073709551615"


def test_meta_wins_over_a_stray_key_of_the_same_name(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a", "url": "outside", "meta": {"url": "inside"}})
    assert only(path, lang="de").meta == {"url": "inside"}


def test_tags_without_counterpart_are_left_out_and_counted(tmp_path: Path) -> None:
    entities = [{"start": 0, "end": 1, "tag": "PERSON"}, {"start": 1, "end": 2, "tag": "EVENT"}]
    with read_documents(write(tmp_path, {"text": "ab", "entities": entities}), lang="de") as reading:
        (document,) = reading
    assert isinstance(document, Document)
    assert document.gold == (GoldEntity(0, 1, "PER"),)
    assert reading.tally.dropped == {"EVENT": 1}


def test_a_given_tag_map_replaces_the_known_one(tmp_path: Path) -> None:
    entities = [{"start": 0, "end": 1, "tag": "PER"}, {"start": 1, "end": 2, "tag": "Stadt"}]
    path = write(tmp_path, {"text": "ab", "entities": entities})
    assert only(path, lang="de", tag_map={"Stadt": "LOC", "PER": None}).gold == (GoldEntity(1, 2, "LOC"),)


def test_an_overlap_with_an_entity_that_is_left_out_does_no_harm(tmp_path: Path) -> None:
    entities = [{"start": 0, "end": 2, "tag": "EVENT"}, {"start": 1, "end": 2, "tag": "LOC"}]
    assert only(write(tmp_path, {"text": "ab", "entities": entities}), lang="de").gold == (GoldEntity(1, 2, "LOC"),)


def test_the_same_id_with_another_text_is_refused_naming_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a", "id": "x"}, {"text": "b", "id": "y"}, {"text": "c", "id": "x"})
    (rejected,) = refused(path, lang="de")
    assert (rejected.code, rejected.line, rejected.byte) == ("E_DUP_ID", 3, 44)
    assert rejected.message == "id 'x' on line 3 already belongs to another record, on line 1"


def test_the_same_record_twice_is_no_fault(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a", "id": "x"}, {"text": "a", "id": "x"})
    assert refused(path, lang="de") == []


def test_an_integer_id_and_its_digits_are_the_same_id(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "a", "id": 7}, {"text": "b", "id": "7"})
    assert [rejected.code for rejected in refused(path, lang="de")] == ["E_DUP_ID"]


def test_a_bad_byte_is_placed_within_the_record(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "\xfc"}\n')
    (rejected,) = refused(path, lang="de")
    assert rejected.where == f"{path}:2:14"
    assert rejected.message == "not UTF-8: byte 10 of the record is 0xfc"


def test_blank_lines_are_counted_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\n \r\n{"text": "a"}\n\n\t\n')
    reading = read_documents(path, lang="de")
    assert len(list(reading)) == 1
    assert (reading.tally.documents, reading.tally.document_bytes, reading.tally.other_bytes) == (1, 14, 7)
