"""The database's revisions, on SQLite and on PostgreSQL: up, down, up, at once, in the wrong order, and by half."""

from __future__ import annotations

import ast
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from eat_worker.errors import EatError, SchemaError
from eat_worker.storage import schema
from eat_worker.storage.engine import Database
from eat_worker.storage.store import open_store

FIRST_TABLES = ("models", "runs", "prompts", "documents", "rounds", "entities", "scores", "attempts", "events")
TABLES = (*FIRST_TABLES, "workers")

REBUILD = """
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade():
    with op.batch_alter_table("documents") as batch:
        batch.add_column(sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
        batch.alter_column("error_code", existing_type=sa.Text(), new_column_name="reason")


def downgrade():
    with op.batch_alter_table("documents") as batch:
        batch.drop_column("revision")
        batch.alter_column("reason", existing_type=sa.Text(), new_column_name="error_code")
"""
HALF = REBUILD.replace("def downgrade", '    op.execute("SELECT * FROM absent")\n\n\ndef downgrade')
ORPHANS = REBUILD.replace("def downgrade", '    op.execute("DELETE FROM runs")\n\n\ndef downgrade')


def add_revision(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str) -> None:
    """A program that is one revision further than this one."""
    shutil.copytree(schema.migrations(), folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "migrations" / "versions" / "0004_later.py").write_text(body)
    monkeypatch.setattr(schema, "migrations", lambda: folder / "migrations")
    monkeypatch.setattr(schema, "HEAD", "0004")


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    database = Database(url)
    try:
        with database.write() as transaction:
            return transaction.rows(text(statement))
    finally:
        database.close()


def row_counts(url: str, tables: tuple[str, ...] = TABLES) -> dict[str, int]:
    return {table: query(url, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def fill(url: str) -> None:
    """A row in every table."""
    fill_first(url)
    query(
        url,
        """INSERT INTO workers (id, name, host, process, queues_json, fingerprints_json, version, started_at,
                                last_heartbeat) VALUES (1, 'w', 'h', 7, '[]', '[]', '0.7', 1, 1)""",
    )


def fill_first(url: str) -> None:
    """A row in every table of the first release."""
    for statement in (
        "INSERT INTO models (id, fingerprint, spec_json, created_at) VALUES (1, 'f', '{}', 1)",
        """INSERT INTO runs (id, name, lang, dataset, config_json, queues_json, model_id, state, created_at)
           VALUES (1, 'r', 'ko', 'd', '{}', '{}', 1, 'open', 1)""",
        "INSERT INTO prompts (id, sha256, stage, round, template, set_name) VALUES (1, 's', 'forward', 1, 't', 'o')",
        """INSERT INTO documents (id, run_id, content_sha256, lang, dataset, stage, status, created_at, text)
           VALUES (1, 1, 'h', 'ko', 'd', 'forward', 'queued', 1, '서울')""",
        """INSERT INTO rounds (document_id, stage, entity, round, attempt, prompt_id, prompt_tokens, cached_tokens,
                               generated_tokens, seconds, finish_reason, batch_size, created_at, variables_json, output)
           VALUES (1, 'forward', -1, 1, 1, 1, 0, 0, 0, 0, 'stop', 1, 1, '{}', 'x')""",
        "INSERT INTO entities (document_id, idx, words, tag) VALUES (1, 0, 'Kim', 'PER')",
        "INSERT INTO scores (document_id, bleu) VALUES (1, 1)",
        "INSERT INTO attempts (document_id, attempt, stage, worker, started_at) VALUES (1, 1, 'forward', 'w', 1)",
        "INSERT INTO events (id, run_id, document_id, at, kind) VALUES (1, 1, 1, 1, 'x')",
    ):
        query(url, statement)


def test_an_empty_database_is_brought_to_head(empty_url: str) -> None:
    assert schema.current(empty_url) is None
    with pytest.raises(SchemaError, match=r"there is no eat database at .*; run: eat db upgrade"):
        schema.check(empty_url)
    done = schema.upgrade(empty_url)
    assert (done.before, done.after, done.backup) == (None, schema.head(), None)
    assert schema.current(empty_url) == schema.head()
    schema.check(empty_url)
    assert schema.upgrade(empty_url).before == schema.head()


def test_tables_and_migrations_say_the_same(database_url: str) -> None:
    command.check(schema.configuration(database_url))


def test_head_is_the_newest_migration() -> None:
    files = sorted(path.name for path in (schema.migrations() / "versions").glob("*.py"))
    assert files[-1].split("_")[0] == schema.HEAD
    assert all(name[:4].isdigit() for name in files)


def test_no_migration_imports_the_package() -> None:
    for path in (schema.migrations() / "versions").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("eat_worker") for name in names), path.name


def test_up_down_up_leaves_the_tables_as_they_were(database_url: str) -> None:
    fill(database_url)
    command.downgrade(schema.configuration(database_url), "base")
    assert schema.current(database_url) in (None, "base")
    command.upgrade(schema.configuration(database_url), "head")
    schema.check(database_url)
    command.check(schema.configuration(database_url))
    assert row_counts(database_url) == dict.fromkeys(TABLES, 0)


def test_a_rebuilt_table_loses_no_row_of_itself_or_of_its_children(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database_url)
    assert row_counts(database_url) == dict.fromkeys(TABLES, 1)
    add_revision(monkeypatch, tmp_path, REBUILD)
    done = schema.upgrade(database_url)
    assert (done.before, done.after) == ("0003", "0004")
    assert row_counts(database_url) == dict.fromkeys(TABLES, 1)
    assert query(database_url, "SELECT text, revision, reason FROM documents") == [("서울", 1, None)]
    command.downgrade(schema.configuration(database_url), "0003")
    command.upgrade(schema.configuration(database_url), "head")
    assert row_counts(database_url) == dict.fromkeys(TABLES, 1)


def test_a_database_of_the_first_release_is_brought_to_head_with_its_rows(database_url: str) -> None:
    command.downgrade(schema.configuration(database_url), "0001")
    fill_first(database_url)
    query(database_url, "UPDATE attempts SET outcome = 'expired', ended_at = 2")
    assert schema.upgrade(database_url).before == "0001"
    assert row_counts(database_url) == {**dict.fromkeys(FIRST_TABLES, 1), "workers": 0}
    assert query(database_url, "SELECT priority FROM runs") == [(0,)]
    assert query(database_url, "SELECT faults, expiries, retries, breaks FROM documents") == [(0, 0, 0, 0)]
    query(database_url, "UPDATE attempts SET outcome = 'engine_broken'")
    with pytest.raises(EatError):
        query(database_url, "UPDATE attempts SET outcome = 'nonsense'")
    command.check(schema.configuration(database_url))
    command.downgrade(schema.configuration(database_url), "0001")
    assert query(database_url, "SELECT outcome FROM attempts") == [("released",)]
    assert row_counts(database_url, FIRST_TABLES) == dict.fromkeys(FIRST_TABLES, 1)


def test_a_database_before_workers_had_rows_gets_them_and_loses_nothing_else(database_url: str) -> None:
    command.downgrade(schema.configuration(database_url), "0002")
    fill_first(database_url)
    query(database_url, "UPDATE documents SET status = 'running', lease_owner = 'w', lease_until = 9, attempt = 1")
    assert schema.upgrade(database_url).before == "0002"
    assert row_counts(database_url) == {**dict.fromkeys(FIRST_TABLES, 1), "workers": 0}
    assert query(database_url, "SELECT status, lease_owner FROM documents") == [("running", "w")]
    command.check(schema.configuration(database_url))
    command.downgrade(schema.configuration(database_url), "0002")
    assert row_counts(database_url, FIRST_TABLES) == dict.fromkeys(FIRST_TABLES, 1)


def test_an_sqlite_file_is_copied_before_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'eat.db'}"
    schema.upgrade(url)
    fill(url)
    add_revision(monkeypatch, tmp_path, REBUILD)
    copy = schema.upgrade(url).backup
    assert copy == tmp_path / "eat.db.0003.bak"
    assert schema.current(f"sqlite:///{copy}") == "0003"
    assert row_counts(f"sqlite:///{copy}") == dict.fromkeys(TABLES, 1)


