"""URLs that the settings may name, and when one is unsafe. Opens no connection."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from eat_worker.errors import ConfigurationError
from eat_worker.redaction import passwords_in, redact_url

BROKER_SCHEMES = ("redis", "rediss", "amqp", "amqps", "redis+socket")
_LOOPBACK_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost"})
_TLS_MODES = frozenset({"require", "verify-ca", "verify-full"})


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


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file, whatever its name: what a URL would read as an escape or a query is escaped."""
    return f"sqlite:///{str(file).replace('%', '%25').replace('?', '%3F')}"


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
