"""What EACL needs to know of Wikipedia: how a page is called in another language, and how its introduction begins.

Asks the MediaWiki API for up to fifty titles at once, follows normalisation, redirects and continued answers, and says
of every title either what was found or one word of reason why not. Knows no entity and no sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eat_worker.errors import ConfigurationError
from eat_worker.training.eacl.asking import Site
from eat_worker.training.eacl.page_cache import PageCache

PUBLIC_API = "https://{lang}.wikipedia.org/w/api.php"
AT_ONCE = 50  # titles per question: what the API allows anybody
_MOST_PARTS = 200  # of one answer; the introductions of fifty pages come in three
_WIKI = {"nb": "no"}  # where a Wikipedia is not called by its language's code
_UNASKABLE = frozenset("|#<>[]{}\x00\x1f\n\r\t\ufffd")  # no title holds them; "|" would end it, "#" names a section
_LONGEST = 255  # bytes of a title

Judge = Callable[[Mapping[str, Any]], "Found"]
"""What a page that exists says about the question."""


@dataclass(frozen=True, slots=True)
class Found:
    """`value`: what was asked for. None: there is none, for the one-word `reason`."""

    value: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Question:
    """One kind of question: of which wiki, with which parameters, and how to read a page of the answer."""

    url: str
    name: str  # in the cache
    parameters: Mapping[str, str]
    judge: Judge


class Wikipedia:
    """The Wikipedias of all languages; `api` is their address with `{lang}` in it."""

    def __init__(self, site: Site, cache: PageCache, api: str = PUBLIC_API) -> None:
        if not api.startswith(("http://", "https://")):
            raise ConfigurationError(f"--api {api!r} is not an address; it looks like {PUBLIC_API}")
        self._site, self._cache, self._api = site, cache, api

    def titles_in(self, lang: str, titles: Sequence[str]) -> dict[str, Found]:
        """How each English page is called in `lang` (interlanguage links).

        Reasons: invalid_title, missing, section (it redirects into another page), disambiguation, no_link.
        """
        wiki = _WIKI.get(lang, lang)
        parameters = {
            "prop": "langlinks|pageprops",
            "lllang": wiki,
            "lllimit": "max",
            "ppprop": "disambiguation",
        }
        return self._answers(_Question(self._url("en"), f"link:{wiki}", parameters, _link), titles)

    def introductions(self, lang: str, titles: Sequence[str]) -> dict[str, Found]:
        """How each page of a language's Wikipedia begins, as plain text up to the first heading.

        Reasons: those of `titles_in`, but no_text where the page has no introduction.
        """
        parameters = {
            "prop": "extracts|pageprops",
            "exintro": "1",
            "explaintext": "1",
            "exlimit": "max",
            "ppprop": "disambiguation",
        }
        url = self._url(_WIKI.get(lang, lang))
        return self._answers(_Question(url, "introduction", parameters, _introduction), titles)

    def _url(self, lang: str) -> str:
        return self._api.replace("{lang}", lang)

    def _answers(self, question: _Question, titles: Sequence[str]) -> dict[str, Found]:
        """An answer for every title: from the cache, and the rest from the site, which is then in the cache."""
        found: dict[str, Found] = {}
        unknown: list[str] = []
        for title in dict.fromkeys(titles):
            kept = self._cache.get(question.url, question.name, title)
            if kept is not None:
                found[title] = Found(kept["value"], kept["reason"])
            elif not title.strip() or _UNASKABLE & set(title) or len(title.encode()) > _LONGEST:
                found[title] = Found(None, "invalid_title")
            else:
                unknown.append(title)
        for start in range(0, len(unknown), AT_ONCE):
            for title, answer in self._asked(question, unknown[start : start + AT_ONCE]).items():
                self._cache.put(question.url, question.name, title, {"value": answer.value, "reason": answer.reason})
                found[title] = answer
        return found

    def _asked(self, question: _Question, titles: Sequence[str]) -> dict[str, Found]:
        form = {"action": "query", "redirects": "1", "titles": "|".join(titles), **question.parameters}
        answer = _Answer()
        parts: set[str] = set()
        more: Mapping[str, str] | None = {}
        while more is not None:
            part = self._site.ask(question.url, {**form, **more})
            answer.add(part)
            more = part.get("continue")
            # An API that gives the same place to go on from twice would be asked for ever.
            if more is not None and (str(more) in parts or len(parts) > _MOST_PARTS):
                raise ConfigurationError(f"{question.url} never ends its answer ({more}); see --api")
            parts.add(str(more))
        return {title: answer.about(title, question.judge) for title in titles}


class _Answer:
    """The parts of one answer put together."""

    def __init__(self) -> None:
        self._leads: dict[str, tuple[str, bool]] = {}  # title -> (what it leads to, into a section of it)
        self._pages: dict[str, dict[str, Any]] = {}

    def add(self, part: Mapping[str, Any]) -> None:
        query = part.get("query", {})
        for kind in ("normalized", "converted", "redirects"):
            for lead in query.get(kind, ()):
                self._leads[lead["from"]] = (lead["to"], "tofragment" in lead)
        for page in query.get("pages", ()):
            known = self._pages.setdefault(page["title"], {})
            links = [*known.get("langlinks", ()), *page.get("langlinks", ())]
            known |= page | ({"langlinks": links} if links else {})

    def about(self, title: str, judge: Judge) -> Found:
        """What the answer says of a title that was asked for."""
        into_section = False
        for _ in range(len(self._leads) + 1):
            if title not in self._leads:
                break
            title, section = self._leads[title]
            into_section |= section
        page = self._pages.get(title)
        if page is None or "invalid" in page:
            return Found(None, "invalid_title")
        if "missing" in page:
            return Found(None, "missing")
        if into_section:
            return Found(None, "section")
        return Found(None, "disambiguation") if "disambiguation" in page.get("pageprops", {}) else judge(page)


def _link(page: Mapping[str, Any]) -> Found:
    links = page.get("langlinks", ())
    return Found(links[0]["title"]) if links else Found(None, "no_link")


def _introduction(page: Mapping[str, Any]) -> Found:
    extract = page.get("extract", "")
    return Found(extract) if extract.strip() else Found(None, "no_text")
