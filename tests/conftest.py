"""What all tests share: the log left as it was, and models small enough for tests: one that is installed on this
machine, one of random weights made here."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from eat_worker.errors import ModelMissing
from eat_worker.models.installed import locate

# A shell that starts the tests in the background has them ignore Ctrl-C, and every command they start inherits that.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

SMALL_MODEL = "smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """The log as it was: a command that ran in this process wrote to a stream that is closed by the next test."""
    root, ours = logging.getLogger(), logging.getLogger("eat_worker")
    before, levels = list(root.handlers), (root.level, ours.level)
    yield
    for handler in [known for known in root.handlers if known not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The weights of smollm2-135m-instruct. Skips where they are missing, fails in CI."""
    folder = os.environ.get("EAT_MODELS_DIR") or os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/eat_worker/models"
    try:
        return locate(SMALL_MODEL, Path(folder).expanduser())
    except ModelMissing:
        message = f"no weights to test with; run: eat model pull {SMALL_MODEL}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    """`tests/tiny_qwen.py`, which writes tiny models and adapters: `tiny_models.tiny_qwen(folder, seed=1)`.

    Skips where the libraries of the extra [gpu] are missing.
    """
    for library in ("torch", "transformers", "peft", "tokenizers", "safetensors", "gguf"):
        if importlib.util.find_spec(library) is None:  # found, not imported: torch takes seconds
            pytest.skip(f"no {library}; run: pip install 'eat_worker[gpu]'")
    # Test modules are not importable by name (--import-mode=importlib).
    spec = importlib.util.spec_from_file_location("tiny_qwen", Path(__file__).with_name("tiny_qwen.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_qwen_folder(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 of random weights. Read it only: it is shared."""
    folder: Path = tiny_models.tiny_qwen(tmp_path_factory.mktemp("tiny") / "tiny-qwen")
    return folder


@pytest.fixture(scope="session")
def tiny_adapter_folder(
    tiny_models: ModuleType, tiny_qwen_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A LoRA adapter (r=64, alpha=16) of `tiny_qwen_folder`. Read it only: it is shared."""
    folder: Path = tiny_models.tiny_adapter(tiny_qwen_folder, tmp_path_factory.mktemp("tiny") / "tiny-adapter")
    return folder


@pytest.fixture(scope="session")
def tiny_gguf_file(tiny_models: ModuleType, tiny_qwen_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_qwen_folder` as a GGUF file in float32. Read it only: it is shared."""
    file: Path = tiny_models.tiny_gguf(tiny_qwen_folder, tmp_path_factory.mktemp("tiny") / "tiny.gguf")
    return file
