from __future__ import annotations

from eat_worker.corpora.identifiers import SeenIds


def test_a_new_id_and_a_repeated_record_are_no_conflict() -> None:
    seen = SeenIds()
    assert seen.other("a", "text", 1) is None
    assert seen.other("a", "text", 2) is None
    assert len(seen) == 1


def test_other_content_gives_the_first_line() -> None:
    seen = SeenIds()
    seen.other("a", "text", 3_000_000_000)
    assert seen.other("a", "other", 4_000_000_000) == 3_000_000_000


def test_nothing_is_forgotten_while_it_grows() -> None:
    seen = SeenIds()
    assert all(seen.other(f"id-{number}", number, number) is None for number in range(1, 20_001))
    assert len(seen) == 20_000
    assert all(seen.other(f"id-{number}", number, 99_999) is None for number in range(1, 20_001))
    assert all(seen.other(f"id-{number}", -number, 99_999) == number for number in range(2, 20_001))
