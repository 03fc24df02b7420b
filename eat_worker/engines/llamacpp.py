"""The embedded engine: llama.cpp in this process, any GGUF model, many chats at once over its slots.

Knows the server's requests and how its slots are filled; knows no prompt and no corpus. On a CPU prefill is most of the
bill: a chat goes on in the slot that holds it, and what all chats of a kind begin with is computed once, kept in a file
and restored from there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

from eat_worker.engines.chat_template import ChatTemplate, Encoded
from eat_worker.engines.engine import ChatEngine, Check, EngineInfo, EngineKind, check_weights
from eat_worker.engines.gate import Gate
from eat_worker.engines.scratch import Scratch
from eat_worker.engines.slots import Slot, Slots
from eat_worker.errors import ConfigurationError, EngineError, EngineUnavailable, ModelMissing, TooLong
from eat_worker.method.constraint import gbnf
from eat_worker.method.rounds import Request, RoundResult, by_line
from eat_worker.models.fingerprint import file_sha256
from eat_worker.models.installed import locate
from eat_worker.settings import Settings

log = logging.getLogger(__name__)

_THREADS = 256  # of `submit`: chats that wait for a slot must not keep out the one whose slot it is
_WORTH_SAVING = 48  # tokens; a shorter shared beginning is computed faster than it is restored
_KEPT = 32  # files of shared beginnings, tens of kilobytes per token


class LlamaCpp:
    """One GGUF model over `slots` parallel sequences of `context` tokens each, on `threads` CPU threads.

    `adapter` is a LoRA in GGUF form, switched per request. Raises ConfigurationError when the file does not load.
    """

    oom_splits = 0

    def __init__(self, model: Path, *, adapter: Path | None, threads: int, slots: int, context: int) -> None:
        import httpx

        self._scratch = Scratch()
        try:
            self._server = _start(
                model, adapter, threads=threads, slots=slots, context=context, folder=self._scratch.path
            )
        except BaseException:
            self._scratch.close()
            raise
        # trust_env: a proxy for the world outside must not get what goes to this process itself.
        self._http = httpx.Client(base_url=self._server.listening_address, timeout=120, trust_env=False)
        self._http.headers["Authorization"] = f"Bearer {_KEY}"
        self._template = ChatTemplate(self._post)
        self._slots = Slots(slots)
        self._gate = Gate()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="llamacpp")
        self._context = context
        self._has_adapter = adapter is not None
        self._saved: dict[str, None] | None = {}  # names of files, longest unused first; None: this model has none
        self._saving = threading.Lock()
        detail = {"threads": threads, "context": context}
        self.info = EngineInfo("llamacpp", model.name, slots, constrained=True, detail=detail)

    def submit(self, request: Request) -> Future[RoundResult]:
        """The answer to come; see `ask`."""
        return self._pool.submit(self.ask, request)

    def ask(self, request: Request) -> RoundResult:
        """The greedy answer. Raises TooLong when prompt and answer do not fit the context, EngineError otherwise."""
        with self._gate.passing():
            chat = self._template.encode(request.messages, request.shared)
            if len(chat.ids) + request.limits.max_new_tokens > self._context:
                raise TooLong(
                    f"{len(chat.ids)} prompt tokens and {request.limits.max_new_tokens} for the answer do not fit "
                    f"the context of {self._context}"
                )
            adapter = request.adapter and self._has_adapter
            with self._slots.borrow(request.session, chat.ids, adapter, last=request.last) as slot:
                return self._complete(slot, chat, request, adapter)

    def close(self) -> None:
        """Stop the server and remove its files; requests under way are answered first."""
        if self._gate.close():
            self._pool.shutdown()
            self._http.close()
            del self._server
            self._scratch.close()

    def _complete(self, slot: Slot, chat: Encoded, request: Request, adapter: bool) -> RoundResult:
        grammar = {} if request.constraint is None else {"grammar": gbnf(request.constraint)}
        batch = self._slots.busy()
        started = time.monotonic()
        computed = self._warm(slot, chat, adapter) + self._reread(slot, chat, adapter)
        reply = self._run(slot, chat.ids, adapter, max_tokens=request.limits.max_new_tokens, logprobs=1, **grammar)
        seconds = time.monotonic() - started
        choice, timings = reply["choices"][0], reply["timings"]
        spoken = (choice.get("logprobs") or {}).get("content") or []
        # The last token of an answer was chosen and not read any more.
        slot.held = [*chat.ids, *(token["id"] for token in spoken[:-1])]
        cut = choice["finish_reason"] == "length"
        return RoundResult(
            # An answer may be cut within a character.
            text=choice["text"].rstrip("\ufffd") if cut else choice["text"],
            prompt_tokens=len(chat.ids),
            cached_tokens=max(0, int(timings["cache_n"]) - computed),
            generated_tokens=int(timings["predicted_n"]),
            seconds=seconds,
            finish_reason="length" if cut else "stop",
            batch_size=batch,
            logprob=sum(token["logprob"] for token in spoken) if spoken else None,
            line_logprobs=by_line((token["token"], token["logprob"]) for token in spoken) if spoken else (),
        )

    def _run(self, slot: Slot, ids: Sequence[int], adapter: bool, **more: Any) -> dict[str, Any]:
        lora = [{"id": 0, "scale": 1.0 if adapter else 0.0}] if self._has_adapter else []
        body = {"prompt": ids, "id_slot": slot.index, "cache_prompt": True, "temperature": 0, "lora": lora, **more}
        try:
            reply = self._server.handle_completions(body)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"llama.cpp failed: {error}") from error
        if "error" in reply:
            raise EngineError(f"llama.cpp refused the request: {reply['error'].get('message', reply['error'])}")
        slot.adapter = adapter
        return dict(reply)

    def _warm(self, slot: Slot, chat: Encoded, adapter: bool) -> int:
        """Put the beginning that all chats of this kind share into the slot; how many tokens were computed for it.

        It is computed once and restored from a file afterwards.
        """
        shared, held = chat.ids[: chat.shared], slot.shares(chat.ids, adapter)
        # A prompt that is held whole would be read from its last token alone, which sums in another order.
        if len(shared) < _WORTH_SAVING or len(shared) <= held < len(chat.ids) - 1:
            return 0
        name = hashlib.sha256(f"{adapter}{shared}".encode()).hexdigest()[:32]
        with self._saving:  # the second chat of a kind waits for the first to have computed it
            if self._saved is None:
                return 0
            if name not in self._saved:
                computed = int(self._run(slot, shared, adapter, max_tokens=0)["timings"]["prompt_n"])
                self._file_action(slot, "save", name)
                return computed
            if slot.adapter != adapter:  # llama.cpp empties a slot whose adapter changes: change it before
                self._run(slot, shared[:1], adapter, max_tokens=0)
            self._file_action(slot, "restore", name)
            return 0

    def _reread(self, slot: Slot, chat: Encoded, adapter: bool) -> int:
        """Put answers given before into a slot that does not hold them; how many tokens were computed for it.

        They are read token by token, as they were written: one token alone and many at once are summed in another
        order, and a chat that is taken up again after a crash would say other words than one that was not disturbed.
        """
        held = known = max(slot.shares(chat.ids, adapter), chat.shared)
        for begin, end in chat.answers:
            if held < begin < end:
                self._run(slot, chat.ids[:begin], adapter, max_tokens=0)
                held = begin
            while held < end:
                held += 1
                self._run(slot, chat.ids[:held], adapter, max_tokens=0)
        return held - known

    def _file_action(self, slot: Slot, action: str, name: str) -> None:
        """Save or restore; a model whose state cannot be kept so is computed anew in every slot from then on."""
        assert self._saved is not None
        try:
            self._post(f"/slots/{slot.index}?action={action}", {"filename": name})
        except EngineError as error:
            log.warning("shared beginnings of prompts are computed again for every chat: %s", error)
            self._saved = None
            return
        self._saved.pop(name, None)
        self._saved[name] = None
        if len(self._saved) > _KEPT:
            oldest = next(iter(self._saved))
            del self._saved[oldest]
            (self._scratch.path / oldest).unlink(missing_ok=True)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        import httpx

        try:
            reply = self._http.post(path, json=body)
        except httpx.TransportError as error:
            raise EngineUnavailable(f"llama.cpp: {path}: {type(error).__name__}: {error}") from error
        except ValueError as error:  # the text has half a character in it
            raise EngineError(f"llama.cpp: {path}: {error}") from error
        if reply.status_code != HTTPStatus.OK:
            raise EngineError(f"llama.cpp: {path}: {reply.status_code} {reply.text[:300]}")
        return dict(reply.json())


_KEY = secrets.token_urlsafe(24)  # the server listens on loopback; nothing else on this machine may use it


def _start(model: Path, adapter: Path | None, *, threads: int, slots: int, context: int, folder: Path) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ConfigurationError(
            f"the llamacpp engine is not installed ({error}); run: pip install 'eat_worker[local]'"
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_parallel, params.n_ctx = slots, slots * context
    # With repacked weights and flash attention what a token computes to depends on how many are computed with it, and
    # so on how much of a prompt the slot happened to hold. docs/benchmarks.md.
    params.no_extra_bufts = True
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
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
        lora.path, lora.scale = str(adapter), 0.0  # off, as `Slot.adapter` begins
        params.lora_adapters = [lora]
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        files = f"{model} with {adapter}" if adapter else str(model)
        raise ConfigurationError(f"{files}: llama.cpp cannot load it; its message is on stderr ({error})") from error


def _gguf(settings: Settings) -> tuple[Path, Path | None]:
    """The files of weights and adapter. Raises ModelMissing, ConfigurationError."""
    path = locate(settings.model, settings.models_dir)
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder of weights; the llamacpp engine needs one GGUF file")
    if not settings.adapter_path:
        return path, None
    adapter = Path(settings.adapter_path)
    if adapter.is_dir():
        message = f"adapter = {adapter} is a folder; make a GGUF of it: eat model export-gguf-lora {adapter}"
        raise ConfigurationError(message)
    if not adapter.is_file():
        raise ModelMissing(f"adapter = {adapter}: no such file; it must be a LoRA in GGUF form")
    return path, adapter


def _identity(settings: Settings) -> dict[str, Any]:
    path, adapter = _gguf(settings)
    # Tokenizer, chat template and quantisation are parts of a GGUF file, so its hash covers them.
    return {
        "model": path.name,
        "weights": file_sha256(path, settings.models_dir),
        "adapter": file_sha256(adapter, settings.models_dir) if adapter else None,
    }


def _open(settings: Settings) -> ChatEngine:
    path, adapter = _gguf(settings)
    threads, slots = settings.thread_count, settings.chats_at_once
    return LlamaCpp(path, adapter=adapter, threads=threads, slots=slots, context=settings.context)


def _check(settings: Settings) -> Check:  # noqa: ARG001  # every check takes the settings
    present = importlib.util.find_spec("xllamacpp") is not None
    detail = "llama.cpp (xllamacpp)" if present else "llama.cpp is not installed"
    return Check("engine", ok=present, detail=detail, fix="pip install 'eat_worker[local]'")


KIND = EngineKind(_identity, _open, check_weights, _check)
