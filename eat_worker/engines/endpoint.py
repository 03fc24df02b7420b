"""A chat server somewhere else: vLLM, SGLang, llama-server or any other with /v1/chat/completions.

Knows HTTP, retries and how each server takes a grammar. The server owns tokenizer and template, so control tokens in a
text are broken up here, and the record says so.
"""

from __future__ import annotations

import random
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx

from eat_worker.engines.engine import EngineInfo
from eat_worker.errors import ConfigurationError, EngineError, EngineUnavailable, TooLong
from eat_worker.method.constraint import gbnf
from eat_worker.method.rounds import Request, RoundResult

RETRIES = 5
FIRST_PAUSE = 0.5  # seconds; doubled each time, each pause drawn between 0 and that
LONGEST_PAUSE = 20.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTROL = re.compile(r"<\|(?=[\w]+\|>)|<(?=/?tool_call>)")
GRAMMARS = ("none", "llama", "vllm")


class Endpoint:
    """One model behind a URL. `grammar` says how the server takes constraints: llama (a `grammar` field), vllm
    (`structured_outputs`), or none. `adapter_model` is the name the server gives the model with the adapter on.

    Raises EngineUnavailable when the server does not answer after RETRIES, EngineError on what it refuses.
    """

    def __init__(
        self, url: str, model: str, *, key: str = "", adapter_model: str = "", grammar: str = "none", slots: int, timeout: float
    ) -> None:
        if grammar not in GRAMMARS:
            raise ConfigurationError(f"endpoint_grammar = {grammar!r} is not one of: {', '.join(GRAMMARS)}")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=slots, max_keepalive_connections=slots)
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=httpx.Timeout(timeout, connect=10), limits=limits
        )
        self._model, self._adapter_model, self._grammar = model, adapter_model, grammar
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="endpoint")
        self.info = EngineInfo("endpoint", model, slots, constrained=grammar != "none", detail={"grammar": grammar})

    def submit(self, request: Request) -> Future[RoundResult]:
        """The answer to come; see `ask`."""
        return self._pool.submit(self.ask, request)

    def ask(self, request: Request) -> RoundResult:
        """The server's greedy answer. Raises TooLong, EngineError or EngineUnavailable."""
        body, neutralised = self._body(request)
        started = time.monotonic()
        reply = self._post(body)
        seconds = time.monotonic() - started
        try:
            choice, usage = reply["choices"][0], reply.get("usage") or {}
            text = choice["message"]["content"] or ""
        except (KeyError, IndexError, TypeError) as error:
            raise EngineError(f"the model server's answer has no message: {str(reply)[:200]}") from error
        cached = ((usage.get("prompt_tokens_details") or {}).get("cached_tokens")) or 0
        spoken = ((choice.get("logprobs") or {}).get("content")) or []
        return RoundResult(
            text=text,
            prompt_tokens=usage.get("prompt_tokens", 0),
            cached_tokens=cached,
            generated_tokens=usage.get("completion_tokens", 0),
            seconds=seconds,
            finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
            logprob=sum(token["logprob"] for token in spoken) if spoken else None,
            flags=("control_tokens_neutralised",) if neutralised else (),
        )

    def close(self) -> None:
        """Close the connections; requests under way are answered first."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._http.close()

    def _body(self, request: Request) -> tuple[dict[str, Any], bool]:
        contents = [_CONTROL.sub("< ", message.content) for message in request.messages]
        messages = [
            {"role": message.role, "content": content}
            for message, content in zip(request.messages, contents, strict=True)
        ]
        body: dict[str, Any] = {
            "model": self._adapter_model if request.adapter and self._adapter_model else self._model,
            "messages": messages,
            "max_tokens": request.limits.max_new_tokens,
            "temperature": 0,
            "logprobs": True,
        }
        if request.constraint is not None:
            grammar = gbnf(request.constraint)
            body |= {"grammar": grammar} if self._grammar == "llama" else {"structured_outputs": {"grammar": grammar}}
        changed = any(content != message.content for content, message in zip(contents, request.messages, strict=True))
        return body, changed

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        pause, trouble = FIRST_PAUSE, ""
        for attempt in range(RETRIES):
            if attempt:
                time.sleep(random.uniform(0, pause))
                pause = min(2 * pause, LONGEST_PAUSE)
            try:
                reply = self._http.post("/v1/chat/completions", json=body)
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
                continue
            if reply.status_code in _BUSY:
                trouble = f"{reply.status_code} {reply.text[:200]}"
                pause = max(pause, _asked_to_wait(reply))
                continue
            return self._read(reply)
        raise EngineUnavailable(f"the model server {self._http.base_url} does not answer: {trouble}")

    def _read(self, reply: httpx.Response) -> dict[str, Any]:
        if reply.is_success:
            try:
                return dict(reply.json())
            except ValueError as error:
                raise EngineError(f"the model server's answer is not JSON: {reply.text[:200]}") from error
        if reply.status_code == httpx.codes.BAD_REQUEST and "context" in reply.text.lower():
            raise TooLong(f"the model server refused the prompt: {reply.text[:200]}")
        if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise ConfigurationError("the model server refused the key; set endpoint_key_file")
        raise EngineError(f"the model server refused the request: {reply.status_code} {reply.text[:200]}")


def _asked_to_wait(reply: httpx.Response) -> float:
    value = reply.headers.get("retry-after", "")
    return min(float(value), LONGEST_PAUSE) if value.isdigit() else 0.0
