from __future__ import annotations

import pytest

from eat_worker.engines.template_pieces import template_pieces
from eat_worker.errors import ConfigurationError, EngineUnavailable


def _chatml(messages: list[dict[str, str]]) -> str:
    return "".join(f"<{one['role']}>{one['content']}</>" for one in messages) + "<assistant>"


def test_pieces_are_what_the_template_writes_around_the_contents() -> None:
    assert template_pieces(("system", "user"), _chatml, ValueError) == ["<system>", "</><user>", "</><assistant>"]


def test_a_template_that_drops_or_swaps_messages_is_refused() -> None:
    for wrong in (lambda messages: _chatml(messages[1:]), lambda messages: _chatml(messages[::-1])):
        with pytest.raises(ConfigurationError, match="drops messages"):
            template_pieces(("system", "user"), wrong, ValueError)


def test_a_refusal_names_the_roles() -> None:
    def refuse(messages: list[dict[str, str]]) -> str:
        raise ValueError(f"no place for {len(messages)}")

    with pytest.raises(ConfigurationError, match="refuses a chat of system, user: no place for 2"):
        template_pieces(("system", "user"), refuse, ValueError)


def test_a_server_that_is_away_refuses_nothing() -> None:
    def silent(messages: list[dict[str, str]]) -> str:
        raise EngineUnavailable("gone")

    with pytest.raises(EngineUnavailable):
        template_pieces(("user",), silent, Exception)
