"""Everything stored about one document, found by the database's id or by the corpus's own."""

from __future__ import annotations

from eat_worker.runs.opening import open_existing
from eat_worker.settings import Settings
from eat_worker.storage.reading import NAMESAKES
from eat_worker.storage.values import Dossier


def show(settings: Settings, document: str, *, run: str | None = None) -> Dossier:
    """The dossier of a document, the newest where several have that external id. Raises NotFound when none has."""
    with open_existing(settings) as store:
        return store.reading.dossier(document, run=run)


def ambiguity(settings: Settings, document: str, *, run: str | None = None) -> str:
    """Which documents have that external id, as a sentence; "" when one has it or none. Raises NotFound (the run)."""
    with open_existing(settings) as store:
        found = store.reading.namesakes(document, run=run)
    if len(found) < 2:
        return ""
    listed = ", ".join(f"{number} (run {name})" for number, name in found[:NAMESAKES])
    count, more = (f"more than {NAMESAKES}", ", ...") if len(found) > NAMESAKES else (str(len(found)), "")
    return f"{count} documents have the id {document!r}: {listed}{more}"
