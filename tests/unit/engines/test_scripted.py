"""The engine that answers from a table: what it says in every stage, what can go wrong on demand, how scripts fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from eat_worker.engines.scripted import Scripted
from eat_worker.errors import ConfigurationError, EngineError, EngineUnavailable, TooLong
from eat_worker.method.annotate import Annotation, annotate
from eat_worker.method.config import MethodConfig
from eat_worker.method.constraint import Automaton, list_of, span_of
from eat_worker.method.document import Document, Stage
from eat_worker.method.rounds import EnglishConstraint, Limits, Message, Request, RoundResult

KOREAN = Document("김연아는 서울에서 열린 대회에서 금메달을 받았다.", "ko")
RUSSIAN = Document("Владимир Путин встретился в Москве: это был понедельник.", "ru")
CHINESE = Document("高明在北京大学学习。", "zh")
SENTENCES: list[dict[str, object]] = [
    {
        "text": KOREAN.text,
        "english": "In Seoul, Kim Yuna won a gold medal.",
        "entities": [["Seoul", "LOC", "서울"], ["Kim Yuna", "PER", "김연아"]],
    },
    {
        "text": RUSSIAN.text,
        "english": "Vladimir Putin met someone in Moscow: it was a Monday.",
        "entities": [["Vladimir Putin", "PER", "Владимир Путин"], ["Moscow", "LOC", "Москве"]],
    },
    {
        "text": CHINESE.text,
        "english": 'Gao Ming studies at "Peking University".',
        "entities": [["Gao Ming", "PER", "高明"], ["Peking University", "ORG", "北京大学"]],
    },
]
EXPECTED = {
    KOREAN.text: {("서울", "LOC", "Seoul"), ("김연아", "PER", "Kim Yuna")},
    RUSSIAN.text: {("Владимир Путин", "PER", "Vladimir Putin"), ("Москве", "LOC", "Moscow")},
    CHINESE.text: {("高明", "PER", "Gao Ming"), ("北京大学", "ORG", "Peking University")},
}

Opened = Callable[..., Scripted]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Opens engines on scripts of the given lines (objects, or text as it is)."""
    engines: list[Scripted] = []

    def call(*lines: object, slots: int = 2) -> Scripted:
        path = tmp_path / "script.jsonl"
        written = (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
        path.write_text("\n".join(written), encoding="utf-8")
        engines.append(Scripted(path, slots=slots))
        return engines[-1]

    yield call
    for engine in engines:
        engine.close()


def request(stage: Stage, variables: Mapping[str, str], tokens: int = 100) -> Request:
    return Request("s", stage, (Message("user", "some words"),), variables, Limits(tokens))


def say(engine: Scripted, stage: Stage, **variables: str) -> str:
    return engine.ask(request(stage, variables)).text


# --- the method, end to end


def found(annotation: Annotation, document: Document) -> set[tuple[str, str, str]]:
    return {
        (document.text[one.span.start : one.span.end], one.english.tag, one.english.mention)
        for one in annotation.alignments
        if one.span is not None
    }


@pytest.mark.parametrize("rounds", [1, 3, 5])
@pytest.mark.parametrize("prompts", ["restated", "official"])
@pytest.mark.parametrize("alignment", ["constrained", "free", "free+constrained"])
def test_the_method_finds_what_the_script_says(opened: Opened, prompts: str, rounds: int, alignment: str) -> None:
    engine = opened(*SENTENCES)
    for forward in ("bound", "free"):
        config = MethodConfig(prompts=prompts, rounds=rounds, alignment=alignment, forward=forward)
        for document, sentence in zip((KOREAN, RUSSIAN, CHINESE), SENTENCES, strict=True):
            annotation = annotate(document, engine.ask, config, session="s")
            assert annotation.english == sentence["english"]
            assert found(annotation, document) == EXPECTED[document.text]
            assert annotation.back_translation == document.text


@pytest.mark.parametrize("prompts", ["restated", "official"])
def test_the_direct_call_finds_it_too(opened: Opened, prompts: str) -> None:
    engine = opened(*SENTENCES)
    for document in (KOREAN, RUSSIAN, CHINESE):
        annotation = annotate(document, engine.ask, MethodConfig(method="direct", prompts=prompts), session="s")
        assert {entity[:2] for entity in found(annotation, document)} == {
            (words, tag) for words, tag, _ in EXPECTED[document.text]
        }


@pytest.mark.parametrize("prompts", ["restated", "official"])
def test_rules_answer_for_a_sentence_nobody_wrote_down(prompts: str) -> None:
    engine = Scripted(None, slots=1)
    document = Document("Gestern war Angela Merkel in Wolfsburg, sagt VW-Chef Diess.", "de")
    annotation = annotate(document, engine.ask, MethodConfig(prompts=prompts), session="s")
    assert annotation.english == annotation.back_translation == document.text
    assert {words for words, _, _ in found(annotation, document)} == {
        "Gestern",
        "Angela Merkel",
        "Wolfsburg",
        "VW-Chef Diess",
    }
    engine.close()


def test_rules_find_no_names_where_there_is_no_capital(opened: Opened) -> None:
    engine = opened(*SENTENCES)
    annotation = annotate(Document("서울에 갔다", "ko"), engine.ask, MethodConfig(), session="s")
    assert (annotation.english, annotation.alignments) == ("서울에 갔다", ())


# --- stage by stage


def test_every_stage_has_its_answer(opened: Opened) -> None:
    engine = opened(*SENTENCES)
    text, english = KOREAN.text, "In Seoul, Kim Yuna won a gold medal."
    assert say(engine, Stage.FORWARD, text=text) == english
    assert say(engine, Stage.EXTRACT, english=english) == "(LOC, Seoul) (PER, Kim Yuna)"
    assert say(engine, Stage.DIRECT, text=text) == "(LOC, 서울) (PER, 김연아)"
    assert say(engine, Stage.BACKWARD, text=text, words="Kim Yuna") == "김연아"
    assert say(engine, Stage.BACKWARD, text=text, words="Oslo") == "NONE"
    assert say(engine, Stage.BACKWARD, text=text, words="열린") == "열린"
    assert say(engine, Stage.BACK_TRANSLATION, english=english) == text


def test_rules_have_an_answer_for_every_stage() -> None:
    engine = Scripted(None, slots=1)
    text = "Hier ist New York."
    assert say(engine, Stage.FORWARD, text=text) == text
    assert say(engine, Stage.EXTRACT, english=text) == "(LOC, Hier) (LOC, New York)"
    assert say(engine, Stage.EXTRACT, english="nobody is here") == "none"
    assert say(engine, Stage.DIRECT, text=text) == "(LOC, Hier) (LOC, New York)"
    assert say(engine, Stage.BACKWARD, text=text, words="New York") == "New York"
    assert say(engine, Stage.BACKWARD, text=text, words="Oslo") == "NONE"
    assert say(engine, Stage.BACK_TRANSLATION, english=text) == text
    engine.close()


def test_a_bound_list_follows_the_text(opened: Opened) -> None:
    engine = opened(*SENTENCES)
    bound = list_of(KOREAN.text, ("PER", "LOC", "ORG"), characters=True)
    asked = Request("s", Stage.FORWARD, (), {"text": KOREAN.text}, Limits(99), constraint=bound)
    assert engine.ask(asked).text == "김연아 = Kim Yuna (PER)\n서울 = Seoul (LOC)"
    unknown = Request("s", Stage.FORWARD, (), {"text": "Oslo"}, Limits(99), constraint=bound)
    assert engine.ask(unknown).text == "none"


def test_a_bound_translation_is_the_english_sentence_of_the_table(opened: Opened) -> None:
    engine, bound = opened(*SENTENCES), EnglishConstraint()
    automaton = Automaton(bound)
    for document, sentence in zip((KOREAN, RUSSIAN, CHINESE), SENTENCES, strict=True):
        asked = Request("s", Stage.FORWARD, (), {"text": document.text}, Limits(99), constraint=bound)
        answer = engine.ask(asked).text
        assert answer == sentence["english"]
        assert automaton.accepts(automaton.advance(automaton.start(), answer))
    unknown = Request("s", Stage.FORWARD, (), {"text": "Oslo ist kalt."}, Limits(99), constraint=bound)
    assert engine.ask(unknown).text == "Oslo ist kalt."


def test_a_bound_answer_is_the_words_of_the_text(opened: Opened) -> None:
    bound = span_of(RUSSIAN.text, characters=False)
    asked = Request("s", Stage.BACKWARD, (), {"text": RUSSIAN.text, "words": "Moscow"}, Limits(9), constraint=bound)
    assert opened(*SENTENCES).ask(asked).text == "Москве"


def test_an_answer_is_counted_in_words() -> None:
    engine = Scripted(None, slots=1)
    result = engine.ask(request(Stage.FORWARD, {"text": "one two three"}, 3))
    assert result == RoundResult("one two three", 2, 0, 3, finish_reason="stop", logprob=0.0)
    assert engine.ask(request(Stage.FORWARD, {"text": "one two three"}, 2)).finish_reason == "length"
    engine.close()


# --- faults


@pytest.mark.parametrize(
    ("kind", "error"), [("error", EngineError), ("unavailable", EngineUnavailable), ("too_long", TooLong)]
)
def test_a_fault_that_raises(opened: Opened, kind: str, error: type[Exception]) -> None:
    engine = opened({"fault": kind, "at": 2})
    assert say(engine, Stage.FORWARD, text="first") == "first"
    with pytest.raises(error, match="scripted fault") as raised:
        say(engine, Stage.FORWARD, text="second")
    assert type(raised.value) is error
    assert say(engine, Stage.FORWARD, text="third") == "third"


@pytest.mark.parametrize(
    ("kind", "said", "finish"),
    [("empty", "", "stop"), ("refuse", "I cannot help with that.", "stop"), ("loop", "and so on " * 200, "length")],
)
def test_a_fault_that_answers(opened: Opened, kind: str, said: str, finish: str) -> None:
    result = opened({"fault": kind, "at": 1}).ask(request(Stage.FORWARD, {"text": "first"}))
    assert (result.text, result.finish_reason) == (said, finish)


def test_a_fault_that_waits(opened: Opened) -> None:
    engine = opened({"fault": "sleep", "at": 1, "seconds": 0.1})
    began = time.monotonic()
    assert say(engine, Stage.FORWARD, text="first") == "first"
    assert time.monotonic() - began >= 0.1


def test_a_fault_that_kills_the_process(tmp_path: Path) -> None:
    (tmp_path / "script.jsonl").write_text('{"fault": "crash", "at": 1}')
    program = (
        "from pathlib import Path\n"
        "from eat_worker.engines.scripted import Scripted\n"
        "from eat_worker.method.document import Stage\n"
        "from eat_worker.method.rounds import Limits, Request\n"
        "engine = Scripted(Path('script.jsonl'), slots=1)\n"
        "print('asking', flush=True)\n"
        "engine.ask(Request('s', Stage.FORWARD, (), {'text': 'x'}, Limits(9)))\n"
        "print('answered', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "asking\n")


def test_a_fault_of_a_sentence_strikes_in_every_stage(opened: Opened) -> None:
    engine = opened(*SENTENCES, {"fault": "error", "text": "서울에서"})
    english = "In Seoul, Kim Yuna won a gold medal."
    for stage, variables in (
        (Stage.FORWARD, {"text": KOREAN.text}),
        (Stage.EXTRACT, {"english": english}),
        (Stage.BACKWARD, {"text": KOREAN.text, "words": "Seoul"}),
        (Stage.BACK_TRANSLATION, {"english": english}),
        (Stage.DIRECT, {"text": KOREAN.text}),
        (Stage.FORWARD, {"text": "서울에서"}),
    ):
        with pytest.raises(EngineError):
            say(engine, stage, **variables)
    assert say(engine, Stage.FORWARD, text=CHINESE.text) == 'Gao Ming studies at "Peking University".'


def test_an_empty_text_strikes_always(opened: Opened) -> None:
    engine = opened({"fault": "too_long", "text": ""})
    with pytest.raises(TooLong):
        say(engine, Stage.FORWARD, text="anything")
    with pytest.raises(TooLong):
        say(engine, Stage.EXTRACT, english="anything")


def test_every_request_has_one_number(opened: Opened) -> None:
    engine = opened({"fault": "empty", "at": 50}, slots=8)
    with ThreadPoolExecutor(8) as pool:
        texts = [result.text for result in pool.map(engine.ask, [request(Stage.FORWARD, {"text": "x"})] * 100)]
    assert sorted(texts) == ["", *["x"] * 99]


# --- scripts that are wrong


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[]", "no object"),
        ("3", "no object"),
        ({}, "'text'"),
        ({"text": "a"}, "'english'"),
        ({"text": "a", "english": 3}, "3 is not a text"),
        ({"text": "a", "english": "b", "entites": []}, "unknown: entites"),
        ({"text": "a", "english": "b", "entities": [["Seoul", "LOC"]]}, "not enough values"),
        ({"text": "a", "english": "b", "entities": [["Seoul", "LOC", None]]}, "None is not a text"),
        ({"text": "a", "english": "b", "entities": 5}, "not iterable"),
        ({"fault": "explode", "at": 1}, "'explode' is not a fault; the faults are: error, unavailable, too_long"),
        ({"fault": ["error"], "at": 1}, "is not a fault"),
        ({"fault": "error"}, "either `at` or `text` says when"),
        ({"fault": "error", "at": 1, "text": "a"}, "either `at` or `text` says when"),
        ({"fault": "error", "at": 0}, "counts requests from 1"),
        ({"fault": "error", "at": "1"}, "counts requests from 1"),
        ({"fault": "error", "at": True}, "counts requests from 1"),
        ({"fault": "error", "text": 1}, "1 is not a text"),
        ({"fault": "sleep", "at": 1, "seconds": "long"}, "could not convert"),
    ],
)
def test_a_wrong_line_is_named(opened: Opened, line: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=r"script\.jsonl:3: ") as raised:
        opened(SENTENCES[0], "", line)
    assert why in str(raised.value)


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.jsonl: the script cannot be read: No such file"):
        Scripted(tmp_path / "nowhere.jsonl", slots=1)


def test_an_empty_script_leaves_everything_to_the_rules(opened: Opened) -> None:
    assert say(opened(), Stage.FORWARD, text="Oslo") == "Oslo"


# --- what every engine has


def test_it_says_what_it_is(opened: Opened) -> None:
    info = opened(slots=3).info
    assert (info.kind, info.model, info.slots, info.constrained) == ("scripted", "script.jsonl", 3, True)


def test_submit_and_close(opened: Opened) -> None:
    engine = opened({"fault": "sleep", "text": "slow", "seconds": 0.1})
    waiting = engine.submit(request(Stage.FORWARD, {"text": "slow"}))
    while not engine._gate._inside:
        time.sleep(0.001)
    engine.close()
    engine.close()
    assert waiting.result(timeout=0).text == "slow"
    with pytest.raises(EngineUnavailable, match="the engine was closed"):
        say(engine, Stage.FORWARD, text="late")
