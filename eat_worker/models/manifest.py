"""The list that lies beside a folder of weights: which files, which digests, from which commit or other weights.

Reads, hashes and lists local files; knows no network and no catalog.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eat_worker.errors import ModelError

MANIFEST = "eat-model.json"


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One file of a snapshot; `size` in bytes."""

    path: str
    size: int
    digest: str  # "sha256:<hex>" of the content, or "git:<hex>", the blob id of a file too small for large storage


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder of weights holds and where it came from.

    `made` is empty for what was pulled; otherwise it says by which command, from which weights (digests), with which
    versions of which libraries the folder was made here. `repo` and `revision` are then those of the first origin,
    empty where nobody knows them.
    """

    repo: str
    revision: str
    files: tuple[SnapshotFile, ...]
    made: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 (hex) over the digests of all files: one name for the whole folder."""
        lines = sorted(f"{file.digest}  {file.path}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder, None where there is none. Raises ModelError when it does not parse."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(SnapshotFile(**file) for file in values["files"])
        return Manifest(values["repo"], values["revision"], files, dict(values.get("made", {})))
    except (ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"{path}: does not parse; remove the folder and pull the model again") from fault


def write_manifest(folder: Path, *, repo: str = "", revision: str = "", made: Mapping[str, Any]) -> Manifest:
    """List every file of a folder that was made here, with its SHA-256."""
    files = tuple(
        SnapshotFile(path.name, path.stat().st_size, digest_of(path, "sha256:"))
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    )
    manifest = Manifest(repo, revision, files, made)
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
    return manifest


def folder_digest(folder: Path, manifest: Manifest) -> str:
    """The digest that Manifest.digest has to equal, from the files as they lie there; a missing file changes it."""
    found = [
        SnapshotFile(file.path, file.size, digest_of(folder / file.path, file.digest))
        for file in manifest.files
        if (folder / file.path).is_file()
    ]
    return Manifest(manifest.repo, manifest.revision, tuple(found)).digest()


def digest_of(path: Path, like: str) -> str:
    """The digest of a file, of the same kind as `like`."""
    if like.startswith("sha256:"):
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    content = path.read_bytes()
    # How git names a blob; it is the hub's choice, and the commit above it is named the same way.
    blob = b"blob %d\0" % len(content) + content
    return f"git:{hashlib.sha1(blob, usedforsecurity=False).hexdigest()}"
