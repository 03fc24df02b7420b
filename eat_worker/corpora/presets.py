"""Facts about published data sets: which number stands for which tag in their records of `datasets`.

The map from these tags to ours is in `tagmaps.py` under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _bio(*types: str) -> tuple[str, ...]:
    return ("O", *(f"{prefix}-{name}" for name in types for prefix in "BI"))


LABELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "wikiann": _bio("PER", "ORG", "LOC"),
        "conll2002": _bio("PER", "ORG", "LOC", "MISC"),
        "conll2003": _bio("PER", "ORG", "LOC", "MISC"),
        "klue": (*_bio("DT", "LC", "OG", "PS", "QT", "TI")[1:], "O"),
        "masakhaner": _bio("PER", "ORG", "LOC", "DATE"),
    }
)
"""The tag of each number, by data set."""


def label_names(dataset: str | None) -> tuple[str, ...]:
    """The tags of a data set by their numbers; empty where it is not known."""
    return LABELS.get(dataset or "", ())
