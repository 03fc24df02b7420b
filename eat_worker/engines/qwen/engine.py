"""The engine for GPU workers: Qwen in this process by transformers, in 4 bits, with the fine-tuned adapter per request.

Knows how a Request becomes a token sequence; the parts know the rest: `chat_ids` the tokens, `weights` the model,
`scheduler` the thread that runs it. Imports no model library before an engine is made.
"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from eat_worker.engines.engine import EngineInfo
from eat_worker.errors import ConfigurationError, EatError, TooLong
from eat_worker.method.rounds import Request, RoundResult

if TYPE_CHECKING:
    from eat_worker.engines.qwen.token_sequence import TokenSequence

_PROBE = "Seoul is the capital of Korea."


class Qwen:
    """One base model in a local folder of safetensors, `slots` chats at once, each of up to `context` tokens.

    `adapter` is a peft LoRA folder, switched per request. `device` auto takes a GPU where there is one. `quantisation`
    is nf4 or none, `dtype` of the arithmetic bfloat16 or float32. `deterministic` answers one chat at a time, each
    computed from its first token on: slower, and independent of what else is asked. `memory_tokens` bounds the tokens
    whose keys and values are held, running and kept; None: as many as fit. Raises ConfigurationError when something
    of this does not load or fit together.
    """

    def __init__(
        self,
        base: Path,
        *,
        adapter: Path | None,
        device: str = "auto",
        quantisation: str = "nf4",
        dtype: str = "bfloat16",
        slots: int,
        context: int,
        deterministic: bool = False,
        memory_tokens: int | None = None,
    ) -> None:
        try:
            from eat_worker.engines.qwen.admission import Plan
            from eat_worker.engines.qwen.chat_ids import ChatIds
            from eat_worker.engines.qwen.scheduler import Scheduler
            from eat_worker.engines.qwen.weights import load_weights
        except ImportError as error:
            raise ConfigurationError(
                f"the qwen engine is not installed ({error}); run: pip install 'eat_worker[gpu]'"
            ) from error
        self._chat = ChatIds(base)
        weights = load_weights(
            base,
            adapter,
            vocabulary=len(self._chat.vocabulary),
            device=device,
            quantisation=quantisation,
            dtype=dtype,
        )
        if context > weights.context:
            raise ConfigurationError(f"context = {context} is more than the {weights.context} tokens of {base.name}")
        weights.probe(self._chat.plain_ids(_PROBE))
        tokens = memory_tokens or min(weights.free_tokens(), 4 * slots * context)
        self._context, self._has_adapter = context, adapter is not None
        self._scheduler = Scheduler(weights, self._chat, Plan(slots, tokens, deterministic))
        detail = {
            "device": str(weights.device),
            "quantisation": quantisation,
            "dtype": dtype,
            "context": context,
            "deterministic": deterministic,
            "memory_tokens": tokens,
        }
        self.info = EngineInfo("qwen", base.name, 1 if deterministic else slots, constrained=True, detail=detail)

    @property
    def oom_splits(self) -> int:
        """How often a batch was halved because memory ended; the metrics show it."""
        return self._scheduler.oom_splits

    def submit(self, request: Request) -> Future[RoundResult]:
        """The greedy answer to come. The future raises TooLong, TooLarge, NumericFault, EngineError, EngineBroken, or
        EngineUnavailable once the engine is closed.
        """
        try:
            sequence = self._sequence(request)
            self._scheduler.put(sequence)
        except EatError as error:
            failed: Future[RoundResult] = Future()
            failed.set_exception(error)
            return failed
        return sequence.future

    def ask(self, request: Request) -> RoundResult:
        """The greedy answer, waited for; see `submit`."""
        return self.submit(request).result()

    def close(self) -> None:
        """Answer what was asked, end the thread and give the memory back."""
        self._scheduler.close()

    def _sequence(self, request: Request) -> TokenSequence:
        from eat_worker.engines.qwen.token_sequence import TokenSequence

        prompt = self._chat.encode(request.messages)
        limit = request.limits.max_new_tokens
        if len(prompt.ids) + limit > self._context:
            raise TooLong(
                f"{len(prompt.ids)} prompt tokens and {limit} for the answer do not fit the context of {self._context}"
            )
        sequence = TokenSequence(request, prompt, request.adapter and self._has_adapter)
        sequence.future.set_running_or_notify_cancel()  # from here on nobody may cancel it: the thread will answer
        return sequence
