"""Collects EACL pairs: English entities, the title each has in another language, the first sentence of that page.

Section 3.2 of the paper (eq. 8). An entity that leads to no sentence is refused with its reason. Knows no HTTP: what
Wikipedia says comes through `wikipedia.Wikipedia`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from eat_worker.corpora.records import Rejected
from eat_worker.method.document import Document
from eat_worker.training.eacl.pairs import EaclPair, Refused
from eat_worker.training.eacl.sentences import first_sentence
from eat_worker.training.eacl.wikipedia import AT_ONCE, Wikipedia


def entities_of(records: Iterable[Document | Rejected]) -> Iterator[str]:
    """The distinct gold entities of an English corpus, each as it is first written, in order. Holds them all."""
    seen: set[str] = set()
    for record in records:
        if isinstance(record, Rejected) or record.gold is None:
            continue
        for entity in record.gold:
            words = " ".join(record.text[entity.start : entity.end].split())
            if words not in seen:
                seen.add(words)
                yield words


def collect(entities: Iterable[str], lang: str, wikipedia: Wikipedia) -> Iterator[EaclPair | Refused]:
    """One pair or one refusal per entity, in order; fifty entities are asked for at once.

    Reasons: those of `Wikipedia.titles_in`, and with `page_` before them those of `Wikipedia.introductions`.
    """
    rest = iter(entities)
    while some := tuple(islice(rest, AT_ONCE)):
        titles = wikipedia.titles_in(lang, some)
        wanted = [found.value for found in titles.values() if found.value is not None]
        pages = wikipedia.introductions(lang, wanted)
        for entity in some:
            title = titles[entity]
            if title.value is None:
                yield _refused(entity, lang, title.reason, "the English entity")
                continue
            page = pages[title.value]
            if page.value is None:
                yield _refused(entity, lang, f"page_{page.reason}", title.value)
            else:
                yield EaclPair(lang, entity, title.value, first_sentence(page.value, lang))


_MEANS = {
    "invalid_title": "cannot be the title of a page",
    "missing": "has no page",
    "section": "leads into a section of another page",
    "disambiguation": "leads to a list of meanings",
    "no_link": "has no page in this language",
    "no_text": "has a page without introduction",
}


def _refused(entity: str, lang: str, reason: str, what: str) -> Refused:
    message = f"{what} {_MEANS[reason.removeprefix('page_')]}"
    return Refused(reason, message, {"english": entity, "lang": lang})
