"""Counts behind every F1: token-strict, span and the released scorer ("official"), per sentence and per tag.

Knows texts, spans and tags. Knows no corpus, file or database: sums over sentences are the caller's, see `pooled`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

from eat_worker.method.document import TAGS
from eat_worker.method.languages import UNSPACED

Counts = tuple[int, int, int]
"""True positives, false positives, false negatives."""

Entity = tuple[int, int, str]
"""[start, end) and tag; the offsets count code points of a text, or tokens where the function says so."""

_Label = tuple[str, bool]  # tag of a unit; whether the entity covers the unit from end to end


def precision_recall_f1(tp: int, fp: int, fn: int) -> tuple[float, float, float]:
    """Precision, recall and F1 in [0, 1]; 0.0 where a ratio is undefined."""
    precision = tp / (tp + fp) if tp + fp else 0.0
    recall = tp / (tp + fn) if tp + fn else 0.0
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0
    return precision, recall, f1


def pooled(sentences: Iterable[Mapping[str, Counts]]) -> dict[str, Counts]:
    """The counts of many sentences summed tag by tag."""
    sums: dict[str, list[int]] = {}
    for sentence in sentences:
        for tag, counts in sentence.items():
            row = sums.setdefault(tag, [0, 0, 0])
            for column in range(3):
                row[column] += counts[column]
    return {tag: (row[0], row[1], row[2]) for tag, row in sums.items()}


def micro(counts: Mapping[str, Counts]) -> Counts:
    """The counts of all tags in one: what micro F1 is made of."""
    columns = [sum(column) for column in zip(*counts.values(), strict=True)] or [0, 0, 0]
    return columns[0], columns[1], columns[2]


def macro_f1(counts: Mapping[str, Counts]) -> float:
    """Mean F1 over the tags given, in [0, 1]; a tag without any count takes part with 0.0."""
    return sum(precision_recall_f1(*row)[2] for row in counts.values()) / len(counts) if counts else 0.0


def weighted_f1(counts: Mapping[str, Counts]) -> float:
    """Mean F1 over the tags weighted by how often each is in the gold, in [0, 1]; 0.0 without gold."""
    support = sum(tp + fn for tp, _, fn in counts.values())
    total = sum((row[0] + row[2]) * precision_recall_f1(*row)[2] for row in counts.values())
    return total / support if support else 0.0


def tokens_of(text: str, lang: str) -> list[tuple[int, int]]:
    """Spans of the tokens: runs of non-space code points, or each one alone in a language of UNSPACED."""
    pattern = r"\S" if lang in UNSPACED else r"\S+"
    return [match.span() for match in re.finditer(pattern, text)]


def token_strict(text: str, lang: str, gold: Sequence[Entity], predicted: Sequence[Entity]) -> dict[str, Counts]:
    """Token counts by tag with exact offsets: the default headline.

    The unit is the token of `tokens_of`, cut further at every gold boundary inside it, so that gold `서울` in the token
    `서울에서` makes the two units `서울` and `에서`. Predictions cut nothing. A gold entity labels the units it covers.
    A predicted entity labels the units it overlaps: one that it covers from end to end counts as right when gold has
    the same tag there, one that it cuts is a false positive of its tag and leaves the gold of that unit missed.
    Every unit carries one label at most: of overlapping entities the one that covers it whole wins, then the one
    that starts first, then the longer. Where all gold lies on token boundaries this is the classic token micro F1
    over tags without their B- and I-. Empty entities (start >= end) count for nothing.
    """
    units = _cut(tokens_of(text, lang), gold)
    sums: dict[str, list[int]] = {}
    for right, guess in zip(_labels(units, gold), _labels(units, predicted), strict=True):
        hit = guess is not None and guess == right
        if guess is not None:
            sums.setdefault(guess[0], [0, 0, 0])[0 if hit else 1] += 1
        if right is not None and not hit:
            sums.setdefault(right[0], [0, 0, 0])[2] += 1
    return {tag: (row[0], row[1], row[2]) for tag, row in sums.items()}


def _cut(tokens: Sequence[tuple[int, int]], gold: Sequence[Entity]) -> list[tuple[int, int]]:
    boundaries = sorted({offset for start, end, _ in gold if start < end for offset in (start, end)})
    units: list[tuple[int, int]] = []
    for start, end in tokens:
        inside = boundaries[bisect_right(boundaries, start) : bisect_right(boundaries, end - 1)]
        units.extend(pairwise([start, *inside, end]))
    return units


def _labels(units: Sequence[tuple[int, int]], entities: Sequence[Entity]) -> list[_Label | None]:
    labels: list[_Label | None] = [None] * len(units)
    ends = [end for _, end in units]
    for start, end, tag in sorted(entities, key=lambda entity: (entity[0], -entity[1], entity[2])):
        if start >= end:
            continue
        for place in range(bisect_right(ends, start), len(units)):
            unit_start, unit_end = units[place]
            if unit_start >= end:
                break
            whole = start <= unit_start and unit_end <= end
            label = labels[place]
            if label is None or (whole and not label[1]):
                labels[place] = (tag, whole)
    return labels


def span_counts(gold: Sequence[Entity], predicted: Sequence[Entity]) -> dict[str, Counts]:
    """Entity counts by tag: right is what has the same start, end and tag. The same entity twice needs two partners."""
    left, right = Counter(gold), Counter(predicted)
    parts = (left & right, right - left, left - right)
    sums = {tag: [0, 0, 0] for _, _, tag in (*gold, *predicted)}
    for column, part in enumerate(parts):
        for (_, _, tag), number in part.items():
            sums[tag][column] += number
    return {tag: (row[0], row[1], row[2]) for tag, row in sums.items()}


def lenient_counts(gold: Sequence[Entity], predicted: Sequence[Entity]) -> dict[str, Counts]:
    """Entity counts by tag: right is what overlaps an entity of the same tag; each has one partner at most."""
    counts: dict[str, Counts] = {}
    for tag in dict.fromkeys(tag for _, _, tag in (*gold, *predicted)):
        left, right = (sorted(one[:2] for one in side if one[2] == tag) for side in (gold, predicted))
        pairs = _overlapping_pairs(left, right)
        counts[tag] = (pairs, len(right) - pairs, len(left) - pairs)
    return counts


def _overlapping_pairs(left: Sequence[tuple[int, int]], right: Sequence[tuple[int, int]]) -> int:
    """How many pairs can be made, walking both from left to right: what ends first is paired or passed."""
    pairs = here = there = 0
    while here < len(left) and there < len(right):
        (start, end), (other_start, other_end) = left[here], right[there]
        meet = start < other_end and other_start < end
        pairs += meet
        here, there = here + (meet or end <= other_end), there + (meet or other_end < end)
    return pairs


def partial_counts(span: Counts, lenient: Counts) -> Counts:
    """Counts in which an entity with other borders than its partner is worth a half; all three are in halves.

    Precision, recall and F1 are ratios, so halves give what whole numbers would.
    """
    tp, fp, fn = span
    halves = tp + lenient[0]
    return halves, 2 * (tp + fp) - halves, 2 * (tp + fn) - halves


def counts_by_scorer(
    text: str, lang: str, gold: Sequence[Entity], found: Sequence[Entity]
) -> dict[str, Mapping[str, Counts]]:
    """All that is counted of a sentence with known gold: strict, span and lenient, and official where it counts it."""
    counts: dict[str, Mapping[str, Counts]] = {
        "strict": token_strict(text, lang, gold, found),
        "span": span_counts(gold, found),
        "lenient": lenient_counts(gold, found),
    }
    strings = [[(text[start:end], tag) for start, end, tag in side] for side in (gold, found)]
    released = official(text, *strings, zh=lang in UNSPACED)
    return counts if released is None else {**counts, "official": released}


def bio_spans(tags: Sequence[str], mode: Literal["lenient", "strict"] = "lenient") -> list[Entity]:
    """Entities of one sentence's tags, offsets counting tokens.

    `lenient` reads as conlleval and seqeval's default do: I- may open an entity, a change of type closes one, E- and S-
    are understood. `strict` reads IOB2: only B- opens, an I- that continues nothing is outside. ValueError on a tag
    that is neither O nor a known prefix, a hyphen and a type.
    """
    known = "BIES" if mode == "lenient" else "BI"
    spans: list[Entity] = []
    start, before, kind_before = -1, "O", ""  # -1: no entity is open
    for place, tag in enumerate([*tags, "O"]):
        prefix, kind = _prefix_and_kind(tag, known)
        if start >= 0 and prefix in ("I", "E") and before in ("B", "I") and kind == kind_before:
            before = prefix
            continue
        if start >= 0:
            spans.append((start, place, kind_before))
        opens = prefix == "B" if mode == "strict" else prefix != "O"
        start, before, kind_before = (place if opens else -1), prefix, kind
    return spans


def _prefix_and_kind(tag: str, known: str) -> tuple[str, str]:
    if tag == "O":
        return "O", ""
    prefix, hyphen, kind = tag.partition("-")
    if len(prefix) != 1 or prefix not in known or not hyphen or not kind:
        raise ValueError(f"{tag!r} is not a tag; expected O or one of {', '.join(known)} with a type, as in B-PER")
    return prefix, kind


# What the released scorer's clean-up deletes from predictions (after upper-casing), and never from gold.
_STOP_WORDS = frozenset({"REDIRECCIÓN", "WEITERLEITUNG", "'", "''", "``", "`", '"', '""'})
_NUMBER_IN_BRACKETS = re.compile(r"\( \d+ \)")


def official(
    text: str,
    gold: Sequence[tuple[str, str]],
    predicted: Sequence[tuple[str, str]],
    *,
    zh: bool,
    stop_word_filter: bool = True,
) -> dict[str, Counts] | None:
    """Token counts by tag as the paper's released scorer makes them, quirks included; None where it skips a sentence.

    Entities are (string, tag) in the order they were made; a tag outside TAGS counts as a label of no interest.
    The quirks: a sentence without gold is skipped, its false alarms with it. Gold and predictions alike are strings,
    and each labels its first occurrence whose *start* is still unlabelled, overwriting what follows; without one it is
    dropped. `zh` compares characters (a space of the text reads `#`); otherwise tokens between single spaces are
    compared, and "( 9836 )" is cut from the entity but not from the text. `stop_word_filter` takes quote tokens and
    redirect markers out of predictions, never out of gold. The result holds every tag of TAGS, with (0, 0, 0) for an
    absent one: its `macro_f1` and `weighted_f1`, pooled, are the released ones.
    """
    if not gold:
        return None
    if stop_word_filter:
        predicted = [(_without_stop_words(words), tag) for words, tag in predicted]
    units = list(text.replace(" ", "#")) if zh else text.split(" ")
    right, guess = (_relabelled(units, entities, zh=zh) for entities in (gold, predicted))
    pairs = Counter(zip(right, guess, strict=True))
    return {tag: _tag_counts(pairs, tag) for tag in TAGS}


def _without_stop_words(words: str) -> str:
    return " ".join(word for word in words.split(" ") if word.upper() not in _STOP_WORDS)


def _relabelled(units: Sequence[str], entities: Sequence[tuple[str, str]], *, zh: bool) -> list[str]:
    labels = [""] * len(units)
    for words, tag in entities:
        pattern = list(words) if zh else _NUMBER_IN_BRACKETS.sub("", words).strip().split(" ")
        free = (start for start in _occurrences(units, pattern, apart=zh) if not labels[start])
        first = next(free, None)
        if first is not None:
            labels[first : first + len(pattern)] = [tag] * len(pattern)
    return labels


def _occurrences(units: Sequence[str], pattern: Sequence[str], *, apart: bool) -> Iterable[int]:
    """Where the pattern stands; `apart`: an occurrence that overlaps the one before does not count (regex search)."""
    start, size = 0, len(pattern)
    while size and start + size <= len(units):
        found = units[start : start + size] == pattern
        if found:
            yield start
        start += size if found and apart else 1


def _tag_counts(pairs: Mapping[tuple[str, str], int], tag: str) -> Counts:
    tp = pairs.get((tag, tag), 0)
    fp = sum(number for (right, guess), number in pairs.items() if guess == tag != right)
    fn = sum(number for (right, guess), number in pairs.items() if right == tag != guess)
    return tp, fp, fn
