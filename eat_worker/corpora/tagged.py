"""From tokens with tags to a text with gold: for BIO files and for records that hold tokens alike.

Knows tokens, tags and code points; knows no file.
"""

from __future__ import annotations

from collections.abc import Sequence

from eat_worker.corpora.gold import in_order
from eat_worker.corpora.iob import spans_of
from eat_worker.corpora.layouts import Row
from eat_worker.corpora.records import RecordError, Tally
from eat_worker.corpora.surface import positions, put_together, trimmed
from eat_worker.corpora.tagmaps import TagMap
from eat_worker.method.document import GoldEntity


def text_of(rows: Sequence[Row], given: object, tally: Tally, *, joined: bool) -> tuple[str, list[tuple[int, int]]]:
    """The text of a sentence and where each token stands: the given one if the tokens are in it, else put together."""
    if isinstance(given, str):
        spans = positions(given, rows)
        if spans is not None:
            return given, spans
        tally.note("sentences whose given text is not what their tokens say: the tokens were put together")
    return put_together(rows, joined=joined)


def gold_of(
    text: str, rows: Sequence[Row], spans: Sequence[tuple[int, int]], tags: TagMap, tally: Tally, *, strict: bool
) -> tuple[GoldEntity, ...]:
    """The entities that the tags make. Raises RecordError: E_TAG, with `strict` also where an I- begins one."""
    entities, repaired = spans_of([row.tag for row in rows])
    if repaired and strict:
        raise RecordError("E_TAG", "an I- tag begins an entity; B- must (strict)")
    tally.repaired += repaired
    found = []
    for first, last, tag in entities:
        start, end = trimmed(text, spans[first][0], spans[last - 1][1])
        if start < end:
            found.append((start, end, tag))
        else:
            tally.dropped[tag] += 1
    return in_order(found, tags, tally)
