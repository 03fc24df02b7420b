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

from eat_worker.errors import BrokerUnavailable
from eat_worker.jobs.advance import Advancer
from eat_worker.jobs.app import open_app
from eat_worker.jobs.broker import Broker
from eat_worker.jobs.dispatcher import Dispatcher
from eat_worker.jobs.publisher import HintPublisher
from eat_worker.jobs.stopping import Stop
from eat_worker.jobs.tasks import register
from eat_worker.storage.store import Store

QUIET = ("celery.app.trace", "celery.worker.strategy")  # two lines per message that say nothing about documents


def consume(
    broker: Broker, store: Store, advancer: Advancer, stop: Stop, *, worker: str, window: int, concurrency: int
) -> None:
    """Serve the advancer's queues with `concurrency` threads until `stop`.

    Raises BrokerUnavailable when Celery gives up by itself.
    """
    app = open_app(broker.url)
    register(app, advancer.take)
    publisher = HintPublisher(app)
    dispatcher = Dispatcher(store, publisher, queues=advancer.queues, window=window, revive=broker.revive)
    advancer.hand_on = dispatcher.nudge
    with dispatcher:
        _run_celery(app, sorted(advancer.queues), concurrency, f"eat@{worker}", stop)
    publisher.close()


def _run_celery(app: Celery, queues: list[str], concurrency: int, node: str, stop: Stop) -> None:
    """Celery's worker in the main thread, with threads as its pool: an engine must never be forked.

    Returns when every task under way has returned.
    """
    for noisy in QUIET:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    setup_worker_optimizations(app, node)
    state.should_stop = None
    controller = app.WorkController(
        hostname=node,
        pool_cls="threads",
        concurrency=concurrency,
        queues=queues,
        without_mingle=True,
        without_gossip=True,
    )
    Thread(target=_stop_celery_after, args=(stop,), name="eat-celery-stop", daemon=True).start()
    controller.start()
    if not stop.event.is_set():
        raise BrokerUnavailable("Celery's worker ended by itself; the log above says why")


def _stop_celery_after(stop: Stop) -> None:
    stop.event.wait()
    state.should_stop = os.EX_OK  # what Celery's own handler of SIGTERM does; its loop looks at it every second
