"""Answers bound to the text while they are decoded: which tokens may come next.

A constraint's automaton reads characters, tokens say bytes: `Binding` is the automaton over bytes, worked out as far as
answers walk. A character that is only begun is allowed when one that begins so is. Knows bytes; knows no logits.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import chain

from eat_worker.method.constraint import Automaton, State, graph_of
from eat_worker.method.rounds import Constraint

_ENDLESS = -1


class Place:
    """Where an answer stands: states of the automaton, and the bytes of a character that is begun.

    `next` holds where each byte leads, as far as asked: None where it is not allowed.
    """

    __slots__ = ("accepts", "begun", "next", "states")

    def __init__(self, states: frozenset[State], begun: bytes, accepts: bool) -> None:
        self.states, self.begun, self.accepts = states, begun, accepts
        self.next: dict[int, Place | None] = {}


class Binding:
    """What a constraint allows, byte by byte. Not for many threads."""

    def __init__(self, constraint: Constraint) -> None:
        self._automaton = Automaton(constraint)
        graph = graph_of(constraint)
        self._endless = {number for number, node in graph.items() if node.run == _ENDLESS}
        # All characters that words hold, in order, and all ranges that runs are made of.
        self._letters = sorted({ord(char) for node in graph.values() for char in node.words})
        self._ranges = sorted({span for node in graph.values() for span in node.letters})
        self._places: dict[tuple[frozenset[State], bytes], Place] = {}
        self.start = self._place(self._automaton.start(), b"")

    def walk(self, place: Place, said: bytes) -> Place | None:
        """Where `said` leads from `place`; None when it is not allowed, or when `said` is empty."""
        here: Place | None = place if said else None
        for byte in said:
            if here is None:
                return None
            if byte not in here.next:
                here.next[byte] = self._step(here, byte)
            here = here.next[byte]
        return here

    def next_bytes(self, place: Place) -> list[int]:
        """The bytes that may come next."""
        return [byte for byte in range(256) if self.walk(place, bytes((byte,))) is not None]

    def _step(self, place: Place, byte: int) -> Place | None:
        begun = place.begun + bytes((byte,))
        length = _length(begun[0])
        if len(begun) < length:
            return self._place(place.states, begun) if self._may_become(place.states, begun, length) else None
        try:
            char = begun.decode()
        except UnicodeDecodeError:
            return None
        states = self._automaton.advance(place.states, char)
        return self._place(states, b"") if states else None

    def _place(self, states: frozenset[State], begun: bytes) -> Place:
        # How many characters of an endless run were said makes no difference after the first.
        states = frozenset((node, min(said, 1) if node in self._endless else said) for node, said in states)
        place = self._places.get((states, begun))
        if place is None:
            accepts = not begun and self._automaton.accepts(states)
            place = self._places[states, begun] = Place(states, begun, accepts)
        return place

    def _may_become(self, states: frozenset[State], begun: bytes, length: int) -> bool:
        """Whether a character that begins with these bytes is allowed."""
        if any(byte >> 6 != 0b10 for byte in begun[1:]):
            return False
        first, last = _code_points(begun, length)
        known = self._letters[bisect_left(self._letters, first) : bisect_left(self._letters, last + 1)]
        # All characters of a range are alike for the runs it belongs to.
        spans = (max(first, low) for low, high in self._ranges if low <= last and high >= first)
        return first <= last and any(self._automaton.advance(states, chr(point)) for point in chain(known, spans))


def _length(lead: int) -> int:
    """Bytes of the UTF-8 character that `lead` begins; 1 for a byte that begins none."""
    return 4 if 0xF0 <= lead <= 0xF4 else 3 if 0xE0 <= lead < 0xF0 else 2 if 0xC2 <= lead < 0xE0 else 1


def _code_points(begun: bytes, length: int) -> tuple[int, int]:
    """The lowest and highest code point whose UTF-8 has `length` bytes and begins with `begun`."""
    point = begun[0] & (0xFF >> (length + 1))
    for byte in begun[1:]:
        point = point << 6 | byte & 0x3F
    missing = 6 * (length - len(begun))
    # A code point below the first of its length would be written with fewer bytes.
    return max(point << missing, {2: 0x80, 3: 0x800, 4: 0x10000}[length]), (point << missing) + (1 << missing) - 1
