"""Answers bound to the text while they are decoded: which tokens may come next.

A constraint's automaton reads characters, and a token is bytes: `ByteAutomaton` is the same automaton over bytes, built
as far as answers go. A character that has only begun is allowed when some allowed character begins so. Knows bytes;
knows no logits.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import chain

from eat_worker.method.constraint import Automaton, State, graph_of
from eat_worker.method.rounds import Constraint

_ENDLESS = -1


class ByteState:
    """How far an answer has come: states of the automaton, and the bytes of a character that is begun.

    `next` holds where each byte leads, as far as asked: None where it is not allowed.
    """

    __slots__ = ("accepts", "begun", "next", "states")

    def __init__(self, states: frozenset[State], begun: bytes, accepts: bool) -> None:
        self.states, self.begun, self.accepts = states, begun, accepts
        self.next: dict[int, ByteState | None] = {}


class ByteAutomaton:
    """What a constraint allows, byte by byte. Not for many threads."""

    def __init__(self, constraint: Constraint) -> None:
        self._characters = Automaton(constraint)
        graph = graph_of(constraint)
        self._endless = {number for number, node in graph.items() if node.run == _ENDLESS}
        # All characters that words hold, in order, and all ranges that runs are made of.
        self._letters = sorted({ord(char) for node in graph.values() for char in node.words})
        self._ranges = sorted({span for node in graph.values() for span in node.letters})
        self._known: dict[tuple[frozenset[State], bytes], ByteState] = {}
        self.start = self._state(self._characters.start(), b"")

    def walk(self, state: ByteState, token: bytes) -> ByteState | None:
        """The state after the bytes of a token; None when they are not allowed, or when there are none."""
        here: ByteState | None = state if token else None
        for byte in token:
            if here is None:
                return None
            if byte not in here.next:
                here.next[byte] = self._step(here, byte)
            here = here.next[byte]
        return here

    def next_bytes(self, state: ByteState) -> list[int]:
        """The bytes that may come next."""
        return [byte for byte in range(256) if self.walk(state, bytes((byte,))) is not None]

    def _step(self, state: ByteState, byte: int) -> ByteState | None:
        begun = state.begun + bytes((byte,))
        length = _length(begun[0])
        if len(begun) < length:
            return self._state(state.states, begun) if self._may_become(state.states, begun, length) else None
        try:
            char = begun.decode()
        except UnicodeDecodeError:
            return None
        states = self._characters.advance(state.states, char)
        return self._state(states, b"") if states else None

    def _state(self, states: frozenset[State], begun: bytes) -> ByteState:
        # How long an endless run is makes no difference after its first character.
        states = frozenset((node, min(length, 1) if node in self._endless else length) for node, length in states)
        state = self._known.get((states, begun))
        if state is None:
            accepts = not begun and self._characters.accepts(states)
            state = self._known[states, begun] = ByteState(states, begun, accepts)
        return state

    def _may_become(self, states: frozenset[State], begun: bytes, length: int) -> bool:
        """Whether a character that begins with these bytes is allowed."""
        if any(byte >> 6 != 0b10 for byte in begun[1:]):
            return False
        first, last = _code_points(begun, length)
        known = self._letters[bisect_left(self._letters, first) : bisect_left(self._letters, last + 1)]
        # All characters of a range are alike for the runs it belongs to.
        spans = (max(first, low) for low, high in self._ranges if low <= last and high >= first)
        return first <= last and any(self._characters.advance(states, chr(point)) for point in chain(known, spans))


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
