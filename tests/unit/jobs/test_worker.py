"""One worker in this process, without a broker: what it says when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from eat_worker.jobs.stopping import PARENT_VARIABLE
from eat_worker.jobs.worker import RESUME, serve
from eat_worker.runs.submitting import submit
from eat_worker.settings import Settings, load_settings
from eat_worker.storage.store import Store, open_store


@pytest.fixture
def queued(tmp_path: Path) -> Settings:
    """Two documents, one of which takes half a second per round."""
    (tmp_path / "script.jsonl").write_text('{"fault": "sleep", "text": "langsam", "seconds": 0.5}\n')
    texts = ("Anna kam", "Sie ging langsam")
    (tmp_path / "c.jsonl").write_text("".join(json.dumps({"text": text, "lang": "de"}) + "\n" for text in texts))
    given = {"engine": "scripted", "script": str(tmp_path / "script.jsonl"), "broker_url": "none"}
    settings = load_settings(given, directory=tmp_path, environ={"HOME": str(tmp_path)})
    submit(settings, tmp_path / "c.jsonl")
    return settings


def stopped_when(settings: Settings, documents: int) -> int:
    """Serve, and send this process SIGTERM as soon as so many documents are done."""
    told: list[bool] = []

    def until(store: Store) -> bool:
        (status,) = store.reading.run_status()
        if status.documents["done"] >= documents and not told:
            told.append(True)
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)).start()
        return False

    return serve(settings, until=until)


def test_a_user_who_stops_it_early_is_told_how_to_go_on(queued: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert stopped_when(queued, 1) == 0
    assert capsys.readouterr().err == f"{RESUME}\n"
    with open_store(queued.database) as store:
        assert store.reading.count_unfinished([1]) == 1


def test_where_nothing_is_left_there_is_nothing_to_go_on_with(
    queued: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stopped_when(queued, 2) == 0
    assert capsys.readouterr().err == ""


def test_a_worker_of_eat_run_leaves_the_advice_to_eat_run(
    queued: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PARENT_VARIABLE, str(os.getppid()))
    assert stopped_when(queued, 1) == 0
    assert capsys.readouterr().err == ""
