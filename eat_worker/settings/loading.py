"""From options, variables and eat.toml to the settings of one process.

Precedence: option > EAT_<NAME> > eat.toml > default. Opens no file but eat.toml and the *_FILE secrets, and those only
when asked; connects to nothing. Knows no command line: `overrides` are the options that were really given.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eat_worker.errors import ConfigurationError
from eat_worker.redaction import HIDDEN
from eat_worker.settings.fields import ABOUT, DEFAULTS, ENGINES, NAMES, Settings, read_secret
from eat_worker.settings.types import KINDS, convert
from eat_worker.urls import check_broker_url, check_database_url, check_endpoint_url, split_address, sqlite_url

# These options belong to single commands, not to the settings, and have variables all the same.
COMMAND_VARIABLES = frozenset(
    f"EAT_{name}"
    for name in (
        "LANG",
        "DATASET",
        "RUN",
        "FORMAT",
        "ENCODING",
        "OFFSETS",
        "SPLIT",
        "ON_ERROR",
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
    default = DEFAULTS[name]
    try:
        return convert(value, default)
    except (TypeError, ValueError) as error:
        shown = HIDDEN if ABOUT[name].url else repr(value)
        raise ConfigurationError(f"{origin}: {name} = {shown} is not {KINDS[type(default)]}") from error


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
    # On a model server it is a name, and two words have a meaning of their own.
    is_path = not (known and known.remote) and values.get("adapter") not in ("auto", "none")
    adapter = ("adapter",) if is_path else ()
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
    if scheme != "sqlite" or not (mark and file) or file == ":memory:" or file.startswith("/"):
        return url
    return f"{sqlite_url(directory)}/{file}"  # only the folder is a path; the rest is a URL already


def _absolute(path: Path, directory: Path, home: Path) -> Path:
    parts = path.parts
    return home.joinpath(*parts[1:]) if parts[:1] == ("~",) else directory / path


def _check(settings: Settings) -> None:
    for name, about in ABOUT.items():
        value = getattr(settings, name)
        if about.choices and value not in about.choices:
            raise ConfigurationError(f"{name} = {value!r} is not one of: {', '.join(map(str, about.choices))}")
        if about.most is not None and not (about.least or 0) <= value <= about.most:
            raise ConfigurationError(f"{name} = {value} is not between {about.least} and {about.most} seconds")
        if about.least is not None and value < about.least:
            raise ConfigurationError(f"{name} = {value} is below {about.least}")
    settings.method_config  # noqa: B018  # refuses a value outside the method's choices
    check_broker_url(settings.broker_url, insecure=settings.insecure)
    check_database_url(settings.database_url, insecure=settings.insecure)
    check_endpoint_url(settings.endpoint_url, key=bool(settings.endpoint_key_file), insecure=settings.insecure)
    if settings.health_address not in ("", "none"):
        split_address(settings.health_address)
