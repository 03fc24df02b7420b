"""The whole queue with real processes: a worker, a Valkey server, SQLite, and what kills them.

The engine is the scripted one, slowed down where a fault must strike in the middle. Every wait ends by itself.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from eat_worker.errors import BrokerUnavailable, ConfigurationError
from eat_worker.jobs.broker.app import open_app
from eat_worker.jobs.broker.connection import use_broker
from eat_worker.jobs.broker.messages import HintPublisher
from eat_worker.jobs.broker.server import EmbeddedServer, ask_server
from eat_worker.jobs.local import Finished, run_until_done
from eat_worker.jobs.shutdown import PARENT_VARIABLE
from eat_worker.jobs.supervisor import environment
from eat_worker.runs.submitting import submit
from eat_worker.settings import Settings, load_settings
from eat_worker.storage.store import open_store

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
ROUNDS_PER_DOCUMENT = 10  # 3 forward, 1 extract, 3 backward (the entity is spelled otherwise), 3 back-translation


class Site:
    """One state folder: settings, a run in it, and a look at its rows."""

    def __init__(self, folder: Path, documents: int, *, seconds: float = 0.0, **settings: Any) -> None:
        script, corpus = folder / "script.jsonl", folder / "corpus.jsonl"
        lines, records = [], []
        for number in range(documents):
            text = f"Minister {number} fuhr nach Seoel"
            lines.append(
                {"text": text, "english": f"Minister {number} went to Seoul", "entities": [["Seoul", "LOC", "Seoel"]]}
            )
            records.append({"id": f"d{number}", "text": text, "entities": [{"start": 10, "end": 14, "tag": "LOC"}]})
        if seconds:
            lines.append({"fault": "sleep", "text": "", "seconds": seconds})
        script.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        corpus.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        given = {"engine": "scripted", "script": str(script), "forward": "free", "alignment": "free", **settings}
        self.settings: Settings = load_settings(
            {"state": folder / "state", **given}, directory=folder, environ={"HOME": str(folder)}
        )
        self.documents = documents
        self.name = submit(self.settings, corpus, lang="de", dataset="test").run
        with open_store(self.settings.database) as store:
            self.run_id = store.runs.get_run(self.name).id

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.settings.state / "eat.db", timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def statuses(self) -> dict[str, int]:
        return dict(self.rows("SELECT status, count(*) FROM documents GROUP BY 1"))

    def rounds(self) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Every stored round: its key, and what would change were it asked again."""
        rows = self.rows("SELECT document_id, stage, entity, round, attempt, created_at, output FROM rounds")
        return {row[:4]: row[4:] for row in rows}

    def check_all_done(self) -> None:
        """Every document done, each stage committed once, each round there once."""
        assert self.statuses() == {"done": self.documents}
        commits = self.rows("SELECT count(*) FROM attempts WHERE outcome = 'committed' GROUP BY document_id, stage")
        assert commits == [(1,)] * (5 * self.documents)
        assert len(self.rounds()) == ROUNDS_PER_DOCUMENT * self.documents

    def worker(self, prelude: str = "", **environ: str) -> subprocess.Popen[bytes]:
        """A worker process of this site that ends when the run is done; `prelude` is executed in it first."""
        given = {**environment(self.settings), **environ}
        del given[PARENT_VARIABLE]
        log = (self.settings.state / "worker.log").open("ab")
        with log:
            command = [sys.executable, "-c", prelude + SERVE]
            return subprocess.Popen(command, env=given, stderr=log, cwd=self.settings.state)

    def log(self) -> str:
        return (self.settings.state / "worker.log").read_text()

    def run(self, on_progress: Callable[[Any], None] = lambda _: None) -> Finished:
        return run_until_done(self.settings, [self.run_id], on_progress=on_progress)


