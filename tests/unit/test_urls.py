"""URLs with passwords: shown without them, judged by where they lead."""

from __future__ import annotations

import pytest

from eat_worker.urls import is_loopback, passwords_in, redact_url, why_unsafe


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:canary@h:6379/0", "redis://:***@h:6379/0"),
        ("postgresql://u:canary@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:can/ary@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:can@ary@h/d", "postgresql://u:***@h/d"),
        ("redis://:can?ary@h/0", "redis://:***@h/0"),
        ("postgresql:///d?host=/run&password=canary", "postgresql:///d?host=/run&password=***"),
        ("postgresql://h/d?sslpassword=canary&x=a@b", "postgresql://h/d?sslpassword=***&x=a@b"),
        ("https://canary@h/v1", "https://***@h/v1"),
        ("https://h/v1?api_key=canary&model=m", "https://h/v1?api_key=***&model=m"),
        ("redis://eat@h/0", "redis://eat@h/0"),
        ("sqlite:////data/eat.db", "sqlite:////data/eat.db"),
        ("none", "none"),
        ("", ""),
    ],
)
def test_passwords_are_hidden_wherever_they_stand(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_passwords_are_found_as_written_and_decoded() -> None:
    assert passwords_in("postgresql://u:a%40b@h/d?password=c%20d&x=1") == {"a%40b", "a@b", "c%20d", "c d"}
    assert passwords_in("redis://h/0") == frozenset()
    assert passwords_in("none") == frozenset()


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("rediss://:pw@example.org", True),
        ("redis://:pw@10.0.0.7", False),
        ("redis://[fe80::1]", False),
        ("redis://[broken", False),
        ("postgresql://u:pw@example.org/d?sslmode=verify-full", True),
        ("postgresql://u:pw@example.org/d?sslmode=prefer", False),
        ("postgresql:///d?host=example.org&password=x", False),
        ("sqlite:///x.db", True),
        ("redis+socket:///run/x.sock", True),
        ("", True),
        ("none", True),
    ],
)
def test_remote_urls_need_tls_and_a_password(url: str, safe: bool) -> None:
    assert (why_unsafe(url) == "") is safe


def test_loopback_is_this_machine_only() -> None:
    assert [is_loopback(host) for host in ("localhost", "127.8.9.1", "::1", "", "/run/pg", "0.0.0.0", "db")] == [
        True,
        True,
        True,
        True,
        True,
        False,
        False,
    ]
