"""How each dataset's tags are named here: PER, LOC and ORG. A tag without counterpart maps to None and is left out.

Facts about datasets, and maps of a user's own. Knows no corpus file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from eat_worker.errors import ConfigurationError
from eat_worker.method.document import TAGS

TagMap = Mapping[str, str | None]

_PLAIN: TagMap = {tag: tag for tag in TAGS}

_MULTICONER: TagMap = {
    "PER": "PER", "LOC": "LOC", "CORP": "ORG", "GRP": "ORG", "PROD": None, "CW": None
}  # fmt: skip
_MULTICONER2: TagMap = (
    dict.fromkeys(("Scientist", "Artist", "Athlete", "Politician", "Cleric", "SportsManager", "OtherPER"), "PER")
    | dict.fromkeys(("Facility", "OtherLOC", "HumanSettlement", "Station"), "LOC")
    | dict.fromkeys(("MusicalGRP", "PublicCorp", "PrivateCorp", "OtherCorp", "AerospaceManufacturer"), "ORG")
    | dict.fromkeys(("SportsGRP", "CarManufacturer", "TechCorp", "ORG"), "ORG")
)

DEFAULT: TagMap = MappingProxyType({**_PLAIN, "PERSON": "PER", "LOCATION": "LOC", "ORGANIZATION": "ORG"})
"""For a dataset that is not listed."""

COMMON: TagMap = MappingProxyType(
    dict.fromkeys(("PER", "PERS", "PERSON", "PEOPLE", "PS", "NAME", "NR", "人名"), "PER")
    | dict.fromkeys(("LOC", "LOCATION", "GPE", "PLACE", "LC", "NS", "CITY", "COUNTRY", "地名"), "LOC")
    | dict.fromkeys(("ORG", "ORGANIZATION", "ORGANISATION", "COMPANY", "CORP", "CORPORATION", "OG", "NT"), "ORG")
    | dict.fromkeys(("GRP", "GROUP", "INSTITUTION", "法人名", "政治的組織名", "その他の組織名"), "ORG")
)
"""What tags are called in data sets, in capitals; taken where no map knows the tag, and told."""

KNOWN: Mapping[str, TagMap] = MappingProxyType(
    {
        "wikiann": _PLAIN,
        "aqmar": {**_PLAIN, "MISC": None},
        "hiner": {"PERSON": "PER", "LOCATION": "LOC", "ORGANIZATION": "ORG"},
        "pioner": _PLAIN,
        "conll2002": {**_PLAIN, "MISC": None},
        "conll2003": {**_PLAIN, "MISC": None},
        "multiconer1": _MULTICONER,
        "multiconer": _MULTICONER,
        "multiconer2": _MULTICONER2,
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


def tag_here(tags: TagMap, name: str) -> tuple[str | None, bool]:
    """What the tag of a file is called here, None without counterpart; and whether that is a guess by its name.

    A tag that the map does not have is looked up in any case and without the level of a name (PER.NAM); nominal
    mentions (PER.NOM) are no names.
    """
    if name in tags:
        return tags[name], False
    plain, _, level = name.upper().partition(".")
    if level not in ("", "NAM"):
        return None, False
    tag = _in_capitals(tags, plain)
    if tag is None and plain not in map(str.upper, tags):
        tag = COMMON.get(plain)
    return tag, tag is not None


def _in_capitals(tags: TagMap, name: str) -> str | None:
    return next((tag for known, tag in tags.items() if known.upper() == name), None)


def suggestion(dropped: Iterable[str]) -> str:
    """The --tag-map that would keep these tags, to be filled in by the user."""
    return json.dumps(dict.fromkeys(dropped, "PER, LOC, ORG or null"), ensure_ascii=False)


def chosen_tag_map(word: str) -> TagMap:
    """The map that `--tag-map` names: a dataset of KNOWN, or a JSON file {tag: PER, LOC, ORG or null}.

    The plain tags are understood here too, unless the file says otherwise. Raises ConfigurationError.
    """
    return tag_map(word) if word in KNOWN else MappingProxyType({**DEFAULT, **_read(Path(word))})


def _read(path: Path) -> dict[str, str | None]:
    try:
        tags = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ConfigurationError(f"tag_map: {path} is neither a file nor one of {', '.join(sorted(KNOWN))}") from None
    except OSError as error:
        raise ConfigurationError(f"tag_map: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"tag_map: {path} is not JSON: {error}") from error
    if not isinstance(tags, dict):
        raise ConfigurationError(f'tag_map: {path} is not an object of tags; write {{"PERSON": "PER", ...}}')
    for name, tag in tags.items():
        if tag is not None and tag not in TAGS:
            raise ConfigurationError(
                f"tag_map: {path}: {name!r} is {tag!r}, which is not one of {', '.join(TAGS)} or null"
            )
    return tags
