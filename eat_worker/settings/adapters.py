"""Adapters that come along with the program: one folder per model in `models/adapters`, with its card.

Each is there in llama.cpp's form and in peft's. Knows names and paths; reads no weights.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "models" / "adapters"
_FORMS = {"llamacpp": "adapter.gguf", "qwen": ""}
"""What each engine loads: a file in the model's folder, or the folder itself."""


def adapter_of(model: str, engine: str) -> Path | None:
    """The adapter that comes along with a model of the catalog, in the form that the engine loads; None without one.

    The converted form of a model (`NAME-hf`) has the adapter of the model.
    """
    form = _FORMS.get(engine)
    folder = _FOLDER / model.removesuffix("-hf")
    if form is None or folder.parent != _FOLDER or not (folder / "adapter_config.json").is_file():
        return None
    return folder / form
