"""Other names of the corpus that stand in a pair's sentence: questions whose answer is not the beginning of it.

Nearly every EACL sentence begins with its title (66-96 % by language), so that "the first words" would be a good answer
to every question. A title that stands in another page's sentence is a second question about that sentence, and its
answer is known as well. Knows words and pairs; knows no prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from eat_worker.method.document import Span
from eat_worker.method.matching import overlaps
from eat_worker.method.wordforms import Kind, inside_word, only_particles, word_around
from eat_worker.training.eacl.pairs import EaclPair
from eat_worker.training.eacl.sentences import enclosed

MOST = 2  # names per sentence beside its own: a chat at work asks about two or three entities
_KEY = 2  # characters: shorter titles are letters and syllables rather than names


class Mentions:
    """The titles of a corpus, to be found in its sentences; holds one short entry per page.

    Only names: titles of at least two characters whose English is written with a capital. Where several English
    entities lead to one page, the first is kept.
    """

    def __init__(self, pairs: Iterable[EaclPair]) -> None:
        pages: dict[str, EaclPair] = {}
        for pair in pairs:
            if len(pair.title) >= _KEY and pair.english[0].isupper() and pair.title[0].isalpha():
                # Without its sentence: what is held must not grow with the texts.
                pages.setdefault(pair.page, replace(pair, text="", words=None))
        self._by_beginning: dict[tuple[str, str], list[EaclPair]] = {}
        for pair in pages.values():
            self._by_beginning.setdefault((pair.lang, pair.title[:_KEY]), []).append(pair)
        for entries in self._by_beginning.values():
            entries.sort(key=lambda pair: len(pair.title), reverse=True)

    def found_in(self, pair: EaclPair) -> Iterator[EaclPair]:
        """The first MOST other names in the pair's sentence, from the left, as pairs with that sentence.

        The longest name at a place is taken; none overlaps another or the pair's own words, stands in brackets (there,
        "France" is the language of a gloss), or is a piece of a word of a spaced script (Korean particles may follow).
        """
        aside = enclosed(pair.text)
        taken = [Span(at, at + len(pair.words)) for at in _places(pair.words, pair.text)] if pair.words else []
        said = {pair.english, pair.title, pair.words}
        left = MOST
        for at in range(len(pair.text) - 1):
            for other in self._by_beginning.get((pair.lang, pair.text[at : at + _KEY]), ()):
                span = Span(at, at + len(other.title))
                if not pair.text.startswith(other.title, at) or {other.english, other.title} & said:
                    continue
                if aside[at] or overlaps(span, taken) or not _is_word(span, pair.text):
                    continue
                taken.append(span)
                said |= {other.english, other.title}
                yield replace(other, text=pair.text, words=other.title)
                left -= 1
                break
            if not left:
                return


def _places(words: str, text: str) -> Iterator[int]:
    at = text.find(words)
    while at >= 0:
        yield at
        at = text.find(words, at + 1)


def _is_word(span: Span, text: str) -> bool:
    if inside_word(text, span.start) is not None:
        return False
    after = inside_word(text, span.end)
    if after is Kind.HANGUL:
        return only_particles(text[span.end : word_around(text, span.end).end])
    return after is None
