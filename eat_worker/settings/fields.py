"""Every setting in one place: name, default, what it may be, the commands that have an option for it, and its help.

The options of the command line, `eat config` and docs/reference.md are made of this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from eat_worker.cpus import available_cpus
from eat_worker.errors import ConfigurationError
from eat_worker.method.config import CHOICES as METHOD_CHOICES
from eat_worker.method.config import TUNED_STAGES, MethodConfig
from eat_worker.redaction import passwords_in, redact_url
from eat_worker.settings.adapters import adapter_of
from eat_worker.urls import sqlite_url


@dataclass(frozen=True, slots=True)
class KnownEngine:
    """What the settings must know of an engine; the rest is in its module, `engines/NAME`."""

    #: Chats at once where `slots` is 0.
    slots: int
    #: Whether it answers on another machine: no weights lie here, and its requests end by themselves.
    remote: bool = False


# One chat keeps two cores busy, and alone it says the same words every time (docs/benchmarks.md, "kill -9 and run
# again"); GPUs and model servers want many.
ENGINES = {
    "llamacpp": KnownEngine(slots=1),
    "qwen": KnownEngine(slots=32),
    "endpoint": KnownEngine(slots=32, remote=True),
    "scripted": KnownEngine(slots=4),
}
Group = Literal["", "common", "engine", "method", "worker", "pull"]


@dataclass(frozen=True, slots=True)
class About:
    """What is known of one setting beside its name, type and default."""

    #: One sentence for people.
    help: str
    #: The commands with an option for it, see `cli.options`; "": no command has one.
    group: Group = ""
    metavar: str | None = None
    #: What the option is called besides --NAME.
    also: tuple[str, ...] = ()
    #: The values it may have; (): any.
    choices: tuple[Any, ...] = ()
    #: Bounds, both included.
    least: float | None = None
    most: float | None = None  # of seconds only
    #: A URL with a password in it perhaps; never shown whole.
    url: bool = False


def _is(default: Any, help_: str, group: Group = "", metavar: str | None = None, **more: Any) -> Any:
    about = About(help_, group, metavar, **more)
    return field(default=default, repr=not about.url, metadata={"about": about})


def _method(name: str, help_: str, group: Group = "method", metavar: str | None = None, **more: Any) -> Any:
    """A setting of the method, which `method.config` gives its default and choices."""
    default = next(item.default for item in fields(MethodConfig) if item.name == name)
    return _is(default, help_, group, metavar, choices=METHOD_CHOICES.get(name, ()), **more)


def _seconds(default: float, help_: str, group: Group) -> Any:
    return _is(default, help_, group, "S", least=1, most=86_400)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of one process; make one with `load_settings`, which checks it and resolves its paths."""

    state: Path = _is(  # noqa: RUF009  # the call makes a field
        Path(".eat"), "Folder of the embedded database, broker, logs and quarantine.", "common", "DIR"
    )
    database_url: str = _is("", "Database; empty is SQLite in the state folder.", "common", "URL", url=True)
    #: For containers, whose secrets are files. Of a URL and its file only one may be set in one place.
    database_url_file: str = _is("", "File that holds `database_url`.")
    broker_url: str = _is(
        "",
        "Broker; empty: an embedded server, none: no broker.",
        "common",
        "URL|none",
        also=("--broker",),
        url=True,
    )
    broker_url_file: str = _is("", "File that holds `broker_url`.")
    insecure: bool = _is(False, "Accept servers on other machines without TLS and password or key.", "common")
    engine: str = _is(
        "llamacpp",
        "What answers: llama.cpp, Qwen by transformers, a chat server, or a script.",
        "engine",
        choices=tuple(ENGINES),
    )
    model: str = _is(
        "qwen2.5-coder-1.5b-instruct-q4_k_m",
        "Catalog name, GGUF file or folder of weights; `eat model list`.",
        "engine",
        "NAME",
    )
    adapter: str = _is(
        "auto",
        "LoRA adapter (GGUF or folder), or its name on the endpoint; auto: the one that comes along, or none.",
        "engine",
        "PATH|auto|none",
    )
    allow_mixed: bool = _is(False, "Use an adapter whose card does not match the model, and record that.", "engine")
    device: str = _is("auto", "Where the qwen engine computes: auto, cpu, cuda, cuda:1.", "engine", "DEVICE")
    quantisation: str = _is(
        "nf4", "Weights of the qwen engine: 4-bit (nf4) or as they are.", "engine", choices=("nf4", "none")
    )
    #: Each chat is computed from its first token on, so that nothing that runs beside it changes a sum.
    deterministic: bool = _is(
        False, "Let the qwen engine answer one chat at a time: slow, always the same words.", "engine"
    )
    endpoint_url: str = _is("", "Base URL of an OpenAI-style chat server.", "engine", "URL", url=True)
    endpoint_model: str = _is("", "The model's name on that server.", "engine", "NAME")
    endpoint_key_file: str = _is("", "File with that server's API key.", "engine", "FILE")
    endpoint_grammar: str = _is(
        "none",
        "How that server takes a grammar that binds answers to the text.",
        "engine",
        choices=("none", "llama", "vllm"),
    )
    endpoint_timeout: float = _seconds(300.0, "Seconds that server may take for one answer.", "engine")
    script: str = _is("", "Answers of the scripted engine.", "engine", "FILE")
    models_dir: Path = _is(Path("~/.cache/eat_worker/models"), "Where weights are kept.", "engine", "DIR")  # noqa: RUF009
    hub_url: str = _is("", "Model hub to ask; empty is the one the catalog names.", "pull", "URL", url=True)
    threads: int = _is(0, "Threads of the engine; 0 is the CPUs given to this process.", "engine", "N", least=0)
    slots: int = _is(0, "Chats the engine runs at once; 0 is what suits the engine.", "engine", "N", least=0)
    context: int = _is(4096, "Tokens per slot.", "engine", "N", least=256)
    method: str = _method("method", "Translate and align (eat), or ask once for the entities (direct).")
    prompts: str = _is(
        "auto",
        "Prompt set; auto: tuned with the adapter that comes along, restated otherwise.",
        "method",
        choices=("auto", *METHOD_CHOICES["prompts"]),
    )
    rounds: int = _method("rounds", "Rounds per chat: 1, 3 or 5.", metavar="N")
    forward: str = _method("forward", "Whether forward rounds are bound: names from the text, English in Latin script.")
    alignment: str = _method("alignment", "How an English entity finds its words in the text.")
    matcher: str = _method("matcher", "How an answer becomes a span of the text.")
    extractor: str = _method("extractor", "What finds the entities of the English translation.", "engine")
    extractor_model: str = _is(
        "", "File or folder of the extractor; empty is the CRF shipped with eat.", "engine", "PATH"
    )
    back_translation: bool = _method(
        "back_translation", "Translate back the whole sentence, for BLEU and the entropy loss."
    )
    adapter_stages: tuple[str, ...] = _method("adapter_stages", "Stages with the adapter on.", metavar="STAGES")
    tags: tuple[str, ...] = _method("tags", "Tags to annotate.", metavar="TAGS")
    think_tokens: int = _method(
        "think_tokens", "Most tokens of an answer in thinking and checking rounds.", "", least=1
    )
    translate_tokens: int = _method("translate_tokens", "Most tokens of a translation.", "", least=1)
    extract_tokens: int = _method(
        "extract_tokens", "Most tokens of the extractor and of the direct method.", "", least=1
    )
    locate_tokens: int = _method("locate_tokens", "Most tokens of free alignment rounds but the last.", "", least=1)
    final_tokens: int = _method("final_tokens", "Most tokens of the last alignment round.", "", least=1)
    names_above: float = _method(
        "names_above", "A name of the tuned list of less probability (0 to 1) is `unsure`.", ""
    )
    kept_above: float = _method(
        "kept_above", "Confidence (0 to 1) an English entity needs where the tuned list names nothing.", ""
    )
    cascade: float = _method(
        "cascade",
        "Without back-translation, do not translate where all listed names have this probability (0 to 1).",
        metavar="P",
    )
    min_confidence: float = _method(
        "min_confidence", "A bound answer of less confidence (0 to 1) is `unsure` and aligns nothing.", ""
    )
    lease_seconds: float = _seconds(
        60.0, "Seconds without a heartbeat after which a worker loses its documents.", "worker"
    )
    drain_seconds: float = _seconds(
        600.0, "Seconds that a stopping worker may take to finish its current rounds.", "worker"
    )
    stuck_seconds: float = _seconds(
        600.0, "Seconds without an answer of its engine after which a worker ends with 70.", "worker"
    )
    window: int = _is(256, "Documents announced to the broker ahead, per queue.", "worker", "N", least=1)
    #: A worker that dies counts for none of these.
    max_faults: int = _is(3, "Errors a document may cause before it counts as failed.", "worker", "N", least=1)
    concurrency: int = _is(0, "Documents a worker works on at once; 0 is twice the slots.", "worker", "N", least=0)
    log_level: str = _is(
        "info", "Least severe log line shown.", "common", choices=("debug", "info", "warning", "error")
    )
    log_format: str = _is("text", "Log lines as text or JSON.", "common", choices=("text", "json"))
    health_address: str = _is(
        "127.0.0.1:0", "Address of a worker's health and metrics, or none; port 0 is any.", "worker", "HOST:PORT"
    )
    message_key_file: str = _is(
        "", "File with the key that signs messages; the same for all workers.", "worker", "FILE"
    )
    #: Where each value came from, by name; a name that is absent has its default.
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def database(self) -> str:
        """URL of the database; the embedded one is a file in the state folder."""
        return self.database_url or sqlite_url(self.state / "eat.db")

    @property
    def thread_count(self) -> int:
        """Threads of the engine: as set, else the CPUs given to this process (affinity and container quota)."""
        return self.threads or available_cpus()

    @property
    def chats_at_once(self) -> int:
        """Chats the engine runs at once: as set, else what suits the engine."""
        return self.slots or ENGINES[self.engine].slots

    @property
    def remote(self) -> bool:
        """Whether the engine answers on another machine."""
        return ENGINES[self.engine].remote

    @property
    def documents_at_once(self) -> int:
        """Documents one worker has in hand: twice the slots keeps the engine busy while results are written."""
        return self.concurrency or 2 * self.chats_at_once

    @property
    def adapter_path(self) -> str:
        """The adapter to use, a path or its name on an endpoint; empty for none."""
        if self.adapter == "none":
            return ""
        return self.adapter if self.adapter != "auto" else str(adapter_of(self.model, self.engine) or "")

    @property
    def method_config(self) -> MethodConfig:
        """The part of the settings that a run freezes."""
        values = {item.name: getattr(self, item.name) for item in fields(MethodConfig)}
        along = self.adapter == "auto" and bool(self.adapter_path)
        if self.prompts == "auto":
            values["prompts"] = "tuned" if along else "restated"
        if along and self.origin("adapter_stages") == "default":
            # It was trained on the tuned prompts and on no others.
            values["adapter_stages"] = TUNED_STAGES if values["prompts"] == "tuned" else ()
        return MethodConfig(**values)

    def endpoint_key(self) -> str:
        """The model server's API key, "" where no file is set. Raises ConfigurationError when it cannot be read."""
        return read_secret("endpoint_key_file", self.endpoint_key_file) if self.endpoint_key_file else ""

    def origin(self, name: str) -> str:
        """Where a value came from: an option, a variable, eat.toml or `default`."""
        return self.origins.get(name, "default")

    def shown(self, name: str) -> Any:
        """A value fit for the screen: passwords hidden, paths and lists in plain form."""
        value = getattr(self, name)
        if ABOUT[name].url:
            return redact_url(value)
        if isinstance(value, tuple):
            return list(value)
        return str(value) if isinstance(value, Path) else value

    def secrets(self) -> frozenset[str]:
        """Every password among the settings, as written and decoded: what no log line may contain."""
        return frozenset(word for name in NAMES if ABOUT[name].url for word in passwords_in(getattr(self, name)))


_FIELDS: tuple[Field[Any], ...] = tuple(item for item in fields(Settings) if item.name != "origins")
NAMES: tuple[str, ...] = tuple(item.name for item in _FIELDS)
DEFAULTS: Mapping[str, Any] = {item.name: item.default for item in _FIELDS}
ABOUT: Mapping[str, About] = {item.name: item.metadata["about"] for item in _FIELDS}
CHOICES: Mapping[str, tuple[Any, ...]] = {name: about.choices for name, about in ABOUT.items() if about.choices}


def read_secret(name: str, path: str) -> str:
    """The one line of a *_FILE secret. Raises ConfigurationError when the file cannot be read or is empty."""
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}: {path} cannot be read: {error}") from error
    if not secret:
        raise ConfigurationError(f"{name}: {path} is empty")
    return secret
