"""Puts questions to a MediaWiki API as its operators ask for: one at a time, with a name, and never in a hurry.

Knows the manners (user agent, maxlag, Retry-After, back-off with jitter) and how the API reports faults. Knows nothing
of what is asked.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from types import TracebackType
from typing import Any, Self

import httpx

from eat_worker import __version__
from eat_worker.errors import ConfigurationError, SiteUnavailable
from eat_worker.retry import BUSY_STATUSES, Backoff

log = logging.getLogger(__name__)

PATIENCE = 8  # tries of one question; with the waits below some two minutes
UNREACHED = 3  # tries while the site has never answered at all: a machine without network should not wait for it
LONGEST_WAIT = 300.0  # seconds; who is asked to wait longer is told, and comes back another time
MAXLAG = 5  # seconds the database copies may lag behind; beyond that, batch work is to wait
_BACKOFF = Backoff(1.0, 60.0, steady=0.5)  # where the site names no time
_BUSY_CODES = ("maxlag", "ratelimited", "readonly", "internal_api_error")

Wait = Callable[[float], None]
"""Sleeps for so many seconds."""


class _Busy(Exception):
    """No answer now; asking again may help. `seconds`: how long the site wants to be left alone, None if unsaid."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Site:
    """An HTTP client that asks politely. Use as a context manager.

    `contact`, an address of mail or web, goes into the user agent: operators write there before they block.
    """

    def __init__(self, contact: str = "", wait: Wait = time.sleep) -> None:
        about = f"EACL corpus collection; {contact}" if contact else "EACL corpus collection"
        self.asked = 0  # questions sent, repeated ones included
        self._reached = False
        self._wait = wait
        agent = f"eat_worker/{__version__} ({about})".encode("ascii", errors="replace").decode()
        try:
            self._client = httpx.Client(timeout=httpx.Timeout(60.0, connect=10.0), headers={"User-Agent": agent})
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"no HTTP client can be made: {error}; look at the proxy variables") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, url: str, question: Mapping[str, str]) -> dict[str, Any]:
        """The API's answer to one question, sent as a form: fifty titles of some scripts are too long for an address.

        Raises SiteUnavailable when the site does not answer or wants to be left alone for long, ConfigurationError
        when it refuses the question or is no MediaWiki API.
        """
        form = {"format": "json", "formatversion": "2", "maxlag": str(MAXLAG), **question}
        for number in count(1):
            try:
                return self._once(url, form)
            except _Busy as fault:
                if number == (PATIENCE if self._reached else UNREACHED):
                    raise SiteUnavailable(f"{url}: {fault}, {number} times in a row; {_AGAIN}") from None
                self._wait(self._pause(url, fault, number))
        raise AssertionError  # counting has no end

    def _once(self, url: str, form: Mapping[str, str]) -> dict[str, Any]:
        self.asked += 1
        try:
            answer = self._client.post(url, data=form)
        except httpx.TransportError as error:
            raise _Busy(str(error) or type(error).__name__) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ConfigurationError(f"{url} is not the address of an API: {error}; see --api") from error
        self._reached = True
        if answer.status_code in BUSY_STATUSES:
            raise _Busy(f"status {answer.status_code}", _retry_after(answer))
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise ConfigurationError(f"{url} answers with status 403; say who asks: --contact you@example.org")
        if not answer.is_success:
            raise ConfigurationError(f"{url} answers with status {answer.status_code}; see --api")
        return _content(url, answer)

    def _pause(self, url: str, fault: _Busy, number: int) -> float:
        """Seconds until the next try; partly left to chance, so that many askers do not come back at once."""
        if fault.seconds is not None and fault.seconds > LONGEST_WAIT:
            raise SiteUnavailable(
                f"{url}: {fault}, asks to be left alone for {fault.seconds:.0f} s; {_AGAIN}"
            ) from None
        asked = fault.seconds
        seconds = _BACKOFF.pause(number) if asked is None else asked + random.uniform(0.0, 0.5)
        log.info("%s: %s; asking again in %.1f s", url, fault, seconds)
        return seconds


_AGAIN = "run the same command again later: what has been answered is kept and not asked twice"


def _content(url: str, answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        raise ConfigurationError(f"{url} does not answer with JSON: no MediaWiki API is there; see --api") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{url} answers with something else than a MediaWiki API does; see --api")
    error = content.get("error")
    if error is None:
        return content
    code, info = str(error.get("code")), str(error.get("info"))
    if code.startswith(_BUSY_CODES):
        raise _Busy(f"{code} ({info})", _retry_after(answer))
    raise ConfigurationError(f"{url} refuses the question: {code} ({info})")


def _retry_after(answer: httpx.Response) -> float | None:
    """The header as seconds from now; it is a number or a date. None where it is missing or neither."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
