"""`eat doctor`: what this machine has and lacks, each lack with the line that mends it. Changes and loads nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from eat_worker.engines.engine import Check
from eat_worker.engines.loading import engine_kind
from eat_worker.errors import EatError
from eat_worker.redaction import Redactor, redact_url
from eat_worker.settings import Settings

ROOM = 2_000_000_000  # bytes: the default model and a small run


def doctor(settings: Settings) -> list[Check]:
    """Every check, in the order in which a user would mend things. A check that cannot run fails; none raises."""
    kind = engine_kind(settings.engine)
    checks: tuple[tuple[str, Callable[[Settings], Check]], ...] = (
        ("state folder", _state),
        ("disk", _disk),
        ("database", _database),
        ("broker", _broker),
        ("model", kind.check_model),
        ("engine", kind.check_engine),
        ("tokenizers", _tokenizers),
        ("CPU", _cpu),
        ("GPU", _gpu),
    )
    redact = Redactor(settings.secrets())
    found = [_run(name, check, settings) for name, check in checks]
    return [replace(check, detail=redact(check.detail), fix=redact(check.fix)) for check in found]


def _run(name: str, check: Callable[[Settings], Check], settings: Settings) -> Check:
    try:
        return check(settings)
    except EatError as error:
        # The message of a deliberate error ends in what to do.
        message, _, fix = str(error).partition("; ")
        return Check(name, ok=False, detail=message, fix=fix.removeprefix("run: "))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the user came to hear
        return Check(name, ok=False, detail=f"{type(error).__name__}: {error}")


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _state(settings: Settings) -> Check:
    folder = _nearest(settings.state)
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Check("state folder", ok=True, detail=f"{settings.state}, {_found(settings.state)}")
    fix = "give a folder you may write to: --state DIR or EAT_STATE"
    return Check("state folder", ok=False, detail=f"{folder} cannot be written to", fix=fix)


def _found(path: Path) -> str:
    return "present" if path.exists() else "will be created"


def _disk(settings: Settings) -> Check:
    folder = _nearest(settings.models_dir)
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free for {settings.models_dir}"
    return Check("disk", ok=free >= ROOM, detail=detail, fix="free space, or set --models-dir to a larger disk")


def _database(settings: Settings) -> Check:
    from eat_worker.storage import schema

    name, current, needed = redact_url(settings.database), schema.current(settings.database), schema.head()
    if current == needed:
        return Check("database", ok=True, detail=f"{name} at {current}")
    if current is None:
        detail = f"{name} is empty or missing; submit and run create it"
        return Check("database", ok=not settings.database_url, detail=detail, fix="eat db upgrade")
    schema.check(settings.database)
    return Check("database", ok=False, detail=f"{name} at {current}, needs {needed}", fix="eat db upgrade")


def _broker(settings: Settings) -> Check:
    from eat_worker.jobs.broker import connection as broker

    return Check("broker", ok=True, detail=broker.probe(settings))


def _tokenizers(settings: Settings) -> Check:  # noqa: ARG001  # every check takes the settings
    from eat_worker.metrics.bleu import tokenizer_for

    used = {lang: tokenizer_for(lang) for lang in ("ja", "ko", "zh")}
    complete = "char" not in used.values()
    detail = "BLEU: " + ", ".join(f"{lang} {name}" for lang, name in used.items()) + ", others 13a"
    return Check("tokenizers", ok=complete, detail=detail, fix="pip install 'sacrebleu[ja,ko]'")


def _cpu(settings: Settings) -> Check:
    detail = f"threads of the engine: {settings.thread_count}, slots: {settings.chats_at_once}"
    return Check("CPU", ok=True, detail=detail)


def _gpu(settings: Settings) -> Check:  # noqa: ARG001
    names = list(_gpus())
    return Check("GPU", ok=True, detail=", ".join(names) if names else "none; llama.cpp runs on the CPU")


def _gpus(folder: Path = Path("/proc/driver/nvidia/gpus")) -> Iterator[str]:
    """Model names of NVIDIA devices, as the driver lists them."""
    for information in sorted(folder.glob("*/information")):
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "Model":
                yield value.strip()
