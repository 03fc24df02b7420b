"""The indexes answer the questions they were made for."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from eat_worker.storage import claims, leases, operating, reading, statements
from eat_worker.storage.engine import Statement
from eat_worker.storage.store import Store


@pytest.mark.parametrize(
    ("statement", "plan"),
    [
        (claims.READY, "SEARCH documents USING INDEX ix_documents_queue (run_id=? AND stage=?)"),
        (claims.FRESH_HINTS, "SEARCH documents USING INDEX ix_documents_hints (hinted_at>?)"),
        (leases.EXPIRED, "SCAN documents USING INDEX ix_documents_leases"),
        (operating.FORGET_HINTS, "SEARCH documents USING INDEX ix_documents_hints (hinted_at>?)"),
        (operating.CANCELLABLE, "SEARCH documents USING INDEX ix_documents_counts (run_id=? AND status=?)"),
        (operating.FAILED_IDS, "SEARCH documents USING COVERING INDEX ix_documents_counts (run_id=? AND status=?)"),
        (leases.HAS_QUEUED, "SEARCH documents USING INDEX ix_documents_queue (run_id=?)"),
        (reading.COUNTS[True], "SEARCH documents USING COVERING INDEX ix_documents_counts (run_id=?)"),
        (reading.COUNTS[False], "SCAN documents USING COVERING INDEX ix_documents_counts"),
        (reading.USAGE[True], "SEARCH documents USING COVERING INDEX ix_documents_usage (run_id=?)"),
        (statements.COUNT_QUEUED, "SEARCH documents USING COVERING INDEX ix_documents_counts (run_id=? AND status=?)"),
        (statements.COUNT_RUNNING, "SEARCH documents USING COVERING INDEX ix_documents_counts (run_id=? AND status=?)"),
        (reading.BY_EXT_ID, "SEARCH documents USING INDEX ix_documents_ext_id (ext_id=?)"),
        (reading.TEXTS, "SEARCH documents USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (reading.ANNOTATED, "SEARCH documents USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    ],
)
def test_a_query_is_answered_by_its_index(store: Store, statement: Statement, plan: str) -> None:
    sql, constants = store.database.compiled(statement)
    with store.database.read() as transaction:
        explained = text(f"EXPLAIN QUERY PLAN {sql}")
        values = dict.fromkeys(re.findall(r"(?<!:):(\w+)", sql), 1)
        steps = [row[3] for row in transaction.rows(explained, **{**values, **constants})]
    assert steps[0] == plan
