"""How a command ends: the one place that turns an error into a message and an exit code.

0 ok, 1 error, 2 usage, 3 finished with failed or rejected items, 4 not found, 69 broker, database or model server
unavailable, 70 the engine broke, 78 configuration, 124 waited too long, 130 Ctrl-C.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from eat_worker.errors import DiskFull, EatError
from eat_worker.redaction import Redactor, passwords_in
from eat_worker.settings.types import convert

PARTLY = 3
TIMED_OUT = 124
INTERRUPTED = 130
RESUMABLE = ("run", "submit", "worker")


class ReaderGone(Exception):
    """Nobody reads stdout any more, as in `eat status | head`: the reader has seen enough."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is told about an error: exit code, the stable name for programs, and the message for people."""

    exit_code: int
    code: str
    message: str


def ended(action: Callable[[], object], words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `action` and return the exit code; an error is printed to stderr, under --json to stdout as JSON.

    `words` are the arguments of the command line: they say whether JSON or a traceback is wanted, and how to resume.
    """
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that is not UTF-8 shows escapes, never a crash
            stream.reconfigure(errors="backslashreplace")
    try:
        result = action()
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (BrokenPipeError, ReaderGone):
        _drop_unwritten()
        return 0
    except (KeyboardInterrupt, click.Abort) as error:
        return _tell(_interrupted(words), error, words, environ)
    except Exception as error:  # noqa: BLE001  # the outermost frame: reported, never swallowed
        code = _tell(failure_of(error), error, words, environ)
        _drop_unwritten()
        return code
    return result if isinstance(result, int) else 0


def _drop_unwritten() -> None:
    """Let go of output that cannot be written: the interpreter would try again at its end, and say so with code 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_what_is_closed() -> None:
    """Give a process that was started without stdin, stdout or stderr (`>&-`) empty ones."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # open to the end


def failure_of(error: Exception) -> Failure:
    """Exit code, name and message of any error."""
    if isinstance(error, EatError):
        return Failure(error.exit_code, error.code, str(error))
    if isinstance(error, click.UsageError):
        hint = f"; see: {error.ctx.command_path} --help" if error.ctx else ""
        bare = isinstance(error, click.exceptions.NoArgsIsHelpError)  # its message is the whole help
        message = "a command is missing" if bare else error.format_message().rstrip(".")
        return Failure(error.exit_code, "usage", f"{message}{hint}")
    if isinstance(error, click.ClickException):
        return Failure(error.exit_code, "error", error.format_message())
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(DiskFull.exit_code, DiskFull.code, f"{error}; free space and run the same command again")
    if isinstance(error, OSError):
        return Failure(1, "os", str(error))
    return Failure(1, "internal", f"{type(error).__name__}: {error}; this is a bug of eat, --debug shows where")


def _interrupted(words: Sequence[str]) -> Failure:
    command = next((word for word in words if word in RESUMABLE), None)
    line = shlex.join(["eat", *words])
    resume = f"nothing stored is lost; resume with: {line}" if command else "stopped"
    return Failure(INTERRUPTED, "interrupted", resume)


def _tell(failure: Failure, error: BaseException, words: Sequence[str], environ: Mapping[str, str]) -> int:
    redact = Redactor(word for value in (*words, *environ.values()) for word in passwords_in(value))
    message = redact(failure.message)
    if _wanted("--debug", words, environ):
        click.echo(redact("".join(traceback.format_exception(error))), err=True)
    if _wanted("--json", words, environ):
        try:
            click.echo(json.dumps({"error": {"code": failure.code, "message": message}}, ensure_ascii=False))
        except OSError:  # a full disk, say, which is the error to be told
            click.echo(f"eat: {message}", err=True)
    elif isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())  # the help, asked for in the shortest way
    else:
        click.echo(f"eat: {message}", err=True)
    return failure.exit_code


def _wanted(flag: str, words: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether a flag is on the command line or in its variable, which need not be one that click has accepted."""
    if flag in words:
        return True
    try:
        return bool(convert(environ.get(f"EAT_{flag[2:].upper()}") or "no", default=False))
    except ValueError:
        return False
