"""From what a variable, eat.toml or an option says to a value of the setting's own type. Knows no setting by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a list of words",
    type(Path()): "a path",
}
_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def convert(value: Any, default: Any) -> Any:
    """`value` in the type of `default`; a variable arrives as text, TOML and options arrive typed.

    The word `none` empties a list. Raises TypeError or ValueError where it cannot be.
    """
    if isinstance(default, bool):
        return value if isinstance(value, bool) else _boolean(value)
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(default, tuple):
        words = value.replace(",", " ").split() if isinstance(value, str) else value
        return () if list(words) == ["none"] else tuple(_word(word) for word in words)
    if isinstance(default, Path):
        return Path(value)
    if isinstance(default, int) and isinstance(value, float):
        raise TypeError(value)
    return _word(value) if isinstance(default, str) else type(default)(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, str) or value.lower() not in _BOOLEANS:
        raise ValueError(value)
    return _BOOLEANS[value.lower()]


def _word(value: Any) -> str:
    if not isinstance(value, str | Path):
        raise TypeError(value)
    return str(value)
