"""Every export format: same texts, same spans, same tags as went in, or a counted reason."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from eat_worker.corpora.exports import ExportFormat, Written, export, export_format
from eat_worker.corpora.reading import read_documents
from eat_worker.errors import ConfigurationError, EatError
from eat_worker.method.document import Document

Found = list[tuple[str, list[tuple[int, int, str]]]]
Load = Callable[[Path], Found]


def record(text: str, lang: str, *entities: tuple[int, int, str], id_: str | None = "d1") -> dict[str, Any]:
    """A record as `eat export` makes it."""
    found = [
        {
            **{"start": start, "end": end, "tag": tag, "words": text[start:end]},
            **{"english": "Name", "via": "copy", "confidence": 0.25},
        }
        for start, end, tag in entities
    ]
    return {
        **{"id": id_, "text": text, "lang": lang, "dataset": None, "entities": found, "english": "Name."},
        **{"back_translation": None, "skipped": None, "meta": {"a": [1]}, "run": "r 1", "fingerprint": "f" * 64},
        "ledger": [{**entity, "outcome": "exact", "answer": "x"} for entity in found],
    }


RECORDS = [
    record("😀𠮷野家 は東京", "ja", (1, 4, "ORG"), (6, 8, "LOC"), id_="emoji"),
    record("서울에서 김철수", "ko", (0, 2, "LOC"), (5, 8, "PER"), id_="particle"),
    record("दिल्ली में राम", "hi", (0, 6, "LOC"), id_="marks"),
    record("Nichts hier.", "de", id_="none"),
    record("Berlin, Bonn", "de", (0, 6, "LOC"), (8, 12, "LOC"), id_=None),
]
BROKEN = record("  New\nYork\tist  schön ", "de", (2, 10, "LOC"), id_="blanks")
CUT = record("Die Moskauer Zeitung", "de", (4, 10, "LOC"), id_="cut")


def spans(rows: list[dict[str, Any]]) -> Found:
    return [(row["text"], [(one["start"], one["end"], one["tag"]) for one in row["entities"]]) for row in rows]


def of_tags(text: str, tokens: list[str], tags: list[str]) -> list[tuple[int, int, str]]:
    """Spans of IOB2 tags, in code points of the text the tokens come from."""
    found: list[tuple[int, int, str]] = []
    at = 0
    for token, tag in zip(tokens, tags, strict=True):
        at = text.index(token, at)
        if tag.startswith("B-"):
            found.append((at, at + len(token), tag[2:]))
        elif tag.startswith("I-"):
            assert found[-1][2] == tag[2:]
            found[-1] = (found[-1][0], at + len(token), tag[2:])
        at += len(token)
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def load_bio(path: Path) -> Found:
    found: Found = []
    with read_documents(path, lang="de", dataset=None, format="bio") as read:
        for document in read:
            assert isinstance(document, Document)
            found.append((document.text, [(one.start, one.end, one.tag) for one in document.gold or ()]))
    return found


def load_conll(path: Path) -> Found:
    found: Found = []
    sentences = path.read_text(encoding="utf-8").split("-DOCSTART- -X- -X- O\n\n")[1:]
    for sentence, one in zip(sentences, RECORDS, strict=True):
        columns = [line.split(" ") for line in sentence.rstrip("\n").split("\n")]
        assert all(len(fields) == 4 and fields[1:3] == ["_", "_"] for fields in columns)
        found.append((one["text"], of_tags(one["text"], [c[0] for c in columns], [c[3] for c in columns])))
    return found


def load_spacy(path: Path) -> Found:
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    files = sorted(path.iterdir())
    documents = [one for file in files for one in DocBin().from_disk(file).get_docs(Vocab())]
    return [(one.text, [(e.start_char, e.end_char, e.label_) for e in one.ents]) for one in documents]


def load_label_studio(path: Path) -> Found:
    found: Found = []
    for task in json.loads(path.read_bytes()):
        text = task["data"]["text"]
        (prediction,) = task["predictions"]
        regions = []
        for region in prediction["result"]:
            assert (region["from_name"], region["to_name"], region["type"]) == ("label", "text", "labels")
            value = region["value"]
            assert text[value["start"] : value["end"]] == value["text"]
            regions.append((value["start"], value["end"], *value["labels"]))
        found.append((text, regions))
    return found


def load_doccano(path: Path) -> Found:
    return [(row["text"], [tuple(label) for label in row["label"]]) for row in lines(path)]


def load_brat(path: Path) -> Found:
    assert (path / "annotation.conf").read_text(encoding="utf-8").startswith("[entities]\nPER\nLOC\nORG\n")
    found: Found = []
    for row in lines(path / "records.jsonl"):
        text = (path / f"{row['file']}.txt").read_bytes().decode()
        marks = []
        for line in (path / f"{row['file']}.ann").read_text(encoding="utf-8").splitlines():
            name, middle, words = line.split("\t")
            if name.startswith("T"):
                tag, start, end = middle.split(" ")
                assert text[int(start) : int(end)] == words
                marks.append((int(start), int(end), tag))
        found.append((text, marks))
    return found


def load_prodigy(path: Path) -> Found:
    found: Found = []
    for row in lines(path):
        for token in row["tokens"]:
            assert row["text"][token["start"] : token["end"]] == token["text"]
        for span in row["spans"]:
            assert row["tokens"][span["token_start"]]["start"] == span["start"]
            assert row["tokens"][span["token_end"]]["end"] == span["end"]
        found.append((row["text"], [(span["start"], span["end"], span["label"]) for span in row["spans"]]))
    return found


def load_parquet(path: Path) -> Found:
    rows = pyarrow.parquet.read_table(path).to_pylist()
    assert rows[0]["meta"] == '{"a":[1]}'
    assert [line["answer"] for row in rows for line in row["ledger"]][:2] == ["x", "x"]
    return spans(rows)


def load_hf(path: Path) -> Found:
    import datasets

    found = datasets.load_dataset(str(path), cache_dir=str(path.parent / "cache"), split="train")
    names = found.features["ner_tags"].feature.names
    assert names == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
    return [(row["text"], of_tags(row["text"], row["tokens"], [names[tag] for tag in row["ner_tags"]])) for row in found]


def load_w3c(path: Path) -> Found:
    page = json.loads(path.read_bytes())
    assert (page["@context"], page["type"]) == ("http://www.w3.org/ns/anno.jsonld", "AnnotationPage")
    found: dict[str, list[tuple[int, int, str]]] = {}
    for item in page["items"]:
        position, quote = item["target"]["selector"]
        text = next(one["text"] for one in RECORDS if item["target"]["source"] == f"urn:eat:r%201:{one['id'] or '%235'}")
        assert text[position["start"] : position["end"]] == quote["exact"]
        assert quote["prefix"] + quote["exact"] + quote["suffix"] in text
        found.setdefault(text, []).append((position["start"], position["end"], item["body"]["value"]))
    return [(one["text"], found.get(one["text"], [])) for one in RECORDS]


def load_csv(path: Path) -> Found:
    found: dict[str, list[tuple[int, int, str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            marks = found.setdefault(row["text"], [])
            if row["tag"]:
                marks.append((int(row["start"]), int(row["end"]), row["tag"]))
    return list(found.items())


LOADERS: dict[str, Load] = {
    "jsonl": lambda path: spans(lines(path)),
    **{"bio": load_bio, "conll": load_conll, "spacy": load_spacy, "label-studio": load_label_studio},
    **{"doccano": load_doccano, "brat": load_brat, "prodigy": load_prodigy, "parquet": load_parquet, "hf": load_hf},
    **{"w3c": load_w3c, "csv": load_csv},
}


def written_to(name: str, path: Path, *records: dict[str, Any], **how: Any) -> Written:
    written = Written(**how)
    export(export_format(name), iter(records), path, written)
    return written


def streamed(name: str, *records: dict[str, Any]) -> tuple[str, Written]:
    found, out, written = export_format(name), io.BytesIO(), Written()
    assert found.to_stream is not None
    found.to_stream(iter(records), out, written)
    return out.getvalue().decode(), written


@pytest.mark.parametrize("name", LOADERS)
def test_what_went_in_comes_out(name: str, tmp_path: Path) -> None:
    written = written_to(name, tmp_path / "out", *RECORDS)
    assert LOADERS[name](tmp_path / "out") == spans(RECORDS)
    lost = {"records without entities, which have no annotation": 1} if name == "w3c" else {}
    assert (written.records, written.snapped, written.escaped, written.dropped) == (5, 0, 0, lost)


@pytest.mark.parametrize("name", ["spacy", "prodigy", "hf", "label-studio", "doccano", "csv", "parquet", "jsonl"])
def test_blanks_of_every_kind_are_kept(name: str, tmp_path: Path) -> None:
    written = written_to(name, tmp_path / "out", {**BROKEN, "entities": []}, *RECORDS[:1])
    assert LOADERS[name](tmp_path / "out")[0] == (BROKEN["text"], [])
    assert written.dropped == {}


def test_spacy_places_an_entity_among_blanks(tmp_path: Path) -> None:
    written_to("spacy", tmp_path / "out", BROKEN)
    assert load_spacy(tmp_path / "out") == [(BROKEN["text"], [(2, 10, "LOC")])]


def test_a_text_that_needs_more_than_a_line_is_left_out_of_bio_and_counted() -> None:
    found, written = streamed("bio", BROKEN)
    assert found.startswith("# sent_id = blanks\n# segmenter = words\nNew\tB-LOC\nYork\tI-LOC\nist\tO\n")
    assert written.dropped == {"blanks and line ends of texts that do not fit into one line": 1}


def test_brat_takes_an_entity_over_two_lines_apart(tmp_path: Path) -> None:
    written_to("brat", tmp_path / "out", BROKEN)
    standoff = (tmp_path / "out" / "00000" / "00000000.ann").read_text(encoding="utf-8")
    assert standoff == "T1\tLOC 2 5;6 10\tNew York\n#1\tAnnotatorNotes T1\tName\n"


@pytest.mark.parametrize("name", ["bio", "conll", "spacy", "prodigy", "hf"])
def test_a_tag_cut_by_a_token_is_moved_and_counted_or_refused(name: str, tmp_path: Path) -> None:
    assert written_to(name, tmp_path / "snapped", CUT).snapped == 1
    if name != "conll":  # its loader knows the texts of RECORDS only
        assert LOADERS[name](tmp_path / "snapped") == [(CUT["text"], [(4, 12, "LOC")])]
    with pytest.raises(EatError, match=r"record 'cut': the LOC at \[4, 10\) ends inside a token; use --cut snap"):
        written_to(name, tmp_path / "refused", CUT, refuse_cuts=True)
    assert not list(tmp_path.glob("refused*"))


def test_characters_cut_nothing_but_latin_words(tmp_path: Path) -> None:
    moscow = record("В Москве", "ru", (2, 6, "LOC"))
    assert written_to("prodigy", tmp_path / "words", moscow).snapped == 1
    assert written_to("prodigy", tmp_path / "characters", moscow, tokens="characters").snapped == 0
    assert load_prodigy(tmp_path / "characters") == [("В Москве", [(2, 6, "LOC")])]


def test_two_entities_in_one_token_and_one_of_blanks_are_left_out_and_counted() -> None:
    both = record("Nordsüd a", "de", (0, 4, "LOC"), (4, 7, "ORG"), (7, 8, "PER"))
    found, written = streamed("conll", both)
    assert found == "-DOCSTART- -X- -X- O\n\nNordsüd _ _ B-LOC\na _ _ O\n\n"
    assert written.dropped == {"entities that share a token with another": 1, "entities that cover blanks only": 1}
    assert written.snapped == 1


def test_the_segmenter_is_named(tmp_path: Path) -> None:
    written = written_to("hf", tmp_path / "out", *RECORDS)
    assert written.segmenters == {"characters": 2, "words": 3}
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


@pytest.mark.parametrize("name", ["jsonl", "spacy", "label-studio", "doccano", "brat", "prodigy", "csv"])
def test_an_export_of_nothing_is_a_file_of_nothing(name: str, tmp_path: Path) -> None:
    assert written_to(name, tmp_path / "out").records == 0
    assert LOADERS[name](tmp_path / "out") == []


@pytest.mark.parametrize("name", ["spacy", "parquet", "hf"])
def test_a_missing_library_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow" if name != "spacy" else "spacy", None)
    with pytest.raises(ConfigurationError, match=r"this format needs \w+; run: pip install 'eat_worker\[exports\]'"):
        written_to(name, tmp_path / "out", *RECORDS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in LOADERS if name not in ("spacy", "hf", "brat", "parquet")])
def test_records_are_written_as_they_come(name: str) -> None:
    """One record is on its way when the next is asked for: no format keeps them."""
    found, out = export_format(name), io.BytesIO()

    def source() -> Iterator[dict[str, Any]]:
        for number in range(20):
            yield RECORDS[0]
            assert number == 0 or out.tell() >= number * 50

    assert isinstance(found, ExportFormat)
    assert found.to_stream is not None
    found.to_stream(source(), out, Written())
