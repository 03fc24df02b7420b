"""Workers go on while the database is brought to the next releases: expanded, then contracted, on both databases.

The next releases are made up here: one adds to the tables, the one after it removes what only the first had added and
builds two tables anew. Neither touches what this release's workers read, as CONTRIBUTING.md demands of every release.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from eat_worker.jobs.shutdown import PARENT_VARIABLE
from eat_worker.jobs.supervisor import environment
from eat_worker.runs.submitting import submit
from eat_worker.settings import load_settings
from eat_worker.storage import schema
from eat_worker.storage.engine import Database

DOCUMENTS = 80
ROUNDS_PER_DOCUMENT = 7  # 3 forward, 1 extract, 3 back-translation; the entity is found without a round
WORKED_ON = ("models", "runs", "prompts", "documents", "rounds", "entities", "scores", "attempts", "events", "workers")
TABLES = (*WORKED_ON, "reviews")
EXPANDED, CONTRACTED = "0777", "0778"  # later than any revision of this release

EXPAND = f"""
import sqlalchemy as sa
from alembic import op

revision = "{EXPANDED}"
down_revision = "{schema.HEAD}"


def upgrade():
    op.add_column("documents", sa.Column("reviewed", sa.Integer(), server_default="0", nullable=False))
    op.add_column("rounds", sa.Column("note", sa.Text()))
    op.create_table("opinions", sa.Column("document_id", sa.Integer(), primary_key=True), sa.Column("by", sa.Text()))
    op.create_index("ix_rounds_note", "rounds", ["note"])
    op.execute("UPDATE rounds SET note = 'seen'")
"""
CONTRACT = f"""
from alembic import op

revision = "{CONTRACTED}"
down_revision = "{EXPANDED}"


def upgrade():
    # Documents first, as workers lock them: the other way round one of the two would have to give way.
    with op.batch_alter_table("documents") as batch:
        batch.drop_column("reviewed")
    op.drop_index("ix_rounds_note", "rounds")
    with op.batch_alter_table("rounds") as batch:
        batch.drop_column("note")
    op.drop_table("opinions")
"""
# What `eat db upgrade` of a later release does, when it is told to, with all rows counted before and after.
UPGRADE = """
import json, sys
from pathlib import Path
from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from eat_worker.storage import schema

url, head, migrations, *tables = sys.argv[1:]
schema.HEAD = head
schema.migrations = lambda: Path(migrations)
counts = []


def count(connection):
    counts.append({table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables})


def counted(self, run=MigrationContext.run_migrations, **given):
    count(self.connection)
    run(self, **given)
    count(self.connection)


