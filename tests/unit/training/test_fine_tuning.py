"""Fine-tuned checkpoints say what they were taught, the same every time."""

from __future__ import annotations

from pathlib import Path

from eat_worker.engines.extractors.extractor import Extractor
from eat_worker.engines.extractors.flan_t5 import FlanT5
from eat_worker.engines.extractors.token_classification import TokenClassification
from eat_worker.training.fine_tuning import Schedule, fine_tune_flan_t5, fine_tune_token_classification
from eat_worker.training.tagged import Tagged

SENTENCES = (
    Tagged("Ann Lee left.", ((0, 7, "PER"),)),
    Tagged("Oslo is cold", ((0, 4, "LOC"),)),
    Tagged("Bo saw Ulm", ((0, 2, "PER"), (7, 10, "LOC"))),
    Tagged("no one came", ()),
)


def said(extractor: Extractor) -> list[list[tuple[str, str]]]:
    found = extractor.extract([sentence.text for sentence in SENTENCES])
    return [[(entity.mention, entity.tag) for entity in entities] for entities in found]


EXPECTED = [[("Ann Lee", "PER")], [("Oslo", "LOC")], [("Bo", "PER"), ("Ulm", "LOC")], []]


def test_token_classification_learns_the_labels_of_words(tiny_bert: Path, tmp_path: Path) -> None:
    losses = fine_tune_token_classification(tiny_bert, SENTENCES, tmp_path, Schedule(40, 3e-3, 2), seed=1)
    assert len(losses) == 40
    assert losses[-1] < 0.1 < losses[0]
    assert said(TokenClassification(tmp_path, "0" * 64, batch=2)) == EXPECTED


def test_flan_t5_learns_to_answer_in_the_papers_format(tiny_t5: Path, tmp_path: Path) -> None:
    losses = fine_tune_flan_t5(tiny_t5, SENTENCES, tmp_path, Schedule(80, 3e-3, 4), seed=1)
    assert losses[-1] < 0.1 < losses[0]
    assert said(FlanT5(tmp_path, "0" * 64, batch=3)) == EXPECTED


def test_the_same_seed_gives_the_same_losses_and_another_seed_others(tiny_bert: Path, tmp_path: Path) -> None:
    losses = [
        fine_tune_token_classification(tiny_bert, SENTENCES, tmp_path / str(n), Schedule(3, 1e-3, 2), seed=seed)
        for n, seed in enumerate((7, 7, 8))
    ]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]
