"""Folders of safetensors weights from a model hub at a commit that the user names.

The catalog pins no digest for these. What is checked is that every file is the one the hub itself lists at that
commit; the digests are written down beside the files, so that later changes are noticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from eat_worker.errors import DigestMismatch, ModelError
from eat_worker.models.catalog import ModelEntry
from eat_worker.models.manifest import MANIFEST, Manifest, SnapshotFile, digest_of, read_manifest
from eat_worker.models.partial import Mismatch, Partial, Progress, SourceFailed, receive, require_room, sync_folder
from eat_worker.models.sources import from_hub, hub_client, hub_url, require_hub

_WANTED = (".safetensors", ".json", ".txt", ".jinja", ".model")


def pull_snapshot(entry: ModelEntry, revision: str, models_dir: Path, hub: str, progress: Progress) -> Path:
    """Fetch the folder of `entry` at a commit (40 hex digits). The caller holds the lock.

    Raises ModelError when the hub does not give it or another commit is there already, DigestMismatch when a file is
    not the one the hub lists. Files that arrived whole are kept for the next try.
    """
    final = models_dir / entry.file
    if final.exists():
        return _present(final, revision, progress)
    building = models_dir / f".{entry.file}.{revision[:12]}.partial"
    try:
        require_hub(hub)
        with hub_client() as client:
            files = _list_files(client, hub, entry, revision)
            _fetch_files(
                lambda path: hub_url(hub, entry.hub_repo or "", revision, path), client, files, building, progress
            )
    except SourceFailed as fault:
        raise ModelError(
            f"{entry.name} comes from a model hub only. {fault}. Try again where the hub can be reached (what has "
            "arrived is kept), or give the folder of a copy instead of the name"
        ) from fault
    manifest = Manifest(entry.hub_repo or "", revision, tuple(files))
    (building / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
    building.replace(final)
    sync_folder(models_dir)
    return final


def _present(final: Path, revision: str, progress: Progress) -> Path:
    manifest = read_manifest(final)
    if manifest is None or manifest.revision != revision:
        there = f"revision {manifest.revision}" if manifest else "something else"
        raise ModelError(f"{final} holds {there}, not {revision}; move it away, then pull again")
    lost = [file.path for file in manifest.files if not (final / file.path).is_file()]
    if lost:
        raise ModelError(f"{final} lacks {', '.join(lost)}; move it away, then pull again")
    size = sum(file.size for file in manifest.files)
    progress(size, size, "already here")
    return final


def _list_files(client: httpx.Client, hub: str, entry: ModelEntry, revision: str) -> list[SnapshotFile]:
    """What the hub lists at the top of the repository, without other formats of the same weights."""
    url: str | None = f"{hub.rstrip('/')}/api/models/{entry.hub_repo}/tree/{revision}"
    files: list[SnapshotFile] = []
    while url:
        try:
            response = client.get(url)
            rows = response.raise_for_status().json()
            files += [_listed(row) for row in rows if row["type"] == "file" and _is_wanted(row["path"])]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as fault:
            raise SourceFailed(f"{url} gives no list of files: {fault!r}") from fault
        url = response.links.get("next", {}).get("url")
    if not any(file.path.endswith(".safetensors") for file in files):
        raise SourceFailed(f"{entry.hub_repo} has no safetensors files at {revision}")
    return files


def _is_wanted(path: str) -> bool:
    return "/" not in path and not path.startswith(".") and (path.endswith(_WANTED) or path.startswith("LICENSE"))


def _listed(row: dict[str, Any]) -> SnapshotFile:
    digest = f"sha256:{row['lfs']['oid']}" if row.get("lfs") else f"git:{row['oid']}"
    return SnapshotFile(row["path"], int(row["size"]), digest)


def _fetch_files(
    address: Callable[[str], str],
    client: httpx.Client,
    files: Sequence[SnapshotFile],
    building: Path,
    progress: Progress,
) -> None:
    """Fetch every file that is not there yet; `address` gives the URL of a path."""
    total = sum(file.size for file in files)
    building.mkdir(exist_ok=True)
    arrived = sum(path.stat().st_size for path in building.iterdir())
    require_room(building, total - arrived, building.name)
    done = 0
    for file in files:
        base = done

        def heard(done_bytes: int, _total: int, what: str, base: int = base) -> None:
            progress(base + done_bytes, total, what)

        # A file gets its name only when its digest is right, so one that has it needs no second look.
        if not (building / file.path).exists():
            _fetch_file(client, address(file.path), file, building, heard)
        done += file.size


def _fetch_file(client: httpx.Client, url: str, file: SnapshotFile, building: Path, progress: Progress) -> None:
    def fill(partial: Partial) -> None:
        from_hub(client, url, partial, progress, file.path)

    def digest(partial: Partial) -> str:
        return _partial_digest(partial, file.digest)

    path = building / f".{file.path}.partial"
    try:
        receive(path, building / file.path, total=file.size, expected=file.digest, fill=fill, digest=digest)
    except Mismatch as fault:
        raise DigestMismatch(
            f"{url}: its digest is {fault.got}, the hub lists {file.digest}; it was not kept"
        ) from None


def _partial_digest(partial: Partial, like: str) -> str:
    return f"sha256:{partial.sha256()}" if like.startswith("sha256:") else digest_of(partial.path, like)
