"""URLs of chat servers and addresses to listen on: which are refused, and what no message shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.settings import load_settings
from eat_worker.urls import check_endpoint_url, split_address


@pytest.mark.parametrize(
    "url",
    ["", "http://127.0.0.1:8000/v1", "http://localhost:8000", "http://[::1]:8000", "https://u:secret@gpu.example/v1"],
)
def test_local_and_secured_servers_are_accepted(url: str) -> None:
    check_endpoint_url(url, key=False, insecure=False)


@pytest.mark.parametrize(
    ("url", "key", "reason"),
    [
        ("http://gpu.example/v1", True, "without TLS; use https://"),
        ("http://u:secret@gpu.example/v1", True, r"http://u:\*\*\*@gpu.example/v1: .*without TLS"),
        ("https://gpu.example/v1", False, "without a key; set endpoint_key_file"),
    ],
)
def test_others_are_refused_unless_accepted_as_they_are(url: str, key: bool, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        check_endpoint_url(url, key=key, insecure=False)
    check_endpoint_url(url, key=key, insecure=True)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "https://[fe80::1]/v1"])
def test_link_local_addresses_are_never_asked(url: str) -> None:
    with pytest.raises(ConfigurationError, match="a link-local address is not a chat server"):
        check_endpoint_url(url, key=True, insecure=True)


def test_settings_demand_it(tmp_path: Path) -> None:
    given = {"engine": "endpoint", "endpoint_url": "http://gpu.example/v1", "endpoint_model": "m"}
    with pytest.raises(ConfigurationError, match="or set insecure"):
        load_settings(given, directory=tmp_path, environ={"HOME": str(tmp_path)})
    load_settings({**given, "insecure": True}, directory=tmp_path, environ={"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("address", "parts"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::]:9100", ("::", 9100)), ("worker7:80", ("worker7", 80))],
)
def test_an_address_is_host_and_port(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


@pytest.mark.parametrize("address", ["9100", ":9100", "h:", "h:x", "h:65536", "h:-1", "h:١"])
def test_anything_else_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not host:port, such as"):
        split_address(address)
    with pytest.raises(ConfigurationError, match="is not host:port"):
        load_settings({"health_address": address}, directory=tmp_path, environ={"HOME": str(tmp_path)})


def test_the_hubs_password_is_shown_nowhere(tmp_path: Path) -> None:
    settings = load_settings({"hub_url": "https://u:secret@hub"}, directory=tmp_path, environ={"HOME": str(tmp_path)})
    assert settings.shown("hub_url") == "https://u:***@hub"
    assert "secret" in settings.secrets()
    assert "secret" not in repr(settings)
