"""Checks a record's reference entities and names their tags as this program does.

Offsets are code points of the text. Knows tag maps; knows no file format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from eat_worker.corpora.records import RecordError
from eat_worker.corpora.tagmaps import TagMap
from eat_worker.method.document import GoldEntity


def parse_entities(value: object, text: str, tags: TagMap, dropped: Counter[str]) -> tuple[GoldEntity, ...]:
    """The entities of a JSON record in order; those whose tag has no counterpart are counted in `dropped`.

    Raises RecordError (E_ENTITY) when one is malformed, lies outside of the text, or overlaps another that is kept.
    """
    if not isinstance(value, list):
        raise RecordError("E_ENTITY", "entities must be a list of {start, end, tag}")
    return in_order((_entity(item, len(text)) for item in value), tags, dropped)


def in_order(found: Iterable[tuple[int, int, str]], tags: TagMap, dropped: Counter[str]) -> tuple[GoldEntity, ...]:
    """(start, end, tag of the file) -> the kept entities, by start. Raises RecordError (E_ENTITY) on an overlap."""
    kept = []
    for start, end, name in found:
        tag = tags.get(name)
        if tag is None:
            dropped[name] += 1
        else:
            kept.append(GoldEntity(start, end, tag))
    kept.sort(key=_start)
    for left, right in pairwise(kept):
        if right.start < left.end:
            pair = f"[{left.start}, {left.end}) and [{right.start}, {right.end})"
            raise RecordError("E_ENTITY", f"entities overlap: {pair}")
    return tuple(kept)


def _start(entity: GoldEntity) -> int:
    return entity.start


def _entity(item: object, length: int) -> tuple[int, int, str]:
    if not isinstance(item, dict):
        raise RecordError("E_ENTITY", "an entity must be an object with start, end and tag")
    start, end, tag = item.get("start"), item.get("end"), item.get("tag")
    # bool is an int to isinstance, and true is no offset
    if type(start) is not int or type(end) is not int:
        raise RecordError("E_ENTITY", "start and end of an entity must be integers")
    if not isinstance(tag, str) or not tag:
        raise RecordError("E_ENTITY", "the tag of an entity must be a string")
    if not 0 <= start < end <= length:
        raise RecordError("E_ENTITY", f"entity [{start}, {end}) is not a span of a text of {length} code points")
    return start, end, tag
