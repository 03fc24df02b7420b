"""Weights that are on this machine: where they lie, and whether they are what they should be.

Knows what a models folder looks like. Fetches nothing and imports no network library: a worker starts through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eat_worker.errors import ModelError, ModelMissing
from eat_worker.models.catalog import CATALOG, ModelEntry, entry
from eat_worker.models.fingerprint import file_sha256
from eat_worker.models.manifest import MANIFEST, folder_digest, read_manifest


@dataclass(frozen=True, slots=True)
class Verified:
    """What a model's bytes really are. `expected` is None where no digest is known; `size` in bytes."""

    path: Path
    sha256: str
    size: int
    expected: str | None

    @property
    def matches(self) -> bool:
        """False when the bytes are not the expected ones."""
        return self.expected in (None, self.sha256)


@dataclass(frozen=True, slots=True)
class Installed:
    """A model in the models folder. `size` in bytes; `entry` is None for a file of the user's own."""

    name: str
    path: Path
    size: int
    entry: ModelEntry | None


def locate(name_or_path: str, models_dir: Path, *, catalog: Sequence[ModelEntry] = CATALOG) -> Path:
    """Path of a model by catalog name, by a name pulled with --from or made by a conversion, or by a path of its own.

    Nothing is hashed. Raises ModelMissing when it is not on this machine, NotFound when nobody knows the name.
    """
    by_name = next((candidate for candidate in catalog if candidate.name == name_or_path.lower()), None)
    if by_name is not None:
        path = models_dir / by_name.file
        if not path.exists():
            raise ModelMissing(f"{by_name.name} is not in {models_dir}; run: eat model pull {by_name.name}")
        return path
    path = Path(name_or_path).expanduser()
    own = models_dir / f"{name_or_path.removesuffix('.gguf')}.gguf"
    if own.is_file() and path.name == name_or_path:
        return own
    if path.name == name_or_path and (models_dir / name_or_path / MANIFEST).is_file():
        return models_dir / name_or_path
    if path.exists():
        return path
    if "/" in name_or_path or path.suffix == ".gguf":
        raise ModelMissing(f"{path}: no such file; a model by name comes with: eat model pull NAME")
    return models_dir / entry(name_or_path, catalog).file


def verify(name_or_path: str, models_dir: Path, *, catalog: Sequence[ModelEntry] = CATALOG) -> Verified:
    """Read a model in full and say what it is; `Verified.matches` judges. Raises as `locate` does."""
    path = locate(name_or_path, models_dir, catalog=catalog)
    if path.is_dir():
        manifest = read_manifest(path)
        if manifest is None:
            raise ModelError(f"{path} was neither pulled nor made by eat: there is nothing to compare it with")
        size = sum(file.stat().st_size for file in path.iterdir())
        return Verified(path, folder_digest(path, manifest), size, manifest.digest())
    expected = next((candidate.sha256 for candidate in catalog if candidate.file == path.name), None)
    return Verified(path, file_sha256(path, models_dir, fresh=True), path.stat().st_size, expected)


def installed(models_dir: Path, *, catalog: Sequence[ModelEntry] = CATALOG) -> list[Installed]:
    """Models that are whole and in the folder, by name; nothing is hashed, half-fetched files are left out."""
    by_file = {candidate.file: candidate for candidate in catalog}
    models = []
    for path in sorted(models_dir.iterdir()) if models_dir.is_dir() else []:
        if path.name.startswith("."):
            continue
        manifest = read_manifest(path) if path.is_dir() else None
        if manifest is None and not (path.is_file() and path.suffix == ".gguf"):
            continue
        size = sum(file.size for file in manifest.files) if manifest else path.stat().st_size
        found = by_file.get(path.name)
        models.append(Installed(found.name if found else path.name.removesuffix(".gguf"), path, size, found))
    return models
