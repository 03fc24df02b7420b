"""The one Celery task: a message comes in, the document it names goes forward.

Knows Celery's registration. Knows neither what a stage does nor where documents are stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from celery import Celery

from eat_worker.jobs.publisher import TASK, from_arguments
from eat_worker.jobs.signing import Signer
from eat_worker.storage.values import Hint

log = logging.getLogger(__name__)
NO_HINT, NOT_SIGNED = "no_hint", "not_signed"


def register(
    app: Celery,
    take: Callable[[Hint], None],
    signer: Signer | None = None,
    refused: Callable[[str], None] = lambda _: None,
) -> None:
    """Make `app` hand every hint to `take`. A message that is no hint, or not signed as `signer` does, is dropped.

    `refused` hears why: `no_hint` or `not_signed`.
    """
    signer = signer or Signer()

    @app.task(name=TASK, shared=False, lazy=False)
    def advance(document_id: int, stage: str, attempt: int, signature: str = "") -> None:
        try:
            hint = from_arguments(document_id, stage, attempt)
        except (TypeError, ValueError):
            log.warning("a message that is not a hint was dropped")
            refused(NO_HINT)
            return
        if not signer.accepts([document_id, stage, attempt], signature):
            log.warning("a message that is not signed with our key was dropped; do all workers have the same key?")
            refused(NOT_SIGNED)
            return
        take(hint)
