"""The one place that knows what a secret looks like: every log line, error, table and database row is cleaned here.

A secret is found by where it is: between a user's name and the host of a URL, after a telling name in its query, after
`Bearer` in a header; or because it is known. Opens nothing and reads no settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus

HIDDEN = "***"
# A name in a query is a secret's name when one of these is in it, in any case: password, sslpassword, passwd, pwd,
# passphrase, client_secret, access_token, credentials, api_key, sslkey, signature, sig. Plurals such as max_tokens=5
# count things.
SECRET_NAMES = ("pass", "pwd", "secret", "token(?!s)", "credential", "key(?!s)", "signature", r"\bsig\b")

_SECRET_NAME = re.compile("|".join(SECRET_NAMES), re.IGNORECASE)
_PAIR = re.compile(r"[?&;#]([^=?&;#]+)=([^&]+)")
# Between user and host where a URL lost the sign behind its scheme: postgres//eat:secret@host.
_BROKEN = re.compile(r"(?<=[^:\s]):([^\s@]+)@")
_QUERY = re.compile(r"\?[^=?&@]*=")
_BROKEN_PASSWORD = re.compile(r"[^\[/?]*?:(?!\d*(?:[,/?]|$))")  # what follows the colon is no port
_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"<>]+")
_AUTHORIZATION = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")


class Redactor:
    """Takes secrets out of any text: the known ones wherever they are, those of URLs, and authorisation headers."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: a secret may contain another.
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` with *** in the place of every secret."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _URL.sub(lambda match: redact_url(match.group()), text)
        return _AUTHORIZATION.sub(lambda match: f"{match.group(1)} {HIDDEN}", text)


def redact_url(url: str) -> str:
    """The URL with *** for every secret, before the host and in the query; takes any text, broken URLs too."""
    shown, end = "", 0
    for start, stop in _secrets(url):
        shown += url[end:start] + HIDDEN
        end = stop
    return shown + url[end:]


def passwords_in(url: str) -> frozenset[str]:
    """Every secret that `redact_url` hides in the URL: as written, and as a driver decodes and may quote it."""
    written = {url[start:stop] for start, stop in _secrets(url)}
    return frozenset(word for raw in written for word in (raw, unquote(raw), unquote_plus(raw)) if word)


def _secrets(url: str) -> Iterator[tuple[int, int]]:
    """Where the secrets are, from left to right, none of them within another."""
    end = 0
    for start, stop in _in_authority(url):
        yield start, stop
        end = stop
    for pair in _PAIR.finditer(url, end):
        if _SECRET_NAME.search(unquote(pair.group(1))):
            yield pair.span(2)


def _in_authority(url: str) -> Iterator[tuple[int, int]]:
    scheme, separator, rest = url.partition("://")
    if not separator:
        yield from (match.span(1) for match in _BROKEN.finditer(url))
        return
    begin, length = len(scheme) + len(separator), _user_length(rest)
    name, colon, _ = rest[:length].partition(":")
    if colon:
        yield begin + len(name) + 1, begin + length
    elif length and scheme.startswith("http"):  # https://TOKEN@host is a secret, redis://eat@host a user's name
        yield begin, begin + length


def _user_length(rest: str) -> int:
    """Length of the part before the host's @; a raw @, / or ? inside a password belongs to it."""
    query = _QUERY.search(rest)
    head = rest[: query.start()] if query else rest
    if "@" not in head and _BROKEN_PASSWORD.match(head):
        head = rest
    return max(head.rfind("@"), 0)
