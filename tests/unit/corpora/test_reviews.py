"""Corrected annotations read back from what tools write, hostile records among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eat_worker.corpora import reviews
from eat_worker.corpora.reviews import Correction, Unusable, read_corrections
from eat_worker.errors import CorpusError
from eat_worker.method.document import GoldEntity

TEXT = "😀𠮷野家へ"


def task(start: int, end: int, *labels: str, text: str | None = "𠮷野家", **more: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": list(labels), **({} if text is None else {"text": text})}
    region = {"id": "x", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    return {"id": 9, "data": {"text": TEXT, "ext_id": "d1"}, "annotations": [{"result": [choice, region]}], **more}


def read(path: Path, content: object) -> list[Correction | Unusable]:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return list(read_corrections(path))


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [(1, 4, "𠮷野家"), (2, 6, "𠮷野家"), (1, 4, None)],
    ids=["code points", "UTF-16 of old versions", "without words"],
)
def test_label_studio_counts_as_its_own_words_show(tmp_path: Path, start: int, end: int, text: str | None) -> None:
    found = read(tmp_path / "tasks.json", [task(start, end, "ORG", text=text)])
    assert found == [Correction(1, "d1", TEXT, (GoldEntity(1, 4, "ORG"),))]


def test_doccano_has_its_own_ids(tmp_path: Path) -> None:
    rows = [{"id": 7, "text": TEXT, "label": [[1, 4, "ORG"]], "ext_id": "d1"}, {"id": 8, "text": TEXT, "label": []}]
    content = "\ufeff" + "\n".join(map(json.dumps, rows))
    assert read(tmp_path / "all.jsonl", content.encode()) == [
        Correction(1, "d1", TEXT, (GoldEntity(1, 4, "ORG"),)),
        Correction(2, None, TEXT, ()),
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (task(0, 2, "ORG"), "at [0, 2) are not the words of the region"),
        (task(1, 4, "ORG", "LOC"), "a region with several labels"),
        (task(1, 4, "MISC"), "tags that are none here: MISC"),
        (task(-4, -1, "ORG"), "entity [-4, -1) is not a span of a text of 5 code points (7 UTF-16 code units)"),
        (task(1, 4, "ORG") | {"annotations": []}, "nobody annotated it"),
        (task(1, 4, "ORG") | {"annotations": [{"result": [{"type": "labels"}]}]}, "a region is incomplete: 'value'"),
        ({"text": TEXT}, "neither entities, label nor annotations"),
        ({"text": TEXT, "label": [[1, 4]]}, "label must be a list of [start, end, tag]"),
        ({"text": TEXT, "entities": [{"start": 0, "end": 2, "tag": "LOC"}, {"start": 1, "end": 3, "tag": "LOC"}]},
         "entities overlap: [0, 2) and [1, 3)"),
        ({"text": TEXT, "entities": [], "id": 3}, "the id is no text"),
        ({"text": None, "entities": []}, "no text"),
        ("x", "not an object"),
    ],
)  # fmt: skip
def test_an_unusable_record_says_why(tmp_path: Path, record: object, reason: str) -> None:
    assert read(tmp_path / "tasks.json", [record]) == [Unusable(1, reason)]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CorpusError, match=r"bad.json is not JSON: "):
        read(tmp_path / "bad.json", b"[{")
    monkeypatch.setattr(reviews, "MAX_ARRAY_BYTES", 5)
    with pytest.raises(CorpusError, match=r"big.json is one JSON array of 10 bytes; split it"):
        read(tmp_path / "big.json", b"[1, 2, 3 ]")
