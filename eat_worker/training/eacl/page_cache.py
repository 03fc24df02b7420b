"""What Wikipedia has said, on disk: one small file per page and question, so that nothing is ever asked twice.

A file's name is the hash of what was asked. It appears whole or not at all, so a killed run leaves nothing to repair.
Knows nothing of what the answers mean.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import orjson

from eat_worker.private_files import make_private_folder

Answer = dict[str, Any]


class PageCache:
    """Answers by (address, question, title) in `folder`. There is no expiry: delete the folder to ask anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, url: str, question: str, title: str) -> Answer | None:
        """The answer about a page; None when it was never asked, or its file is damaged."""
        try:
            value = orjson.loads(self._path(url, question, title).read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None
        return value["answer"] if isinstance(value, dict) and value.get("title") == title else None

    def put(self, url: str, question: str, title: str, answer: Answer) -> None:
        """Keep an answer. OSError of a full disk is passed on."""
        path = self._path(url, question, title)
        make_private_folder(path.parent)
        # The question stands beside the answer for whoever looks into the folder.
        row = orjson.dumps({"url": url, "question": question, "title": title, "answer": answer})
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        with os.fdopen(handle, "wb") as file:
            file.write(row)
        Path(name).replace(path)

    def _path(self, url: str, question: str, title: str) -> Path:
        digest = hashlib.sha256(f"{url}\0{question}\0{title}".encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest[2:]}.json"
