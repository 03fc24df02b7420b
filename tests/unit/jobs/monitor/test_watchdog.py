import threading

from eat_worker.errors import EngineBroken
from eat_worker.jobs.monitor.watchdog import Watchdog


def test_an_engine_that_is_silent_for_too_long_is_told_once(caplog):
    told, heard = [], threading.Event()
    with Watchdog(lambda: 0.3, 0.04, lambda error: (told.append(error), heard.set())):
        assert heard.wait(5)
        assert not threading.Event().wait(0.1)
    (error,) = told
    assert isinstance(error, EngineBroken)
    assert str(error) == "the engine has answered nothing for 0 s; this process ends"
    assert "has answered nothing" in caplog.text


def test_an_engine_that_answers_is_left_alone():
    asked, enough = [], threading.Event()

    def silent_for():
        asked.append(1)
        if len(asked) == 5:
            enough.set()
        return 0.03

    with Watchdog(silent_for, 0.04, asked.append):
        assert enough.wait(5)
    assert set(asked) == {1}
