"""From settings to an engine: the only place that chooses, and the only one that says what an engine's identity is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eat_worker.engines.engine import ChatEngine
from eat_worker.errors import ConfigurationError, ModelMissing
from eat_worker.method.config import CHOICES
from eat_worker.method.document import Stage
from eat_worker.method.prompts import prompt_set
from eat_worker.models.fingerprint import file_sha256, fingerprint
from eat_worker.models.installed import locate
from eat_worker.settings import Settings

CANNOT_BIND = (
    "the method binds answers to the text and this endpoint is not set up for that; set endpoint_grammar to llama or "
    "vllm, or submit with --forward free --alignment free"
)
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
    """The identity of the engine that the settings name, for the prompt set they name; no model is loaded.

    Only what can change an answer is part of the fingerprint: weights under another file name are the same weights,
    and threads, slots and context decide how fast and whether a text is answered, not what is said. Raises
    ModelMissing when the weights are not on this machine: their hash is part of the identity. Raises
    ConfigurationError when the method binds answers to the text and the endpoint is not set up to do that.
    """
    if settings.engine == "endpoint" and settings.endpoint_grammar == "none" and settings.method_config.constrained:
        raise ConfigurationError(CANNOT_BIND)
    return _identity(settings, _weights(settings), settings.prompts)


def served_queues(settings: Settings) -> frozenset[str]:
    """The queues a worker with these settings takes documents from: its own model with any prompt set it knows."""
    weights = _weights(settings)
    return frozenset(
        queue for prompts in CHOICES["prompts"] for queue in _identity(settings, weights, prompts).queues.values()
    )


def _identity(settings: Settings, weights: Mapping[str, Any], prompts: str) -> EngineIdentity:
    detail = {
        "engine": settings.engine,
        **weights,
        "decoding": dict(DECODING),
        "prompts": prompt_set(prompts).id,
        "prompt_set": prompts,
    }
    print_ = fingerprint({**detail, "model": detail["weights"] or detail["model"]})
    queue = f"chat.{print_[:12]}"
    model_stages = (Stage.FORWARD, Stage.EXTRACT, Stage.BACKWARD, Stage.BACK_TRANSLATION, Stage.DIRECT)
    return EngineIdentity(print_, detail, {str(stage): queue for stage in model_stages})


def open_engine(settings: Settings) -> ChatEngine:
    """Load the engine. Raises ModelMissing, ConfigurationError, or what the engine raises when it cannot start."""
    return _OPENERS[settings.engine](settings)


def _open_llamacpp(settings: Settings) -> ChatEngine:
    from eat_worker.engines.llamacpp import LlamaCpp

    return LlamaCpp(
        _gguf(locate(settings.model, settings.models_dir)),
        adapter=_adapter(settings),
        threads=settings.thread_count,
        slots=settings.slots,
        context=settings.context,
    )


def _weights(settings: Settings) -> dict[str, Any]:
    return _WEIGHTS[settings.engine](settings)


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


def _gguf(path: Path) -> Path:
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder of weights; the llamacpp engine needs one GGUF file")
    return path


def _adapter(settings: Settings) -> Path | None:
    if not settings.adapter:
        return None
    path = Path(settings.adapter)
    if not path.is_file():
        raise ModelMissing(f"adapter = {path}: no such file; it must be a LoRA in GGUF form")
    return path


def _llamacpp_weights(settings: Settings) -> dict[str, Any]:
    path, adapter = _gguf(locate(settings.model, settings.models_dir)), _adapter(settings)
    # Tokenizer, chat template and quantisation are parts of a GGUF file, so its hash covers them.
    return {
        "model": path.name,
        "weights": file_sha256(path, settings.models_dir),
        "adapter": file_sha256(adapter, settings.models_dir) if adapter else None,
    }


def _endpoint_weights(settings: Settings) -> dict[str, Any]:
    _demand_endpoint(settings)
    # A server does not tell the hash of its weights: its operator answers for the name.
    return {"model": settings.endpoint_model, "weights": None, "adapter": settings.adapter or None}


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
