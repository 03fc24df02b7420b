"""Checks a record's reference entities and names their tags as this program does.

Offsets are code points of the text in the end, whatever the file counts. Knows tag maps; knows no file format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from eat_worker.corpora.offsets import SAID, Mention, Unit, converted, fitting, is_doubtful
from eat_worker.corpora.records import RecordError, Tally
from eat_worker.corpora.tagmaps import TagMap, tag_here
from eat_worker.method.document import GoldEntity

_STARTS, _ENDS = ("start", "start_offset"), ("end", "end_offset")
_TAGS, _WORDS = ("tag", "label", "type"), ("words", "text")


def parse_entities(
    value: object, text: str, tags: TagMap, tally: Tally, unit: Unit | None = None
) -> tuple[GoldEntity, ...]:
    """The entities of a JSON record in order; those whose tag has no counterpart are counted in the tally.

    `unit` is what the offsets count; None: code points, unless the words of the entities stand somewhere else only.
    Raises RecordError (E_ENTITY) when one is malformed, lies outside of the text, or overlaps another that is kept.
    """
    if not isinstance(value, list):
        raise RecordError("E_ENTITY", "entities must be a list of {start, end, tag}")
    mentions = [_mention(item) for item in value]
    found = _placed(mentions, text, unit, tally)
    return in_order(((one.start, one.end, one.tag) for one in found), tags, tally)


def in_order(found: Iterable[tuple[int, int, str]], tags: TagMap, tally: Tally) -> tuple[GoldEntity, ...]:
    """(start, end, tag of the file) -> the kept entities, by start. Raises RecordError (E_ENTITY) on an overlap."""
    kept = []
    for start, end, name in found:
        tag, guessed = tag_here(tags, name)
        if tag is None:
            tally.dropped[name] += 1
        else:
            kept.append(GoldEntity(start, end, tag))
        if guessed:
            tally.note(f"gold tag {name[:40]} read as {tag}")
    kept.sort(key=_start)
    for left, right in pairwise(kept):
        if right.start < left.end:
            pair = f"[{left.start}, {left.end}) and [{right.start}, {right.end})"
            raise RecordError("E_ENTITY", f"entities overlap: {pair}")
    return tuple(kept)


def _start(entity: GoldEntity) -> int:
    return entity.start


def _mention(item: object) -> Mention:
    if isinstance(item, list) and len(item) == 3:  # (start, end, tag), as spaCy and doccano write them
        item = dict(zip(("start", "end", "tag"), item, strict=True))
    if not isinstance(item, dict):
        raise RecordError("E_ENTITY", "an entity must be an object with start, end and tag")
    start, end, tag, words = (_first(item, names) for names in (_STARTS, _ENDS, _TAGS, _WORDS))
    # bool is an int to isinstance, and true is no offset
    if type(start) is not int or type(end) is not int:
        raise RecordError("E_ENTITY", "start and end of an entity must be integers")
    if not isinstance(tag, str) or not tag:
        raise RecordError("E_ENTITY", "the tag of an entity must be a string")
    return Mention(start, end, tag, words if isinstance(words, str) else None)


def _first(item: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _placed(mentions: list[Mention], text: str, unit: Unit | None, tally: Tally) -> list[Mention]:
    """The mentions in code points. Raises RecordError (E_ENTITY) naming the unit that would fit."""
    asked = unit or "code-points"
    found = converted(mentions, text, asked)
    if found is not None:
        if unit is None and is_doubtful(mentions, text):
            tally.note(
                "records with gold behind an emoji or the like: offsets read as code points; --offsets utf16 if"
                " a browser counted them"
            )
        return found
    other = fitting(mentions, text, asked)
    if other and unit is None and all(one.words is not None for one in mentions):
        tally.note(f"records whose gold offsets count {SAID[other]}, as the words of the entities show")
        return converted(mentions, text, other) or []
    bad = next(one for one in mentions if converted([one], text, asked) is None)
    what = f"entity [{bad.start}, {bad.end})"
    hint = f"; in {SAID[other]} it would fit: --offsets {other}" if other else ""
    if bad.words is not None and converted([bad._replace(words=None)], text, asked):
        raise RecordError("E_ENTITY", f"{what} has the words {bad.words[:40]!r}, which do not stand there{hint}")
    sizes = f"{_size(text, asked)} {SAID[asked]}"
    if asked == "code-points" and _size(text, "utf16") != len(text):
        sizes += f" ({_size(text, 'utf16')} {SAID['utf16']})"
    raise RecordError("E_ENTITY", f"{what} is not a span of a text of {sizes}{hint}")


def _size(text: str, unit: Unit) -> int:
    return (
        len(text)
        if unit == "code-points"
        else len(text.encode("utf-16-le")) // 2
        if unit == "utf16"
        else len(text.encode())
    )
