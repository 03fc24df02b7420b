"""What a worker counts, as Prometheus reads it."""

from __future__ import annotations

import threading

from prometheus_client import generate_latest

from eat_worker.jobs.monitor.metrics import Metrics
from eat_worker.method.document import Stage
from eat_worker.method.rounds import RoundResult
from eat_worker.storage.values import Backlog

NAMES = {
    "eat_documents_total",
    "eat_rounds_total",
    "eat_round_duration_seconds",
    "eat_generated_tokens_total",
    "eat_prompt_tokens_total",
    "eat_backlog_documents",
    "eat_backlog_oldest_age_seconds",
    "eat_backlog_seconds",
    "eat_lease_expired_total",
    "eat_retries_total",
    "eat_dead_letters",
    "eat_oom_splits_total",
    "eat_output_flags_total",
    "eat_input_rejected_total",
    "eat_worker_ready",
    "eat_worker_info",
    "eat_db_up",
    "eat_broker_up",
    "eat_spool_bytes",
}


def lines(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels."""
    text = generate_latest(metrics.registry).decode()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
    }


def names(metrics: Metrics) -> set[str]:
    text = generate_latest(metrics.registry).decode()
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}


def test_the_names_are_the_ones_that_are_documented_and_no_others() -> None:
    metrics = Metrics()
    metrics.oom_splits(lambda: 0)
    assert names(metrics) == NAMES


def test_a_round_counts_its_tokens_its_time_and_what_was_remarked() -> None:
    metrics = Metrics()
    result = RoundResult(
        "x", prompt_tokens=40, generated_tokens=7, seconds=0.3, finish_reason="length", flags=("loop",)
    )
    metrics.round_answered(Stage.FORWARD, result)
    metrics.round_answered(Stage.FORWARD, result)
    found = lines(metrics)
    assert found['eat_rounds_total{finish_reason="length",stage="forward"}'] == 2
    assert found["eat_generated_tokens_total"] == 14
    assert found["eat_prompt_tokens_total"] == 80
    assert found['eat_round_duration_seconds_bucket{le="0.25"}'] == 0
    assert found['eat_round_duration_seconds_bucket{le="0.5"}'] == 2
    assert found["eat_round_duration_seconds_sum"] == 0.6
    assert found['eat_output_flags_total{flag="loop"}'] == 2


def test_documents_are_counted_when_they_end_and_errors_when_they_do_not() -> None:
    metrics = Metrics()
    metrics.document_ended("done", "ko")
    metrics.document_failed("queued", "ko", "engine_unavailable")
    metrics.document_failed("failed", "ko", "too_long")
    found = lines(metrics)
    assert found['eat_documents_total{lang="ko",status="done"}'] == 1
    assert found['eat_documents_total{lang="ko",status="failed"}'] == 1
    assert found['eat_retries_total{reason="engine_unavailable"}'] == 1
    assert 'eat_retries_total{reason="too_long"}' not in found


def test_what_others_know_is_asked_when_it_is_read() -> None:
    metrics = Metrics()
    numbers = {"splits": 1, "spool": 100}
    metrics.oom_splits(lambda: numbers["splits"])
    metrics.spooled(lambda: numbers["spool"])
    assert lines(metrics)["eat_oom_splits_total"] == 1
    numbers.update(splits=3, spool=0)
    assert lines(metrics)["eat_oom_splits_total"] == 3
    assert lines(metrics)["eat_spool_bytes"] == 0


def test_the_surroundings_and_the_backlog_are_gauges() -> None:
    metrics = Metrics()
    metrics.serving(["abc", "def"])
    metrics.surroundings(database=True, broker=False, ready=False)
    metrics.backlog(Backlog(queued=10, running=2, dead_letters=3, oldest_age_seconds=60.5, seconds=24.0))
    metrics.lease_lost()
    metrics.message_refused("not_signed")
    found = lines(metrics)
    assert (found["eat_db_up"], found["eat_broker_up"], found["eat_worker_ready"]) == (1, 0, 0)
    assert found['eat_backlog_documents{state="queued"}'] == 10
    assert found['eat_backlog_documents{state="running"}'] == 2
    assert (found["eat_backlog_oldest_age_seconds"], found["eat_backlog_seconds"]) == (60.5, 24)
    assert (found["eat_dead_letters"], found["eat_lease_expired_total"]) == (3, 1)
    assert found['eat_input_rejected_total{code="not_signed"}'] == 1
    assert [value for name, value in found.items() if name.startswith("eat_worker_info")] == [1, 1]


def test_many_threads_lose_no_count() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(500):
            metrics.round_answered(Stage.EXTRACT, RoundResult("x", generated_tokens=1))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lines(metrics)["eat_generated_tokens_total"] == 4000


def test_two_workers_of_one_process_keep_their_counts_apart() -> None:
    one, other = Metrics(), Metrics()
    one.lease_lost()
    assert lines(other)["eat_lease_expired_total"] == 0
