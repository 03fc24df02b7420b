"""The documents of the simulated world: what they say, what the scripted engine answers, and how their runs are set.

Every answer follows from the question alone, so that a run with faults must end in the same results as one without.
"""

from __future__ import annotations

import json
from pathlib import Path

from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Document, GoldEntity
from eat_worker.method.prompts import prompt_set
from eat_worker.storage.store import Store
from eat_worker.storage.values import Run, RunSpec

CHAT, EXTRACT = "chat.a", "extract.b"
MOST = 8  # documents of a world
CONFIGS = {
    # Seven or ten rounds per document, four stages: three forward, one extract, three for each entity, scores.
    "three_rounds": MethodConfig(forward="free", alignment="free", back_translation=False),
    "one_round": MethodConfig(forward="free", alignment="free", back_translation=False, rounds=1),
    "bound": MethodConfig(back_translation=False),
    "direct": MethodConfig(method="direct"),
}
KINDS = tuple(CONFIGS)
MODEL_STAGES = ("forward", "extract", "backward", "back_translation", "direct")
CITIES = (("Seoul", "Seoel"), ("Vienna", "Wien"))


def text_of(number: int) -> str:
    """The text of the document of that number. Every second one names two cities."""
    return f"Herr {number} fuhr nach Seoel" + (" und Wien" if number % 2 else "")


def document(number: int) -> Document:
    """The document of that number, from 1."""
    text = text_of(number)
    start = text.index("Seoel")
    return Document(text, "de", gold=(GoldEntity(start, start + 5, "LOC"), GoldEntity(0, 4, "PER")))


def write_script(folder: Path) -> Path:
    """The script of the engine: what each text is in English, and where its entities stand."""
    lines = []
    for number in range(1, MOST + 1):
        english = f"Mister {number} went to Seoul" + (" and Vienna" if number % 2 else "")
        entities = [[name, "LOC", words] for name, words in CITIES if name in english]
        lines.append({"text": text_of(number), "english": english, "entities": entities})
    script = folder / "script.jsonl"
    script.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return script


def submit(store: Store, kind: str, sizes: tuple[int, ...], *, two_queues: bool) -> list[Run]:
    """Runs of those sizes; documents are numbered as the database numbers them."""
    config, number, runs = CONFIGS[kind], 1, []
    queues = dict.fromkeys(MODEL_STAGES, CHAT) | ({"extract": EXTRACT} if two_queues else {})
    store.runs.add_prompts(prompt_set(config.prompts).listed(config.rounds))
    for name, size in zip(("first", "second"), sizes, strict=False):
        run = store.runs.add_run(RunSpec(name, "de", "test", config, "f" * 64, {"name": "scripted"}, queues))
        store.runs.add_documents(run.id, [document(number + one) for one in range(size)])
        number += size
        runs.append(run)
    return runs
