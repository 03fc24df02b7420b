"""Whether a process of this machine runs, and when that cannot be known."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from eat_worker.jobs import processes
from eat_worker.jobs.processes import is_running, this_process

pytestmark = pytest.mark.skipif(not processes.BOOT_ID.exists(), reason="only Linux says when a process started")


@pytest.fixture
def child():
    """Another process of this machine, at work until the test ends."""
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield started
    started.kill()
    started.wait(10)
    started.stdin.close()


def identity_of(child):
    """The child as it describes itself."""
    return replace(this_process(), number=child.pid, started=processes._started(child.pid))


def test_a_process_runs_until_it_is_gone(child):
    known = identity_of(child)
    assert is_running(this_process()) is True
    assert is_running(known) is True
    child.kill()
    child.wait(10)
    assert is_running(known) is False


def test_another_process_of_the_same_number_is_not_the_one_that_is_gone(child):
    known = identity_of(child)
    assert is_running(replace(known, started=known.started - 1)) is False


def test_of_another_machine_boot_or_container_nothing_is_known():
    here, nobody = this_process(), 2**22 + 1
    for other in ({"host": "other"}, {"boot": "another"}, {"boot": None}):
        assert is_running(replace(here, number=nobody, **other)) is None


def test_without_a_start_time_only_an_absent_number_says_anything(monkeypatch):
    here = this_process()
    assert is_running(replace(here, started=None)) is None
    assert is_running(replace(here, started=None, number=2**22 + 1)) is False
    monkeypatch.setattr(processes, "_started", lambda _: None)
    assert is_running(here) is None


def test_a_command_with_spaces_and_parentheses_hides_no_start_time(tmp_path):
    program = tmp_path / "a) (b c"
    program.symlink_to("/bin/sleep")
    named = subprocess.Popen([program, "60"])
    try:
        assert processes._started(named.pid) >= processes._started(os.getpid())
    finally:
        named.kill()
        named.wait(10)
