"""Secrets stay secret: canaries are planted in every place that holds one, and looked for in all that comes out.

Every command is driven into success or error with each of them, as text, as JSON, with tracebacks and at debug level;
its output, the whole state folder (log, database, broker's files, quarantine) and the chat server's view are searched.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from eat_worker.cli import main

CLOSED = "127.0.0.1:1"  # nothing listens there
# What stands where. None of these words is anything else's.
CANARIES = {
    name: f"canary{number:02d}{name.replace('_', '')}/x"
    for number, name in enumerate(
        (
            "database_authority",
            "database_query",
            "database_ssl",
            "database_option",
            "database_toml",
            "database_file",
            "broker_authority",
            "broker_toml",
            "broker_file",
            "endpoint_authority",
            "endpoint_query",
            "endpoint_key",
            "message_key",
            "hub_authority",
        ),
        start=1,
    )
}


def q(name: str) -> str:
    """A canary as a URL spells it."""
    return quote(CANARIES[name], safe="")


DATABASE = f"postgresql://eat:{q('database_authority')}@{CLOSED}/eat"
# Each place by what puts a canary there: variables, eat.toml, files, options.
PLACES: dict[str, dict[str, object]] = {
    "database URL": {"environ": {"EAT_DATABASE_URL": DATABASE, "EAT_BROKER_URL": "none"}},
    "database query": {
        "environ": {
            "EAT_DATABASE_URL": f"postgresql://eat@{CLOSED}/eat?password={q('database_query')}&sslpassword={q('database_ssl')}"
        }
    },
    "database option": {"options": ["--database-url", f"postgresql://eat:{q('database_option')}@{CLOSED}/eat"]},
    "database in eat.toml": {"toml": f'database_url = "postgresql://eat:{q("database_toml")}@{CLOSED}/eat"'},
    "database file": {"files": {"EAT_DATABASE_URL_FILE": f"postgresql://eat:{q('database_file')}@{CLOSED}/eat"}},
    "a database that is no URL": {"environ": {"EAT_DATABASE_URL": f"postgres//eat:{q('database_authority')}@h"}},
    "a database elsewhere": {
        "environ": {"EAT_DATABASE_URL": f"postgresql://eat:{q('database_authority')}@db.invalid/eat"}
    },
    "broker URL": {"environ": {"EAT_BROKER_URL": f"redis://:{q('broker_authority')}@{CLOSED}/0"}},
    "amqp broker": {"environ": {"EAT_BROKER_URL": f"amqp://eat:{q('broker_authority')}@{CLOSED}//"}},
    "broker in eat.toml": {"toml": f'broker_url = "redis://:{q("broker_toml")}@{CLOSED}/0"'},
    "broker file": {"files": {"EAT_BROKER_URL_FILE": f"redis://:{q('broker_file')}@{CLOSED}/0"}},
    "endpoint": {
        "environ": {
            "EAT_ENGINE": "endpoint",
            "EAT_ENDPOINT_URL": f"http://u:{q('endpoint_authority')}@{CLOSED}/v1?api_key={q('endpoint_query')}",
            "EAT_ENDPOINT_MODEL": "m",
            "EAT_ENDPOINT_GRAMMAR": "vllm",
            "EAT_BROKER_URL": "none",
        },
        "files": {"EAT_ENDPOINT_KEY_FILE": CANARIES["endpoint_key"]},
    },
    "keys of messages and hub": {
        "environ": {"EAT_HUB_URL": f"http://u:{q('hub_authority')}@{CLOSED}", "EAT_ENGINE": "scripted"},
        "files": {"EAT_MESSAGE_KEY_FILE": CANARIES["message_key"]},
    },
}
COMMANDS = (
    ["config"],
    ["doctor"],
    ["status"],
    ["report"],
    ["show", "1"],
    ["db", "check"],
    ["db", "upgrade"],
    ["db", "backup"],
    ["submit", "corpus.jsonl", "--lang", "de"],
    ["run", "corpus.jsonl", "--lang", "de"],
    ["annotate", "corpus.jsonl", "--lang", "de"],
    ["worker", "--model", "no-such-model"],
    ["model", "list"],
    ["model", "pull", "smollm2-135m-instruct"],
    ["model", "verify", "smollm2-135m-instruct"],
    ["completion", "bash"],
    ["nonsense"],
    ["status", "--no-such-option"],
)
WAYS = (["--debug", "--log-level", "debug"], ["--json", "--log-format", "json"])


def canaries_in(data: bytes | str) -> list[str]:
    """The canaries that stand in the data: as they are, as a URL or JSON spells them, in base64."""
    text = data if isinstance(data, str) else data.decode("utf-8", errors="replace")
    found = []
    for name, canary in CANARIES.items():
        spelled = (
            canary,
            quote(canary, safe=""),
            canary.replace("/", r"\/"),
            base64.b64encode(canary.encode()).decode()[:-4],
        )
        if any(word in text for word in spelled):
            found.append(name)
    return found


def test_the_search_itself_finds_what_it_looks_for() -> None:
    assert len(CANARIES) >= 12
    assert canaries_in("x" + CANARIES["broker_file"]) == ["broker_file"]
    assert canaries_in(q("endpoint_key").encode()) == ["endpoint_key"]
    assert canaries_in(json.dumps(CANARIES["database_ssl"])) == ["database_ssl"]


@pytest.fixture
def planted(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, list[str]]]:
    """A folder with a corpus and one place's canaries in it; the options that belong to the place."""
    place = PLACES[request.param]
    for name in [name for name in os.environ if name.startswith(("EAT_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EAT_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("EAT_ENDPOINT_TIMEOUT", "1")
    monkeypatch.setenv("EAT_HUB_URL", f"http://{CLOSED}")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between tries to reach what is not there
    for name, value in dict(place.get("environ", {})).items():  # type: ignore[call-overload]
        monkeypatch.setenv(name, value)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, value in dict(place.get("files", {})).items():  # type: ignore[call-overload]
        (secrets / name).write_text(value)
        monkeypatch.setenv(name, str(secrets / name))
    work = tmp_path / "work"
    work.mkdir()
    if "toml" in place:
        (work / "eat.toml").write_text(str(place["toml"]))
    (work / "corpus.jsonl").write_text('{"text": "Anna lebt in Oslo"}\n{"text": ""}\n')
    monkeypatch.chdir(work)
    root, ours = logging.getLogger(), logging.getLogger("eat_worker")
    before, levels = list(root.handlers), (root.level, ours.level)
    yield work, list(place.get("options", []))  # type: ignore[call-overload]
    for handler in [known for known in root.handlers if known not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("planted", list(PLACES), indirect=True)
def test_no_command_lets_a_secret_out(
    request: pytest.FixtureRequest, planted: tuple[Path, list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    work, options = planted
    leaks = {}
    turn = list(PLACES).index(request.node.callspec.params["planted"])
    for number, words in enumerate(COMMANDS):
        if words[0] in ("run", "worker") and os.environ.get("EAT_ENGINE"):
            continue  # they would work, or wait for the chat server; the next test has them
        # Half of the pairs for each place, the other half for the next one: all pairs are driven, in half the time.
        way = WAYS[(number + turn) % 2]
        main([*words, *options, *way])
        said = capfd.readouterr()
        if found := canaries_in(said.out + said.err):
            leaks[" ".join([*words, *way])] = (found, said.out + said.err)
    for path in work.rglob("*"):
        if path.is_file() and path.name != "eat.toml":
            found = canaries_in(path.read_bytes())
            if found:
                leaks[str(path.relative_to(work))] = (found, path.read_bytes().decode(errors="replace"))
    assert leaks == {}


class Echo(BaseHTTPRequestHandler):
    """A chat server that answers, or quotes the whole request with its headers."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        good = {"choices": [{"message": {"content": "Oslo"}, "finish_reason": "stop"}], "usage": {}}
        said = {"error": f"{self.headers} {self.path}"} if "refuse" in body else good
        data = json.dumps(said).encode()
        self.send_response(400 if "refuse" in body else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.timeout(120)
@pytest.mark.parametrize("planted", ["keys of messages and hub"], indirect=True)
def test_a_run_that_uses_its_secrets_stores_none_of_them(
    planted: tuple[Path, list[str]], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work, _ = planted
    monkeypatch.undo()
    monkeypatch.chdir(work)
    secrets = work.parent / "secrets"
    (secrets / "EAT_ENDPOINT_KEY_FILE").write_text(CANARIES["endpoint_key"])
    (work / "corpus.jsonl").write_text('{"text": "Anna lebt in Oslo"}\n{"text": "refuse Anna in Rom"}\n')
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://u:{q('endpoint_authority')}@127.0.0.1:{server.server_port}?api_key={q('endpoint_query')}"
        words = [
            *(
                "run",
                "corpus.jsonl",
                "--lang",
                "de",
                "--engine",
                "endpoint",
                "--endpoint-model",
                "m",
                "--endpoint-url",
                url,
            ),
            *("--endpoint-key-file", str(secrets / "EAT_ENDPOINT_KEY_FILE"), "--max-faults", "1"),
            *("--message-key-file", str(secrets / "EAT_MESSAGE_KEY_FILE"), "--log-level", "debug"),
            *("--forward", "free", "--alignment", "free", "--models-dir", str(work.parent / "models")),
        ]
        code = main(words)
        server.shutdown()
    said = capfd.readouterr()
    assert code == 3, said.out + said.err
    assert main(["show", "2", "--json"]) == 0
    shown = capfd.readouterr()
    assert "400" in shown.out
    assert canaries_in(said.out + said.err + shown.out) == []
    leaks = {str(path): canaries_in(path.read_bytes()) for path in work.rglob("*") if path.is_file()}
    assert {path: found for path, found in leaks.items() if found} == {}
    assert any(path.endswith("eat.db") for path in leaks)
