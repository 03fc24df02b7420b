"""Which broker this process uses: the one a URL names, or the embedded server of the state folder.

Knows URLs and whether something answers. Knows neither messages nor documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from eat_worker.errors import BrokerUnavailable, ConfigurationError
from eat_worker.jobs.broker.server import EmbeddedServer, ask_server
from eat_worker.jobs.broker.server_place import find_program, socket_path
from eat_worker.redaction import redact_url
from eat_worker.settings import Settings

NONE = "none"
CONNECT_SECONDS = 5.0


class Broker:
    """A broker in use. `revive` brings an embedded server back after a crash and does nothing for any other."""

    def __init__(self, url: str, server: EmbeddedServer | None = None) -> None:
        self.url = url
        self._server = server

    def revive(self) -> None:
        """Start the embedded server again if it died. Raises BrokerUnavailable or ConfigurationError."""
        if self._server is not None:
            self._server.revive()


def broker_url(settings: Settings) -> str:
    """The URL that Celery connects to; `none` stays `none`. Starts nothing."""
    if settings.broker_url:
        return settings.broker_url
    return f"redis+socket://{quote(str(socket_path(settings.state)))}"


@contextmanager
def use_broker(settings: Settings) -> Iterator[Broker]:
    """The broker of these settings while the block lasts; the embedded one is started, or found running and shared.

    Raises ConfigurationError when there is no broker to use, BrokerUnavailable when it does not answer.
    """
    url = broker_url(settings)
    if url == NONE:
        raise ConfigurationError("broker_url is none: there is no queue to connect to; unset it or give a URL")
    if settings.broker_url:
        connect(url)
        yield Broker(url)
        return
    with EmbeddedServer(settings.state) as server:
        yield Broker(url, server)


def connect(url: str, seconds: float = CONNECT_SECONDS) -> None:
    """Return when the broker at `url` accepts a connection. Raises BrokerUnavailable."""
    from kombu.exceptions import KombuError

    from eat_worker.jobs.broker.app import open_app

    with open_app(url).connection_for_write() as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=seconds)
        except (KombuError, OSError, *connection.connection_errors) as error:
            raise BrokerUnavailable(
                f"the broker {redact_url(url)} does not answer ({_reason(error)}); start it, correct EAT_BROKER_URL, "
                "or unset it to use the embedded one"
            ) from error


def ask_broker(settings: Settings) -> None:
    """Return when the broker of these settings answers, or none is used. Starts nothing. Raises BrokerUnavailable."""
    if settings.broker_url:
        if settings.broker_url != NONE:
            connect(settings.broker_url)
    elif (reply := ask_server(socket_path(settings.state))) != "ready":
        raise BrokerUnavailable(f"the embedded broker of {settings.state} does not answer: {reply}")


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def probe(settings: Settings) -> str:
    """What `eat doctor` says about the broker when all is well; starts nothing.

    Raises BrokerUnavailable or ConfigurationError with the way to mend it.
    """
    url = broker_url(settings)
    if url == NONE:
        return "none: documents are worked on inside the command's own process"
    if settings.broker_url:
        connect(url)
        return f"{redact_url(url)} answers"
    program, socket = find_program(), socket_path(settings.state)
    reply = ask_server(socket)
    if reply == "silent":
        raise BrokerUnavailable(f"the embedded broker at {socket} does not answer; end its process and start again")
    return f"embedded, {'running' if reply != 'nobody' else 'not started yet'}, socket {socket}, program {program}"
