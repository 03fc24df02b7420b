"""Why a line is no record: tells the faults of JSON apart, and finds what JSON allows but nothing downstream survives.

Runs on the rare bad line, and on lines that carry many brackets or an escaped NUL; speed does not matter here, but the
time stays linear in the length of the line, whatever it holds.
"""

from __future__ import annotations

import json
import re

from eat_worker.corpora.records import RecordError

MAX_DEPTH = 64

# A JSON string, or what begins like one and never ends. Possessive: hostile quotes must not make it go back.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?(?:"|\Z)', re.DOTALL)
_BRACKETS = frozenset(b"[]{}")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_OPENING = frozenset(b"[{")
_SURROGATE = re.compile("[\ud800-\udfff]")


def check_depth(raw: bytes) -> None:
    """Raises RecordError (E_DEPTH) when arrays and objects are nested more than MAX_DEPTH deep."""
    depth = 0
    for byte in _STRING.sub(b"", raw).translate(None, _NO_BRACKETS):
        depth += 1 if byte in _OPENING else -1
        if depth > MAX_DEPTH:
            raise RecordError("E_DEPTH", f"nested more than {MAX_DEPTH} levels deep")


def check_nul(value: object) -> None:
    """Raises RecordError (E_NUL) when any string in a parsed value holds U+0000. The depth has been checked."""
    if isinstance(value, str):
        if "\x00" in value:
            raise RecordError("E_NUL", "holds U+0000 (\\u0000), which a database cannot store; remove it")
    elif isinstance(value, list):
        for item in value:
            check_nul(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_nul(key)
            check_nul(item)


def explain(raw: bytes, reason: str) -> RecordError:
    """The fault of a line that the parser refused with `reason`."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        bad = raw[error.start : error.start + 1].hex()
        return RecordError("E_UTF8", f"not UTF-8: byte {error.start} of the record is 0x{bad}")
    try:
        value = json.loads(text, parse_int=float, parse_float=float, parse_constant=_refuse_constant)
    except _ConstantError as error:
        return RecordError("E_NUMBER", f"{error} is not a number in JSON")
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text[error.pos] in '{["':
            return RecordError("E_NOT_OBJECT", f"more than one value on the line: another at character {error.pos}")
        return RecordError("E_JSON", f"not JSON: {reason}")
    return _explain_value(value, reason)


def _explain_value(value: object, reason: str) -> RecordError:
    """The fault of a value that a laxer parser takes: half a surrogate pair or a number too large."""
    if _has_surrogate(value):
        return RecordError("E_SURROGATE", "holds half of a surrogate pair (\\ud800 to \\udfff alone)")
    return RecordError("E_NUMBER" if "number" in reason else "E_JSON", f"not JSON: {reason}")


class _ConstantError(Exception):
    """NaN, Infinity or -Infinity."""


def _refuse_constant(name: str) -> None:
    raise _ConstantError(name)


def _has_surrogate(value: object) -> bool:
    if isinstance(value, str):
        return _SURROGATE.search(value) is not None
    if isinstance(value, list):
        return any(map(_has_surrogate, value))
    if isinstance(value, dict):
        return any(_has_surrogate(key) or _has_surrogate(item) for key, item in value.items())
    return False
