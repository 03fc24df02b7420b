"""The pictures of a report: Vega-Lite by altair, drawn by vl-convert without a browser. Knows figures; computes none.

The colours are those of Okabe and Ito, which people with any kind of colour vision tell apart; shapes repeat what
colours say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eat_worker.cli.terminal import visible
from eat_worker.method.document import ALIGNED
from eat_worker.metrics.summary import SCORERS
from eat_worker.runs.reporting import ALL, Row

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
_SCORER_COLOURS = [BLUE, VERMILION, GREEN, ORANGE, PURPLE]
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross"]
_FOUND = [BLUE, SKY, "#A6D8F5", "#D6ECFA"]  # shades of one blue: entities that have their words
_LOST = [VERMILION, ORANGE, "#F0C978", "#8C510A", "#BF812D", PURPLE, "#999999", "#666666", "#333333"]
_WIDTH, _STEP = 520, 26
_MOST = 60  # rows of one picture; the table beside it has them all
Values = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Picture:
    """One chart of one run: `spec` is Vega-Lite in JSON."""

    kind: str
    title: str
    spec: str

    def svg(self) -> str:
        """As SVG; all text in it is escaped."""
        import vl_convert

        return str(vl_convert.vegalite_to_svg(self.spec))

    def png(self) -> bytes:
        """As PNG, twice the size."""
        import vl_convert

        return bytes(vl_convert.vegalite_to_png(self.spec, scale=2))


def pictures(rows: Sequence[Row]) -> Iterator[Picture]:
    """The pictures of one run's rows; those for which it has no figures are left out."""
    parts = [(_name(row, rows), row) for row in rows if row.lang != ALL or len(rows) == 1][:_MOST]
    made = (
        ("f1", "F1 by language, with 95 % intervals", _f1(parts)),
        ("types", "token-strict F1 by type", _types(parts)),
        ("ledger", "How the English entities ended", _ledger(parts)),
        ("translation", "BLEU, L_e and F1 by language, as Figure 3 of the paper", _translation(parts)),
        ("time", "Engine seconds per document", _time(parts)),
    )
    for kind, title, chart in made:
        if chart is not None:
            yield Picture(kind, title, chart.properties(background="white").to_json(validate=True))


def _name(row: Row, rows: Sequence[Row]) -> str:
    several = len({one.dataset for one in rows if one.lang != ALL}) > 1
    return visible(f"{row.lang} · {row.dataset}") if several and row.dataset else row.lang


def _f1(parts: Sequence[tuple[str, Row]]) -> Any:
    import altair as alt

    values = [
        {"part": name, "scorer": scorer, "F1": 100 * one.f1, "low": 100 * one.low, "high": 100 * one.high}
        for name, row in parts
        for scorer in SCORERS
        if (one := getattr(row.figures, scorer))
    ]
    if not values:
        return None
    base = alt.Chart(_data(values)).encode(y=_part(alt), yOffset=alt.YOffset("scorer:N", sort=list(SCORERS)))
    colour, shape = _told_apart(alt, "scorer", list(SCORERS), _SCORER_COLOURS)
    x = alt.X("F1:Q", scale=alt.Scale(domain=[0, 100]), title="F1, percent")
    lines = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="F1, percent"), x2="high:Q", color=colour)
    points = base.mark_point(filled=True, opacity=1, size=55).encode(x=x, color=colour, shape=shape)
    return (lines + points).properties(width=_WIDTH, height={"step": 13})


def _types(parts: Sequence[tuple[str, Row]]) -> Any:
    import altair as alt

    values = [
        {"part": name, "type": tag, "F1": 100 * one.f1, "low": 100 * one.low, "high": 100 * one.high}
        for name, row in parts
        for tag, one in row.figures.per_tag["token_strict"].items()
    ]
    if not values:
        return None
    base = alt.Chart(_data(values)).encode(y=_part(alt), yOffset="type:N")
    colour, shape = _told_apart(alt, "type", sorted({str(one["type"]) for one in values}), _SCORER_COLOURS)
    lines = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", scale=alt.Scale(domain=[0, 100]), title="F1, percent"), x2="high:Q", color=colour
    )
    points = base.mark_point(filled=True, opacity=1, size=55).encode(x="F1:Q", color=colour, shape=shape)
    return (lines + points).properties(width=_WIDTH, height={"step": 15})


