"""How a migration runs: one transaction, alone on its database, references checked before it is committed.

alembic loads this file. Knows the two databases' traps; which migrations there are is in `versions/`.
"""

from __future__ import annotations

import logging
from typing import Any

from alembic import context
from sqlalchemy import Connection, text

from eat_worker.errors import ConfigurationError, SchemaError
from eat_worker.storage.engine import Database
from eat_worker.storage.tables import METADATA

ADVISORY_LOCK = 0x656174  # "eat": any number, the same in every release
LOCK_SECONDS = 5


def url() -> str:
    """The database: given by `storage.schema`, or by a developer as `alembic -x url=...`."""
    given = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True).get("url")
    if not given:
        raise ConfigurationError("no database named; write: alembic -x url=sqlite:///FILE ...")
    return str(given)


def take_turn(connection: Connection) -> None:
    """Two upgrades at once run one after the other. On SQLite, BEGIN IMMEDIATE has seen to that."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})
        # A table that is in use makes the upgrade fail soon, rather than queue every worker behind it.
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))


def check_references(connection: Connection) -> None:
    """Foreign keys are off while SQLite rebuilds tables, so that every reference is checked here."""
    if connection.dialect.name == "sqlite":
        broken = connection.execute(text("PRAGMA foreign_key_check")).fetchall()
        if broken:
            tables = ", ".join(sorted({str(row[0]) for row in broken}))
            raise SchemaError(f"the upgrade would break references from {tables}; nothing was changed")


def migrate(connection: Connection) -> None:
    """Runs what alembic was asked for."""
    options: dict[str, Any] = {"compare_type": True, "compare_server_default": False}
    is_sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        # SQLite cannot alter a column: alembic builds the table anew and copies its rows.
        render_as_batch=is_sqlite,
        # Its data definition is transactional once the driver does not commit behind our back.
        transactional_ddl=True,
        **options,
    )
    with context.begin_transaction():
        take_turn(connection)
        context.run_migrations()
        check_references(connection)


logging.getLogger("alembic").setLevel(logging.WARNING)
# With foreign keys on, SQLite drops the rows that refer to a table when that table is rebuilt.
database = Database(url(), foreign_keys=False)
try:
    with database.engine.connect() as connected:
        migrate(connected)
finally:
    database.close()
