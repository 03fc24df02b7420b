"""The automaton over bytes allows what the automaton over characters allows, characters in pieces included."""

from __future__ import annotations

import random

import pytest

from eat_worker.engines.qwen.binding import Binding, Place
from eat_worker.method.constraint import Automaton, list_of, span_of
from eat_worker.method.rounds import Constraint, EnglishConstraint, SpanConstraint

KOREAN = span_of("김연아는 서울에서", characters=True)
LIST = list_of("Ann besuchte Köln", ("PER", "LOC"), characters=False)


def reached(binding: Binding, said: bytes) -> Place | None:
    return binding.walk(binding.start, said)


def allowed(binding: Binding, said: bytes) -> bool:
    return reached(binding, said) is not None


def test_a_character_may_come_in_pieces_as_long_as_it_can_become_an_allowed_one() -> None:
    binding = Binding(KOREAN)
    seoul = "서울".encode()  # ec 84 9c ec 9a b8
    assert [allowed(binding, seoul[:length]) for length in range(1, 7)] == [True] * 6
    # ea b9 80 is 김, which the text has; ed 95 9c is 한, which it has not, and nothing in it begins with ed.
    assert allowed(binding, bytes.fromhex("eab9"))
    assert not allowed(binding, bytes.fromhex("ed"))
    assert not allowed(binding, bytes.fromhex("ec81"))
    assert not allowed(binding, bytes.fromhex("ec849d"))


def test_an_answer_ends_only_on_a_whole_character_and_where_it_is_complete() -> None:
    binding = Binding(KOREAN)
    for said, ends in (("서", True), ("서울에서", True), ("NON", False), ("NONE", True)):
        place = reached(binding, said.encode())
        assert place is not None
        assert place.accepts is ends
    half = reached(binding, "서".encode()[:2])
    assert half is not None
    assert not half.accepts


def test_no_byte_is_allowed_that_utf8_does_not_have() -> None:
    binding = Binding(EnglishConstraint())
    for bad in ("80", "c0", "c141", "e080", "ed", "f5", "ff", "c3c3"):
        assert not allowed(binding, b"A" + bytes.fromhex(bad)), bad
    assert allowed(binding, b"A" + bytes.fromhex("c3"))  # becomes é
    assert allowed(binding, "A “quoted” é".encode())
    assert not allowed(binding, "A 서".encode())
    assert allowed(binding, b"A" + bytes.fromhex("e280"))  # becomes a dash or a quotation mark
    assert not allowed(binding, b"A" + bytes.fromhex("e284a0"))


def test_nothing_said_leads_nowhere() -> None:
    assert not allowed(Binding(EnglishConstraint()), b"")


def test_the_next_bytes_are_those_that_begin_what_is_allowed() -> None:
    binding = Binding(SpanConstraint(("Köln", " ", "é"), "NONE"))
    assert bytes(binding.next_bytes(binding.start)) == bytes([ord("K"), ord("N"), 0xC3])
    after = reached(binding, b"K")
    assert after is not None
    assert binding.next_bytes(after) == [0xC3]
    begun = reached(binding, b"K\xc3")
    assert begun is not None
    assert binding.next_bytes(begun) == [0xB6]


def test_an_endless_answer_stays_in_the_same_place() -> None:
    binding = Binding(EnglishConstraint())
    assert reached(binding, b"Ann lives") is reached(binding, b"Bob ate in Oslo")


@pytest.mark.parametrize("constraint", [KOREAN, LIST, EnglishConstraint()], ids=["span", "list", "english"])
def test_random_walks_agree_with_the_automaton(constraint: Constraint) -> None:
    chance, binding, automaton = random.Random(3), Binding(constraint), Automaton(constraint)
    ended = 0
    for _ in range(60):
        place, said = binding.start, b""
        while len(said) < 60 and (bytes_ := binding.next_bytes(place)):
            said += bytes((chance.choice(bytes_),))
            following = reached(binding, said)
            assert following is not None
            place = following
            if not place.begun:
                states = automaton.advance(automaton.start(), said.decode())
                assert states
                assert automaton.accepts(states) == place.accepts
        ended += place.accepts
    assert ended


def test_every_way_through_a_list_is_open() -> None:
    binding = Binding(LIST)
    for said in ("none", "Ann = Ann (PER)", "Köln = Cologne (LOC)", "Ann = Ann (PER)\nKöln = Cologne (LOC)"):
        place = reached(binding, said.encode())
        assert place is not None
        assert place.accepts
    for said in ("Köln = Cologne (ORG)", "Köln = Cologne (LOC)\nAnn", "An =", "Ann = (", "Ann = 서"):
        assert not allowed(binding, said.encode()), said
