"""What an engine's identity is, down to the hashes of its weights, and which queues follow from it.

Asks the kind of the engine for the hashes of its files; loads no model. Only what can change an answer is part of a
fingerprint: weights under another file name are the same weights, and threads, slots and context decide how fast and
whether a text is answered, not what is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eat_worker.engines.extractors.opening import extractor_identity
from eat_worker.engines.loading import engine_kind
from eat_worker.errors import ConfigurationError
from eat_worker.method.config import CHAT_STAGES, CHOICES
from eat_worker.method.document import Stage
from eat_worker.method.prompts import prompt_set
from eat_worker.models.fingerprint import fingerprint
from eat_worker.settings import Settings

CANNOT_BIND = (
    "the method binds answers to the text and this endpoint is not set up for that; set endpoint_grammar to llama or "
    "vllm, or submit with --forward free --alignment free"
)
DECODING: Mapping[str, Any] = {"temperature": 0}
_KINDS = ("chat", "extract")  # what a queue's name begins with


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
    kind = engine_kind(settings.engine)
    if settings.method_config.constrained and not kind.binds(settings):
        raise ConfigurationError(CANNOT_BIND)
    identity = _identity(settings, kind.identity(settings), settings.prompts)
    return _with_extractor(identity, settings) if settings.method == "eat" else identity


def served_queues(settings: Settings) -> frozenset[str]:
    """The queues a worker with these settings takes documents from: its model with any prompt set, its extractor."""
    weights = engine_kind(settings.engine).identity(settings)
    identities = [_identity(settings, weights, prompts) for prompts in CHOICES["prompts"]]
    identities.append(_with_extractor(identities[0], settings))
    return frozenset(queue for identity in identities for queue in identity.queues.values())


def fingerprint_in(queue: str) -> str | None:
    """The beginning of the fingerprint that a queue is named after; None for a queue that `_queue` did not name."""
    kind, _, digits = queue.partition(".")
    return digits if kind in _KINDS and digits else None


def fingerprints_of(queues: Iterable[str]) -> list[str]:
    """The fingerprints that these queues are named after, each once and sorted."""
    return sorted({found for queue in queues if (found := fingerprint_in(queue))})


def _queue(kind: str, fingerprint: str) -> str:
    return f"{kind}.{fingerprint[:12]}"


def _identity(settings: Settings, weights: Mapping[str, Any], prompts: str) -> EngineIdentity:
    detail = {
        "engine": settings.engine,
        **weights,
        "decoding": dict(DECODING),
        "prompts": prompt_set(prompts).id,
        "prompt_set": prompts,
    }
    print_ = fingerprint({**detail, "model": detail["weights"] or detail["model"]})
    return EngineIdentity(print_, detail, dict.fromkeys(CHAT_STAGES, _queue("chat", print_)))


def _with_extractor(identity: EngineIdentity, settings: Settings) -> EngineIdentity:
    if settings.extractor == "chat":
        return identity
    known = extractor_identity(settings.extractor, settings.extractor_model, models_dir=settings.models_dir)
    print_ = fingerprint({name: value for name, value in known.items() if name != "extractor_model"})
    queues = {**identity.queues, str(Stage.EXTRACT): _queue("extract", print_)}
    both = fingerprint({"engine": identity.fingerprint, "extractor": print_})
    return EngineIdentity(both, {**identity.detail, **known}, queues)
