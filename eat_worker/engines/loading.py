"""From settings to a loaded engine and a loaded extractor: the only place that chooses."""

from __future__ import annotations

import importlib

from eat_worker.engines.engine import ChatEngine, EngineKind
from eat_worker.engines.extractors import opening
from eat_worker.engines.extractors.extractor import Extractor
from eat_worker.settings import Settings


def engine_kind(name: str) -> EngineKind:
    """What is known of an engine by its name in `settings.ENGINES`, which is the name of its module here."""
    kind = importlib.import_module(f"eat_worker.engines.{name}").KIND
    assert isinstance(kind, EngineKind)
    return kind


def open_engine(settings: Settings) -> ChatEngine:
    """Load the engine. Raises ModelMissing, ConfigurationError, or what the engine raises when it cannot start."""
    return engine_kind(settings.engine).open(settings)


def open_extractor(settings: Settings) -> Extractor | None:
    """Load the extractor, None where the chat engine is it. Raises ConfigurationError or ModelMissing."""
    if settings.extractor == "chat":
        return None
    return opening.open_extractor(settings.extractor, settings.extractor_model, models_dir=settings.models_dir)
