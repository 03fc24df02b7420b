import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from eat_worker.errors import ConfigurationError, EngineBroken
from eat_worker.jobs import shutdown as shutdown_module
from eat_worker.jobs.shutdown import PARENT_VARIABLE, Shutdown

CHECKOUT = Path(__file__).resolve().parents[3]
WAITS = """
import sys, time
from eat_worker.jobs.shutdown import Shutdown
with Shutdown() as stop:
    stop.before_forced_end(lambda: (sys.stdout.write("released\\n"), sys.stdout.flush()))
    print("ready", flush=True)
    stop.event.wait()
    if len(sys.argv) > 1:
        time.sleep(30)
sys.exit(stop.exit_code)
"""


def started(*words: str, **environ: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environ},
    )
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=10)
    return process.returncode, out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_one_signal_asks_to_stop(number, code):
    process = started()
    process.send_signal(number)
    assert ended(process) == (code, "")


def test_a_second_signal_releases_and_ends_at_once():
    process = started("slow")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "released\n")


def test_a_worker_stops_when_its_parent_is_gone():
    process = started(**{PARENT_VARIABLE: str(os.getpid() + 1)})
    assert ended(process) == (0, "")


def test_a_worker_with_its_parent_goes_on():
    process = started(**{PARENT_VARIABLE: str(os.getpid())})
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.2)
    process.terminate()
    assert ended(process) == (0, "")


def test_the_handlers_before_are_put_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Shutdown():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_request_is_no_signal():
    with Shutdown() as stop:
        stop.request()
        assert (stop.event.is_set(), stop.signal, stop.exit_code) == (True, None, 0)


def test_the_first_error_is_why_it_stops():
    first, second = ConfigurationError("the key"), ConfigurationError("the model")
    with Shutdown() as stop:
        assert stop.error is None
        stop.fail(first)
        stop.fail(second)
        assert (stop.event.is_set(), stop.error, stop.signal) == (True, first, None)


def test_a_signal_is_remembered():
    with Shutdown() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.event.wait(5)
        assert (stop.signal, stop.exit_code) == (signal.SIGINT, 130)


def test_a_release_that_hangs_does_not_keep_the_process(monkeypatch):
    exits, hang = [], threading.Event()
    monkeypatch.setattr(shutdown_module.os, "_exit", lambda code: (exits.append(code), hang.set()))
    monkeypatch.setattr(shutdown_module, "RELEASE_SECONDS", 0.05)
    with Shutdown() as stop:
        stop.before_forced_end(lambda: hang.wait(5))
        signal.raise_signal(signal.SIGTERM)
        assert stop.event.wait(5)
        signal.raise_signal(signal.SIGTERM)
        assert hang.wait(2)
        time.sleep(0.1)
    assert exits == [0, 0]


class Exits(list):
    """In the place of os._exit: the exit codes, and a way to wait for the first."""

    def __init__(self, monkeypatch):
        self.told = threading.Event()
        monkeypatch.setattr(shutdown_module.os, "_exit", lambda code: (self.append(code), self.told.set()))
        monkeypatch.setattr(shutdown_module, "RELEASE_SECONDS", 60.0)
        monkeypatch.setattr(shutdown_module.threading, "Timer", Daemon)


class Daemon(threading.Timer):
    """A timer that does not keep the tests waiting."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.daemon = True


def test_a_drain_that_takes_too_long_ends_as_a_second_signal_does(monkeypatch, caplog):
    exits, released = Exits(monkeypatch), []
    with Shutdown(drain_seconds=0.1) as stop:
        stop.before_forced_end(lambda: released.append(1))
        signal.raise_signal(signal.SIGTERM)
        assert exits.told.wait(5)
    assert (exits, released, stop.signal) == ([0], [1], signal.SIGTERM)
    assert "not done 0 s after it was asked to stop; the current documents are released" in caplog.text


def test_a_drain_in_time_is_left_alone(monkeypatch):
    exits = Exits(monkeypatch)
    with Shutdown(drain_seconds=0.2) as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.event.wait(5)
    time.sleep(0.3)
    assert (exits, stop.exit_code) == ([], 0)


def test_an_engine_that_broke_is_not_waited_for_long(monkeypatch, capsys):
    exits, released = Exits(monkeypatch), []
    monkeypatch.setattr(shutdown_module, "BROKEN_SECONDS", 0.05)
    with Shutdown() as stop:
        stop.before_forced_end(lambda: released.append(1))
        stop.fail(EngineBroken("illegal address"))
        assert stop.event.is_set()
        assert exits.told.wait(5)
    assert (exits, released, stop.exit_code) == ([70], [1], 70)
    assert capsys.readouterr().err == "eat: illegal address\n"


def test_what_will_never_end_is_ended_at_once(monkeypatch, capsys):
    exits, released = Exits(monkeypatch), []
    with Shutdown() as stop:
        stop.before_forced_end(lambda: released.append(1))
        stop.end(EngineBroken("no answer for 600 s"))
        stop.end(EngineBroken("again"))
    assert (exits, released) == ([70], [1])
    assert capsys.readouterr().err == "eat: no answer for 600 s\n"
