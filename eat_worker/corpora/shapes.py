"""What the records of other tools are called here: doccano, Label Studio, Prodigy, spaCy and `datasets`.

A record of another shape becomes one with `text` or `tokens`, and `entities` or `tags`; every such reading is counted.
Knows keys and values; checks nothing that the native record is checked for as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eat_worker.corpora.presets import label_names
from eat_worker.corpora.records import RecordError, Tally

Record = dict[str, Any]
_TOKEN_TAGS = ("ner_tags", "tags", "labels", "ner")


def reshaped(record: Record, tally: Tally) -> Record:
    """The record in our own words; unchanged where it has `text` and nothing of another tool."""
    if "entities" in record and "data" not in record:
        return record
    for name, shape in _SHAPES:
        found = shape(record)
        if found is not None:
            tally.note(f"records read as those of {name}")
            return found
    return record


def _label_studio(record: Record) -> Record | None:
    """{"data": {"text": ...}, "annotations": [{"result": [...]}]}; of several annotations the first that was kept."""
    data = record.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("text"), str):
        return None
    kept = [one for one in record.get("annotations") or [] if isinstance(one, dict) and not one.get("was_cancelled")]
    rest = {key: value for key, value in record.items() if key not in ("data", "annotations", "predictions")}
    made = {**rest, **data}
    if kept:
        made["entities"] = [_label_studio_entity(one) for one in _spans_of(kept[0].get("result"))]
    if len(kept) > 1:
        made["annotations"] = len(kept)
    return made


def _spans_of(result: object) -> list[dict[str, Any]]:
    if not isinstance(result, list):
        raise RecordError("E_ENTITY", "the result of an annotation must be a list")
    values = [one.get("value") for one in result if isinstance(one, dict)]
    return [value for value in values if isinstance(value, dict) and "start" in value]


def _label_studio_entity(value: dict[str, Any]) -> dict[str, Any]:
    labels = value.get("labels")
    if not isinstance(labels, list) or len(labels) != 1:
        raise RecordError("E_ENTITY", "an entity must have one label")
    return {"start": value["start"], "end": value.get("end"), "tag": labels[0], "words": value.get("text")}


def _doccano(record: Record) -> Record | None:
    """`label` or `labels` with [start, end, tag]; of a list of other things it is no gold, and goes into meta."""
    for key in ("label", "labels"):
        value = record.get(key)
        if isinstance(value, list) and all(isinstance(one, list) and len(one) == 3 for one in value):
            return _renamed(record, key, value) if isinstance(record.get("text"), str) else None
    return None


def _prodigy(record: Record) -> Record | None:
    """`spans` (Prodigy) or `ents` (spaCy's Doc.to_json) with start, end and label."""
    for key in ("spans", "ents"):
        value = record.get(key)
        if isinstance(value, list) and all(isinstance(one, dict) and "label" in one for one in value):
            if not isinstance(record.get("text"), str):
                return None
            return {name: it for name, it in _renamed(record, key, value).items() if name != "tokens"}
    return None


def _renamed(record: Record, key: str, value: list[Any]) -> Record:
    return {**{name: it for name, it in record.items() if name != key}, "entities": value}


def _datasets(record: Record) -> Record | None:
    """`tokens` with one tag each, as a number or a name."""
    tokens = record.get("tokens")
    if not isinstance(tokens, list):
        return None
    for key in _TOKEN_TAGS:
        value = record.get(key)
        if isinstance(value, list) and len(value) == len(tokens) and all(isinstance(one, int | str) for one in value):
            return {**{name: it for name, it in record.items() if name != key}, "tags": value}
    return None


_SHAPES: tuple[tuple[str, Callable[[Record], Record | None]], ...] = (
    ("Label Studio", _label_studio),
    ("datasets (tokens with tags)", _datasets),
    ("doccano", _doccano),
    ("Prodigy or spaCy", _prodigy),
)


def tagged_tokens(record: Record, dataset: str | None) -> list[tuple[str, str]] | None:
    """(token, tag) of a record of `datasets`, both taken out of it; None where it has none.

    Raises RecordError (E_TAG) when tags are numbers and no preset names them, or a token is no text.
    """
    tags = record.get("tags")
    if "tokens" not in record or not isinstance(tags, list):
        return None
    tokens = record.pop("tokens")
    del record["tags"]
    if not all(isinstance(token, str) for token in tokens):
        raise RecordError("E_TEXT_TYPE", "tokens must be a list of strings")
    names = label_names(dataset)
    return [(token, _tag_name(tag, names)) for token, tag in zip(tokens, tags, strict=True)]


def _tag_name(tag: int | str, names: tuple[str, ...]) -> str:
    if isinstance(tag, str):
        return tag
    if not 0 <= tag < len(names):
        known = f"{len(names)} names are known" if names else "nothing names them; give --dataset of a known data set"
        raise RecordError("E_TAG", f"the tag is the number {int(tag)}, and {known}")
    return names[tag]
