"""How each dataset's tags are named here: PER, LOC and ORG. A tag without counterpart maps to None and is left out.

Facts about datasets; knows no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TagMap = Mapping[str, str | None]

_PLAIN: dict[str, str | None] = {"PER": "PER", "LOC": "LOC", "ORG": "ORG"}

DEFAULT: TagMap = MappingProxyType({**_PLAIN, "PERSON": "PER", "LOCATION": "LOC", "ORGANIZATION": "ORG"})
"""For a dataset that is not listed."""

KNOWN: Mapping[str, TagMap] = MappingProxyType(
    {
        "wikiann": _PLAIN,
        "aqmar": {**_PLAIN, "MISC": None},
        "hiner": {"PERSON": "PER", "LOCATION": "LOC", "ORGANIZATION": "ORG"},
        "pioner": _PLAIN,
        "multiconer1": {"PER": "PER", "LOC": "LOC", "CORP": "ORG", "GRP": "ORG", "PROD": None, "CW": None},
        "klue": {"PS": "PER", "LC": "LOC", "OG": "ORG", "DT": None, "TI": None, "QT": None},
        "stockmark": {**_PLAIN, "FAC": None, "PROD": None, "EVENT": None},
        # GPE: countries and towns. Its facilities, languages, events and so on have no counterpart.
        "ud_japanese_gsd": {"PERSON": "PER", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC"},
        "uner_gsdsimp": _PLAIN,
        "uner_pud": _PLAIN,
        "uner_ewt": _PLAIN,
        "eacl_silver": _PLAIN,
    }
)
"""Per dataset, the tags of its files."""

# Files that have been mapped already (ours among them) use the plain tags whatever the dataset's own were.
_EFFECTIVE: Mapping[str, TagMap] = MappingProxyType({name: {**DEFAULT, **tags} for name, tags in KNOWN.items()})


def tag_map(dataset: str | None) -> TagMap:
    """The map for a dataset's tags; the plain tags are always understood. A tag missing from it counts as None."""
    return _EFFECTIVE.get(dataset or "", DEFAULT)
