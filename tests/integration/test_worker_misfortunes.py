"""Real worker processes whose engine breaks or hangs, that drain too long, or whose database goes away.

The engine is the scripted one; there is no broker, because none of this depends on one. Every wait ends by itself.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from eat_worker.jobs.shutdown import PARENT_VARIABLE
from eat_worker.jobs.supervisor import environment
from eat_worker.runs.submitting import submit
from eat_worker.settings import load_settings
from eat_worker.storage.store import open_store

# A worker that ends with its run; the first lines of the program may be more.
SERVE = """
import os, sys
from pathlib import Path
from eat_worker import log
from eat_worker.jobs.worker import serve
from eat_worker.settings import load_settings
log.configure(level="info", format_="text")
settings = load_settings({}, directory=Path.cwd(), environ=os.environ)
sys.exit(serve(settings, until=lambda store: store.reading.count_unfinished([1]) == 0))
"""
ROUNDS_PER_DOCUMENT = 7  # 3 forward, 1 extract, 3 back-translation; the entity is found without a round


class Site:
    """A state folder with a run of short sentences in it, worked on by processes of the test."""

    def __init__(self, folder: Path, texts: list[str], faults: list[dict[str, Any]], **settings: Any) -> None:
        (folder / "script.jsonl").write_text("".join(json.dumps(fault) + "\n" for fault in faults))
        (folder / "corpus.jsonl").write_text("".join(json.dumps({"id": one, "text": one}) + "\n" for one in texts))
        given = {"engine": "scripted", "script": str(folder / "script.jsonl"), "broker_url": "none", **settings}
        self.folder = folder
        self.settings = load_settings(
            {"state": folder / "state", "health_address": "none", **given}, directory=folder, environ={}
        )
        submit(self.settings, folder / "corpus.jsonl", lang="de", name="r")
        self.workers: list[subprocess.Popen[bytes]] = []

    def environ(self) -> dict[str, str]:
        given = environment(self.settings)
        del given[PARENT_VARIABLE]
        return given

    def worker(self, prelude: str = "") -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-c", prelude + SERVE]
            self.workers.append(subprocess.Popen(command, env=self.environ(), stderr=log, cwd=self.folder))
        return self.workers[-1]

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def spooled(self) -> list[Path]:
        return sorted((self.settings.state / "spool").glob("*.json"))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with open_store(self.settings.database) as store, store.database.read() as transaction:
            return transaction.rows(text(query))

    def statuses(self) -> dict[str, int]:
        return dict(self.rows("SELECT status, count(*) FROM documents GROUP BY 1"))

    def check_done_without_a_loss(self, documents: int) -> None:
        """Everything done, each stage committed once by a worker that never lost it."""
        assert self.statuses() == {"done": documents}
        assert self.rows("SELECT DISTINCT outcome FROM attempts") == [("committed",)]
        assert self.rows("SELECT count(*) FROM rounds") == [(ROUNDS_PER_DOCUMENT * documents,)]
        assert self.rows("SELECT count(*) FROM documents WHERE faults + expiries + retries + breaks > 0") == [(0,)]
        assert self.spooled() == []


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> float:
    """Wait for it; how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    """The sites of a test; what is left of their workers is ended, by its id."""
    made: list[Site] = []
    yield made
    for site in made:
        for worker in site.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait(10)


def sentences(number: int) -> list[str]:
    return [f"Minister {one} kam" for one in range(number)]


def test_a_worker_whose_engine_hangs_gives_back_and_ends_with_70(tmp_path: Path, sites: list[Site]) -> None:
    hangs = [{"fault": "sleep", "text": "Gift", "seconds": 60}]
    site = Site(tmp_path, [*sentences(3), "Minister Gift kam"], hangs, stuck_seconds=1.0, lease_seconds=3600.0)
    sites.append(site)
    assert site.worker().wait(20) == 70
    assert "eat: the engine has answered nothing for" in site.log()
    assert site.statuses() == {"done": 3, "queued": 1}
    assert site.rows("SELECT outcome FROM attempts WHERE document_id = 4") == [("engine_broken",)]
    assert site.worker().wait(20) == 70
    assert site.rows("SELECT status, error_code FROM documents WHERE id = 4") == [("failed", "poison")]
    assert site.worker().wait(20) == 0  # nothing is left that hangs


def test_a_document_that_breaks_the_engine_ends_as_poison_and_harms_no_other(tmp_path: Path) -> None:
    texts = [*sentences(2), "Minister Gift kam", "Minister 3 kam", "Minister 4 kam"]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"id": one, "text": one}) + "\n" for one in texts))
    # The others are slow: when the engine breaks they have not finished a stage.
    faults = [{"fault": "broken", "text": "Gift"}, {"fault": "sleep", "text": "", "seconds": 0.1}]
    (tmp_path / "script.jsonl").write_text("".join(json.dumps(fault) + "\n" for fault in faults))
    words = ("corpus.jsonl", "--lang", "de", "--engine", "scripted", "--script", "script.jsonl", "--run", "r", "--json")
    given = {name: value for name, value in os.environ.items() if not name.startswith("EAT_")}
    command = [sys.executable, "-m", "eat_worker", "run", *words]
    done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=100)
    assert done.returncode == 3, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["documents"]["done"], found["failures"]) == (4, {"poison": 1})
    settings = load_settings({}, directory=tmp_path, environ={})
    with open_store(settings.database) as store:
        (letter,) = store.operating.iter_dead("r")
        outcomes = [attempt.outcome for attempt in store.reading.dossier(letter.document_id).attempts]
    assert (letter.document.ext_id, outcomes) == ("Minister Gift kam", ["engine_broken", "engine_broken"])


