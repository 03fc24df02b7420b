"""Finding and judging what is on this machine."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eat_worker.errors import ModelError, ModelMissing, NotFound
from eat_worker.models.catalog import entry
from eat_worker.models.installed import installed, locate, verify

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
TINY = replace(entry("smollm2-135m-instruct"), name="tiny", file="tiny.gguf", size=3, sha256=ABC)
FULL = replace(entry("qwen2.5-7b-instruct"), name="full", file="full")
CATALOG = (TINY, FULL)


def folder(models_dir: Path) -> Path:
    """A pulled folder with one file of each kind of digest; the git blob id of b"abc" is git's own answer."""
    path = models_dir / "full"
    path.mkdir()
    (path / "model.safetensors").write_bytes(b"abc")
    (path / "config.json").write_bytes(b"abc")
    files = [
        {"path": "model.safetensors", "size": 3, "digest": f"sha256:{ABC}"},
        {"path": "config.json", "size": 3, "digest": "git:f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"},
    ]
    (path / "eat-model.json").write_text(json.dumps({"repo": "Q/full", "revision": "a" * 40, "files": files}))
    return path


def test_a_model_by_name_lies_in_the_models_folder(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"abc")
    assert locate("Tiny", tmp_path, catalog=CATALOG) == tmp_path / "tiny.gguf"


def test_a_model_that_is_not_here_names_the_command_that_brings_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="run: eat model pull tiny"):
        locate("tiny", tmp_path, catalog=CATALOG)


def test_any_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"abc")
    assert locate(str(path), tmp_path / "models", catalog=CATALOG) == path


@pytest.mark.parametrize("name", ["mine", "mine.gguf"])
def test_a_name_of_ones_own_lies_in_the_models_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"abc")
    assert locate(name, tmp_path, catalog=CATALOG) == tmp_path / "mine.gguf"


def test_a_folder_that_a_conversion_made_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine-hf").mkdir()
    (tmp_path / "mine-hf" / "eat-model.json").write_text("{}")
    assert locate("mine-hf", tmp_path, catalog=CATALOG) == tmp_path / "mine-hf"


@pytest.mark.parametrize("name", ["none.gguf", "./none", "/nowhere/none.gguf"])
def test_a_path_that_is_not_there_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelMissing, match="no such file"):
        locate(name, tmp_path, catalog=CATALOG)


def test_an_unknown_name_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="did you mean tiny"):
        locate("tinny", tmp_path, catalog=CATALOG)


def test_a_right_file_matches(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"abc")
    verified = verify("tiny", tmp_path, catalog=CATALOG)
    assert (verified.sha256, verified.expected, verified.size, verified.matches) == (ABC, ABC, 3, True)


def test_a_changed_file_does_not_match(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"abd")
    verified = verify("tiny", tmp_path, catalog=CATALOG)
    assert verified.expected == ABC
    assert verified.sha256 == "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9"
    assert not verified.matches


def test_a_file_nobody_knows_has_a_digest_and_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"abc")
    verified = verify("mine", tmp_path, catalog=CATALOG)
    assert (verified.sha256, verified.expected, verified.matches) == (ABC, None, True)


def test_a_right_folder_matches(tmp_path: Path) -> None:
    folder(tmp_path)
    assert verify("full", tmp_path, catalog=CATALOG).matches


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_harmed_folder_does_not_match(tmp_path: Path, file: str, harm: str) -> None:
    path = folder(tmp_path) / file
    path.write_bytes(b"abd") if harm == "changed" else path.unlink()
    assert not verify("full", tmp_path, catalog=CATALOG).matches


def test_a_folder_from_elsewhere_cannot_be_judged(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    with pytest.raises(ModelError, match="neither pulled nor made by eat"):
        verify("full", tmp_path, catalog=CATALOG)


def test_a_manifest_that_does_not_parse_is_named(tmp_path: Path) -> None:
    (folder(tmp_path) / "eat-model.json").write_text('{"repo": 1}')
    with pytest.raises(ModelError, match=r"eat-model\.json: does not parse"):
        verify("full", tmp_path, catalog=CATALOG)


def test_only_whole_models_are_listed(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "tiny.gguf").write_bytes(b"abc")
    (tmp_path / "mine.gguf").write_bytes(b"abcd")
    (tmp_path / ".tiny.gguf.ba7816bf8f01.partial").write_bytes(b"ab")
    (tmp_path / "notes.txt").write_bytes(b"x")
    (tmp_path / "other").mkdir()
    listed = installed(tmp_path, catalog=CATALOG)
    assert [(model.name, model.size, model.entry) for model in listed] == [
        ("full", 6, FULL),
        ("mine", 4, None),
        ("tiny", 3, TINY),
    ]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert installed(tmp_path / "none") == []
