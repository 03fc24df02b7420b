"""The pairs of one training run: read from files, parted by page, and identified by one digest.

Knows EACL pairs; knows no model.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eat_worker.errors import CorpusError
from eat_worker.training.adapter.recipe import Recipe
from eat_worker.training.eacl.pairs import EaclPair, read_pairs
from eat_worker.training.eacl.splitting import sentences_of, split


@dataclass(frozen=True, slots=True)
class Corpus:
    """Pairs to train on and pairs of pages that are held out. `digest` is the SHA-256 (hex) of all pairs, in order."""

    train: tuple[EaclPair, ...]
    held_out: tuple[EaclPair, ...]
    digest: str
    files: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """What a card says of it."""
        counts = {name: len(getattr(self, name)) for name in ("train", "held_out")}
        languages = dict(sorted(Counter(pair.lang for pair in self.train).items()))
        return {
            "sha256": self.digest,
            "files": list(self.files),
            **counts,
            "languages": languages,
        }


def read_corpus(files: Sequence[Path], recipe: Recipe, lang: str | None = None) -> Corpus:
    """The pairs of all files together, parted by page with the recipe's share and seed.

    Raises CorpusError when a file cannot be read, or nothing is left to train on.
    """
    pairs = [pair for path in files for pair in read_pairs(path, lang)]
    trained_on = sentences_of(pairs, share=recipe.held_out, seed=recipe.seed)
    sides: dict[str, list[EaclPair]] = {"train": [], "held_out": [], "neither": []}
    for side, pair in split(pairs, share=recipe.held_out, seed=recipe.seed, trained_on=trained_on):
        sides[side].append(pair)
    if not sides["train"]:
        raise CorpusError(f"{', '.join(map(str, files))}: no pair is left to train on; collect more: eat eacl collect")
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(orjson.dumps(pair.to_json(), option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))
    names = tuple(path.name for path in files)
    return Corpus(tuple(sides["train"]), tuple(sides["held_out"]), digest.hexdigest(), names)
