"""Training and held-out pairs."""

from __future__ import annotations

from eat_worker.training.eacl.pairs import EaclPair
from eat_worker.training.eacl.splitting import is_held_out, leakage, sentences_of, split


def pairs(count: int) -> list[EaclPair]:
    return [EaclPair("ko", f"E{number}", f"이름{number}", f"이름{number}은 이름이다.") for number in range(count)]


def sides(some: list[EaclPair], share: float = 0.1, seed: int = 13) -> dict[str, str]:
    trained_on = sentences_of(some, share=share, seed=seed)
    return {pair.english: side for side, pair in split(some, share=share, seed=seed, trained_on=trained_on)}


def test_about_a_tenth_of_the_pages_is_held_out() -> None:
    held_out = [side for side in sides(pairs(2000)).values() if side == "held_out"]
    assert 160 <= len(held_out) <= 240


def test_more_pairs_move_none() -> None:
    before, after = sides(pairs(300)), sides(list(reversed(pairs(600))))
    assert {name: after[name] for name in before} == before


def test_the_split_is_the_same_on_every_machine_and_day() -> None:
    assert [is_held_out(f"ko:이름{number}", share=0.5, seed=13) for number in range(8)] == [
        True,
        *[False] * 6,
        True,
    ]


def test_another_seed_is_another_split() -> None:
    assert sides(pairs(100), seed=1) != sides(pairs(100), seed=2)


def test_all_names_of_a_page_are_on_one_side() -> None:
    for number in range(50):
        page = [EaclPair("ko", name, f"이름{number}", f"이름{number}은.") for name in ("a", "b", "C")]
        assert len(set(sides(page, share=0.5).values())) == 1


def test_a_held_out_page_with_a_sentence_of_a_trained_page_is_left_out() -> None:
    known = pairs(40)
    out = next(pair for pair in known if is_held_out(pair.page, share=0.5, seed=13))
    trained = next(pair for pair in known if not is_held_out(pair.page, share=0.5, seed=13))
    twin = EaclPair("ko", "Twin", out.title, trained.text)
    found = sides([trained, twin], share=0.5)
    assert found == {trained.english: "train", "Twin": "neither"}


def test_leakage_counts_pages_and_sentences_in_both() -> None:
    one, two, three = pairs(3)
    assert leakage([one], [two, three]) == {"pages": 0, "texts": 0}
    renamed = EaclPair("ko", "Other", "다른", two.text)
    assert leakage([one, two], [one, renamed]) == {"pages": 1, "texts": 2}
