"""The names that `from eat_worker import ...` offers: what they load, and that their documentation runs."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import eat_worker
from eat_worker import Annotation, Document, MethodConfig, annotate, open_engine
from eat_worker.errors import ConfigurationError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "library.md"
HEAVY = ("sqlalchemy", "celery", "click", "torch", "transformers", "xllamacpp", "sacrebleu", "numpy")


def loaded_by(statement: str) -> set[str]:
    """The heavy libraries, and modules of our own, that a new interpreter has loaded after the statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split() if name in HEAVY or name.startswith("eat_worker")}


def test_the_page_about_the_library_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no eat.toml of the developer's
    done = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert done.failed == 0
    assert done.attempted >= 12


def test_every_name_is_there() -> None:
    assert {name for name in eat_worker.__all__ if not hasattr(eat_worker, name)} == set()
    with pytest.raises(AttributeError, match="has no attribute 'anotate'"):
        eat_worker.anotate  # type: ignore[attr-defined]  # noqa: B018


def test_the_package_alone_loads_nothing() -> None:
    assert loaded_by("import eat_worker") == {"eat_worker"}


def test_the_library_loads_no_database_and_no_model_library() -> None:
    assert loaded_by("from eat_worker import annotate, open_engine, Document") & set(HEAVY) == set()


def test_an_engine_is_refused_what_it_cannot_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = open_engine(engine="scripted")
    with pytest.raises(ConfigurationError, match="the run's extractor is crf, this worker has chat"):
        annotate(Document("Seoul liegt am Fluss", "de"), engine, MethodConfig(extractor="crf"))
    engine.close()


def test_the_extractor_of_the_settings_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = open_engine(engine="scripted", extractor="crf")
    found = annotate(Document("Anna Schmidt lives in London.", "de"), engine, MethodConfig(extractor="crf"))
    assert isinstance(found, Annotation)
    assert [(line.english.mention, line.english.tag) for line in found.alignments if line.span] == [
        ("Anna Schmidt", "PER"),
        ("London", "LOC"),
    ]
    engine.close()


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="slotz"):
        open_engine(slotz=1)
