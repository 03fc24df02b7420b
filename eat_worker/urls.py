"""URLs with passwords in them: how to show one, what must be hidden, when one is unsafe. Opens no connection."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from eat_worker.errors import ConfigurationError

HIDDEN = "***"
BROKER_SCHEMES = ("redis", "rediss", "amqp", "amqps", "redis+socket")
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|credential|api_?key|(^|_)key$", re.IGNORECASE)
# What stands between user and host where a URL lost the sign behind its scheme: postgres//eat:secret@host.
_BROKEN = re.compile(r"(?<=[^:\s]):([^\s@]+)@")
_LOOPBACK_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost"})
_TLS_MODES = frozenset({"require", "verify-ca", "verify-full"})


def redact_url(url: str) -> str:
    """The URL with every password replaced by ***, in the authority and in the query; works on broken URLs too."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _BROKEN.sub(rf":{HIDDEN}@", url)
    user, at, host = _split_authority(rest)
    if at:
        name, colon, _ = user.partition(":")
        # https://TOKEN@host is a secret; redis://eat@host is a user name.
        shown = f"{name}:{HIDDEN}" if colon else HIDDEN if scheme.startswith("http") else name
        rest = f"{shown}@{host}"
    return f"{scheme}://{_redact_query(rest)}"


def passwords_in(url: str) -> frozenset[str]:
    """Every password of the URL, as written and decoded."""
    _, separator, rest = url.partition("://")
    if not separator:
        return frozenset(word for raw in _BROKEN.findall(url) for word in (raw, unquote(raw)))
    user, at, host = _split_authority(rest)
    found = {user.partition(":")[2]} if at else set()
    for pair in host.partition("?")[2].split("&"):
        key, _, value = pair.partition("=")
        if _SECRET_KEY.search(key):
            found.add(value)
    return frozenset(word for raw in found for word in (raw, unquote(raw)) if word)


def why_unsafe(url: str) -> str:
    """What a broker or database URL to another machine lacks: TLS, a password, or "" when nothing."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.startswith("sqlite") or scheme == "redis+socket" or _is_local(url):
        return ""
    query = dict(parse_qsl(rest.partition("?")[2]))
    if scheme.startswith("postgresql"):
        encrypted = query.get("sslmode") in _TLS_MODES
        remedy = "add ?sslmode=verify-full (or require)"
    else:
        encrypted = scheme in ("rediss", "amqps")
        remedy = f"use {'rediss' if scheme.startswith('redis') else 'amqps'}://"
    if not encrypted:
        return f"another machine is reached without TLS; {remedy}"
    return "" if passwords_in(url) else "another machine is reached without a password"


def check_broker_url(url: str, *, insecure: bool) -> None:
    """Raises ConfigurationError unless `url` is "", none, or a broker that is local, secured, or accepted as it is."""
    if url not in ("", "none") and url.partition("://")[0] not in BROKER_SCHEMES:
        allowed = ", ".join(f"{scheme}://" for scheme in BROKER_SCHEMES)
        raise ConfigurationError(f"broker_url = {redact_url(url)} is neither none nor one of: {allowed}")
    _check_secured("broker_url", url, insecure=insecure)


def check_database_url(url: str, *, insecure: bool) -> None:
    """Raises ConfigurationError unless `url` is "" or a database that is local, secured, or accepted as it is."""
    if url and not url.startswith(("sqlite:", "postgresql:", "postgresql+psycopg:")):
        raise ConfigurationError(f"database_url = {redact_url(url)} is neither sqlite:// nor postgresql://")
    _check_secured("database_url", url, insecure=insecure)


def check_endpoint_url(url: str, *, key: bool, insecure: bool) -> None:
    """Raises ConfigurationError unless `url` is "" or a chat server that is local, secured, or accepted as it is.

    `key`: whether there is an API key. An address that only this machine's own surroundings answer (link-local, where
    clouds keep their credentials) is never asked.
    """
    if is_link_local(url):
        raise ConfigurationError(f"endpoint_url = {redact_url(url)}: a link-local address is not a chat server")
    if not url or insecure or _is_local(url):
        return
    reason = ""
    if not url.startswith("https://"):
        reason = "another machine is reached without TLS; use https://"
    elif not (key or passwords_in(url)):
        reason = "another machine is reached without a key; set endpoint_key_file"
    if reason:
        raise ConfigurationError(f"endpoint_url = {redact_url(url)}: {reason}; or set insecure")


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[host]:port`. Raises ConfigurationError."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and colon and port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise ConfigurationError(f"{address!r} is not host:port, such as 127.0.0.1:9100")
    return host, int(port)


def _check_secured(name: str, url: str, *, insecure: bool) -> None:
    reason = "" if insecure else why_unsafe(url)
    if reason:
        raise ConfigurationError(f"{name} = {redact_url(url)}: {reason}; or set insecure")


def _split_authority(rest: str) -> tuple[str, str, str]:
    """User part, "@" and the remainder; a raw @, / or ? inside a password stays in the user part."""
    head, mark, query = rest.partition("?")
    if "@" in head:
        user, at, host = head.rpartition("@")
        return user, at, f"{host}{mark}{query}"
    if "=" not in query.partition("@")[0]:
        user, at, host = rest.rpartition("@")
        return (user, at, host) if at else ("", "", rest)
    return "", "", rest


def _redact_query(rest: str) -> str:
    head, mark, query = rest.partition("?")
    if not mark:
        return rest
    pairs = [pair.partition("=") for pair in query.split("&")]
    return f"{head}?" + "&".join(
        f"{key}={HIDDEN}" if equals and _SECRET_KEY.search(key) else f"{key}{equals}{value}"
        for key, equals, value in pairs
    )


def _is_local(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    hosts = [host] if host else [value for key, value in parse_qsl(parts.query) if key == "host"] or [""]
    return all(is_loopback(name) for name in hosts)


def is_link_local(url: str) -> bool:
    """True for an address that is valid on one network segment only, such as 169.254.169.254."""
    try:
        return ipaddress.ip_address(urlsplit(url).hostname or "").is_link_local
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """True for this machine only: a loopback name or address, or the folder of a unix socket."""
    if host.lower() in _LOOPBACK_NAMES or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
