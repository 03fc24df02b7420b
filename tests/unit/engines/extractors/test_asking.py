"""An extractor asked like a chat engine, by many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from eat_worker.engines.extractors.asking import ExtractorRounds
from eat_worker.engines.extractors.extractor import ExtractorInfo, numbered
from eat_worker.method.document import EnglishEntity, Stage
from eat_worker.method.rounds import Limits, Message, Request


class Capitals:
    """Takes every word with a capital for a place; fails on the text `bad`; may be told to wait."""

    def __init__(self, batch: int = 8) -> None:
        self.info = ExtractorInfo("capitals", "capitals", "0" * 64, batch)
        self.batches: list[list[str]] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.closed = False

    def extract(self, texts: Sequence[str]) -> list[tuple[EnglishEntity, ...]]:
        self.batches.append(list(texts))
        self.may_go.wait(5)
        if "bad" in texts:
            raise ValueError("no such text")
        return [numbered(text, [(0, len(text), "LOC")] if text.istitle() else []) for text in texts]

    def close(self) -> None:
        self.closed = True


def request(english: str) -> Request:
    return Request("s", Stage.EXTRACT, (Message("user", english),), {"english": english}, Limits(8))


def test_the_answer_is_in_the_papers_text_format() -> None:
    assert ExtractorRounds(Capitals()).ask(request("Oslo")).text == "(LOC, Oslo)"


def test_nothing_found_is_said_in_words() -> None:
    assert ExtractorRounds(Capitals()).ask(request("a town")).text == "none"


def test_what_waits_while_the_extractor_is_busy_goes_in_one_batch() -> None:
    extractor = Capitals(batch=3)
    rounds = ExtractorRounds(extractor)
    extractor.may_go.clear()
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(rounds.ask, request("Rome"))
        while not extractor.batches:
            pass
        rest = [pool.submit(rounds.ask, request(name)) for name in ("Oslo", "Bonn", "a", "Kyiv")]
        while len(rounds._waiting) < 4:
            pass
        extractor.may_go.set()
        answers = [first.result().text, *(future.result().text for future in rest)]
    assert answers == ["(LOC, Rome)", "(LOC, Oslo)", "(LOC, Bonn)", "none", "(LOC, Kyiv)"]
    assert [len(batch) for batch in extractor.batches] == [1, 3, 1]


def test_an_error_reaches_everybody_in_the_batch_and_nobody_else() -> None:
    rounds = ExtractorRounds(Capitals())
    with pytest.raises(ValueError, match="no such text"):
        rounds.ask(request("bad"))
    assert rounds.ask(request("Oslo")).text == "(LOC, Oslo)"


def test_closing_closes_the_extractor() -> None:
    extractor = Capitals()
    ExtractorRounds(extractor).close()
    assert extractor.closed
