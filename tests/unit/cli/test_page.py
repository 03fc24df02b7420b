"""The report page: complete, self-contained, and nothing of a corpus or a model is obeyed by a browser."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from eat_worker.cli.figures import latex
from eat_worker.cli.page.charts import pictures
from eat_worker.cli.page.page import write_page
from eat_worker.cli.page.texts import LONGEST, Piece, direction, pieces, shown
from eat_worker.runs.findings import open_findings
from eat_worker.runs.reporting import report
from eat_worker.settings import Settings

Eat = Callable[..., Any]
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)> \u202etxt & 'x' {{ 7*7 }}"


class Elements(HTMLParser):
    """Every element and attribute of a page, and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def page(finished: Settings, eat: Eat, tmp_path: Path) -> str:
    done = eat("report", "--html", "out.html")
    assert (done.code, done.out, done.err) == (0, "", "the report is in out.html\n")
    return (tmp_path / "out.html").read_text(encoding="utf-8")


def test_the_page_has_every_part(page: str) -> None:
    found = Elements(page)
    for heading in ("Run demo", "Figures", "By type", "Alignment ledger", "Time and tokens", "Published figures"):
        assert heading in found.words
    for words in ("f" * 64, "2 exact", "nrefs:1", "the paper has no figures of the data set klue", "long"):
        assert words in found.words
    assert found.tags.count("figure") == found.tags.count("svg") == 5


def test_the_worst_sentence_comes_with_its_dossier(page: str) -> None:
    article = page[page.index("<article>") : page.index("</article>")]
    assert "Document 2 of run" in article
    assert 'dir="rtl" lang="ar"' in article
    assert "Sentence (Korean)" in article
    assert "A thought." in article
    assert page.count("<article>") == 1  # the other one is wholly right


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(page: str) -> None:
    found = Elements(page)
    assert not {"script", "link", "iframe", "object", "img", "foreignobject"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("src", "href", "style")]
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert f"default-src &#39;none&#39;; style-src &#39;sha256-{digest}&#39;" in page or f"'sha256-{digest}'" in page


def test_names_and_answers_are_shown_and_not_obeyed(finished: Settings, tmp_path: Path) -> None:
    found = report(finished)
    rows = tuple(replace(row, run=HOSTILE, dataset=f"{HOSTILE} {row.lang}") for row in found.rows)
    hostile = replace(found, rows=rows, fingerprints={HOSTILE: found.fingerprints["demo"]})
    with open_findings(finished, most=9) as findings:
        dossiers = [replace(one, english=HOSTILE, back_translation=HOSTILE) for one in findings.worst]
        write_page(tmp_path / "x.html", hostile, replace(findings, flags={(HOSTILE, HOSTILE): 2}, worst=iter(dossiers)))
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    elements = Elements(page)
    assert not {"script", "img"} & set(elements.tags)
    assert not [name for name, _ in elements.attributes if name.startswith("on")]
    assert "\u202e" not in page
    assert "<script>alert(1)</script>" in elements.words
    assert "{{ 7*7 }}" in elements.words


def test_pictures_are_well_formed_with_hostile_names(finished: Settings) -> None:
    found = report(finished)
    rows = [replace(row, dataset=f"{HOSTILE} {row.lang}") for row in found.rows]
    kinds = []
    for picture in pictures(rows):
        kinds.append(picture.kind)
        elements = list(ElementTree.fromstring(picture.svg()).iter())
        assert {element.tag.rpartition("}")[2] for element in elements} <= {"svg", "g", "rect", "path", "line", "text"}
        assert not [name for element in elements for name in element.attrib if name.startswith("on")]
    assert kinds == ["f1", "types", "ledger", "translation", "time"]


def test_pictures_are_written_as_svg_and_png(finished: Settings, eat: Eat, tmp_path: Path) -> None:
    done = eat("report", "--plots", "new", "--lang", "ko")
    assert done.code == 0
    assert "pictures, each as SVG and PNG, are in new\n" in done.err
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert {"1-f1.png", "1-f1.svg", "1-ledger.png", "1-ledger.svg"} <= set(names)
    assert (tmp_path / "new/1-f1.png").read_bytes().startswith(b"\x89PNG")
    assert eat("report", "--plots", "new").code == 78  # a folder is never written over


def test_without_the_extra_the_command_says_how_to_get_it(
    finished: Settings, eat: Eat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "altair" else real(name, *rest))
    done = eat("report", "--html", "out.html")
    assert done.code == 78
    assert done.err == "eat: altair is not installed; run: pip install 'eat_worker[report]'\n"
    assert not (tmp_path / "out.html").exists()


def test_a_latex_table_has_a_line_per_row_and_nothing_to_obey(finished: Settings, eat: Eat) -> None:
    lines = eat("report", "--latex").out.splitlines()
    assert lines[-4].startswith(r"demo & klue & ko & 1 & 100.0 & 100.0--100.0 &")
    assert lines[-1] == r"\end{tabular}"
    found = report(finished)
    hostile = replace(found, rows=(replace(found.rows[0], dataset="a_b & \\input{x}\n%"),))
    assert r"a\_b \& \textbackslash{}input\{x\}\textbackslash{}n\% &" in latex(hostile)


def test_json_goes_with_no_other_form(finished: Settings, eat: Eat) -> None:
    assert eat("report", "--json", "--latex").code == 2


@pytest.mark.parametrize(("lang", "way"), [("ar", "rtl"), ("ko", "ltr"), ("all", "auto")])
def test_the_direction_is_that_of_the_language(lang: str, way: str) -> None:
    assert direction(lang) == way


def test_a_text_is_cut_at_its_entities() -> None:
    found = pieces("Ann met Bo.", [(8, 10, "PER"), (0, 3, "PER"), (1, 3, "LOC")], [(0, 3, "PER")], "wrong")
    assert found == [Piece("Ann", "PER", "right"), Piece(" met "), Piece("Bo", "PER", "wrong"), Piece(".")]
    assert pieces("", [], [], "wrong") == []


def test_a_long_text_is_cut_off_and_says_so() -> None:
    text = "x" * (LONGEST + 1500)
    assert shown(text).endswith("x … (1,500 more characters)")
    (piece,) = pieces(text, [(LONGEST + 5, LONGEST + 9, "PER")], [], "wrong")
    assert piece.words.endswith("(1,500 more characters)")
    assert shown("a\nb\u202e") == "a\nb\\u202e"
