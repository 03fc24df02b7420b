"""URLs, judged by where they lead."""

from __future__ import annotations

import pytest

from eat_worker.urls import is_loopback, why_unsafe


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
