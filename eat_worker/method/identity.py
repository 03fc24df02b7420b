"""Which document is which: the hash that makes a second submit of the same file add nothing.

Knows what of a document counts as its identity. Knows no file, no database and no run.
"""

from __future__ import annotations

from hashlib import sha256
from unicodedata import normalize

from eat_worker.method.document import Document


def content_hash(document: Document) -> str:
    """SHA-256 (64 hex digits) over the NFC text, the language, the given id and the gold entities.

    Canonically equal texts hash alike; `dataset` and `meta` do not count. "No gold" and "no entities" differ, and
    the order in which gold entities are listed does not. Offsets are hashed as given, in code points of the raw text.
    """
    text = normalize("NFC", document.text)
    ext_id = document.ext_id
    # Every field of free length carries its length, so that no two documents can spell the same bytes.
    head = f"{len(text)} {len(document.lang)} {'-' if ext_id is None else len(ext_id)} "
    content = f"{head}{text}{document.lang}{ext_id or ''}{_gold(document)}"
    return sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _gold(document: Document) -> str:
    if document.gold is None:
        return "-"
    return ";".join(sorted(f"{entity.start},{entity.end},{entity.tag}" for entity in document.gold))
