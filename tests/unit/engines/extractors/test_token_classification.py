"""Checkpoints that label word pieces, served: batches, windows, foreign labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from eat_worker.engines.extractors.token_classification import TokenClassification
from eat_worker.errors import ConfigurationError
from eat_worker.method.document import EnglishEntity, Span

TEXTS = ["Ann Lee left.", "", "Oslo", "Bo saw Ulm and no one came", "  \n", "x y z"]


@pytest.fixture
def always(tiny_bert: Path, tmp_path: Path) -> Any:
    """A copy of the checkpoint that gives every piece the same label."""

    def make(label: str) -> Path:
        import torch
        from transformers import AutoModelForTokenClassification

        folder = tmp_path / "always"
        shutil.copytree(tiny_bert, folder)
        model = AutoModelForTokenClassification.from_pretrained(folder)
        with torch.no_grad():
            model.classifier.weight.zero_()
            model.classifier.bias.zero_()
            model.classifier.bias[model.config.label2id[label]] = 9.0
        model.save_pretrained(folder)
        return folder

    return make


def test_a_batch_says_what_each_text_alone_says(tiny_bert: Path) -> None:
    extractor = TokenClassification(tiny_bert, "0" * 64, batch=3)
    together = extractor.extract(TEXTS)
    assert together == [extractor.extract([text])[0] for text in TEXTS]
    assert any(together)  # random weights name something
    assert together[1] == together[4] == ()
    extractor.close()


def test_a_long_text_is_read_to_its_end(always: Any) -> None:
    extractor = TokenClassification(always("B-LOC"), "0" * 64)
    (found,) = extractor.extract([" ".join(str(number) for number in range(100, 400))])
    assert len(found) == 300
    assert found[299] == EnglishEntity(299, "399", "LOC", Span(1196, 1199))


def test_an_entity_over_the_seam_of_two_windows_stays_one(always: Any) -> None:
    (found,) = TokenClassification(always("I-ORG"), "0" * 64).extract(["Ann " * 100])
    assert [(entity.mention, entity.tag) for entity in found] == [(("Ann " * 100).strip(), "ORG")]


def test_types_that_mean_the_same_get_our_names(always: Any) -> None:
    folder = always("B-LOC")
    config = json.loads((folder / "config.json").read_text())
    labels = {**config["id2label"], str(config["label2id"]["B-LOC"]): "B-PERSON"}
    config["id2label"], config["label2id"] = labels, {label: int(number) for number, label in labels.items()}
    (folder / "config.json").write_text(json.dumps(config))
    assert [entity.tag for entity in TokenClassification(folder, "0" * 64).extract(["Oslo"])[0]] == ["PER"]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["O", *(f"LABEL_{n}" for n in range(6))], "'LABEL_0' is not a tag.*id2label"),
        (["O", *(f"B-T{n}" for n in range(6))], "means a person, place or organization"),
    ],
)
def test_a_checkpoint_for_something_else_is_refused(
    tiny_bert: Path, tmp_path: Path, labels: list[str], reason: str
) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "other"))
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(number): label for number, label in enumerate(labels)}
    config["label2id"] = {label: number for number, label in enumerate(labels)}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match=reason):
        TokenClassification(folder, "0" * 64)
