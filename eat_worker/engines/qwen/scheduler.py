"""The thread that owns the model: which rows run, join, wait or run alone, and what happens when something fails.

Rows join and leave at every step. Rows that begin alike are not computed twice: the first goes ahead, the others wait
for what it has read. Knows rows and batches; knows no torch beyond giving memory back.
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
from eat_worker.engines.qwen.binding import Binding
from eat_worker.engines.qwen.chat_ids import ChatIds
from eat_worker.engines.qwen.decoding import Chooser
from eat_worker.engines.qwen.guards import Fault, FaultRate, fault_of
from eat_worker.engines.qwen.intake import Intake
from eat_worker.engines.qwen.key_values import PrefixStore, rounded
from eat_worker.engines.qwen.row import Row
from eat_worker.engines.qwen.weights import Weights
from eat_worker.errors import EngineBroken, EngineError, NumericFault, TooLarge

log = logging.getLogger(__name__)

TURN = 8  # steps of rows with one adapter state before those with the other: switching touches every layer


class Scheduler:
    """Answers rows put to it, in a thread of its own."""

    def __init__(self, weights: Weights, chat: ChatIds, plan: Plan) -> None:
        self._weights, self._chat, self._plan = weights, chat, plan
        self._chooser = Chooser(chat.vocabulary, weights.ends)
        self._bindings = lru_cache(256)(Binding)  # the next entity of a sentence has the same constraint
        self._store = PrefixStore(0 if plan.deterministic else plan.tokens // 2)
        self._admission, self._rate = Admission(plan), FaultRate()
        self._batch: Batch | None = None
        self._tried = 1  # slots that memory was asked for
        self._alone: deque[Row] = deque()
        self._intake = Intake()
        self._thread = threading.Thread(target=self._run, name="qwen", daemon=True)
        self._thread.start()

    @property
    def oom_splits(self) -> int:
        """How often a batch was halved because memory ended."""
        return self._admission.caps.splits

    def put(self, row: Row) -> None:
        """Answer the row's future, sooner or later. Raises EngineBroken or EngineUnavailable when it would not be."""
        self._intake.put(row)

    def close(self) -> None:
        """Answer what was put and end the thread, which gives the memory back."""
        self._intake.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while self._collect():
                    if (fault := self._attempt(self._work)) is not None:
                        self._recover(*fault)
        except EngineBroken as error:
            log.error("%s; %d requests are given up", error, self._intake.give_up(error))
        except Exception as error:
            log.exception("the qwen engine failed")
            self._intake.give_up(EngineBroken(f"the qwen engine failed: {type(error).__name__}: {error}"))
        self._batch = None
        self._store.clear()
        del self._weights

    def _collect(self) -> bool:
        """Take what came, and wait for it when there is nothing else to do; False when nothing more will come."""
        waiting = self._admission.waiting
        idle = not waiting and not self._alone and self._batch is None
        came = self._intake.take(idle=idle, enough=self._plan.slots)
        (self._alone if self._plan.deterministic else waiting).extend(came or ())
        return came is not None

    def _running(self) -> list[Row]:
        return [] if self._batch is None else [row for row in self._batch.all() if not row.future.done()]

    # One turn

    def _work(self) -> None:
        if self._alone:
            self._run_alone(self._alone[0])
            self._alone.popleft()
            return
        while wave := self._admission.wave(self._running(), self._bound_and_checked, self._there):
            self._join(wave)
        for adapter in (False, True):
            steps = TURN if self._batch and self._batch.rows[not adapter] else 1
            while steps and self._batch and (rows := list(self._batch.rows[adapter])):
                self._say(rows, self._batch.step(adapter))
                steps -= 1
        if self._batch is not None and not self._batch.all():
            self._batch = None

    def _bound_and_checked(self, row: Row) -> bool:
        """Make the row ready to run; False when it must not, which its future then tells."""
        try:
            self._chat.check(row.prompt.ids, row.prompt.controls)
        except EngineError as error:
            row.future.set_exception(error)
            return False
        if row.binding is None and row.request.constraint is not None:
            row.bind(self._bindings(row.request.constraint))
        return True

    def _there(self, row: Row) -> int:
        """How many tokens of a row's beginning are kept or held by one that runs."""
        kept = self._store.longest(row.packed, row.adapter)[1]
        return kept if self._batch is None else max(kept, self._batch.donor(row.packed, row.adapter)[1])

    def _join(self, wave: Sequence[Row]) -> None:
        # Until they have a slot they wait: nothing is lost when memory ends here.
        self._admission.put_back(wave)
        batch = self._fitting([*self._running(), *wave])
        for adapter in (False, True):
            # Of like length side by side: a pass pads its rows to the longest.
            rows = sorted((row for row in wave if row.adapter == adapter), key=lambda row: len(row.ids))
            for row in rows:
                batch.place(row, self._store)
                self._admission.waiting.remove(row)
            if rows:
                self._say(rows, batch.prefill(rows))

    def _fitting(self, rows: Sequence[Row]) -> Batch:
        """The batch, with room for these rows and without columns that stay empty by half."""
        columns = max(row.need for row in rows)
        slots = self._tried = self._admission.slots(columns)
        if self._batch is None:
            self._batch = Batch(self._weights, slots, columns)
        room, has = rounded(columns), self._batch
        if room > has.columns or len(rows) > has.slots or has.columns > 2 * room:
            has.resize(slots, columns)
        return has

    def _say(self, rows: Sequence[Row], logits: torch.Tensor) -> None:
        """Append each row's next token; answer those that end with it, and set aside those without numbers."""
        assert self._batch is not None
        for row, choice in zip(rows, self._chooser.choose(rows, logits), strict=True):
            if choice is None:
                self._batch.leave(row, None, wipe=True)
                self._store.clear()  # where the NaN came from is not known
                self._alone.append(row)
            elif (result := row.say(*choice, self._chat.vocabulary, self._weights.ends)) is not None:
                row.future.set_result(result)  # first: there may be no memory to keep its chat
                self._batch.leave(row, self._store)
                self._count(fault=False)

    # Alone

    def _run_alone(self, row: Row) -> None:
        """Answer one row from its first token on, in memory of its own; a failure is its own."""
        if not self._bound_and_checked(row):
            return
        fault = self._attempt(lambda: self._drive(row))
        if fault is not None and fault[0] is Fault.MEMORY and self._put_back():
            fault = self._attempt(lambda: self._drive(row))
        if fault is None:
            return
        kind, words = fault
        if kind is Fault.DEVICE:
            raise EngineBroken(f"the device failed: {words}")
        error = EngineError(f"the model failed: {words}")
        if kind is Fault.MEMORY:
            self._put_back()
            error = TooLarge(f"{row.need} tokens do not fit the device's memory, even alone; use a larger device")
        row.future.set_exception(error)

    def _drive(self, row: Row) -> None:
        row.begin_again()
        batch = Batch(self._weights, 1, row.need)
        batch.place(row, None)
        logits = batch.prefill([row])
        while True:
            (choice,) = self._chooser.choose([row], logits)
            if choice is None:
                row.future.set_exception(NumericFault("the model's logits are not numbers for this chat"))
                self._count(fault=True)
                return
            if (result := row.say(*choice, self._chat.vocabulary, self._weights.ends)) is not None:
                row.future.set_result(result)
                self._count(fault=False)
                return
            logits = batch.step(row.adapter)

    # What fails

    def _attempt(self, work: Callable[[], None]) -> tuple[Fault, str] | None:
        """Do it; what went wrong, once the frames that hold the tensors are gone."""
        try:
            work()
        except RuntimeError as error:
            return fault_of(error), f"{type(error).__name__}: {error}"
        return None

    def _recover(self, kind: Fault, words: str) -> None:
        """After a failed pass: memory is given back and fewer rows try again; otherwise each tries alone."""
        if kind is Fault.DEVICE:
            raise EngineBroken(f"the device failed: {words}")
        rows = self._running() or list(islice(self._admission.waiting, 1))
        columns = max((row.need for row in rows), default=0)
        self._put_back()
        if kind is Fault.MEMORY and self._tried > 1:
            cap = self._admission.caps.halve(columns, self._tried)
            log.warning("memory ran out with %d rows of up to %d tokens; from now on %d", len(rows), columns, cap)
            return
        log.warning("a pass failed, its %d rows run again, each alone: %s", len(rows), words)
        for row in rows:
            self._admission.waiting.remove(row)
            self._alone.append(row)

    def _put_back(self) -> bool:
        """Let the rows that run wait, and give all memory back; whether there was any."""
        held = self._batch is not None or bool(len(self._store))
        self._admission.put_back(self._running())
        self._batch = None
        self._store.clear()
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
