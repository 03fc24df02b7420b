"""An engine that answers from a table: deterministic, no weights. For tests, load measurements and fault drills.

The script is JSONL. A line with `text` says what the sentence is in English, which entities it has and where:
    {"text": "...", "english": "...", "entities": [["Seoul", "LOC", "서울"]]}
A line with `fault` says which request goes wrong: {"fault": "error", "at": 3} fails the third request, "text": "..."
instead of "at" every request about sentences with these words. Faults: error, unavailable, too_long, broken (as a
lost device), empty, loop, refuse, crash (the process dies as by kill -9), and sleep (with "seconds"). A line with
`batch` gives the pace of an engine that answers so many requests at once: {"batch": 32, "seconds": 0.2,
"seconds_per_chat": 0.01}. A sentence the table lacks is answered by simple rules, so that any corpus runs: its
translation is itself, its entities are its capitalised words. Knows what a request is about by its stage and variables;
knows no prompt's wording.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eat_worker.engines.engine import ChatEngine, Check, EngineInfo, EngineKind
from eat_worker.engines.gate import Gate
from eat_worker.engines.script_batches import Batches
from eat_worker.errors import ConfigurationError, EngineBroken, EngineError, EngineUnavailable, TooLong
from eat_worker.method.constraint import NO_NAMES
from eat_worker.method.document import Stage
from eat_worker.method.rounds import REFUSAL, ListConstraint, Request, RoundResult
from eat_worker.settings import Settings

FAULTS = ("error", "unavailable", "too_long", "broken", "empty", "loop", "refuse", "crash", "sleep")
_NAME = re.compile(r"\b[A-Z][\w-]*(?: [A-Z][\w-]*)*")
_SHAPE = (
    'needs {"text", "english", "entities": [[english words, tag, words of the text], ...]} or {"fault", "at" or "text"}'
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the table knows of one sentence; entities are (English words, tag, words of the text)."""

    text: str
    english: str
    entities: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, with which request: the one of number `at`, or those about a sentence that has `text` in it."""

    kind: str
    at: int | None
    text: str | None
    seconds: float

    def strikes(self, number: int, sentences: tuple[str, ...]) -> bool:
        """Whether this fault is for request `number`, which is about these sentences."""
        return number == self.at if self.text is None else any(self.text in sentence for sentence in sentences)

    def happen(self) -> str | None:
        """Raise, end the process or wait; or the text that the model says instead of its answer."""
        match self.kind:
            case "error":
                raise EngineError("scripted fault")
            case "unavailable":
                raise EngineUnavailable("scripted fault: the model server does not answer")
            case "too_long":
                raise TooLong("scripted fault: the text does not fit the context")
            case "broken":
                raise EngineBroken("scripted fault: the device is lost")
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "sleep":
                time.sleep(self.seconds)
        return {"empty": "", "loop": "and so on " * 200, "refuse": "I cannot help with that."}.get(self.kind)


class Scripted:
    """Answers each Request from the script. Raises ConfigurationError on a malformed one."""

    oom_splits = 0

    def __init__(self, script: Path | None, *, slots: int) -> None:
        lines = list(_lines(script))
        sentences = [line for line in lines if isinstance(line, Sentence)]
        self._by_text = {sentence.text: sentence for sentence in sentences}
        self._by_english = {sentence.english: sentence for sentence in sentences}
        self._faults = [line for line in lines if isinstance(line, Fault)]
        self._batches = next((line for line in lines if isinstance(line, Batches)), None)
        self._numbers = itertools.count(1)
        self._gate = Gate()
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="scripted")
        self.info = EngineInfo("scripted", script.name if script else "rules", slots, constrained=True, detail={})

    def submit(self, request: Request) -> Future[RoundResult]:
        """The answer to come."""
        return self._pool.submit(self.ask, request)

    def ask(self, request: Request) -> RoundResult:
        """The scripted answer. Raises what the script's faults say."""
        with self._gate.passing():
            text, english = request.variables.get("text", ""), request.variables.get("english", "")
            sentence = self._by_text.get(text) or self._by_english.get(english)
            about = (text, english, sentence.text if sentence else "")
            number = next(self._numbers)
            fault = next((fault for fault in self._faults if fault.strikes(number, about)), None)
            answer = fault.happen() if fault else None
            if self._batches:
                self._batches.take_part()
            if answer is None:
                answer = _answer(request, sentence)
        asked = sum(len(message.content.split()) for message in request.messages[request.shared :])
        words = len(answer.split())
        finish = "length" if words > request.limits.max_new_tokens else "stop"
        return RoundResult(answer, asked, 0, words, finish_reason=finish, logprob=0.0)

    def close(self) -> None:
        """Answer what is under way, then stop."""
        if self._gate.close():
            self._pool.shutdown()


