"""From the name of an extractor to a loaded one, and what its identity is: the only place that chooses.

Loads a model library only to open one; the identity is a hash of files and cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eat_worker.engines.extractors.checkpoints import require_checkpoint
from eat_worker.engines.extractors.extractor import Extractor
from eat_worker.errors import ConfigurationError, ModelMissing
from eat_worker.models.fingerprint import file_sha256, fingerprint
from eat_worker.models.manifest import digest_of

SHIPPED_CRF = Path(__file__).with_name("crf_english.crfsuite")
"""The CRF that comes with this program; `crf_english.md` beside it is its card."""

# What decides about a checkpoint's answers; a card, a log or an optimizer's state in the same folder does not.
_DECIDING = ("*.safetensors", "*.json", "*.model", "vocab.txt", "merges.txt")
_UNDECIDING = frozenset({"card.json", "eat-model.json", "trainer_state.json"})


def extractor_identity(kind: str, model: str, *, models_dir: Path) -> dict[str, Any]:
    """{"extractor", "extractor_model", "extractor_sha256"}: part of a run's fingerprint. Nothing is loaded.

    The same files under another name are the same extractor by hash. `chat` has no files of its own. Digests are
    remembered in `models_dir`. Raises ConfigurationError on an unknown kind, ModelMissing when the files are not here.
    """
    if kind == "chat":
        return {"extractor": kind, "extractor_model": None, "extractor_sha256": None}
    path = _path(kind, model, models_dir)
    return {"extractor": kind, "extractor_model": path.name, "extractor_sha256": _remembered_sha256(path, models_dir)}


def open_extractor(kind: str, model: str, *, models_dir: Path) -> Extractor:
    """Load an extractor of `crf`, `flan_t5` or `token_classification`.

    `model` is a file (crf) or a folder (the others), by path or by its name in `models_dir`; "" is the shipped CRF.
    Raises ConfigurationError or ModelMissing.
    """
    path = _path(kind, model, models_dir)
    return load_extractor(kind, path, _remembered_sha256(path, models_dir))


def load_extractor(kind: str, path: Path, sha256: str) -> Extractor:
    """Load the extractor whose file or folder and digest are known."""
    return _OPENERS[kind](path, sha256)


def extractor_sha256(path: Path) -> str:
    """SHA-256 (hex) of an extractor's file, or one for all files of its folder that decide what it says."""
    return _sha256(path, lambda file: digest_of(file, "sha256:").removeprefix("sha256:"))


def _path(kind: str, model: str, models_dir: Path) -> Path:
    if kind not in _OPENERS:
        raise ConfigurationError(f"extractor = {kind!r} is not one of: chat, {', '.join(_OPENERS)}")
    if kind == "crf" and not model:
        return SHIPPED_CRF
    if not model:
        raise ConfigurationError(f"the extractor {kind} needs a model: a folder of weights")
    given = Path(model).expanduser()
    path = given if given.exists() or given.name != model else models_dir / model
    if kind != "crf":
        return require_checkpoint(path)
    if not path.is_file():
        raise ModelMissing(f"{path}: no such file; train one with: eat train extractor --kind crf")
    return path


def _remembered_sha256(path: Path, models_dir: Path) -> str:
    return _sha256(path, lambda file: file_sha256(file, models_dir))


def _sha256(path: Path, digest: Callable[[Path], str]) -> str:
    if path.is_file():
        return digest(path)
    listed = {file for pattern in _DECIDING for file in path.glob(pattern)}
    return fingerprint({file.name: digest(file) for file in listed if file.name not in _UNDECIDING})


def _open_crf(path: Path, sha256: str) -> Extractor:
    from eat_worker.engines.extractors.crf import Crf

    return Crf(path, sha256)


def _open_flan_t5(path: Path, sha256: str) -> Extractor:
    from eat_worker.engines.extractors.flan_t5 import FlanT5

    return FlanT5(path, sha256)


def _open_token_classification(path: Path, sha256: str) -> Extractor:
    from eat_worker.engines.extractors.token_classification import TokenClassification

    return TokenClassification(path, sha256)


_OPENERS: Mapping[str, Callable[[Path, str], Extractor]] = {
    "crf": _open_crf,
    "flan_t5": _open_flan_t5,
    "token_classification": _open_token_classification,
}
