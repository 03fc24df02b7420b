"""Queue-based annotation workers for zero-shot cross-lingual named entities (Entity-Aligned Translation).

The names of `__all__` are the library: one document annotated in this process, without a queue or a database. They are
loaded when they are first used. See docs/library.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eat_worker.method.annotate import Annotation
    from eat_worker.method.config import MethodConfig
    from eat_worker.method.document import Document
    from eat_worker.runs.annotating import annotate, open_engine

__version__ = "0.1.0"
__all__ = ["Annotation", "Document", "MethodConfig", "annotate", "open_engine"]

_HOMES = {
    "Annotation": "eat_worker.method.annotate",
    "Document": "eat_worker.method.document",
    "MethodConfig": "eat_worker.method.config",
    "annotate": "eat_worker.runs.annotating",
    "open_engine": "eat_worker.runs.annotating",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