def workers_of_this_process() -> list[psutil.Process]:
    """Not every child: other tests of the session may have a PostgreSQL running."""
    return [child for child in psutil.Process().children() if "eat_worker" in child.cmdline()]


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of a test; whatever of them, or of the server they shared, is left is ended, by its id."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(10)
    if ask_server(tmp_path / "state" / "broker.sock") == "ready":
        with EmbeddedServer(tmp_path / "state"):
            pass


def test_a_run_goes_from_rows_to_results_once(tmp_path):
    site = Site(tmp_path, 30)
    seen = []
    finished = site.run(seen.append)
    assert (finished.signal, finished.counts.ended, finished.counts.total) == (None, 30, 30)
    site.check_all_done()
    assert seen[-1] == finished.counts
    assert not (site.settings.state / "broker.sock").exists()
    assert len(list((site.settings.state / "logs").glob("worker-*.log"))) == 1
    # Most documents need one message and one claim: every stage but the first went on under the same worker.
    assert site.rows("SELECT count(DISTINCT worker) FROM attempts") == [(1,)]
    before = site.rounds()
    assert site.run().counts.ended == 30
    assert site.rounds() == before


def test_without_a_broker_the_same_work_is_done_in_this_process(tmp_path):
    site = Site(tmp_path, 20, broker_url="none")
    finished = site.run()
    assert (finished.signal, finished.counts.ended) == (None, 20)
    site.check_all_done()
    assert not list(site.settings.state.glob("broker*"))


def test_without_a_broker_celery_is_never_imported(tmp_path):
    site = Site(tmp_path, 2, broker_url="none")
    program = SERVE.replace("sys.exit(serve(", "code = serve(").replace("== 0))", "== 0)")
    program += "\nsys.exit(code or ('celery' in sys.modules) or ('kombu' in sys.modules))"
    given = environment(site.settings)
    subprocess.run([sys.executable, "-c", program], env=given, cwd=site.settings.state, check=True, timeout=30)
    site.check_all_done()


def test_an_error_of_the_pool_ends_the_run(tmp_path):
    site = Site(tmp_path, 2, broker_url="none")
    site.rows("SELECT 1")
    with closing(sqlite3.connect(site.settings.state / "eat.db")) as connection:
        connection.execute("ALTER TABLE attempts RENAME TO lost")
    with pytest.raises(ConfigurationError, match="attempts"):
        site.run()


def test_no_stored_round_is_asked_again_after_kill_9(tmp_path, started):
    site = Site(tmp_path, 12, seconds=0.05, lease_seconds=1.0)
    with EmbeddedServer(site.settings.state):
        started.append(site.worker())
        eventually(lambda: len(site.rounds()) >= 40)
        started[0].kill()
        started[0].wait(10)
        stored = site.rounds()
        assert site.statuses().get("running", 0) > 0
        started.append(site.worker())
        assert started[1].wait(30) == 0
    site.check_all_done()
    after = site.rounds()
    assert {key: after[key] for key in stored} == stored
    assert site.rows("SELECT count(*) FROM attempts WHERE outcome = 'expired'")[0][0] > 0


def test_a_killed_worker_of_a_run_is_replaced_and_nobody_waits_for_its_leases(tmp_path):
    site = Site(tmp_path, 16, seconds=0.08, lease_seconds=3600.0)
    killed = []

    def kill_once(_counts):
        workers = [child for child in psutil.Process().children() if "worker" in child.cmdline()]
        if not killed and workers and site.statuses().get("running"):
            killed.append(workers[0].pid)
            os.kill(workers[0].pid, signal.SIGKILL)

    assert site.run(kill_once).counts.ended == 16
    assert len(killed) == 1
    site.check_all_done()


