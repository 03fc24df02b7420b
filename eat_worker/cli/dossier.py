"""A dossier as a person reads it: what was asked, what was answered, what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eat_worker.cli.terminal import duration, number, placed, table, visible
from eat_worker.method.document import RoundOutput, Span
from eat_worker.method.prompts import prompt_set
from eat_worker.method.rounds import Prompt
from eat_worker.storage.values import Attempt, Dossier, Scores


def print_dossier(dossier: Dossier, console: Console) -> None:
    """Text, rounds, English entities, alignment ledger, scores, attempts and model, in the order they came about."""
    Page(console, dossier).print()


class Page:
    """One dossier on one console."""

    def __init__(self, console: Console, dossier: Dossier) -> None:
        self._console = console
        self._dossier = dossier
        config = dossier.run.spec.config
        self._templates = {one.id: one.template for one in prompt_set(config.prompts).listed(config.rounds)}

    def print(self) -> None:
        """All sections."""
        self._head()
        self._rounds()
        self._entities()
        self._ledger()
        self._reviews()
        self._scores()
        self._end()

    def _heading(self, text: str) -> None:
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def _line(self, name: str, value: str | None) -> None:
        """`name: value` with an indent; further lines of a value stand deeper, so that none can pass for a name."""
        lines = ["–"] if value is None else value.split("\n")
        first, *others = (placed(line, terminal=self._console.is_terminal) for line in lines)
        self._indented(f"{name}: {first}", 2)
        for line in others:
            self._indented(line, 6)

    def _indented(self, line: str, cells: int) -> None:
        self._console.print(Padding(Text(line), (0, 0, 0, cells), expand=False))

    def _table(self, columns: dict[str, str], rows: list[list[str]]) -> None:
        self._console.print(table(columns, rows, terminal=self._console.is_terminal))

    def _head(self) -> None:
        dossier, document = self._dossier, self._dossier.document
        self._console.print(Text(f"document {dossier.document_id} of run {dossier.run.spec.name}", style="bold"))
        if document.ext_id:
            self._line("id", document.ext_id)
        self._line("status", dossier.status + ("" if dossier.status == "done" else f", at stage {dossier.stage}"))
        if dossier.error_code:
            self._line("error", f"{dossier.error_code}: {dossier.error}")
        self._line(f"text ({document.lang})", document.text)
        self._line("english", dossier.english)
        if dossier.back_translation is not None:
            self._line("back-translation", dossier.back_translation)

    def _rounds(self) -> None:
        for output in self._dossier.rounds:
            about = "" if output.entity < 0 else f", entity {output.entity}"
            self._heading(f"{output.stage}{about}, round {output.round}")
            self._line("prompt", self._prompt(output))
            self._line("answer", output.output)
            self._line("cost", _cost(output))

    def _prompt(self, output: RoundOutput) -> str:
        """The prompt as it was put, rebuilt; the template's id and the variables where this version has other ones."""
        template = self._templates.get(output.prompt_id)
        if template is None:
            return f"template {output.prompt_id[:12]} with {dict(output.variables)}"
        return Prompt(output.prompt_id, template, output.variables).text()

    def _entities(self) -> None:
        if self._dossier.english_entities:
            self._heading("English entities")
            rows = [
                [str(one.index), one.tag, one.mention, _span(one.span), str(one.unusable or "")]
                for one in self._dossier.english_entities
            ]
            columns = {"#": "right", "tag": "left", "words": "left", "in the translation": "left", "fault": "left"}
            self._table(columns, rows)

    def _ledger(self) -> None:
        if self._dossier.alignments:
            self._heading("alignment ledger")
            columns = {"#": "right", "tag": "left", "english": "left", "outcome": "left", "span": "left"}
            columns |= {"words of the text": "left", "via": "left", "answer": "left", "confidence": "right"}
            self._table(columns, list(self._ledger_rows()))
        if self._dossier.document.gold is not None:
            self._heading("gold")
            text = self._dossier.document.text
            rows = [
                [one.tag, _span(Span(one.start, one.end)), text[one.start : one.end]]
                for one in self._dossier.document.gold
            ]
            self._table({"tag": "left", "span": "left", "words": "left"}, rows)

    def _ledger_rows(self) -> Iterator[list[str]]:
        text = self._dossier.document.text
        for one in self._dossier.alignments:
            words = text[one.span.start : one.span.end] if one.span else ""
            english = one.english
            confidence = "" if one.confidence is None else number(one.confidence, 3)
            head = [str(english.index), english.tag, english.mention, str(one.outcome), _span(one.span), words]
            yield [*head, one.via, one.answer, confidence]

    def _reviews(self) -> None:
        text = self._dossier.document.text
        for review in self._dossier.reviews:
            self._heading(f"review by {visible(review.author)}")
            self._line("reason", review.reason)
            rows = [[one.tag, _span(Span(one.start, one.end)), text[one.start : one.end]] for one in review.entities]
            self._table({"tag": "left", "span": "left", "words": "left"}, rows)

    def _scores(self) -> None:
        scores = self._dossier.scores
        if scores:
            self._heading("scores")
            for name, value in _score_lines(scores):
                self._line(name, value)

    def _end(self) -> None:
        spec = self._dossier.run.spec
        if self._dossier.attempts:
            self._heading("attempts")
            self._console.print(attempts_table(self._dossier.attempts, terminal=self._console.is_terminal))
        self._heading("model")
        self._line("fingerprint", spec.fingerprint)
        for name, value in spec.model.items():
            self._line(str(name), str(value))
        seconds = sum(output.seconds for output in self._dossier.rounds)
        generated = sum(output.generated_tokens for output in self._dossier.rounds)
        self._line(
            "in the engine", f"{duration(seconds)}, {len(self._dossier.rounds)} rounds, {generated} tokens written"
        )


