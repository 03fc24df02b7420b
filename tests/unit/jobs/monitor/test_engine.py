"""The measured engine: counted, timed, traced, and otherwise the one that was loaded."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Event, Thread

import pytest

from eat_worker.engines.engine import EngineInfo
from eat_worker.errors import EngineBroken, EngineError
from eat_worker.jobs.monitor.engine import MeasuredEngine, Pulse, Watchdog
from eat_worker.jobs.monitor.metrics import Metrics
from eat_worker.jobs.monitor.tracing import Tracing
from eat_worker.method.document import Stage
from eat_worker.method.rounds import Limits, Message, Request, RoundResult

REQUEST = Request("7", Stage.FORWARD, (Message("user", "Anna"),), {}, Limits(16))
INFO = EngineInfo("scripted", "rules", 1, constrained=True, detail={})


class Engine:
    """Answers, raises, or waits to be let go."""

    info = INFO
    oom_splits = 5

    def __init__(self) -> None:
        self.answer: RoundResult | Exception = RoundResult("x", generated_tokens=2)
        self.let_go = Event()
        self.let_go.set()
        self.closed = False

    def ask(self, request: Request) -> RoundResult:
        self.let_go.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def submit(self, request: Request) -> Future[RoundResult]:
        future: Future[RoundResult] = Future()
        try:
            future.set_result(self.ask(request))
        except EngineError as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        self.closed = True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    return Pulse(clock)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def measured(engine: Engine, metrics: Metrics, pulse: Pulse) -> MeasuredEngine:
    return MeasuredEngine(engine, metrics, pulse, Tracing(None))


def generated(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("eat_generated_tokens_total")


def test_answers_come_through_and_are_counted(measured: MeasuredEngine, engine: Engine, metrics: Metrics) -> None:
    assert measured.ask(REQUEST) is engine.answer
    assert measured.submit(REQUEST).result() is engine.answer
    assert generated(metrics) == 4
    assert measured.info is INFO
    measured.close()
    assert engine.closed


def test_errors_come_through_and_are_no_rounds(measured: MeasuredEngine, engine: Engine, metrics: Metrics) -> None:
    engine.answer = EngineError("no")
    with pytest.raises(EngineError, match="no"):
        measured.ask(REQUEST)
    assert isinstance(measured.submit(REQUEST).exception(), EngineError)
    assert generated(metrics) == 0


def test_the_engine_tells_how_often_it_halved_a_batch(measured: MeasuredEngine, metrics: Metrics) -> None:
    assert metrics.registry.get_sample_value("eat_oom_splits_total") == 5


def test_an_engine_that_is_asked_nothing_is_not_silent(pulse: Pulse, clock: Clock) -> None:
    clock.now += 1000
    assert pulse.silent_for() == 0


def test_silence_counts_from_the_last_round_that_ended(pulse: Pulse, clock: Clock) -> None:
    pulse.begin()
    clock.now += 10
    pulse.begin()  # a stuck engine takes requests too
    assert pulse.silent_for() == 10
    pulse.end()
    assert pulse.silent_for() == 0
    clock.now += 3
    assert pulse.silent_for() == 3
    pulse.end()
    assert pulse.silent_for() == 0


def test_a_round_that_hangs_is_seen_from_outside(
    measured: MeasuredEngine, engine: Engine, pulse: Pulse, clock: Clock
) -> None:
    engine.let_go.clear()
    thread = Thread(target=measured.ask, args=(REQUEST,))
    thread.start()
    while pulse.silent_for() == 0:
        clock.now += 1
    engine.let_go.set()
    thread.join()
    assert pulse.silent_for() == 0


def test_an_engine_that_is_silent_for_too_long_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    told, heard = list[EngineBroken](), Event()
    with Watchdog(lambda: 0.3, 0.04, lambda error: (told.append(error), heard.set())):
        assert heard.wait(5)
        assert not Event().wait(0.1)
    (error,) = told
    assert isinstance(error, EngineBroken)
    assert str(error) == "the engine has answered nothing for 0 s; this process ends"
    assert "has answered nothing" in caplog.text


def test_an_engine_that_answers_is_left_alone() -> None:
    asked, enough = list[object](), Event()

    def silent_for() -> float:
        asked.append(1)
        if len(asked) == 5:
            enough.set()
        return 0.03

    with Watchdog(silent_for, 0.04, asked.append):
        assert enough.wait(5)
    assert set(asked) == {1}
