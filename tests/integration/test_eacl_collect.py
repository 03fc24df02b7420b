"""`eat eacl collect` against a MediaWiki API on loopback: HTTP, files and processes are the real ones."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from eat_worker.cli import main
from eat_worker.errors import ConfigurationError, SiteUnavailable
from eat_worker.retry import Backoff
from eat_worker.training.eacl import asking
from eat_worker.training.eacl.asking import Site
from eat_worker.training.eacl.page_cache import PageCache
from eat_worker.training.eacl.wikipedia import Found, Wikipedia

Page = dict[str, Any]
Fault = tuple[int, dict[str, str], bytes]  # status, headers, body
MAXLAG = json.dumps({"error": {"code": "maxlag", "info": "Waiting for db1: 7 seconds lagged"}}).encode()


@dataclass
class Wiki:
    """A server for all languages: `/ko/api.php` is the Korean one. The rest says how it misbehaves."""

    url: str = ""
    pages: dict[str, dict[str, Page]] = field(default_factory=dict)  # language -> title -> page
    redirects: dict[str, dict[str, tuple[str, str | None]]] = field(default_factory=dict)  # -> (title, section)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    faults: list[Fault | None] = field(default_factory=list)
    at_once: int = 20  # extracts per answer, as the real API
    endless: bool = False

    @property
    def api(self) -> str:
        return f"{self.url}/{{lang}}/api.php"

    def add(self, lang: str, title: str, **page: Any) -> None:
        self.pages.setdefault(lang, {})[title] = page

    def titles_asked(self) -> list[tuple[str, str]]:
        return [(lang, title) for lang, form in self.asked for title in form["titles"].split("|")]

    def answer(self, lang: str, form: dict[str, str]) -> dict[str, Any]:
        titles = form["titles"].split("|")
        if len(titles) > 50:
            return {"error": {"code": "toomanyvalues", "info": "Too many values supplied"}}
        query: dict[str, Any] = {"normalized": [], "redirects": [], "pages": []}
        for asked in titles:
            title = asked[0].upper() + asked[1:].replace("_", " ")
            if title != asked:
                query["normalized"].append({"from": asked, "to": title})
            if title in self.redirects.get(lang, {}):
                target, section = self.redirects[lang][title]
                lead = {"from": title, "to": target}
                query["redirects"].append(lead | ({"tofragment": section} if section else {}))
                title = target
            if title not in [page["title"] for page in query["pages"]]:
                query["pages"].append(self.page(lang, title, form))
        return self.cut(query, form)

    def page(self, lang: str, title: str, form: dict[str, str]) -> Page:
        known = self.pages.get(lang, {}).get(title)
        if known is None:
            return {"title": title, "missing": True}
        page: Page = {"title": title, "pageid": 1}
        if "disambiguation" in known:
            page["pageprops"] = {"disambiguation": ""}
        if "lllang" in form:
            links = [{"lang": to, "title": name} for to, name in known.get("links", {}).items() if to == form["lllang"]]
            return page | ({"langlinks": links} if links else {})
        return page | {"extract": known.get("extract", "")}

    def cut(self, query: dict[str, Any], form: dict[str, str]) -> dict[str, Any]:
        """Extracts come twenty at a time; the other pages are listed without theirs."""
        start = int(form.get("excontinue", 0))
        for number, page in enumerate(query["pages"]):
            if not start <= number < start + self.at_once:
                page.pop("extract", None)
        more = start + self.at_once < len(query["pages"]) and "exintro" in form
        if self.endless:
            return {"query": query, "continue": {"excontinue": "7", "continue": "||"}}
        rest = {"continue": {"excontinue": str(start + self.at_once), "continue": "||"}} if more else {}
        return {"query": query, **rest}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wiki: Wiki

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
        lang = self.path.split("/")[1]
        self.wiki.agents.add(self.headers["User-Agent"])
        fault = self.wiki.faults.pop(0) if self.wiki.faults else None
        if fault is None:
            self.wiki.asked.append((lang, form))
            fault = (200, {}, json.dumps(self.wiki.answer(lang, form)).encode())
        status, headers, content = fault
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Tests print nothing."""


