"""The store: everything that is asked of the database, by name.

`Store` holds four parts by name and `open_store` opens one. Rows, transactions and SQL stay behind it; what comes out
are the values of `values.py`. A store may be shared by any number of threads.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self, final

from eat_worker.storage import schema
from eat_worker.storage.engine import Database, sqlite_file
from eat_worker.storage.operating import Operating
from eat_worker.storage.queue import Queue
from eat_worker.storage.reading import Reading
from eat_worker.storage.runs import Runs


@final
class Store:
    """An open database at the right revision, in four parts.

    `runs` takes runs and documents in, `queue` hands documents to workers and takes their results, `operating` is what
    an operator decides, `reading` says what is there.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.runs = Runs(database)
        self.queue = Queue(database)
        self.operating = Operating(database)
        self.reading = Reading(database)

    def close(self) -> None:
        """Closes the connections of this process."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url: str, *, create: bool = False, answer_within: float | None = None) -> Store:
    """Opens the database and checks its revision.

    With `create`, an SQLite database that is missing or empty is made first; any other is upgraded only by
    `eat db upgrade`. `answer_within` bounds a transaction on a server, in seconds. Raises ConfigurationError (no such
    kind of database), SchemaError (too old, too new, not eat's), StoreUnavailable, DiskFull; no message holds a
    password.
    """
    if sqlite_file(url) is not None:
        found = schema.current(url)
        if found is None and create:
            schema.upgrade(url)
        else:
            schema.require(url, found)
        return Store(Database(url, there=True))
    database = Database(url, answer_within=answer_within)
    try:
        schema.require(url, schema.revision(database))
    except BaseException:
        database.close()
        raise
    return Store(database)
