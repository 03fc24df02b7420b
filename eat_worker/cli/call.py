"""One call of a command: its settings, how it speaks, and the decorator that gives both to a command's function.

Knows where words go: data to stdout, messages to stderr, JSON as one document.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eat_worker import log
from eat_worker.cli.options import common_options, settings_among
from eat_worker.settings import NAMES, Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from eat_worker.corpora.writing import Sink

_COMMON = click.command("common", cls=click.Command)(common_options(lambda: None)).params
SPEECH = ("as_json", "quiet", "debug")


@dataclass(frozen=True, slots=True)
class Call:
    """What a command needs to know about how it was called."""

    settings: Settings
    as_json: bool
    quiet: bool

    def emit(self, value: Any) -> None:
        """One JSON document on stdout."""
        click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))

    def tell(self, message: str) -> None:
        """A message for people on stderr; silent under -q and --json."""
        if not (self.quiet or self.as_json):
            click.echo(message, err=True)

    def console(self) -> Console:
        """stdout for tables: as wide as the terminal, as wide as needed when it is none."""
        from eat_worker.cli.terminal import console

        return console(sys.stdout)

    def data(self) -> Sink:
        """stdout for records, byte by byte; on a terminal no control or bidi character of a text reaches it raw."""
        if not sys.stdout.isatty():
            return sys.stdout.buffer
        from eat_worker.cli.terminal import Harmless

        return Harmless(sys.stdout)

    def log_to(self, file: Path | None) -> None:
        """Send the log to a file instead of stderr, where a progress bar is drawn."""
        configure_log(self.settings, file)


def configure_log(settings: Settings, file: Path | None = None) -> None:
    """Log as the settings say; no line holds a password of the settings."""
    log.configure(level=settings.log_level, format_=settings.log_format, secrets=settings.secrets(), file=file)


def command(name: str, **keywords: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """A click command whose function gets a Call first; options named like settings are taken out into it."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def wrapper(**options: Any) -> Any:
            call, others = _prepared(options)
            configure_log(call.settings)
            return function(call, **others)

        made = click.command(name, cls=click.Command, **keywords)(wrapper)
        made.params += _COMMON  # the last in --help
        return made

    return decorate


def _prepared(options: dict[str, Any]) -> tuple[Call, dict[str, Any]]:
    """Options after the command win over those before it."""
    before: dict[str, Any] = click.get_current_context().find_root().obj or {}
    overrides = settings_among(before) | settings_among(options)
    speech = {key: bool(before.get(key)) or bool(options.get(key)) for key in SPEECH}
    settings = load_settings(overrides, directory=Path.cwd(), environ=os.environ)
    others = {key: value for key, value in options.items() if key not in (*NAMES, *SPEECH)}
    return Call(settings, speech["as_json"], speech["quiet"]), others
