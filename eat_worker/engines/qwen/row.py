"""One request under way: its prompt, what was generated so far, and how it ends.

Knows token ids and the guards of an answer; knows no tensor. Where its keys and values are is the batch's affair.
"""

from __future__ import annotations

import time
from array import array
from concurrent.futures import Future
from dataclasses import dataclass, field

from eat_worker.engines.qwen.binding import Binding, Place
from eat_worker.engines.qwen.chat_ids import ChatPrompt
from eat_worker.engines.qwen.guards import ZLIB_EVERY, loop_at_end, loop_in_text
from eat_worker.engines.qwen.vocabulary import Vocabulary
from eat_worker.method.rounds import EnglishConstraint, Request, RoundResult


@dataclass(eq=False, slots=True)
class Row:
    """One request. `ids` are the prompt and what has been generated; `read` of them have keys and values.

    `adapter` says whether the fine-tuned weights are on, which they cannot be without any. `cached` counts the tokens
    of the prompt that were not computed for it, `widest` the rows of the largest batch it was in.
    """

    request: Request
    prompt: ChatPrompt
    adapter: bool
    future: Future[RoundResult] = field(default_factory=Future)
    ids: list[int] = field(default_factory=list)
    packed: bytes = b""
    read: int = 0
    cached: int = 0
    widest: int = 0
    logprob: float = 0.0
    started: float = 0.0
    binding: Binding | None = None
    place: Place | None = None

    def __post_init__(self) -> None:
        self.packed = packed(self.prompt.ids)
        self.begin_again()

    @property
    def need(self) -> int:
        """Columns of keys and values that the row may come to fill: tokens of prompt and answer."""
        return len(self.prompt.ids) + self.request.limits.max_new_tokens

    @property
    def said(self) -> list[int]:
        """The tokens of the answer so far."""
        return self.ids[len(self.prompt.ids) :]

    def begin_again(self) -> None:
        """Forget the answer so far."""
        self.ids = list(self.prompt.ids)
        self.read, self.cached, self.widest, self.logprob, self.started = 0, 0, 0, 0.0, 0.0
        self.place = self.binding.start if self.binding else None

    def bind(self, binding: Binding) -> None:
        """Let the answer say only what `binding` allows."""
        self.binding, self.place = binding, binding.start

    def enter(self, cached: int) -> None:
        """The row joins a batch that has the keys and values of its first `cached` tokens."""
        self.read = cached
        if not self.started:  # a row that was put back and comes again keeps its time and its count
            self.started = time.monotonic()
            self.cached = cached

    def allows(self, token: int, vocabulary: Vocabulary, ends: frozenset[int]) -> bool:
        """Whether `token` may come next."""
        if self.binding is None or self.place is None:
            return True
        if token in vocabulary.control:
            return token in ends and self.place.accepts
        return self.binding.walk(self.place, vocabulary.said[token]) is not None

    def say(self, token: int, logprob: float, vocabulary: Vocabulary, ends: frozenset[int]) -> RoundResult | None:
        """Append a token; the finished answer, if that was its last."""
        self.ids.append(token)
        self.logprob += logprob
        if token in ends:
            return self._result(vocabulary, self.said[:-1], "stop")
        if self.binding is not None and self.place is not None:
            self.place = self.binding.walk(self.place, vocabulary.said[token])
        if (cut := self._looping(vocabulary)) is not None:
            return self._result(vocabulary, self.said[:cut], "length", "loop")
        if len(self.ids) == self.need:
            return self._result(vocabulary, self.said, "length")
        return None

    def _looping(self, vocabulary: Vocabulary) -> int | None:
        """How many tokens of the answer come before it goes in circles; None while it does not."""
        if self.binding is not None and not isinstance(self.request.constraint, EnglishConstraint):
            return None  # bound to a text it ends with it, and a text may repeat itself
        said = self.said
        if (start := loop_at_end(said)) is not None:
            return start
        if len(said) % ZLIB_EVERY:
            return None
        return loop_in_text(said, b"".join(vocabulary.said[token] for token in said))

    def _result(self, vocabulary: Vocabulary, said: list[int], reason: str, *flags: str) -> RoundResult:
        text = vocabulary.text(said, cut=reason == "length")
        noticed = [*flags, *(["empty"] if not text.strip() else [])]
        if self.prompt.neutralised:
            noticed.append("control_tokens_neutralised")
        return RoundResult(
            text=text,
            prompt_tokens=len(self.prompt.ids),
            cached_tokens=self.cached,
            generated_tokens=len(self.said),
            seconds=time.monotonic() - self.started,
            finish_reason=reason,
            batch_size=self.widest,
            logprob=self.logprob,
            flags=tuple(noticed),
        )


def packed(ids: list[int]) -> bytes:
    """Token ids as bytes, four each, so that beginnings compare fast."""
    return array("I", ids).tobytes()
