"""Whose leases `eat run` ends: those of workers whose rows say that their process is gone, and nobody else's."""

import os
import socket
from dataclasses import replace

import pytest

from eat_worker.jobs.local import free_the_dead
from eat_worker.jobs.processes import this_process
from eat_worker.method.document import Stage
from eat_worker.settings import load_settings
from eat_worker.storage.values import WorkerSpec

NOBODY = 2**22 + 1  # above the largest process number there is


@pytest.fixture
def settings(tmp_path):
    return load_settings({"database_url": f"sqlite:///{tmp_path / 'eat.db'}"}, directory=tmp_path, environ={})


def register(desk, name, **process):
    spec = WorkerSpec(name, replace(this_process(), **process), ["chat.a"], ["a"], "0.7")
    return desk.store.queue.add_worker(spec)


def is_free(desk, settings, owner):
    """Whether the lease of that owner is ended."""
    desk.add_run()
    assert desk.store.queue.claim(1, Stage.FORWARD, owner, 60)
    free_the_dead(desk.store, settings)
    ((until,),) = desk.sql("SELECT lease_until < (julianday('now') - 2440587.5) * 86400.0 FROM documents")
    return bool(until)


def test_a_worker_whose_process_is_gone_loses_its_leases_whatever_its_name(desk, settings, caplog):
    caplog.set_level("INFO")
    register(desk, "night shift", number=NOBODY)
    assert is_free(desk, settings, "night shift")
    assert "worker night shift is gone; 1 of its documents are free again" in caplog.text


def test_a_living_worker_named_like_a_process_that_is_gone_keeps_its_leases(desk, settings):
    """`eat worker --name HOST-4194001`: its name names no living process, and its row does."""
    name = f"{socket.gethostname()}-{NOBODY}"
    register(desk, name)
    assert not is_free(desk, settings, name)


def test_a_worker_without_a_row_keeps_its_leases_until_they_run_out(desk, settings):
    assert not is_free(desk, settings, f"{socket.gethostname()}-{NOBODY}")


def test_a_process_that_has_the_number_of_a_dead_worker_does_not_keep_its_leases(desk, settings):
    register(desk, "w1", started=this_process().started - 1)
    assert is_free(desk, settings, "w1")


@pytest.mark.parametrize("unknown", [{"host": "other"}, {"boot": "another boot, or another container"}])
def test_a_worker_of_which_nothing_can_be_known_keeps_its_leases(desk, settings, unknown):
    register(desk, "w1", number=NOBODY, **unknown)
    assert not is_free(desk, settings, "w1")


def test_while_one_process_of_a_name_lives_its_leases_may_be_that_ones(desk, settings):
    register(desk, "w1", number=NOBODY)
    register(desk, "w1")
    assert not is_free(desk, settings, "w1")


def test_a_worker_that_ended_holds_nothing(desk, settings):
    desk.store.queue.end_worker(register(desk, "w1"))
    assert is_free(desk, settings, "w1")


def test_on_a_server_only_leases_tell(desk, settings):
    register(desk, "w1", number=NOBODY)
    assert not is_free(desk, replace(settings, database_url="postgresql://h/d"), "w1")
    assert os.getpid() != NOBODY
