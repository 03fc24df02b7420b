"""One request under way: its prompt, what was generated so far, and how it ends.

Knows token ids and the guards of an answer; knows no tensor. Where its keys and values are is the batch's affair.
"""

from __future__ import annotations

import time
from array import array
from concurrent.futures import Future
from dataclasses import dataclass, field

from eat_worker.engines.qwen.chat_ids import ChatPrompt
from eat_worker.engines.qwen.constrained_decoding import ByteAutomaton, ByteState
from eat_worker.engines.qwen.guards import ZLIB_EVERY, loop_at_end, loop_in_text
from eat_worker.engines.qwen.vocabulary import Vocabulary
from eat_worker.method.rounds import EnglishConstraint, Request, RoundResult, by_line


@dataclass(eq=False, slots=True)
class TokenSequence:
    """One request on its way to an answer."""

    request: Request
    prompt: ChatPrompt
    adapter: bool  #: whether the fine-tuned weights are on
    future: Future[RoundResult] = field(default_factory=Future)
    ids: list[int] = field(default_factory=list)  #: the prompt and what has been generated
    packed: bytes = b""
    prefilled: int = 0  #: how many of `ids`, from the first on, have keys and values
    cached: int = 0  #: tokens of the prompt that were not computed for this sequence
    widest: int = 0  #: sequences of the largest batch it was in
    logprobs: list[float] = field(default_factory=list)  #: of each token generated
    started: float = 0.0
    automaton: ByteAutomaton | None = None
    state: ByteState | None = None

    def __post_init__(self) -> None:
        self.packed = packed(self.prompt.ids)
        self.begin_again()

    @property
    def need(self) -> int:
        """Columns of keys and values that the sequence may come to fill: tokens of prompt and answer."""
        return len(self.prompt.ids) + self.request.limits.max_new_tokens

    @property
    def generated(self) -> list[int]:
        """The tokens of the answer so far."""
        return self.ids[len(self.prompt.ids) :]

    def begin_again(self) -> None:
        """Forget the answer so far."""
        self.ids = list(self.prompt.ids)
        self.prefilled, self.cached, self.widest, self.logprobs, self.started = 0, 0, 0, [], 0.0
        self.state = self.automaton.start if self.automaton else None

    def constrain(self, automaton: ByteAutomaton) -> None:
        """Let the answer hold only what `automaton` allows."""
        self.automaton, self.state = automaton, automaton.start

    def enter(self, cached: int) -> None:
        """The sequence joins a batch that has the keys and values of its first `cached` tokens."""
        self.prefilled = cached
        if not self.started:  # a sequence that was put back and comes again keeps its time and its count
            self.started = time.monotonic()
            self.cached = cached

    def allows(self, token: int, vocabulary: Vocabulary, ends: frozenset[int]) -> bool:
        """Whether `token` may come next."""
        if self.automaton is None or self.state is None:
            return True
        if token in vocabulary.control:
            return token in ends and self.state.accepts
        return self.automaton.walk(self.state, vocabulary.token_bytes[token]) is not None

    def append_token(
        self, token: int, logprob: float, vocabulary: Vocabulary, ends: frozenset[int]
    ) -> RoundResult | None:
        """Append a token; the finished answer, if that was its last."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        if token in ends:
            return self._result(vocabulary, self.generated[:-1], "stop")
        if self.automaton is not None and self.state is not None:
            self.state = self.automaton.walk(self.state, vocabulary.token_bytes[token])
        if (cut := self._looping(vocabulary)) is not None:
            return self._result(vocabulary, self.generated[:cut], "length", "loop")
        if len(self.ids) == self.need:
            return self._result(vocabulary, self.generated, "length")
        return None

    def _looping(self, vocabulary: Vocabulary) -> int | None:
        """How many tokens of the answer come before it goes in circles; None while it does not."""
        if self.automaton is not None and not isinstance(self.request.constraint, EnglishConstraint):
            return None  # bound to a text it ends with it, and a text may repeat itself
        tokens = self.generated
        if (start := loop_at_end(tokens)) is not None:
            return start
        if len(tokens) % ZLIB_EVERY:
            return None
        return loop_in_text(tokens, b"".join(vocabulary.token_bytes[token] for token in tokens))

    def _result(self, vocabulary: Vocabulary, tokens: list[int], reason: str, *flags: str) -> RoundResult:
        text = vocabulary.text(tokens, cut=reason == "length")
        spoken = [vocabulary.token_bytes[token].decode(errors="replace") for token in self.generated]
        noticed = [*flags, *(["empty"] if not text.strip() else [])]
        if self.prompt.neutralised:
            noticed.append("control_tokens_neutralised")
        return RoundResult(
            text=text,
            prompt_tokens=len(self.prompt.ids),
            cached_tokens=self.cached,
            generated_tokens=len(self.generated),
            seconds=time.monotonic() - self.started,
            finish_reason=reason,
            batch_size=self.widest,
            logprob=sum(self.logprobs),
            line_logprobs=by_line(zip(spoken, self.logprobs, strict=True)),
            flags=tuple(noticed),
        )


def packed(ids: list[int]) -> bytes:
    """Token ids as bytes, four each, so that beginnings compare fast."""
    return array("I", ids).tobytes()
