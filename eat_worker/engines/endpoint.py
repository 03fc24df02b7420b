"""A chat server somewhere else: vLLM, SGLang, llama-server or any other with /v1/chat/completions.

Knows HTTP, retries and how each server takes a grammar. The server owns tokenizer and template, so control tokens in a
text are broken up here, and the record says so.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from eat_worker.engines import model_server
from eat_worker.engines.engine import ChatEngine, Check, EngineInfo, EngineKind
from eat_worker.engines.gate import Gate
from eat_worker.errors import ConfigurationError, EngineError, EngineUnavailable, TooLong
from eat_worker.method.constraint import gbnf
from eat_worker.method.rounds import Request, RoundResult, by_line
from eat_worker.redaction import Redactor, passwords_in, redact_url
from eat_worker.retry import BUSY_STATUSES, Backoff
from eat_worker.settings import Settings

if TYPE_CHECKING:
    import httpx

RETRIES = 5
BACKOFF = Backoff(0.5, 20.0)
QUOTE = 8  # characters in a row by which a reply quotes the prompt
# Beginnings of what the chat templates in use write around turns and tools: ChatML and Llama 3 (<|...|>), DeepSeek
# (fullwidth bars), Gemma, Llama 2 and Mistral.
_CONTROL = re.compile(
    r"<(?=[|｜][^|｜<>\n]{1,60}[|｜]>|/?(?:tool_call|tool_response|think|s|bos|eos|pad|unk|start_of_turn|end_of_turn)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
)
GRAMMARS = ("none", "llama", "vllm")


class Endpoint:
    """One model behind a URL. `grammar` says how the server takes constraints: llama (a `grammar` field), vllm
    (`structured_outputs`), or none. `adapter_model` is the name the server gives the model with the adapter on.
    `timeout` in seconds per answer; `sleep` waits between tries.

    Raises EngineUnavailable when the server does not answer after RETRIES, EngineError on what it refuses.
    """

    oom_splits = 0

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str = "",
        adapter_model: str = "",
        grammar: str = "none",
        slots: int,
        timeout: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        if grammar not in GRAMMARS:
            raise ConfigurationError(f"endpoint_grammar = {grammar!r} is not one of: {', '.join(GRAMMARS)}")
        self._http = httpx.Client(
            base_url=_base(url),
            auth=model_server.bearer(key) if key else None,
            timeout=httpx.Timeout(timeout, connect=10),
            limits=httpx.Limits(max_connections=slots, max_keepalive_connections=slots),
        )
        self._shown, self._timeout, self._sleep = redact_url(url), timeout, sleep
        self._redact = Redactor({key, *passwords_in(url)})
        self._model, self._adapter_model, self._grammar = model, adapter_model, grammar
        self._room = threading.Semaphore(slots)
        self._gate = Gate()
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="endpoint")
        self.info = EngineInfo("endpoint", model, slots, constrained=grammar != "none", detail={"grammar": grammar})

    def submit(self, request: Request) -> Future[RoundResult]:
        """The answer to come; see `ask`."""
        return self._pool.submit(self.ask, request)

    def ask(self, request: Request) -> RoundResult:
        """The server's greedy answer. Raises TooLong, ConfigurationError, EngineError or EngineUnavailable."""
        with self._gate.passing():
            body, neutralised = self._body(request)
            reply, seconds = self._post(body, tuple(request.variables.values()))
            return _result(reply, seconds, ("control_tokens_neutralised",) if neutralised else ())

    def close(self) -> None:
        """Close the connections; requests under way are answered first."""
        if self._gate.close():
            self._pool.shutdown()
            self._http.close()

    def _body(self, request: Request) -> tuple[dict[str, Any], bool]:
        """What is sent, and whether some text was changed for it."""
        messages = [
            {"role": message.role, "content": _CONTROL.sub(r"\g<0> ", message.content)} for message in request.messages
        ]
        body: dict[str, Any] = {
            "model": self._adapter_model if request.adapter and self._adapter_model else self._model,
            "messages": messages,
            "max_tokens": request.limits.max_new_tokens,
            "temperature": 0,
            "logprobs": True,
        }
        if request.constraint is not None:
            body |= self._bound(gbnf(request.constraint))
        changed = any(sent["content"] != given.content for sent, given in zip(messages, request.messages, strict=True))
        return body, changed

    def _bound(self, grammar: str) -> dict[str, Any]:
        if self._grammar == "none":
            raise ConfigurationError("this endpoint is not set up to bind answers to the text; set endpoint_grammar")
        return {"grammar": grammar} if self._grammar == "llama" else {"structured_outputs": {"grammar": grammar}}

    def _post(self, body: dict[str, Any], words: Sequence[str]) -> tuple[dict[str, Any], float]:
        """The server's answer and the seconds it took, tried again while it is busy or away.

        `words` are those of the corpus and the model, which no error may quote.
        """
        import httpx

        trouble, asked = "", 0.0
        for attempt in range(RETRIES):
            if attempt:
                self._sleep(asked + BACKOFF.pause(attempt))
                asked = 0.0
            try:
                with self._room:
                    started = time.monotonic()
                    reply = self._http.post("/v1/chat/completions", json=body)
                    seconds = time.monotonic() - started
            except httpx.ReadTimeout as error:  # asking again would make the server do the same work twice
                raise EngineUnavailable(
                    f"the model server {self._shown} gave no answer within {self._timeout:g} s"
                ) from error
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
                continue
            except (httpx.HTTPError, ValueError) as error:  # ValueError: the text has half a character in it
                raise EngineError(f"the request cannot be sent: {type(error).__name__}: {error}") from error
            if reply.status_code not in BUSY_STATUSES:
                return self._read(reply, words), seconds
            trouble, asked = self._quoted(reply, words), _asked_to_wait(reply)
        raise EngineUnavailable(f"the model server {self._shown} does not answer: {trouble}")

    def _read(self, reply: httpx.Response, words: Sequence[str]) -> dict[str, Any]:
        quoted = self._quoted(reply, words)
        if reply.is_success:
            try:
                return dict(reply.json())
            except (TypeError, ValueError) as error:
                raise EngineError(f"the model server's answer is not a JSON object: {quoted}") from error
        match reply.status_code:
            case HTTPStatus.BAD_REQUEST if "context" in reply.text.lower():
                raise TooLong(f"the model server refused the prompt: {quoted}")
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                raise ConfigurationError("the model server refused the key; set endpoint_key_file")
            case HTTPStatus.NOT_FOUND:
                raise ConfigurationError(f"check endpoint_url and endpoint_model: {self._shown} says {quoted}")
        raise EngineError(f"the model server refused the request: {quoted}")

    def _quoted(self, reply: httpx.Response, words: Sequence[str]) -> str:
        text = self._redact(reply.text)[:200]
        return f"{reply.status_code} {'(the reply quotes the prompt)' if _quotes(text, words) else text}"


