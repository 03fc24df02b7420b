"""`train_extractor` and `eat train extractor`: what is made, what its card says, what is refused."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eat_worker.engines.extractors.opening import extractor_sha256, open_extractor
from eat_worker.errors import ConfigurationError, ModelMissing
from eat_worker.training import extractor as training
from eat_worker.training.crf import CrfSettings
from eat_worker.training.extractor import card_path, train_extractor

TRAIN = """Ann\tB-PER
Lee\tI-PER
left\tO
Oslo\tB-LOC

Bo\tB-PER
saw\tO
Ulm\tB-LOC

no\tO
one\tO
came\tO
"""


@pytest.fixture
def train(tmp_path: Path) -> Path:
    file = tmp_path / "train.bio"
    file.write_text(TRAIN)
    return file


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(training, "CrfSettings", functools.partial(CrfSettings, made=60))  # seconds, not minutes
    file = tmp_path / "names.tsv"
    file.write_text("Ada Byron\tPER\nBergen\tLOC\nAcme Group\tORG\nDanish\tMISC\n")
    return file


def named(kind: str, out: Path, text: str) -> list[tuple[str, str]]:
    (found,) = open_extractor(kind, str(out), models_dir=out.parent).extract([text])
    return [(entity.mention, entity.tag) for entity in found]


def test_a_crf_learns_its_sentences_and_its_card_tells_how(train: Path, tmp_path: Path) -> None:
    out = tmp_path / "own" / "mine.crfsuite"
    card = train_extractor("crf", [train], out, dev=train, seed=3)
    assert named("crf", out, "Ann Lee left Oslo") == [("Ann Lee", "PER"), ("Oslo", "LOC")]
    assert json.loads((tmp_path / "own/mine.crfsuite.card.json").read_text()) == card
    assert card["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (card["kind"], card["seed"], card["names"]) == ("crf", 3, None)
    described = {
        "file": "train.bio",
        "sha256": hashlib.sha256(TRAIN.encode()).hexdigest(),
        "sentences": 3,
        "entities": 4,
        "rejected": 0,
    }
    assert card["train"] == [described]
    perfect = {"precision": 100.0, "recall": 100.0, "f1": 100.0}
    assert card["dev"] == {**described, "scores": {"token_strict": perfect, "span": perfect}}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(train: Path, names: Path, tmp_path: Path) -> None:
    for file, seed in (("a", 3), ("b", 3), ("c", 4)):
        train_extractor("crf", [train], tmp_path / file, names=names, seed=seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_names_of_a_list_are_recognised_afterwards(train: Path, names: Path, tmp_path: Path) -> None:
    card = train_extractor("crf", [train], tmp_path / "crf", names=names)
    assert card["names"] == {"file": "names.tsv", "sha256": hashlib.sha256(names.read_bytes()).hexdigest()}
    assert ("Acme Group", "ORG") in named("crf", tmp_path / "crf", "He works for Acme Group .")


@pytest.mark.parametrize("kind", ["flan_t5", "token_classification"])
def test_a_checkpoint_is_trained_from_its_base(
    kind: str, train: Path, tiny_bert: Path, tiny_t5: Path, tmp_path: Path
) -> None:
    base, out = (tiny_t5 if kind == "flan_t5" else tiny_bert), tmp_path / "tuned"
    card = train_extractor(kind, [train], out, base=base, epochs=2)
    assert json.loads(card_path(out).read_text()) == card
    assert card_path(out) == out / "card.json"
    assert card["sha256"] == extractor_sha256(out)
    assert card["base"] == {"folder": base.name, "sha256": extractor_sha256(base)}
    assert card["sha256"] != card["base"]["sha256"]
    assert (card["settings"]["epochs"], len(card["losses"]), card["dev"]) == (2, 2, None)


def test_flan_t5_is_trained_as_the_paper_says_unless_told_otherwise(train: Path, tiny_t5: Path, tmp_path: Path) -> None:
    card = train_extractor("flan_t5", [train], tmp_path / "tuned", base=tiny_t5)
    assert card["settings"] == {"epochs": 50, "learning_rate": 0.0001, "batch": 16}


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        ("spacy", {}, ConfigurationError, "'spacy' is not one of: crf, flan_t5, token_classification"),
        ("crf", {"base": Path("bert")}, ConfigurationError, "leave --base and --epochs out"),
        ("crf", {"epochs": 3}, ConfigurationError, "leave --base and --epochs out"),
        ("flan_t5", {"names": Path("names")}, ConfigurationError, "--names goes with --kind crf"),
        ("flan_t5", {}, ConfigurationError, "name its folder with --base"),
        ("flan_t5", {"base": Path("nowhere")}, ModelMissing, "nowhere: no such folder"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    kind: str, options: dict[str, Any], error: type[Exception], message: str, train: Path
) -> None:
    with pytest.raises(error, match=message):
        train_extractor(kind, [train], train.with_name("out"), **options)


def test_without_python_crfsuite_it_says_what_to_install(
    train: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycrfsuite", None)
    with pytest.raises(ConfigurationError, match=r"needs python-crfsuite; run: pip install python-crfsuite"):
        train_extractor("crf", [train], tmp_path / "out")


def test_nothing_is_overwritten_and_something_is_needed(train: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"train\.bio exists already"):
        train_extractor("crf", [train], train)
    with pytest.raises(ConfigurationError, match="at least one BIO file"):
        train_extractor("crf", [], tmp_path / "out")


def test_the_command_tells_where_it_wrote_and_how_good_it_is(eat: Callable[..., Any], train: Path) -> None:
    ended = eat("train", "extractor", str(train), "--dev", str(train), "--out", "mine.crfsuite")
    assert (ended.code, ended.out) == (0, "mine.crfsuite\n")
    assert ended.err == "train.bio: token-strict F1 100.0, span F1 100.0\ncard: mine.crfsuite.card.json\n"


def test_the_command_prints_its_card_as_json(eat: Callable[..., Any], train: Path) -> None:
    ended = eat("train", "extractor", str(train), "--out", "mine.crfsuite", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == json.loads(Path("mine.crfsuite.card.json").read_text())


def test_the_command_refuses_what_the_function_refuses(eat: Callable[..., Any], train: Path) -> None:
    ended = eat("train", "extractor", str(train), "--kind", "flan_t5", "--out", "t5")
    assert ended.code == 78
    assert "--base" in ended.err
