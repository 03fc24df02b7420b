"""A report in the forms people read: a table on a terminal, Markdown, LaTeX, CSV. Knows figures; computes none."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from eat_worker.cli.terminal import duration, fitting, number, placed, table, visible
from eat_worker.method.document import ALIGNED
from eat_worker.metrics.summary import SCORERS, SEED, FalseAlarms, Figure, Figures
from eat_worker.runs.reporting import Report, Row

COLUMNS = {
    "run": "left",
    "dataset": "left",
    "lang": "left",
    "docs": "right",
    "F1": "right",
    "95 %": "left",
    "P": "right",
    "R": "right",
    "official": "right",
    "span": "right",
    "BLEU": "right",
    "L_e": "right",
    "aligned": "right",
    "s/doc": "right",
}
# What a narrow terminal can do without, the first to go first.
SPARE = ("R", "P", "span", "official", "s/doc", "dataset")
TYPES = {
    **dict.fromkeys(("run", "dataset", "lang", "type"), "left"),
    **dict.fromkeys(("gold", "found", "F1"), "right"),
    "95 %": "left",
    **dict.fromkeys(("official", "span", "lenient", "partial"), "right"),
}
# A spreadsheet takes a cell that begins so for a formula (CWE-1236).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\x00")


def print_report(report: Report, console: Console) -> None:
    """The table, what its figures are, what became of the entities, and the paper's figures on the same corpora."""
    terminal = console.is_terminal
    _print_figures([cells(row) for row in report.rows], console)
    console.print(legend(report))
    console.print(table(TYPES, [cell for row in report.rows for cell in _types(row)], terminal=terminal))
    for line in false_alarm_lines(report):
        console.print(line)
    console.print(table({"run": "left", "lang": "left", "ledger": "left"}, _ledger(report.rows), terminal=terminal))
    published = published_cells(report.rows)
    if published:
        title = "Published, beside our official F1: the same corpus, split and scorer; other models"
        console.print(table(PUBLISHED, published, terminal=terminal, title=title))


def _print_figures(cells: Sequence[Sequence[str]], console: Console) -> None:
    kept = fitting(COLUMNS, cells, SPARE, console.width)
    places = [place for place, name in enumerate(COLUMNS) if name in kept]
    rows = [[row[place] for place in places] for row in cells]
    console.print(table({name: COLUMNS[name] for name in kept}, rows, terminal=console.is_terminal))
    left_out = [name for name in COLUMNS if name not in kept]
    if left_out:
        console.print(f"left out for lack of width: {', '.join(left_out)}; --csv and --json have everything")


def markdown(report: Report) -> str:
    """The table in Markdown, with what its figures are below it."""
    lines = [_md_row(COLUMNS), _md_row("---:" if side == "right" else ":---" for side in COLUMNS.values())]
    lines += [_md_row(cells(row)) for row in report.rows]
    return "\n".join([*lines, "", legend(report), ""])


_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def latex(report: Report) -> str:
    """The table in LaTeX, for the package booktabs, with what its figures are as comments above it."""
    lines = [f"% {line}" for line in visible_lines(legend(report))]
    lines += [r"\begin{tabular}{" + "".join("r" if side == "right" else "l" for side in COLUMNS.values()) + "}"]
    lines += [r"\toprule", _latex_row(COLUMNS), r"\midrule"]
    lines += [_latex_row(cells(row)) for row in report.rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def visible_lines(text: str) -> list[str]:
    """The lines of a text, each without anything that a terminal or a typesetter would obey."""
    return [visible(line) for line in text.split("\n")]


def _latex_row(row: Iterable[str]) -> str:
    escaped = ("".join(_LATEX.get(sign, sign) for sign in visible(cell)) for cell in row)
    return " & ".join(escaped) + r" \\"


def csv_text(report: Report) -> str:
    """Every figure of every row: nested names are joined by underscores; no cell can be taken for a formula."""
    flat = [_flat(row.to_json()) for row in report.rows]
    names = list(dict.fromkeys(name for one in flat for name in one))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_safe(one.get(name)) for name in names] for one in flat)
    return stream.getvalue()


def legend(report: Report) -> str:
    """What the figures are: scorers, interval, seed, and the BLEU signature of each language."""
    signatures: dict[str, list[str]] = {}
    for row in report.rows:
        if row.bleu_signature and row.lang not in signatures.setdefault(row.bleu_signature, []):
            signatures[row.bleu_signature].append(row.lang)
    explained = (
        "F1, P, R: token-strict micro, percent; 95 % bootstrap over documents, 1,000 resamples, "
        f"seed {SEED}. official, span: micro F1 by those scorers. L_e: mean over documents, 1 = all information kept. "
        "aligned: English entities that found their words. s/doc: engine seconds, shared by the chats it ran at once."
    )
    bleu = [f"BLEU ({', '.join(langs)}): {signature}" for signature, langs in signatures.items()]
    return "\n".join([explained, *bleu])


