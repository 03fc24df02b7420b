"""The paper's own figures, for the column a report sets beside ours. Reads the packaged table; computes nothing.

They are as printed: percent, two decimals, on the corpus, split and with the scorer that each one names. They stand
beside a run only where all three are the run's too; everywhere else a sentence says why they do not.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

# How a dataset may be called by its user -> the paper's corpus. MultiCoNER-2 and -3 are other corpora.
_CORPORA = {
    r"wikiann|panx": "WikiANN",
    r"multiconer1?(?!\d)": "MultiCoNER-1",
    r"conll(2002|2003)?(?!\d)": "CoNLL",
}
_SPLITS = {"test": "test", "dev": "dev", "valid": "dev", "validation": "dev", "train": "train"}
SCORER = "official"
"""The scorer of the paper: the released one, which `metrics.f1.official` repeats."""
_WHOLE = 0.99  # of a split: a few records of it may be refused or stand in it twice


@dataclass(frozen=True, slots=True)
class Published:
    """One cell of a table of the paper."""

    table: str
    system: str
    corpus: str
    #: None where the paper does not name it.
    split: str | None
    scorer: str
    #: "avg" in a column of means.
    lang: str
    #: In [0, 100], as BLEU.
    f1: float
    bleu: float | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """What of the paper stands beside a figure; `why_not` is empty where something does."""

    cells: tuple[Published, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Time:
    """A row of Table 15: seconds on the paper's machine, which it does not name."""

    table: str
    system: str
    seconds_per_sentence: float
    seconds_per_token: float


def beside(dataset: str, lang: str, documents: int) -> Beside:
    """The cells of the same corpus, split and language, in the order of the tables; else the reason why there are none.

    Names are read loosely: "wikiann/ko test", "PAN-X.ko.test", "wikiann-test". `documents` is how many were scored
    with gold: a part of a split is not the split.
    """
    corpus = next((name for pattern, name in _CORPORA.items() if re.match(pattern, _squeezed(dataset))), None)
    of_corpus = [cell for cell in cells() if cell.corpus == corpus]
    found = tuple(cell for cell in of_corpus if cell.lang == lang)
    if not found:
        what = f"{corpus} in the language {lang}" if corpus else f"the data set {dataset or '(no name)'}"
        return Beside(why_not=f"the paper has no figures of {what}")
    why_not = _other_split(found[0], dataset, lang, documents)
    return Beside(why_not=why_not) if why_not else Beside(found)


def _other_split(cell: Published, dataset: str, lang: str, documents: int) -> str:
    if cell.split != "test":
        there = f"of a {cell.split} that was not published" if cell.split else "of a split that it does not name"
        return f"the paper's figures of {cell.corpus} are {there}"
    split = next((_SPLITS[word] for word in re.findall(r"[a-z]+", dataset.casefold()) if word in _SPLITS), None)
    if split is None:
        name = f"{dataset}/test"
        return f"the data set's name does not say its split, the paper's is test; if it is test: --dataset {name}"
    if split != "test":
        return f"the paper's figures are of the test split, these of {split}"
    sentences: int = _table()["sentences"][f"{cell.corpus} test"][lang]
    if documents < _WHOLE * sentences:
        return f"{documents:,} of the split's {sentences:,} sentences were scored"
    return ""


def _squeezed(dataset: str) -> str:
    return re.sub(r"[\W_]", "", dataset.casefold())


@cache
def _table() -> dict[str, Any]:
    text = files("eat_worker.metrics").joinpath("published.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def cells() -> tuple[Published, ...]:
    """Every cell of Tables 4 to 8 and 10 to 14, in their order."""
    whole = _table()
    return tuple(
        Published(table["table"], row["system"], table["corpus"], table["split"], whole["scorer"], lang, f1, bleu)
        for table in whole["tables"]
        for row in table["rows"]
        for lang, f1, bleu in zip(table["langs"], row["f1"], row.get("bleu", [None] * len(row["f1"])), strict=True)
        if f1 is not None
    )


def times() -> tuple[Time, ...]:
    """Table 15."""
    table = _table()["times"]
    return tuple(Time(table["table"], **row) for row in table["rows"])
