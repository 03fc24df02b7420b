"""config, completion, model, db and doctor."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eat_worker.settings import NAMES, Settings

Eat = Callable[..., Any]


def test_config_lists_every_setting_with_its_origin(eat: Eat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAT_ROUNDS", "1")
    found = json.loads(eat("config", "--slots", "2", "--json").out)["settings"]
    assert [item["name"] for item in found] == list(NAMES)
    by_name = {item["name"]: (item["value"], item["origin"]) for item in found}
    assert by_name["slots"] == (2, "--slots")
    assert by_name["rounds"] == (1, "EAT_ROUNDS")
    assert by_name["tags"] == (["PER", "LOC", "ORG"], "default")


@pytest.mark.parametrize("form", ["--json", "--no-insecure"])
def test_config_hides_passwords(eat: Eat, form: str) -> None:
    out = eat("config", "--database-url", "postgresql://u:canary@localhost/d", form).out
    assert "canary" not in out
    assert "postgresql://u:***@localhost/d" in out


def test_config_as_a_table_and_as_names(eat: Eat) -> None:
    rows = [line.split() for line in eat("config").out.splitlines()]
    assert ["insecure", "false", "default"] in rows
    assert ["tags", "PER,LOC,ORG", "default"] in rows
    assert eat("config", "-q").out.split() == list(NAMES)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(eat: Eat, shell: str) -> None:
    done = eat("completion", shell)
    assert done.code == 0
    assert f"_EAT_COMPLETE={shell}_complete" in done.out
    assert json.loads(eat("completion", shell, "--json").out) == {"shell": shell, "script": done.out[:-1]}


def test_completion_completes_commands_and_options(eat: Eat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_EAT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "eat sta")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        eat()


def test_model_list_shows_the_catalog_and_own_files(eat: Eat, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.gguf").write_bytes(b"GGUF")
    models = json.loads(eat("model", "list", "--models-dir", "models", "--json").out)["models"]
    by_name = {model["name"]: model for model in models}
    assert by_name["mine"]["installed"] is True
    assert by_name["mine"]["size"] == 4
    default = by_name["qwen2.5-coder-1.5b-instruct-q4_k_m"]
    assert (default["default"], default["installed"], default["size"]) == (True, False, 1_117_320_768)
    shown = eat("model", "list", "--models-dir", "models")
    assert "qwen2.5-coder-1.5b-instruct-q4_k_m (default)" in shown.out
    assert "third party" in shown.err
    assert "mine" in eat("model", "list", "--models-dir", "models", "-q").out.split()


def gguf() -> bytes:
    """The smallest file that is GGUF: version 3, no tensors, no values."""
    return b"GGUF" + (3).to_bytes(4, "little") + bytes(16)


def test_a_file_of_ones_own_is_pulled_and_verified(eat: Eat, tmp_path: Path) -> None:
    (tmp_path / "given.gguf").write_bytes(gguf())
    pulled = eat("model", "pull", "mine", "--from", "given.gguf", "--models-dir", "m", "--json")
    assert json.loads(pulled.out) == {"model": "mine", "path": str(tmp_path / "m" / "mine.gguf"), "size": 24}
    done = eat("model", "verify", "mine", "--models-dir", "m")
    digest = hashlib.sha256(gguf()).hexdigest()
    assert (done.code, done.out) == (0, f"mine: {digest}, no digest is known to compare it with\n")
    assert eat("model", "verify", "mine", "--models-dir", "m", "-q").out == "mine\n"


def test_a_wrong_digest_ends_with_1_and_names_both(eat: Eat, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "smollm2-135m-instruct.gguf").write_bytes(gguf())
    done = eat("model", "verify", "smollm2-135m-instruct", "--models-dir", "m")
    assert done.code == 1
    assert hashlib.sha256(gguf()).hexdigest() in done.err
    assert "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53" in done.err
    as_json = eat("model", "verify", "smollm2-135m-instruct", "--models-dir", "m", "--json")
    assert as_json.code == 1
    assert json.loads(as_json.out)["models"][0]["matches"] is False


def test_a_model_that_is_not_here_ends_with_78_and_one_nobody_knows_with_4(eat: Eat) -> None:
    missing = eat("model", "verify")
    assert missing.code == 78
    assert "run: eat model pull qwen2.5-coder-1.5b-instruct-q4_k_m" in missing.err
    assert eat("model", "verify", "qwen9").code == 4
    assert eat("model", "pull", "qwen9").code == 4


def test_db_upgrade_check_and_backup(eat: Eat, tmp_path: Path) -> None:
    assert eat("db", "check").code == 78
    done = json.loads(eat("db", "upgrade", "--json").out)
    assert (done["before"], done["after"], done["backup"]) == (None, "0003", None)
    assert "at 0003 already" in eat("db", "upgrade").out
    assert eat("db", "upgrade", "-q").out == "0003\n"
    checked = json.loads(eat("db", "check", "--json").out)
    assert (checked["current"], checked["needed"]) == ("0003", "0003")
    assert eat("db", "check").out.endswith("at 0003, as needed\n")
    assert eat("db", "backup", "copy.db").out == "copy.db\n"
    assert eat("db", "check", "--database-url", "sqlite:///copy.db").code == 0
    again = eat("db", "backup", "copy.db", "--json")
    assert (again.code, json.loads(again.out)["error"]["code"]) == (78, "configuration")
    assert Path(json.loads(eat("db", "backup", "--json").out)["backup"]).parent == tmp_path / ".eat"


def test_a_database_of_tomorrow_is_refused(eat: Eat, tmp_path: Path) -> None:
    eat("db", "upgrade")
    with sqlite3.connect(tmp_path / ".eat" / "eat.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for words in (("status",), ("db", "check"), ("db", "upgrade")):
        done = eat(*words)
        assert done.code == 78
        assert "9999" in done.err


def test_doctor_names_what_is_missing_and_how_to_mend_it(eat: Eat) -> None:
    done = eat("doctor", "--json")
    assert done.code == 1
    found = json.loads(done.out)
    assert found["ok"] is False
    checks = {check["name"]: check for check in found["checks"]}
    assert list(checks) == [
        "state folder",
        "disk",
        "database",
        "broker",
        "model",
        "engine",
        "tokenizers",
        "CPU",
        "GPU",
    ]
    assert checks["model"]["ok"] is False
    assert checks["model"]["fix"] == "eat model pull qwen2.5-coder-1.5b-instruct-q4_k_m"
    assert all(check["fix"] for check in found["checks"] if not check["ok"])


def test_doctor_is_content_with_a_scripted_engine(eat: Eat, tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text("{}")
    done = eat("doctor", "--engine", "scripted", "--script", "script.json", "--broker", "none")
    assert done.code == 0
    assert all(line.startswith("ok ") for line in done.out.splitlines())
    assert eat("doctor", "--engine", "scripted", "--script", "script.json", "--broker", "none", "-q").out == ""


@pytest.mark.parametrize(
    ("words", "name", "fix"),
    [
        (("--engine", "scripted", "--script", "absent"), "model", "name a script that exists: --script FILE"),
        (("--engine", "endpoint"), "model", "set EAT_ENDPOINT_URL and EAT_ENDPOINT_MODEL"),
        (("--database-url", "sqlite:///absent.db"), "database", "eat db upgrade"),
        (("--broker", "redis://127.0.0.1:9/0"), "broker", ""),
    ],
)
def test_doctor_sees(eat: Eat, words: tuple[str, ...], name: str, fix: str) -> None:
    checks = {check["name"]: check for check in json.loads(eat("doctor", *words, "--json").out)["checks"]}
    assert checks[name]["ok"] is False
    assert checks[name]["fix"].startswith(fix)


def test_doctor_needs_no_script_where_rules_answer(eat: Eat) -> None:
    done = eat("doctor", "--engine", "scripted", "--broker", "none")
    assert (done.code, "script not set: rules answer" in done.out) == (0, True)


def test_doctor_sees_an_old_database(eat: Eat, settings: Settings, tmp_path: Path) -> None:
    eat("db", "upgrade")
    with sqlite3.connect(tmp_path / ".eat" / "eat.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    checks = {check["name"]: check for check in json.loads(eat("doctor", "--json").out)["checks"]}
    assert checks["database"]["detail"] == "the database is at 0000, this eat needs 0003"
    assert checks["database"]["fix"] == "eat db upgrade"


def test_doctor_sees_a_state_folder_that_cannot_be(eat: Eat, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    checks = {check["name"]: check for check in json.loads(eat("doctor", "--state", "file/x", "--json").out)["checks"]}
    assert checks["state folder"]["ok"] is False