def test_sigterm_drains_at_a_round(tmp_path, started):
    site = Site(tmp_path, 12, seconds=0.2)
    started.append(site.worker())
    eventually(lambda: len(site.rounds()) >= 10)
    started[0].terminate()
    began = time.monotonic()
    assert started[0].wait(30) == 0
    # A round lasts 0.2 s, the end of a process up to 6 s on a loaded machine, and a drain may take 600 s.
    assert time.monotonic() - began < 15
    assert "queued" in site.statuses()
    assert set(site.statuses()) <= {"queued", "done"}
    assert site.rows("SELECT count(*) FROM attempts WHERE ended_at IS NULL") == [(0,)]
    assert site.rows("SELECT count(*) FROM attempts WHERE outcome NOT IN ('committed', 'released')") == [(0,)]
    assert "to continue: eat worker" in site.log()


def test_ctrl_c_is_130_and_twice_is_at_once(tmp_path, started):
    site = Site(tmp_path, 4, seconds=20.0)
    started.append(site.worker())
    eventually(lambda: site.statuses().get("running", 0) == 4)
    started[0].send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert started[0].poll() is None
    started[0].send_signal(signal.SIGINT)
    assert started[0].wait(5) == 130
    assert site.statuses() == {"queued": 4}
    assert site.rows("SELECT DISTINCT outcome FROM attempts") == [("released",)]
    with use_broker(site.settings):  # found running: its last owner ended without leaving
        pass


def test_a_signal_ends_a_run_and_its_worker(tmp_path):
    site = Site(tmp_path, 12, seconds=0.1)

    def interrupt(_counts):
        if site.statuses().get("running"):
            signal.raise_signal(signal.SIGINT)

    finished = site.run(interrupt)
    assert finished.signal == signal.SIGINT
    assert set(site.statuses()) <= {"queued", "done"}
    assert workers_of_this_process() == []
    assert finished.counts.ended < 12


def test_a_signal_ends_a_run_without_broker(tmp_path):
    site = Site(tmp_path, 12, seconds=0.1, broker_url="none")

    def interrupt(_counts):
        if site.statuses().get("running"):
            signal.raise_signal(signal.SIGTERM)

    assert site.run(interrupt).signal == signal.SIGTERM
    assert set(site.statuses()) <= {"queued", "done"}


def test_a_paused_run_is_not_waited_for(tmp_path):
    site = Site(tmp_path, 4, seconds=0.2, broker_url="none")

    def pause(_counts):
        with closing(sqlite3.connect(site.settings.state / "eat.db", timeout=30)) as connection, connection:
            connection.execute("UPDATE runs SET state = 'paused'")

    finished = site.run(pause)
    assert (finished.signal, finished.counts.open, finished.counts.total) == (None, False, 4)


def test_the_queue_survives_its_broker(tmp_path, started):
    """Everything flushed, then the server killed again and again: the worker starts it anew and goes on."""
    site = Site(tmp_path, 30, seconds=0.02)
    started.append(site.worker())
    eventually(lambda: site.statuses().get("done", 0) >= 2)
    _redis(site).flushall()
    for done in (6, 10):
        eventually(lambda enough=done: site.statuses().get("done", 0) >= enough)
        _kill_server(site)
    assert started[0].wait(40) == 0
    site.check_all_done()


def test_a_celery_worker_that_dies_is_started_again_with_the_same_engine(tmp_path, started):
    site = Site(tmp_path, 30, seconds=0.02)
    breaks = """
import celery.worker.consumer.consumer as consumer
def once(self, error, real=consumer.Consumer.on_connection_error_after_connected, broken=[]):
    if not broken:
        broken.append(1)
        raise AttributeError("'NoneType' object has no attribute 'hostname'")
    return real(self, error)
consumer.Consumer.on_connection_error_after_connected = once
"""
    started.append(site.worker(breaks))
    eventually(lambda: site.statuses().get("done", 0) >= 5)
    _kill_server(site)
    assert started[0].wait(40) == 0
    site.check_all_done()
    assert site.log().count("Celery's worker ended by itself") == 1
    assert site.log().count("serving chat.") == 1


def _kill_server(site: Site) -> None:
    eventually(lambda: ask_server(site.settings.state / "broker.sock") == "ready")
    os.kill(int((site.settings.state / "broker.pid").read_text()), signal.SIGKILL)


