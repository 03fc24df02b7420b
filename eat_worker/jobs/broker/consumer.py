"""Celery's worker inside this process, with the dispatcher beside it, until the process is asked to stop.

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
from eat_worker.jobs.broker.dispatcher import Dispatcher
from eat_worker.jobs.broker.messages import HintPublisher, register
from eat_worker.jobs.broker.signing import Signer
from eat_worker.jobs.document.advance import Advancer
from eat_worker.jobs.shutdown import Stop
from eat_worker.retry import Backoff
from eat_worker.storage.store import Store

log = logging.getLogger(__name__)

QUIET = ("celery.app.trace", "celery.worker.strategy")  # two lines per message that say nothing about documents
RESTART = Backoff(0.5, 30.0)


def consume(
    broker: Broker,
    store: Store,
    advancer: Advancer,
    stop: Stop,
    *,
    worker: str,
    window: int,
    concurrency: int,
    signer: Signer,
) -> None:
    """Serve the advancer's queues with `concurrency` threads until `stop`.

    Celery's worker is started again when it ends by itself: closing a connection that broke at the wrong moment ends
    it, and the engine, loaded for minutes, must not go with it.
    """
    publisher = HintPublisher(open_app(broker.url), signer)
    dispatcher = Dispatcher(store, publisher, queues=advancer.queues, window=window, revive=broker.revive)
    advancer.hand_on = dispatcher.nudge
    for noisy in QUIET:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    Thread(target=_stop_celery_after, args=(stop,), name="eat-celery-stop", daemon=True).start()
    failures = 0
    with dispatcher:
        while _run_celery(broker.url, advancer, stop, signer, concurrency=concurrency, node=f"eat@{worker}"):
            failures += 1
            pause = RESTART.pause(failures)
            log.warning("Celery's worker ended by itself; starting it again in %.1f s", pause)
            stop.event.wait(pause)
            _revive(broker)
    publisher.close()


def _run_celery(url: str, advancer: Advancer, stop: Stop, signer: Signer, *, concurrency: int, node: str) -> bool:
    """Celery's worker in the main thread, with threads as its pool: an engine must never be forked.

    Returns when every task under way has returned; True when it ended without being asked to.
    """
    state.reset_state()
    state.should_stop = state.should_terminate = None
    if stop.event.is_set():  # asked after the state was cleared, or before: both are seen here
        return False
    set_event_loop(None)  # the last one's is closed
    app = open_app(url)
    register(app, advancer.take, signer, advancer.observer.message_refused)
    setup_worker_optimizations(app, node)
    _controller(app, sorted(advancer.queues), concurrency, node).start()
    return not stop.event.is_set()


def _controller(app: Celery, queues: list[str], concurrency: int, node: str) -> Celery.WorkController:
    return app.WorkController(
        hostname=node,
        pool_cls="threads",
        concurrency=concurrency,
        queues=queues,
        without_mingle=True,
        without_gossip=True,
    )


def _stop_celery_after(stop: Stop) -> None:
    stop.event.wait()
    state.should_stop = os.EX_OK  # what Celery's own handler of SIGTERM does; its loop looks at it every second


def _revive(broker: Broker) -> None:
    try:
        broker.revive()
    except EatError as error:
        log.warning("%s", error)
