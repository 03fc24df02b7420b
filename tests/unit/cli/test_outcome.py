"""Exit codes and messages of errors."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest

from eat_worker import errors
from eat_worker.cli.outcome import ended, failure_of


def raising(error: BaseException) -> Any:
    def action() -> NoReturn:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (errors.EatError("x"), 1, "error"),
        (errors.ConfigurationError("x"), 78, "configuration"),
        (errors.SchemaError("x"), 78, "schema"),
        (errors.ModelMissing("x"), 78, "model_missing"),
        (errors.NotFound("x"), 4, "not_found"),
        (errors.CorpusError("x"), 1, "corpus"),
        (errors.DigestMismatch("x"), 1, "digest_mismatch"),
        (errors.StoreUnavailable("x"), 69, "store_unavailable"),
        (errors.BrokerUnavailable("x"), 69, "broker_unavailable"),
        (errors.EngineUnavailable("x"), 69, "engine_unavailable"),
        (click.UsageError("x"), 2, "usage"),
        (click.ClickException("x"), 1, "error"),
        (OSError(errno.ENOSPC, "No space left on device"), 69, "disk_full"),
        (PermissionError(13, "Permission denied", "f"), 1, "os"),
        (ValueError("x"), 1, "internal"),
    ],
)
def test_every_error_has_a_code_and_a_name(error: Exception, code: int, name: str) -> None:
    failure = failure_of(error)
    assert (failure.exit_code, failure.code) == (code, name)


def test_no_traceback_without_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(ValueError("deep")), ["status"], {}) == 1
    assert capsys.readouterr().err == "eat: ValueError: deep; this is a bug of eat, --debug shows where\n"


@pytest.mark.parametrize(("words", "environ"), [(["--debug"], {}), ([], {"EAT_DEBUG": "1"})])
def test_debug_shows_the_traceback(
    words: list[str], environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    ended(raising(ValueError("deep")), words, environ)
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize("no", ["0", "false", "no", "OFF", ""])
def test_a_variable_that_says_no_is_no(no: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended(raising(ValueError("deep")), ["status"], {"EAT_DEBUG": no, "EAT_JSON": no})
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "eat: ValueError: deep; this is a bug of eat, --debug shows where\n")


@pytest.mark.parametrize("yes", ["1", "true", "Yes", "on"])
def test_a_variable_that_says_yes_is_yes(yes: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended(raising(errors.NotFound("x")), ["status"], {"EAT_JSON": yes})
    assert json.loads(capsys.readouterr().out) == {"error": {"code": "not_found", "message": "x"}}


def test_ctrl_c_prints_the_line_that_resumes(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(KeyboardInterrupt()), ["run", "my file.jsonl", "--lang", "ko"], {}) == 130
    expected = "eat: nothing stored is lost; resume with: eat run 'my file.jsonl' --lang ko\n"
    assert capsys.readouterr().err == expected


def test_ctrl_c_of_a_command_that_keeps_nothing_promises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(KeyboardInterrupt()), ["annotate", "f"], {}) == 130
    assert capsys.readouterr().err == "eat: stopped\n"


def test_ctrl_c_under_json(capsys: pytest.CaptureFixture[str]) -> None:
    ended(raising(KeyboardInterrupt()), ["run", "f", "--json"], {})
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "interrupted"


@pytest.mark.parametrize("words", [["--json"], ["--debug"], []])
def test_no_error_shows_a_password(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://u:canary@h/d?password=kanarie"
    fault = ValueError(f"cannot reach {url}: canary, kanarie")
    ended(raising(fault), ["run", "--database-url", url, *words], {"EAT_BROKER_URL": "redis://:third@h"})
    ended(raising(ValueError("third")), words, {"EAT_BROKER_URL": "redis://:third@h"})
    ended(raising(KeyboardInterrupt()), ["run", "--database-url", url, *words], {})
    said = capsys.readouterr()
    for secret in ("canary", "kanarie", "third"):
        assert secret not in said.out + said.err


def test_the_exit_code_of_a_command_is_passed_on() -> None:
    assert ended(lambda: 130, [], {}) == 130
    assert ended(lambda: None, [], {}) == 0
    assert ended(raising(click.exceptions.Exit(3)), [], {}) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_an_error_that_stdout_cannot_take_goes_to_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert ended(raising(errors.NotFound("x")), ["--json"], {}) == 4
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, full.fileno())  # so that it can be closed
        os.close(nowhere)
    assert capsys.readouterr().err == "eat: x\n"


def test_streams_that_were_closed_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", None)
    read: list[str] = []

    def action() -> None:
        print("for nobody")
        read.append(sys.stdin.read())

    assert ended(action, [], {}) == 0
    assert ended(raising(ValueError("for nobody")), [], {}) == 1
    assert read == [""]
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
