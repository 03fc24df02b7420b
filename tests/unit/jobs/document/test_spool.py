import json
import os
import socket
import time

import pytest

from eat_worker.errors import StoreUnavailable
from eat_worker.jobs.document import spool as spooling
from eat_worker.jobs.document.spool import Spool
from eat_worker.jobs.processes import _started
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.method.prompts import prompt_set
from eat_worker.storage.values import Lease

HOST = socket.gethostname()
NOBODY = 2**22 + 1  # above the largest process number there is
PROMPT = prompt_set("restated").prompt(Stage.FORWARD, "think", language="German", text="x").id
ROUND = RoundOutput(
    Stage.FORWARD,
    -1,
    1,
    PROMPT,
    {"text": "Seoul"},
    "서울 = Seoul",
    prompt_tokens=20,
    cached_tokens=8,
    generated_tokens=4,
    seconds=0.5,
    finish_reason="length",
    batch_size=2,
    logprob=-1.5,
    flags=("loop",),
)
SECOND = RoundOutput(Stage.FORWARD, -1, 2, PROMPT, {}, "Seoul")


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "state" / "spool")


@pytest.fixture
def lease(desk):
    desk.add_run()
    return desk.store.queue.claim(1, Stage.FORWARD, "w1", 60).lease


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "state" / "spool").glob("*"))


def left_by(tmp_path, **owner):
    """Make the one file that of another process; its name stays as it is."""
    (file,) = (tmp_path / "state" / "spool").glob("*.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**content, "owner": {**content["owner"], **owner}}), encoding="utf-8")
    return file


def age(file):
    """Nobody touched the file for more than an hour."""
    os.utime(file, (time.time() - 3700, time.time() - 3700))


def test_a_file_is_its_owners_only_and_whole(spool, lease, tmp_path):
    spool.keep(lease, [ROUND])
    (file,) = (tmp_path / "state" / "spool").iterdir()
    assert file.name == f"{HOST}-{os.getpid()}-1-1.json"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["lease"] == {"document_id": 1, "stage": "forward", "attempt": 1, "worker": "w1"}
    assert content["rounds"][0]["output"] == "서울 = Seoul"
    assert spool.size == file.stat().st_size


def test_it_is_synced_before_it_counts(spool, lease, tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(spooling.os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    spool.keep(lease, [ROUND])
    assert len(synced) == 2  # the file and its folder
    assert synced[0] == spool.size


def test_the_same_rounds_are_written_once_and_more_replace_them(spool, lease, tmp_path, monkeypatch):
    writes, real = [], os.fsync
    monkeypatch.setattr(spooling.os, "fsync", lambda descriptor: (writes.append(1), real(descriptor)))
    spool.keep(lease, [])
    assert (spool.size, writes) == (0, [])
    for rounds in ([ROUND], [ROUND], [ROUND, SECOND]):
        spool.keep(lease, rounds)
    assert len(writes) == 4
    assert len(files(tmp_path)) == 1


def test_what_is_stored_leaves_the_spool(spool, lease, tmp_path):
    spool.drop(lease)
    spool.keep(lease, [ROUND])
    spool.keep(Lease(2, Stage.FORWARD, 1, "w1"), [ROUND])
    spool.drop(lease)
    assert files(tmp_path) == [f"{HOST}-{os.getpid()}-2-1.json"]


def test_a_disk_that_refuses_is_only_logged(spool, lease, tmp_path, caplog):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "spool").write_text("no folder")
    spool.keep(lease, [ROUND])
    assert spool.size == 0
    assert "document 1: its rounds stay in memory only" in caplog.text


def test_rounds_of_a_process_that_is_gone_are_stored_and_the_document_is_free(spool, lease, desk, tmp_path):
    spool.keep(lease, [ROUND, SECOND])
    left_by(tmp_path, number=NOBODY)
    assert Spool(tmp_path / "state" / "spool").restore(desk.store) == 1
    assert desk.store.reading.dossier(1).rounds == (ROUND, SECOND)
    assert (desk.status(), desk.attempts()) == ("queued", [("forward", "released")])
    assert files(tmp_path) == []


def test_a_predecessor_of_the_same_number_is_gone_too(spool, lease, desk, tmp_path):
    spool.keep(lease, [ROUND])
    assert Spool(tmp_path / "state" / "spool").restore(desk.store) == 1


def test_a_predecessor_in_a_container_that_was_started_again_is_gone(spool, lease, desk, tmp_path):
    spool.keep(lease, [ROUND])
    left_by(tmp_path, number=1, boot="before")
    assert Spool(tmp_path / "state" / "spool").restore(desk.store) == 1


def test_rounds_of_a_living_process_are_left_alone_whatever_the_file_is_called(spool, lease, desk, tmp_path):
    spool.keep(lease, [ROUND])
    file = left_by(tmp_path, number=os.getppid(), started=_started(os.getppid()))
    file = file.rename(file.with_name(f"{HOST}-{NOBODY}-1-1.json"))
    assert Spool(tmp_path / "state" / "spool").restore(desk.store) == 0
    assert files(tmp_path) == [file.name]


@pytest.mark.parametrize("owner", [{"host": "other-host"}, {"number": os.getppid(), "started": None}])
def test_a_file_whose_owner_may_live_is_taken_only_when_it_is_old(spool, lease, desk, tmp_path, owner):
    spool.keep(lease, [ROUND])
    file = left_by(tmp_path, **owner)
    other = Spool(tmp_path / "state" / "spool")
    assert other.restore(desk.store) == 0
    age(file)
    assert other.restore(desk.store) == 1


def test_a_file_of_an_earlier_release_is_taken_when_it_is_old(spool, lease, desk, tmp_path):
    spool.keep(lease, [ROUND])
    (file,) = (tmp_path / "state" / "spool").glob("*.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    del content["owner"]
    file.write_text(json.dumps(content), encoding="utf-8")
    other = Spool(tmp_path / "state" / "spool")
    assert other.restore(desk.store) == 0
    age(file)
    assert other.restore(desk.store) == 1


def test_a_document_that_went_to_somebody_else_keeps_what_he_says(spool, lease, desk, tmp_path, caplog):
    spool.keep(lease, [ROUND])
    desk.sql("UPDATE documents SET lease_owner = 'w2', attempt = 2")
    caplog.set_level("INFO")
    assert spool.restore(desk.store) == 0
    assert (desk.rounds(), desk.status(), files(tmp_path)) == ([], "running", [])
    assert "dropped from the spool: document 1 is no longer held by w1" in caplog.text


def test_a_file_that_cannot_be_read_is_dropped(spool, lease, desk, tmp_path, caplog):
    spool.keep(lease, [ROUND])
    file = left_by(tmp_path, number=NOBODY)
    file.write_text('{"lease": {}}')
    other = Spool(tmp_path / "state" / "spool")
    assert other.restore(desk.store) == 0
    assert files(tmp_path) == [file.name]  # perhaps a living process of a later release understands it
    age(file)
    assert other.restore(desk.store) == 0
    assert files(tmp_path) == []
    assert "cannot be read and is dropped" in caplog.text


def test_a_database_that_is_still_away_loses_nothing(spool, lease, desk, tmp_path, monkeypatch):
    spool.keep(lease, [ROUND])

    def away(*_):
        raise StoreUnavailable("away")

    monkeypatch.setattr(desk.store.queue, "add_rounds", away)
    with pytest.raises(StoreUnavailable):
        Spool(tmp_path / "state" / "spool").restore(desk.store)
    assert len(files(tmp_path)) == 1


def test_without_a_folder_there_is_nothing_to_restore(spool, desk):
    assert spool.restore(desk.store) == 0
