"""Log lines on stderr: text or JSON, with the run, document, stage, attempt, worker and fingerprint they are about.

No line contains a known secret. Words of a corpus go into `extra={"text": ...}` and are printed at debug level only;
so are the words of errors that are not ours, which may quote a corpus.
Knows no setting by name: the caller says level, format and secrets.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from eat_worker.errors import EatError
from eat_worker.private_files import make_private_file, make_private_folder
from eat_worker.redaction import Redactor

FIELDS = ("run", "document", "stage", "attempt", "worker", "fingerprint")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


_bound: dict[str, object] = {}


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """While the block lasts every JSON line of this process carries these fields, unless it has its own."""
    _bound.update(fields)
    try:
        yield
    finally:
        for name in fields:
            _bound.pop(name, None)


class TextFormatter(logging.Formatter):
    """`12:03:04 INFO eat_worker.jobs.worker: message run=ko document=7`; one line but for a traceback."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """One line, secrets hidden, control and bidi characters as visible escapes."""
        clock = _instant(record).strftime("%H:%M:%S")
        about = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = _CONTROL.sub(_escape, f"{clock} {record.levelname} {record.name}: {record.getMessage()}{about}")
        if record.exc_info:
            line += "\n" + _traceback(record.exc_info)
        return self._redact(line)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC), level, logger, message, the fields and, with a fault, the traceback."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """One line, secrets hidden."""
        entry: dict[str, object] = {
            "time": _instant(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        fields = _bound | _fields(record)
        entry |= {name: self._redact(value) if isinstance(value, str) else value for name, value in fields.items()}
        if record.exc_info:
            entry["traceback"] = self._redact(_traceback(record.exc_info))
        return json.dumps(entry, ensure_ascii=False, default=lambda value: self._redact(str(value)))


def configure(
    *,
    level: str = "info",
    format_: str = "text",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    file: Path | None = None,
) -> None:
    """Send the log to `stream` (stderr) or to `file`, which is appended to; other libraries from warning up.

    Calling it again replaces what the last call set up. Raises OSError when the file cannot be opened.
    """
    redact = Redactor(secrets)
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(stream or sys.stderr)
    else:
        make_private_folder(file.parent)
        make_private_file(file)
        handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(JsonFormatter(redact) if format_ == "json" else TextFormatter(redact))
    handler.set_name("eat_worker")
    root = logging.getLogger()
    for old in [known for known in root.handlers if known.get_name() == "eat_worker"]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("eat_worker").setLevel(level.upper())


def _traceback(exc_info: Any) -> str:
    """Where an error came from. Its words only when they are ours, or at debug level: others may quote a corpus."""
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    in_full = logging.getLogger("eat_worker").isEnabledFor(logging.DEBUG)
    while error is not None:
        words = f": {error}" if in_full or isinstance(error, EatError) else ""
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{type(error).__name__}{words}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nwhich led to:\n\n".join(reversed(parts))


def _instant(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    names = (*FIELDS, "text") if record.levelno <= logging.DEBUG else FIELDS
    return {name: record.__dict__[name] for name in names if record.__dict__.get(name) is not None}


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"
