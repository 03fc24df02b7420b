"""Settings: what they are called, what they default to, and where each value came from.

Precedence: option > EAT_<NAME> > eat.toml > default. Opens no file but eat.toml and the *_FILE secrets, and those only
when asked; connects to nothing. Knows no command line: `overrides` are the options that were really given.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from eat_worker.cpus import available_cpus
from eat_worker.errors import ConfigurationError
from eat_worker.method.config import MethodConfig
from eat_worker.redaction import passwords_in, redact_url
from eat_worker.setting_types import KINDS, convert
from eat_worker.urls import check_broker_url, check_database_url, check_endpoint_url, split_address


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
CHOICES: dict[str, tuple[str, ...]] = {
    "engine": tuple(ENGINES),
    "quantisation": ("nf4", "none"),
    "endpoint_grammar": ("none", "llama", "vllm"),
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("text", "json"),
}
URLS = ("database_url", "broker_url", "endpoint_url", "hub_url")
# These options belong to single commands, not to the settings, and have variables all the same.
COMMAND_VARIABLES = frozenset(
    f"EAT_{name}"
    for name in (
        "LANG",
        "DATASET",
        "RUN",
        "FORMAT",
        "LIMIT",
        "TAG_MAP",
        "STRICT_BIO",
        "QUIET",
        "DEBUG",
        "JSON",
        "NAME",
        "PRIORITY",
    )
)
_METHOD = MethodConfig()


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of one process; make one with `load_settings`, which checks it and resolves its paths.

    state: folder of the embedded database, broker, logs and quarantine. database_url: "" = SQLite in `state`.
    broker_url: "" = embedded server, "none" = no broker, else redis, rediss, amqp, amqps or redis+socket.
    insecure: accept another machine's broker, database or chat server without TLS and password.
    model: catalog name, path of a GGUF (llamacpp) or folder of safetensors (qwen). adapter: LoRA as GGUF (llamacpp),
    as peft folder (qwen), or the model's name with it (endpoint); "" = none. allow_mixed: use an adapter whose card
    does not say that it belongs to the model, and record that. device, quantisation, deterministic (one chat at a time,
    equal answers whatever runs beside): of the qwen engine. script: file of the scripted engine.
    extractor_model: file or folder of the extractor; "" = the CRF that comes along.
    endpoint_grammar: how the model server takes constraints, llama, vllm or none. endpoint_timeout: seconds per answer.
    hub_url: "" = the hub the catalog names. threads: of the engine, 0 = the CPUs given. slots: chats it runs at once,
    0 = as many as suit the engine (`SLOTS`).
    context: tokens per slot. lease_seconds: how long a silent worker keeps a document. window: hints published ahead.
    drain_seconds: how long a worker that was asked to stop may take for rounds under way. stuck_seconds: how long an
    engine of this process may answer nothing while it is asked.
    max_faults: errors of its own a document may meet before it fails for good; a dead worker is none of them.
    concurrency: documents a worker has in hand, 0 = 2 x slots. health_address: host:port of a worker's health pages and
    metrics, port 0 = any free one, "none" = no pages. message_key_file: "" = messages are not signed.
    The method's settings are explained in `method.config`.
    """

    state: Path = Path(".eat")
    database_url: str = field(default="", repr=False)
    database_url_file: str = ""
    broker_url: str = field(default="", repr=False)
    broker_url_file: str = ""
    insecure: bool = False
    engine: str = "llamacpp"
    model: str = "qwen2.5-coder-1.5b-instruct-q4_k_m"
    adapter: str = ""
    allow_mixed: bool = False
    device: str = "auto"
    quantisation: str = "nf4"
    deterministic: bool = False
    endpoint_url: str = field(default="", repr=False)
    endpoint_model: str = ""
    endpoint_key_file: str = ""
    endpoint_grammar: str = "none"
    endpoint_timeout: float = 300.0
    script: str = ""
    models_dir: Path = Path("~/.cache/eat_worker/models")
    hub_url: str = field(default="", repr=False)
    threads: int = 0
    slots: int = 0
    context: int = 4096
    method: str = _METHOD.method
    prompts: str = _METHOD.prompts
    rounds: int = _METHOD.rounds
    forward: str = _METHOD.forward
    alignment: str = _METHOD.alignment
    matcher: str = _METHOD.matcher
    extractor: str = _METHOD.extractor
    extractor_model: str = ""
    back_translation: bool = _METHOD.back_translation
    adapter_stages: tuple[str, ...] = _METHOD.adapter_stages
    tags: tuple[str, ...] = _METHOD.tags
    think_tokens: int = _METHOD.think_tokens
    translate_tokens: int = _METHOD.translate_tokens
    extract_tokens: int = _METHOD.extract_tokens
    locate_tokens: int = _METHOD.locate_tokens
    final_tokens: int = _METHOD.final_tokens
    min_confidence: float = _METHOD.min_confidence
    lease_seconds: float = 60.0
    drain_seconds: float = 600.0
    stuck_seconds: float = 600.0
    window: int = 256
    max_faults: int = 3
    concurrency: int = 0
    log_level: str = "info"
    log_format: str = "text"
    health_address: str = "127.0.0.1:0"
    message_key_file: str = ""
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def database(self) -> str:
        """URL of the database; the embedded one is a file in the state folder."""
        return self.database_url or f"sqlite:///{self.state / 'eat.db'}"

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
    def method_config(self) -> MethodConfig:
        """The part of the settings that a run freezes."""
        return MethodConfig(**{item.name: getattr(self, item.name) for item in fields(MethodConfig)})

    def endpoint_key(self) -> str:
        """The model server's API key, "" where no file is set. Raises ConfigurationError when it cannot be read."""
        return read_secret("endpoint_key_file", self.endpoint_key_file) if self.endpoint_key_file else ""

    def origin(self, name: str) -> str:
        """Where a value came from: an option, a variable, eat.toml or `default`."""
        return self.origins.get(name, "default")

    def shown(self, name: str) -> Any:
        """A value fit for the screen: passwords hidden, paths and lists in plain form."""
        value = getattr(self, name)
        if name in URLS:
            return redact_url(value)
        if isinstance(value, tuple):
            return list(value)
        return str(value) if isinstance(value, Path) else value

    def secrets(self) -> frozenset[str]:
        """Every password among the settings, as written and decoded: what no log line may contain."""
        return frozenset(word for name in URLS for word in passwords_in(getattr(self, name)))