def _base(url: str) -> httpx.URL:
    """The server's address, with or without the /v1 that many write behind it."""
    import httpx

    try:
        base = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError("endpoint_url is not a URL") from error
    if base.scheme not in ("http", "https") or not base.host:
        raise ConfigurationError(f"endpoint_url = {redact_url(url)} does not begin with http:// or https://")
    return base.copy_with(path=base.path.rstrip("/").removesuffix("/v1"))


def _quotes(reply: str, words: Sequence[str]) -> bool:
    """Whether a reply has a piece of the words in it, as they are or as JSON escapes them."""
    with suppress(ValueError):
        reply += json.dumps(json.loads(reply), ensure_ascii=False)
    pieces = {reply[start : start + QUOTE] for start in range(len(reply) - QUOTE + 1)}
    return any(piece in text for text in words for piece in pieces)


def _asked_to_wait(reply: httpx.Response) -> float:
    value = reply.headers.get("retry-after", "")
    return min(float(value), BACKOFF.longest) if value.isdecimal() else 0.0


def _result(reply: dict[str, Any], seconds: float, flags: tuple[str, ...]) -> RoundResult:
    try:
        choice, usage = reply["choices"][0], reply.get("usage") or {}
        text = choice["message"]["content"] or ""
        spoken = (choice.get("logprobs") or {}).get("content") or []
        if not isinstance(text, str):
            raise TypeError("the content is not a text")
        cut = choice.get("finish_reason") == "length"
        return RoundResult(
            text=text.rstrip("\ufffd") if cut else text,  # an answer may be cut within a character
            prompt_tokens=usage.get("prompt_tokens") or 0,
            cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            generated_tokens=usage.get("completion_tokens") or 0,
            seconds=seconds,
            finish_reason="length" if cut else "stop",
            logprob=sum(token["logprob"] for token in spoken) if spoken else None,
            line_logprobs=by_line((token["token"], token["logprob"]) for token in spoken) if spoken else (),
            flags=flags,
        )
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        fields = ", ".join(sorted(reply))
        raise EngineError(f"the model server's answer has no message ({fields}): {error!r}") from error


def _demand_server(settings: Settings) -> None:
    if not settings.endpoint_url or not settings.endpoint_model:
        raise ConfigurationError("the endpoint engine needs endpoint_url and endpoint_model")


def _identity(settings: Settings) -> dict[str, Any]:
    _demand_server(settings)
    # A server does not tell the hash of its weights: its operator answers for the name.
    return {"model": settings.endpoint_model, "weights": None, "adapter": settings.adapter_path or None}


def _open(settings: Settings) -> ChatEngine:
    _demand_server(settings)
    return Endpoint(
        settings.endpoint_url,
        settings.endpoint_model,
        key=settings.endpoint_key(),
        adapter_model=settings.adapter_path,
        grammar=settings.endpoint_grammar,
        slots=settings.chats_at_once,
        timeout=settings.endpoint_timeout,
    )


def _binds(settings: Settings) -> bool:
    return settings.endpoint_grammar != "none"


def _check_model(settings: Settings) -> Check:
    named = bool(settings.endpoint_url and settings.endpoint_model)
    detail = f"{settings.endpoint_model or 'no model named'} at {settings.shown('endpoint_url') or 'no URL'}"
    return Check("model", ok=named, detail=detail, fix="set EAT_ENDPOINT_URL and EAT_ENDPOINT_MODEL")


def _check_server(settings: Settings) -> Check:
    if not settings.endpoint_url:
        return Check("engine", ok=True, detail="endpoint")
    detail = model_server.probe(settings)
    # A warning only: whether a run binds its answers is decided when it is submitted, and may differ from here.
    if settings.method_config.constrained and not _binds(settings):
        detail += (
            "; endpoint_grammar is none, so only runs with --forward free --alignment free can be served "
            "(or set it to llama or vllm)"
        )
    return Check("engine", ok=True, detail=detail)


KIND = EngineKind(_identity, _open, _check_model, _check_server, _binds)
