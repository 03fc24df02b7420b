"""Progress lines, and the rate they tell."""

from __future__ import annotations

import io

import pytest

from eat_worker.cli.progress import Progress, Rate


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_the_rate_is_that_of_the_last_minute() -> None:
    rate = Rate()
    assert rate.value() is None
    for now, done in ((0, 500), (30, 500), (60, 530), (100, 600), (120, 650)):
        rate.add(now, done)
    # Since second 60: 120 units in 60 seconds.
    assert rate.value() == 2.0


def test_no_progress_is_no_rate() -> None:
    rate = Rate()
    rate.add(0, 5)
    rate.add(10, 5)
    assert rate.value() is None


def test_without_a_terminal_a_plain_line_comes_every_30_seconds(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("annotating", silent=False, stream=stream) as progress:
        for second in range(0, 91, 10):
            clock[0] = float(second)
            progress.update(second, 100)
    assert stream.getvalue() == (
        "annotating: 30/100 documents 1.00/s, 1:10 min left\n"
        "annotating: 60/100 documents 1.00/s, 40.0 s left\n"
        "annotating: 90/100 documents 1.00/s, 10.0 s left\n"
    )


def test_an_unknown_total_is_left_out(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("reading", silent=False, unit="records", stream=stream) as progress:
        progress.update(0)
        clock[0] = 30.0
        progress.update(30_000)
    assert stream.getvalue() == "reading: 30000 records 1,000/s\n"


def test_bytes_are_told_in_megabytes(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("", silent=False, unit="bytes", stream=stream) as progress:
        progress.update(0, 3_000_000, "hub")
        clock[0] = 30.0
        progress.update(1_500_000, 3_000_000, "hub")
        progress.say("done")
    assert stream.getvalue() == "hub: 1.5 M/3.0 M bytes 0.1 M/s, 30.0 s left\ndone\n"


def test_silence_is_silent(clock: list[float]) -> None:
    for stream in (io.StringIO(), Tty()):
        with Progress("x", silent=True, stream=stream) as progress:
            clock[0] += 100.0
            progress.update(1, 2)
            progress.say("word")
        assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    stream = Tty()
    with Progress("annotating", silent=False, stream=stream) as progress:
        progress.update(1, 4, "(now)")
        progress.say("[a] word")
    assert "annotating (now)" in stream.getvalue()
    assert "1/4" in stream.getvalue()
    assert "[a] word" in stream.getvalue()
