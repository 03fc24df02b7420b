"""Every option of the command line, once: its names, its help, and the setting it overrides.

An option named like a setting overrides that setting and is made of `settings.fields`; its default and its variable are
written into the help. What a single command has beside them is declared here or at the command.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, TypedDict

import click

from eat_worker.settings.fields import ABOUT, DEFAULTS, NAMES, Group

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def setting(name: str, help_: str | None = None) -> Decorator:
    """An option that overrides the setting `name`; absent, the setting comes from variable, eat.toml or default.

    `help_` where a command means something narrower than the setting's own help says.
    """
    about, default = ABOUT[name], DEFAULTS[name]
    origin = [f"env: EAT_{name.upper()}"]
    if default not in ("", (), 0, False):
        origin.append(f"default: {','.join(default) if isinstance(default, tuple) else default}")
    text = f"{help_ or about.help}  [{'; '.join(origin)}]"
    option = f"--{name.replace('_', '-')}"
    if isinstance(default, bool):
        return click.option(f"{option}/--no-{option[2:]}", name, default=None, help=text)
    kind = _type(default, about.choices)
    return click.option(*about.also, option, name, type=kind, default=None, help=text, metavar=about.metavar)


def _type(default: object, choices: tuple[Any, ...]) -> click.ParamType[Any, Any]:
    if choices and isinstance(default, str):
        return click.Choice(choices)
    kinds: dict[type, click.ParamType[Any, Any]] = {int: click.INT, float: click.FLOAT}
    return kinds.get(type(default), click.STRING)


def variable(*names: str, **keywords: Any) -> Decorator:
    """An option of a command that is no setting; its variable is EAT_ and its long name."""
    long = next(name for name in names if name.startswith("--")).partition("/")[0]
    return click.option(
        *names, envvar=f"EAT_{long[2:].replace('-', '_').upper()}", show_envvar=True, show_default=True, **keywords
    )


def together(*decorators: Decorator) -> Decorator:
    """Several options as one decorator, listed in --help in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return functools.reduce(lambda decorated, decorator: decorator(decorated), reversed(decorators), function)

    return decorate


def settings_of(group: Group) -> Decorator:
    """An option for every setting of the group, in the order of `settings.fields`."""
    return together(*(setting(name) for name, about in ABOUT.items() if about.group == group))


common_options = together(
    settings_of("common"),
    variable("--json", "as_json", is_flag=True, help="One JSON document on stdout, errors too."),
    variable("-q", "--quiet", is_flag=True, help="Print ids only."),
    variable("--debug", is_flag=True, help="Show the traceback of an error."),
)
engine_options = settings_of("engine")
method_options = settings_of("method")
worker_options = settings_of("worker")
# As `corpora.readers` and `corpora.offsets` have them; those are loaded only when a file is read.
FORMATS = ("quarantine", "jsonl", "bio", "json", "csv", "docbin", "parquet", "brat", "text")
OFFSETS = ("code-points", "utf16", "bytes")
corpus_options = together(
    variable("--lang", metavar="LANG", help="Language of records without one, e.g. ko."),
    variable("--dataset", metavar="NAME", help="Data set of records without one; the report groups by it."),
    variable(
        *("--format", "format"),
        type=click.Choice(["auto", *FORMATS]),
        default="auto",
        callback=lambda _context, _option, value: None if value == "auto" else value,
        help="File format; auto looks into the file.",
    ),
    variable("--encoding", metavar="NAME", help="Encoding of the file, e.g. cp1251; default: by looking at it."),
    variable("--offsets", type=click.Choice(OFFSETS), help="What gold offsets count; default: code points."),
    variable("--split", is_flag=True, help="Cut texts into sentences; meta says where each one comes from."),
    variable(
        "--on-error",
        type=click.Choice(["skip", "fail"]),
        default="skip",
        help="Set refused records aside, or do nothing at all when there is one.",
    ),
    variable("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N records only."),
    variable(
        "--tag-map", metavar="FILE|NAME", help="Gold tags: JSON {tag: PER, LOC, ORG or null}, or a known data set."
    ),
    variable("--strict-bio", is_flag=True, help="Refuse BIO sentences with an entity that begins with I-."),
)


class CorpusOptions(TypedDict):
    """What `corpus_options` give a command: how its file is read."""

    lang: str | None
    dataset: str | None
    format: Any
    encoding: str | None
    offsets: Any
    split: bool
    on_error: Literal["skip", "fail"]
    limit: int | None
    tag_map: str | None
    strict_bio: bool


PRIORITIES = click.IntRange(-1000, 1000)
priority = variable(
    "--priority", type=PRIORITIES, metavar="N", help="Runs of higher priority come first; new ones have 0."
)
run_name = variable("--run", "run", metavar="NAME", help="Name of the run; default: file, language, settings hash.")


def settings_among(options: dict[str, Any]) -> dict[str, Any]:
    """The options that override a setting."""
    return {name: value for name, value in options.items() if name in NAMES and value is not None}