def _redis(site: Site) -> Any:
    import redis

    return redis.Redis(unix_socket_path=str(site.settings.state / "broker.sock"))


def test_a_hint_that_vanished_between_broker_and_worker_is_sent_again(tmp_path, started):
    """The hole of BRPOP: a message taken from the queue and never seen again, long before the worker came."""
    site = Site(tmp_path, 2)
    with EmbeddedServer(site.settings.state), open_store(site.settings.database) as store:
        assert len(store.queue.take_hints(10, window=10, stale_after=60)) == 2  # marked as sent, and not sent
        started.append(site.worker())
        assert started[0].wait(20) == 0
    site.check_all_done()


def test_two_workers_share_a_run_and_the_window_holds(tmp_path, started):
    site = Site(tmp_path, 24, seconds=0.02, window=4, concurrency=3)
    with use_broker(site.settings) as broker:
        publisher = HintPublisher(open_app(broker.url))
        name = json.loads(site.rows("SELECT queues_json FROM runs")[0][0])["forward"]
        started += [site.worker(), site.worker()]
        lying = []
        while started[0].poll() is None or started[1].poll() is None:
            lying.append(publisher.waiting(name))
            time.sleep(0.05)
        publisher.close()
    assert [process.returncode for process in started] == [0, 0]
    assert 0 < max(lying) <= 4
    site.check_all_done()
    assert site.rows("SELECT count(DISTINCT worker) FROM attempts") == [(2,)]


def test_a_worker_of_another_model_takes_nothing(tmp_path, started):
    site = Site(tmp_path, 3)
    other = tmp_path / "other.jsonl"
    other.write_text("")
    started.append(site.worker(EAT_SCRIPT=str(other)))
    eventually(lambda: "serving chat." in site.log())
    time.sleep(1.0)
    started[0].terminate()
    assert started[0].wait(10) == 0
    assert site.statuses() == {"queued": 3}
    assert site.rows("SELECT count(*) FROM attempts") == [(0,)]


def test_messages_of_strangers_change_nothing(tmp_path, started):
    site = Site(tmp_path, 6, seconds=0.05)
    with use_broker(site.settings) as broker:
        app = open_app(broker.url)
        started.append(site.worker())
        eventually(lambda: site.statuses().get("running", 0) > 0)
        queue = site.rows("SELECT queues_json FROM runs")[0][0]
        name = json.loads(queue)["forward"]
        with app.connection_for_write() as connection:
            app.send_task("eat.advance", args=["seven", "forward", 0], queue=name, connection=connection)
            app.send_task("eat.advance", args=[10**9, "forward", 0], queue=name, connection=connection)
            app.send_task("eat.unknown", args=[], queue=name, connection=connection)
            app.send_task("eat.advance", args=[1, "forward", 0], queue=name, connection=connection, serializer="pickle")
        assert started[0].wait(30) == 0
    site.check_all_done()
    assert "ContentDisallowed" in site.log()


def test_a_worker_without_its_broker_is_refused_at_once(tmp_path):
    site = Site(tmp_path, 1, broker_url=f"redis+socket://{tmp_path}/nothing.sock")
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        site.run()


def test_a_worker_that_cannot_start_is_quoted(tmp_path):
    site = Site(tmp_path, 1)
    Path(site.settings.script).unlink()
    with pytest.raises(ConfigurationError, match="script"):
        site.run()