def test_an_engine_that_breaks_in_the_command_itself_ends_it_with_70(tmp_path: Path, sites: list[Site]) -> None:
    site = Site(tmp_path, ["Minister Gift kam"], [{"fault": "broken", "text": "Gift"}])
    sites.append(site)
    command = [sys.executable, "-m", "eat_worker", "worker"]
    done = subprocess.run(command, env=site.environ(), cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (70, "eat: scripted fault: the device is lost")
    assert site.rows("SELECT status, breaks FROM documents") == [("queued", 1)]


def test_a_drain_that_takes_too_long_gives_back_and_ends(tmp_path: Path, sites: list[Site]) -> None:
    slow = [{"fault": "sleep", "text": "", "seconds": 60}]
    site = Site(tmp_path, sentences(2), slow, drain_seconds=1.0, lease_seconds=3600.0)
    sites.append(site)
    worker = site.worker()
    eventually(lambda: site.statuses().get("running") == 2)
    worker.terminate()
    assert worker.wait(10) == 0
    assert site.statuses() == {"queued": 2}
    assert site.rows("SELECT DISTINCT outcome FROM attempts") == [("released",)]
    assert "not done 1 s after it was asked to stop; the current documents are released" in site.log()


SLOW = [{"fault": "sleep", "text": "", "seconds": 0.1}]
IMPATIENT = "import eat_worker.storage.engine as engine; engine.BUSY_SECONDS = 0.1\n"


def test_a_locked_sqlite_file_is_waited_for_with_the_rounds_on_disk(tmp_path: Path, sites: list[Site]) -> None:
    site = Site(tmp_path, sentences(6), SLOW, lease_seconds=1.0)
    sites.append(site)
    worker = site.worker(IMPATIENT)
    eventually(lambda: site.statuses().get("running"))
    with closing(sqlite3.connect(site.settings.state / "eat.db", timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        eventually(site.spooled)
        assert {file.stat().st_mode & 0o777 for file in site.spooled()} == {0o600}
        time.sleep(1.5)  # longer than a lease
        assert len(site.spooled()) <= site.settings.documents_at_once
        assert worker.poll() is None
        other.execute("ROLLBACK")
    committed = "SELECT count(*) FROM attempts WHERE outcome = 'committed'"
    before = site.rows(committed)[0][0]
    assert eventually(lambda: site.rows(committed)[0][0] > before) < 30
    assert worker.wait(60) == 0
    site.check_done_without_a_loss(6)


def test_a_moved_sqlite_file_is_waited_for_and_never_made_anew(tmp_path: Path, sites: list[Site]) -> None:
    site = Site(tmp_path, sentences(6), SLOW)
    sites.append(site)
    worker = site.worker("import eat_worker.storage.engine as engine; engine.CONNECTIONS = 1\n")
    eventually(lambda: site.statuses().get("running"))
    away = tmp_path / "away"
    away.mkdir()
    for file in site.settings.state.glob("eat.db*"):
        file.rename(away / file.name)
    time.sleep(1.0)
    assert not (site.settings.state / "eat.db").exists()
    for file in away.iterdir():
        file.rename(site.settings.state / file.name)
    assert worker.wait(60) == 0
    site.check_done_without_a_loss(6)


@pytest.fixture
def remote(postgres: Any, migrated: str) -> str:
    """The URL of a database of its own on the PostgreSQL of the tests."""
    url: str = postgres.create_database(migrated)
    return url


def test_a_stopped_postgresql_is_waited_for_without_a_restart(
    tmp_path: Path, sites: list[Site], postgres: Any, remote: str
) -> None:
    site = Site(tmp_path, sentences(8), SLOW, database_url=remote, lease_seconds=1.0)
    sites.append(site)
    worker = site.worker()
    eventually(lambda: site.statuses().get("running"))
    postgres.stop(signal.SIGQUIT)
    eventually(site.spooled)
    time.sleep(1.5)  # longer than a lease
    assert worker.poll() is None
    postgres.start()
    committed = "SELECT count(*) FROM attempts WHERE outcome = 'committed'"
    before = site.rows(committed)[0][0]
    assert eventually(lambda: site.rows(committed)[0][0] > before) < 30
    assert worker.wait(60) == 0
    site.check_done_without_a_loss(8)


def test_rounds_of_a_worker_that_is_killed_while_the_database_is_away_are_not_asked_again(
    tmp_path: Path, sites: list[Site], postgres: Any, remote: str
) -> None:
    site = Site(tmp_path, sentences(4), SLOW, database_url=remote, lease_seconds=3600.0)
    sites.append(site)
    worker = site.worker()
    eventually(lambda: site.statuses().get("running"))
    postgres.stop(signal.SIGQUIT)
    eventually(site.spooled)
    spooled = [json.loads(file.read_text(encoding="utf-8")) for file in site.spooled()]
    worker.kill()
    worker.wait(10)
    postgres.start()
    keys = "SELECT document_id, stage, round, attempt FROM rounds"
    before = set(site.rows(keys))
    second = site.worker()
    eventually(lambda: "serving chat." in site.log().rpartition("restart")[2] and not site.spooled())
    kept = {
        (one["lease"]["document_id"], said["stage"], said["round"], one["lease"]["attempt"])
        for one in spooled
        for said in one["rounds"]
    }
    assert kept
    assert kept.isdisjoint(before)
    # What nothing was spooled of is free when its lease runs out, which this test does not wait for.
    with open_store(remote) as store:
        for owner in store.operating.lease_owners():
            if owner.endswith(f"-{worker.pid}"):
                store.operating.expire_leases(owner)
    assert second.wait(60) == 0
    assert kept <= set(site.rows(keys))  # under the attempt of the worker that was killed
    assert site.statuses() == {"done": 4}
    assert "rounds stored from the spool" in site.log()
