"""The values of a multi-round chat: what is asked of a model and what comes back.

Knows prompts and answers; knows no model, queue or database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from eat_worker.method.document import Stage

REFUSAL = "NONE"  # the answer where no words of the text are meant


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How long an answer may be, in tokens."""

    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class SpanConstraint:
    """The answer must be a contiguous run of `units` or, where `refusal` is given, that word.

    The units concatenated are the text. Engines turn it into a grammar, a guided decoder or a logits processor.
    """

    units: tuple[str, ...]
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class ListConstraint:
    """The answer must be lines `words = English name (TAG)`, each with a run of `units`, in the order of the text.

    Or, where nothing is to be listed, the word `refusal`. No part of the text is listed twice.
    """

    units: tuple[str, ...]
    tags: tuple[str, ...]
    refusal: str


@dataclass(frozen=True, slots=True)
class NamesConstraint:
    """The answer must be lines `words (TAG)`, each with a run of `units`, in the order of the text.

    Or, where `refusal` is given, that word: the text names nothing. No part of the text is named twice.
    """

    units: tuple[str, ...]
    tags: tuple[str, ...]
    refusal: str | None


@dataclass(frozen=True, slots=True)
class EnglishConstraint:
    """The answer must be one line in Latin script that begins as an English sentence does.

    Raw words of another script cannot be left in a translation, the failure section 3.1 of the paper names.
    """


Constraint = SpanConstraint | ListConstraint | NamesConstraint | EnglishConstraint


@dataclass(frozen=True, slots=True)
class Request:
    """One round put to an engine.

    `session` names the chat: rounds of one session share their beginning, and an engine may keep its prompt cache for
    it. `stage` and `variables` say what the last message asks and about what: all that an engine needs that answers
    from a table. The first `shared` messages are word for word the same in every chat of that kind. `adapter` switches
    the fine-tuned weights on. `last` tells the engine that this session asks nothing more.
    """

    session: str
    stage: Stage
    messages: tuple[Message, ...]
    variables: Mapping[str, str]
    limits: Limits
    constraint: Constraint | None = None
    shared: int = 0
    adapter: bool = False
    last: bool = False


@dataclass(frozen=True, slots=True)
class RoundResult:
    """An engine's answer to one Request; the fields are those of `RoundOutput`."""

    text: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0
    finish_reason: str = "stop"
    batch_size: int = 1
    logprob: float | None = None
    line_logprobs: tuple[float, ...] = ()
    flags: tuple[str, ...] = ()


def by_line(tokens: Iterable[tuple[str, float]]) -> tuple[float, ...]:
    """The log-probability of each line of an answer, from its tokens and theirs, the last token included.

    What ends a line, a line break or the end of the answer, counts with it: whether more follows was decided there.
    """
    lines, ended = [0.0], False
    for text, logprob in tokens:
        if ended:
            lines.append(0.0)
        lines[-1] += logprob
        ended = "\n" in text
    return tuple(lines)


Ask = Callable[[Request], RoundResult]
"""Blocks until the model has answered. Raises TooLong, EngineError or EngineUnavailable."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a chat: template, its SHA-256 (`id`) and the variables that fill it."""

    id: str
    template: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The prompt as the model reads it: plain substitution of `{name}`, braces in values stay as they are."""
        parts = self.template.split("{")
        filled = [parts[0]]
        for part in parts[1:]:
            name, _, rest = part.partition("}")
            filled.append(self.variables[name] + rest)
        return "".join(filled)


@dataclass(frozen=True, slots=True)
class Round:
    """One round to ask: its number, prompt, limits and, where the answer is bound to the text, its constraint."""

    number: int
    prompt: Prompt
    limits: Limits
    constraint: Constraint | None = None
