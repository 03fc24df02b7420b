"""What an engine's identity is, down to the hashes of its weights, and which queues follow from it.

Reads settings and hashes files; loads no model. Only what can change an answer is part of a fingerprint: weights under
another file name are the same weights, and threads, slots and context decide how fast and whether a text is answered,
not what is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eat_worker.engines.extractors.opening import extractor_identity
from eat_worker.errors import ConfigurationError, ModelMissing
from eat_worker.method.config import CHAT_STAGES, CHOICES
from eat_worker.method.document import Stage
from eat_worker.method.prompts import prompt_set
from eat_worker.models.adapter import check_adapter
from eat_worker.models.fingerprint import file_sha256, fingerprint
from eat_worker.models.folder import folder_parts
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

    `queues` maps each stage that needs a model to the queue such workers consume; an extractor that is no chat has a
    queue of its own.
    """

    fingerprint: str
    detail: Mapping[str, Any]
    queues: Mapping[str, str]


def engine_identity(settings: Settings) -> EngineIdentity:
    """The identity of the engine that the settings name, for the prompt set they name; no model is loaded.

    Raises ModelMissing when the weights are not on this machine: their hash is part of the identity. Raises
    ConfigurationError when the method binds answers to the text and the endpoint is not set up to do that, and when an
    adapter does not belong to its base.
    """
    if settings.engine == "endpoint" and settings.endpoint_grammar == "none" and settings.method_config.constrained:
        raise ConfigurationError(CANNOT_BIND)
    identity = _identity(settings, _weights(settings), settings.prompts)
    return _with_extractor(identity, settings) if settings.method == "eat" else identity


def served_queues(settings: Settings) -> frozenset[str]:
    """The queues a worker with these settings takes documents from: its model with any prompt set, its extractor."""
    weights = _weights(settings)
    identities = [_identity(settings, weights, prompts) for prompts in CHOICES["prompts"]]
    identities.append(_with_extractor(identities[0], settings))
    return frozenset(queue for identity in identities for queue in identity.queues.values())


def _identity(settings: Settings, weights: Mapping[str, Any], prompts: str) -> EngineIdentity:
    detail = {
        "engine": settings.engine,
        **weights,
        "decoding": dict(DECODING),
        "prompts": prompt_set(prompts).id,
        "prompt_set": prompts,
    }
    print_ = fingerprint({**detail, "model": detail["weights"] or detail["model"]})
    return EngineIdentity(print_, detail, dict.fromkeys(CHAT_STAGES, f"chat.{print_[:12]}"))


def _with_extractor(identity: EngineIdentity, settings: Settings) -> EngineIdentity:
    if settings.extractor == "chat":
        return identity
    known = extractor_identity(settings.extractor, settings.extractor_model, models_dir=settings.models_dir)
    print_ = fingerprint({name: value for name, value in known.items() if name != "extractor_model"})
    queues = {**identity.queues, str(Stage.EXTRACT): f"extract.{print_[:12]}"}
    both = fingerprint({"engine": identity.fingerprint, "extractor": print_})
    return EngineIdentity(both, {**identity.detail, **known}, queues)


def _weights(settings: Settings) -> dict[str, Any]:
    return _WEIGHTS[settings.engine](settings)


def gguf_file(settings: Settings) -> Path:
    """The weights of the llamacpp engine. Raises ModelMissing, ConfigurationError."""
    path = locate(settings.model, settings.models_dir)
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder of weights; the llamacpp engine needs one GGUF file")
    return path


def gguf_adapter(settings: Settings) -> Path | None:
    """The adapter of the llamacpp engine. Raises ModelMissing, ConfigurationError."""
    if not settings.adapter:
        return None
    path = Path(settings.adapter)
    if path.is_dir():
        raise ConfigurationError(f"adapter = {path} is a folder; make a GGUF of it: eat model export-gguf-lora {path}")
    if not path.is_file():
        raise ModelMissing(f"adapter = {path}: no such file; it must be a LoRA in GGUF form")
    return path


def weights_folder(settings: Settings) -> Path:
    """The weights of the qwen engine. Raises ModelMissing, ConfigurationError."""
    path = locate(settings.model, settings.models_dir)
    if path.is_file():
        raise ConfigurationError(
            f"{path} is one file; the qwen engine needs a folder: eat model convert {settings.model}"
        )
    if not path.is_dir():
        raise ModelMissing(f"{settings.model} is not in {settings.models_dir}; run: eat model pull {settings.model}")
    return path


def _llamacpp_weights(settings: Settings) -> dict[str, Any]:
    path, adapter = gguf_file(settings), gguf_adapter(settings)
    # Tokenizer, chat template and quantisation are parts of a GGUF file, so its hash covers them.
    return {
        "model": path.name,
        "weights": file_sha256(path, settings.models_dir),
        "adapter": file_sha256(adapter, settings.models_dir) if adapter else None,
    }


def _qwen_weights(settings: Settings) -> dict[str, Any]:
    path = weights_folder(settings)
    detail: dict[str, Any] = {"model": path.name, **folder_parts(path, settings.models_dir), "adapter": None}
    detail["quantisation"] = settings.quantisation
    if settings.deterministic:
        detail["deterministic"] = True
    if settings.adapter:
        allow = settings.allow_mixed
        checked = check_adapter(Path(settings.adapter), path, settings.models_dir, allow_mixed=allow)
        detail |= {"adapter": checked.weights, "adapter_scale": checked.adapter.scale}
        if checked.mixed:
            detail["mixed"] = list(checked.mixed)
    return detail


def _endpoint_weights(settings: Settings) -> dict[str, Any]:
    demand_endpoint(settings)
    # A server does not tell the hash of its weights: its operator answers for the name.
    return {"model": settings.endpoint_model, "weights": None, "adapter": settings.adapter or None}


def _scripted_weights(settings: Settings) -> dict[str, Any]:
    script = Path(settings.script) if settings.script else None
    return {"model": script.name if script else "rules", "weights": _script_hash(script), "adapter": None}


def _script_hash(script: Path | None) -> str | None:
    if script is None:
        return None
    try:
        return hashlib.sha256(script.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{script}: the script cannot be read: {error.strerror}") from error


def demand_endpoint(settings: Settings) -> None:
    """Raises ConfigurationError when the settings name no server or no model on it."""
    if not settings.endpoint_url or not settings.endpoint_model:
        raise ConfigurationError("the endpoint engine needs endpoint_url and endpoint_model")


_WEIGHTS = {
    "llamacpp": _llamacpp_weights,
    "qwen": _qwen_weights,
    "endpoint": _endpoint_weights,
    "scripted": _scripted_weights,
}
