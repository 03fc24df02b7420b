"""The database of commands that look at what is there or steer it; those that bring documents make one themselves."""

from __future__ import annotations

from eat_worker.errors import NotFound
from eat_worker.settings import Settings
from eat_worker.storage.engine import sqlite_file
from eat_worker.storage.store import Store, open_store


def is_new(settings: Settings) -> bool:
    """Whether nothing was ever submitted here: the embedded database is made with the first submit."""
    file = None if settings.database_url else sqlite_file(settings.database)
    return file is not None and not file.exists()


def open_existing(settings: Settings) -> Store:
    """The store, as `open_store`. Raises NotFound when nothing was ever submitted here."""
    if is_new(settings):
        raise NotFound(f"nothing was submitted with the state folder {settings.state} yet; eat run FILE --lang LANG")
    return open_store(settings.database)
