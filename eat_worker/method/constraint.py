"""Answers bound to the text while they are decoded, so that no name can be invented.

A SpanConstraint allows one contiguous run of the text's units, a ListConstraint the lines `words = English name (TAG)`
in the order of the text, each with words of the text, a NamesConstraint the same without English names, an
EnglishConstraint one line in Latin script. Each compiles to a
small graph, linear in the number of units; llama.cpp and guided servers take it as a GBNF grammar, a logits processor
asks `Automaton` what may follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from eat_worker.method.document import Span
from eat_worker.method.rounds import (
    REFUSAL,
    Constraint,
    EnglishConstraint,
    ListConstraint,
    NamesConstraint,
    SpanConstraint,
)
from eat_worker.method.views import segments

NO_NAMES = "none"  # of a list
_LONGEST_NAME = 40  # characters of an English name in a list

Letters = tuple[tuple[int, int], ...]
"""Characters as ranges of code points, first and last included."""

# Latin letters with their marks, digits, punctuation and typographic signs; never "=", the sign of the lists.
_LATIN: Letters = (
    (0x20, 0x3C),
    (0x3E, 0x7E),
    (0xA0, 0x24F),
    (0x2BB, 0x2BF),
    (0x300, 0x36F),
    (0x1E00, 0x1EFF),
    (0x2010, 0x2027),
    (0x2030, 0x2033),
    (0x20AC, 0x20AC),
    (0x2122, 0x2122),
)
_NAME: Letters = ((0x20, 0x27), (0x2A, 0x3C), *_LATIN[1:])  # no brackets: they hold the tag
# Capitals, digits, opening marks and currencies; Latin Extended-A mixes capitals and small letters.
_OPENING: Letters = (
    (0x22, 0x24),
    (0x27, 0x28),
    (0x30, 0x39),
    (0x41, 0x5B),
    (0xC0, 0xDE),
    (0x100, 0x17F),
    (0x2018, 0x2018),
    (0x201C, 0x201C),
    (0x20AC, 0x20AC),
)
_ENDLESS = -1


def units_of(text: str, *, characters: bool) -> tuple[str, ...]:
    """`text` cut into units that an answer is made of; joined they are the text.

    `characters`: one character with its marks each (languages whose words have no spaces or carry particles), but Latin
    words and numbers whole; otherwise words, punctuation marks and runs of white space.
    """
    units: list[str] = []
    before = ""
    for piece in (text[start:end] for start, end in segments(text)):
        kind = _kind_of(piece[0])
        if characters and not (kind == "word" and _among(piece[0], _LATIN)):
            kind = ""
        if kind and kind == before:
            units[-1] += piece
        else:
            units.append(piece)
        before = kind
    return tuple(units)


def _kind_of(char: str) -> str:
    if char.isspace():
        return "space"
    return "word" if char.isalnum() or char == "_" else ""


def places_of(answer: str, units: Sequence[str]) -> Iterator[Span]:
    """Where `answer` is a run of whole units of the text, from the left: "Po" is not at home in "Poland"."""
    bounds = {0, *accumulate(map(len, units))}
    text = "".join(units)
    at = text.find(answer) if answer else -1
    while at >= 0:
        if at in bounds and at + len(answer) in bounds:
            yield Span(at, at + len(answer))
        at = text.find(answer, at + 1)


def span_of(text: str, *, characters: bool, refusal: str | None = REFUSAL) -> SpanConstraint:
    """The constraint "a run of the text's units, or `refusal`"."""
    return SpanConstraint(units_of(text, characters=characters), refusal)


def list_of(text: str, tags: tuple[str, ...], *, characters: bool) -> ListConstraint:
    """The constraint "lines `words of the text = English name (TAG)`, or none"."""
    return ListConstraint(units_of(text, characters=characters), tags, NO_NAMES)


def names_of(text: str, tags: tuple[str, ...], *, characters: bool, refusal: str | None = NO_NAMES) -> NamesConstraint:
    """The constraint "lines `words of the text (TAG)`, or `refusal`"."""
    return NamesConstraint(units_of(text, characters=characters), tags, refusal)


@dataclass(frozen=True, slots=True)
class Node:
    """One piece of an answer: `words` to say or, with `run`, one to `run` characters of `letters`; then `after`.

    A run of -1 has no longest length. Empty words and no run: nothing to say here, go on. `ends`: the answer may end
    after this piece.
    """

    words: str
    run: int
    after: tuple[int, ...]
    ends: bool
    letters: Letters = ()


Graph = dict[int, Node]
"""Nodes by number; 0 is where an answer begins."""


def graph_of(constraint: Constraint) -> Graph:
    """The graph of all answers that the constraint allows."""
    if isinstance(constraint, SpanConstraint):
        return _span_graph(constraint)
    if isinstance(constraint, EnglishConstraint):
        return {
            0: Node("", 0, (1,), False),
            1: Node("", 1, (2,), True, _OPENING),
            2: Node("", _ENDLESS, (), True, _LATIN),
        }
    return _list_graph(constraint)


def _begins_answer(unit: str) -> bool:
    # No name begins with white space or a closing mark.
    return unit[0].isalnum() or unit[0] in "\"'“„«「『《(（"


def _is_listable(unit: str, *, pairs: bool) -> bool:
    # A line of the list is one name: its words can hold neither a line break nor the sign between words and name.
    return "\n" not in unit and not (pairs and "=" in unit)


def _span_graph(constraint: SpanConstraint) -> Graph:
    units = constraint.units
    graph = {at + 1: Node(unit, 0, (at + 2,) if at + 1 < len(units) else (), True) for at, unit in enumerate(units)}
    starts = [at + 1 for at, unit in enumerate(units) if _begins_answer(unit)]
    return _with_start(graph, starts, constraint.refusal)


def _list_graph(constraint: ListConstraint | NamesConstraint) -> Graph:
    """Per unit: its words, the English name in a list that pairs, " (", each tag, the new line before a later line."""
    pairs = isinstance(constraint, ListConstraint)
    units, before_tags = constraint.units, 5 if pairs else 3
    width = before_tags + len(constraint.tags)
    skip = 1 + len(units) * width  # skip + n: go to unit n or to one behind it
    graph: Graph = {}
    for at, unit in enumerate(units):
        words = 1 + at * width
        bracket, line = words + before_tags - 2, words + before_tags - 1
        tags = range(line + 1, words + width)
        later = at + 1 < len(units)
        stop = () if unit.isspace() else (words + 1,)
        further = (words + width,) if later and _is_listable(units[at + 1], pairs=pairs) else ()
        graph[words] = Node(unit, 0, (*stop, *further), False)
        if pairs:
            graph[words + 1] = Node(" = ", 0, (words + 2,), False)
            graph[words + 2] = Node("", _LONGEST_NAME, (bracket,), False, _NAME)
        graph[bracket] = Node(" (", 0, tuple(tags), False)
        for number, tag in zip(tags, constraint.tags, strict=True):
            graph[number] = Node(f"{tag})", 0, (line,) if later else (), True)
        # Skipping ahead costs one step per unit: the graph stays linear in the length of the text.
        graph[line] = Node("\n", 0, (skip + at + 1,) if later else (), False)
    for at in range(1, len(units)):
        here = (1 + at * width,) if _begins_answer(units[at]) else ()
        graph[skip + at] = Node("", 0, (*here, *((skip + at + 1,) if at + 1 < len(units) else ())), False)
    starts = [1 + at * width for at, unit in enumerate(units) if _begins_answer(unit)]
    return _with_start(graph, starts, constraint.refusal)


def _with_start(graph: Graph, starts: Iterable[int], refusal: str | None) -> Graph:
    first = list(starts)
    if refusal is not None:
        number = max(graph, default=0) + 1
        graph[number] = Node(refusal, 0, (), True)
        first.append(number)
    graph[0] = Node("", 0, tuple(first), not first)
    return graph


def gbnf(constraint: Constraint) -> str:
    """The constraint as a llama.cpp grammar, one rule per node of its graph."""
    graph = _living(graph_of(constraint))
    rules = []
    for number, node in sorted(graph.items()):
        own = _class_of(node) if node.run else f'"{_escaped(node.words)}"'
        after = " | ".join(f"n{next_}" for next_ in node.after)
        rest = f" ({after}){'?' if node.ends else ''}" if after else ""
        body = after or '""' if not node.run and not node.words else own + rest
        rules.append(f"{'root' if number == 0 else f'n{number}'} ::= {body}")
    return "\n".join(rules) + "\n"


def _class_of(node: Node) -> str:
    ranges = "".join(f"{_code(first)}-{_code(last)}" for first, last in node.letters)
    return f"[{ranges}]" + ("+" if node.run == _ENDLESS else f"{{1,{node.run}}}")


def _code(point: int) -> str:
    return f"\\u{point:04X}"


def _living(graph: Graph) -> Graph:
    """The graph without nodes that no answer reaches or from which none can end: a grammar must not lead into them."""
    before: dict[int, list[int]] = {}
    for number, node in graph.items():
        for next_ in node.after:
            before.setdefault(next_, []).append(number)
    ending = _reached([number for number, node in graph.items() if node.ends], lambda number: before.get(number, ()))
    reached = _reached([0], lambda number: [next_ for next_ in graph[number].after if next_ in ending])
    return {
        number: replace(node, after=tuple(next_ for next_ in node.after if next_ in reached))
        for number, node in graph.items()
        if number in reached
    }


def _reached(begin: Iterable[int], onward: Callable[[int], Iterable[int]]) -> set[int]:
    """All nodes on the way from `begin`, those included."""
    open_ = list(begin)
    found = set(open_)
    while open_:
        fresh = [number for number in onward(open_.pop()) if number not in found]
        found.update(fresh)
        open_ += fresh
    return found


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in text)


# Brackets need none inside quotation marks, and guided servers refuse an escape they do not know.
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _among(char: str, letters: Letters) -> bool:
    return any(first <= ord(char) <= last for first, last in letters)


State = tuple[int, int]
"""(node, characters of it already read)"""


class Automaton:
    """Which strings may follow a partial answer. Nondeterministic: a unit may occur more than once in the text."""

    def __init__(self, constraint: Constraint) -> None:
        self._graph = _living(graph_of(constraint))

    def start(self) -> frozenset[State]:
        """The states before the first character."""
        silent = {(0, 0)} if self._graph[0].ends else set()
        return frozenset({(number, 0) for number in self._reach(0)} | silent)

    def advance(self, states: frozenset[State], text: str) -> frozenset[State]:
        """The states after `text`; empty when the constraint does not allow it."""
        for char in text:
            states = frozenset(state for old in states for state in self._step(old, char))
        return states

    def accepts(self, states: frozenset[State]) -> bool:
        """Whether the answer may end here."""
        return any(self._complete(state) and self._graph[state[0]].ends for state in states)

    def _step(self, state: State, char: str) -> list[State]:
        node = self._graph[state[0]]
        steps = []
        goes_on = (node.run == _ENDLESS or state[1] < node.run) and _among(char, node.letters)
        if goes_on or node.words[state[1] : state[1] + 1] == char:
            steps.append((state[0], state[1] + 1))
        if self._complete(state):
            steps += [
                step for next_ in node.after for number in self._reach(next_) for step in self._enter(number, char)
            ]
        return steps

    def _enter(self, number: int, char: str) -> list[State]:
        node = self._graph[number]
        allowed = _among(char, node.letters) if node.run else node.words[:1] == char
        return [(number, 1)] if allowed else []

    def _complete(self, state: State) -> bool:
        node = self._graph[state[0]]
        return state[1] > 0 if node.run else state[1] == len(node.words)

    def _reach(self, number: int) -> list[int]:
        """The nodes that say something, reached from `number` without saying anything."""
        found = _reached([number], lambda at: () if self._speaks(at) else self._graph[at].after)
        return [at for at in found if self._speaks(at)]

    def _speaks(self, number: int) -> bool:
        node = self._graph[number]
        return bool(node.words or node.run)
