"""Where the first sentence of a page's introduction ends, in any of the scripts Wikipedia is written in.

A full stop inside brackets or quotation marks ends nothing ("Berlin (нем. Berlin) — столица."); outside of them it ends
nothing behind initials, ordinals and abbreviations. Knows marks and scripts; which
words are abbreviations is listed in `abbreviations`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from eat_worker.training.eacl.abbreviations import ABBREVIATIONS

# Closing mark -> opening mark. A German closing quote opens elsewhere.
_BRACKETS = dict(zip(")]}）】］」』》〉〕»”“", "([{（【［「『《〈〔«“„", strict=True))
_OPENING = frozenset(_BRACKETS.values())
_QUOTES = "\"'’”»“"
_PASSED = "".join(_BRACKETS) + _QUOTES + " \t\u00a0\u200b\u200e\u200f"  # between a sentence and the next one's letters

# These end a sentence whatever follows: ideographic stops, danda, Urdu, Ethiopic, Burmese, Khmer, Armenian.
_ENDS = "。｡．！？।॥۔።။។։"
_MARK = re.compile(rf"[{_ENDS}.!?؟…:]+")
_ORDINAL = frozenset(
    {"de", "da", "nb", "nn", "no", "fi", "cs", "sk", "pl", "hu", "sl", "hr", "sr", "bs", "et", "lv", "tr", "is"}
)
_WORD = re.compile(
    r"[^\s\"'«»„“”‘’「」()\[\]（）,;/—–]*\Z"
)  # what stands before a mark, to the last blank, quote or bracket


def first_sentence(extract: str, lang: str) -> str:
    """The first sentence of an introduction in plain text; its first line that has one, else its first line.

    Lines above the running text (an info box, a motto) end without a mark and are passed over. "" for blank text.
    """
    lines = [line.strip() for line in extract.splitlines() if line.strip()]
    for line in lines:
        end = next(_ends(line, lang), None)
        if end is not None:
            return line[:end].strip()
    return lines[0] if lines else ""


def enclosed(text: str) -> list[bool]:
    """For each character, whether it stands inside a pair of brackets or quotation marks.

    One that is never closed, or was never opened, encloses nothing.
    """
    inside = [0] * (len(text) + 1)
    opened: dict[str, list[int]] = {}
    for at, char in enumerate(text):
        begun = opened.get(_BRACKETS.get(char, ""))
        if begun:
            inside[begun.pop()] += 1
            inside[at + 1] -= 1
        elif char in _OPENING:
            opened.setdefault(char, []).append(at)
    depth = 0
    flags = []
    for change in inside[:-1]:
        depth += change
        flags.append(depth > 0)
    return flags


def _ends(line: str, lang: str) -> Iterator[int]:
    """Where sentences of a line end, a closing quotation mark included."""
    inside = enclosed(line)
    for mark in _MARK.finditer(line):
        at = mark.start()
        if not at or inside[at] or not _ends_here(mark, line, lang):
            continue
        end = mark.end()
        yield end + (line[end : end + 1] in (*_QUOTES,) and line[end + 1 : end + 2] in ("", " "))


def _ends_here(mark: re.Match[str], line: str, lang: str) -> bool:
    signs, after = mark.group(), line[mark.end() :]
    if any(sign in _ENDS for sign in signs):
        return True
    following = after.lstrip(_PASSED)
    if not following:
        return ":" not in signs
    if after[0].isalnum() or _is_small(following[0]) or following[0] in ",;،؛、，(（":
        return False
    if ":" in signs:  # Armenian is often typed with a colon for its full stop
        return signs == ":" and lang == "hy" and after[0].isspace() and following[0].isupper()
    return signs != "." or not _abbreviates(line[: mark.start()], lang)


def _is_small(char: str) -> bool:
    # Unicode calls Georgian letters small: their capitals are for headlines, no sentence begins with one.
    return char.islower() and not "\u10d0" <= char <= "\u10ff"


def _abbreviates(before: str, lang: str) -> bool:
    """Whether the full stop behind `before` belongs to its last word: an initial, an ordinal, an abbreviation."""
    found = _WORD.search(before)
    word = found.group() if found else ""
    if word.isdigit():
        return len(word) <= 2 and (lang in _ORDINAL or not before.removesuffix(word).strip())
    letters = word.replace("\u0301", "").casefold()
    last = re.split(r"[.-]", letters)[-1]
    if len(last) == 1 and last.isalpha():
        return True
    return letters in ABBREVIATIONS.get(lang, ()) or letters in ABBREVIATIONS["en"]