MigrationContext.run_migrations = counted
print("ready", flush=True)
sys.stdin.readline()
schema.upgrade(url)
print(json.dumps(counts))
"""


class Upgrades:
    """Two programs of a later release that upgrade the same database at the same time."""

    def __init__(self, folder: Path, url: str, head: str) -> None:
        shutil.copytree(schema.migrations(), folder, ignore=shutil.ignore_patterns("__pycache__"))
        for revision, body in ((EXPANDED, EXPAND), (CONTRACTED, CONTRACT)):
            if revision <= head:
                (folder / "versions" / f"{revision}_later.py").write_text(body)
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, "-c", UPGRADE, url, head, str(folder), *TABLES]
        root = Path(__file__).parents[2]
        self.processes = [subprocess.Popen(command, cwd=root, text=True, **pipes) for _ in range(2)]

    def run(self) -> list[tuple[dict[str, int], dict[str, int]]]:
        """Let both go at once; rows by table before and after, once for each that had something to do."""
        for process in self.processes:
            assert process.stdout.readline() == "ready\n"
        for process in self.processes:
            process.stdin.write("\n")
            process.stdin.flush()
        found = []
        for process in self.processes:
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
            found.append(tuple(json.loads(output)))
        return [counts for counts in found if counts]


class Site:
    """A run of one database, and the workers on it; they take documents from the database itself."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        script, corpus = folder / "script.jsonl", folder / "corpus.jsonl"
        script.write_text('{"fault": "sleep", "text": "", "seconds": 0.1}\n')
        corpus.write_text("".join(f'{{"id": "d{number}", "text": "Seoul {number}"}}\n' for number in range(DOCUMENTS)))
        given = {"engine": "scripted", "script": str(script), "broker_url": "none", "health_address": "none"}
        given |= {"state": folder / "state", "database_url": url, "concurrency": 4}
        self.settings = load_settings(given, directory=folder, environ={})
        submit(self.settings, corpus, lang="de", name="r")
        self.workers: list[subprocess.Popen[bytes]] = []
        self.upgraders: list[Upgrades] = []

    def worker(self) -> subprocess.Popen[bytes]:
        given = environment(self.settings)
        del given[PARENT_VARIABLE]
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "eat_worker", "worker"]
            self.workers.append(subprocess.Popen(command, env=given, stdout=log, stderr=log, cwd=self.folder))
        return self.workers[-1]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        database = Database(self.url)  # not as a store: that would refuse a revision which is not ours
        try:
            with database.read() as transaction:
                return transaction.rows(text(query))
        finally:
            database.close()

    def done(self) -> int:
        return int(self.rows("SELECT count(*) FROM documents WHERE status = 'done'")[0][0])

    def upgrades(self, head: str) -> Upgrades:
        self.upgraders.append(Upgrades(self.folder / head, self.url, head))
        return self.upgraders[-1]


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[Site]:
    """A site on each kind of database; what is left of its processes is ended, by its id."""
    made = Site(tmp_path, database_url)
    yield made
    for process in (*made.workers, *(process for pair in made.upgraders for process in pair.processes)):
        if process.poll() is None:
            process.kill()
        process.wait(10)


def eventually(condition: Callable[[], object], site: Site, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen in time: {(site.folder / 'log').read_text()[-3000:]}"
        time.sleep(0.05)


def test_workers_live_through_an_expansion_and_a_contraction(site: Site) -> None:
    upgrades = {head: site.upgrades(head) for head in (EXPANDED, CONTRACTED)}
    workers = [site.worker(), site.worker()]
    eventually(lambda: site.done() >= 3, site)
    for head, pair in upgrades.items():
        done = site.done()
        assert done < DOCUMENTS - 8, "the run must be under way"
        reports = pair.run()
        assert reports
        for before, after in reports:
            # Workers add rounds and attempts meanwhile; on SQLite they wait until the upgrade has ended.
            assert all(before[table] <= after[table] for table in TABLES)
            assert before == after or not site.url.startswith("sqlite")
            assert before["documents"] == DOCUMENTS
            assert before["rounds"] >= ROUNDS_PER_DOCUMENT * done
        assert schema.current(site.url) == head
        eventually(lambda seen=done: site.done() >= seen + 3, site)
    eventually(lambda: site.done() == DOCUMENTS, site)
    assert [worker.poll() for worker in workers] == [None, None]
    assert site.rows("SELECT outcome, count(*) FROM attempts GROUP BY 1") == [("committed", 5 * DOCUMENTS)]
    assert site.rows("SELECT count(*) FROM rounds") == [(ROUNDS_PER_DOCUMENT * DOCUMENTS,)]
    assert site.rows("SELECT count(*) FROM documents WHERE faults + expiries + retries + breaks > 0") == [(0,)]
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [worker.wait(30) for worker in workers] == [0, 0]


def test_a_worker_of_the_old_release_that_starts_afterwards_says_what_is_wrong(site: Site) -> None:
    site.upgrades(EXPANDED).run()
    worker = site.worker()
    assert worker.wait(30) == os.EX_CONFIG
    message = f"the database is at {EXPANDED}, this eat knows {schema.HEAD}; upgrade eat_worker"
    assert message in (site.folder / "log").read_text()
    assert site.rows("SELECT status, count(*) FROM documents GROUP BY 1") == [("queued", DOCUMENTS)]
