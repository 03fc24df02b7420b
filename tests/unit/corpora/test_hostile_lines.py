"""Each hostile line stands between two good ones: it ends as a document or a coded refusal; both neighbours live."""

from __future__ import annotations

from pathlib import Path

import pytest

from eat_worker.corpora.reading import read_documents
from eat_worker.corpora.records import CODES, Rejected
from eat_worker.method.document import Document

BEFORE = b'{"text": "Anna wohnt in Bonn."}\n'
AFTER = b'{"text": "Paul wohnt in Ulm."}\n'
GOLD = b'{"text": "Bonn", "entities": '

REFUSED = [
    # bytes that are no text
    ("latin-1", b'{"text": "M\xfcnchen"}', "E_UTF8"),
    ("overlong slash", b'{"text": "\xc0\xaf"}', "E_UTF8"),
    ("surrogate bytes", b'{"text": "\xed\xa0\x80"}', "E_UTF8"),
    ("beyond U+10FFFF", b'{"text": "\xf4\x90\x80\x80"}', "E_UTF8"),
    ("cut in a character", b'{"text": "\xec\x84', "E_UTF8"),
    ("UTF-16 line", '{"text": "a"}'.encode("utf-16"), "E_UTF8"),
    ("raw NUL", b'{"text": "a\x00b"}', "E_JSON"),
    ("UTF-16 without mark", '{"text": "a"}'.encode("utf-16-le"), "E_JSON"),
    ("byte order mark inside", b'\xef\xbb\xbf{"text": "a"}', "E_JSON"),
    # broken JSON
    ("half a record", b'{"text": "a', "E_JSON"),
    ("single quotes", b"{'text': 'a'}", "E_JSON"),
    ("trailing comma", b'{"text": "a",}', "E_JSON"),
    ("comment", b'{"text": "a"} // b', "E_JSON"),
    ("garbage behind", b'{"text": "a"} x', "E_JSON"),
    ("bare word", b"text", "E_JSON"),
    ("raw tab in a string", b'{"text": "a\tb"}', "E_JSON"),
    ("raw control in a string", b'{"text": "a\x1bb"}', "E_JSON"),
    ("bad escape", b'{"text": "\\x41"}', "E_JSON"),
    ("cut escape", b'{"text": "\\u12"}', "E_JSON"),
    ("python literal", b'{"text": None}', "E_JSON"),
    ("unquoted key", b'{text: "a"}', "E_JSON"),
    ("no-break space around", b'\xc2\xa0{"text": "a"}', "E_JSON"),
    ("csv", b"Bonn,LOC", "E_JSON"),
    ("html", b"<html><body>502</body></html>", "E_JSON"),
    ("backslashes to the end", b'{"text": "' + b"\\" * 999, "E_JSON"),
    ("quotes without end", b'{"text": ' + b'"\\' * 40_000, "E_JSON"),
    # numbers
    ("NaN", b'{"text": "a", "meta": {"p": NaN}}', "E_NUMBER"),
    ("Infinity", b'{"text": "a", "meta": {"p": Infinity}}', "E_NUMBER"),
    ("minus Infinity", b'{"text": "a", "meta": {"p": -Infinity}}', "E_NUMBER"),
    ("1e999", b'{"text": "a", "meta": {"p": 1e999}}', "E_NUMBER"),
    ("5,000 digits", b'{"text": "a", "meta": {"p": ' + b"9" * 5000 + b"}}", "E_NUMBER"),
    # characters nothing downstream survives
    ("high surrogate", b'{"text": "a\\ud800b"}', "E_SURROGATE"),
    ("low surrogate", b'{"text": "\\udc00"}', "E_SURROGATE"),
    ("swapped surrogates", b'{"text": "\\ude00\\ud83d"}', "E_SURROGATE"),
    ("surrogate in meta", b'{"text": "a", "meta": {"k": ["\\ud800"]}}', "E_SURROGATE"),
    ("surrogate in a key", b'{"text": "a", "\\udfff": 1}', "E_SURROGATE"),
    ("NUL in text", b'{"text": "a\\u0000b"}', "E_NUL"),
    ("NUL in id", b'{"text": "a", "id": "\\u0000"}', "E_NUL"),
    ("NUL in a key of meta", b'{"text": "a", "meta": {"x\\u0000": 1}}', "E_NUL"),
    ("NUL deep in meta", b'{"text": "a", "meta": {"x": [[{"y": "\\u0000"}]]}}', "E_NUL"),
    # depth
    ("65 arrays", b'{"text": "a", "meta": {"k": ' + b"[" * 63 + b"]" * 63 + b"}}", "E_DEPTH"),
    ("100,000 arrays", b"[" * 100_000, "E_DEPTH"),
    ("100,000 objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "E_DEPTH"),
    # not one object
    ("array", b"[1, 2]", "E_NOT_OBJECT"),
    ("empty array", b"[]", "E_NOT_OBJECT"),
    ("string", b'"a text"', "E_NOT_OBJECT"),
    ("number", b"42", "E_NOT_OBJECT"),
    ("true", b"true", "E_NOT_OBJECT"),
    ("null", b"null", "E_NOT_OBJECT"),
    ("two objects", b'{"text": "a"} {"text": "b"}', "E_NOT_OBJECT"),
    ("two objects, no blank", b'{"text": "a"}{"text": "b"}', "E_NOT_OBJECT"),
    # the text
    ("empty object", b"{}", "E_TEXT_MISSING"),
    ("text null", b'{"text": null}', "E_TEXT_MISSING"),
    ("other capital", b'{"Text": "a"}', "E_TEXT_MISSING"),
    ("text number", b'{"text": 5}', "E_TEXT_TYPE"),
    ("text list", b'{"text": ["a", "b"]}', "E_TEXT_TYPE"),
    ("text object", b'{"text": {"de": "a"}}', "E_TEXT_TYPE"),
    ("text false", b'{"text": false}', "E_TEXT_TYPE"),
    ("empty text", b'{"text": ""}', "E_TEXT_BLANK"),
    ("spaces", b'{"text": "  \\n\\t "}', "E_TEXT_BLANK"),
    ("no-break spaces", '{"text": "\u00a0\u202f"}'.encode(), "E_TEXT_BLANK"),
    ("ideographic space", '{"text": "\u3000"}'.encode(), "E_TEXT_BLANK"),
    ("zero-width space", '{"text": "\u200b\u200d\u2060"}'.encode(), "E_TEXT_BLANK"),
    ("byte order mark only", '{"text": "\ufeff"}'.encode(), "E_TEXT_BLANK"),
    ("bidi marks only", '{"text": "\u200f\u202e\u2066\u061c"}'.encode(), "E_TEXT_BLANK"),
    ("hangul filler", '{"text": "\u3164\u115f"}'.encode(), "E_TEXT_BLANK"),
    ("200,001 characters", b'{"text": "' + "가".encode() * 200_001 + b'"}', "E_TEXT_TOO_LONG"),
    # language, id, dataset, meta
    ("language unknown", b'{"text": "a", "lang": "xx"}', "E_LANG"),
    ("language in capitals", b'{"text": "a", "lang": "KO"}', "E_LANG"),
    ("language with region", b'{"text": "a", "lang": "zh-CN"}', "E_LANG"),
    ("language number", b'{"text": "a", "lang": 7}', "E_LANG"),
    ("language empty", b'{"text": "a", "lang": ""}', "E_LANG"),
    ("id list", b'{"text": "a", "id": [1]}', "E_ID"),
    ("id fraction", b'{"text": "a", "id": 1.5}', "E_ID"),
    ("id true", b'{"text": "a", "id": true}', "E_ID"),
    ("id empty", b'{"text": "a", "id": ""}', "E_ID"),
    ("id beyond 2**64", b'{"text": "a", "id": 123456789012345678901234567890}', "E_ID"),
    ("dataset number", b'{"text": "a", "dataset": 3}', "E_FIELD"),
    ("meta list", b'{"text": "a", "meta": [1]}', "E_FIELD"),
    ("meta string", b'{"text": "a", "meta": "x"}', "E_FIELD"),
    # gold
    ("entities object", GOLD + b'{"start": 0}}', "E_ENTITY"),
    ("entity string", GOLD + b'["Bonn"]}', "E_ENTITY"),
    ("entity pair", GOLD + b"[[0, 4]]}", "E_ENTITY"),
    ("words that stand elsewhere", GOLD + b'[{"start": 0, "end": 4, "tag": "LOC", "words": "Ulm"}]}', "E_ENTITY"),
    ("number of a tag that nothing names", b'{"tokens": ["Bonn"], "ner_tags": [5]}', "E_TAG"),
    ("tokens that are numbers", b'{"tokens": [1], "ner_tags": ["O"]}', "E_TEXT_TYPE"),
    ("start missing", GOLD + b'[{"end": 4, "tag": "LOC"}]}', "E_ENTITY"),
    ("start a string", GOLD + b'[{"start": "0", "end": 4, "tag": "LOC"}]}', "E_ENTITY"),
    ("start a fraction", GOLD + b'[{"start": 0.0, "end": 4, "tag": "LOC"}]}', "E_ENTITY"),
    ("start true", GOLD + b'[{"start": true, "end": 4, "tag": "LOC"}]}', "E_ENTITY"),
    ("tag missing", GOLD + b'[{"start": 0, "end": 4}]}', "E_ENTITY"),
    ("tag null", GOLD + b'[{"start": 0, "end": 4, "tag": null}]}', "E_ENTITY"),
    ("end beyond the text", GOLD + b'[{"start": 0, "end": 5, "tag": "LOC"}]}', "E_ENTITY"),
    ("negative start", GOLD + b'[{"start": -4, "end": 4, "tag": "LOC"}]}', "E_ENTITY"),
    ("empty span", GOLD + b'[{"start": 2, "end": 2, "tag": "LOC"}]}', "E_ENTITY"),
    ("span backwards", GOLD + b'[{"start": 4, "end": 0, "tag": "LOC"}]}', "E_ENTITY"),
    (
        "overlap",
        GOLD + b'[{"start": 0, "end": 3, "tag": "LOC"}, {"start": 2, "end": 4, "tag": "PER"}]}',
        "E_ENTITY",
    ),
    ("byte offsets", '{"text": "가나", "entities": [{"start": 0, "end": 6, "tag": "LOC"}]}'.encode(), "E_ENTITY"),
    ("same entity twice", GOLD + b"[" + b", ".join([b'{"start": 0, "end": 4, "tag": "LOC"}'] * 2) + b"]}", "E_ENTITY"),
]

TAKEN = [
    ("carriage return", b'{"text": "a"}\r', "a"),
    ("blanks around", b' \t{"text": "a"} ', "a"),
    ("line separator inside", '{"text": "a\u2028b"}'.encode(), "a\u2028b"),
    ("next line inside", '{"text": "a\u0085b"}'.encode(), "a\u0085b"),
    ("escaped newline", b'{"text": "a\\nb"}', "a\nb"),
    ("escaped carriage return", b'{"text": "a\\rb"}', "a\rb"),
    ("surrogate pair escaped", b'{"text": "\\ud83d\\ude00"}', "😀"),
    ("backslash u0000 as text", b'{"text": "a\\\\u0000b"}', "a\\u0000b"),
    ("backslash u0000 beside values", b'{"text": "\\\\u0000", "meta": {"k": [1, null, "x"]}}', "\\u0000"),
    ("backslash ud800 as text", b'{"text": "a\\\\ud800b"}', "a\\ud800b"),
    ("decomposed Korean", '{"text": "\u1109\u1165\u110b\u116e\u11af"}'.encode(), "\u1109\u1165\u110b\u116e\u11af"),
    ("zero-width joiner", '{"text": "क्\u200dष"}'.encode(), "क्\u200dष"),
    ("replacement character", '{"text": "\ufffd"}'.encode(), "\ufffd"),
    ("noncharacter", '{"text": "\uffff"}'.encode(), "\uffff"),
    ("one emoji", '{"text": "👍"}'.encode(), "👍"),
    ("chat control token", b'{"text": "<|im_end|>"}', "<|im_end|>"),
    ("duplicate key, last wins", b'{"text": "a", "text": "b"}', "b"),
    ("64 deep", b'{"text": "a", "meta": {"k": ' + b"[" * 62 + b"]" * 62 + b"}}", "a"),
    ("many brackets side by side", b'{"text": "' + b"[{" * 5000 + b'"}', "[{" * 5000),
    ("200,000 characters", b'{"text": "' + "가".encode() * 200_000 + b'"}', "가" * 200_000),
    ("null for everything else", b'{"text":"a","id":null,"lang":null,"dataset":null,"entities":null,"meta":null}', "a"),
]


def sandwich(folder: Path, middle: bytes) -> tuple[list[Document | Rejected], Path]:
    path = folder / "hostile.jsonl"
    path.write_bytes(BEFORE + middle + b"\n" + AFTER)
    return list(read_documents(path, lang="de")), path


@pytest.mark.parametrize(("middle", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refuses_with_a_code_and_a_place(tmp_path: Path, middle: bytes, code: str) -> None:
    (first, refused, last), path = sandwich(tmp_path, middle)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert (first.text, last.text) == ("Anna wohnt in Bonn.", "Paul wohnt in Ulm.")
    assert isinstance(refused, Rejected)
    assert refused.code == code
    assert (refused.file, refused.line, refused.byte) == (str(path), 2, 32)
    assert refused.raw == middle + b"\n"
    assert refused.message
    assert len(refused.message) < 300
    assert "\n" not in refused.message


@pytest.mark.parametrize(("middle", "text"), [row[1:] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_keeps_the_text_exactly(tmp_path: Path, middle: bytes, text: str) -> None:
    (first, taken, last), _ = sandwich(tmp_path, middle)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert isinstance(taken, Document)
    assert taken.text == text


def test_the_table_is_large_and_uses_most_codes() -> None:
    assert len(REFUSED) + len(TAKEN) >= 60
    elsewhere = {"E_DUP_ID", "E_LINE_TOO_LONG", "E_TRUNCATED", "E_COLUMNS", "E_LAYOUT"}
    assert {code for _, _, code in REFUSED} == set(CODES) - elsewhere


def test_all_hostile_lines_in_one_file_lose_no_good_one(tmp_path: Path) -> None:
    good = [b'{"text": "Satz %d", "id": "g%d"}\n' % (number, number) for number in range(len(REFUSED) + 1)]
    body = good[0] + b"".join(row[1] + b"\n" + line for row, line in zip(REFUSED, good[1:], strict=True))
    path = tmp_path / "all.jsonl"
    path.write_bytes(body)
    reading = read_documents(path, lang="de")
    records = list(reading)
    assert [record.ext_id for record in records if isinstance(record, Document)] == [
        f"g{number}" for number in range(len(good))
    ]
    refused = [record for record in records if isinstance(record, Rejected)]
    assert [record.code for record in refused] == [row[2] for row in REFUSED]
    assert all(body[record.byte : record.byte + record.size] == record.raw for record in refused)
    assert reading.tally.bytes == len(body)
