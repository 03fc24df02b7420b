"""The database's schema and a copy of it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eat_worker.redaction import redact_url
from eat_worker.settings import Settings
from eat_worker.storage import schema


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did. `before` is None for a new database; `backup` is the copy of the state before."""

    database: str
    before: str | None
    after: str
    backup: str | None

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat db upgrade --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Revision:
    """The schema revision the database has and the one this program needs."""

    database: str
    current: str | None
    needed: str

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat db check --json`."""
        return asdict(self)


def upgrade(settings: Settings) -> Upgraded:
    """Create the database or bring it to this program's schema. Raises SchemaError when it is newer."""
    done = schema.upgrade(settings.database)
    return Upgraded(_name(settings), done.before, done.after, str(done.backup) if done.backup else None)


def check(settings: Settings) -> Revision:
    """The revision of a database that has this program's schema. Raises SchemaError when it has another or none."""
    schema.check(settings.database)
    return Revision(_name(settings), schema.current(settings.database), schema.head())


def backup(settings: Settings, path: Path | None = None) -> Path:
    """Write a consistent copy of a SQLite database; by default into the state folder, the time (UTC) in its name."""
    target = path or settings.state / f"eat-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.db"
    return schema.backup(settings.database, target)


def _name(settings: Settings) -> str:
    return redact_url(settings.database)
