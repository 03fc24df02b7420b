"""Corrected annotations read back: from the JSON Lines of `eat export`, from Label Studio and from doccano.

What a record comes from is seen in its keys. Knows files and code points; knows no run and no database.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eat_worker.corpora.gold import parse_entities
from eat_worker.corpora.opening import open_lines
from eat_worker.corpora.records import RecordError, Tally
from eat_worker.corpora.tagmaps import tag_map
from eat_worker.errors import CorpusError
from eat_worker.method.document import GoldEntity

MAX_ARRAY_BYTES = 256 * 2**20  # a JSON array is read as a whole


@dataclass(frozen=True, slots=True)
class Correction:
    """One document's entities as a person left them; `number` counts the records of the file from 1."""

    number: int
    ext_id: str | None
    text: str
    entities: tuple[GoldEntity, ...]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A record that cannot be taken, and why."""

    number: int
    reason: str


def read_corrections(path: Path) -> Iterator[Correction | Unusable]:
    """The records of a file in order. Raises CorpusError when it cannot be read at all."""
    for number, record in enumerate(_records(path), 1):
        try:
            yield _correction(number, record)
        except RecordError as error:
            yield Unusable(number, str(error))


def _records(path: Path) -> Iterator[object]:
    """JSON values: the lines of the file, or the members of its array."""
    with open_lines(path) as lines:
        first = True
        for line in lines:
            if not line.raw.strip():
                continue
            if first and line.raw.lstrip().startswith(b"["):
                yield from _array(path)
                return
            first = False
            yield RecordError("E_LINE_TOO_LONG", "the line is too long") if line.dropped else _parsed(line.raw)


def _parsed(raw: bytes) -> object:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return RecordError("E_JSON", f"not JSON: {error}")


def _array(path: Path) -> list[object]:
    try:
        size = path.stat().st_size
        if size > MAX_ARRAY_BYTES:
            raise CorpusError(f"{path} is one JSON array of {size:,} bytes; split it, or export it as JSON Lines")
        members = orjson.loads(path.read_bytes().removeprefix(BOM_UTF8))
    except OSError as error:
        raise CorpusError(f"{path} cannot be read as one JSON array: {error.strerror}; name a file") from error
    except orjson.JSONDecodeError as error:
        raise CorpusError(f"{path} is not JSON: {error}") from error
    assert isinstance(members, list)
    return members


def _correction(number: int, record: object) -> Correction:
    """Raises RecordError on a record of no known kind, and on entities that are none."""
    if isinstance(record, RecordError):
        raise record
    if not isinstance(record, dict):
        raise RecordError("E_NOT_OBJECT", "not an object")
    data = record["data"] if isinstance(record.get("data"), dict) else record
    text = data.get("text")
    if not isinstance(text, str):
        raise RecordError("E_TEXT_TYPE", "no text")
    found, tally = _found(record, text), Tally()
    try:
        entities = parse_entities(found, text, tag_map(None), tally)
    except RecordError as error:  # the other unit is of no use here: this command has no option for it
        raise RecordError(error.code, str(error).partition("; in ")[0]) from None
    if tally.dropped:
        raise RecordError("E_TAG", f"tags that are none here: {', '.join(sorted(tally.dropped))}")
    # A record of `eat export` names its document `id`; in the tools that word is theirs.
    identifier = data.get("ext_id") if data is not record or "label" in record else data.get("id")
    if identifier is not None and not isinstance(identifier, str):
        raise RecordError("E_ID", "the id is no text")
    return Correction(number, identifier, text, entities)


def _found(record: Mapping[str, Any], text: str) -> object:
    """The entities as {start, end, tag}."""
    if "data" in record:
        return _of_label_studio(record, text)
    if "label" in record:
        return _of_doccano(record["label"])
    if "entities" in record:
        return record["entities"]
    raise RecordError("E_ENTITY", "neither entities, label nor annotations")


def _of_doccano(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, list) and len(item) == 3 for item in value):
        raise RecordError("E_ENTITY", "label must be a list of [start, end, tag]")
    return [dict(zip(("start", "end", "tag"), item, strict=True)) for item in value]


def _of_label_studio(record: Mapping[str, Any], text: str) -> list[dict[str, Any]]:
    """The regions of the last annotation that was not cancelled; predictions are the model's."""
    annotations = record.get("annotations")
    given = [one for one in annotations if isinstance(one, dict)] if isinstance(annotations, list) else []
    kept = [one for one in given if not one.get("was_cancelled")]
    if not kept:
        raise RecordError("E_ENTITY", "nobody annotated it")
    try:
        values = [region["value"] for region in kept[-1]["result"] if region["type"] == "labels"]
        return [_region(value, text) for value in values]
    except (KeyError, TypeError, IndexError) as error:
        raise RecordError("E_ENTITY", f"a region is incomplete: {error}") from error


def _region(value: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Code points; where the region's own words show that UTF-16 code units are meant, as old versions wrote, those."""
    start, end, words = value["start"], value["end"], value.get("text")
    if len(value["labels"]) != 1:
        raise RecordError("E_TAG", "a region with several labels")
    if type(start) is not int or type(end) is not int:
        raise RecordError("E_ENTITY", "start and end of a region must be integers")
    if words is not None and text[start:end] != words:
        units = text.encode("utf-16-le")
        before, inside = units[: 2 * start], units[2 * start : 2 * end]
        if inside != words.encode("utf-16-le"):
            raise RecordError("E_ENTITY", f"at [{start}, {end}) are not the words of the region")
        start = len(before.decode("utf-16-le", "replace"))
        end = start + len(words)
    return {"start": start, "end": end, "tag": value["labels"][0]}
