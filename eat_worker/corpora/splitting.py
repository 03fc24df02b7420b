"""Cuts long texts into sentences, so that each is annotated alone and can be put together again.

A sentence carries in `meta` where it comes from: `parent` (the id of the whole), `parent_start` (its offset there, in
code points), `part` and `parts`. Nothing of a text is left out but blank stretches, which `parent_start` steps over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from eat_worker.corpora.opening import VISIBLE
from eat_worker.corpora.parsing import MAX_TEXT
from eat_worker.corpora.records import Rejected, Tally
from eat_worker.errors import ConfigurationError
from eat_worker.method.document import Document, GoldEntity

LONGEST_WHOLE = 10 * MAX_TEXT  # code points of a text before it is cut


def split_documents(records: Iterable[Document | Rejected], tally: Tally) -> Iterator[Document | Rejected]:
    """The sentences of the documents; refused records as they are. Raises ConfigurationError without `sentencex`."""
    number = 0
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        number += 1
        parts = list(_parts(record, record.ext_id or f"document {number}"))
        if len(parts) > 1:
            tally.note("sentences cut out of longer texts", len(parts))
        yield from parts


def _parts(document: Document, parent: str) -> Iterator[Document]:
    pieces = [(start, end) for start, end in _borders(document) if VISIBLE.search(document.text, start, end)]
    for part, (start, end) in enumerate(pieces, start=1):
        text = document.text[start:end]
        begin = start + len(text) - len(text.lstrip())
        text = text.strip()
        meta = {**document.meta, "parent": parent, "parent_start": begin, "part": part, "parts": len(pieces)}
        yield Document(
            text,
            document.lang,
            f"{parent}#{part}" if document.ext_id else None,
            document.dataset,
            _inside(document.gold, begin, begin + len(text)),
            meta,
        )


def _inside(gold: tuple[GoldEntity, ...] | None, start: int, end: int) -> tuple[GoldEntity, ...] | None:
    if gold is None:
        return None
    return tuple(
        GoldEntity(max(one.start, start) - start, min(one.end, end) - start, one.tag)
        for one in gold
        if one.start < end and one.end > start
    )


def _borders(document: Document) -> list[tuple[int, int]]:
    """Where sentences begin and end: as sentencex cuts, but never inside of a gold entity, nor longer than a text."""
    ends = list(accumulate(len(sentence) for sentence in _segmented(document.lang, document.text)))
    inside = (
        {end for one in document.gold or () for end in ends if one.start < end < one.end} if document.gold else set()
    )
    cuts = [end for end in ends if end not in inside]
    borders, start = [], 0
    for end in cuts:
        while end - start > MAX_TEXT:
            borders.append((start, start + MAX_TEXT))
            start += MAX_TEXT
        borders.append((start, end))
        start = end
    return borders


def _segmented(lang: str, text: str) -> list[str]:
    try:
        from sentencex import segment
    except ImportError:
        raise ConfigurationError("--split needs one more library: pip install 'eat_worker[corpora]'") from None
    sentences = list(segment(lang, text))
    return sentences if "".join(sentences) == text else [text]
