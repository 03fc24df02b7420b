"""The paper's own figures, for the column a report sets beside ours. Reads the packaged table; computes nothing.

They are as printed: percent, two decimals, on the corpus and with the scorer that each one names.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

# How a dataset may be called by its user -> how the paper's corpus begins. MultiCoNER-2 and -3 are other corpora.
_CORPORA = {
    r"wikiann|panx": "WikiANN",
    r"multiconer1?(?!\d)": "MultiCoNER-1",
    r"conll(2002|2003)?(?!\d)": "CoNLL",
}


@dataclass(frozen=True, slots=True)
class Published:
    """One cell of a table of the paper."""

    table: str
    system: str
    corpus: str
    scorer: str
    #: "avg" in a column of means.
    lang: str
    #: In [0, 100], as BLEU.
    f1: float
    bleu: float | None = None


def published(dataset: str | None, lang: str) -> list[Published]:
    """What the paper prints for a language on that dataset, in the order of its tables; empty where it prints nothing.

    None as the dataset gives every corpus. Names are read loosely: "wikiann/ko test", "PAN-X.ko", "multiconer1".
    """
    return [cell for cell in _cells() if cell.lang == lang and (dataset is None or _is(dataset, cell.corpus))]


def _is(dataset: str, corpus: str) -> bool:
    name = re.sub(r"[\W_]", "", dataset.casefold())
    return any(re.match(pattern, name) and corpus.startswith(begin) for pattern, begin in _CORPORA.items())


def _table() -> dict[str, Any]:
    text = files("eat_worker.metrics").joinpath("published.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def _cells() -> tuple[Published, ...]:
    whole = _table()
    return tuple(
        Published(table["table"], row["system"], table["corpus"], whole["scorer"], lang, f1, bleu)
        for table in whole["tables"]
        for row in table["rows"]
        for lang, f1, bleu in zip(table["langs"], row["f1"], row.get("bleu", [None] * len(row["f1"])), strict=True)
        if f1 is not None
    )
