"""`train_extractor`: one way to train every kind of extractor, with a card beside what it made.

The card says what a repetition needs: files and their hashes, settings, seed, versions, and what was measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from eat_worker import __version__
from eat_worker.engines.extractors.checkpoints import require_checkpoint
from eat_worker.engines.extractors.opening import extractor_sha256, load_extractor
from eat_worker.errors import ConfigurationError
from eat_worker.training.crf import CrfSettings, train_crf
from eat_worker.training.fine_tuning import Schedule, fine_tune_flan_t5, fine_tune_token_classification
from eat_worker.training.name_substitution import read_names
from eat_worker.training.tagged import Corpus, Tagged, read_tagged, score_extractor

KINDS = ("crf", "flan_t5", "token_classification")
_SCHEDULES: Mapping[str, Schedule] = {
    "flan_t5": Schedule(epochs=50, learning_rate=1e-4, batch=16),  # the paper, section 4
    "token_classification": Schedule(epochs=3, learning_rate=5e-5, batch=16),
}
_LIBRARIES = {
    "crf": ("python-crfsuite",),
    "flan_t5": ("torch", "transformers"),
    "token_classification": ("torch", "transformers"),
}


class _FineTune(Protocol):
    def __call__(
        self, base: Path, sentences: Sequence[Tagged], out: Path, schedule: Schedule, seed: int
    ) -> list[float]: ...


_FINE_TUNERS: Mapping[str, _FineTune] = {
    "flan_t5": fine_tune_flan_t5,
    "token_classification": fine_tune_token_classification,
}


def train_extractor(
    kind: str,
    files: Sequence[Path],
    out: Path,
    *,
    dev: Path | None = None,
    base: Path | None = None,
    names: Path | None = None,
    epochs: int | None = None,
    seed: int = 13,
) -> dict[str, Any]:
    """Train an extractor of KINDS on BIO files of English and write it to `out`: a file (crf) or a folder.

    `dev` is only measured on. `base` is the local checkpoint that the kinds but crf start from. `names` are lines
    `name<TAB>tag` with which the crf sees sentences again under other names. `epochs` None: 50 for flan_t5, 3 for
    token_classification; a crf has none. Gives the card, which lies at `card_path(out)`. Raises ConfigurationError
    when these do not fit together or `out` exists, ModelMissing without `base`, CorpusError on files without gold.
    """
    _check(kind, files, out, base=base, names=names, epochs=epochs)
    corpora = [read_tagged(file) for file in files]
    measured = read_tagged(dev) if dev else None
    sentences = [sentence for corpus in corpora for sentence in corpus.sentences]
    train = _trainer(kind, base, names, epochs)
    learnt = train(sentences, out, seed)
    sha256 = extractor_sha256(out)
    card = {
        "kind": kind,
        "sha256": sha256,
        "seed": seed,
        **learnt,
        "train": [corpus.described() for corpus in corpora],
        "dev": measured and {**measured.described(), "scores": _scores(kind, out, sha256, measured)},
        "versions": {"eat_worker": __version__, **{name: version(name) for name in _LIBRARIES[kind]}},
    }
    card_path(out).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def card_path(out: Path) -> Path:
    """Where the card of a trained extractor lies: in its folder, or beside its file."""
    return out / "card.json" if out.is_dir() else out.with_name(f"{out.name}.card.json")


_Train = Callable[[Sequence[Tagged], Path, int], dict[str, Any]]


def _trainer(kind: str, base: Path | None, names: Path | None, epochs: int | None) -> _Train:
    """What trains: it takes sentences, out and seed and gives what the card says of it."""
    if kind == "crf":
        return lambda sentences, out, seed: _crf(sentences, out, seed, names)
    assert base is not None
    schedule = _SCHEDULES[kind] if epochs is None else replace(_SCHEDULES[kind], epochs=epochs)
    folder = base

    def fine_tune(sentences: Sequence[Tagged], out: Path, seed: int) -> dict[str, Any]:
        losses = _FINE_TUNERS[kind](folder, sentences, out, schedule, seed)
        origin = {"folder": folder.name, "sha256": extractor_sha256(folder)}
        return {"base": origin, "settings": asdict(schedule), "losses": losses}

    return fine_tune


def _crf(sentences: Sequence[Tagged], out: Path, seed: int, names: Path | None) -> dict[str, Any]:
    settings = CrfSettings()
    train_crf(sentences, out, settings, names=read_names(names) if names else None, seed=seed)
    listed = names and {"file": names.name, "sha256": hashlib.sha256(names.read_bytes()).hexdigest()}
    return {"settings": settings.described(), "names": listed}


def _scores(kind: str, out: Path, sha256: str, corpus: Corpus) -> dict[str, dict[str, float]]:
    extractor = load_extractor(kind, out, sha256)
    try:
        return score_extractor(extractor, corpus.sentences)
    finally:
        extractor.close()


def _check(
    kind: str, files: Sequence[Path], out: Path, *, base: Path | None, names: Path | None, epochs: int | None
) -> None:
    if kind not in KINDS:
        raise ConfigurationError(f"kind = {kind!r} is not one of: {', '.join(KINDS)}")
    if not files:
        raise ConfigurationError("name at least one BIO file to train on")
    if out.exists():
        raise ConfigurationError(f"{out} exists already; move it away or choose another --out")
    if kind == "crf" and (base or epochs is not None):
        raise ConfigurationError("a crf has no base checkpoint and no epochs; leave --base and --epochs out")
    if kind != "crf" and names:
        raise ConfigurationError("--names goes with --kind crf only")
    if kind != "crf":
        if base is None:
            raise ConfigurationError(f"{kind} starts from a local checkpoint; name its folder with --base")
        require_checkpoint(base)
