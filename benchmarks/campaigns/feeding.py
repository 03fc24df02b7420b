"""Keeps a run from ending while faults are still to come: what strikes an idle worker proves nothing.

Knows how many documents are left. Knows no fault.
"""

from __future__ import annotations

from campaigns import audit
from campaigns.run_site import Site
from eat_worker.storage.store import Store

LEFT = 24  # more than all workers have in hand, and few: they are what a campaign has to wait for at its end
ROOM = 20_000  # sentences that the script knows beyond the first; they cost a worker's start some milliseconds


class Feed:
    """Called again and again, adds documents when few are left. `database_url` is where, if not where workers go."""

    def __init__(self, site: Site, store: Store, database_url: str = "") -> None:
        self.store = store
        self._site, self._database_url = site, database_url

    def __call__(self) -> None:
        """Submit more if there are fewer than LEFT; nothing while the database is away."""
        statuses = audit.statuses(self.store)
        if statuses and statuses.get("queued", 0) + statuses.get("running", 0) < LEFT:
            self._site.add(LEFT, self._database_url)
