"""Settings: precedence, names, types, secrets and what is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.method.config import MethodConfig
from eat_worker.settings import NAMES, Settings, load_settings


def load(folder: Path, overrides: dict[str, Any] | None = None, **environ: str) -> Settings:
    return load_settings(overrides or {}, directory=folder, environ={"HOME": "/home/ann", **environ})


def test_defaults_need_no_file(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.state == tmp_path / ".eat"
    assert settings.database == f"sqlite:///{tmp_path}/.eat/eat.db"
    assert settings.engine == "llamacpp"
    assert settings.models_dir == Path("/home/ann/.cache/eat_worker/models")
    assert (settings.chats_at_once, settings.documents_at_once) == (1, 2)
    assert settings.origin("engine") == "default"


def test_option_beats_variable_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "eat.toml").write_text("[eat]\nslots = 2\nrounds = 1\ncontext = 512\n")
    settings = load(tmp_path, {"slots": 9}, EAT_SLOTS="5", EAT_ROUNDS="5")
    assert (settings.slots, settings.rounds, settings.context, settings.window) == (9, 5, 512, 256)
    origins = [settings.origin(name) for name in ("slots", "rounds", "context", "window")]
    assert origins == ["--slots", "EAT_ROUNDS", "eat.toml", "default"]


def test_settings_stand_at_the_top_of_the_file_too(tmp_path: Path) -> None:
    (tmp_path / "eat.toml").write_text('log-level = "debug"\ntags = ["PER", "LOC"]\nback_translation = false\n')
    settings = load(tmp_path)
    assert settings.log_level == "debug"
    assert settings.tags == ("PER", "LOC")
    assert settings.method_config.back_translation is False


def test_an_override_of_none_and_an_empty_variable_count_as_not_given(tmp_path: Path) -> None:
    settings = load(tmp_path, {"slots": None}, EAT_SLOTS="")
    assert settings.slots == 0
    assert settings.origin("slots") == "default"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("slot = 3", r"unknown setting slot; did you mean slots"),
        ("[eat]\nbroker = 'none'", r"unknown setting broker; did you mean broker_url"),
        ("slots = 'many'", r"slots = 'many' is not a whole number"),
        ("slots = 2.5", r"slots = 2.5 is not a whole number"),
        ("slots = true", r"slots = True is not a whole number"),
        ("insecure = 'maybe'", r"insecure = 'maybe' is not true or false"),
        ("slots = -1", r"slots = -1 is below 0"),
        ("lease_seconds = 0", r"lease_seconds = 0.0 is not between 1 and 86400"),
        ("engine = 'vllm'", r"engine = 'vllm' is not one of: llamacpp, qwen, endpoint, scripted"),
        ("rounds = 4", r"rounds = 4 is not one of: 1, 3, 5"),
        ("eat = 1", r"eat is not a table"),
        ("slots = ", r"cannot be read as TOML"),
        ("model = 3", r"model = 3 is not text"),
    ],
)
def test_what_the_file_may_not_say(tmp_path: Path, toml: str, message: str) -> None:
    (tmp_path / "eat.toml").write_text(toml)
    with pytest.raises(ConfigurationError, match=message):
        load(tmp_path)


def test_an_unknown_variable_is_refused_with_the_close_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown variable EAT_MODLE; did you mean EAT_MODEL"):
        load(tmp_path, EAT_MODLE="x")


def test_variables_of_single_commands_are_no_settings(tmp_path: Path) -> None:
    assert load(tmp_path, EAT_LANG="ko", EAT_DEBUG="1") == load(tmp_path)


def test_lists_come_as_words_and_none_empties_them(tmp_path: Path) -> None:
    assert load(tmp_path, EAT_TAGS="PER, LOC").tags == ("PER", "LOC")
    assert load(tmp_path, EAT_ADAPTER_STAGES="none").adapter_stages == ()


def test_relative_paths_are_taken_from_the_folder_and_tilde_from_home(tmp_path: Path) -> None:
    settings = load(tmp_path, {"state": "here", "script": "answers.json"}, EAT_MODELS_DIR="~/models")
    assert settings.state == tmp_path / "here"
    assert settings.script == str(tmp_path / "answers.json")
    assert settings.models_dir == Path("/home/ann/models")


def test_cache_folder_and_hub_follow_the_usual_variables(tmp_path: Path) -> None:
    settings = load(tmp_path, XDG_CACHE_HOME="/cache", HF_ENDPOINT="https://hub.example")
    assert settings.models_dir == Path("/cache/eat_worker/models")
    assert settings.hub_url == "https://hub.example"


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://:pw@localhost:6379/0\n")
    settings = load(tmp_path, EAT_BROKER_URL_FILE=str(tmp_path / "url"))
    assert settings.broker_url == "redis://:pw@localhost:6379/0"
    assert settings.origin("broker_url") == "EAT_BROKER_URL_FILE"


def test_a_url_and_its_file_exclude_each_other_in_one_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="EAT_BROKER_URL and EAT_BROKER_URL_FILE are both set"):
        load(tmp_path, EAT_BROKER_URL="none", EAT_BROKER_URL_FILE="f")


def test_an_option_replaces_a_file_named_lower_down(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://:pw@localhost/0")
    assert load(tmp_path, {"broker_url": "none"}, EAT_BROKER_URL_FILE=str(tmp_path / "url")).broker_url == "none"


@pytest.mark.parametrize("content", [None, " \n"])
def test_a_secret_file_that_is_missing_or_empty_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    settings = load(tmp_path, EAT_ENDPOINT_KEY_FILE=str(tmp_path / "key"))
    with pytest.raises(ConfigurationError, match="endpoint_key_file"):
        settings.endpoint_key()


def test_the_endpoint_key_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k-123\n")
    assert load(tmp_path, EAT_ENDPOINT_KEY_FILE="key").endpoint_key() == "k-123"
    assert load(tmp_path).endpoint_key() == ""


@pytest.mark.parametrize(
    ("name", "url", "message"),
    [
        ("broker_url", "redis://:pw@example.org/0", "without TLS; use rediss://"),
        ("broker_url", "amqp://u:pw@example.org//", "without TLS; use amqps://"),
        ("broker_url", "rediss://example.org/0", "without a password"),
        ("database_url", "postgresql://u:pw@example.org/eat", "without TLS; add .sslmode=verify-full"),
        ("database_url", "postgresql://u@example.org/eat?sslmode=require", "without a password"),
        ("broker_url", "kafka://example.org", "neither none nor one of: redis://"),
        ("database_url", "mysql://u:pw@localhost/eat", "neither sqlite:// nor postgresql://"),
    ],
)
def test_another_machine_needs_tls_and_a_password(tmp_path: Path, name: str, url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load(tmp_path, {name: url})
    assert "pw" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "redis://127.0.0.1/0",
        "redis://[::1]/0",
        "redis+socket:///tmp/b.sock",
        "amqps://u:pw@example.org//",
        "none",
    ],
)
def test_loopback_sockets_and_secured_brokers_are_accepted(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, {"broker_url": url}).broker_url == url


def test_insecure_accepts_a_bare_broker(tmp_path: Path) -> None:
    assert load(tmp_path, {"broker_url": "redis://example.org/0", "insecure": True}).insecure


@pytest.mark.parametrize("url", ["postgresql:///eat?host=/var/run", "postgresql://localhost/eat", "sqlite:////x.db"])
def test_local_databases_are_accepted(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, {"database_url": url}).database == url


def test_no_view_of_the_settings_shows_a_password(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {"database_url": "postgresql://u:can%40ary@db.example/eat?sslmode=require&sslpassword=zweites"},
    )
    shown = repr(settings) + str(settings.shown("database_url"))
    assert "canary" not in shown
    assert "can%40ary" not in shown
    assert "zweites" not in shown
    assert settings.secrets() == {"can%40ary", "can@ary", "zweites"}
    assert settings.shown("database_url") == "postgresql://u:***@db.example/eat?sslmode=require&sslpassword=***"


def test_a_wrong_type_of_a_url_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "eat.toml").write_text('database_url = ["postgresql://u:canary@h/d"]')
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    assert "canary" not in str(caught.value)


def test_every_setting_can_be_shown(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert {type(settings.shown(name)) for name in NAMES} == {str, int, float, bool, list}
    assert settings.shown("tags") == ["PER", "LOC", "ORG"]
    assert settings.shown("state") == str(tmp_path / ".eat")


def test_threads_default_to_the_cpus_given(tmp_path: Path) -> None:
    assert load(tmp_path).thread_count >= 1
    assert load(tmp_path, {"threads": 3}).thread_count == 3
    assert load(tmp_path, {"concurrency": 3}).documents_at_once == 3


def test_every_setting_of_the_method_can_be_set(tmp_path: Path) -> None:
    assert {item.name for item in fields(MethodConfig)} <= set(NAMES)
    given = {"EAT_THINK_TOKENS": "64", "EAT_FORWARD": "free", "EAT_MIN_CONFIDENCE": "0.5", "EAT_ADAPTER": "none"}
    assert load(tmp_path, **given).method_config == MethodConfig(forward="free", think_tokens=64, min_confidence=0.5)


def test_the_adapter_that_comes_along_is_used_with_the_prompts_it_was_trained_on(tmp_path: Path) -> None:
    here = load(tmp_path)
    assert Path(here.adapter_path).name == "adapter.gguf"
    assert (here.method_config.prompts, here.method_config.adapter_stages) == ("tuned", ("direct", "extract"))
    converted = load(tmp_path, EAT_ENGINE="qwen", EAT_MODEL=f"{here.model}-hf")
    assert Path(converted.adapter_path) == Path(here.adapter_path).parent
    assert converted.method_config.prompts == "tuned"


@pytest.mark.parametrize(
    ("given", "stages"),
    [
        ({"EAT_ADAPTER": "none"}, ("backward",)),
        ({"EAT_ADAPTER": "own.gguf"}, ("backward",)),
        ({"EAT_MODEL": "smollm2-135m-instruct"}, ("backward",)),
        ({"EAT_MODEL": "../adapters"}, ("backward",)),
        ({"EAT_ENGINE": "scripted"}, ("backward",)),
        ({"EAT_PROMPTS": "restated"}, ()),  # it knows no other prompts
        ({"EAT_PROMPTS": "restated", "EAT_ADAPTER_STAGES": "extract"}, ("extract",)),
    ],
)
def test_without_it_the_prompts_show_examples(tmp_path: Path, given: dict[str, str], stages: tuple[str, ...]) -> None:
    config = load(tmp_path, **given).method_config
    assert (config.prompts, config.adapter_stages) == ("restated", stages)


@pytest.mark.parametrize(
    ("given", "database"),
    [
        ("sqlite:///x.db", "sqlite:////here/x.db"),
        ("sqlite:///sub/x.db?mode=ro", "sqlite:////here/sub/x.db?mode=ro"),
        ("sqlite:////there/x.db", "sqlite:////there/x.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("postgresql:///eat", "postgresql:///eat"),
    ],
)
def test_a_sqlite_file_is_taken_from_the_current_folder(given: str, database: str) -> None:
    assert load(Path("/here"), EAT_DATABASE_URL=given).database == database