def test_a_copy_never_replaces_an_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'eat.db'}"
    schema.upgrade(url)
    add_revision(monkeypatch, tmp_path, REBUILD)
    (tmp_path / "eat.db.0003.bak").write_bytes(b"mine")
    assert schema.upgrade(url).backup == tmp_path / "eat.db.0003.1.bak"
    assert (tmp_path / "eat.db.0003.bak").read_bytes() == b"mine"


@pytest.mark.parametrize("body", [HALF, ORPHANS], ids=["half", "orphans"])
def test_an_upgrade_that_fails_changes_nothing(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    fill(database_url)
    add_revision(monkeypatch, tmp_path, body)
    with pytest.raises(EatError):
        schema.upgrade(database_url)
    assert schema.current(database_url) == "0003"
    assert row_counts(database_url) == dict.fromkeys(TABLES, 1)
    assert query(database_url, "SELECT error_code FROM documents") == [(None,)]


def test_an_older_database_names_the_command_that_helps(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_revision(monkeypatch, tmp_path, REBUILD)
    for create in (False, True):
        with pytest.raises(SchemaError) as caught:
            open_store(database_url, create=create)
        assert str(caught.value) == "the database is at 0003, this eat needs 0004; run: eat db upgrade"


def test_a_newer_database_asks_for_a_newer_program(database_url: str) -> None:
    query(database_url, "UPDATE alembic_version SET version_num = '0777'")
    for action in (open_store, schema.upgrade, schema.check):
        with pytest.raises(SchemaError) as caught:
            action(database_url)
        assert str(caught.value) == "the database is at 0777, this eat knows 0003; upgrade eat_worker"


def test_a_database_of_something_else_is_left_alone(empty_url: str) -> None:
    query(empty_url, "CREATE TABLE customers (id INTEGER)")
    for action in (open_store, schema.upgrade, schema.check):
        with pytest.raises(SchemaError, match="holds tables that are not eat's"):
            action(empty_url)


def test_four_upgrades_at_once_make_one_database(empty_url: str) -> None:
    program = "import sys; from eat_worker.storage.schema import upgrade; upgrade(sys.argv[1])"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_url], stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        for _ in range(4)
    ]
    for process in started:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    command.check(schema.configuration(empty_url))


def test_alembics_own_command_needs_a_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'eat.db'}"
    root = Path(__file__).parents[2]
    alembic = [sys.executable, "-m", "alembic"]
    done = subprocess.run([*alembic, "-x", f"url={url}", "upgrade", "head"], cwd=root, capture_output=True, text=True)
    assert (done.returncode, schema.current(url)) == (0, schema.head()), done.stderr
    done = subprocess.run([*alembic, "upgrade", "head"], cwd=root, capture_output=True, text=True)
    assert "no database named; write: alembic -x url=" in done.stderr


def test_a_percent_sign_in_a_path_is_only_a_percent_sign(tmp_path: Path) -> None:
    folder = tmp_path / "100%(here)s"
    url = f"sqlite:///{folder / 'eat.db'}"
    schema.upgrade(url)
    assert (folder / "eat.db").is_file()
    with sqlite3.connect(folder / "eat.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(schema.HEAD,)]
    connection.close()
