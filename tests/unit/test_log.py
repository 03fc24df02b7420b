"""Log lines: one line each, with their fields, without secrets, without words of a corpus above debug level."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path

import pytest

from eat_worker.errors import EngineError
from eat_worker.log import bound, configure

LOGGER = logging.getLogger("eat_worker.test")


def test_a_text_line_names_what_it_is_about() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    LOGGER.info("committed", extra={"run": "ko", "document": 7, "stage": "forward"})
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d INFO eat_worker\.test: committed run=ko document=7 stage=forward\n", stream.getvalue()
    )


def test_a_json_line_has_the_same_fields() -> None:
    stream = io.StringIO()
    configure(format_="json", stream=stream)
    LOGGER.warning("lost", extra={"attempt": 2, "worker": "w1", "fingerprint": "abc"})
    entry = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
    assert entry == {
        "level": "warning",
        "logger": "eat_worker.test",
        "message": "lost",
        "attempt": 2,
        "worker": "w1",
        "fingerprint": "abc",
    }


@pytest.mark.parametrize("format_", ["text", "json"])
def test_no_secret_reaches_a_line(format_: str) -> None:
    stream = io.StringIO()
    configure(format_=format_, stream=stream, secrets=["canary-1"])
    LOGGER.error("tried %s", "redis://:canary-2@h/0", extra={"worker": "canary-1"})
    LOGGER.error("header Authorization: Bearer canary-3-long")
    try:
        raise ValueError("postgresql://u:canary-4@h/d?password=canary-5")
    except ValueError:
        LOGGER.exception("failed with canary-1")
    assert "canary" not in stream.getvalue()
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize("format_", ["text", "json"])
def test_words_of_a_corpus_are_printed_at_debug_level_only(format_: str) -> None:
    stream = io.StringIO()
    configure(level="debug", format_=format_, stream=stream)
    LOGGER.info("one", extra={"text": "서울"})
    LOGGER.debug("two", extra={"text": "부산"})
    assert "서울" not in stream.getvalue()
    assert "부산" in stream.getvalue()


def test_control_and_bidi_characters_cannot_forge_a_line() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    LOGGER.info("a\nERROR forged \u202e")
    assert stream.getvalue().count("\n") == 1
    assert r"a\u000aERROR forged \u202e" in stream.getvalue()


def test_below_the_level_nothing_is_written_and_other_libraries_speak_from_warning() -> None:
    stream = io.StringIO()
    configure(level="warning", stream=stream)
    LOGGER.info("quiet")
    logging.getLogger("celery").info("chatter")
    logging.getLogger("celery").warning("trouble")
    assert stream.getvalue().count("\n") == 1
    assert "trouble" in stream.getvalue()


def test_configuring_again_replaces_the_last_one(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure(stream=stream)
    configure(file=tmp_path / "logs" / "eat.log")
    LOGGER.info("into the file")
    assert stream.getvalue() == ""
    assert "into the file" in (tmp_path / "logs" / "eat.log").read_text(encoding="utf-8")


def test_values_that_json_cannot_say_are_written_as_text() -> None:
    stream = io.StringIO()
    configure(format_="json", stream=stream, secrets=["canary"])
    LOGGER.info("path", extra={"run": Path("/canary/x")})
    assert json.loads(stream.getvalue())["run"] == "/***/x"


def test_what_is_bound_stands_on_every_json_line_and_no_longer_than_its_block() -> None:
    stream = io.StringIO()
    configure(format_="json", stream=stream)
    with bound(worker="w1", fingerprint="abc def"):
        LOGGER.info("one")
        LOGGER.info("two", extra={"fingerprint": "abc"})
    LOGGER.info("three")
    one, two, three = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (one["worker"], one["fingerprint"]) == ("w1", "abc def")
    assert (two["worker"], two["fingerprint"]) == ("w1", "abc")
    assert "worker" not in three


@pytest.mark.parametrize("format_", ["text", "json"])
def test_words_of_errors_that_are_not_ours_are_printed_at_debug_level_only(format_: str) -> None:
    said, quoted = {}, "서울에 갔다"
    for level in ("info", "debug"):
        stream = io.StringIO()
        configure(level=level, format_=format_, stream=stream)
        try:
            try:
                raise KeyError(quoted)
            except KeyError as error:
                raise EngineError("the answer has no message") from error
        except EngineError:
            LOGGER.exception("failed")
        said[level] = stream.getvalue()
    assert "서울" not in said["info"]
    assert "KeyError" in said["info"]
    assert "EngineError: the answer has no message" in said["info"]
    assert "서울" in said["debug"]
