"""Everything stored about one document, found by the database's id or by the corpus's own."""

from __future__ import annotations

from eat_worker.settings import Settings
from eat_worker.storage.store import open_store
from eat_worker.storage.values import Dossier


def show(settings: Settings, document: str, *, run: str | None = None) -> Dossier:
    """The dossier of a document.

    Raises NotFound when there is none, or when several have that external id: then a run must be named.
    """
    with open_store(settings.database) as store:
        return store.dossier(document, run=run)
