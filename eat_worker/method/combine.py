"""One ledger from two routes: the names listed in the text itself, and the English entities carried back to it.

The tuned weights list the names of a text with a probability each; the English side confirms some of them, knows
others, and now and then contradicts. Knows spans and probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Alignment, EnglishEntity, Outcome
from eat_worker.method.matching import overlaps
from eat_worker.method.names import Named


def listed_entities(names: Iterable[Named], config: MethodConfig, first: int = 0) -> Iterator[Alignment]:
    """Names of the text as lines of the ledger, numbered from `first`; there is no English side to them.

    One that is less probable than `names_above` is unsure.
    """
    for index, name in enumerate(names, start=first):
        entity = EnglishEntity(index, name.mention, name.tag)
        sure = name.probability is None or name.probability >= config.names_above
        outcome, span = (Outcome.EXACT, name.span) if sure else (Outcome.UNSURE, None)
        yield Alignment(entity, outcome, span, "direct", name.mention, name.probability)


def combined(names: Sequence[Named], ledger: Sequence[Alignment], config: MethodConfig) -> tuple[Alignment, ...]:
    """The ledger of the English entities with the names of the text.

    An English entity on the very words of a name, with its tag, is that name, and as probable as the surer of the two.
    On other words that a name has some of, the name stays and the English entity is OUTVOTED. On words of its own it
    stays if it is as probable as `kept_above`, and is UNSURE otherwise.
    """
    lines = [_beside(line, names, config) for line in ledger]
    confirmed = {(line.span, line.english.tag) for line in lines if line.span is not None}
    others = [name for name in names if (name.span, name.tag) not in confirmed]
    return (*lines, *listed_entities(others, config, first=len(lines)))


def _beside(line: Alignment, names: Sequence[Named], config: MethodConfig) -> Alignment:
    if line.span is None:
        return line
    same = next((name for name in names if (name.span, name.tag) == (line.span, line.english.tag)), None)
    if same is not None:
        both = [value for value in (line.confidence, same.probability) if value is not None]
        return replace(line, confidence=max(both, default=None))
    sure = [name for name in names if name.probability is None or name.probability >= config.names_above]
    if overlaps(line.span, [name.span for name in sure]):
        return replace(line, outcome=Outcome.OUTVOTED, span=None)
    if line.confidence is not None and line.confidence < config.kept_above:
        return replace(line, outcome=Outcome.UNSURE, span=None)
    return line


def all_sure(names: Iterable[Named], config: MethodConfig) -> bool:
    """Whether every name of the text is so probable that the English side need not be asked."""
    return all(name.probability is not None and name.probability >= config.cascade for name in names)
