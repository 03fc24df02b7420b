"""Counts of the three scorers, on sentences small enough to count by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eat_worker.method.languages import UNSPACED
from eat_worker.metrics.f1 import (
    bio_spans,
    counts_by_scorer,
    lenient_counts,
    macro_f1,
    micro,
    official,
    partial_counts,
    pooled,
    precision_recall_f1,
    span_counts,
    token_strict,
    tokens_of,
    weighted_f1,
)

TAGS = st.sampled_from(["PER", "LOC", "ORG"])


@st.composite
def texts_with_entities(draw, apart: bool = False):
    """A text and entities in it; `apart`: none overlaps another and none is empty."""
    text = draw(st.text(alphabet="ab 서울에 ,", min_size=1, max_size=20))
    ends = st.integers(0, len(text))
    if not apart:
        return text, draw(st.lists(st.tuples(ends, ends, TAGS), max_size=6))
    cuts = sorted(draw(st.sets(ends, max_size=8)))
    return text, [(start, end, draw(TAGS)) for start, end in zip(cuts[::2], cuts[1::2], strict=False)]


# --- figures from counts ---


def test_precision_recall_and_f1_of_hand_counted_numbers():
    assert precision_recall_f1(3, 1, 2) == (0.75, 0.6, 2 / 3)


def test_undefined_ratios_are_zero():
    assert precision_recall_f1(0, 0, 0) == (0.0, 0.0, 0.0)
    assert precision_recall_f1(0, 2, 0) == (0.0, 0.0, 0.0)
    assert precision_recall_f1(0, 0, 2) == (0.0, 0.0, 0.0)


def test_sentences_are_pooled_tag_by_tag_and_then_over_tags():
    counts = pooled([{"PER": (1, 0, 0)}, {"PER": (2, 1, 0), "LOC": (0, 0, 4)}, {}])
    assert counts == {"PER": (3, 1, 0), "LOC": (0, 0, 4)}
    assert micro(counts) == (3, 1, 4)


def test_nothing_pools_to_no_counts():
    assert pooled([]) == {}
    assert micro({}) == (0, 0, 0)
    assert macro_f1({}) == 0.0
    assert weighted_f1({}) == 0.0


def test_macro_counts_an_absent_tag_as_zero_and_weighted_leaves_it_out():
    counts = {"PER": (2, 0, 0), "LOC": (1, 0, 2), "ORG": (0, 0, 0)}  # F1 1.0, 0.5, 0.0; gold 2, 3, 0
    assert macro_f1(counts) == 0.5
    assert weighted_f1(counts) == pytest.approx(0.7)


# --- tokens ---


def test_tokens_are_runs_between_any_white_space():
    assert tokens_of(" 서울에서  열린\u00a0회의\n", "ko") == [(1, 5), (7, 9), (10, 12)]


@pytest.mark.parametrize("lang", ["zh", "ja", "th", "lo", "km", "my"])
def test_tokens_of_unspaced_languages_are_their_characters(lang):
    assert tokens_of("北京 a\u3000是", lang) == [(0, 1), (1, 2), (3, 4), (5, 6)]


# --- token-strict ---

TEXT = "서울에서 열린 회의"  # 서울 = [0, 2) inside the token [0, 4)


def test_a_gold_entity_inside_a_token_is_found_exactly():
    assert token_strict(TEXT, "ko", [(0, 2, "LOC")], [(0, 2, "LOC")]) == {"LOC": (1, 0, 0)}


def test_the_whole_token_for_an_entity_inside_it_is_right_on_the_name_and_wrong_on_the_particle():
    assert token_strict(TEXT, "ko", [(0, 2, "LOC")], [(0, 4, "LOC")]) == {"LOC": (1, 1, 0)}


def test_a_part_of_a_gold_unit_is_both_a_false_positive_and_a_miss():
    assert token_strict(TEXT, "ko", [(0, 2, "LOC")], [(0, 1, "LOC")]) == {"LOC": (0, 1, 1)}
    assert token_strict(TEXT, "ko", [(0, 4, "LOC")], [(0, 2, "LOC")]) == {"LOC": (0, 1, 1)}


def test_a_prediction_that_runs_into_the_next_unit_cuts_that_one_only():
    assert token_strict(TEXT, "ko", [(0, 2, "LOC")], [(0, 3, "LOC")]) == {"LOC": (1, 1, 0)}


def test_a_false_alarm_inside_a_token_is_one_false_positive():
    assert token_strict(TEXT, "ko", [], [(0, 2, "LOC")]) == {"LOC": (0, 1, 0)}


def test_the_wrong_tag_is_a_false_positive_of_one_and_a_miss_of_the_other():
    assert token_strict("Paris is big", "en", [(0, 5, "LOC")], [(0, 5, "ORG")]) == {"ORG": (0, 1, 0), "LOC": (0, 0, 1)}


def test_each_token_of_an_entity_counts():
    assert token_strict("New York City is big", "en", [(0, 13, "LOC")], [(0, 8, "LOC")]) == {"LOC": (2, 0, 1)}


def test_punctuation_that_gold_leaves_out_is_a_unit_of_its_own():
    assert token_strict("in Paris.", "en", [(3, 8, "LOC")], [(3, 8, "LOC")]) == {"LOC": (1, 0, 0)}
    assert token_strict("in Paris.", "en", [(3, 8, "LOC")], [(3, 9, "LOC")]) == {"LOC": (1, 1, 0)}


def test_characters_are_the_units_of_chinese():
    counts = token_strict("北京大学在北京", "zh", [(0, 4, "ORG"), (5, 7, "LOC")], [(0, 2, "LOC"), (5, 7, "LOC")])
    assert counts == {"ORG": (0, 0, 4), "LOC": (2, 2, 0)}


def test_the_second_occurrence_is_not_the_first():
    counts = token_strict("Paris and Paris", "en", [(10, 15, "LOC")], [(0, 5, "LOC")])
    assert counts == {"LOC": (0, 1, 1)}


def test_without_predictions_nothing_is_right():
    assert token_strict("New York is big", "en", [(0, 8, "LOC")], []) == {"LOC": (0, 0, 2)}
    assert token_strict("It rained .", "en", [], []) == {}


def test_of_overlapping_predictions_the_whole_cover_wins_then_the_earlier_then_the_longer():
    gold = [(0, 2, "LOC")]
    assert token_strict(TEXT, "ko", gold, [(0, 1, "PER"), (0, 2, "LOC")]) == {"LOC": (1, 0, 0)}
    assert token_strict(TEXT, "ko", gold, [(0, 1, "PER"), (1, 2, "LOC")]) == {"PER": (0, 1, 0), "LOC": (0, 0, 1)}
    nested = [(0, 8, "ORG"), (4, 8, "LOC")]
    assert token_strict("New York", "en", [(0, 8, "ORG")], nested) == {"ORG": (2, 0, 0)}
    assert token_strict("New York", "en", nested, [(0, 8, "ORG")]) == {"ORG": (2, 0, 0)}


def test_a_cover_that_starts_later_replaces_a_cut_that_starts_earlier():
    assert token_strict("ab cd", "en", [(3, 5, "LOC")], [(1, 4, "PER"), (3, 5, "LOC")]) == {
        "PER": (0, 1, 0),
        "LOC": (1, 0, 0),
    }


def test_empty_entities_count_for_nothing():
    assert token_strict("Paris", "en", [(2, 2, "LOC")], [(4, 1, "LOC")]) == {}


@given(texts_with_entities(), st.sampled_from(["en", "zh"]))
def test_a_perfect_prediction_has_no_error(case, lang):
    text, entities = case
    _, fp, fn = micro(token_strict(text, lang, entities, entities))
    assert (fp, fn) == (0, 0)


@given(texts_with_entities(apart=True), st.sampled_from(["en", "ja"]))
def test_a_perfect_prediction_of_anything_but_white_space_is_f1_one(case, lang):
    text, entities = case
    expected = 1.0 if any(text[start:end].strip() for start, end, _ in entities) else 0.0
    assert precision_recall_f1(*micro(token_strict(text, lang, entities, entities)))[2] == expected


@given(texts_with_entities(), st.permutations(range(6)))
def test_the_order_of_entities_does_not_matter(case, order):
    text, entities = case
    shuffled = [entities[place] for place in order if place < len(entities)]
    assert token_strict(text, "ko", entities[:2], shuffled) == token_strict(text, "ko", entities[:2], entities)


@given(texts_with_entities(), texts_with_entities())
def test_among_characters_gold_and_prediction_exchanged_exchange_the_errors(case, other):
    text, gold = case
    predicted = other[1]
    there = token_strict(text, "zh", gold, predicted)
    back = token_strict(text, "zh", predicted, gold)
    assert back == {tag: (tp, fn, fp) for tag, (tp, fp, fn) in there.items()}


@given(texts_with_entities(apart=True), texts_with_entities(apart=True))
def test_every_gold_unit_is_either_found_or_missed(case, other):
    text, gold = case
    tp, _, fn = micro(token_strict(text, "ko", gold, other[1]))
    assert tp + fn == micro(token_strict(text, "ko", gold, gold))[0]


# --- spans ---


def test_a_span_is_right_when_start_end_and_tag_are():
    gold = [(0, 2, "LOC"), (5, 7, "PER"), (8, 9, "ORG")]
    predicted = [(0, 2, "LOC"), (5, 6, "PER"), (8, 9, "LOC")]
    assert span_counts(gold, predicted) == {"LOC": (1, 1, 0), "PER": (0, 1, 1), "ORG": (0, 0, 1)}


def test_the_same_span_twice_needs_two_partners():
    assert span_counts([(0, 2, "LOC")], [(0, 2, "LOC"), (0, 2, "LOC")]) == {"LOC": (1, 1, 0)}
    assert span_counts([(0, 2, "LOC")] * 2, [(0, 2, "LOC")] * 2) == {"LOC": (2, 0, 0)}


@given(texts_with_entities(), texts_with_entities())
def test_span_counts_exchange_their_errors_with_the_sides(case, other):
    there, back = span_counts(case[1], other[1]), span_counts(other[1], case[1])
    assert back == {tag: (tp, fn, fp) for tag, (tp, fp, fn) in there.items()}


# --- tags to spans ---


@pytest.mark.parametrize(
    ("tags", "lenient", "strict"),
    [
        ("B-PER I-PER O B-LOC", [(0, 2, "PER"), (3, 4, "LOC")], [(0, 2, "PER"), (3, 4, "LOC")]),
        ("I-ORG I-ORG", [(0, 2, "ORG")], []),
        ("B-PER B-PER", [(0, 1, "PER"), (1, 2, "PER")], [(0, 1, "PER"), (1, 2, "PER")]),
        ("B-PER I-LOC", [(0, 1, "PER"), (1, 2, "LOC")], [(0, 1, "PER")]),
        ("B-PER I-LOC I-PER", [(0, 1, "PER"), (1, 2, "LOC"), (2, 3, "PER")], [(0, 1, "PER")]),
        ("O I-PER B-PER I-PER", [(1, 2, "PER"), (2, 4, "PER")], [(2, 4, "PER")]),
        ("B-a-b I-a-b", [(0, 2, "a-b")], [(0, 2, "a-b")]),
        ("O O", [], []),
        ("", [], []),
    ],
)
def test_tags_become_spans_in_both_readings(tags, lenient, strict):
    assert bio_spans(tags.split()) == lenient
    assert bio_spans(tags.split(), "strict") == strict


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-PER I-PER E-PER S-LOC", [(0, 3, "PER"), (3, 4, "LOC")]),
        ("S-PER I-PER", [(0, 1, "PER"), (1, 2, "PER")]),
        ("B-PER E-PER I-PER", [(0, 2, "PER"), (2, 3, "PER")]),
        ("O E-PER", [(1, 2, "PER")]),
    ],
)
def test_end_and_single_tags_are_read_as_conlleval_reads_them(tags, spans):
    assert bio_spans(tags.split()) == spans


@pytest.mark.parametrize("tag", ["PER", "B-", "-PER", "BPER", "X-PER", "", "BI-PER"])
def test_a_word_that_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match="is not a tag; expected O or one of B, I, E, S with a type"):
        bio_spans(["O", tag])


def test_the_strict_reading_knows_b_and_i_only():
    with pytest.raises(ValueError, match="'S-PER' is not a tag; expected O or one of B, I with a type, as in B-PER"):
        bio_spans(["S-PER"], "strict")


@given(texts_with_entities(apart=True))
def test_spans_written_as_tags_are_read_back(case):
    text, entities = case
    tags = ["O"] * len(text)
    for start, end, tag in entities:
        tags[start:end] = [f"B-{tag}", *[f"I-{tag}"] * (end - start - 1)]
    assert bio_spans(tags) == bio_spans(tags, "strict") == entities


# --- the released scorer; its reference cases are in tests/golden ---


def test_a_sentence_without_gold_is_skipped_with_its_false_alarms():
    assert official("It rained in Rome", [], [("Rome", "LOC")], zh=False) is None


def test_every_tag_is_listed_and_others_are_no_label_of_interest():
    counts = official("Paris in May", [("Paris", "LOC")], [("Paris", "MISC")], zh=False)
    assert counts == {"PER": (0, 0, 0), "LOC": (0, 0, 1), "ORG": (0, 0, 0)}


def test_redirect_markers_leave_predictions_unless_the_filter_is_off():
    gold = [("weiterleitung Bonn", "LOC")]
    text = "weiterleitung Bonn"
    assert official(text, gold, gold, zh=False) == {"PER": (0, 0, 0), "LOC": (1, 0, 1), "ORG": (0, 0, 0)}
    assert official(text, gold, gold, zh=False, stop_word_filter=False) == {
        "PER": (0, 0, 0),
        "LOC": (2, 0, 0),
        "ORG": (0, 0, 0),
    }


def test_a_prediction_of_quotes_alone_labels_nothing():
    counts = official("'' Bonn ''", [("Bonn", "LOC")], [("''", "LOC"), ("''", "LOC")], zh=False)
    assert counts == {"PER": (0, 0, 0), "LOC": (0, 0, 1), "ORG": (0, 0, 0)}
    assert official("北'京", [("京", "LOC")], [("'", "LOC")], zh=True) == {
        "PER": (0, 0, 0),
        "LOC": (0, 0, 1),
        "ORG": (0, 0, 0),
    }


def test_characters_read_a_space_of_the_text_as_a_hash_and_one_of_the_entity_as_a_space():
    text, name = "John Smith氏", [("John Smith", "PER")]
    assert official(text, name, name, zh=True) == {"PER": (0, 0, 0), "LOC": (0, 0, 0), "ORG": (0, 0, 0)}
    assert official(text, [("John#Smith", "PER")], [("John#Smith", "PER")], zh=True) == {
        "PER": (10, 0, 0),
        "LOC": (0, 0, 0),
        "ORG": (0, 0, 0),
    }


def test_character_occurrences_do_not_overlap_but_token_occurrences_may():
    twice = [("aba", "LOC"), ("aba", "LOC")]
    assert official("ababa", [("ababa", "LOC")], twice, zh=True) == {
        "PER": (0, 0, 0),
        "LOC": (3, 0, 2),
        "ORG": (0, 0, 0),
    }
    # The second starts at the third token, which the first has labelled: dropped as well, though it was considered.
    tokens = [("a b a", "LOC"), ("a b a", "LOC")]
    assert official("a b a b a", [("a b a b a", "LOC")], tokens, zh=False) == {
        "PER": (0, 0, 0),
        "LOC": (3, 0, 2),
        "ORG": (0, 0, 0),
    }


@pytest.mark.parametrize(
    ("gold", "found", "counts"),
    [
        ([], [], {}),
        ([(0, 4, "PER")], [(2, 6, "PER")], {"PER": (1, 0, 0)}),
        ([(0, 4, "PER")], [(4, 6, "PER")], {"PER": (0, 1, 1)}),  # they touch and share nothing
        ([(0, 4, "PER")], [(0, 4, "LOC")], {"PER": (0, 0, 1), "LOC": (0, 1, 0)}),
        ([(0, 9, "PER")], [(0, 2, "PER"), (3, 5, "PER")], {"PER": (1, 1, 0)}),  # one partner each
        ([(0, 2, "PER"), (3, 5, "PER")], [(0, 9, "PER")], {"PER": (1, 0, 1)}),
        ([(0, 2, "PER"), (8, 9, "PER")], [(3, 5, "PER"), (8, 9, "PER")], {"PER": (1, 1, 1)}),
    ],
)
def test_lenient_counts_overlaps_of_the_same_tag(gold, found, counts):
    assert lenient_counts(gold, found) == counts


def test_partial_counts_a_wrong_border_as_a_half():
    assert partial_counts((1, 1, 1), (2, 0, 0)) == (3, 1, 1)
    assert partial_counts((0, 2, 1), (0, 2, 1)) == (0, 4, 2)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4), st.sampled_from(["PER", "LOC"])), max_size=5),
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4), st.sampled_from(["PER", "LOC"])), max_size=5),
)
def test_lenient_finds_no_less_than_span_and_counts_everything_once(left, right):
    gold, found = (_apart([(start, start + size, tag) for start, size, tag in side]) for side in (left, right))
    span, lenient = span_counts(gold, found), lenient_counts(gold, found)
    assert span.keys() == lenient.keys()
    for tag, (tp, fp, fn) in span.items():
        assert lenient[tag][0] >= tp
        assert lenient[tag][0] + lenient[tag][1] == tp + fp
        assert lenient[tag][0] + lenient[tag][2] == tp + fn
        assert min(partial_counts((tp, fp, fn), lenient[tag])) >= 0


def _apart(entities):
    kept = []
    for entity in sorted(entities):
        if not kept or kept[-1][1] <= entity[0]:
            kept.append(entity)
    return kept


def test_a_sentence_without_gold_is_not_counted_by_the_released_scorer():
    counts = counts_by_scorer("ab cd", "de", [], [(0, 2, "PER")])
    assert list(counts) == ["strict", "span", "lenient"]
    assert counts["lenient"] == {"PER": (0, 1, 0)}


def test_tokens_of_every_language_without_blanks_are_characters():
    assert {"bo", "ja", "km", "lo", "my", "th", "zh"} == UNSPACED
    assert tokens_of("ལྷ་ས", "bo") == [(0, 1), (1, 2), (2, 3), (3, 4)]