@pytest.fixture
def wiki() -> Iterator[Wiki]:
    made = Wiki()
    handler = type("ThisHandler", (Handler,), {"wiki": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def small_world(wiki: Wiki) -> Wiki:
    """Every way an entity can go."""
    wiki.add("en", "Seoul", links={"ko": "서울", "ja": "ソウル"})
    wiki.add("en", "European Union", links={"ko": "유럽 연합"})
    wiki.add("en", "Mercury", disambiguation=True, links={"ko": "머큐리"})
    wiki.add("en", "Bonn", links={"de": "Bonn"})
    wiki.add("en", "Gone", links={"ko": "없음"})
    wiki.add("en", "Empty", links={"ko": "빈 문서"})
    wiki.add("en", "Jordan", links={"ko": "요르단 (동음이의)"})
    wiki.add("en", "European Commission", links={"ko": "유럽 위원회"})
    wiki.redirects["en"] = {"EU": ("European Union", None), "Van der Pas": ("European Commission", "Spokespeople")}
    wiki.redirects["ko"] = {"서울": ("서울특별시", None)}
    wiki.add("ko", "서울특별시", extract="서울특별시는 서울이라고도 하는 수도이다. 한강이 흐른다.")
    wiki.add("ko", "유럽 연합", extract="유럽 연합(영어: EU)은 공동체이다. 회원국은 27개국이다.")
    wiki.add("ko", "빈 문서", extract=" ")
    wiki.add("ko", "요르단 (동음이의)", disambiguation=True, extract="다음을 가리킨다.")
    return wiki


ENTITIES = ("seoul", "EU", "Van der Pas", "Mercury", "Bonn", "Nowhere", "Gone", "Empty", "Jordan", "C# [x]", "EU")


def corpus(folder: Path, *entities: str) -> Path:
    file = folder / "english.jsonl"
    records = [{"text": name, "entities": [{"start": 0, "end": len(name), "tag": "LOC"}]} for name in entities]
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def collect(folder: Path, wiki: Wiki, file: Path, *more: str) -> tuple[int, Path]:
    output = folder / "ko.jsonl"
    words = ["eacl", "collect", str(file), "--lang", "ko", "-o", str(output), "--api", wiki.api, "--json"]
    return main([*words, "--state", str(folder / "state"), *more]), output


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_every_entity_becomes_a_pair_or_a_reason(
    tmp_path: Path, small_world: Wiki, capsys: pytest.CaptureFixture[str]
) -> None:
    rejects = tmp_path / "rejects.jsonl"
    file = corpus(tmp_path, *ENTITIES)
    code, output = collect(tmp_path, small_world, file, "--rejects", str(rejects), "--contact", "ann@example.org")
    assert code == 0
    assert rows(output) == [
        {"lang": "ko", "english": "seoul", "title": "서울", "text": "서울특별시는 서울이라고도 하는 수도이다."},
        {"lang": "ko", "english": "EU", "title": "유럽 연합", "text": "유럽 연합(영어: EU)은 공동체이다."},
    ]
    said = json.loads(capsys.readouterr().out)
    assert said["pairs"] == said["pages"] == 2
    assert said["asked"] == 2  # one question to each Wikipedia
    assert said["rejected"] == {
        "section": 1,
        "disambiguation": 1,
        "no_link": 1,
        "missing": 1,
        "page_missing": 1,
        "page_no_text": 1,
        "page_disambiguation": 1,
        "invalid_title": 1,
    }
    assert {row["record"]["english"]: row["reason"] for row in rows(rejects)} == {
        "Van der Pas": "section",
        "Mercury": "disambiguation",
        "Bonn": "no_link",
        "Nowhere": "missing",
        "Gone": "page_missing",
        "Empty": "page_no_text",
        "Jordan": "page_disambiguation",
        "C# [x]": "invalid_title",
    }
    (agent,) = small_world.agents
    assert agent.startswith("eat_worker/")
    assert "ann@example.org" in agent
    assert {form["maxlag"] for _, form in small_world.asked} == {"5"}


def test_what_was_answered_is_not_asked_again(tmp_path: Path, small_world: Wiki) -> None:
    collect(tmp_path, small_world, corpus(tmp_path, "Seoul", "Nowhere"))
    before = len(small_world.asked)
    # Other neighbours, so other questions: only the new name is asked about.
    collect(tmp_path, small_world, corpus(tmp_path, "Nowhere", "EU", "Seoul"))
    assert [titles for _, titles in small_world.titles_asked()[2 + before - 1 :]] == ["EU", "유럽 연합"]
    _, output = collect(tmp_path, small_world, corpus(tmp_path, "Nowhere", "EU", "Seoul"))
    assert len(small_world.asked) == before + 2
    assert [row["english"] for row in rows(output)] == ["EU", "Seoul"]


def many(wiki: Wiki, count: int) -> list[str]:
    names = [f"Town {number}" for number in range(count)]
    for number, name in enumerate(names):
        wiki.add("en", name, links={"ko": f"마을 {number}"})
        wiki.add("ko", f"마을 {number}", extract=f"마을 {number}은 마을이다. 작다.")
    return names


def test_fifty_titles_are_asked_at_once_and_answers_in_parts_are_put_together(tmp_path: Path, wiki: Wiki) -> None:
    names = many(wiki, 120)
    code, output = collect(tmp_path, wiki, corpus(tmp_path, *names))
    assert code == 0
    assert [row["text"] for row in rows(output)] == [f"마을 {number}은 마을이다." for number in range(120)]
    sizes = [(lang, len(form["titles"].split("|"))) for lang, form in wiki.asked]
    # Fifty introductions come in three parts, twenty in one.
    assert sizes == [*([("en", 50)] + [("ko", 50)] * 3) * 2, ("en", 20), ("ko", 20)]


def test_limit_asks_for_the_first_entities_only(tmp_path: Path, wiki: Wiki) -> None:
    _, output = collect(tmp_path, wiki, corpus(tmp_path, *many(wiki, 30)), "--limit", "7")
    assert len(rows(output)) == 7
    assert len(wiki.titles_asked()) == 14


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, wiki: Wiki) -> None:
    names = many(wiki, 100)
    file = corpus(tmp_path, *names)
    arguments = ["eacl", "collect", str(file), "--lang", "ko", "-o", str(tmp_path / "ko.jsonl"), "--api", wiki.api]
    slow = (503, {"Retry-After": "30"}, b"")
    wiki.faults = [None, None, None, None, slow]  # the second fifty meet a wall
    process = subprocess.Popen([sys.executable, "-m", "eat_worker", *arguments], cwd=tmp_path)
    try:
        while wiki.faults:
            assert process.poll() is None
            threading.Event().wait(0.02)
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "ko.jsonl").exists()
    first = wiki.titles_asked()
    code, output = collect(tmp_path, wiki, file, "--state", str(tmp_path / ".eat"))
    assert code == 0
    assert len(rows(output)) == 100
    again = wiki.titles_asked()[len(first) :]
    assert not set(first) & set(again)


