"""The one Celery task: a message comes in, the document it names goes forward.

Knows Celery's registration. Knows neither what a stage does nor where documents are stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from celery import Celery

from eat_worker.jobs.publisher import TASK, from_arguments
from eat_worker.storage.values import Hint

log = logging.getLogger(__name__)


def register(app: Celery, take: Callable[[Hint], None]) -> None:
    """Make `app` hand every hint to `take`. A message that is no hint is dropped with a warning."""

    @app.task(name=TASK, shared=False, lazy=False)
    def advance(document_id: int, stage: str, attempt: int) -> None:
        try:
            hint = from_arguments(document_id, stage, attempt)
        except (TypeError, ValueError):
            log.warning("a message that is no hint was dropped")
            return
        take(hint)
