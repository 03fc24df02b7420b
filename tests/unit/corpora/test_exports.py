"""What export formats do to their records: how they are cut into tokens, and what is moved, escaped or left out."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eat_worker.corpora.exports import ExportFormat, Written, export, export_format
from eat_worker.errors import ConfigurationError


def record(text: str, lang: str, *entities: tuple[int, int, str], id_: str | None = "d1") -> dict[str, Any]:
    """A record as `eat export` makes it."""
    found = [
        {
            "start": start,
            "end": end,
            "tag": tag,
            "words": text[start:end],
            "english": "Name",
            "via": "copy",
            "confidence": 0.25,
        }
        for start, end, tag in entities
    ]
    return {
        "id": id_,
        "text": text,
        "lang": lang,
        "dataset": None,
        "entities": found,
        "english": "Name.",
        "back_translation": None,
        "skipped": None,
        "meta": {"a": [1]},
        "run": "r 1",
        "fingerprint": "f" * 64,
        "ledger": [{**entity, "outcome": "exact", "answer": "x"} for entity in found],
    }


SEOUL = record("서울에서 김철수", "ko", (0, 2, "LOC"), (5, 8, "PER"))
BONN = record("Berlin, Bonn", "de", (0, 6, "LOC"), (8, 12, "LOC"), id_=None)
BROKEN = record("  New\nYork\tist  schön ", "de", (2, 10, "LOC"), id_="blanks")


def written_to(name: str, path: Path, *records: dict[str, Any], **how: Any) -> Written:
    written = Written(**how)
    export(export_format(name), iter(records), path, written)
    return written


def streamed(name: str, *records: dict[str, Any]) -> tuple[str, Written]:
    found, out, written = export_format(name), io.BytesIO(), Written()
    assert found.to_stream is not None
    found.to_stream(iter(records), out, written)
    return out.getvalue().decode(), written


def test_a_text_that_needs_more_than_a_line_is_left_out_of_bio_and_counted() -> None:
    found, written = streamed("bio", BROKEN)
    assert found.startswith("# sent_id = blanks\n# segmenter = words\nNew\tB-LOC\nYork\tI-LOC\nist\tO\n")
    assert written.dropped == {"blanks and line ends of texts that do not fit into one line": 1}


def test_brat_takes_an_entity_over_two_lines_apart(tmp_path: Path) -> None:
    written_to("brat", tmp_path / "out", BROKEN)
    standoff = (tmp_path / "out" / "00000" / "00000000.ann").read_text(encoding="utf-8")
    assert standoff == "T1\tLOC 2 5;6 10\tNew York\n#1\tAnnotatorNotes T1\tName\n"


def test_characters_cut_nothing_but_latin_words(tmp_path: Path) -> None:
    moscow = record("В Москве", "ru", (2, 6, "LOC"))
    assert written_to("prodigy", tmp_path / "words", moscow).snapped == 1
    assert written_to("prodigy", tmp_path / "characters", moscow, tokens="characters").snapped == 0
    (span,) = json.loads((tmp_path / "characters").read_text(encoding="utf-8"))["spans"]
    assert (span["start"], span["end"], span["label"]) == (2, 6, "LOC")


def test_two_entities_in_one_token_and_one_of_blanks_are_left_out_and_counted() -> None:
    both = record("Nordsüd a", "de", (0, 4, "LOC"), (4, 7, "ORG"), (7, 8, "PER"))
    found, written = streamed("conll", both)
    assert found == "-DOCSTART- -X- -X- O\n\nNordsüd _ _ B-LOC\na _ _ O\n\n"
    assert written.dropped == {"entities that share a token with another": 1, "entities that cover blanks only": 1}
    assert written.snapped == 1


def test_the_segmenter_is_named(tmp_path: Path) -> None:
    written = written_to("hf", tmp_path / "out", SEOUL, BONN)
    assert written.segmenters == {"characters": 1, "words": 1}
    assert "Tokens are characters or words" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_no_cell_begins_a_formula_and_the_text_can_be_had_back() -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1", "'x", "x=1", "'=1"]
    found, written = streamed("csv", *(record(text, "de", (0, 1, "PER"), id_="=id") for text in texts))
    rows = list(csv.DictReader(io.StringIO(found, newline="")))
    for row, text in zip(rows, texts, strict=True):
        assert row["text"] == (text if text == "x=1" else f"'{text}")
        assert row["text"].removeprefix("'") == text
        assert (row["id"], row["start"], row["confidence"]) == ("'=id", "0", "0.25")
    assert written.escaped == 9 + 9 + 10


@pytest.mark.parametrize("name", ["spacy", "parquet", "hf"])
def test_a_missing_library_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow" if name != "spacy" else "spacy", None)
    with pytest.raises(ConfigurationError, match=r"this format needs \w+; run: pip install 'eat_worker\[exports\]'"):
        written_to(name, tmp_path / "out", SEOUL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["jsonl", "bio", "conll", "label-studio", "doccano", "prodigy", "w3c", "csv"])
def test_records_are_written_as_they_come(name: str) -> None:
    """One record is on its way when the next is asked for: no format keeps them."""
    found, out = export_format(name), io.BytesIO()

    def source() -> Iterator[dict[str, Any]]:
        for number in range(20):
            yield SEOUL
            assert number == 0 or out.tell() >= number * 50

    assert isinstance(found, ExportFormat)
    assert found.to_stream is not None
    found.to_stream(source(), out, Written())
