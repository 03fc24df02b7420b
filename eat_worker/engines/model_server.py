"""Whether the chat server of the settings answers, and what it says it serves. Asks it for no answer of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from eat_worker.errors import ConfigurationError, EngineUnavailable
from eat_worker.settings import Settings

if TYPE_CHECKING:
    import httpx

SECONDS = 5.0  # a server that is up lists its models at once
SHOWN = 5


def probe(settings: Settings) -> str:
    """What `eat doctor` says about a chat server that answers.

    Raises EngineUnavailable when it does not, ConfigurationError when it refuses the key; each says what to do.
    """
    import httpx

    shown, key = settings.shown("endpoint_url"), settings.endpoint_key()
    try:
        base = httpx.URL(settings.endpoint_url)
        url = base.copy_with(path=base.path.rstrip("/").removesuffix("/v1") + "/v1/models")
        reply = httpx.get(url, timeout=SECONDS, auth=bearer(key) if key else None)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EngineUnavailable(
            f"the model server {shown} does not answer ({error or type(error).__name__}); start it, or correct "
            "EAT_ENDPOINT_URL"
        ) from error
    if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ConfigurationError(f"the model server {shown} refuses the key; set EAT_ENDPOINT_KEY_FILE")
    if reply.is_server_error:
        raise EngineUnavailable(f"the model server {shown} says {reply.status_code}; look into its log")
    return _told(settings.endpoint_model, _names(reply))


def bearer(key: str) -> Callable[[httpx.Request], httpx.Request]:
    """The key on every request; a plain header would give way to a user name in the URL."""

    def sign(request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return sign


def _names(reply: httpx.Response) -> list[str]:
    """Names of the models the server lists; none where the answer is something else."""
    try:
        return [str(model["id"]) for model in reply.json()["data"]] if reply.is_success else []
    except (ValueError, TypeError, KeyError):
        return []


def _told(model: str, names: list[str]) -> str:
    if not names:
        return "endpoint, answers; it does not list its models"
    listed = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    # Some servers answer to any name, so this is no error.
    return (
        "endpoint, answers" if model in names else f"endpoint, answers; it lists {listed} and not {model or 'a name'}"
    )
