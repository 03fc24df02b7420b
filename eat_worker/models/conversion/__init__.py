"""Weights in another form: GGUF to a safetensors folder, an adapter merged into its base, an adapter as GGUF.

Knows file formats and the layout of Qwen2. Fetches nothing and answers nothing; torch is loaded only inside.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from eat_worker import __version__
from eat_worker.errors import ConfigurationError

NEEDED = ("torch", "gguf", "safetensors", "tokenizers")


def require_libraries() -> None:
    """Raises ConfigurationError, with what to install, unless all of them are here. Loads none of them."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"{', '.join(missing)} is not installed; run: pip install 'eat_worker[gpu]'")


def versions() -> dict[str, str]:
    """The version of this program and of each library."""
    found = {"eat_worker": __version__}
    for name in NEEDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # importable, but not installed as a package
            found[name] = "unknown"
    return found
