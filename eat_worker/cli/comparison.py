"""What `eat eval` and `eat compare` print: tables on a terminal. Knows figures; computes none."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from eat_worker.cli.figures import TYPES, false_alarm_line, percentage, types_of
from eat_worker.cli.figures import interval as interval_of
from eat_worker.cli.terminal import number, table
from eat_worker.metrics.summary import SCORERS, SEED
from eat_worker.runs.comparing import ALL, Compared, Difference
from eat_worker.runs.evaluating import Evaluation, EvaluationRow

EVALUATION = {
    **dict.fromkeys(("dataset", "lang"), "left"),
    **dict.fromkeys(("docs", "F1"), "right"),
    "95 %": "left",
    **dict.fromkeys(("P", "R", "official", "span", "lenient", "partial"), "right"),
}
DIFFERENCE = {
    **dict.fromkeys(("dataset", "lang", "type", "scorer"), "left"),
    **dict.fromkeys(("docs", "first", "second", "first - second"), "right"),
    "95 %": "left",
    **dict.fromkeys(("p bootstrap", "p randomised"), "right"),
}
FLIPPED = {
    **dict.fromkeys(("id", "lang"), "left"),
    **dict.fromkeys(("wrong in first", "in second"), "right"),
    "documents": "left",
    "text": "left",
}


def print_evaluation(found: Evaluation, console: Console) -> None:
    """The figures of every data set and language, those of each type, and the false alarms."""
    terminal = console.is_terminal
    console.print(table(EVALUATION, [_evaluation(row) for row in found.rows], terminal=terminal))
    columns = {name: side for name, side in TYPES.items() if name != "run"}
    rows = [cells for row in found.rows for cells in types_of(row.figures, (row.dataset or "–", row.lang))]
    console.print(table(columns, rows, terminal=terminal))
    for row in found.rows:
        if row.figures.false_alarms:
            console.print(f"{row.lang}: {false_alarm_line(row.figures.false_alarms)}")
    console.print(
        f"F1, P, R: token-strict micro, percent; 95 % bootstrap over documents, 1,000 resamples, seed {SEED}."
    )


def losses(found: Evaluation) -> Iterator[str]:
    """What of the two files took no part, or only in part."""
    if found.missing:
        yield f"{found.missing} gold sentences have no prediction: all their entities count as missed"
    if found.unknown:
        yield f"{found.unknown} predictions belong to no gold sentence and were left out: their texts differ"
    if found.without_gold:
        yield f"{found.without_gold} records of the gold file have no entities key and were left out"
    for file in ("gold", "predictions"):
        for what, counts in (("records refused", found.rejected[file]), ("entities left out", found.dropped[file])):
            if counts:
                reasons = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
                yield f"{file}: {sum(counts.values())} {what} ({reasons})"


def print_comparison(found: Compared, console: Console) -> None:
    """What the two runs are, their differences, and the sentences that flipped."""
    terminal = console.is_terminal
    console.print(f"first: {found.first}\nsecond: {found.second}", soft_wrap=True)
    for name, (left, right) in found.settings.items():
        console.print(f"{name}: {left} / {right}", soft_wrap=True)
    paired = found.found
    console.print(
        f"{paired.documents} documents in both; {paired.only_first} scored only in the first, "
        f"{paired.only_second} only in the second"
    )
    shown = [row for row in found.rows if row.type == ALL or row.scorer in ("token_strict", "span")]
    console.print(table(DIFFERENCE, [_difference(row) for row in shown], terminal=terminal))
    console.print(
        "F1 in percent; first minus second with its 95 % interval, paired bootstrap over documents, 1,000 resamples, "
        f"seed {SEED}; p-values of it and of approximate randomisation, not corrected for the number of rows."
    )
    console.print(
        f"{paired.flips[0]} sentences are wholly right only in the first, {paired.flips[1]} only in the second"
    )
    if paired.flipped:
        rows = [
            [
                *(one.id or "–", one.lang, str(one.wrong_in_first), str(one.wrong_in_second)),
                *(f"{one.first}, {one.second}", one.text),
            ]
            for one in paired.flipped
        ]
        console.print(table(FLIPPED, rows, terminal=terminal))


def _evaluation(row: EvaluationRow) -> list[str]:
    strict = row.figures.token_strict
    return [
        *(row.dataset or "–", row.lang, str(row.documents), percentage(strict, "f1"), interval_of(strict)),
        *(percentage(strict, name) for name in ("precision", "recall")),
        *(percentage(getattr(row.figures, name), "f1") for name in list(SCORERS)[1:]),
    ]


def _difference(row: Difference) -> list[str]:
    found = row.found
    low, high = (number(100 * value, 2) for value in (found.low, found.high))
    return [
        *(row.dataset or "–", row.lang, row.type, row.scorer, str(row.documents)),
        *(number(100 * value, 2) for value in (found.first, found.second, found.delta)),
        f"{low} to {high}",
        *(number(value, 3) for value in (found.p_value, found.p_randomisation)),
    ]
