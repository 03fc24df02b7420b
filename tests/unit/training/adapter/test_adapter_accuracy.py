"""Exact spans of held-out pairs, with answers written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Span
from eat_worker.method.rounds import Request, RoundResult, SpanConstraint
from eat_worker.training.adapter.accuracy import accuracy, right_span, sample
from eat_worker.training.eacl.pairs import EaclPair

CONFIG = MethodConfig()


def test_right_answers_are_counted_by_language_and_way(pairs: list[EaclPair]) -> None:
    asked: list[Request] = []

    def answer_all(requests: Sequence[Request]) -> list[RoundResult]:
        asked.extend(requests)
        bound = requests[0].constraint is not None
        answers = ["서울", "Rhein", "Москва"] if bound else ["The words are: 서울.", "Köln", "Rom"]
        return [RoundResult(answer, generated_tokens=2, logprob=-9.0) for answer in answers]

    found = accuracy(pairs[:3], answer_all, config=CONFIG)
    assert found["bound"]["all"] == {"pairs": 3, "exact": 2}
    assert found["bound"]["languages"] == {
        "ko": {"pairs": 1, "exact": 1},
        "de": {"pairs": 1, "exact": 0},
        "ru": {"pairs": 1, "exact": 1},
    }
    assert found["bound"]["outcomes"] == {"exact": 3}
    assert found["bound"]["within"] == {"pairs": 0, "exact": 0}
    assert found["free"]["all"] == {"pairs": 3, "exact": 2}
    assert found["free"]["outcomes"] == {"exact": 2, "not_found": 1}
    assert len(asked) == 6


def test_the_model_is_asked_what_it_is_asked_at_work(pairs: list[EaclPair]) -> None:
    asked: list[Request] = []

    def answer_all(requests: Sequence[Request]) -> list[RoundResult]:
        asked.extend(requests)
        return [RoundResult("NONE")] * len(requests)

    found = accuracy(pairs[:1], answer_all, config=CONFIG)
    bound, free = asked
    assert [message.role for message in bound.messages] == ["system", "user"]
    assert bound.messages[1].content == (
        'Sentence (Korean): 서울은 대한민국의 수도이다.\nWhich words of this sentence mean "Seoul"? '
        "Copy them exactly as they are written."
    )
    assert bound.messages == free.messages
    assert bound.adapter
    assert isinstance(bound.constraint, SpanConstraint)
    assert bound.limits.max_new_tokens == 48
    assert free.constraint is None
    assert found["bound"]["outcomes"] == {"refused": 1}


def test_names_that_do_not_begin_their_sentence_are_counted_apart(pairs: list[EaclPair]) -> None:
    answers = {"서울": "서울", "München": "München", "부산": "한국"}
    asked = [pair for pair in pairs if pair.words in answers]

    def answer_all(requests: Sequence[Request]) -> list[RoundResult]:
        return [RoundResult(answers[str(pair.words)]) for pair in asked]

    found = accuracy(asked, answer_all, config=CONFIG)["bound"]
    assert (found["all"], found["within"]) == ({"pairs": 3, "exact": 2}, {"pairs": 2, "exact": 1})


def test_an_answer_that_stands_there_twice_is_right_at_its_first_place() -> None:
    pair = EaclPair("de", "Rome", "Rom", "Romantik in Rom und um Rom.", "Rom")
    assert right_span(pair) == Span(12, 15)


def test_a_sample_has_one_pair_per_page_and_the_same_every_time(pairs: list[EaclPair]) -> None:
    doubled = [*pairs, EaclPair("ko", "Soul", "서울", "서울은 대한민국의 수도이다.", "서울")]
    chosen = sample(doubled, 2, config=CONFIG, seed=1)
    assert [pair.lang for pair in chosen] == ["de", "de", "ko", "ko", "ru", "zh"]
    assert len({pair.page for pair in chosen}) == 6
    assert sample(list(reversed(doubled)), 2, config=CONFIG, seed=1) == chosen


@pytest.mark.parametrize(
    "pair",
    [
        EaclPair("de", "Oslo", "Oslo", "Sie lebt in Oslo.", "Oslo"),  # copied, never asked
        EaclPair("de", "Po", "Po", "Er fährt nach Poland.", "Po"),  # no bound answer can say half a word
        EaclPair("de", "Rome", "Rom", "Sie lebt dort.", None),
    ],
)
def test_what_is_never_asked_is_not_in_a_sample(pair: EaclPair) -> None:
    assert sample([pair], 5, config=CONFIG, seed=0) == []
