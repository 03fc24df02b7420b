"""A report as one self-contained HTML file: no script, no font and no picture from elsewhere.

Everything that came from a corpus or a model is escaped by Jinja2, and the page's own policy forbids what might still
slip through. Dossiers are read and written one at a time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eat_worker import __version__
from eat_worker.cli import figures
from eat_worker.cli.page.charts import Picture, pictures
from eat_worker.cli.page.texts import direction, pieces, shown
from eat_worker.cli.terminal import duration, number
from eat_worker.corpora.writing import new_file, new_folder
from eat_worker.errors import ConfigurationError
from eat_worker.method.prompts import prompt_set
from eat_worker.method.rounds import Prompt
from eat_worker.metrics.published import times
from eat_worker.runs.findings import Findings
from eat_worker.runs.reporting import Report, Row
from eat_worker.storage.values import Dossier

if TYPE_CHECKING:
    from jinja2 import Template

EXTRA = "pip install 'eat_worker[report]'"


def write_page(path: Path, report: Report, findings: Findings) -> None:
    """Write the page, whole or not at all. Raises ConfigurationError without the extra, or when it can't be written."""
    template = _template()
    style = files("eat_worker.cli.page").joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    context = {
        "version": __version__,
        "style": style,
        "style_digest": digest,
        "report": report,
        "runs": [_run(name, list(rows), report) for name, rows in groupby(report.rows, key=lambda row: row.run)],
        "legend": figures.legend(report).split("\n"),
        "columns": figures.COLUMNS,
        "types": figures.TYPES,
        "published_columns": figures.PUBLISHED,
        "times": times(),
        "flags": _flags(findings),
        "worst": (_dossier(one) for one in findings.worst),
    }
    with new_file(path) as file:
        for part in template.generate(context):
            file.write(part.encode("utf-8", "backslashreplace"))


def write_pictures(folder: Path, report: Report) -> list[str]:
    """Write every picture as SVG and PNG into a new folder: RUN-KIND, runs counted from 1. Their names."""
    _require("altair", "vl_convert")
    names = []
    with new_folder(folder) as partial:
        for place, (_, rows) in enumerate(groupby(report.rows, key=lambda row: row.run), start=1):
            for picture in pictures(list(rows)):
                name = f"{place}-{picture.kind}"
                (partial / f"{name}.svg").write_text(picture.svg(), encoding="utf-8")
                (partial / f"{name}.png").write_bytes(picture.png())
                names.append(name)
    return names


def _require(*modules: str) -> None:
    from importlib.util import find_spec

    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ConfigurationError(f"{', '.join(missing)} is not installed; run: {EXTRA}")


def _template() -> Template:
    _require("jinja2", "altair", "vl_convert")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("eat_worker.cli", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, duration=duration, number=number)
    return environment.get_template("report.html.j2")


def _run(name: str, rows: Sequence[Row], report: Report) -> dict[str, Any]:
    from markupsafe import Markup

    return {
        "name": name,
        "rows": [figures.cells(row) for row in rows],
        "types": [line for row in rows for line in figures.types_of(row.figures, (row.run, row.dataset, row.lang))],
        "false_alarms": [
            (row.dataset, row.lang, figures.false_alarm_line(row.figures.false_alarms))
            for row in rows
            if row.figures.false_alarms
        ],
        "ledger": [(row.dataset, row.lang, figures.by_size(row.outcomes)) for row in rows if row.outcomes],
        "time": rows,
        "published": figures.published_cells(rows),
        "why_not": [(row.dataset, row.lang, row.published.why_not) for row in rows if row.published.why_not],
        # What vl-convert draws is escaped by it; a test looks for what a name could smuggle in.
        "pictures": [(picture, Markup(_inline(picture))) for picture in pictures(rows)],  # noqa: S704
        "provenance": report.fingerprints[name],
    }


def _inline(picture: Picture) -> str:
    """The SVG as a part of the page, as wide as there is room."""
    return picture.svg().replace("<svg ", f'<svg role="img" aria-label="{picture.title}" ', 1)


def _flags(findings: Findings) -> list[tuple[str, str, str]]:
    return [(run, flag, str(count)) for (run, flag), count in findings.flags.items()]


def _dossier(dossier: Dossier) -> dict[str, Any]:
    document = dossier.document
    gold = [(one.start, one.end, one.tag) for one in document.gold or ()]
    found = [(one.span.start, one.span.end, one.english.tag) for one in dossier.alignments if one.span]
    return {
        "it": dossier,
        "document": document,
        "direction": direction(document.lang),
        "gold": pieces(document.text, gold, found, "missed") if document.gold is not None else None,
        "found": pieces(document.text, found, gold, "wrong" if document.gold is not None else "right"),
        "ledger": dossier.alignments,
        "rounds": list(_rounds(dossier)),
    }


def _rounds(dossier: Dossier) -> Iterator[tuple[Any, str]]:
    """Every round with its prompt as it was put; the template's id and variables where this version has other ones."""
    config = dossier.run.spec.config
    templates = {one.id: one.template for one in prompt_set(config.prompts).listed(config.rounds)}
    for output in dossier.rounds:
        template = templates.get(output.prompt_id)
        if template is None:
            yield output, f"template {output.prompt_id[:12]} with {dict(output.variables)}"
        else:
            yield output, Prompt(output.prompt_id, template, output.variables).text()
