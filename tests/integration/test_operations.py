"""A worker as its operator sees it: a real process, its health pages, its metrics and its log."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from eat_worker.jobs.broker.app import open_app
from eat_worker.jobs.broker.messages import TASK, HintPublisher
from eat_worker.jobs.broker.server import EmbeddedServer
from eat_worker.jobs.broker.signing import Signer
from eat_worker.method.document import Stage
from eat_worker.runs.submitting import submit
from eat_worker.settings import Settings, load_settings
from eat_worker.storage.store import open_store
from eat_worker.storage.values import Hint

WORD = "Geheimwort"  # stands in every text of the corpus, and in nothing else
KEY = "a-key-that-nobody-guesses-0123456789"


class ChatServer(BaseHTTPRequestHandler):
    """Answers every chat with one word; a chat about the text with `quoted` in it is refused with its own words."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        refused = "quoted" in body
        choice = {"message": {"content": f"Paris {WORD}"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 2}
        said = (
            {"error": {"input": json.loads(body)["messages"][-1]["content"]}}
            if refused
            else {"choices": [choice], "usage": usage}
        )
        data = json.dumps(said).encode()
        self.send_response(422 if refused else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def chat_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ChatServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Worker:
    """`eat worker` in a process of its own; its log lines as they come."""

    def __init__(self, settings: Settings, folder: Path, **environ: str) -> None:
        given = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EAT_")},
            "EAT_STATE": str(settings.state),
            "EAT_LOG_FORMAT": "json",
            **environ,
        }
        command = [sys.executable, "-m", "eat_worker", "worker", "--name", "w7"]
        self.process = subprocess.Popen(command, cwd=folder, env=given, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def url(self) -> str:
        pattern = re.compile(r"health and metrics at (http://127\.0\.0\.1:\d+)")
        return str(eventually(lambda: next((found[1] for line in self.lines if (found := pattern.search(line))), None)))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def eventually(look: Any, seconds: float = 30.0) -> Any:
    """What `look` finds, waited for."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def submitted(folder: Path, texts: list[str], **given: Any) -> Settings:
    settings = load_settings(
        {"state": folder / "state", "forward": "free", "alignment": "free", **given},
        directory=folder,
        environ={"HOME": str(folder)},
    )
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    submit(settings, corpus, lang="de", dataset="test")
    return settings


def metrics(url: str) -> dict[str, float]:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_a_worker_tells_how_it_is_and_what_it_did_and_its_log_holds_no_word_of_the_corpus(
    tmp_path: Path, chat_server: str
) -> None:
    engine = {"engine": "endpoint", "endpoint_url": chat_server, "endpoint_model": "m"}
    texts = [f"{WORD} eins in Paris", f"{WORD} zwei in Rom", f"{WORD} quoted drei"]
    settings = submitted(tmp_path, texts, **engine, max_faults=1)
    worker = Worker(
        settings,
        tmp_path,
        EAT_ENGINE="endpoint",
        EAT_ENDPOINT_URL=chat_server,
        EAT_ENDPOINT_MODEL="m",
        EAT_MAX_FAULTS="1",
    )
    url = worker.url()
    eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200)
    assert httpx.get(f"{url}/startupz").status_code == httpx.get(f"{url}/livez").status_code == 200

    def all_ended() -> bool:
        with open_store(settings.database) as store:
            return store.reading.count_unfinished([1]) == 0

    eventually(all_ended)
    found = metrics(url)
    assert found['eat_documents_total{lang="de",status="done"}'] == 2
    assert found['eat_documents_total{lang="de",status="failed"}'] == 1
    assert found['eat_rounds_total{finish_reason="stop",stage="forward"}'] == 6
    assert found["eat_generated_tokens_total"] == 2 * sum(
        value for name, value in found.items() if name.startswith("eat_rounds_total")
    )
    assert (found["eat_db_up"], found["eat_broker_up"], found["eat_worker_ready"]) == (1, 1, 1)
    assert worker.stop() == 0

    entries = [json.loads(line) for line in worker.lines if line.startswith("{")]
    told = [entry for entry in entries if "document" in entry]
    assert told
    for entry in told:
        assert (entry["run"], entry["worker"], entry["attempt"]) == (1, "w7", 1)
        assert re.fullmatch(r"[0-9a-f]{12}", entry["fingerprint"])
    assert "(the reply quotes the prompt)" in " ".join(entry["message"] for entry in told)
    assert WORD not in "".join(worker.lines)
    assert "quoted" not in "".join(worker.lines)


def test_a_worker_without_its_broker_is_not_ready_and_lives(tmp_path: Path) -> None:
    settings = submitted(tmp_path, [f"{WORD} eins"], engine="scripted")
    worker = Worker(settings, tmp_path, EAT_ENGINE="scripted", EAT_BROKER_URL="none")
    url = worker.url()
    eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200)
    assert metrics(url)["eat_broker_up"] == 1
    assert worker.stop() == 0


def test_signed_messages_are_taken_and_forged_or_pickled_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    settings = submitted(tmp_path, [f"{WORD} eins"], engine="scripted", message_key_file="key")
    with EmbeddedServer(settings.state) as server:
        url = f"redis+socket://{server.socket}"
        worker = Worker(settings, tmp_path, EAT_ENGINE="scripted", EAT_MESSAGE_KEY_FILE=str(tmp_path / "key"))
        pages = worker.url()
        eventually(lambda: metrics(pages).get('eat_documents_total{lang="de",status="done"}') == 1)
        with open_store(settings.database) as store:
            (queue,) = {*store.reading.run_status()[0].run.spec.queues.values()}
        forged = HintPublisher(open_app(url), Signer("another-key-0123456789"))
        forged.publish([Hint(1, Stage.FORWARD, 9, queue)])
        forged.close()
        eventually(lambda: metrics(pages).get('eat_input_rejected_total{code="not_signed"}') == 1)
        marker = tmp_path / "run-by-pickle"
        app = open_app(url)
        app.conf.update(task_serializer="pickle", accept_content=["pickle", "json"])
        app.send_task(TASK, args=[Bomb(str(marker))], queue=queue, serializer="pickle")
        eventually(lambda: any("pickle" in line.lower() or "Refusing" in line for line in worker.lines))
        assert not marker.exists()
        assert worker.stop() == 0


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")