def _cost(output: RoundOutput) -> str:
    computed = output.prompt_tokens - output.cached_tokens
    parts = [
        f"{output.prompt_tokens} prompt tokens ({output.cached_tokens} cached, {computed} computed)",
        f"{output.generated_tokens} written",
        f"{output.seconds:.2f} s",
        f"batch of {output.batch_size}",
    ]
    if output.logprob is not None:
        parts.append(f"log-probability {output.logprob:.3f}")
    if output.finish_reason != "stop":
        parts.append(f"ended by {output.finish_reason}")
    return ", ".join([*parts, *(f"flag {flag}" for flag in output.flags)])


def _score_lines(scores: Scores) -> Iterator[tuple[str, str]]:
    for name in ("strict", "official", "span"):
        counts = getattr(scores, name)
        if counts is not None:
            tp, fp, fn = counts
            yield f"{'token-strict' if name == 'strict' else name} counts", f"{tp} right, {fp} wrong, {fn} missed"
    if scores.bleu is not None:
        yield "BLEU", f"{scores.bleu:.1f} ({scores.bleu_signature})"
    if scores.entropy_loss is not None:
        yield "entropy loss (L_e)", f"{scores.entropy_loss:.3f}"


def attempts_table(attempts: Sequence[Attempt], *, terminal: bool) -> Table:
    """One row per lease: who, when, for how long, and how it ended."""
    columns = {"stage": "left", "attempt": "right", "worker": "left", "began": "left", "took": "right"}
    columns |= {"outcome": "left", "error": "left"}
    return table(columns, [_attempt(one) for one in attempts], terminal=terminal)


def _attempt(one: Attempt) -> list[str]:
    began = datetime.fromtimestamp(one.started_at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    took = "" if one.ended_at is None else duration(one.ended_at - one.started_at)
    return [one.stage, str(one.attempt), one.worker, began, took, one.outcome or "", one.error or ""]


def _span(span: Span | None) -> str:
    return "" if span is None else f"[{span.start}, {span.end})"
