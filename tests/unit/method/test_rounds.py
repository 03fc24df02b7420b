from __future__ import annotations

import pytest

from eat_worker.method.rounds import Prompt


def test_a_prompt_is_filled_by_plain_substitution() -> None:
    assert Prompt("", "{a} and {b}, {a}.", {"a": "{b}", "b": "100 %}"}).text() == "{b} and 100 %}, {b}."
    assert Prompt("", "no variables", {"a": "x"}).text() == "no variables"


def test_a_prompt_without_its_variable_is_an_error() -> None:
    with pytest.raises(KeyError):
        Prompt("", "{missing}").text()
