"""Doctor: pieces that no command shows on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eat_worker.runs import checking
from eat_worker.runs.checking import Check, doctor
from eat_worker.settings import Settings


def by_name(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in doctor(settings)}


def test_graphics_cards_are_named_as_the_driver_lists_them(tmp_path: Path) -> None:
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t NVIDIA H200\nIRQ: 5\n")
    assert list(checking._gpus(tmp_path)) == ["NVIDIA H200"]
    assert list(checking._gpus(tmp_path / "absent")) == []


def test_a_missing_engine_says_what_to_install(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check = by_name(settings)["engine"]
    assert (check.ok, check.fix) == (False, "pip install 'eat_worker[local]'")


def test_a_model_that_is_here_is_named_with_its_size(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"x" * 2_000_000)
    check = by_name(replace(settings, model=str(tmp_path / "m.gguf")))["model"]
    assert check.ok
    assert "m.gguf (2 MB)" in check.detail


def test_an_endpoint_is_named_without_its_password(settings: Settings) -> None:
    check = by_name(replace(settings, engine="endpoint", endpoint_url="https://u:canary@h/v1", endpoint_model="qwen"))[
        "model"
    ]
    assert check.ok
    assert check.detail == "qwen at https://u:***@h/v1"


class ChatServer(ThreadingHTTPServer):
    """Answers every request alike, and remembers path and key of the last one."""

    status = 200
    body = b""
    asked: tuple[str, str | None] = ("", None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, ChatServer)
        self.server.asked = (self.path, self.headers.get("Authorization"))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *said: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(("127.0.0.1", 0), Handler) as server:
        server.body = b'{"data": [{"id": "qwen"}, {"id": "other"}]}'
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def remote(settings: Settings, server: ChatServer) -> Settings:
    return replace(settings, engine="endpoint", endpoint_url=server.url, endpoint_model="qwen", endpoint_grammar="vllm")


@pytest.mark.parametrize("written_behind", ["", "/", "/v1", "/v1/"])
def test_a_chat_server_is_asked_for_its_models(remote: Settings, server: ChatServer, written_behind: str) -> None:
    check = by_name(replace(remote, endpoint_url=server.url + written_behind))["engine"]
    assert (check.ok, check.detail) == (True, "endpoint, answers")
    assert server.asked == ("/v1/models", None)


def test_the_key_is_sent_and_not_shown(remote: Settings, server: ChatServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("canary\n")
    server.status = 401
    url = server.url.replace("://", "://user:kanarie@")
    check = by_name(replace(remote, endpoint_url=url, endpoint_key_file=str(tmp_path / "key")))["engine"]
    assert server.asked == ("/v1/models", "Bearer canary")
    assert (check.ok, check.fix) == (False, "set EAT_ENDPOINT_KEY_FILE")
    assert check.detail == f"the model server {url.replace('kanarie', '***')} refuses the key"


def test_a_chat_server_that_is_away_is_told(settings: Settings) -> None:
    away = replace(settings, engine="endpoint", endpoint_url="http://u:canary@127.0.0.1:9/v1", endpoint_model="qwen")
    check = by_name(away)["engine"]
    assert (check.ok, check.fix) == (False, "start it, or correct EAT_ENDPOINT_URL")
    assert check.detail.startswith("the model server http://u:***@127.0.0.1:9/v1 does not answer (")
    assert "canary" not in check.detail


@pytest.mark.parametrize("url", ["no url", "ftp://127.0.0.1/", "http://127.0.0.1:port/"])
def test_an_address_that_is_none_is_told(settings: Settings, url: str) -> None:
    check = by_name(replace(settings, engine="endpoint", endpoint_url=url, endpoint_model="qwen"))["engine"]
    assert (check.ok, check.fix) == (False, "start it, or correct EAT_ENDPOINT_URL")


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (404, b"", "endpoint, answers; it does not list its models"),
        (200, b"<html>", "endpoint, answers; it does not list its models"),
        (200, b"[]", "endpoint, answers; it does not list its models"),
        (200, b'{"data": [{"id": "/m.gguf"}]}', "endpoint, answers; it lists /m.gguf and not qwen"),
    ],
)
def test_what_a_chat_server_may_say(
    remote: Settings, server: ChatServer, status: int, body: bytes, detail: str
) -> None:
    server.status, server.body = status, body
    check = by_name(remote)["engine"]
    assert (check.ok, check.detail) == (True, detail)


def test_a_chat_server_in_trouble_is_told(remote: Settings, server: ChatServer) -> None:
    server.status = 503
    check = by_name(remote)["engine"]
    assert (check.ok, check.detail) == (False, f"the model server {server.url} says 503")


def test_a_chat_server_that_cannot_bind_answers_is_noted(remote: Settings) -> None:
    unbound = replace(remote, endpoint_grammar="none")
    check = by_name(unbound)["engine"]
    assert check.ok
    assert "endpoint_grammar is none, so only runs with --forward free --alignment free can be served" in check.detail
    assert by_name(replace(unbound, forward="free", alignment="free"))["engine"].detail == "endpoint, answers"
    assert by_name(replace(unbound, method="direct"))["engine"].detail == "endpoint, answers"


def test_a_disk_without_room_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1_000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    assert by_name(settings)["disk"].ok is False


def test_a_fault_nobody_foresaw_becomes_a_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr("shutil.disk_usage", broken)
    check = by_name(settings)["disk"]
    assert (check.ok, check.detail) == (False, "RuntimeError: surprise")
