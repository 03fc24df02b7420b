"""The group of commands: help, names, and options before and after the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from eat_worker.cli import COMMANDS, cli
from eat_worker.settings import COMMAND_VARIABLES, NAMES

Eat = Callable[..., Any]


def every_command(group: click.Group, name: str = "eat") -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = []
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        found.append((f"{name} {word}", command))
        if isinstance(command, click.Group):
            found += every_command(command, f"{name} {word}")
    return found


def test_help_lists_every_command_with_the_line_the_command_has(eat: Eat) -> None:
    done = eat("--help")
    assert done.code == 0
    for name, command in every_command(cli):
        words = name.split()[1:]
        if len(words) == 1:
            assert COMMANDS[words[0]][1] == (command.short_help or command.help)
            assert f"  {words[0]} " in done.out


def test_every_command_and_every_option_has_help() -> None:
    for name, command in every_command(cli):
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.name}"


def test_every_command_that_prints_takes_json_quiet_and_debug() -> None:
    for name, command in every_command(cli):
        if not isinstance(command, click.Group):
            flags = {flag for parameter in command.params for flag in parameter.opts}
            assert {"--json", "--quiet", "--debug", "--state"} <= flags, name


def test_every_variable_in_the_help_is_known_to_the_settings() -> None:
    known = {f"EAT_{name.upper()}" for name in NAMES} | COMMAND_VARIABLES
    for name, command in every_command(cli):
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.envvar:
                assert parameter.envvar in known, f"{name} {parameter.name}"


def test_options_may_stand_before_or_after_the_command_and_the_later_wins(eat: Eat) -> None:
    def slots(*words: str) -> Any:
        return {item["name"]: item["value"] for item in json.loads(eat(*words).out)["settings"]}["log_level"]

    assert slots("--log-level", "debug", "config", "--json") == "debug"
    assert slots("--json", "config", "--log-level", "error") == "error"
    assert slots("--log-level", "debug", "--json", "config", "--log-level", "error") == "error"


def test_version_is_printed(eat: Eat) -> None:
    from eat_worker import __version__

    assert __version__ in eat("--version").out


@pytest.mark.parametrize("words", [(), ("model",), ("db",), ("dead",)])
def test_a_group_without_a_command_shows_its_help_and_ends_as_a_usage_error(eat: Eat, words: tuple[str, ...]) -> None:
    done = eat(*words)
    assert (done.code, done.err) == (2, "")
    assert done.out == eat(*words, "--help").out


def test_under_json_a_group_without_a_command_is_an_error(eat: Eat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAT_JSON", "1")
    done = eat()
    assert (done.code, json.loads(done.out)) == (
        2,
        {"error": {"code": "usage", "message": "a command is missing; see: eat --help"}},
    )


def test_an_unknown_command_names_the_close_ones(eat: Eat) -> None:
    done = eat("sattus")
    assert (done.code, done.out) == (2, "")
    assert done.err == "eat: no such command: sattus; did you mean status?; see: eat --help\n"


@pytest.mark.parametrize("words", [("status", "--nope"), ("show",), ("report", "--csv", "--json"), ("model", "x")])
def test_usage_errors_end_with_2_and_point_to_the_help(eat: Eat, words: tuple[str, ...]) -> None:
    done = eat(*words)
    assert done.code == 2
    assert "--help" in done.out + done.err


def test_under_json_errors_are_json_on_stdout(eat: Eat) -> None:
    done = eat("db", "check", "--json")
    assert done.code == 78
    assert done.err == ""
    error = json.loads(done.out)["error"]
    assert error["code"] == "schema"
    assert error["message"].endswith("run: eat db upgrade")


def test_eat_toml_of_the_working_folder_is_read(eat: Eat, tmp_path: Path) -> None:
    (tmp_path / "eat.toml").write_text("slots = 7\n")
    settings = json.loads(eat("config", "--json").out)["settings"]
    assert {"name": "slots", "value": 7, "origin": "eat.toml"} in settings


def test_an_unknown_variable_is_named_with_the_close_ones(eat: Eat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAT_SLOT", "7")
    done = eat("config")
    assert (done.code, done.err) == (78, "eat: unknown variable EAT_SLOT; did you mean EAT_SLOTS or EAT_SPLIT?\n")
    monkeypatch.delenv("EAT_SLOT")
    monkeypatch.setenv("EAT_XYZZY", "7")
    assert eat("config").err == "eat: unknown variable EAT_XYZZY; `eat config --help` lists the settings\n"


def test_an_unknown_setting_ends_with_78(eat: Eat, tmp_path: Path) -> None:
    (tmp_path / "eat.toml").write_text("slot = 7\n")
    done = eat("config")
    assert done.code == 78
    assert "unknown setting slot; did you mean slots?" in done.err
