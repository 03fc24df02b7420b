"""The thread that owns the model: which sequences run, join, wait or run alone, and what happens when something fails.

Sequences join and leave at every step. Those that begin alike are not computed twice: the first goes ahead, the others
wait for what it computes. Knows sequences and batches; knows no torch beyond giving memory back.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice

import torch

from eat_worker.engines.qwen.admission import Admission, Plan
from eat_worker.engines.qwen.batch import Batch
from eat_worker.engines.qwen.chat_ids import ChatIds
from eat_worker.engines.qwen.constrained_decoding import ByteAutomaton
from eat_worker.engines.qwen.guards import Failure, FaultRate, failure_of
from eat_worker.engines.qwen.intake import Intake
from eat_worker.engines.qwen.kv_cache import PrefixCache, rounded
from eat_worker.engines.qwen.sampler import Sampler
from eat_worker.engines.qwen.token_sequence import TokenSequence
from eat_worker.engines.qwen.weights import Weights
from eat_worker.errors import EngineBroken, EngineError, NumericFault, TooLarge

log = logging.getLogger(__name__)

TURN = 8  # steps of sequences with one adapter state before those with the other: switching touches every layer


class Scheduler:
    """Answers sequences put to it, in a thread of its own."""

    def __init__(self, weights: Weights, chat: ChatIds, plan: Plan) -> None:
        self._weights, self._chat, self._plan = weights, chat, plan
        self._sampler = Sampler(chat.vocabulary, weights.ends)
        self._automata = lru_cache(256)(ByteAutomaton)  # the next entity of a sentence has the same constraint
        self._prefix_cache = PrefixCache(0 if plan.deterministic else plan.tokens // 2)
        self._admission, self._rate = Admission(plan), FaultRate()
        self._batch: Batch | None = None
        self._tried = 1  # slots that memory was asked for
        self._alone: deque[TokenSequence] = deque()
        self._intake = Intake()
        self._thread = threading.Thread(target=self._run, name="qwen", daemon=True)
        self._thread.start()

    @property
    def oom_splits(self) -> int:
        """How often a batch was halved because memory ended."""
        return self._admission.caps.splits

    def put(self, sequence: TokenSequence) -> None:
        """Answer the sequence's future, sooner or later. Raises EngineBroken or EngineUnavailable when closed."""
        self._intake.put(sequence)

    def close(self) -> None:
        """Answer what was put and end the thread, which gives the memory back."""
        self._intake.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while self._collect():
                    if (failure := self._attempt(self._work)) is not None:
                        self._recover(*failure)
        except EngineBroken as error:
            log.error("%s; %d requests are given up", error, self._intake.give_up(error))
        except Exception as error:
            log.exception("the qwen engine failed")
            self._intake.give_up(EngineBroken(f"the qwen engine failed: {type(error).__name__}: {error}"))
        self._batch = None
        self._prefix_cache.clear()
        del self._weights

    def _collect(self) -> bool:
        """Take what came, and wait for it when there is nothing else to do; False when nothing more will come."""
        waiting = self._admission.waiting
        idle = not waiting and not self._alone and self._batch is None
        came = self._intake.take(idle=idle, enough=self._plan.slots)
        (self._alone if self._plan.deterministic else waiting).extend(came or ())
        return came is not None

    def _running(self) -> list[TokenSequence]:
        return [] if self._batch is None else [sequence for sequence in self._batch.all() if not sequence.future.done()]

    # One turn

    def _work(self) -> None:
        if self._alone:
            self._run_alone(self._alone[0])
            self._alone.popleft()
            return
        while admitted := self._admission.admit(self._running(), self._ready, self._cached_length):
            self._join(admitted)
        for adapter in (False, True):
            steps = TURN if self._batch and self._batch.sequences[not adapter] else 1
            while steps and self._batch and (sequences := list(self._batch.sequences[adapter])):
                self._append_tokens(sequences, self._batch.step(adapter))
                steps -= 1
        if self._batch is not None and not self._batch.all():
            self._batch = None

    def _ready(self, sequence: TokenSequence) -> bool:
        """Make the sequence ready to run; False when it must not, and its future has the reason."""
        try:
            self._chat.check(sequence.prompt.ids, sequence.prompt.controls)
        except EngineError as error:
            sequence.future.set_exception(error)
            return False
        if sequence.automaton is None and sequence.request.constraint is not None:
            sequence.constrain(self._automata(sequence.request.constraint))
        return True

    def _cached_length(self, sequence: TokenSequence) -> int:
        """How many tokens of a sequence's beginning are kept or held by one that runs."""
        beginning = sequence.packed, sequence.adapter
        kept = self._prefix_cache.longest(*beginning)[1]
        return kept if self._batch is None else max(kept, self._batch.prefix_match(*beginning)[1])

    def _join(self, admitted: Sequence[TokenSequence]) -> None:
        # Until they have a slot they wait: nothing is lost when memory ends here.
        self._admission.put_back(admitted)
        batch = self._fitting([*self._running(), *admitted])
        for adapter in (False, True):
            # Of like length side by side: a pass pads its sequences to the longest.
            sequences = sorted((one for one in admitted if one.adapter == adapter), key=lambda one: len(one.ids))
            for sequence in sequences:
                batch.add(sequence, self._prefix_cache)
                self._admission.waiting.remove(sequence)
            if sequences:
                self._append_tokens(sequences, batch.prefill(sequences))

    def _fitting(self, sequences: Sequence[TokenSequence]) -> Batch:
        """The batch, with room for these sequences and without columns that stay empty by half."""
        columns = max(sequence.need for sequence in sequences)
        slots = self._tried = self._admission.slots(columns)
        if self._batch is None:
            self._batch = Batch(self._weights, slots, columns)
        room, has = rounded(columns), self._batch
        if room > has.columns or len(sequences) > has.slots or has.columns > 2 * room:
            has.resize(slots, columns)
        return has

    def _append_tokens(self, sequences: Sequence[TokenSequence], logits: torch.Tensor) -> None:
        """Append each sequence's next token; answer those that end with it, and set aside those without numbers."""
        assert self._batch is not None
        for sequence, choice in zip(sequences, self._sampler.sample(sequences, logits), strict=True):
            if choice is None:
                self._batch.leave(sequence, None, wipe=True)
                self._prefix_cache.clear()  # where the NaN came from is not known
                self._alone.append(sequence)
            elif (result := sequence.append_token(*choice, self._chat.vocabulary, self._weights.ends)) is not None:
                sequence.future.set_result(result)  # first: there may be no memory to keep its chat
                self._batch.leave(sequence, self._prefix_cache)
                self._count(fault=False)

    # Alone

    def _run_alone(self, sequence: TokenSequence) -> None:
        """Answer one sequence from its first token on, in memory of its own; a failure is its own."""
        if not self._ready(sequence):
            return
        failure = self._attempt(lambda: self._drive(sequence))
        if failure is not None and failure[0] is Failure.MEMORY and self._put_back():
            failure = self._attempt(lambda: self._drive(sequence))
        if failure is None:
            return
        kind, message = failure
        if kind is Failure.DEVICE:
            raise EngineBroken(f"the device failed: {message}")
        error = EngineError(f"the model failed: {message}")
        if kind is Failure.MEMORY:
            self._put_back()
            error = TooLarge(f"{sequence.need} tokens do not fit the device's memory, even alone; use a larger device")
        sequence.future.set_exception(error)

    def _drive(self, sequence: TokenSequence) -> None:
        sequence.begin_again()
        batch = Batch(self._weights, 1, sequence.need)
        batch.add(sequence, None)
        logits = batch.prefill([sequence])
        while True:
            (choice,) = self._sampler.sample([sequence], logits)
            if choice is None:
                sequence.future.set_exception(NumericFault("the model's logits are not numbers for this chat"))
                self._count(fault=True)
                return
            if (result := sequence.append_token(*choice, self._chat.vocabulary, self._weights.ends)) is not None:
                sequence.future.set_result(result)
                self._count(fault=False)
                return
            logits = batch.step(sequence.adapter)

    # What fails

    def _attempt(self, work: Callable[[], None]) -> tuple[Failure, str] | None:
        """Do it; what went wrong, once the frames that hold the tensors are gone."""
        try:
            work()
        except RuntimeError as error:
            return failure_of(error), f"{type(error).__name__}: {error}"
        return None

    def _recover(self, kind: Failure, message: str) -> None:
        """After a failed pass: memory is given back and fewer sequences try again; otherwise each tries alone."""
        if kind is Failure.DEVICE:
            raise EngineBroken(f"the device failed: {message}")
        sequences = self._running() or list(islice(self._admission.waiting, 1))
        columns = max((sequence.need for sequence in sequences), default=0)
        self._put_back()
        if kind is Failure.MEMORY and self._tried > 1:
            cap = self._admission.caps.halve(columns, self._tried)
            log.warning("memory ran out with %d sequences of up to %d tokens; now %d", len(sequences), columns, cap)
            return
        log.warning("a pass failed, its %d sequences run again, each alone: %s", len(sequences), message)
        for sequence in sequences:
            self._admission.waiting.remove(sequence)
            self._alone.append(sequence)

    def _put_back(self) -> bool:
        """Let the sequences that run wait, and give all memory back; whether there was any."""
        held = self._batch is not None or bool(len(self._prefix_cache))
        self._admission.put_back(self._running())
        self._batch = None
        self._prefix_cache.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return held

    def _count(self, *, fault: bool) -> None:
        self._rate.count(fault=fault)
        if self._rate.too_many:
            raise EngineBroken(
                f"{self._rate.faults} of {self._rate.answers} answers had logits that are not numbers; "
                "check the weights, the adapter and the device"
            )
