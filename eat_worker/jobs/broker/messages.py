"""Hints as Celery messages: how one is sent and read back. The only place that knows a message's shape.

Knows the broker's connection and Celery's registration. Knows neither database nor documents.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError

from eat_worker.errors import BrokerUnavailable
from eat_worker.jobs.broker.signing import Signer
from eat_worker.method.document import Stage
from eat_worker.redaction import redact_url
from eat_worker.storage.values import Hint

log = logging.getLogger(__name__)
TASK = "eat.advance"
NO_HINT, NOT_SIGNED = "no_hint", "not_signed"


def to_arguments(hint: Hint) -> list[Any]:
    """A hint as the task's arguments, plain JSON values. The queue is not among them: the message lies in it."""
    return [hint.document_id, str(hint.stage), hint.attempt]


def from_arguments(document_id: int, stage: str, attempt: int) -> Hint:
    """The hint a message carries. Raises ValueError when the message was made by something else."""
    return Hint(int(document_id), Stage(stage), int(attempt), queue="")


class HintPublisher:
    """Sends hints over one connection of its own, made when needed and thrown away after any error.

    Celery's shared connection pool is not used: one recovery that closes the pool ends every later publish.
    """

    def __init__(self, app: Celery, signer: Signer | None = None) -> None:
        self._app = app
        self._signer = signer or Signer()
        self._connection: Any = None
        self._producer: Any = None
        self._lock = threading.Lock()

    def publish(self, hints: Sequence[Hint]) -> None:
        """Send the hints. Raises BrokerUnavailable; some may have been sent then, and are harmless when sent again."""
        with self._lock, self._guarded():
            self._open()
            for hint in hints:
                arguments = to_arguments(hint)
                signed = [*arguments, signature] if (signature := self._signer.sign(arguments)) else arguments
                self._app.send_task(TASK, args=signed, queue=hint.queue, producer=self._producer, retry=False)

    def waiting(self, queue: str) -> int:
        """Messages that lie in a queue, 0 when the broker does not know it. Raises BrokerUnavailable."""
        with self._lock, self._guarded():
            self._open()
            with self._connection.channel() as channel:
                try:
                    return int(channel.queue_declare(queue=queue, passive=True).message_count)
                except self._connection.channel_errors:
                    return 0

    def close(self) -> None:
        """Drop the connection; the next call makes a new one."""
        with self._lock:
            self._drop()

    def _open(self) -> None:
        if self._connection is not None and not self._connection.connected:
            self._drop()
        if self._connection is None:
            self._connection = self._app.connection_for_write()
            self._connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=5)
            self._producer = self._app.amqp.Producer(self._connection)

    def _drop(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except self._broker_errors() as error:
            self._drop()
            url = redact_url(str(self._app.conf.broker_url))
            raise BrokerUnavailable(f"the broker {url} does not take messages ({error}); is it running?") from error

    def _broker_errors(self) -> tuple[type[Exception], ...]:
        connection = self._connection
        known = () if connection is None else (*connection.connection_errors, *connection.channel_errors)
        return (KombuError, OSError, *known)


def register(
    app: Celery,
    take: Callable[[Hint], None],
    signer: Signer | None = None,
    refused: Callable[[str], None] = lambda _: None,
) -> None:
    """Make `app` hand every hint to `take`. A message that is not a hint, or not signed as `signer` does, is dropped.

    `refused` hears why: `no_hint` or `not_signed`.
    """
    signer = signer or Signer()

    @app.task(name=TASK, shared=False, lazy=False)
    def advance(document_id: int, stage: str, attempt: int, signature: str = "") -> None:
        try:
            hint = from_arguments(document_id, stage, attempt)
        except (TypeError, ValueError):
            log.warning("a message that is not a hint was dropped")
            refused(NO_HINT)
            return
        if not signer.accepts([document_id, stage, attempt], signature):
            log.warning("a message that is not signed with our key was dropped; do all workers have the same key?")
            refused(NOT_SIGNED)
            return
        take(hint)
