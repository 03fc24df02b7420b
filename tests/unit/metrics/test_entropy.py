"""Bigram entropy: values worked out by hand, in nats."""

from math import log
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eat_worker.metrics.entropy import PooledEntropy, bigram_entropy, entropy_loss, pooled_entropy_loss

RUG = "the cat sat on the mat and the dog sat on the rug"


def test_the_reading_as_printed_conditions_on_the_later_unit():
    assert bigram_entropy(["a", "b", "a", "c"]) == 0.0
    assert bigram_entropy(RUG.split()) == pytest.approx(0.274653, abs=5e-7)


def test_the_usual_reading_conditions_on_the_earlier_unit():
    assert bigram_entropy(["a", "b", "a", "c"], "previous") == pytest.approx(0.462098, abs=5e-7)
    assert bigram_entropy(RUG.split(), "previous") == pytest.approx(0.462098, abs=5e-7)


def test_a_fair_choice_between_two_is_log_two():
    assert bigram_entropy("axbx") == pytest.approx(2 / 3 * log(2))  # ax, xb, bx: x follows a or b


@pytest.mark.parametrize("units", ["", "a", "ab", "abcdef", "aaaa"])
def test_a_text_without_choice_has_exactly_no_entropy(units):
    assert bigram_entropy(units) == 0.0


@given(st.text(alphabet="abc ", max_size=30))
def test_entropy_read_backwards_is_the_other_reading(text):
    assert bigram_entropy(text[::-1], "previous") == pytest.approx(bigram_entropy(text))
    assert bigram_entropy(text) >= 0.0


def test_the_loss_is_one_for_the_text_itself_and_zero_for_an_empty_answer():
    assert entropy_loss(RUG, RUG) == 1.0
    assert entropy_loss(RUG, "") == 0.0


def test_the_loss_is_the_ratio_of_the_entropies():
    # x follows a, b, c, d evenly: 4/7 log 4; of a, b evenly: 2/3 log 2. The ratio is (2/3) / (8/7).
    assert entropy_loss("a x b x c x d x", "a x b x", "tokens") == pytest.approx(7 / 12)
    # Read the other way x is followed by b, c, d: 3/7 log 3; by b alone: nothing.
    assert entropy_loss("a x b x c x d x", "a x b x", "tokens", "previous") == 0.0
    assert entropy_loss(RUG, "a b a c", "tokens", "previous") == pytest.approx(1.0)


def test_the_loss_is_undefined_where_the_text_has_no_entropy_or_nothing_came_back():
    assert entropy_loss("서울", "서울은 서울이다") is None
    assert entropy_loss("", "") is None
    assert entropy_loss("one two three", "one two two one", "tokens") is None
    assert entropy_loss(RUG, None) is None


def test_spaces_are_characters_too():
    assert entropy_loss("a b ", "a b ") == 1.0  # the space follows a or b
    assert entropy_loss("ab", "ab") is None


def test_pooled_texts_share_their_counts_but_no_bigram_crosses():
    pool = PooledEntropy()
    for text in ("ax", "bx"):
        pool.add(text)
    assert pool.value() == pytest.approx(log(2))  # x after a or b, evenly
    assert pool.value("previous") == 0.0


def test_an_empty_pool_has_no_entropy():
    assert PooledEntropy().value() == 0.0


def test_the_pooled_loss_is_the_ratio_of_two_pools():
    texts, back = PooledEntropy("tokens"), PooledEntropy("tokens")
    texts.add("a x b x c x d x")
    assert pooled_entropy_loss(texts, back) == 0.0
    back.add("a x b x")
    assert pooled_entropy_loss(texts, back) == pytest.approx(7 / 12)
    assert pooled_entropy_loss(back, texts, "previous") is None


def test_letters_in_pieces_carry_no_more_information():
    whole, pieces = (normalize(form, "서울에서 서울로 부산에") for form in ("NFC", "NFD"))
    assert entropy_loss(pieces, whole) == entropy_loss(whole, pieces) == 1.0
    texts, back = PooledEntropy(), PooledEntropy()
    texts.add(pieces)
    back.add(whole)
    assert pooled_entropy_loss(texts, back) == 1.0
