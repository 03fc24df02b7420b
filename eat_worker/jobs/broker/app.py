"""The Celery application: how messages are sent, received and acknowledged. Built from a URL, connected by its users.

Knows Celery's settings and why each has its value, and gives its Redis transport an end to every wait. Knows no
document, engine or database.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.utils.objects import cached_property

# A hint that is not acknowledged comes back after this many seconds. Redis takes the shortest value of all programs on
# one server and redelivers what still runs, so it lies far above any stage; a dead worker is noticed by its lease.
VISIBILITY_SECONDS = 3600
CONTENT = ["json"]
ANSWER_SECONDS = 5.0


def open_app(url: str) -> Celery:
    """An application for the broker at `url` (redis, rediss, redis+socket, amqp, amqps); connects to nothing."""
    _use_redis_transport()
    app = Celery("eat_worker", broker=url, set_as_current=False)
    app.conf.update(configuration(url))
    return app


def configuration(url: str) -> dict[str, Any]:
    """Celery's settings for a broker URL. Messages are hints, so nothing here needs to be exactly-once."""
    amqp = url.startswith("amqp")
    return {
        # JSON only: whoever can write to the broker must not be able to run code here.
        "accept_content": CONTENT,
        "result_accept_content": CONTENT,
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        # Acknowledged when the document is written: a worker that dies leaves the hint to another one.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Results live in the database.
        "task_ignore_result": True,
        "result_backend": None,
        "task_publish_retry": False,  # the dispatcher sends again, after it has asked the database
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {"confirm_publish": True} if amqp else _redis_options(),
        "result_backend_transport_options": {"visibility_timeout": VISIBILITY_SECONDS},
        "visibility_timeout": VISIBILITY_SECONDS,
        "task_default_queue_type": "quorum" if amqp else "classic",
        "task_create_missing_queue_type": "quorum" if amqp else "classic",
        # Celery exporters and `celery events` work beside ours.
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "worker_enable_remote_control": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }


def _redis_options() -> dict[str, Any]:
    return {
        "visibility_timeout": VISIBILITY_SECONDS,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "health_check_interval": 10,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
    }


class Channel(redis.Channel):
    """kombu's channel. What is not whole within `ANSWER_SECONDS` is a lost connection.

    redis-py waits for ever for the rest of a message on a publish/subscribe connection, whatever `socket_timeout` says,
    and Celery reads it in the thread that fetches all messages: a message that breaks off silences the worker.
    """

    @cached_property
    def subclient(self) -> Any:
        """The publish/subscribe connection, which carries remote control and events."""
        pubsub = self._create_client(asynchronous=True).pubsub()  # type: ignore[no-untyped-call]  # kombu's own
        pubsub.parse_response = partial(pubsub.parse_response, block=False, timeout=ANSWER_SECONDS)
        return pubsub


class Transport(redis.Transport):
    """kombu's transport with these channels."""

    Channel = Channel


def _use_redis_transport() -> None:
    """Have every connection of this process to redis://, rediss:// or redis+socket:// use this transport."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
