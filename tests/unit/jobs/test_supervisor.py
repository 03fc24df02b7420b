import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.errors import BrokerUnavailable, ConfigurationError, EngineError
from eat_worker.jobs.shutdown import PARENT_VARIABLE
from eat_worker.jobs.supervisor import RESTARTS, Supervisor, environment
from eat_worker.settings import NAMES, Settings, load_settings
from eat_worker.storage.leases import MAX_EXPIRIES

SLEEPS = "import time; time.sleep(60)"


@pytest.fixture
def given(tmp_path: Path) -> Settings:
    return load_settings({"state": tmp_path / "state"}, directory=tmp_path, environ={"HOME": str(tmp_path)})


def supervisor(settings, code, size=1, **options):
    return Supervisor(settings, size, command=(sys.executable, "-c", code), **options)


def log_files(settings):
    return sorted((settings.state / "logs").glob("worker-*.log"))


def wait_for_end(supervisor):
    deadline = time.monotonic() + 10
    while any(worker.exit_code() is None for worker in supervisor._workers) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_the_variables_give_a_child_exactly_these_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("EAT_SLOTS", "77")
    settings = load_settings(
        {"state": tmp_path / "st ate", "tags": ("PER", "LOC"), "adapter_stages": (), "insecure": True, "slots": 3},
        directory=tmp_path,
        environ={"HOME": str(tmp_path)},
    )
    environ = environment(settings)
    assert load_settings({}, directory=tmp_path / "elsewhere", environ=environ) == settings
    assert environ[PARENT_VARIABLE] == str(os.getpid())
    assert environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_a_secret_read_from_a_file_is_given_by_value(tmp_path):
    (tmp_path / "url").write_text("redis://:geheim@127.0.0.1/0\n")
    given = {"broker_url_file": str(tmp_path / "url")}
    settings = load_settings(given, directory=tmp_path, environ={"HOME": str(tmp_path)})
    again = load_settings({}, directory=tmp_path, environ=environment(settings))
    assert again.broker_url == "redis://:geheim@127.0.0.1/0"
    assert {name for name in NAMES if getattr(settings, name) != getattr(again, name)} <= {"broker_url_file"}


def test_workers_write_to_logs_of_their_own_and_are_told_to_stop(given):
    says = "import os, sys, time; print('working', flush=True); time.sleep(60)"
    with supervisor(given, says, size=2) as both:
        deadline = time.monotonic() + 10
        while any(path.stat().st_size == 0 for path in log_files(given)) and time.monotonic() < deadline:
            time.sleep(0.01)
        both.check()
    assert [path.read_text() for path in log_files(given)] == ["working\n", "working\n"]
    assert [path.stat().st_mode & 0o777 for path in log_files(given)] == [0o600, 0o600]
    assert [worker.exit_code() for worker in both._workers] == [-signal.SIGTERM] * 2


def test_a_killed_worker_is_started_again(given, caplog):
    revived = []
    with supervisor(given, SLEEPS, revive=lambda: revived.append(1)) as one:
        one._workers[0].send(signal.SIGKILL)
        wait_for_end(one)
        one.check()
        assert one._workers[0].exit_code() is None
    assert revived == [1]
    assert "a worker ended (SIGKILL); starting it again" in caplog.text


def test_a_worker_that_was_stopped_from_outside_is_started_again(given, caplog):
    with supervisor(given, "") as one:
        wait_for_end(one)
        one.check()
    assert "another process ended it" in caplog.text


def test_a_worker_whose_engine_broke_is_started_again(given, caplog):
    with supervisor(given, "import sys; sys.exit(70)") as one:
        wait_for_end(one)
        one.check()
    assert "a worker ended (its engine broke or was stuck); starting it again" in caplog.text


def test_workers_that_keep_dying_are_given_up(given):
    with supervisor(given, "import os; os.kill(os.getpid(), 9)") as one:
        for _ in range(RESTARTS):
            wait_for_end(one)
            one.check()
        wait_for_end(one)
        told = r"killed 11 times in a row and finished nothing; its last lines are in .*worker-.*\.log"
        with pytest.raises(EngineError, match=told):
            one.check()


def test_deaths_with_work_done_between_are_not_counted(given):
    done = []
    with supervisor(given, "import os; os.kill(os.getpid(), 9)", progress=lambda: len(done)) as one:
        for number in range(2 * RESTARTS):
            wait_for_end(one)
            if number % RESTARTS == RESTARTS - 1:
                done.append(number)
            one.check()
    assert len(done) == 2


def test_a_document_that_kills_can_be_found_out_before_the_worker_is_given_up():
    assert RESTARTS > MAX_EXPIRIES


@pytest.mark.parametrize(
    ("code", "kind"), [(78, ConfigurationError), (69, BrokerUnavailable), (1, EngineError), (3, EngineError)]
)
def test_a_worker_that_gives_up_is_quoted(given, code, kind):
    with (
        supervisor(given, f"import sys; sys.stderr.write('eat: the model is missing\\n\\n'); sys.exit({code})") as one,
    ):
        wait_for_end(one)
        with pytest.raises(kind, match=r"the worker gave up: the model is missing; see .*worker-.*\.log"):
            one.check()


def test_a_second_signal_reaches_the_workers_twice(given):
    counts = (
        "import signal, sys, time; seen = []\n"
        "signal.signal(15, lambda *_: (seen.append(1), len(seen) > 1 and sys.exit(0)))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.01)"
    )
    with supervisor(given, counts) as one:
        deadline = time.monotonic() + 10
        while log_files(given)[0].stat().st_size == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        one._workers[0].send(signal.SIGTERM)
        time.sleep(0.1)
        one.end_now()
        wait_for_end(one)
        assert one._workers[0].exit_code() == 0


def test_an_import_path_that_was_set_is_kept(given, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    path = environment(replace(given))["PYTHONPATH"]
    assert path.endswith("/somewhere")
