"""Every format: recognised by what is in the file, read with the right offsets, and told."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from eat_worker.cli.options import FORMATS, OFFSETS
from eat_worker.corpora.offsets import UNITS
from eat_worker.corpora.quarantine import Quarantine
from eat_worker.corpora.readers import READERS
from eat_worker.corpora.reading import Reading, read_documents
from eat_worker.corpora.records import Rejected
from eat_worker.errors import CorpusError
from eat_worker.method.document import Document

Shown = tuple[str, list[tuple[str, str]] | None]
ANNA: Shown = ("Anna wohnt in Bonn.", [("Anna", "PER"), ("Bonn", "LOC")])
SPACED: Shown = ("Anna wohnt in Bonn .", [("Anna", "PER"), ("Bonn", "LOC")])
TEXT = "Anna wohnt in Bonn."


def shown(record: Document | Rejected) -> Shown:
    assert isinstance(record, Document), record
    gold = record.gold
    return record.text, None if gold is None else [(record.text[one.start : one.end], one.tag) for one in gold]


def reading_of(folder: Path, body: str | bytes, name: str = "corpus.txt", **how: Any) -> Reading:
    path = folder / name
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return read_documents(path, **{"lang": "de", **how})


def test_the_command_line_offers_what_there_is() -> None:
    assert FORMATS == READERS
    assert OFFSETS == UNITS


CONLL = "-DOCSTART- -X- -X- O\n\nAnna NNP B-NP B-PER\nwohnt V O O\nin P O O\nBonn NNP B-NP B-LOC\n. . O O\n"
DOCCANO = {"text": TEXT, "label": [[0, 4, "PER"], [14, 18, "LOC"]]}
STUDIO = {
    "id": 7,
    "data": {"text": TEXT},
    "annotations": [
        {"was_cancelled": True, "result": []},
        {
            "result": [
                {"type": "labels", "value": {"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]}},
                {"type": "labels", "value": {"start": 14, "end": 18, "text": "Bonn", "labels": ["LOC"]}},
                {"type": "choices", "value": {"choices": ["good"]}},
            ]
        },
    ],
}
NATIVE = {"text": TEXT, "entities": [{"start": 0, "end": 4, "tag": "PER"}, {"start": 14, "end": 18, "tag": "LOC"}]}
TOKENS = ["Anna", "wohnt", "in", "Bonn", "."]

ONE = [
    ("conll named .txt", CONLL, "read as bio", SPACED),
    ("bio with a header row", "token\ttag\nAnna\tB-PER\nwohnt\tO\nin\tO\nBonn\tB-LOC\n.\tO\n", "header rows", SPACED),
    ("one array", json.dumps([NATIVE]), "read as json: it begins with an array", ANNA),
    ("pretty array", json.dumps([NATIVE], indent=2), "read as json", ANNA),
    ("pretty object", json.dumps(NATIVE, indent=4), "read as json: it begins with a JSON object", ANNA),
    ("no indent", json.dumps([NATIVE], indent=0), "read as json", ANNA),
    ("doccano", json.dumps(DOCCANO), "those of doccano", ANNA),
    ("doccano, labels", json.dumps({"text": TEXT, "labels": DOCCANO["label"]}), "those of doccano", ANNA),
    ("label studio", json.dumps([STUDIO]), "those of Label Studio", ANNA),
    ("prodigy", json.dumps({"text": TEXT, "tokens": [], "spans": [{"start": 0, "end": 4, "label": "PER"},
     {"start": 14, "end": 18, "label": "LOC"}]}), "Prodigy", ANNA),
    ("spacy triples", json.dumps({"text": TEXT, "entities": DOCCANO["label"]}), "", ANNA),
    ("datasets, names", json.dumps({"tokens": TOKENS, "ner_tags": ["B-PER", "O", "O", "B-LOC", "O"]}), "datasets",
     SPACED),
    ("datasets, numbers", json.dumps({"dataset": "conll2003", "tokens": TOKENS, "ner_tags": [1, 0, 0, 5, 0]}),
     "datasets", SPACED),
    ("tokens in their text", json.dumps({"text": TEXT, "tokens": TOKENS, "tags": ["B-PER", "O", "O", "B-LOC", "O"]}),
     "datasets", ANNA),
    ("csv", "id,text,lang\n1,Anna wohnt in Bonn.,de\n", "columns id, text, lang", (TEXT, None)),
    ("csv with semicolons", "Text;Language\nAnna wohnt in Bonn.;de\n", "columns text, language", (TEXT, None)),
    ("csv with quotes", 'text,n\n"Anna wohnt\nin ""Bonn"".",1\n', "read as csv", ('Anna wohnt\nin "Bonn".', None)),
    ("csv with gold", 'text,entities\nAnna wohnt in Bonn.,"[[0,4,""PER""],[14,18,""LOC""]]"\n', "read as csv", ANNA),
    ("tsv", 'sentence\tsource\nAnna sagte "ja\tx\n', "read as csv", ('Anna sagte "ja', None)),
    ("plain", "Anna wohnt in Bonn.\n", "read as text", (TEXT, None)),
    ("form feed", "\x0c" + json.dumps(NATIVE) + "\x0c\n", "control character", ANNA),
    ("json text sequence", "\x1e" + json.dumps(NATIVE) + "\n", "control character", ANNA),
]  # fmt: skip


@pytest.mark.parametrize(("body", "told", "expected"), [row[1:] for row in ONE], ids=[row[0] for row in ONE])
def test_reads_what_is_in_the_file(tmp_path: Path, body: str, told: str, expected: Shown) -> None:
    reading = reading_of(tmp_path, body)
    assert [shown(record) for record in reading] == [expected]
    assert any(told in note for note in reading.tally.notes) or not told
    assert reading.tally.bytes == len(body.encode())


def test_a_native_file_says_nothing(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, json.dumps(NATIVE))
    assert [shown(record) for record in reading] == [ANNA]
    assert not reading.tally.notes


@pytest.mark.parametrize("separator", ["", "\t", "   ", "\u00a0", "\u3000", "\u200b", "-DOCSTART-", "-DOCSTART-\tO"])
def test_two_sentences_stay_two(tmp_path: Path, separator: str) -> None:
    body = f"Anna\tI-PER\nin\tO\nUlm\tI-LOC\n{separator}\nBonn\tI-LOC\nist\tO\n"
    assert [shown(record) for record in reading_of(tmp_path, body)] == [
        ("Anna in Ulm", [("Anna", "PER"), ("Ulm", "LOC")]),
        ("Bonn ist", [("Bonn", "LOC")]),
    ]


def test_each_sentence_has_the_language_that_its_tokens_carry(tmp_path: Path) -> None:
    body = "ko:서울\tB-LOC\nko:은\tO\n\n" * 200 + "ja:東\tB-LOC\nja:京\tI-LOC\nja:だ\tO\n\nko:서울\tB-LOC\nfr:ist\tO\n"
    *_, japanese, mixed = reading_of(tmp_path, body, lang=None)
    assert isinstance(japanese, Document)
    assert (japanese.lang, *shown(japanese)) == ("ja", "東京だ", [("東京", "LOC")])
    assert isinstance(mixed, Rejected)
    assert (mixed.code, mixed.line) == ("E_LAYOUT", 605)


def test_a_broken_record_of_an_array_is_refused_alone(tmp_path: Path) -> None:
    body = '[\n  {"text": "a"},\n  {"text": b},\n  17,\n  {"text": "c"}\n]\n'
    first, bad, junk, last = reading_of(tmp_path, body)
    assert (shown(first), shown(last)) == (("a", None), ("c", None))
    assert isinstance(bad, Rejected)
    assert isinstance(junk, Rejected)
    assert (bad.code, bad.line, bad.raw) == ("E_JSON", 3, b'{"text": b}')
    assert (junk.code, junk.message) == ("E_NOT_OBJECT", "between two records stands b'17'")


def test_a_record_that_is_never_closed_costs_no_other(tmp_path: Path) -> None:
    good = '{\n  "text": "a%d",\n  "meta": {\n    "n": [1]\n  }\n}\n'
    body = good % 1 + '{\n  "text": "b",\n  "meta": {\n}\n' + good % 2 + good % 3
    records = list(reading_of(tmp_path, body))
    assert [record.text for record in records if isinstance(record, Document)] == ["a1", "a2", "a3"]
    (refused,) = [record for record in records if isinstance(record, Rejected)]
    assert (refused.code, refused.line) == ("E_JSON", 7)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("1,2,3,4", "E_COLUMNS"),
        ("only one", "E_COLUMNS"),
        ('"never closed,1', "E_COLUMNS"),
        (",1", "E_TEXT_BLANK"),
        ("a\x00b,1", "E_NUL"),
    ],
)
def test_a_bad_row_costs_no_other(tmp_path: Path, row: str, code: str) -> None:
    reading = reading_of(tmp_path, f'text,n\neins,1\n{row}\nzwei,2\n"drei\n3",3\n')
    first, bad, second, third = reading
    assert [shown(one)[0] for one in (first, second, third)] == ["eins", "zwei", "drei\n3"]
    assert isinstance(bad, Rejected)
    assert (bad.code, bad.line, bad.raw.decode()) == (code, 3, f"{row}\n")


def test_a_csv_without_names_says_so(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="its first row must name the columns, one of them text, sentence"):
        list(reading_of(tmp_path, "1,2\n", format="csv"))


def test_plain_text_must_be_given_its_language(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is plain text and does not say its language; give --lang CODE"):
        list(reading_of(tmp_path, "Anna.\n", lang=None))


def test_plain_text_refuses_lines_that_are_no_text(tmp_path: Path) -> None:
    first, bad, nul = reading_of(tmp_path, b"gut\n" + b"M\xfcnchen\na\x00b\n")
    assert shown(first) == ("gut", None)
    assert isinstance(bad, Rejected)
    assert isinstance(nul, Rejected)
    assert [bad.code, nul.code] == ["E_UTF8", "E_NUL"]


EMOJI = "👨🏻‍🚒 東京で働く"
UTF16: Mapping[str, Any] = {"start": 8, "end": 10, "tag": "LOC"}


def emoji(entity: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"text": EMOJI, "lang": "ja", "entities": [entity]})


def test_offsets_in_another_unit_are_read_when_asked(tmp_path: Path) -> None:
    in_bytes = {"start": 16, "end": 22, "tag": "LOC"}
    assert [shown(one) for one in reading_of(tmp_path, emoji(UTF16), offsets="utf16")] == [(EMOJI, [("東京", "LOC")])]
    assert [shown(one) for one in reading_of(tmp_path, emoji(in_bytes), offsets="bytes")] == [
        (EMOJI, [("東京", "LOC")])
    ]


def test_words_show_the_unit_of_the_offsets(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, emoji({**UTF16, "words": "東京"}))
    assert [shown(one) for one in reading] == [(EMOJI, [("東京", "LOC")])]
    assert (
        "records whose gold offsets count UTF-16 code units, as the words of the entities show" in reading.tally.notes
    )


def test_a_doubt_about_the_unit_is_told(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, emoji({"start": 5, "end": 7, "tag": "LOC"}))
    assert [shown(one) for one in reading] == [(EMOJI, [("東京", "LOC")])]
    assert any("--offsets utf16 if a browser counted them" in note for note in reading.tally.notes)


def test_a_span_past_the_end_names_the_unit_that_fits(tmp_path: Path) -> None:
    (bad,) = reading_of(tmp_path, emoji({"start": 11, "end": 13, "tag": "LOC"}))
    assert isinstance(bad, Rejected)
    assert bad.message == (
        "entity [11, 13) is not a span of a text of 10 code points (13 UTF-16 code units); "
        "in UTF-16 code units it would fit: --offsets utf16"
    )


def test_long_texts_are_cut_into_sentences_that_know_their_place(tmp_path: Path) -> None:
    text = "Dr. Anna 😀 wohnt in Bonn. Paul auch.\n\nEva kommt."
    entities = [[4, 8, "PER"], [20, 24, "LOC"], [26, 30, "PER"]]
    body = orjson.dumps({"id": "d", "text": text, "entities": entities, "meta": {"k": 1}})
    reading = reading_of(tmp_path, body, split=True)
    parts = [record for record in reading if isinstance(record, Document)]
    assert [part.text for part in parts] == ["Dr. Anna 😀 wohnt in Bonn.", "Paul auch.", "Eva kommt."]
    assert [part.ext_id for part in parts] == ["d#1", "d#2", "d#3"]
    assert [shown(part)[1] for part in parts] == [[("Anna", "PER"), ("Bonn", "LOC")], [("Paul", "PER")], []]
    for number, part in enumerate(parts, start=1):
        begin = part.meta["parent_start"]
        assert text[begin : begin + len(part.text)] == part.text
        assert part.meta == {"k": 1, "parent": "d", "parent_start": begin, "part": number, "parts": 3}


def test_no_cut_goes_through_a_name(tmp_path: Path) -> None:
    text = "Er liest Wer ist da? Ich! seit Montag. Sie nicht."
    body = orjson.dumps({"text": text, "entities": [[9, 25, "ORG"]]})
    first, second = (shown(one) for one in reading_of(tmp_path, body, split=True))
    assert first == ("Er liest Wer ist da? Ich! seit Montag.", [("Wer ist da? Ich!", "ORG")])
    assert second == ("Sie nicht.", [])


def test_a_repaired_quarantine_file_is_read_again(tmp_path: Path) -> None:
    body = b'{"text": "gut"}\n{"text": "kaputt", "lang": "kr"}\n{"text": 5}\n'
    with Quarantine(tmp_path / "q", "run") as quarantine:
        for record in reading_of(tmp_path, body):
            if isinstance(record, Rejected):
                quarantine.add(record)
    assert quarantine.path is not None
    rows = [orjson.loads(line) for line in quarantine.path.read_bytes().splitlines()]
    assert rows[0]["raw"] == '{"text": "kaputt", "lang": "kr"}\n'
    rows[0]["raw"] = '{"text": "heil", "lang": "ko"}'
    again = reading_of(tmp_path, b"".join(orjson.dumps(row) + b"\n" for row in rows), "again.jsonl")
    healed, still = again
    assert shown(healed) == ("heil", None)
    assert isinstance(still, Rejected)
    assert (still.code, still.line) == ("E_TEXT_TYPE", 2)
    assert base64.b64decode(orjson.loads(still.raw)["raw_base64"]) == b'{"text": 5}\n'


def test_brat_folders_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("😀 Anna wohnt in Bonn.\nPaul auch.\n")
    (tmp_path / "a.ann").write_text("T1\tPER 2 6\tAnna\nT2\tLOC 16 20\tBonn\nR1\tx Arg1:T1 Arg2:T2\n")
    (tmp_path / "b.txt").write_text("Eva.")
    reading = read_documents(tmp_path, lang="de")
    assert [shown(record) for record in reading] == [
        ("😀 Anna wohnt in Bonn.\nPaul auch.\n", [("Anna", "PER"), ("Bonn", "LOC")]),
        ("Eva.", None),
    ]


def test_a_folder_of_nothing_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is a folder; name a file in it"):
        read_documents(tmp_path)
