"""From a kind and a name to an extractor and its identity."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eat_worker.engines.extractors.opening import (
    SHIPPED_CRF,
    extractor_identity,
    extractor_sha256,
    load_extractor,
    open_extractor,
)
from eat_worker.errors import ConfigurationError, ModelMissing


def identity(kind: str, model: str, folder: Path) -> dict[str, str | None]:
    return extractor_identity(kind, model, models_dir=folder)


def test_the_identity_of_the_shipped_crf_is_the_hash_of_its_file(tmp_path: Path) -> None:
    assert identity("crf", "", tmp_path) == {
        "extractor": "crf",
        "extractor_model": "crf_english.crfsuite",
        "extractor_sha256": hashlib.sha256(SHIPPED_CRF.read_bytes()).hexdigest(),
    }


def test_the_chat_extractor_has_no_files_of_its_own(tmp_path: Path) -> None:
    assert identity("chat", "", tmp_path) == {
        "extractor": "chat",
        "extractor_model": None,
        "extractor_sha256": None,
    }


def test_the_shipped_crf_opens_and_says_the_same_hash(tmp_path: Path) -> None:
    extractor = open_extractor("crf", "", models_dir=tmp_path)
    assert extractor.info.sha256 == identity("crf", "", tmp_path)["extractor_sha256"]
    assert extractor.info.kind == "crf"


def test_a_model_is_found_by_path_and_by_name_in_the_models_folder(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(SHIPPED_CRF, models / "mine.crfsuite")
    by_path = identity("crf", str(models / "mine.crfsuite"), tmp_path)
    assert identity("crf", "mine.crfsuite", models) == by_path
    assert by_path["extractor_sha256"] == identity("crf", "", tmp_path)["extractor_sha256"]


@pytest.mark.parametrize("kind", ["flan_t5", "token_classification"])
def test_a_folder_opens_as_its_kind(kind: str, tiny_bert: Path, tiny_t5: Path, tmp_path: Path) -> None:
    folder = tiny_t5 if kind == "flan_t5" else tiny_bert
    extractor = open_extractor(kind, str(folder), models_dir=tmp_path)
    assert (extractor.info.kind, extractor.info.model) == (kind, folder.name)
    assert extractor.info.sha256 == identity(kind, str(folder), tmp_path)["extractor_sha256"]
    assert len(extractor.extract(["Ann left Oslo."])) == 1


def test_a_folders_hash_covers_what_decides_and_nothing_else(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "other name"))
    before = extractor_sha256(folder)
    assert before == extractor_sha256(tiny_bert)
    (folder / "card.json").write_text("{}")
    (folder / "README.md").write_text("about")
    assert extractor_sha256(folder) == before
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert extractor_sha256(folder) != before


@pytest.mark.parametrize(
    ("kind", "model", "error", "message"),
    [
        ("spacy", "", ConfigurationError, "'spacy' is not one of: chat, crf, flan_t5, token_classification"),
        ("flan_t5", "", ConfigurationError, "flan_t5 needs a model"),
        ("crf", "none.crfsuite", ModelMissing, r"none\.crfsuite: no such file; train one"),
        ("token_classification", "/nowhere/bert", ModelMissing, "no such folder"),
    ],
)
def test_what_is_not_here_is_said(kind: str, model: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        open_extractor(kind, model, models_dir=tmp_path)


def test_no_model_library_is_loaded_for_an_identity(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from eat_worker.engines.extractors.opening import extractor_identity; "
        f"extractor_identity('crf', '', models_dir=Path({str(tmp_path)!r})); "
        "print([name for name in ('torch', 'transformers', 'pycrfsuite') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_shipped_model_is_small_and_has_a_card_that_names_its_hash() -> None:
    assert SHIPPED_CRF.stat().st_size <= 5_000_000
    card = SHIPPED_CRF.with_suffix(".md").read_text(encoding="utf-8")
    assert extractor_sha256(SHIPPED_CRF) in card


def test_a_loaded_extractor_carries_the_hash_it_was_given() -> None:
    assert load_extractor("crf", SHIPPED_CRF, "a" * 64).info.sha256 == "a" * 64
