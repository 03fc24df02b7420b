"""Pairs and the records they are kept in, ours and the released ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from eat_worker.errors import CorpusError
from eat_worker.training.eacl.pairs import EaclPair, PairError, lang_of, parse_pair, read_pairs

SEOUL = '{"lang": "ko", "english": "Seoul", "title": "서울", "text": "서울은 수도이다."}'


def test_our_record_is_read() -> None:
    assert parse_pair(SEOUL.encode()) == EaclPair("ko", "Seoul", "서울", "서울은 수도이다.", "서울")


def test_released_record_is_read_with_the_given_language() -> None:
    raw = '{"eng_entity": " Bonn", "tgt_entity": "Бонн ", "text": "Бонн (нем.", "url": 7}'
    assert parse_pair(raw.encode(), "ru") == EaclPair("ru", "Bonn", "Бонн", "Бонн (нем.", "Бонн")


def test_words_are_unknown_where_the_title_does_not_stand_in_the_text() -> None:
    raw = '{"eng_entity": "Germany", "tgt_entity": "Германия", "text": "Герма́ния — страна."}'
    assert parse_pair(raw.encode(), "ru").words is None


def test_a_pair_survives_its_own_record(tmp_path: Path) -> None:
    import orjson

    pair = EaclPair("ru", "Germany", "Германия", "Герма́ния — страна.", "Герма́ния")
    assert parse_pair(orjson.dumps(pair.to_json())) == pair


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("{", "not_json"),
        ('["a"]', "not_object"),
        ('{"title": "서울", "text": "서울"}', "no_english"),
        ('{"english": "Seoul", "title": null, "text": "서울"}', "no_title"),
        ('{"english": "Seoul", "title": "서울", "text": "  "}', "no_text"),
        ('{"english": "Seoul", "title": ["서울"], "text": "서울"}', "bad_type"),
        ('{"english": "Seoul", "title": "서\\u0000울", "text": "서울"}', "bad_type"),
        ('{"english": "Seoul", "title": "서울", "text": "서울", "words": "부산"}', "bad_words"),
        ('{"english": "Seoul", "title": "서울", "text": "서울", "lang": "kr"}', "no_lang"),
        ('{"english": "Seoul", "title": "서울", "text": "서울", "lang": 5}', "no_lang"),
    ],
)
def test_what_is_no_pair_has_a_reason(raw: str, reason: str) -> None:
    with pytest.raises(PairError) as caught:
        parse_pair(raw.encode(), "ko")
    assert caught.value.reason == reason


def test_a_record_without_any_language_is_refused() -> None:
    with pytest.raises(PairError, match="give --lang"):
        parse_pair(SEOUL.replace('"lang": "ko", ', "").encode())


@pytest.mark.parametrize(
    ("name", "lang"),
    [
        ("ko.jsonl", "ko"),
        ("a/corpus_ru.json", "ru"),
        ("ka.train.jsonl", "ka"),
        ("train.jsonl", None),
        ("xx.json", None),
    ],
)
def test_a_file_name_may_tell_the_language(name: str, lang: str | None) -> None:
    assert lang_of(name) == lang


def test_read_pairs_takes_the_language_from_record_then_option_then_name(tmp_path: Path) -> None:
    file = tmp_path / "ru.jsonl"
    bare = '{"english": "Bonn", "title": "Бонн", "text": "Бонн."}'
    file.write_text(f"{SEOUL}\n\n{bare}\n", encoding="utf-8")
    assert [pair.page for pair in read_pairs(file)] == ["ko:서울", "ru:Бонн"]
    assert [pair.page for pair in read_pairs(file, "uk")] == ["ko:서울", "uk:Бонн"]


def test_read_pairs_names_the_line_that_is_no_pair(tmp_path: Path) -> None:
    file = tmp_path / "ko.jsonl"
    file.write_text(f"{SEOUL}\n[]\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"ko\.jsonl:2: not a JSON object"):
        list(read_pairs(file))


def test_read_pairs_refuses_a_cut_file(tmp_path: Path) -> None:
    import gzip

    file = tmp_path / "ko.jsonl.gz"
    file.write_bytes(gzip.compress(f"{SEOUL}\n".encode() * 50)[:-12])
    with pytest.raises(CorpusError, match="ends inside it"):
        list(read_pairs(file))