def _ledger(parts: Sequence[tuple[str, Row]]) -> Any:
    import altair as alt

    values = [
        {"part": name, "outcome": str(outcome), "entities": count, "place": 0 if outcome in ALIGNED else 1}
        for name, row in parts
        for outcome, count in row.outcomes.items()
    ]
    if not values:
        return None
    found, lost = (sorted({one["outcome"] for one in values if one["place"] == place}) for place in (0, 1))
    colours = [*(_FOUND * 2)[: len(found)], *(_LOST * 2)[: len(lost)]]
    colour = alt.Color("outcome:N", scale=alt.Scale(domain=[*found, *lost], range=colours), title=None)
    x = alt.X("entities:Q", stack="normalize", title="share of the English entities", axis=alt.Axis(format="%"))
    chart = alt.Chart(_data(values)).mark_bar(stroke="white", strokeWidth=0.5)
    return chart.encode(y=_part(alt), x=x, color=colour, order="place:Q").properties(
        width=_WIDTH, height={"step": _STEP}
    )


def _translation(parts: Sequence[tuple[str, Row]]) -> Any:
    import altair as alt

    highest = max((row.bleu or 0.0 for _, row in parts), default=0.0)
    bleu, strict = "BLEU, divided by the highest", "F1 (token-strict)"
    values = [
        {"part": name, "measure": measure, "value": value}
        for name, row in parts
        for measure, value in (
            (bleu, None if row.bleu is None else row.bleu / (highest or 1.0)),
            (strict, row.figures.token_strict.f1 if row.figures.token_strict else None),
            ("L_e", row.entropy_loss),
        )
        if value is not None
    ]
    if len({one["measure"] for one in values}) < 2:
        return None
    colour, shape = _told_apart(alt, "measure", [bleu, strict, "L_e"], [ORANGE, BLUE, VERMILION])
    base = alt.Chart(_data(values)).encode(
        x=alt.X("part:N", sort=None, title=None, axis=alt.Axis(labelAngle=0 if len(parts) < 9 else -40)),
        y=alt.Y("value:Q", title="share"),
        color=colour,
    )
    points = base.mark_point(filled=True, opacity=1, size=70).encode(shape=shape)
    return (base.mark_line(strokeWidth=1.5) + points).properties(width=max(_WIDTH, 40 * len(parts)), height=230)


def _time(parts: Sequence[tuple[str, Row]]) -> Any:
    import altair as alt

    values = [{"part": name, "seconds": row.seconds_per_sentence} for name, row in parts if row.seconds_per_sentence]
    if not values:
        return None
    chart = alt.Chart(_data(values)).mark_bar(color=BLUE)
    return chart.encode(y=_part(alt), x=alt.X("seconds:Q", title="seconds")).properties(
        width=_WIDTH, height={"step": _STEP}
    )


def _told_apart(alt: Any, field: str, names: Sequence[str], colours: Sequence[str]) -> tuple[Any, Any]:
    """Colour and shape of the same field: one legend for both."""
    colour = alt.Scale(domain=names, range=list(colours[: len(names)]))
    shape = alt.Scale(domain=names, range=_SHAPES[: len(names)])
    return alt.Color(f"{field}:N", scale=colour, title=None), alt.Shape(f"{field}:N", scale=shape, title=None)


def _part(alt: Any) -> Any:
    return alt.Y("part:N", sort=None, title=None, axis=alt.Axis(labelLimit=260))


def _data(values: Values) -> Any:
    import altair as alt

    return alt.Data(values=list(values))  # type: ignore[no-untyped-call]  # altair's own
