"""Writes the tables of docs/reference.md from the program: `python docs/reference.py`. A test compares them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from eat_worker.cli import cli
from eat_worker.settings.fields import ABOUT, DEFAULTS, NAMES

PAGE = Path(__file__).with_name("reference.md")
NO_OPTION = "–"
MOST_CHOICES = 4  # of an option, written out


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with the words that call it, in the order of `eat --help`."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", found) for inner, found in command.commands.items())
        else:
            yield name, command


def commands_table() -> str:
    """One row per command: its words, its arguments, what it does, the options that are no settings."""
    common = {option.name for option in cli.params}
    rows = []
    for words, command in every_command():
        named = [_argument(param) for param in command.params if isinstance(param, click.Argument)]
        own = [
            _option(param)
            for param in command.params
            if isinstance(param, click.Option) and param.name not in (*NAMES, *common)
        ]
        rows.append((f"`eat {words}`", " ".join(named), command.short_help or "", ", ".join(own)))
    return _table(("command", "arguments", "what it does", "options of its own"), rows)


def settings_table() -> str:
    """One row per setting: its default, the commands with an option for it, what it means and may be."""
    commands = list(every_command())
    rows = []
    for name in NAMES:
        having = [words for words, command in commands if name in {param.name for param in command.params}]
        where = "all" if len(having) == len(commands) else ", ".join(having) or NO_OPTION
        rows.append((f"`{name}`", _default(name), where, f"{ABOUT[name].help}{_limits(name)}"))
    return _table(("setting", "default", "commands with an option for it", "meaning"), rows)


def filled(page: str) -> str:
    """The page with each generated section written anew."""
    for name, table in (("commands", commands_table()), ("settings", settings_table())):
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        head, mark, rest = page.partition(begin)
        page = head + mark + table + end + rest.partition(end)[2] if mark else page
    return page


def _argument(param: click.Argument) -> str:
    word = _value(param)
    if "[" in word or word.endswith("..."):  # written out at the command
        return word
    word += "..." if param.nargs == -1 else ""
    return word if param.required else f"[{word}]"


def _option(param: click.Option) -> str:
    words = ", ".join(f"`{way}`" for way in (*param.opts, *param.secondary_opts))
    return words if param.is_flag else f"{words} {_value(param)}"


def _value(param: click.Parameter) -> str:
    if isinstance(param.type, click.Choice) and len(param.type.choices) <= MOST_CHOICES:
        return "|".join(map(str, param.type.choices))
    return param.metavar or str(param.name).upper().rstrip("_")


def _default(name: str) -> str:
    match DEFAULTS[name]:
        case "":
            return ""
        case bool() as value:
            return f"`{str(value).lower()}`"
        case float() as value:
            return f"`{value:g}`"
        case tuple() as value:
            return f"`{','.join(value)}`"
        case value:
            return f"`{value}`"


def _limits(name: str) -> str:
    about = ABOUT[name]
    if about.choices:
        return f" One of {', '.join(f'`{choice}`' for choice in about.choices)}."
    if about.most is not None:
        return f" {about.least:g} to {about.most:,g}."
    return f" At least {about.least:g}." if about.least else ""


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
