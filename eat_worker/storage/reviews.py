"""Reviews of documents: what people corrected, stored beside what the model said and never over it.

Knows the table `reviews` and how a record of a file finds its document. Knows no file format.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256

import orjson
from sqlalchemy import bindparam, literal_column, select

from eat_worker.method.document import GoldEntity
from eat_worker.storage.engine import Rows, Transaction, Upsert
from eat_worker.storage.rows import dump
from eat_worker.storage.tables import documents, now, reviews
from eat_worker.storage.values import Review


class ReviewOutcome(StrEnum):
    """What came of one review."""

    ADDED = "added"
    ALREADY = "already"  # the same author, reason and entities are there
    UNKNOWN = "unknown"  # the run has no annotated document of that id, or where there is none, of that text
    TEXT_DIFFERS = "text_differs"


_ANNOTATED = (
    documents.c.run_id == bindparam("run_id"),
    documents.c.status.in_([literal_column("'done'"), literal_column("'skipped'")]),
)
BY_ID = select(documents.c.id, documents.c.text).where(*_ANNOTATED, documents.c.ext_id == bindparam("ext_id"))
BY_TEXT = select(documents.c.id, documents.c.text).where(
    *_ANNOTATED, documents.c.ext_id.is_(None), documents.c.text == bindparam("text")
)
ADD_REVIEW = Upsert(
    reviews,
    key=("document_id", "content_sha256"),
    columns=("document_id", "content_sha256", "author", "reason", "entities_json"),
    fixed={"created_at": now()},
)
REVIEWS = (
    select(*(reviews.c[name] for name in ("document_id", "author", "reason", "entities_json", "created_at")))
    .where(reviews.c.document_id >= bindparam("first"), reviews.c.document_id <= bindparam("end"))
    .order_by(reviews.c.document_id, reviews.c.id)
)


def add_review(transaction: Transaction, run_id: int, ext_id: str | None, text: str, review: Review) -> ReviewOutcome:
    """Store a review of the document that has this id and exactly this text."""
    if ext_id is None:
        found = transaction.rows(BY_TEXT, run_id=run_id, text=text)
    else:
        found = transaction.rows(BY_ID, run_id=run_id, ext_id=ext_id)
    if not found:
        return ReviewOutcome.UNKNOWN
    key = min((key for key, stored in found if stored == text), default=None)
    if key is None:
        return ReviewOutcome.TEXT_DIFFERS
    entities = dump([[entity.start, entity.end, entity.tag] for entity in review.entities])
    added = transaction.run(
        ADD_REVIEW,
        document_id=key,
        content_sha256=sha256(dump([review.author, review.reason, entities]).encode()).hexdigest(),
        author=review.author,
        reason=review.reason,
        entities_json=entities,
    )
    return ReviewOutcome.ADDED if added else ReviewOutcome.ALREADY


def reviews_of(transaction: Transaction, first: int, end: int) -> dict[int, tuple[Review, ...]]:
    """The reviews of the documents with ids in [first, end], the oldest first."""
    return _by_document(transaction.rows(REVIEWS, first=first, end=end))


def _by_document(rows: Rows) -> dict[int, tuple[Review, ...]]:
    found: dict[int, tuple[Review, ...]] = {}
    for key, author, reason, entities_json, created_at in rows:
        entities = tuple(GoldEntity(*entity) for entity in orjson.loads(entities_json))
        found[key] = (*found.get(key, ()), Review(author, reason, entities, created_at))
    return found
