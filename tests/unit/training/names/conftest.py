"""Sources of a few lines, written by hand: English sentences, EACL pairs in two languages, and translated news."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eat_worker.training.names.sources import Sources, read_sources

ENGLISH = (
    "Anna/B-PER Lee/I-PER left Oslo/B-LOC for Bergen/B-LOC on Monday .",
    "The river Rhine/B-LOC flows past the works of Bayer/B-ORG .",
    "In the evening it rained hard and nobody went out .",
    "Nothing of this was ever written down by those who saw it .",
)
# English name, its tag, and per language the title and the sentence.
EACL: dict[str, tuple[tuple[str, str, str], ...]] = {
    "de": (
        ("Cologne", "Köln", "Köln liegt am Rhein."),
        ("Angela Merkel", "Angela Dorothea Merkel", "Angela Dorothea Merkel war Kanzlerin."),
        ("UNITED NATIONS", "Vereinte Nationen", "Die Organisation der Vereinte Nationen tagt."),
        ("Munich", "München", "Die Isar fließt durch München."),
        ("Ford", "Ford", "Ford baut Autos."),
        ("Danish", "Dänisch", "Dänisch ist eine Sprache."),
    ),
    "ko": (
        ("Seoul", "서울", "서울은 대한민국의 수도이다."),
        ("Busan", "부산", "항구 도시 부산은 바다에 있다."),
        ("Yuna Kim", "김연아", "김연아는 선수이다."),
        ("UNITED NATIONS", "국제 연합", "국제 연합은 기구이다."),
    ),
}
TYPES = {
    "Cologne": "LOC",
    "Munich": "LOC",
    "Seoul": "LOC",
    "Busan": "LOC",
    "Angela Merkel": "PER",
    "Yuna Kim": "PER",
    "UNITED NATIONS": "ORG",
    "Ford": "ORG",
    "Danish": "MISC",
}
NEWS = {
    "en": (
        "Nobody knows what the reason was, but I don't mind.",
        "The United Nations will meet in Seoul next week, if nobody minds.",
        "It was Tuesday in Munich when the man came back, and then he left.",
        "Then the other people of the town went home.",
        "Reason enough, the mayor of Seoul said.",
    ),
    "ko": (
        "이유가 무엇이었는지 아무도 모르지만 나는 상관없다.",
        "국제 연합은 다음 주에 서울에서 만날 예정이라고 그들이 말했다.",
        "그 남자가 돌아온 것은 화요일이었다.",
        "그리고 마을의 다른 사람들은 집으로 갔다.",
        "이유는 충분하다고 서울 시장이 말했다고 한다. 정말이다.",
    ),
    "hi": ("किसी को नहीं पता।", "क", "ख", "फिर दूसरे लोग घर गए।", "ग"),
}


@pytest.fixture
def source_files(tmp_path: Path) -> dict[str, Any]:
    """The arguments of `read_sources`, and the files behind them."""
    english, eacl, news = tmp_path / "en.bio", tmp_path / "eacl", tmp_path / "news"
    words = ["\n".join(_bio(word) for word in line.split()) for line in ENGLISH]
    english.write_text("\n\n".join(words) + "\n", encoding="utf-8")
    eacl.mkdir()
    (eacl / "entity_types.tsv").write_text("".join(f"{name}\t{tag}\n" for name, tag in TYPES.items()), "utf-8")
    for lang, rows in EACL.items():
        records = [dict(zip(("eng_entity", "tgt_entity", "text"), row, strict=True)) for row in rows]
        _write(eacl / f"{lang}.jsonl", records)
    news.mkdir()
    for lang, sentences in NEWS.items():
        _write(news / f"{lang}.jsonl", [{"id": "a.1", "sentences": sentences}])
    return {"english": (english,), "eacl": eacl, "news": news}


@pytest.fixture
def sources(source_files: dict[str, Any]) -> Sources:
    return read_sources(**source_files)


def _bio(word: str) -> str:
    token, slash, label = word.partition("/")
    return f"{token}\t{label if slash else 'O'}"


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
