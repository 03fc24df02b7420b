"""What can be remarked on an answer by reading it: empty, in circles, a refusal, the wrong script.

A flag stops nothing; it is stored with the round and counted, so that nothing odd passes in silence. Knows texts and
scripts; knows no model.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

EMPTY = "empty"
LOOP = "loop"
DECLINED = "refusal"
UNTRANSLATED = "untranslated"
WRONG_SCRIPT = "wrong_script"

_LONGEST_GRAM = 8  # words
_TURNS = 8  # so often in a row is a loop
_FOREIGN_SHARE = 0.3  # of the letters; a name or two in its own script stays below
_REFUSALS = re.compile(
    r"\s*(?:i(?:'|’)?m sorry|sorry[,.]|i apologi[sz]e|i (?:can(?:'|’|no)t|am not able to|am unable to|won(?:'|’)t)|"
    r"as an ai\b|please provide|could you (?:please )?provide|sure[,!.] please|unfortunately,? i)",
    re.IGNORECASE,
)


def loop_start(text: str) -> int | None:
    """Where the text's end begins to go in circles: the offset behind the first of at least eight equal turns.

    A turn is one to eight words, or as many characters where the words are not spaced. None where it does not.
    """
    units = [match.span() for match in re.finditer(r"\S+", text)]
    if len(units) < _TURNS:
        units = [(at, at + 1) for at in range(len(text))]
    turns = [text[begin:end] for begin, end in units]
    for gram in range(1, _LONGEST_GRAM + 1):
        first = len(turns) - gram
        while first >= gram and turns[first - gram : first] == turns[first : first + gram]:
            first -= gram
        if (len(turns) - first) // gram >= _TURNS and any(map(str.isalnum, "".join(turns[first : first + gram]))):
            return units[first + gram - 1][1]
    return None


def scripts_of(text: str) -> Counter[str]:
    """How many letters of each script the text has, by the first word of their Unicode names: LATIN, HANGUL, CJK."""
    return Counter(
        _kin(unicodedata.name(char, "?").partition(" ")[0].partition("-")[0]) for char in text if char.isalpha()
    )


def _kin(script: str) -> str:
    """One name for scripts that one language mixes within a word."""
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "HALFWIDTH", "IDEOGRAPHIC") else script


def flags_of(answer: str) -> tuple[str, ...]:
    """What is odd about an answer whatever was asked: empty, loop, refusal."""
    if answer.strip() in ("", "None"):
        return (EMPTY,)
    found = [LOOP] if loop_start(answer) is not None else []
    return (*found, *((DECLINED,) if _REFUSALS.match(answer) else ()))


def translation_flags(english: str) -> tuple[str, ...]:
    """`untranslated` where over three in ten letters of an English sentence are not Latin (paper, section 3.1)."""
    letters = scripts_of(english)
    foreign = letters.total() - letters["LATIN"]
    return (UNTRANSLATED,) if foreign > _FOREIGN_SHARE * letters.total() else ()


def alignment_flags(answer: str, text: str) -> tuple[str, ...]:
    """`wrong_script` where an answer about words of the text has letters, and none of a script of the text."""
    scripts = scripts_of(answer)
    return (WRONG_SCRIPT,) if scripts and not scripts.keys() & scripts_of(text).keys() else ()