NAMES: tuple[str, ...] = tuple(item.name for item in fields(Settings) if item.name != "origins")


def load_settings(overrides: Mapping[str, Any], *, directory: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of this process; relative paths are taken from `directory`, where eat.toml may stand.

    An empty variable counts as not set, an override of None as not given. Raises ConfigurationError on an unknown
    name or a value that cannot be.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = [
        ("eat.toml", _from_toml(directory / "eat.toml")),
        ("EAT_", _from_environ(environ)),
        ("--", _known({name: value for name, value in overrides.items() if value is not None}, "option")),
    ]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for place, layer in layers:
        for name, value in layer.items():
            origins[name] = _origin(place, name)
            values[name] = _typed(name, value, origins[name])
        _settle_secret_files(layer, values, origins, place)
    _resolve_paths(values, directory, environ)
    settings = Settings(**values, origins=origins)
    _check(settings)
    return settings


def _origin(place: str, name: str) -> str:
    return {"EAT_": f"EAT_{name.upper()}", "--": f"--{name.replace('_', '-')}"}.get(place, place)


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from error
    inner = table.pop("eat", {})
    if not isinstance(inner, dict):
        raise ConfigurationError(f"{path}: eat is not a table; write [eat] above the settings")
    given = {name.replace("-", "_"): value for name, value in {**table, **inner}.items()}
    return _known(given, str(path))


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    given = {name: value for name, value in environ.items() if name.startswith("EAT_") and value}
    names = {f"EAT_{name.upper()}": name for name in NAMES}
    for name in sorted(given.keys() - names.keys() - COMMAND_VARIABLES):
        raise ConfigurationError(f"unknown variable {name}{_close(name, [*names, *COMMAND_VARIABLES], 'EAT_')}")
    return {names[name]: value for name, value in given.items() if name in names}


def _known(given: dict[str, Any], where: str) -> dict[str, Any]:
    for name in sorted(given.keys() - set(NAMES)):
        raise ConfigurationError(f"{where}: unknown setting {name}{_close(name, NAMES)}")
    return given


def _close(name: str, names: Iterable[str], prefix: str = "") -> str:
    """What else may have been meant; the prefix that all have in common makes no name close."""
    others = [other.removeprefix(prefix) for other in names]
    matches = [f"{prefix}{other}" for other in difflib.get_close_matches(name.removeprefix(prefix), others, n=2)]
    return f"; did you mean {' or '.join(matches)}?" if matches else "; `eat config --help` lists the settings"


def _typed(name: str, value: Any, origin: str) -> Any:
    default = next(item.default for item in fields(Settings) if item.name == name)
    assert default is not MISSING
    try:
        return convert(value, default)
    except (TypeError, ValueError) as error:
        shown = "***" if name in URLS else repr(value)
        raise ConfigurationError(f"{origin}: {name} = {shown} is not {KINDS[type(default)]}") from error


def read_secret(name: str, path: str) -> str:
    """The one line of a *_FILE secret. Raises ConfigurationError when the file cannot be read or is empty."""
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}: {path} cannot be read: {error}") from error
    if not secret:
        raise ConfigurationError(f"{name}: {path} is empty")
    return secret


