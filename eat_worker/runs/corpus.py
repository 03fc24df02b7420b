"""How a user says that a corpus file is to be read, and `eat validate`: the same reading without a queue behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, cast

from eat_worker.corpora.offsets import Unit
from eat_worker.corpora.quarantine import Quarantine
from eat_worker.corpora.readers import Format
from eat_worker.corpora.reading import How, read_documents
from eat_worker.corpora.records import Rejected
from eat_worker.corpora.tagmaps import chosen_tag_map
from eat_worker.errors import ConfigurationError, CorpusError
from eat_worker.settings import Settings

FIRST_REFUSED = 20
"""Refused records that `validate` names one by one."""


class Corpus(TypedDict, total=False):
    """The options of a corpus file, see `corpora.reading.How`."""

    lang: str | None
    dataset: str | None
    format: Format | None
    encoding: str | None
    offsets: Unit | None
    split: bool
    limit: int | None
    #: The map of gold tags by its name, see `chosen_tag_map`.
    tag_map: str | None
    strict_bio: bool
    #: Set refused records aside, or store nothing where there is one.
    on_error: Literal["skip", "fail"]


def resolved(corpus: Corpus) -> tuple[str, How]:
    """What to do with refused records, and how the file is read. Raises ConfigurationError on an unknown tag map."""
    rest: dict[str, Any] = {name: value for name, value in corpus.items() if name not in ("tag_map", "on_error")}
    word = corpus.get("tag_map")
    return corpus.get("on_error", "skip"), cast("How", {**rest, "tag_map": chosen_tag_map(word) if word else None})


def demand_clean(path: Path, how: How) -> None:
    """Raises CorpusError with the first refused record. The file is read once more for that: nothing is stored yet."""
    if str(path) == "-":
        raise ConfigurationError("--on-error fail reads the file twice, and standard input can be read once")
    with read_documents(path, **how) as reading:
        for record in reading:
            if isinstance(record, Rejected):
                raise CorpusError(f"{record.where}: {record.code}: {record.message}; nothing was stored")


@dataclass(frozen=True, slots=True)
class Validated:
    """What reading a file found. The three sums of bytes together are the file, unpacked and in UTF-8."""

    file: str
    documents: int
    #: Refused records by code, and the first of them: {"where", "code", "message"}.
    rejected: Mapping[str, int]
    first_rejected: tuple[Mapping[str, str], ...]
    #: Holds them; None without any.
    quarantine: str | None
    #: Gold entities by tag, and those left out by their tag in the file.
    entities: Mapping[str, int]
    dropped: Mapping[str, int]
    repaired: int
    notes: Mapping[str, int]
    document_bytes: int
    rejected_bytes: int
    #: Blank lines, comments, headers, what stands between records.
    other_bytes: int

    def to_json(self) -> dict[str, Any]:
        """As documented for `eat validate --json`."""
        return asdict(self)


def validate(settings: Settings, path: Path, **corpus: Unpack[Corpus]) -> Validated:
    """Read a corpus as a submit would, and store nothing but the refused records. Raises CorpusError as `submit`."""
    entities: dict[str, int] = {}
    refused: list[dict[str, str]] = []
    stem = "stdin" if str(path) == "-" else path.name.lstrip(".") or "corpus"
    with (
        read_documents(path, **resolved(corpus)[1]) as reading,
        Quarantine(settings.state / "quarantine", f"{stem[:60]}.validated") as quarantine,
    ):
        for record in reading:
            if isinstance(record, Rejected):
                quarantine.add(record)
                if len(refused) < FIRST_REFUSED:
                    refused.append({"where": record.where, "code": record.code, "message": record.message})
                continue
            for entity in record.gold or ():
                entities[entity.tag] = entities.get(entity.tag, 0) + 1
    tally = reading.tally
    return Validated(
        file=str(path),
        documents=tally.documents,
        rejected=dict(tally.rejected),
        first_rejected=tuple(refused),
        quarantine=str(quarantine.path) if quarantine.path else None,
        entities=entities,
        dropped=dict(tally.dropped),
        repaired=tally.repaired,
        notes=dict(tally.notes),
        document_bytes=tally.document_bytes,
        rejected_bytes=tally.rejected_bytes,
        other_bytes=tally.other_bytes,
    )
