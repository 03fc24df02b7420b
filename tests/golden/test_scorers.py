"""Our scorers against the numbers that other people's scorers printed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sacrebleu.metrics.bleu import BLEU

from eat_worker.metrics.bleu import corpus_bleu, sentence_bleu
from eat_worker.metrics.f1 import (
    Counts,
    Entity,
    bio_spans,
    macro_f1,
    micro,
    official,
    pooled,
    precision_recall_f1,
    span_counts,
    token_strict,
    weighted_f1,
)

DATA = Path(__file__).resolve().parent / "data"
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "golden"
PER_LOC_ORG = {"PER": "PER", "LOC": "LOC", "CORP": "ORG", "GRP": "ORG"}  # PROD and CW have no counterpart

Sentence = tuple[list[str], list[str]]  # gold tags, predicted tags


def cases(name: str) -> list[dict]:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def columns(path: Path, column: int) -> list[Sentence]:
    """Gold and the predictions of one system, sentence by sentence."""
    blocks = path.read_text(encoding="utf-8").strip("\n").split("\n\n")
    rows = [[line.split("\t") for line in block.split("\n")] for block in blocks]
    return [([row[0] for row in block], [row[column - 1] for row in block]) for block in rows]


def by_spans(sentences: list[Sentence], mode: str = "lenient") -> dict[str, Counts]:
    return pooled(span_counts(bio_spans(gold, mode), bio_spans(guess, mode)) for gold, guess in sentences)


def by_tokens(sentences: list[Sentence], mapped: Callable[[str], str | None]) -> dict[str, Counts]:
    """token_strict over a text of one-letter words, whose tokens are the tokens of the tags."""

    def entities(tags: list[str]) -> list[Entity]:
        found = [(start, end, mapped(kind)) for start, end, kind in bio_spans(tags)]
        return [(2 * start, 2 * end - 1, tag) for start, end, tag in found if tag]

    return pooled(
        token_strict(" ".join("w" * len(gold)), "en", entities(gold), entities(guess)) for gold, guess in sentences
    )


def percent(counts: dict[str, Counts]) -> float:
    return 100 * precision_recall_f1(*micro(counts))[2]


@pytest.mark.parametrize("case", cases("official_eval_cases.json"), ids=lambda case: case["name"])
def test_the_released_scorer_is_reproduced(case):
    counts = [
        official(text, gold, predicted, zh=case["zh"], stop_word_filter=case["stop_word_filter"])
        for text, gold, predicted in zip(case["texts"], case["gold"], case["pred"], strict=True)
    ]
    total = pooled(sentence for sentence in counts if sentence is not None)
    figures = (precision_recall_f1(*micro(total))[2], macro_f1(total), weighted_f1(total))
    assert tuple(round(figure, 6) for figure in figures) == (case["micro"], case["macro"], case["weighted"])


def test_conlleval_prints_the_same_for_the_conll_2000_sample():
    expected = json.loads((DATA / "conlleval_expected.json").read_text(encoding="utf-8"))
    sentences = columns(DATA / "conlleval_tags.tsv", 2)
    assert sum(len(gold) for gold, _ in sentences) == 961
    right = sum(a == b for gold, guess in sentences for a, b in zip(gold, guess, strict=True))
    assert round(100 * right / 961, 2) == expected["accuracy"] == 84.08

    counts = by_spans(sentences)
    tp, fp, fn = micro(counts)
    assert (tp + fn, tp + fp, tp) == (expected["phrases"], expected["found"], expected["correct"]) == (459, 539, 371)
    figures = [round(100 * figure, 2) for figure in precision_recall_f1(tp, fp, fn)]
    assert figures == [expected["precision"], expected["recall"], expected["FB1"]] == [68.83, 80.83, 74.35]
    for kind, row in expected["by_type"].items():
        tp, fp, fn = counts[kind]
        assert [*(round(100 * figure, 2) for figure in precision_recall_f1(tp, fp, fn)), tp + fp] == row
    assert percent(counts) / 100 == pytest.approx(0.7434869739, abs=1e-10)
    assert percent(by_spans(sentences, "strict")) / 100 == pytest.approx(0.704595186, abs=1e-9)


@pytest.mark.parametrize("case", cases("seqeval_cases.json"), ids=lambda case: case["source"])
def test_seqeval_gives_the_same_span_f1(case):
    sentences = list(zip(case["y_true"], case["y_pred"], strict=True))
    assert percent(by_spans(sentences, case["options"].get("mode", "lenient"))) / 100 == case["f1_micro"]


@pytest.mark.parametrize("case", cases("sacrebleu_cases.json"), ids=lambda case: f"{case['level']}-{case['options']}")
def test_the_installed_sacrebleu_still_gives_its_published_scores(case):
    hyps, refs, options = case["hyps"], case["refs"], case["options"]
    if case["level"] == "corpus":
        score = BLEU(**options).corpus_score(hyps, refs).score
    elif case["level"] == "sentence":
        score = BLEU(**options).sentence_score(hyps[0], [refs[0][0]]).score
    else:
        raw = BLEU(tokenize="none", smooth_method="floor", smooth_value=0.01, force=True)
        score = raw.corpus_score(hyps, refs).score
    assert score == pytest.approx(case["expected"], abs=case["tolerance"])


# Ours has one reference, exponential smoothing and the case as it stands: the cases with those options.
OURS = [
    case
    for case in cases("sacrebleu_cases.json")
    if case["level"] == "sentence"
    and case["options"].get("smooth_method", "exp") == "exp"
    and not case["options"].get("lowercase", False)
]


@pytest.mark.parametrize("case", OURS, ids=lambda case: f"{case.get('lang', 'ro')}-{case['options']['tokenize']}")
def test_our_sentence_bleu_gives_sacrebleus_published_scores(case):
    found = sentence_bleu(case["hyps"][0], case["refs"][0][0], case.get("lang", "ro"), case["options"]["tokenize"])
    assert found.score == pytest.approx(case["expected"], abs=case["tolerance"])


def test_more_than_twenty_of_the_published_cases_are_ours():
    assert len(OURS) == 24


def test_the_japanese_pair_with_mecab_scores_as_measured():
    found = sentence_bleu("東京は日本の首都です。", "東京は日本の首都である。", "ja")
    assert found.score == pytest.approx(55.78, abs=0.005)
    assert found.signature == "nrefs:1|case:mixed|eff:yes|tok:ja-mecab-0.996-IPA|smooth:exp|version:2.6.0"


def test_corpus_bleu_from_sums_is_sacrebleus_on_its_own_example():
    hyps = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
    refs = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."]
    stats = [sentence_bleu(hyp, ref, "en").stats for hyp, ref in zip(hyps, refs, strict=True)]
    found = corpus_bleu([sum(column) for column in zip(*stats, strict=True)], "en")
    assert found.score == BLEU().corpus_score(hyps, [refs]).score
    assert found.signature == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the prediction columns are not ours to ship; see data/README.md")
@pytest.mark.parametrize("lang", ["de", "es", "nl", "en"])
def test_real_systems_on_multiconer_score_as_their_authors_state(lang):
    systems = json.loads((SHARED / "multiconer_dev_expected.json").read_text(encoding="utf-8"))[lang]
    for system in systems:
        sentences = columns(SHARED / f"multiconer_dev_{lang}.tsv", system["column"])
        assert len(sentences) == system["sentences"] == 800
        assert sum(len(gold) for gold, _ in sentences) == system["tokens"]
        lenient = by_spans(sentences)
        assert round(percent(lenient), 2) == system["stated_f1_in_file_name"]
        assert round(percent(lenient), 4) == system["span_micro_f1_lenient"]
        assert round(100 * macro_f1(lenient), 4) == system["span_macro_f1_lenient"]
        assert round(percent(by_spans(sentences, "strict")), 4) == system["span_micro_f1_strict_IOB2"]
        assert round(percent(by_tokens(sentences, str)), 4) == system["token_micro_f1_all_types"]
        assert round(percent(by_tokens(sentences, PER_LOC_ORG.get)), 4) == system["token_micro_f1_PER_LOC_ORG_mapped"]
