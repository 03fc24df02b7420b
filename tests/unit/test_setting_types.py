"""Conversion of what was written into the type of a setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eat_worker.settings.types import convert


@pytest.mark.parametrize(
    ("value", "default", "expected"),
    [
        ("3", 0, 3),
        (3, 0.0, 3.0),
        ("2.5", 0.0, 2.5),
        ("YES", False, True),
        ("off", True, False),
        (True, False, True),
        ("a b,c", (), ("a", "b", "c")),
        (["a", "b"], (), ("a", "b")),
        ("none", ("x",), ()),
        ("x/y", Path(), Path("x/y")),
        (Path("x"), "", "x"),
    ],
)
def test_values_take_the_type_of_the_default(value: Any, default: Any, expected: Any) -> None:
    found = convert(value, default)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "default"), [("x", 0), (1.5, 0), (True, 0), ("perhaps", False), (1, False), (3, ""), ([1], ()), (4, ())]
)
def test_other_types_are_refused(value: Any, default: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        convert(value, default)
