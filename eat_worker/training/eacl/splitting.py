"""Training and held-out pairs, parted by page: no page, and no sentence, is in both.

Which side a page is on depends on its name and the seed alone, so adding pairs moves no other. A split by row would put
30-37 % of the held-out rows into training as well, under another English name of the same page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from eat_worker.training.eacl.pairs import EaclPair

_WHOLE = 2**64


def is_held_out(page: str, *, share: float, seed: int) -> bool:
    """Whether a page (`ko:서울`) is held out; `share` in [0, 1] of all pages are."""
    digest = hashlib.blake2b(f"{seed}\0{page}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * _WHOLE


class Texts:
    """Sentences by their 16-byte digest, to tell whether one was seen."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def add(self, pair: EaclPair) -> None:
        """Remember the pair's sentence."""
        self._seen.add(_digest(pair))

    def __contains__(self, pair: EaclPair) -> bool:
        return _digest(pair) in self._seen


def _digest(pair: EaclPair) -> bytes:
    return hashlib.blake2b(f"{pair.lang}\0{pair.text}".encode(), digest_size=16).digest()


def split(pairs: Iterable[EaclPair], *, share: float, seed: int, trained_on: Texts) -> Iterator[tuple[str, EaclPair]]:
    """Each pair with where it goes: `train`, `held_out`, or `neither`.

    Neither: its page is held out, but its sentence is in `trained_on` as that of another page (a title that redirects
    into a longer article). `trained_on` holds the sentences of the pages that are not held out: see `sentences_of`.
    """
    for pair in pairs:
        if not is_held_out(pair.page, share=share, seed=seed):
            yield "train", pair
        else:
            yield "neither" if pair in trained_on else "held_out", pair


def sentences_of(pairs: Iterable[EaclPair], *, share: float, seed: int) -> Texts:
    """The sentences of all pages that will be trained on."""
    texts = Texts()
    for pair in pairs:
        if not is_held_out(pair.page, share=share, seed=seed):
            texts.add(pair)
    return texts


def leakage(train: Iterable[EaclPair], held_out: Iterable[EaclPair]) -> dict[str, int]:
    """How many pages, and how many sentences, of the held-out pairs are in the training pairs as well."""
    pages, texts = set(), Texts()
    for pair in train:
        pages.add(pair.page)
        texts.add(pair)
    shared_pages, shared_texts = set(), 0
    for pair in held_out:
        if pair.page in pages:
            shared_pages.add(pair.page)
        shared_texts += pair in texts
    return {"pages": len(shared_pages), "texts": shared_texts}
