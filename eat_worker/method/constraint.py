"""Answers bound to the text while they are decoded, so that no name can be invented.

A SpanConstraint allows one contiguous run of the text's units, a ListConstraint the lines `words = English name (TAG)`
in the order of the text, each with words of the text. Both compile to one small graph, linear in the number of units;
llama.cpp and guided servers take it as a GBNF grammar, a logits processor asks `Automaton` what may follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from eat_worker.method.rounds import Constraint, ListConstraint, SpanConstraint

REFUSAL = "NONE"  # of a span
NO_NAMES = "none"  # of a list
_LONGEST_NAME = 40  # characters of an English name in a list
_NOT_IN_NAME = "\n=()"
_UNIT = re.compile(r"\s+|\w+|[^\w\s]", re.UNICODE)
_MARKED = re.compile(r".[\u0300-\u036f\u3099\u309a\u1160-\u11ff]*", re.DOTALL)


def units_of(text: str, *, characters: bool) -> tuple[str, ...]:
    """`text` cut into units that an answer is made of; joined they are the text.

    `characters`: one character with its marks each (languages whose words have no spaces or carry particles);
    otherwise words, punctuation marks and runs of white space.
    """
    pattern = _MARKED if characters else _UNIT
    return tuple(pattern.findall(text))


def span_of(text: str, *, characters: bool, refusal: str | None = REFUSAL) -> SpanConstraint:
    """The constraint "a run of the text's units, or `refusal`"."""
    return SpanConstraint(units_of(text, characters=characters), refusal)


def list_of(text: str, tags: tuple[str, ...], *, characters: bool) -> ListConstraint:
    """The constraint "lines `words of the text = English name (TAG)`, or none"."""
    return ListConstraint(units_of(text, characters=characters), tags, NO_NAMES)


@dataclass(frozen=True, slots=True)
class Node:
    """One piece of an answer: `words` to say or, with `run`, up to `run` characters of a free name; then `after`.

    Empty words and no run: nothing to say here, go on. `ends`: the answer may end after this piece.
    """

    words: str
    run: int
    after: tuple[int, ...]
    ends: bool


Graph = dict[int, Node]
"""Nodes by number; 0 is where an answer begins."""


def graph_of(constraint: Constraint) -> Graph:
    """The graph of all answers that the constraint allows."""
    if isinstance(constraint, SpanConstraint):
        return _span_graph(constraint)
    return _list_graph(constraint)


def _begins_answer(unit: str) -> bool:
    # No name begins with white space or a closing mark.
    return not unit.isspace() and (unit[0].isalnum() or unit[0] in "\"'“«「『《(（")


def _span_graph(constraint: SpanConstraint) -> Graph:
    units = constraint.units
    graph = {at + 1: Node(unit, 0, (at + 2,) if at + 1 < len(units) else (), True) for at, unit in enumerate(units)}
    starts = [at + 1 for at, unit in enumerate(units) if _begins_answer(unit)]
    return _with_start(graph, starts, constraint.refusal)


def _list_graph(constraint: ListConstraint) -> Graph:
    """Per unit: its words, " = ", the name, " (", each tag, and the new line before a later unit's line."""
    units, width = constraint.units, 5 + len(constraint.tags)
    graph: Graph = {}
    for at, unit in enumerate(units):
        words, equals, name, bracket, line = (1 + at * width + part for part in range(5))
        tags = tuple(range(line + 1, line + 1 + len(constraint.tags)))
        later = at + 1 < len(units)
        stop = () if unit.isspace() else (equals,)
        graph[words] = Node(unit, 0, (*stop, *((words + width,) if later else ())), False)
        graph[equals] = Node(" = ", 0, (name,), False)
        graph[name] = Node("", _LONGEST_NAME, (bracket,), False)
        graph[bracket] = Node(" (", 0, tags, False)
        for number, tag in zip(tags, constraint.tags, strict=True):
            graph[number] = Node(f"{tag})", 0, (line,) if later else (), True)
        following = (words + width,) if later and _begins_answer(units[at + 1]) else ()
        # Skipping ahead costs one step per unit: the graph stays linear in the length of the text.
        graph[line] = Node("\n", 0, (*following, *((_skip(at + 1, len(units), width),) if later else ())), False)
    for at in range(1, len(units)):
        here = (1 + at * width,) if _begins_answer(units[at]) else ()
        further = (_skip(at + 1, len(units), width),) if at + 1 < len(units) else ()
        graph[_skip(at, len(units), width)] = Node("", 0, (*here, *further), False)
    starts = [1 + at * width for at, unit in enumerate(units) if _begins_answer(unit)]
    return _with_start(graph, starts, constraint.refusal)


