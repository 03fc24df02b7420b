"""From settings to a loaded engine and a loaded extractor: the only place that chooses."""

from __future__ import annotations

from pathlib import Path

from eat_worker.engines.engine import ChatEngine
from eat_worker.engines.extractors import opening
from eat_worker.engines.extractors.extractor import Extractor
from eat_worker.engines.identity import demand_endpoint, gguf_adapter, gguf_file, weights_folder
from eat_worker.models.adapter import check_adapter
from eat_worker.settings import Settings


def open_engine(settings: Settings) -> ChatEngine:
    """Load the engine. Raises ModelMissing, ConfigurationError, or what the engine raises when it cannot start."""
    return _OPENERS[settings.engine](settings)


def open_extractor(settings: Settings) -> Extractor | None:
    """Load the extractor, None where the chat engine is it. Raises ConfigurationError or ModelMissing."""
    if settings.extractor == "chat":
        return None
    return opening.open_extractor(settings.extractor, settings.extractor_model, models_dir=settings.models_dir)


def _open_llamacpp(settings: Settings) -> ChatEngine:
    from eat_worker.engines.llamacpp import LlamaCpp

    return LlamaCpp(
        gguf_file(settings),
        adapter=gguf_adapter(settings),
        threads=settings.thread_count,
        slots=settings.chats_at_once,
        context=settings.context,
    )


def _open_qwen(settings: Settings) -> ChatEngine:
    from eat_worker.engines.qwen.engine import Qwen

    base = weights_folder(settings)
    adapter = Path(settings.adapter) if settings.adapter else None
    if adapter:
        check_adapter(adapter, base, settings.models_dir, allow_mixed=settings.allow_mixed)
    return Qwen(
        base,
        adapter=adapter,
        device=settings.device,
        quantisation=settings.quantisation,
        slots=settings.chats_at_once,
        context=settings.context,
        deterministic=settings.deterministic,
    )


def _open_endpoint(settings: Settings) -> ChatEngine:
    from eat_worker.engines.endpoint import Endpoint

    demand_endpoint(settings)
    return Endpoint(
        settings.endpoint_url,
        settings.endpoint_model,
        key=settings.endpoint_key(),
        adapter_model=settings.adapter,
        grammar=settings.endpoint_grammar,
        slots=settings.chats_at_once,
        timeout=settings.endpoint_timeout,
    )


def _open_scripted(settings: Settings) -> ChatEngine:
    from eat_worker.engines.scripted import Scripted

    return Scripted(Path(settings.script) if settings.script else None, slots=settings.chats_at_once)


_OPENERS = {"llamacpp": _open_llamacpp, "qwen": _open_qwen, "endpoint": _open_endpoint, "scripted": _open_scripted}
