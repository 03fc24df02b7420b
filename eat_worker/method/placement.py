"""Where the names of a sentence are in its text, all decided together.

One after the other in the order of the English sentence, "New York" would take its place inside "New York Times", which
would then find none. So the longest name chooses first. Knows strings and spans only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eat_worker.method.document import Span
from eat_worker.method.matching import Match
from eat_worker.method.views import fold

Find = Callable[[Sequence[Span]], Match]
"""The best place of one name outside of the spans that are taken."""


def place_together(wanted: Sequence[tuple[str, float, Find]]) -> list[Match]:
    """The place of each name (its words, how sure it is in [0, 1], how it is found), in the order given.

    The longest chooses first, of equally long ones the surest, of equally sure ones the first.
    """
    taken: list[Span] = []
    places: dict[int, Match] = {}
    for number in sorted(range(len(wanted)), key=lambda one: (-len(fold(wanted[one][0])), -wanted[one][1])):
        places[number] = found = wanted[number][2](taken)
        if found.span is not None:
            taken.append(found.span)
    return [places[number] for number in range(len(wanted))]