def _answer(request: Request, sentence: Sentence | None) -> str:
    """What the table says in this stage; without a sentence, what the rules say."""
    about = request.variables
    entities = sentence.entities if sentence else ()
    match request.stage:
        case Stage.FORWARD if isinstance(request.constraint, ListConstraint):
            in_order = sorted(entities, key=lambda entity: about["text"].find(entity[2]))
            return "\n".join(f"{words} = {english} ({tag})" for english, tag, words in in_order) or NO_NAMES
        case Stage.FORWARD:
            return sentence.english if sentence else about["text"]
        case Stage.EXTRACT:
            named = [(english, tag) for english, tag, _ in entities] if sentence else _capitalised(about["english"])
        case Stage.DIRECT:
            named = [(words, tag) for _, tag, words in entities] if sentence else _capitalised(about["text"])
        case Stage.BACKWARD:
            wanted, text = about["words"], about["text"]
            known = next((words for english, _, words in entities if english == wanted and words in text), None)
            return known or (wanted if wanted in text else REFUSAL)
        case _:
            return sentence.text if sentence else about["english"]
    return " ".join(f"({tag}, {words})" for words, tag in named) or NO_NAMES


def _capitalised(sentence: str) -> list[tuple[str, str]]:
    return [(match.group(), "LOC") for match in _NAME.finditer(sentence)]


def _lines(script: Path | None) -> Iterator[Sentence | Fault | Batches]:
    if script is None:
        return
    for number, line in enumerate(_read(script).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield _line(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise ConfigurationError(f"{script}:{number}: not JSON: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{script}:{number}: {_SHAPE}: {error}") from error


def _read(script: Path) -> bytes:
    try:
        return script.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{script}: the script cannot be read: {error.strerror}") from error


def _line(value: Any) -> Sentence | Fault | Batches:
    if not isinstance(value, dict):
        raise TypeError("no object")
    if "batch" in value:
        return _batches(value)
    return _fault(value) if "fault" in value else _sentence(value)


def _sentence(value: Mapping[str, Any]) -> Sentence:
    _only(value, "text", "english", "entities")
    entities = tuple((_word(english), _word(tag), _word(words)) for english, tag, words in value.get("entities", []))
    return Sentence(_word(value["text"]), _word(value["english"]), entities)


def _fault(value: Mapping[str, Any]) -> Fault:
    _only(value, "fault", "at", "text", "seconds")
    if value["fault"] not in FAULTS:
        raise ValueError(f"{value['fault']!r} is not a fault; the faults are: {', '.join(FAULTS)}")
    if ("at" in value) == ("text" in value):
        raise ValueError("either `at` or `text` says when")
    at, text = value.get("at"), value.get("text")
    if at is not None and (type(at) is not int or at < 1):
        raise ValueError("`at` counts requests from 1")
    return Fault(value["fault"], at, None if text is None else _word(text), float(value.get("seconds", 1.0)))


def _batches(value: Mapping[str, Any]) -> Batches:
    _only(value, "batch", "seconds", "seconds_per_chat")
    if type(value["batch"]) is not int or value["batch"] < 1:
        raise ValueError("`batch` is a number of requests from 1")
    return Batches(value["batch"], float(value.get("seconds", 0.0)), float(value.get("seconds_per_chat", 0.0)))


def _only(value: Mapping[str, Any], *known: str) -> None:
    if unknown := sorted(value.keys() - set(known)):
        raise ValueError(f"unknown: {', '.join(unknown)}")


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _script(settings: Settings) -> Path | None:
    return Path(settings.script) if settings.script else None


def _identity(settings: Settings) -> dict[str, Any]:
    script = _script(settings)
    digest = hashlib.sha256(_read(script)).hexdigest() if script else None
    return {"model": script.name if script else "rules", "weights": digest, "adapter": None}


def _open(settings: Settings) -> ChatEngine:
    return Scripted(_script(settings), slots=settings.chats_at_once)


def _check(settings: Settings) -> Check:
    script = _script(settings)
    detail = f"script {script or 'not set: rules answer'}"
    fix = "name a script that exists: --script FILE"
    return Check("model", ok=script is None or script.is_file(), detail=detail, fix=fix)


KIND = EngineKind(_identity, _open, _check, lambda _settings: Check("engine", ok=True, detail="scripted"))
