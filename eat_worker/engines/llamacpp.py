"""The embedded engine: llama.cpp in this process, any GGUF model, many chats at once over its slots.

Knows the server's requests and slots; knows no prompt and no corpus. Prompts go in as token ids: the model's own chat
template is rendered around placeholders, its pieces are tokenised with control tokens and the contents without, so no
text of a corpus can forge a turn.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from eat_worker.engines.engine import EngineInfo
from eat_worker.engines.slots import Slot, Slots
from eat_worker.errors import ConfigurationError, EngineError, TooLong
from eat_worker.method.constraint import gbnf
from eat_worker.method.rounds import Message, Request, RoundResult

_HOLE = "\ue000{}\ue001"  # private-use characters no chat template writes
_WORTH_SAVING = 48  # tokens; a shorter shared beginning is prefilled faster than it is restored


class LlamaCpp:
    """One GGUF model over `slots` parallel sequences of `context` tokens each, on `threads` CPU threads.

    `adapter` is a LoRA in GGUF form, switched per request. Raises ConfigurationError when the file does not load.
    """

    def __init__(self, model: Path, *, adapter: Path | None, threads: int, slots: int, context: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="eat-llamacpp-"))
        self._server = _start(model, adapter, threads, slots, context, self._folder)
        self._http = httpx.Client(base_url=self._server.listening_address, timeout=120)
        self._http.headers["Authorization"] = f"Bearer {_KEY}"
        self._slots = Slots(slots)
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="llamacpp")
        self._context = context
        self._has_adapter = adapter is not None
        self._skeletons: dict[tuple[str, ...], list[list[int]]] = {}
        self._tokens: dict[str, list[int]] = {}
        self._saved: set[str] = set()
        self._saving = threading.Lock()
        self.info = EngineInfo("llamacpp", model.name, slots, constrained=True, detail={"threads": threads})

    def submit(self, request: Request) -> Future[RoundResult]:
        """The answer to come; see `ask`."""
        return self._pool.submit(self.ask, request)

    def ask(self, request: Request) -> RoundResult:
        """The greedy answer. Raises TooLong when prompt and answer do not fit the context, EngineError otherwise."""
        ids = self._encode(request.messages, self._slots.answers_of(request.session), prompt=True)
        if len(ids) + request.limits.max_new_tokens > self._context:
            raise TooLong(
                f"{len(ids)} prompt tokens and {request.limits.max_new_tokens} for the answer do not fit "
                f"the context of {self._context}"
            )
        adapter = request.adapter and self._has_adapter
        with self._slots.borrow(request.session, ids, adapter, last=request.last) as slot:
            self._warm(slot, self._encode(request.messages[: request.shared], {}, prompt=False), ids, adapter)
            return self._complete(slot, ids, request, adapter)

    def close(self) -> None:
        """Stop the server and remove its scratch folder."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._http.close()
        del self._server
        shutil.rmtree(self._folder, ignore_errors=True)

    def _complete(self, slot: Slot, ids: list[int], request: Request, adapter: bool) -> RoundResult:
        body = self._body(slot, ids, adapter, max_tokens=request.limits.max_new_tokens, logprobs=1)
        if request.constraint is not None:
            body["grammar"] = gbnf(request.constraint)
        batch = self._slots.busy()
        started = time.monotonic()
        reply = self._call(body)
        seconds = time.monotonic() - started
        choice, timings = reply["choices"][0], reply["timings"]
        spoken = (choice.get("logprobs") or {}).get("content") or []
        answer_ids = [token["id"] for token in spoken]
        text = choice["text"]
        slot.held, slot.adapter = [*ids, *answer_ids], adapter
        slot.answers[text] = answer_ids
        return RoundResult(
            text=text,
            prompt_tokens=len(ids),
            cached_tokens=int(timings["cache_n"]),
            generated_tokens=int(timings["predicted_n"]),
            seconds=seconds,
            finish_reason="length" if choice["finish_reason"] == "length" else "stop",
            batch_size=batch,
            logprob=sum(token["logprob"] for token in spoken) if spoken else None,
        )

    def _body(self, slot: Slot, ids: list[int], adapter: bool, **more: Any) -> dict[str, Any]:
        lora = [{"id": 0, "scale": 1.0 if adapter else 0.0}] if self._has_adapter else []
        return {"prompt": ids, "id_slot": slot.index, "cache_prompt": True, "temperature": 0, "lora": lora, **more}

    def _call(self, body: dict[str, Any]) -> dict[str, Any]:
        reply = self._server.handle_completions(body)
        if "error" in reply:
            raise EngineError(f"llama.cpp refused the request: {reply['error'].get('message', reply['error'])}")
        return dict(reply)

    def _warm(self, slot: Slot, shared: list[int], ids: list[int], adapter: bool) -> None:
        """Put the beginning that all chats of this kind share into the slot: prefilled once, then restored from disk."""
        if len(shared) < _WORTH_SAVING or slot.shares(ids, adapter) >= len(shared) or shared != ids[: len(shared)]:
            return
        name = hashlib.sha256(f"{adapter}{shared}".encode()).hexdigest()[:32]
        with self._saving:  # the second chat of a kind waits for the first to have prefilled it
            if name not in self._saved:
                self._call(self._body(slot, shared, adapter, max_tokens=0))
                self._slot_action(slot, "save", name)
                self._saved.add(name)
            else:
                self._slot_action(slot, "restore", name)
        slot.held, slot.adapter = list(shared), adapter

    def _slot_action(self, slot: Slot, action: str, name: str) -> None:
        self._post(f"/slots/{slot.index}?action={action}", {"filename": name})

    def _encode(self, messages: Sequence[Message], answers: dict[str, list[int]], *, prompt: bool) -> list[int]:
        """Token ids of a chat; `prompt` adds the opening of the answer. Answers keep the ids they were spoken with."""
        roles = (*(message.role for message in messages), *(("assistant",) if prompt else ()))
        pieces = self._skeleton(roles)
        ids = list(pieces[0])
        for at, message in enumerate(messages):
            spoken = answers.get(message.content) if message.role == "assistant" else None
            ids += spoken if spoken is not None else self._tokenise(message.content, control=False)
            if at + 1 < len(roles):
                ids += pieces[at + 1]
        return ids

    def _skeleton(self, roles: tuple[str, ...]) -> list[list[int]]:
        """The chat template's own tokens: before the first content, between contents, after the last."""
        if roles not in self._skeletons:
            messages = [{"role": role, "content": _HOLE.format(at)} for at, role in enumerate(roles)]
            rest = self._post("/apply-template", {"messages": messages, "add_generation_prompt": False})["prompt"]
            pieces = []
            for at in range(len(roles)):
                piece, hole, rest = rest.partition(_HOLE.format(at))
                if not hole:
                    raise ConfigurationError("the model's chat template drops messages; use an instruct model")
                pieces.append(self._tokenise(piece, control=True))
            self._skeletons[roles] = pieces
        return self._skeletons[roles]

    def _tokenise(self, text: str, *, control: bool) -> list[int]:
        key = f"{control:d}{text}"
        if key not in self._tokens:
            reply = self._post("/tokenize", {"content": text, "add_special": False, "parse_special": control})
            if len(self._tokens) > 4096:  # corpus sentences come once, prompts again and again
                self._tokens.clear()
            self._tokens[key] = list(reply["tokens"])
        return self._tokens[key]

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = self._http.post(path, json=body)
        if reply.status_code != httpx.codes.OK:
            raise EngineError(f"llama.cpp: {path}: {reply.status_code} {reply.text[:300]}")
        return dict(reply.json())


_KEY = secrets.token_urlsafe(24)  # the server listens on loopback; nothing else on this machine may use it


def _start(model: Path, adapter: Path | None, threads: int, slots: int, context: int, folder: Path) -> Any:
    try:
        import xllamacpp
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "the llamacpp engine is not installed; run: pip install 'eat_worker[local]'"
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_parallel, params.n_ctx = slots, slots * context
    params.slot_save_path = f"{folder}/"
    params.slot_prompt_similarity = 0.0
    params.cache_ram_mib = 0  # slots are chosen here; a second cache would hold the same states again
    params.api_keys = [_KEY]
    params.ui = False
    params.verbosity = 1
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads
        cpu.poll = 0  # waiting threads sleep: on a shared machine spinning costs the others ten times over
    if adapter is not None:
        lora = xllamacpp.CommonAdapterLoraInfo()
        lora.path, lora.scale = str(adapter), 1.0
        params.lora_adapters = [lora]
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ConfigurationError(f"{model}: llama.cpp cannot load it: {error}") from error
