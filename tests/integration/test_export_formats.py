"""Every export format: same texts, same spans, same tags as went in, or a counted reason."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet
import pytest

from eat_worker.cli import main
from eat_worker.corpora.exports import Written, export, export_format
from eat_worker.corpora.reading import read_documents
from eat_worker.errors import EatError
from eat_worker.method.document import Document

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.jsonl"

Found = list[tuple[str, list[tuple[int, int, str]]]]
Records = Sequence[dict[str, Any]]
Load = Callable[[Path, Records], Found]


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


def load_bio(path: Path, records: Records) -> Found:
    found: Found = []
    with read_documents(path, lang="de", dataset=None, format="bio") as read:
        for document in read:
            assert isinstance(document, Document)
            found.append((document.text, [(one.start, one.end, one.tag) for one in document.gold or ()]))
    return found


def load_conll(path: Path, records: Records) -> Found:
    found: Found = []
    sentences = path.read_text(encoding="utf-8").split("-DOCSTART- -X- -X- O\n\n")[1:]
    for sentence, one in zip(sentences, records, strict=True):
        columns = [line.split(" ") for line in sentence.rstrip("\n").split("\n")]
        assert all(len(fields) == 4 and fields[1:3] == ["_", "_"] for fields in columns)
        found.append((one["text"], of_tags(one["text"], [c[0] for c in columns], [c[3] for c in columns])))
    return found


def load_spacy(path: Path, records: Records) -> Found:
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    files = sorted(path.iterdir())
    documents = [one for file in files for one in DocBin().from_disk(file).get_docs(Vocab())]
    return [(one.text, [(e.start_char, e.end_char, e.label_) for e in one.ents]) for one in documents]


def load_label_studio(path: Path, records: Records) -> Found:
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


def load_doccano(path: Path, records: Records) -> Found:
    return [(row["text"], [tuple(label) for label in row["label"]]) for row in lines(path)]


def load_brat(path: Path, records: Records) -> Found:
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


def load_prodigy(path: Path, records: Records) -> Found:
    found: Found = []
    for row in lines(path):
        for token in row["tokens"]:
            assert row["text"][token["start"] : token["end"]] == token["text"]
        for span in row["spans"]:
            assert row["tokens"][span["token_start"]]["start"] == span["start"]
            assert row["tokens"][span["token_end"]]["end"] == span["end"]
        found.append((row["text"], [(span["start"], span["end"], span["label"]) for span in row["spans"]]))
    return found


def load_parquet(path: Path, records: Records) -> Found:
    rows = pyarrow.parquet.read_table(path).to_pylist()
    assert [json.loads(row["meta"]) for row in rows] == [one["meta"] for one in records]
    assert [row["ledger"] for row in rows] == [one["ledger"] for one in records]
    return spans(rows)


def load_hf(path: Path, records: Records) -> Found:
    import datasets

    found = datasets.load_dataset(str(path), cache_dir=str(path.parent / "cache"), split="train")
    names = found.features["ner_tags"].feature.names
    assert names == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
    return [
        (row["text"], of_tags(row["text"], row["tokens"], [names[tag] for tag in row["ner_tags"]])) for row in found
    ]


def load_w3c(path: Path, records: Records) -> Found:
    page = json.loads(path.read_bytes())
    assert (page["@context"], page["type"]) == ("http://www.w3.org/ns/anno.jsonld", "AnnotationPage")
    names = [quote(one["id"] or f"#{number}", safe="") for number, one in enumerate(records, 1)]
    texts = {f"urn:eat:{quote(one['run'])}:{name}": one["text"] for name, one in zip(names, records, strict=True)}
    found: dict[str, list[tuple[int, int, str]]] = {text: [] for text in texts.values()}
    for item in page["items"]:
        position, quoted = item["target"]["selector"]
        text = texts[item["target"]["source"]]
        assert text[position["start"] : position["end"]] == quoted["exact"]
        assert quoted["prefix"] + quoted["exact"] + quoted["suffix"] in text
        found[text].append((position["start"], position["end"], item["body"]["value"]))
    return list(found.items())


def load_csv(path: Path, records: Records) -> Found:
    found: dict[str, list[tuple[int, int, str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            marks = found.setdefault(row["text"], [])
            if row["tag"]:
                marks.append((int(row["start"]), int(row["end"]), row["tag"]))
    return list(found.items())


LOADERS: dict[str, Load] = {
    "jsonl": lambda path, _: spans(lines(path)),
    "bio": load_bio,
    "conll": load_conll,
    "spacy": load_spacy,
    "label-studio": load_label_studio,
    "doccano": load_doccano,
    "brat": load_brat,
    "prodigy": load_prodigy,
    "parquet": load_parquet,
    "hf": load_hf,
    "w3c": load_w3c,
    "csv": load_csv,
}


def written_to(name: str, path: Path, *records: dict[str, Any], **how: Any) -> Written:
    written = Written(**how)
    export(export_format(name), iter(records), path, written)
    return written


@pytest.mark.parametrize("name", LOADERS)
def test_what_went_in_comes_out(name: str, tmp_path: Path) -> None:
    written = written_to(name, tmp_path / "out", *RECORDS)
    assert LOADERS[name](tmp_path / "out", RECORDS) == spans(RECORDS)
    lost = {"records without entities, which have no annotation": 1} if name == "w3c" else {}
    assert (written.records, written.snapped, written.escaped, written.dropped) == (5, 0, 0, lost)


@pytest.mark.parametrize("name", ["spacy", "prodigy", "hf", "label-studio", "doccano", "csv", "parquet", "jsonl"])
def test_blanks_of_every_kind_are_kept(name: str, tmp_path: Path) -> None:
    given = [{**BROKEN, "entities": []}, RECORDS[0]]
    written = written_to(name, tmp_path / "out", *given)
    assert LOADERS[name](tmp_path / "out", given)[0] == (BROKEN["text"], [])
    assert written.dropped == {}


def test_spacy_places_an_entity_among_blanks(tmp_path: Path) -> None:
    written_to("spacy", tmp_path / "out", BROKEN)
    assert load_spacy(tmp_path / "out", []) == [(BROKEN["text"], [(2, 10, "LOC")])]


@pytest.mark.parametrize("name", ["bio", "conll", "spacy", "prodigy", "hf"])
def test_a_tag_cut_by_a_token_is_moved_and_counted_or_refused(name: str, tmp_path: Path) -> None:
    assert written_to(name, tmp_path / "snapped", CUT).snapped == 1
    assert LOADERS[name](tmp_path / "snapped", [CUT]) == [(CUT["text"], [(4, 12, "LOC")])]
    with pytest.raises(EatError, match=r"record 'cut': the LOC at \[4, 10\) ends inside a token; use --cut snap"):
        written_to(name, tmp_path / "refused", CUT, refuse_cuts=True)
    assert not list(tmp_path.glob("refused*"))


@pytest.mark.parametrize("name", ["jsonl", "spacy", "label-studio", "doccano", "brat", "prodigy", "csv"])
def test_an_export_of_nothing_is_a_file_of_nothing(name: str, tmp_path: Path) -> None:
    assert written_to(name, tmp_path / "out").records == 0
    assert LOADERS[name](tmp_path / "out", []) == []


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the run `quick`: the example corpus, its gold as what a scripted model found."""
    state = tmp_path_factory.mktemp("state")
    rows = [json.loads(line) for line in QUICKSTART.read_text(encoding="utf-8").splitlines()]
    answers = []
    for row in rows:
        words = [row["text"][one["start"] : one["end"]] for one in row["entities"]]
        names = [f"Name {chr(ord('A') + number)}x" for number in range(len(words))]
        entities = list(zip(names, [one["tag"] for one in row["entities"]], words, strict=True))
        answers.append({"text": row["text"], "english": f"{' and '.join(names)} met.", "entities": entities})
    script = state / "script.jsonl"
    script.write_text("".join(json.dumps(row) + "\n" for row in answers), encoding="utf-8")
    engine = ("--engine", "scripted", "--script", str(script))
    assert main(["run", str(QUICKSTART), "--run", "quick", "--state", str(state), *engine]) == 0
    return state


@pytest.mark.parametrize("name", LOADERS)
def test_a_real_run_goes_through_every_format(name: str, annotated: Path, tmp_path: Path) -> None:
    state = ("--state", str(annotated))
    assert main(["export", "quick", "-o", str(tmp_path / "plain"), *state]) == 0
    records = lines(tmp_path / "plain")
    assert (len(records), sum(len(one["entities"]) for one in records)) == (24, 61)
    assert main(["export", "quick", "--to", name, "-o", str(tmp_path / "out"), "--cut", "refuse", *state]) == 0
    assert LOADERS[name](tmp_path / "out", records) == spans(records)