def asked_with(faults: list[Fault | None], wiki: Wiki, folder: Path) -> tuple[dict[str, Found], list[float]]:
    wiki.add("en", "Seoul", links={"ko": "서울"})
    wiki.faults = faults
    waits: list[float] = []
    with Site(wait=waits.append) as site:
        found = Wikipedia(site, PageCache(folder), wiki.api).titles_in("ko", ["Seoul"])
    return found, waits


def test_retry_after_is_obeyed_as_seconds_and_as_date(tmp_path: Path, wiki: Wiki) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    faults: list[Fault | None] = [
        (429, {"Retry-After": "11"}, b""),
        (429, {"Retry-After": "Wed, 01 Jan 2025 00:00:00"}, b""),
        (503, {"Retry-After": date}, b""),
        (200, {"Retry-After": "5"}, MAXLAG),
    ]
    found, (first, past, *waits) = asked_with(faults, wiki, tmp_path)
    assert found == {"Seoul": Found("서울")}
    assert 11 <= first <= 11.5
    assert 0 <= past <= 0.5
    assert 38 <= waits[0] <= 40.5
    assert 5 <= waits[1] <= 5.5


def test_waits_grow_where_the_site_names_none(tmp_path: Path, wiki: Wiki) -> None:
    found, waits = asked_with([(502, {"Retry-After": "soon"}, b"")] * 4, wiki, tmp_path)
    assert found == {"Seoul": Found("서울")}
    for wait, most in zip(waits, (1, 2, 4, 8), strict=True):
        assert most / 2 <= wait <= most


