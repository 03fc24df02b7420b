"""The automaton over bytes allows what the automaton over characters allows, characters in pieces included."""

from __future__ import annotations

import random

import pytest

from eat_worker.engines.qwen.constrained_decoding import ByteAutomaton, ByteState
from eat_worker.method.constraint import Automaton, list_of, span_of
from eat_worker.method.rounds import Constraint, EnglishConstraint, SpanConstraint

KOREAN = span_of("김연아는 서울에서", characters=True)
LIST = list_of("Ann besuchte Köln", ("PER", "LOC"), characters=False)


def reached(automaton: ByteAutomaton, answer: bytes) -> ByteState | None:
    return automaton.walk(automaton.start, answer)


def allowed(automaton: ByteAutomaton, answer: bytes) -> bool:
    return reached(automaton, answer) is not None


def test_a_character_may_come_in_pieces_as_long_as_it_can_become_an_allowed_one() -> None:
    automaton = ByteAutomaton(KOREAN)
    seoul = "서울".encode()  # ec 84 9c ec 9a b8
    assert [allowed(automaton, seoul[:length]) for length in range(1, 7)] == [True] * 6
    # ea b9 80 is 김, which the text has; ed 95 9c is 한, which it has not, and nothing in it begins with ed.
    assert allowed(automaton, bytes.fromhex("eab9"))
    assert not allowed(automaton, bytes.fromhex("ed"))
    assert not allowed(automaton, bytes.fromhex("ec81"))
    assert not allowed(automaton, bytes.fromhex("ec849d"))


def test_an_answer_ends_only_on_a_whole_character_and_where_it_is_complete() -> None:
    automaton = ByteAutomaton(KOREAN)
    for answer, ends in (("서", True), ("서울에서", True), ("NON", False), ("NONE", True)):
        state = reached(automaton, answer.encode())
        assert state is not None
        assert state.accepts is ends
    half = reached(automaton, "서".encode()[:2])
    assert half is not None
    assert not half.accepts


def test_no_byte_is_allowed_that_utf8_does_not_have() -> None:
    automaton = ByteAutomaton(EnglishConstraint())
    for bad in ("80", "c0", "c141", "e080", "ed", "f5", "ff", "c3c3"):
        assert not allowed(automaton, b"A" + bytes.fromhex(bad)), bad
    assert allowed(automaton, b"A" + bytes.fromhex("c3"))  # becomes é
    assert allowed(automaton, "A “quoted” é".encode())
    assert not allowed(automaton, "A 서".encode())
    assert allowed(automaton, b"A" + bytes.fromhex("e280"))  # becomes a dash or a quotation mark
    assert not allowed(automaton, b"A" + bytes.fromhex("e284a0"))


def test_no_bytes_are_not_an_answer() -> None:
    assert not allowed(ByteAutomaton(EnglishConstraint()), b"")


def test_the_next_bytes_are_those_that_begin_what_is_allowed() -> None:
    automaton = ByteAutomaton(SpanConstraint(("Köln", " ", "é"), "NONE"))
    assert bytes(automaton.next_bytes(automaton.start)) == bytes([ord("K"), ord("N"), 0xC3])
    after = reached(automaton, b"K")
    assert after is not None
    assert automaton.next_bytes(after) == [0xC3]
    begun = reached(automaton, b"K\xc3")
    assert begun is not None
    assert automaton.next_bytes(begun) == [0xB6]


def test_an_endless_answer_stays_in_the_same_place() -> None:
    automaton = ByteAutomaton(EnglishConstraint())
    assert reached(automaton, b"Ann lives") is reached(automaton, b"Bob ate in Oslo")


@pytest.mark.parametrize("constraint", [KOREAN, LIST, EnglishConstraint()], ids=["span", "list", "english"])
def test_random_walks_agree_with_the_automaton(constraint: Constraint) -> None:
    chance, automaton, characters = random.Random(3), ByteAutomaton(constraint), Automaton(constraint)
    ended = 0
    for _ in range(60):
        state, answer = automaton.start, b""
        while len(answer) < 60 and (bytes_ := automaton.next_bytes(state)):
            answer += bytes((chance.choice(bytes_),))
            following = reached(automaton, answer)
            assert following is not None
            state = following
            if not state.begun:
                states = characters.advance(characters.start(), answer.decode())
                assert states
                assert characters.accepts(states) == state.accepts
        ended += state.accepts
    assert ended


def test_every_way_through_a_list_is_open() -> None:
    automaton = ByteAutomaton(LIST)
    for answer in ("none", "Ann = Ann (PER)", "Köln = Cologne (LOC)", "Ann = Ann (PER)\nKöln = Cologne (LOC)"):
        state = reached(automaton, answer.encode())
        assert state is not None
        assert state.accepts
    for answer in ("Köln = Cologne (ORG)", "Köln = Cologne (LOC)\nAnn", "An =", "Ann = (", "Ann = 서"):
        assert not allowed(automaton, answer.encode()), answer
