"""Records as JSON, and files and folders that appear whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eat_worker.corpora.exports import FORMATS, export_format
from eat_worker.corpora.writing import json_line, new_file, new_folder
from eat_worker.errors import ConfigurationError


def test_a_record_is_one_line_of_utf_8() -> None:
    assert json_line({"text": "서울\n", "score": 0.5}) == '{"text":"서울\\n","score":0.5}\n'.encode()


def test_half_a_surrogate_pair_is_written_as_an_escape() -> None:
    assert json_line({"text": "\ud83d"}) == b'{"text":"\\ud83d"}\n'
    assert json.loads(json_line({"text": "\ud83d"})) == {"text": "\ud83d"}


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with new_file(tmp_path / "new" / "found") as file:
        file.write(b"1")
        assert not (tmp_path / "new" / "found").exists()
    assert (tmp_path / "new" / "found").read_bytes() == b"1"


def test_a_folder_appears_when_it_is_whole_and_is_never_written_over(tmp_path: Path) -> None:
    with new_folder(tmp_path / "found") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "found").exists()
    assert (tmp_path / "found" / "a").read_text() == "1"
    with (
        pytest.raises(ConfigurationError, match="found cannot be written: it is there already"),
        new_folder(tmp_path / "found"),
    ):
        pytest.fail("it is there")


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def break_off(made: Path) -> None:
        with new_folder(made) as folder, new_file(folder / "a") as file:
            file.write(b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off(tmp_path / "found")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_writes_a_stream_or_a_folder(name: str) -> None:
    found = export_format(name)
    assert (found.to_stream is None) != (found.to_folder is None)