def test_patience_ends(tmp_path: Path, wiki: Wiki) -> None:
    with pytest.raises(SiteUnavailable, match="8 times in a row"):
        asked_with([(500, {}, b"")] * asking.PATIENCE, wiki, tmp_path)


def test_who_is_sent_away_for_long_is_told(tmp_path: Path, wiki: Wiki) -> None:
    with pytest.raises(SiteUnavailable, match="left alone for 3600 s"):
        asked_with([(429, {"Retry-After": "3600"}, b"")], wiki, tmp_path)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ((403, {}, b""), "--contact"),
        ((404, {}, b""), "status 404"),
        ((200, {}, b"<html>Please log in</html>"), "does not answer with JSON"),
        ((200, {}, b"[]"), "something else"),
        ((200, {}, b'{"error": {"code": "badvalue", "info": "Unrecognized value"}}'), "refuses the question: badvalue"),
    ],
)
def test_what_asking_again_cannot_help_is_told_at_once(fault: Fault, message: str, tmp_path: Path, wiki: Wiki) -> None:
    with pytest.raises(ConfigurationError, match=message):
        asked_with([fault], wiki, tmp_path)


def test_an_answer_without_end_is_noticed(tmp_path: Path, wiki: Wiki) -> None:
    wiki.endless = True
    with pytest.raises(ConfigurationError, match="never ends its answer"):
        asked_with([], wiki, tmp_path)


def test_a_site_that_is_not_there_ends_with_69(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "UNREACHED", 2)
    monkeypatch.setattr(asking, "_BACKOFF", Backoff(0.01, 60.0))
    nowhere = Wiki(url="http://127.0.0.1:1")
    code, output = collect(tmp_path, nowhere, corpus(tmp_path, "Seoul"))
    assert code == 69
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "site_unavailable"
    assert not output.exists()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_records_of_the_corpus_that_are_refused_are_counted(
    tmp_path: Path, small_world: Wiki, capsys: pytest.CaptureFixture[str]
) -> None:
    file = corpus(tmp_path, "Seoul")
    file.write_text(file.read_text() + "nonsense\n")
    code, output = collect(tmp_path, small_world, file)
    assert code == 0
    assert json.loads(capsys.readouterr().out)["refused_records"] == 1
    assert len(rows(output)) == 1


def test_a_corpus_without_entities_is_told(
    tmp_path: Path, small_world: Wiki, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "english.jsonl"
    file.write_text('{"text": "No names."}\n')
    code, output = collect(tmp_path, small_world, file)
    assert code == 1
    assert "no gold entities" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert not output.exists()


@pytest.mark.usefixtures("here")
def test_wikipedia_is_told_who_asks_or_the_user_is_told_to_say(
    tmp_path: Path, small_world: Wiki, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eat_worker.training.eacl.wikipedia.PUBLIC_API", small_world.api)
    assert main(["eacl", "collect", str(corpus(tmp_path, "Seoul")), "--lang", "ko", "-o", "ko.jsonl"]) == 0
    assert "give --contact" in capsys.readouterr().err


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="proxy"):
        Site()


def test_a_damaged_answer_on_disk_is_asked_again(tmp_path: Path, small_world: Wiki) -> None:
    collect(tmp_path, small_world, corpus(tmp_path, "Seoul"))
    for file in (tmp_path / "state" / "wikipedia").rglob("*.json"):
        file.write_bytes(file.read_bytes()[:-9])
    code, output = collect(tmp_path, small_world, corpus(tmp_path, "Seoul"))
    assert code == 0
    assert len(rows(output)) == 1
    assert len(small_world.asked) == 4


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--lang", "en"], 2, "from English into another language"),
        (["--lang", "kr"], 78, "did you mean ko"),
        (["--lang", "ko", "--api", "wikipedia"], 78, "is not an address"),
        (["--lang", "ko", "--api", "http://{lang}:port/"], 78, "is not the address of an API"),
        (["--lang", "ko", "-o", "english.jsonl"], 2, "is the file that is read"),
    ],
)
@pytest.mark.usefixtures("here")
def test_options_that_cannot_work(
    words: list[str], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus(tmp_path, "Seoul")
    assert main(["eacl", "collect", "english.jsonl", "-o", "out.jsonl", *words]) == code
    assert message in capsys.readouterr().err
