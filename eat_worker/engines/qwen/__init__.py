"""The engine for GPU workers, described: what it is made of and how it is opened. Loads no model library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eat_worker.engines.engine import ChatEngine, Check, EngineKind, check_weights
from eat_worker.errors import ConfigurationError, ModelMissing
from eat_worker.models.adapter import check_adapter
from eat_worker.models.folder import folder_parts
from eat_worker.models.installed import locate
from eat_worker.settings import Settings


def _folder(settings: Settings) -> Path:
    path = locate(settings.model, settings.models_dir)
    if path.is_file():
        raise ConfigurationError(
            f"{path} is one file; the qwen engine needs a folder: eat model convert {settings.model}"
        )
    if not path.is_dir():
        raise ModelMissing(f"{settings.model} is not in {settings.models_dir}; run: eat model pull {settings.model}")
    return path


def _identity(settings: Settings) -> dict[str, Any]:
    path = _folder(settings)
    detail: dict[str, Any] = {"model": path.name, **folder_parts(path, settings.models_dir), "adapter": None}
    detail["quantisation"] = settings.quantisation
    if settings.deterministic:
        detail["deterministic"] = True
    if settings.adapter_path:
        allow = settings.allow_mixed
        checked = check_adapter(Path(settings.adapter_path), path, settings.models_dir, allow_mixed=allow)
        detail |= {"adapter": checked.weights, "adapter_scale": checked.adapter.scale}
        if checked.mixed:
            detail["mixed"] = list(checked.mixed)
    return detail


def _open(settings: Settings) -> ChatEngine:
    from eat_worker.engines.qwen.engine import Qwen

    base = _folder(settings)
    adapter = Path(settings.adapter_path) if settings.adapter_path else None
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


KIND = EngineKind(_identity, _open, check_weights, lambda _settings: Check("engine", ok=True, detail="qwen"))