def _skip(unit: int, units: int, width: int) -> int:
    return 1 + units * width + unit


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
        said = f"[^{_escaped(_NOT_IN_NAME)}]{{1,{node.run}}}" if node.run else f'"{_escaped(node.words)}"'
        after = " | ".join(f"n{next_}" for next_ in node.after)
        rest = f" ({after}){'?' if node.ends else ''}" if after else ""
        body = after or '""' if not node.run and not node.words else said + rest
        rules.append(f"{'root' if number == 0 else f'n{number}'} ::= {body}")
    return "\n".join(rules) + "\n"


def _living(graph: Graph) -> Graph:
    """The graph without nodes from which no answer can end: a grammar must not lead into them."""
    while True:
        living = {
            number: Node(node.words, node.run, tuple(next_ for next_ in node.after if next_ in graph), node.ends)
            for number, node in graph.items()
        }
        kept = {number: node for number, node in living.items() if node.after or node.ends or number == 0}
        if len(kept) == len(graph):
            return kept
        graph = kept


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in text)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "[": "\\[", "]": "\\]"}

State = tuple[int, int]
"""(node, characters of it already said)"""


class Automaton:
    """Which strings may follow a partial answer. Nondeterministic: a unit may occur more than once in the text."""

    def __init__(self, constraint: Constraint) -> None:
        self._graph = _living(graph_of(constraint))

    def start(self) -> frozenset[State]:
        """The states before the first character."""
        return frozenset((number, 0) for number in self._reach(0))

    def advance(self, states: frozenset[State], said: str) -> frozenset[State]:
        """The states after `said`; empty when the constraint does not allow it."""
        for char in said:
            states = frozenset(state for old in states for state in self._step(old, char))
        return states

    def accepts(self, states: frozenset[State]) -> bool:
        """Whether the answer may end here."""
        return any(self._complete(state) and self._graph[state[0]].ends for state in states)

    def _step(self, state: State, char: str) -> list[State]:
        node = self._graph[state[0]]
        steps = []
        if node.run and state[1] < node.run and char not in _NOT_IN_NAME:
            steps.append((state[0], state[1] + 1))
        elif state[1] < len(node.words) and node.words[state[1]] == char:
            steps.append((state[0], state[1] + 1))
        if self._complete(state):
            steps += [
                step for next_ in node.after for number in self._reach(next_) for step in self._enter(number, char)
            ]
        return steps

    def _enter(self, number: int, char: str) -> list[State]:
        node = self._graph[number]
        allowed = char not in _NOT_IN_NAME if node.run else node.words[:1] == char
        return [(number, 1)] if allowed else []

    def _complete(self, state: State) -> bool:
        node = self._graph[state[0]]
        return state[1] > 0 if node.run else state[1] == len(node.words)

    def _reach(self, number: int) -> list[int]:
        """The nodes that say something, reached from `number` without saying anything."""
        found, open_, seen = [], [number], {number}
        while open_:
            node = self._graph[at := open_.pop()]
            if node.words or node.run:
                found.append(at)
            else:
                fresh = [next_ for next_ in node.after if next_ not in seen]
                seen.update(fresh)
                open_ += fresh
        return found