class Refusing(ThreadingHTTPServer):
    """A chat server that takes no key; `asked` counts the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RefusingHandler)
        self.asked = 0

    @property
    def settings(self) -> dict[str, str]:
        """What makes it the engine of a run; nobody resolves its name or starts it."""
        url = f"http://127.0.0.1:{self.server_port}"
        return {"engine": "endpoint", "endpoint_url": url, "endpoint_model": "m", "endpoint_grammar": "llama"}


class RefusingHandler(BaseHTTPRequestHandler):
    server: Refusing

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def refusing() -> Iterator[Refusing]:
    with Refusing() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def eat_worker(site: Site, **environ: str) -> subprocess.CompletedProcess[str]:
    """`eat worker` on the site, to its end."""
    given = {**environment(site.settings), **environ}
    del given[PARENT_VARIABLE]
    command = [sys.executable, "-m", "eat_worker", "worker"]
    return subprocess.run(
        command, env=given, cwd=site.settings.state, capture_output=True, text=True, timeout=60, check=False
    )


def check_nothing_lost(site: Site, reason: str) -> None:
    """Every document waits for another worker, and none of them pays for this one."""
    assert site.statuses() == {"queued": site.documents}
    assert site.rows("SELECT DISTINCT faults, expiries, error_code FROM documents") == [(0, 0, None)]
    assert site.rows("SELECT DISTINCT outcome FROM attempts") == [("released",)]
    # A document taken just before the first refusal is given back unasked.
    reasons = {error for (error,) in site.rows("SELECT error FROM attempts")}
    assert reason in reasons
    assert reasons <= {reason, "the worker was asked to stop"}


REFUSED = "the model server refused the key; set endpoint_key_file"


@pytest.mark.parametrize("broker", ["", "none"])
def test_a_worker_whose_key_is_refused_ends_and_its_documents_wait(tmp_path, refusing, broker):
    site = Site(tmp_path, 3, broker_url=broker, **refusing.settings, concurrency=1)
    done = eat_worker(site)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines()[-1] == f"eat: {REFUSED}"
    assert "this worker cannot continue" in done.stderr
    assert "to continue: eat worker" not in done.stderr
    assert refusing.asked == 1
    check_nothing_lost(site, REFUSED)


def test_a_worker_that_cannot_bind_answers_ends_at_the_first_bound_run(tmp_path, refusing):
    site = Site(tmp_path, 2, broker_url="none", forward="bound", **refusing.settings, concurrency=1)
    done = eat_worker(site, EAT_ENDPOINT_GRAMMAR="none")
    assert done.returncode == 78
    reason = (
        "the method binds answers to the text and this endpoint is not set up for that; set endpoint_grammar to llama "
        "or vllm, or submit with --forward free --alignment free"
    )
    assert done.stderr.splitlines()[-1] == f"eat: {reason}"
    assert refusing.asked == 0
    check_nothing_lost(site, reason)


@pytest.mark.parametrize("broker", ["", "none"])
def test_a_run_whose_key_is_refused_says_so(tmp_path, refusing, broker):
    site = Site(tmp_path, 6, broker_url=broker, **refusing.settings)
    with pytest.raises(ConfigurationError, match=REFUSED):
        site.run()
    check_nothing_lost(site, REFUSED)
    assert workers_of_this_process() == []


def test_a_document_that_kills_its_worker_ends_as_poison_and_harms_no_other(tmp_path):
    texts = [f"Minister {number} kam" for number in range(4)]
    texts.insert(2, "Minister Gift kam")
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"id": text, "text": text}) + "\n" for text in texts))
    # The others are slow: each time the worker dies they have not finished a round.
    faults = [{"fault": "crash", "text": "Gift"}, {"fault": "sleep", "text": "", "seconds": 0.3}]
    (tmp_path / "script.jsonl").write_text("".join(json.dumps(fault) + "\n" for fault in faults))
    words = ("corpus.jsonl", "--lang", "de", "--engine", "scripted", "--script", "script.jsonl", "--lease-seconds", "1")
    given = {name: value for name, value in os.environ.items() if not name.startswith("EAT_")}
    command = [sys.executable, "-m", "eat_worker", "run", *words, "--run", "r", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=100)
    assert done.returncode == 3, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["documents"]["done"], found["failures"]) == (4, {"poison": 1})
    settings = load_settings({}, directory=tmp_path, environ={})
    with open_store(settings.database) as store:
        assert [letter.document.ext_id for letter in store.operating.iter_dead("r")] == ["Minister Gift kam"]
