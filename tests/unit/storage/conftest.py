"""A store on a fresh SQLite file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from eat_worker.method.config import MethodConfig
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import Run, RunSpec


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of an SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'state' / 'eat.db'}"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at head, to be copied: quicker than migrating one per test."""
    file = tmp_path_factory.mktemp("migrated") / "eat.db"
    open_store(f"sqlite:///{file}", create=True).close()
    return file


@pytest.fixture
def store(url: str, migrated_file: Path, tmp_path: Path) -> Iterator[Store]:
    """An open, empty store."""
    (tmp_path / "state").mkdir()
    shutil.copy(migrated_file, tmp_path / "state" / "eat.db")
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> Run:
    """A run without documents."""
    queues = {"forward": "gpu", "extract": "cpu"}
    return store.runs.add_run(RunSpec("news", "ko", "klue", MethodConfig(), "f1", {"name": "scripted"}, queues))
