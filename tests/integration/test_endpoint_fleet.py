"""A worker on a chat server that many chats share: how many are in flight, and by which model name each is asked."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eat_worker.jobs.worker import serve
from eat_worker.runs.submitting import submit
from eat_worker.settings import load_settings
from eat_worker.storage.store import open_store

CHATS = 64


class Fleet(ThreadingHTTPServer):
    """A chat server that answers nobody until CHATS requests lie before it, and counts what it was asked."""

    request_queue_size = 2 * CHATS
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Chat)
        self.lock = threading.Lock()
        self.full = threading.Event()
        self.in_flight = self.most = 0
        self.models: Counter[str] = Counter()

    def begin(self, model: str) -> None:
        with self.lock:
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
            self.models[model] += 1
            if self.in_flight >= CHATS:
                self.full.set()

    def end(self) -> None:
        with self.lock:
            self.in_flight -= 1


class Chat(BaseHTTPRequestHandler):
    server: Fleet

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.begin(body["model"])
        self.server.full.wait(30)
        self.server.end()
        reply = {"choices": [{"message": {"content": "Oslo (LOC)"}, "finish_reason": "stop"}], "usage": {}}
        data = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_sixty_four_chats_are_in_flight_and_the_adapter_is_asked_by_name(fleet: Fleet, tmp_path: Path) -> None:
    settings = load_settings(
        {
            "engine": "endpoint",
            "endpoint_url": f"http://127.0.0.1:{fleet.server_port}/v1",
            "endpoint_model": "qwen",
            "adapter": "qwen-eacl",
            "adapter_stages": "back_translation",
            "slots": CHATS,
            "broker_url": "none",
            "health_address": "none",
            "forward": "free",
            "alignment": "free",
            "rounds": 1,
        },
        directory=tmp_path,
        environ={"HOME": str(tmp_path)},
    )
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": f"Satz {number} ohne Namen"}) + "\n" for number in range(CHATS + 16)))
    submit(settings, corpus, lang="de")
    assert serve(settings, until=lambda store: store.reading.count_unfinished([1]) == 0) == 0
    assert fleet.full.is_set()
    assert fleet.most == CHATS
    with open_store(settings.database) as store:
        (status,) = store.reading.run_status()
    assert status.documents["done"] == CHATS + 16
    # One round each: forward and extraction by the base, back-translation by the adapter.
    assert fleet.models == {"qwen": 2 * (CHATS + 16), "qwen-eacl": CHATS + 16}