def _settle_secret_files(layer: Mapping[str, Any], values: dict[str, Any], origins: dict[str, str], place: str) -> None:
    """Within one layer a URL comes from its own name or from its file, never both; a higher layer replaces a lower."""
    for url in ("database_url", "broker_url"):
        in_file = f"{url}_file"
        if layer.get(in_file) and layer.get(url):
            raise ConfigurationError(f"{_origin(place, url)} and {_origin(place, in_file)} are both set; keep one")
        if layer.get(in_file):
            values[url] = read_secret(in_file, values[in_file])
            origins[url] = origins[in_file]


def _resolve_paths(values: dict[str, Any], directory: Path, environ: Mapping[str, str]) -> None:
    home = Path(environ.get("HOME") or Path.home())
    if "models_dir" not in values:
        cache = environ.get("XDG_CACHE_HOME")
        values["models_dir"] = (Path(cache) if cache else home / ".cache") / "eat_worker" / "models"
    values.setdefault("state", Path(".eat"))
    values["state"] = _absolute(values["state"], directory, home)
    values["models_dir"] = _absolute(values["models_dir"], directory, home)
    known = ENGINES.get(values.get("engine", ""))
    adapter = () if known and known.remote else ("adapter",)  # on a model server it is a name
    for name in ("script", "endpoint_key_file", "message_key_file", *adapter):
        if values.get(name):
            values[name] = str(_absolute(Path(values[name]), directory, home))
    if values.get("database_url"):
        values["database_url"] = _absolute_sqlite(values["database_url"], directory)
    if not values.get("hub_url") and environ.get("HF_ENDPOINT"):
        values["hub_url"] = environ["HF_ENDPOINT"]


def _absolute_sqlite(url: str, directory: Path) -> str:
    """The URL with the file of an SQLite database named in full: workers of `eat run` have another current folder."""
    scheme, mark, file = url.partition(":///")
    return f"sqlite:///{directory / file}" if scheme == "sqlite" and mark and file and file != ":memory:" else url


def _absolute(path: Path, directory: Path, home: Path) -> Path:
    parts = path.parts
    return home.joinpath(*parts[1:]) if parts[:1] == ("~",) else directory / path


_AT_LEAST = {
    "slots": 0,
    "context": 256,
    "window": 1,
    "max_faults": 1,
    "threads": 0,
    "concurrency": 0,
    **dict.fromkeys((item.name for item in fields(MethodConfig) if item.name.endswith("_tokens")), 1),
}


def _check(settings: Settings) -> None:
    for name, choices in CHOICES.items():
        if getattr(settings, name) not in choices:
            raise ConfigurationError(f"{name} = {getattr(settings, name)!r} is not one of: {', '.join(choices)}")
    for name, least in _AT_LEAST.items():
        if getattr(settings, name) < least:
            raise ConfigurationError(f"{name} = {getattr(settings, name)} is below {least}")
    for name in ("lease_seconds", "drain_seconds", "stuck_seconds", "endpoint_timeout"):
        if not 1 <= getattr(settings, name) <= 86_400:
            raise ConfigurationError(f"{name} = {getattr(settings, name)} is not between 1 and 86400 seconds")
    settings.method_config  # noqa: B018  # refuses a value outside the method's choices
    check_broker_url(settings.broker_url, insecure=settings.insecure)
    check_database_url(settings.database_url, insecure=settings.insecure)
    check_endpoint_url(settings.endpoint_url, key=bool(settings.endpoint_key_file), insecure=settings.insecure)
    if settings.health_address not in ("", "none"):
        split_address(settings.health_address)
