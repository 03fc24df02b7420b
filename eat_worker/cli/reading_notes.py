"""Nothing silent: what a reader refused, left out, repaired or guessed, one line on stderr each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from eat_worker.cli.call import Call

_MOST_TAGS = 12


class Read(Protocol):
    """What a reading of a corpus came to."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Refused records by code."""

    @property
    def quarantine(self) -> str | None:
        """Where they are."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Gold entities left out, by their tag in the file."""

    @property
    def repaired(self) -> int:
        """Entities that began without B-."""

    @property
    def notes(self) -> Mapping[str, int]:
        """What was guessed, changed or repaired."""


def tell_reading(call: Call, done: Read) -> None:
    """Say it all; a file that was as it should be says nothing."""
    if done.rejected:
        reasons = ", ".join(f"{count} {code}" for code, count in sorted(done.rejected.items()))
        call.tell(f"{sum(done.rejected.values())} records refused ({reasons}); they are in {done.quarantine}")
    tell_notes(call, done.notes, done.repaired, done.dropped)


def tell_notes(call: Call, notes: Mapping[str, int], repaired: int, dropped: Mapping[str, int]) -> None:
    """What was guessed, changed, repaired and left out."""
    for said, count in notes.items():
        call.tell(f"note: {said}" if count == 1 else f"note: {said} ({count})")
    if repaired:
        call.tell(f"note: {repaired} gold entities began without B- and were taken as they are; see --strict-bio")
    if dropped:
        _tell_dropped(call, dropped)


def _tell_dropped(call: Call, dropped: Mapping[str, int]) -> None:
    from eat_worker.corpora.tagmaps import suggestion

    most = sorted(dropped, key=lambda tag: -dropped[tag])[:_MOST_TAGS]
    counts = ", ".join(f"{tag} {dropped[tag]}" for tag in most) + (", ..." if len(dropped) > _MOST_TAGS else "")
    call.tell(
        f"WARNING: {sum(dropped.values())} gold entities left out, because no map knows their tags: {counts}; "
        f"to keep them: --tag-map FILE with {suggestion(most)}"
    )
