"""One run of a scripted corpus: its files, its settings, and the processes that work on it.

Knows the command line of eat and how its processes are started, killed and started again. Knows no server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from eat_worker.jobs.broker.server import EmbeddedServer
from eat_worker.jobs.shutdown import PARENT_VARIABLE
from eat_worker.jobs.supervisor import environment
from eat_worker.runs.submitting import submit
from eat_worker.settings import load_settings

HERE = Path(__file__).parent
EAT = [sys.executable, "-m", "eat_worker"]
DISPATCHER = [sys.executable, str(HERE / "lone_dispatcher.py")]
RUN = "r"
STOP_SECONDS = 60.0
STAGES = 5  # forward, extract, backward, back_translation, score
ROUNDS, ROUNDS_PER_ENTITY = 7, 3  # forward 3, extract 1, back-translation 3; each entity is asked for three times


def entities_of(number: int) -> int:
    """How many entities the sentence of document `number` has: every third has two."""
    return 2 if number % 3 == 0 else 1


def rounds_of(documents: int) -> int:
    """How many rounds a corpus of so many documents has when none is asked twice."""
    return sum(ROUNDS + ROUNDS_PER_ENTITY * entities_of(number) for number in range(documents))


def sentence(number: int) -> dict[str, Any]:
    """What the scripted engine knows of document `number`; no entity is spelled as in English, so all are asked for."""
    place, english = f"Seoel{number % 97}", f"Seoul{number % 97}"
    entities = [[english, "LOC", place]]
    text, translation = f"Minister {number} fuhr nach {place}", f"Minister {number} went to {english}"
    if entities_of(number) == 2:
        text, translation = f"{text} zur Banke{number % 89}", f"{translation} to the Bank{number % 89}"
        entities.append([f"Bank{number % 89}", "ORG", f"Banke{number % 89}"])
    return {"text": text, "english": translation, "entities": entities}


def record(number: int) -> dict[str, Any]:
    """Document `number` as a line of a corpus, with gold entities."""
    known = sentence(number)
    spans = [(known["text"].index(words), words, tag) for _, tag, words in known["entities"]]
    gold = [{"start": start, "end": start + len(words), "tag": tag} for start, words, tag in spans]
    return {"id": f"d{number}", "text": known["text"], "entities": gold}


class Child:
    """A process that is started again after it ended. `log` is appended to, `env` may be changed between starts."""

    def __init__(self, name: str, command: Sequence[str], env: dict[str, str], cwd: Path, log: Path | None) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.due = 0.0  # when it may be started again, on the monotonic clock
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.env, self._cwd = env, cwd

    def start(self) -> None:
        """Start it."""
        stderr = subprocess.PIPE if self.log is None else self.log.open("ab")
        self.process = subprocess.Popen(
            self.command,
            env=self.env,
            cwd=self._cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        self.starts += 1
        if stderr != subprocess.PIPE:
            stderr.close()  # type: ignore[union-attr]  # an open file: the process has its own handle

    @property
    def pid(self) -> int:
        """Its process id; it must have been started."""
        assert self.process is not None
        return self.process.pid

    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self.process is None else self.process.poll()

    def runs(self) -> bool:
        """Whether it runs now."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        """A signal, if it runs."""
        if self.runs():
            os.kill(self.pid, number)

    def end(self, number: int = signal.SIGKILL) -> int | None:
        """A signal and its exit code; SIGKILL when it does not come to an end."""
        self.send(number)
        if self.process is None:
            return None
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Site:
    """A folder with a corpus, a script and a run of both. `settings` overrides what is fit for campaigns.

    `documents` is how many are submitted, `room` how many may be added later.
    """

    def __init__(self, folder: Path, documents: int, *, seconds: float = 0.0, room: int = 0, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.documents, self.room = documents, room
        self.asked, self.struck = folder / "asked", folder / "struck"
        self.prepare(seconds)
        given = {"engine": "scripted", "script": str(folder / "script.jsonl"), "forward": "free", "alignment": "free"}
        given |= {"state": str(folder / "state"), "health_address": "none", "log_format": "json", **settings}
        self.settings = load_settings(given, directory=folder, environ=_places())
        self.children: list[Child] = []

    def prepare(self, seconds: float) -> None:
        """Write script and corpus; the engine takes so many seconds per round."""
        lines = [sentence(number) for number in range(self.documents + self.room)]
        if seconds:
            lines.append({"fault": "sleep", "text": "", "seconds": seconds})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (self.folder / "script.jsonl").write_text(text, encoding="utf-8")
        self._write_corpus(range(self.documents))

    def _write_corpus(self, numbers: range) -> Path:
        corpus = self.folder / "corpus.jsonl"
        corpus.write_text("".join(json.dumps(record(number)) + "\n" for number in numbers), encoding="utf-8")
        return corpus

    @property
    def environ(self) -> dict[str, str]:
        """The variables of its processes: these settings, no parent to watch, no coverage."""
        given = environment(self.settings)
        del given[PARENT_VARIABLE]
        return {name: value for name, value in given.items() if not name.startswith("COV")}

    def eat(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run an eat command to its end."""
        command = [*EAT, *words]
        done = subprocess.run(command, env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"eat {' '.join(words)} ended with {done.returncode}: {done.stderr[-500:]}")
        return done

    def submit(self) -> None:
        """`eat db upgrade` where the database is a server, then `eat submit`."""
        if not self.settings.database.startswith("sqlite"):
            self.eat("db", "upgrade")
        self.eat("submit", "corpus.jsonl", "--lang", "de", "--run", RUN)

    def add(self, documents: int, database_url: str = "") -> None:
        """Submit so many more documents, to the database of that URL where it is not that of the settings."""
        if self.room < documents:
            raise RuntimeError("the script has no more sentences")
        corpus = self._write_corpus(range(self.documents, self.documents + documents))
        settings = replace(self.settings, database_url=database_url or self.settings.database_url)
        submit(settings, corpus, lang="de", name=RUN)
        self.documents, self.room = self.documents + documents, self.room - documents

    def worker(self, name: str = "worker", *, log: bool = True) -> Child:
        """An `eat worker` whose requests are counted; not started yet."""
        command = [sys.executable, str(HERE / "wrapped_worker.py"), "--asked", str(self.asked)]
        return self._child(name, command, log=log)

    def dispatcher(self) -> Child:
        """A dispatcher of its own; not started yet."""
        return self._child("dispatcher", DISPATCHER, log=True)

    def _child(self, name: str, command: list[str], *, log: bool) -> Child:
        folder = self.settings.state
        folder.mkdir(mode=0o700, exist_ok=True)
        child = Child(name, command, self.environ, folder, self.folder / f"{name}.log" if log else None)
        self.children.append(child)
        return child

    def requests(self) -> int:
        """Requests to the engine, answered or not."""
        return self.asked.stat().st_size if self.asked.exists() else 0

    def strikes(self) -> list[str]:
        """The named points at which workers died, in order."""
        return self.struck.read_text().splitlines() if self.struck.exists() else []

    def log_lines(self, words: str) -> int:
        """How often these words stand in the logs of its processes."""
        return sum(
            child.log.read_text(encoding="utf-8", errors="replace").count(words)
            for child in self.children
            if child.log is not None and child.log.exists()
        )

    def close(self) -> None:
        """End whatever was started here, by its id, the embedded broker too."""
        for child in self.children:
            child.send(signal.SIGCONT)
            child.end()
        if not self.settings.broker_url and self.settings.state.exists():
            with suppress(Exception), EmbeddedServer(self.settings.state):
                pass  # the last one out shuts it down


def _places() -> dict[str, str]:
    """The variables that say where models are; of those that set anything else none is taken over."""
    known = {name: os.environ[name] for name in ("XDG_CACHE_HOME", "EAT_MODELS_DIR") if name in os.environ}
    return {"HOME": str(Path.home()), **known}


def eventually(condition: Any, what: str, seconds: float = 60.0, pause: float = 0.05) -> float:
    """Wait until the condition holds; the seconds it took. Raises TimeoutError."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
    return time.monotonic() - began
