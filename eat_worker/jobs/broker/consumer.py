"""Celery's worker inside this process, until the process is asked to stop.

Knows Celery's worker and its state. Knows neither engine nor database.
"""

from __future__ import annotations

import logging
import os
from threading import Thread

from celery import Celery
from celery.app.trace import setup_worker_optimizations
from celery.worker import state
from kombu.asynchronous import set_event_loop

from eat_worker.errors import EatError
from eat_worker.jobs.broker.app import open_app
from eat_worker.jobs.broker.connection import Broker
from eat_worker.jobs.broker.messages import register
from eat_worker.jobs.broker.signing import Signer
from eat_worker.jobs.document.advance import Advancer
from eat_worker.jobs.shutdown import Shutdown
from eat_worker.retry import Backoff

log = logging.getLogger(__name__)

QUIET = ("celery.app.trace", "celery.worker.strategy")  # two lines per message that say nothing about documents
RESTART = Backoff(0.5, 30.0)


def consume(
    broker: Broker, advancer: Advancer, shutdown: Shutdown, signer: Signer, *, worker: str, concurrency: int
) -> None:
    """Serve the advancer's queues with `concurrency` threads until `shutdown`.

    Celery's worker is started again when it ends by itself: closing a connection that broke at the wrong moment ends
    it, and the engine, loaded for minutes, must not go with it.
    """
    for noisy in QUIET:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    Thread(target=_stop_celery_after, args=(shutdown,), name="eat-celery-stop", daemon=True).start()
    failures = 0
    while _run_celery(broker.url, advancer, shutdown, signer, concurrency=concurrency, node=f"eat@{worker}"):
        failures += 1
        pause = RESTART.pause(failures)
        log.warning("Celery's worker ended by itself; starting it again in %.1f s", pause)
        shutdown.event.wait(pause)
        _revive(broker)


def _run_celery(
    url: str, advancer: Advancer, shutdown: Shutdown, signer: Signer, *, concurrency: int, node: str
) -> bool:
    """Celery's worker in the main thread, with threads as its pool: an engine must never be forked.

    Returns when every task under way has returned; True when it ended without being asked to.
    """
    state.reset_state()
    state.should_stop = state.should_terminate = None
    if shutdown.event.is_set():  # asked after the state was cleared, or before: both are seen here
        return False
    set_event_loop(None)  # the last one's is closed
    app = open_app(url)
    register(app, advancer.take, signer, advancer.metrics.message_refused)
    setup_worker_optimizations(app, node)
    _controller(app, sorted(advancer.queues), concurrency, node).start()
    return not shutdown.event.is_set()


def _controller(app: Celery, queues: list[str], concurrency: int, node: str) -> Celery.WorkController:
    return app.WorkController(
        hostname=node,
        pool_cls="threads",
        concurrency=concurrency,
        queues=queues,
        without_mingle=True,
        without_gossip=True,
    )


def _stop_celery_after(shutdown: Shutdown) -> None:
    shutdown.event.wait()
    state.should_stop = os.EX_OK  # what Celery's own handler of SIGTERM does; its loop looks at it every second


def _revive(broker: Broker) -> None:
    try:
        broker.revive()
    except EatError as error:
        log.warning("%s", error)
