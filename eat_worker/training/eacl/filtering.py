"""Which pairs are fit to train on: the title stands in its sentence, and no pair comes twice.

Rule `paper`: it stands there letter by letter. Rule `tolerant`: stress marks, case, another normal form, a bracketed
addition and "Surname, Name" order are forgiven, and the words as they stand in the sentence become the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from eat_worker.method.document import Outcome
from eat_worker.method.matching import match
from eat_worker.training.eacl.pairs import EaclPair, Refused

Rule = Callable[[EaclPair], EaclPair | None]
"""The pair with its `words`, None when its title does not stand in its sentence."""


def paper(pair: EaclPair) -> EaclPair | None:
    """The paper's rule: u occurs in v, be it within a word."""
    return replace(pair, words=pair.title) if pair.title in pair.text else None


def tolerant(pair: EaclPair) -> EaclPair | None:
    """The title as the matcher of backward alignment finds it without guessing: exact, or after normalising both.

    Never a piece of a word of a spaced script, which `paper` takes ("Rom" in "Romane").
    """
    found = match(pair.title, pair.text)
    if found.span is None or found.outcome not in (Outcome.EXACT, Outcome.NORMALISED):
        return None
    return replace(pair, words=pair.text[found.span.start : found.span.end])


RULES: dict[str, Rule] = {"paper": paper, "tolerant": tolerant}


def filtered(pairs: Iterable[EaclPair], rule: Rule) -> Iterator[EaclPair | Refused]:
    """Each pair with its words, or refused: `not_in_text`, or `duplicate` of an earlier (title, text) of its language.

    EU, European Union and EUROPEAN UNION lead to one page: the first is kept. Holds 16 bytes per pair.
    """
    seen: set[bytes] = set()
    for pair in pairs:
        found = rule(pair)
        if found is None:
            yield Refused("not_in_text", "the title does not occur in the text", pair.to_json())
            continue
        key = hashlib.blake2b(f"{pair.page}\0{pair.text}".encode(), digest_size=16).digest()
        if key in seen:
            yield Refused("duplicate", "title and text were there before", pair.to_json())
            continue
        seen.add(key)
        yield found
