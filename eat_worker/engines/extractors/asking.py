"""An extractor asked as a chat engine is: one Request, one answer in the paper's text format, kept for audit as any.

Documents come one by one, from many threads; whoever finds the extractor free takes along all that wait by then. Knows
no extractor and no queue.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future

from eat_worker.engines.extractors.extractor import Extractor, render_entities
from eat_worker.method.rounds import Request, RoundResult


class ExtractorRounds:
    """Answers requests of the stage `extract` with `extractor`, which it owns. Safe to call from many threads."""

    def __init__(self, extractor: Extractor) -> None:
        self.info = extractor.info
        self._extractor = extractor
        self._waiting: deque[tuple[str, Future[RoundResult]]] = deque()
        self._busy = threading.Lock()

    def ask(self, request: Request) -> RoundResult:
        """`(PER, Ann) (LOC, Oslo)` for the request's English sentence. Raises what the extractor raises."""
        answer: Future[RoundResult] = Future()
        self._waiting.append((request.variables["english"], answer))
        with self._busy:
            # Another thread may have answered this one along with its own.
            while not answer.done():
                self._answer_some()
        return answer.result()

    def close(self) -> None:
        """Give the extractor's memory back, after the requests under way."""
        with self._busy:
            self._extractor.close()

    def _answer_some(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self.info.batch))]
        started = time.monotonic()
        try:
            found = self._extractor.extract([english for english, _ in batch])
        except BaseException as error:  # noqa: BLE001  # raised again in every thread that waits
            for _, answer in batch:
                answer.set_exception(error)
            return
        seconds = time.monotonic() - started
        for (_, answer), entities in zip(batch, found, strict=True):
            answer.set_result(RoundResult(render_entities(entities), seconds=seconds, batch_size=len(batch)))