PUBLISHED = {"corpus": "left", "lang": "left", "system": "left", "F1": "right", "BLEU": "right", "scorer": "left"}


def published_cells(rows: Sequence[Row]) -> list[list[str]]:
    """The paper's figures for the corpora and languages of the rows, each once."""
    cells = dict.fromkeys(cell for row in rows for cell in row.published.cells)
    return [
        [
            *(f"{cell.corpus} {cell.split}", cell.lang, f"{cell.system} (Table {cell.table})"),
            *(number(cell.f1, 2), number(cell.bleu, 2), cell.scorer),
        ]
        for cell in cells
    ]


def cells(row: Row) -> list[str]:
    """The row as the columns of COLUMNS."""
    strict = row.figures.token_strict
    entities = sum(row.outcomes.values())
    aligned = sum(row.outcomes.get(outcome, 0) for outcome in ALIGNED)
    return [
        row.run,
        row.dataset or "–",
        row.lang,
        _documents(row),
        *(percentage(strict, name) for name in ("f1",)),
        interval(strict),
        *(percentage(strict, name) for name in ("precision", "recall")),
        percentage(row.figures.official, "f1"),
        percentage(row.figures.span, "f1"),
        number(row.bleu),
        number(row.entropy_loss, 3),
        f"{aligned}/{entities}" if entities else "–",
        duration(row.seconds_per_sentence),
    ]


def _types(row: Row) -> list[list[str]]:
    return types_of(row.figures, (row.run, row.dataset or "–", row.lang))


def types_of(figures: Figures, head: Sequence[str]) -> list[list[str]]:
    """One line per tag: `head`, gold entities and found ones, then F1 by every scorer, as the columns of TYPES."""
    span = figures.per_tag["span"]
    return [
        [
            *(*head, tag, str(span[tag].support), str(span[tag].found), percentage(strict, "f1"), interval(strict)),
            *(percentage(figures.per_tag[name].get(tag), "f1") for name in list(SCORERS)[1:]),
        ]
        for tag, strict in figures.per_tag["token_strict"].items()
        if tag in span
    ]


def interval(figure: Figure | None) -> str:
    """The 95 % interval of a figure's F1, a dash without a figure."""
    return f"{percentage(figure, 'low')}–{percentage(figure, 'high')}" if figure else "–"


def false_alarm_lines(report: Report) -> list[str]:
    """What was found in sentences without gold entities, one line per row that has such sentences."""
    return [
        f"{placed(row.run, terminal=False)}, {row.lang}: {false_alarm_line(row.figures.false_alarms)}"
        for row in report.rows
        if row.figures.false_alarms
    ]


def false_alarm_line(alarms: FalseAlarms) -> str:
    """How many of the sentences without gold entities were given some."""
    return (
        f"{alarms.documents} sentences without gold entities, "
        f"{alarms.alarmed} of them with false alarms ({alarms.entities} entities)"
    )


def _documents(row: Row) -> str:
    failed = row.statuses.get("failed", 0)
    return f"{row.documents} ({failed} failed)" if failed else str(row.documents)


def _ledger(rows: Sequence[Row]) -> list[list[str]]:
    return [
        [row.run, row.lang, ", ".join(f"{count} {name}" for name, count in by_size(row.outcomes))]
        for row in rows
        if row.outcomes
    ]


def by_size(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The counts with their names, the largest first."""
    return sorted(((str(name), count) for name, count in counts.items()), key=lambda pair: (-pair[1], pair[0]))


def percentage(figure: Figure | None, name: str) -> str:
    """One ratio of a figure in percent, a dash without a figure."""
    value = getattr(figure, name) if figure else None
    return number(None if value is None else 100 * value)


def _md_row(cells: Any) -> str:
    return "| " + " | ".join(visible(cell).replace("|", "\\|") for cell in cells) + " |"


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            flat |= _flat(inner, f"{prefix}{name}_")
        elif name != "published" and not (inner is None and name in SCORERS):
            flat[f"{prefix}{name}"] = inner
    return flat


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


FORMS = {"csv": csv_text, "md": markdown, "latex": latex}
"""The report as text, by the option that asks for it."""
