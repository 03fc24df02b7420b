"""An engine that answers from a table: deterministic, no weights. For tests, load measurements and fault drills.

The script is JSONL. A line with `text` says what the sentence is in English, which entities it has and where:
    {"text": "...", "english": "...", "entities": [["Seoul", "LOC", "서울"]]}
A line with `fault` says which request goes wrong: {"fault": "error", "at": 3} fails the third request, "text": "..."
instead of "at" every request about that sentence. Faults: error, unavailable, too_long, empty, loop, refuse, crash (the process
dies as by kill -9), and sleep (with "seconds"). A sentence the table lacks is answered by simple rules, so that any
corpus runs: its translation is itself, its entities are its capitalised words. Knows prompts by the variables they were filled with.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eat_worker.engines.engine import EngineInfo
from eat_worker.errors import ConfigurationError, EngineError, EngineUnavailable, TooLong
from eat_worker.method.constraint import NO_NAMES, REFUSAL
from eat_worker.method.rounds import Request, RoundResult, SpanConstraint

FAULTS = ("error", "unavailable", "too_long", "empty", "loop", "refuse", "crash", "sleep")
_NAME = re.compile(r"\b[A-Z][\w-]*(?: [A-Z][\w-]*)*")
_ASKED = re.compile(r'"([^"\n]*)"|English phrase: ([^\n]+)')


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the table knows of one sentence; entities are (English words, tag, words of the text)."""

    text: str
    english: str
    entities: tuple[tuple[str, str, str], ...]


class Scripted:
    """Answers each Request by looking its sentence up in the script. Raises ConfigurationError on a malformed script."""

    def __init__(self, script: Path | None, *, slots: int) -> None:
        self._by_text: dict[str, Sentence] = {}
        self._by_english: dict[str, Sentence] = {}
        self._faults: list[Mapping[str, Any]] = []
        for line in _lines(script):
            if "fault" in line:
                self._faults.append(line)
            else:
                self._learn(Sentence(line["text"], line["english"], tuple(map(tuple, line.get("entities", [])))))
        self._asked = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="scripted")
        name = script.name if script else "rules"
        self.info = EngineInfo("scripted", name, slots, constrained=True, detail={})

    def _learn(self, sentence: Sentence) -> None:
        self._by_text[sentence.text] = sentence
        self._by_english[sentence.english] = sentence

    def submit(self, request: Request) -> Future[RoundResult]:
        """The answer to come."""
        return self._pool.submit(self.ask, request)

    def ask(self, request: Request) -> RoundResult:
        """The scripted answer. Raises what the script's faults say."""
        with self._lock:
            self._asked += 1
            number = self._asked
        prompt = request.messages[-1].content
        said = "\n".join(message.content for message in request.messages[request.shared :])
        fault = next((fault for fault in self._faults if _strikes(fault, number, said)), None)
        text = _suffer(fault) if fault else None
        if text is None:
            text = self._answer(request, prompt, said)
        words = len(text.split())
        finish = "length" if words > request.limits.max_new_tokens else "stop"
        return RoundResult(text, len(said.split()), 0, words, finish_reason=finish, logprob=0.0)

    def close(self) -> None:
        """Answer what is under way, then stop."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, request: Request, prompt: str, said: str) -> str:
        sentence = self._sentence_in(said)
        entities = sentence.entities if sentence else ()
        if isinstance(request.constraint, SpanConstraint):
            return self._words_for(entities, prompt, "".join(request.constraint.units))
        if request.constraint is not None:
            return "\n".join(f"{words} = {english} ({tag})" for english, tag, words in entities) or NO_NAMES
        system = request.messages[0].content if request.messages[0].role == "system" else ""
        if "find named entities" in system:
            return self._named(sentence, prompt, direct="any language" in system)
        asked = _ASKED.search(prompt)
        if asked and sentence:
            return self._words_for(entities, prompt, sentence.text)
        if "English sentence: " in said:
            return sentence.text if sentence else _after_label(said)
        return sentence.english if sentence else _after_label(said)

    def _words_for(self, entities: tuple[tuple[str, str, str], ...], prompt: str, text: str) -> str:
        asked = _ASKED.search(prompt)
        wanted = (asked[1] or asked[2]) if asked else ""
        known = next((words for english, _, words in entities if english == wanted and words in text), None)
        return known or (wanted if wanted and wanted in text else REFUSAL)

    def _named(self, sentence: Sentence | None, prompt: str, *, direct: bool) -> str:
        if sentence is None:
            found = [(match.group(), "LOC") for match in _NAME.finditer(_after_label(prompt))]
        else:
            found = [(words if direct else english, tag) for english, tag, words in sentence.entities]
        return " ".join(f"({tag}, {words})" for words, tag in found) or NO_NAMES

    def _sentence_in(self, said: str) -> Sentence | None:
        """The sentence a chat is about: what follows a label at a line's beginning."""
        for line in said.splitlines():
            _, colon, rest = line.partition(": ")
            if colon and (found := self._by_text.get(rest) or self._by_english.get(rest)):
                return found
        return None


def _lines(script: Path | None) -> Iterator[dict[str, Any]]:
    if script is None:
        return
    try:
        raw = script.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{script}: the script cannot be read: {error.strerror}") from error
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigurationError(f"{script}:{number}: not JSON: {error}") from error
        known = isinstance(value, dict) and (value.get("fault") in FAULTS or {"text", "english"} <= value.keys())
        if not known:
            raise ConfigurationError(f"{script}:{number}: needs text and english, or a fault of: {', '.join(FAULTS)}")
        yield value


def _strikes(fault: Mapping[str, Any], number: int, said: str) -> bool:
    return fault.get("at") == number or ("text" in fault and fault["text"] in said)


def _suffer(fault: Mapping[str, Any]) -> str | None:
    """What a fault does: raises, ends the process, waits, or the text it makes the model say."""
    kind = fault["fault"]
    if kind == "error":
        raise EngineError("scripted fault")
    if kind == "unavailable":
        raise EngineUnavailable("scripted fault: the model server does not answer")
    if kind == "too_long":
        raise TooLong("scripted fault: the text does not fit the context")
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "sleep":
        time.sleep(float(fault.get("seconds", 1.0)))
        return None
    return {"empty": "", "loop": "and so on " * 200, "refuse": "I cannot help with that."}[kind]


def _after_label(said: str) -> str:
    """The words after the last `label: ` of a prompt."""
    labelled = [line.partition(": ")[2] for line in said.splitlines() if ": " in line]
    return labelled[-1] if labelled else said
