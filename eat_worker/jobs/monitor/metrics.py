"""What one worker process counts, under the names that Prometheus reads.

Knows metrics and nothing of how work is done. No label holds a run, a document or text of a corpus. All
methods may be called from many threads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from eat_worker import __version__
from eat_worker.method.document import Stage
from eat_worker.method.rounds import RoundResult
from eat_worker.storage.values import Backlog

# Seconds: from a list of two words on a fast card to a reasoning round of a large model on a CPU.
ROUND_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


class Metrics:
    """The counters and gauges of one process, in a registry of their own."""

    def __init__(self) -> None:
        # Or every counter gets a second series. The library leaves this function without types.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client's own
        self.registry = registry = CollectorRegistry()

        def counter(name: str, help_: str, *labels: str) -> Counter:
            return Counter(name, help_, labels, registry=registry)

        def gauge(name: str, help_: str, *labels: str) -> Gauge:
            return Gauge(name, help_, labels, registry=registry)

        self._documents = counter("eat_documents_total", "Documents that this worker ended.", "status", "lang")
        self._rounds = counter("eat_rounds_total", "Rounds that the engine answered.", "stage", "finish_reason")
        self._seconds = Histogram(
            "eat_round_duration_seconds", "Time of a round in the engine.", buckets=ROUND_BUCKETS, registry=registry
        )
        self._generated = counter("eat_generated_tokens_total", "Tokens that the model wrote.")
        self._prompt = counter("eat_prompt_tokens_total", "Tokens that the model was given.")
        self._flags = counter("eat_output_flags_total", "Rounds by their flags.", "flag")
        self._retries = counter("eat_retries_total", "Documents that go back to the queue after an error.", "reason")
        self._lost = counter("eat_lease_expired_total", "Leases that this worker lost while it worked.")
        self._refused = counter("eat_input_rejected_total", "Messages that were refused.", "code")
        self._backlog = gauge("eat_backlog_documents", "Documents of open runs, in the database.", "state")
        self._oldest = gauge("eat_backlog_oldest_age_seconds", "How long the oldest queued document has waited.")
        self._backlog_seconds = gauge("eat_backlog_seconds", "Engine time that the backlog will take, estimated.")
        self._dead = gauge("eat_dead_letters", "Documents that failed for good, in the database.")
        self._ready = gauge("eat_worker_ready", "1 while this worker takes documents.")
        self._info = gauge("eat_worker_info", "1; the program and the models it serves.", "version", "fingerprint")
        self._database_up = gauge("eat_db_up", "1 while the database answers.")
        self._broker_up = gauge("eat_broker_up", "1 while the broker answers, or where none is used.")
        self._spool = gauge("eat_spool_bytes", "Results kept on disk until the database is back.")

    def serving(self, fingerprints: Collection[str]) -> None:
        """The models whose documents this worker takes."""
        for fingerprint in fingerprints:
            self._info.labels(__version__, fingerprint).set(1)

    def round_answered(self, stage: Stage, result: RoundResult) -> None:
        """The engine answered one round."""
        self._rounds.labels(str(stage), result.finish_reason).inc()
        self._seconds.observe(result.seconds)
        self._generated.inc(result.generated_tokens)
        self._prompt.inc(result.prompt_tokens)
        for flag in result.flags:
            self._flags.labels(flag.partition(":")[0]).inc()

    def document_ended(self, status: str, lang: str) -> None:
        """A document is done, skipped or failed."""
        self._documents.labels(status, lang).inc()

    def document_failed(self, status: str, lang: str, code: str) -> None:
        """A stage could not be done: the document is `queued` again, or failed for good."""
        if status == "queued":
            self._retries.labels(code).inc()
        else:
            self.document_ended(status, lang)

    def lease_lost(self) -> None:
        """A document went to another worker while this one worked on it."""
        self._lost.inc()

    def message_refused(self, code: str) -> None:
        """A message was no hint, or not signed with our key."""
        self._refused.labels(code).inc()

    def surroundings(self, *, database: bool, broker: bool, ready: bool) -> None:
        """What the probe found."""
        self._database_up.set(database)
        self._broker_up.set(broker)
        self._ready.set(ready)

    def backlog(self, backlog: Backlog) -> None:
        """How much work waits."""
        self._backlog.labels("queued").set(backlog.queued)
        self._backlog.labels("running").set(backlog.running)
        self._oldest.set(backlog.oldest_age_seconds)
        self._backlog_seconds.set(backlog.seconds)
        self._dead.set(backlog.dead_letters)

    def spooled(self, size: Callable[[], int]) -> None:
        """Ask `size` for the bytes of the spool whenever the metrics are read."""
        self._spool.set_function(lambda: float(size()))

    def oom_splits(self, number: Callable[[], int]) -> None:
        """Ask `number` for the batches that were halved for want of memory whenever the metrics are read."""
        self.registry.register(_Asked("eat_oom_splits", "Batches that were halved because memory ran out.", number))


class _Asked(Collector):
    """A counter that is kept elsewhere."""

    def __init__(self, name: str, about: str, number: Callable[[], int]) -> None:
        self._name, self._about, self._number = name, about, number

    def collect(self) -> list[CounterMetricFamily]:
        return [CounterMetricFamily(self._name, self._about, value=self._number())]
