"""A store with a run in it, and an engine that answers at once and tells what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eat_worker.engines.scripted import Scripted
from eat_worker.jobs.document.advance import Advancer
from eat_worker.jobs.document.leases import HeldLeases
from eat_worker.jobs.document.stages import Tools
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Document, GoldEntity
from eat_worker.method.prompts import prompt_set
from eat_worker.method.rounds import Request, RoundResult
from eat_worker.storage.store import Store, open_store
from eat_worker.storage.values import Run, RunSpec

MODEL_STAGES = ("forward", "extract", "backward", "back_translation", "direct")


class Listening(Scripted):
    """The scripted engine; `before` sees every request's number (from 1) and may raise."""

    def __init__(self) -> None:
        super().__init__(None, slots=1)
        self.requests: list[Request] = []
        self.before: Callable[[int], None] = lambda number: None

    def ask(self, request: Request) -> RoundResult:
        self.requests.append(request)
        self.before(len(self.requests))
        return super().ask(request)


class Desk:
    """One worker's view of a store: its advancer, and short ways to look at the rows."""

    def __init__(self, store: Store, engine: Listening) -> None:
        self.store = store
        self.engine = engine
        self.stop = threading.Event()
        self.leases = HeldLeases(store, "w1", 60.0, self.stop)

    def advancer(self, *queues: str, **options: Any) -> Advancer:
        """One that tries again at once, unless it is given another chance."""
        options = {"max_faults": 3, **options}
        return Advancer(self.store, Tools(self.engine), self.leases, queues=queues or ("chat.a",), **options)

    def add_run(self, documents: int = 1, name: str = "news", queue: str = "chat.a", **config: Any) -> Run:
        """One entity per document; by default seven rounds: 3 forward, 1 extract, 3 back-translation."""
        settings = MethodConfig(**config)
        queues = dict.fromkeys(MODEL_STAGES, queue)
        run = self.store.runs.add_run(RunSpec(name, "de", "test", settings, "f" * 64, {"name": "rules"}, queues))
        self.store.runs.add_prompts(prompt_set(settings.prompts).listed(settings.rounds))
        gold = (GoldEntity(0, 5, "LOC"),)
        new = (Document(f"Seoul liegt am Fluss {number}", "de", gold=gold) for number in range(documents))
        self.store.runs.add_documents(run.id, new)
        return run

    def status(self, document_id: int = 1) -> str:
        return self.store.reading.dossier(document_id).status

    def rounds(self, document_id: int = 1) -> list[tuple[str, int, int]]:
        return [(str(said.stage), said.entity, said.round) for said in self.store.reading.dossier(document_id).rounds]

    def attempts(self, document_id: int = 1) -> list[tuple[str, str | None]]:
        return [(attempt.stage, attempt.outcome) for attempt in self.store.reading.dossier(document_id).attempts]

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Plain SQL, for what the store must not offer."""
        from sqlalchemy import text

        with self.store.database.write() as transaction:
            return transaction.rows(text(statement), **values)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk on a fresh SQLite store."""
    engine = Listening()
    with open_store(f"sqlite:///{tmp_path / 'eat.db'}", create=True) as store:
        yield Desk(store, engine)
    engine.close()
