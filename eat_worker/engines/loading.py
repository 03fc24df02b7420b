"""From settings to an engine: the only place that chooses, and the only one that says what an engine's identity is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eat_worker.engines.engine import ChatEngine
from eat_worker.errors import ConfigurationError
from eat_worker.method.document import Stage
from eat_worker.method.prompts import prompt_set
from eat_worker.models.fingerprint import file_sha256, fingerprint
from eat_worker.models.installed import locate
from eat_worker.settings import Settings

DECODING: Mapping[str, Any] = {"temperature": 0}


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """What answers, down to the hash of its weights. Documents go only to workers of the same fingerprint.

    `queues` maps each stage that needs the model to the queue such workers consume.
    """

    fingerprint: str
    detail: Mapping[str, Any]
    queues: Mapping[str, str]


def engine_identity(settings: Settings) -> EngineIdentity:
    """The identity of the engine that the settings name; no model is loaded.

    Raises ModelMissing when the weights are not on this machine: their hash is part of the identity.
    """
    detail = {
        "engine": settings.engine,
        **_WEIGHTS[settings.engine](settings),
        "decoding": dict(DECODING),
        "prompts": prompt_set(settings.prompts).id,
        "prompt_set": settings.prompts,
    }
    print_ = fingerprint(detail)
    queue = f"chat.{print_[:12]}"
    model_stages = (Stage.FORWARD, Stage.EXTRACT, Stage.BACKWARD, Stage.BACK_TRANSLATION, Stage.DIRECT)
    return EngineIdentity(print_, detail, {str(stage): queue for stage in model_stages})


def open_engine(settings: Settings) -> ChatEngine:
    """Load the engine. Raises ModelMissing, ConfigurationError, or what the engine raises when it cannot start.

    A run whose rounds are bound to the text needs an engine that can do that; another is refused here, not later.
    """
    engine = _OPENERS[settings.engine](settings)
    if settings.method_config.constrained and not engine.info.constrained:
        engine.close()
        raise ConfigurationError(
            "this endpoint is not set up to bind answers to the text; set endpoint_grammar to llama or vllm, "
            "or use --think free --alignment free"
        )
    return engine


def _open_llamacpp(settings: Settings) -> ChatEngine:
    from eat_worker.engines.llamacpp import LlamaCpp

    return LlamaCpp(
        locate(settings.model, settings.models_dir),
        adapter=Path(settings.adapter) if settings.adapter else None,
        threads=settings.thread_count,
        slots=settings.slots,
        context=settings.context,
    )


def _open_endpoint(settings: Settings) -> ChatEngine:
    from eat_worker.engines.endpoint import Endpoint

    _demand_endpoint(settings)
    return Endpoint(
        settings.endpoint_url,
        settings.endpoint_model,
        key=settings.endpoint_key(),
        adapter_model=settings.adapter,
        grammar=settings.endpoint_grammar,
        slots=settings.slots,
        timeout=settings.endpoint_timeout,
    )


def _open_scripted(settings: Settings) -> ChatEngine:
    from eat_worker.engines.scripted import Scripted

    return Scripted(Path(settings.script) if settings.script else None, slots=settings.slots)


def _llamacpp_weights(settings: Settings) -> dict[str, Any]:
    path = locate(settings.model, settings.models_dir)
    weights = file_sha256(path, settings.models_dir)
    adapter = file_sha256(Path(settings.adapter), settings.models_dir) if settings.adapter else None
    # Tokenizer, chat template and quantisation are parts of a GGUF file, so its hash covers them.
    return {"model": path.name, "weights": weights, "adapter": adapter, "context": settings.context}


def _endpoint_weights(settings: Settings) -> dict[str, Any]:
    _demand_endpoint(settings)
    # A server does not tell the hash of its weights: its operator answers for the name.
    return {"model": settings.endpoint_model, "adapter": settings.adapter or None}


def _scripted_weights(settings: Settings) -> dict[str, Any]:
    script = Path(settings.script) if settings.script else None
    return {"model": script.name if script else "rules", "weights": _script_hash(script), "adapter": None}


def _script_hash(script: Path | None) -> str | None:
    if script is None:
        return None
    import hashlib

    try:
        return hashlib.sha256(script.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{script}: the script cannot be read: {error.strerror}") from error


def _demand_endpoint(settings: Settings) -> None:
    if not settings.endpoint_url or not settings.endpoint_model:
        raise ConfigurationError("the endpoint engine needs endpoint_url and endpoint_model")


_WEIGHTS = {"llamacpp": _llamacpp_weights, "endpoint": _endpoint_weights, "scripted": _scripted_weights}
_OPENERS = {"llamacpp": _open_llamacpp, "endpoint": _open_endpoint, "scripted": _open_scripted}
