"""The CRF, served: the shipped model and models of one's own."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from eat_worker.engines.extractors.crf import Crf
from eat_worker.engines.extractors.opening import SHIPPED_CRF
from eat_worker.errors import ConfigurationError
from eat_worker.method.document import Span


def named(found: tuple[Any, ...]) -> list[tuple[str, str]]:
    return [(entity.mention, entity.tag) for entity in found]


@pytest.fixture(scope="module")
def shipped() -> Crf:
    return Crf(SHIPPED_CRF, "0" * 64)


def trained(path: Path, labels: list[str]) -> Path:
    """A model that has seen one sentence of three words."""
    import pycrfsuite

    trainer = pycrfsuite.Trainer(verbose=False)
    trainer.append([["w=a"], ["w=b"], ["w=c"]], labels)
    trainer.train(str(path))
    return path


def test_the_shipped_model_finds_people_places_and_organizations(shipped: Crf) -> None:
    (found,) = shipped.extract(["Mr. John Smith moved from London to the University of Chicago in 1998."])
    assert ("London", "LOC") in named(found)
    assert ("University of Chicago", "ORG") in named(found)
    assert any(words.endswith("John Smith") and tag == "PER" for words, tag in named(found))
    assert [entity.index for entity in found] == [0, 1, 2]
    assert all(entity.unusable is None for entity in found)


def test_places_are_code_points_of_the_text(shipped: Crf) -> None:
    (found,) = shipped.extract(["𝕏 😀 He lives in London."])
    assert [entity.span for entity in found if entity.mention == "London"] == [Span(16, 22)]


def test_texts_without_words_or_names_have_no_entities(shipped: Crf) -> None:
    assert shipped.extract(["", "   ", "it was raining all day ."]) == [(), (), ()]


def test_no_text_gives_no_answer(shipped: Crf) -> None:
    assert shipped.extract([]) == []


def test_threads_do_not_disturb_each_other(shipped: Crf) -> None:
    texts = [f"Mr. John Smith moved to London in {year}." for year in range(1900, 1960)]
    expected = shipped.extract(texts)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: shipped.extract([text])[0], texts))
    assert found == expected


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.crfsuite").write_bytes(b"not a model")
    with pytest.raises(ConfigurationError, match=r"bad\.crfsuite is not a model"):
        Crf(tmp_path / "bad.crfsuite", "0" * 64)


def test_a_model_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no label of B-NP, I-NP, O means a person"):
        Crf(trained(tmp_path / "chunks", ["B-NP", "I-NP", "O"]), "0" * 64)


def test_a_model_without_bio_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'NOUN' is not a tag.*train it on BIO files"):
        Crf(trained(tmp_path / "speech", ["O", "NOUN", "NOUN"]), "0" * 64)


def test_what_it_is_can_be_told(shipped: Crf) -> None:
    assert (shipped.info.kind, shipped.info.model, shipped.info.sha256) == ("crf", "crf_english.crfsuite", "0" * 64)


def test_a_closed_extractor_has_given_its_model_back(tmp_path: Path) -> None:
    extractor = Crf(trained(tmp_path / "own", ["B-PER", "I-PER", "O"]), "0" * 64)
    extractor.close()
    with pytest.raises(ValueError, match="not opened"):
        extractor.extract(["Ann"])


def test_without_python_crfsuite_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycrfsuite", None)
    with pytest.raises(ConfigurationError, match=r"needs python-crfsuite; run: pip install python-crfsuite"):
        Crf(SHIPPED_CRF, "0" * 64)
