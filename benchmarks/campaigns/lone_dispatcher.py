"""A program: a dispatcher of its own, beside those that live in workers. Settings come from EAT_ variables, as theirs.

python lone_dispatcher.py
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Publish hints until killed."""
    from eat_worker import log
    from eat_worker.engines.identity import served_queues
    from eat_worker.jobs.broker.app import open_app
    from eat_worker.jobs.broker.connection import broker_url
    from eat_worker.jobs.broker.dispatcher import Dispatcher
    from eat_worker.jobs.broker.messages import HintPublisher
    from eat_worker.settings import load_settings
    from eat_worker.storage.store import open_store

    settings = load_settings({}, directory=Path.cwd(), environ=os.environ)
    log.configure(level="info", format_="json")
    publisher = HintPublisher(open_app(broker_url(settings)))
    with (
        open_store(settings.database) as store,
        Dispatcher(store, publisher, queues=served_queues(settings), window=settings.window),
    ):
        signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    sys.path.pop(0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main()
