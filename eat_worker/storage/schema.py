"""The database's revision: what it is, what it should be, how it gets there, and the copy kept before.

Knows alembic and where the migrations are; alembic itself is imported only when something is upgraded, because it
takes longer to import than `eat status` may last.
"""

from __future__ import annotations

import io
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from eat_worker.errors import ConfigurationError, DiskFull, EatError, SchemaError
from eat_worker.private_files import make_private_file, make_private_folder
from eat_worker.redaction import redact_url
from eat_worker.storage.engine import Database, sqlite_file

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0003"  # the revision that `tables.py` draws; a test holds it to the newest file of migrations/versions

TABLES_ON_SQLITE = text("SELECT name FROM sqlite_master WHERE type = 'table'")
TABLES_ON_POSTGRESQL = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
REVISION = text("SELECT version_num FROM alembic_version")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did; `backup` is the copy taken before, of an SQLite file that held something."""

    before: str | None
    after: str
    backup: Path | None


def head() -> str:
    """The revision this program works with."""
    return HEAD


def current(url: str) -> str | None:
    """The revision the database is at; None when it is empty or missing. Raises SchemaError when it is not eat's."""
    if _is_missing(url):
        return None
    with closing(Database(url)) as database:
        return revision(database)


def revision(database: Database) -> str | None:
    """As `current`, on a database that is open already."""
    with database.read() as transaction:
        found = transaction.rows(TABLES_ON_SQLITE if database.is_sqlite else TABLES_ON_POSTGRESQL)
        tables = {str(name) for (name,) in found}
        if not tables:
            return None
        if "alembic_version" not in tables:
            raise SchemaError(f"{database.name} holds tables that are not eat's; name another database")
        row = transaction.row(REVISION)
    return str(row[0]) if row else None


def check(url: str) -> None:
    """Raises SchemaError unless the database is exactly at this program's revision."""
    require(url, current(url))


def require(url: str, found: str | None) -> None:
    """As `check`, when the database is known to be at `found`."""
    if found != HEAD:
        raise _refusal(redact_url(url), found)


def _refusal(name: str, found: str | None) -> SchemaError:
    if found is None:
        return SchemaError(f"there is no eat database at {name}; run: eat db upgrade")
    if found < HEAD:  # the revisions are four digits, so that they sort
        return SchemaError(f"the database is at {found}, this eat needs {HEAD}; run: eat db upgrade")
    return SchemaError(f"the database is at {found}, this eat knows {HEAD}; upgrade eat_worker")


def upgrade(url: str) -> Upgrade:
    """Brings the database to `head()`, all or nothing, and creates an SQLite file that is missing.

    An SQLite file that changes is copied beside itself first. Raises SchemaError when the database is newer.
    """
    from alembic import command

    before = current(url)
    if before is not None and before > HEAD:
        raise _refusal(redact_url(url), before)
    file = sqlite_file(url)
    copy = None
    if file is not None:
        make_private_folder(file.parent)
        make_private_file(file)  # what SQLite makes beside it gets the same rights
        if before is not None and before != HEAD:
            copy = _backup_beside(url, file, before)
    if before != HEAD:
        with closing(Database(url)) as database:
            try:
                command.upgrade(configuration(url), "head")
            except database.errors as error:
                raise database.translate(error) from error
    return Upgrade(before=before, after=HEAD, backup=copy)


def backup(url: str, path: Path) -> Path:
    """Copies an SQLite database while it is in use, all of one moment, to a new file.

    Raises ConfigurationError for another database or when `path` exists, DiskFull, StoreUnavailable.
    """
    file = sqlite_file(url)
    if file is None:
        raise ConfigurationError("eat copies SQLite files only; for PostgreSQL use pg_dump")
    if not file.exists():
        raise _refusal(redact_url(url), None)
    if not path.parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.parent} for the backup")
    if not _copied(url, file, path):
        raise ConfigurationError(f"{path} exists already; name another file for the backup")
    return path


def _copied(url: str, file: Path, path: Path) -> bool:
    """Copy to a new file, or return False when there is one."""
    room = shutil.disk_usage(path.parent).free
    if room < file.stat().st_size:
        raise DiskFull(f"{path.parent} has {room} bytes left, the backup of {file} needs {file.stat().st_size}")
    if not make_private_file(path):  # SQLite fills an empty file; one of its own making would be open to others
        return False
    with closing(Database(url)) as database:
        try:
            database.run_alone("VACUUM INTO ?", str(path))
        except EatError:
            path.unlink(missing_ok=True)
            raise
    return True


def migrations() -> Path:
    """The folder of the migrations: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise SchemaError(f"the migrations are missing from {package}; install eat_worker again")


def configuration(url: str) -> Config:
    """What alembic is told. The URL travels as an object: nothing in it is taken for a variable."""
    from alembic.config import Config

    config = Config(stdout=io.StringIO())  # stdout is data; what alembic says there is not
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def _is_missing(url: str) -> bool:
    # Opening it would create it.
    file = sqlite_file(url)
    if file is not None and file.is_dir():
        raise ConfigurationError(f"{file} is a folder; name a file in it: sqlite:///{file / 'eat.db'}")
    return file is not None and not file.exists()


def _backup_beside(url: str, file: Path, before: str) -> Path:
    """A copy under a name of its own: whoever upgrades at the same moment takes the next."""
    number = 0
    while not _copied(url, file, copy := file.with_name(f"{file.name}.{before}{f'.{number}' if number else ''}.bak")):
        number += 1
    return copy
