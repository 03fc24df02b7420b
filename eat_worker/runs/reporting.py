"""Figures of scored documents: one row per run, dataset and language, and one over all languages of a run.

Sums come from storage and are made into figures here; nothing is predicted or scored again. In the JSON form F1,
precision, recall, their bounds and BLEU are percentages (0-100); entropy losses are ratios; times are seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from eat_worker.errors import NotFound
from eat_worker.metrics.bleu import corpus_bleu
from eat_worker.metrics.entropy import PooledEntropy, pooled_entropy_loss
from eat_worker.metrics.published import Published, published
from eat_worker.metrics.summary import Figure, figure, tag_figures
from eat_worker.runs.opening import is_new, open_existing
from eat_worker.settings import Settings
from eat_worker.storage.store import Store
from eat_worker.storage.values import Run, ScoreSums

ALL = "all"
SCORERS = {"token_strict": "strict", "official": "official", "span": "span"}
"""What the report calls a scorer, and what the sums call it."""
SEED = 0


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one run on one dataset and language. Figures are None where no document has gold."""

    run: str
    dataset: str
    #: "all" where languages are pooled.
    lang: str
    documents: int
    statuses: Mapping[str, int]
    token_strict: Figure | None
    official: Figure | None
    span: Figure | None
    #: Scorer to tag to figure.
    per_tag: Mapping[str, Mapping[str, Figure]]
    #: Of the whole corpus, in [0, 100].
    bleu: float | None
    #: Mean over sentences.
    bleu_mean: float | None
    bleu_signature: str | None
    bleu_documents: int
    #: Mean over sentences.
    entropy_loss: float | None
    entropy_loss_documents: int
    #: Ratio of the pooled entropies.
    entropy_loss_pooled: float | None
    outcomes: Mapping[str, int]
    #: Engine time of all documents, as the tokens are of all.
    seconds: float
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    published: tuple[Published, ...]

    @property
    def seconds_per_sentence(self) -> float | None:
        """Engine seconds per document; None without documents."""
        return self.seconds / self.documents if self.documents else None

    @property
    def seconds_per_token(self) -> float | None:
        """Engine seconds per generated token; None where nothing was generated."""
        return self.seconds / self.generated_tokens if self.generated_tokens else None

    def to_json(self) -> dict[str, Any]:
        """The row as documented for `eat report --json`."""
        figures = {name: _percent(getattr(self, name)) for name in SCORERS}
        plain = asdict(replace(self, published=()))
        per_tag = {scorer: {tag: _percent(one) for tag, one in tags.items()} for scorer, tags in self.per_tag.items()}
        return {
            **plain,
            **figures,
            "per_tag": per_tag,
            "bleu": _rounded(self.bleu),
            "bleu_mean": _rounded(self.bleu_mean),
            "seconds_per_sentence": self.seconds_per_sentence,
            "seconds_per_token": self.seconds_per_token,
            "published": [asdict(cell) for cell in self.published],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Rows in the order run, dataset, language, and what produced them: by run, fingerprint, model and settings."""

    rows: tuple[Row, ...]
    fingerprints: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """The report as documented for `eat report --json`."""
        return {"rows": [row.to_json() for row in self.rows], "fingerprints": dict(self.fingerprints)}


def report(
    settings: Settings, *, dataset: str | None = None, run: str | None = None, lang: str | None = None
) -> Report:
    """The figures of every run that fits; None fits all. Without rows when nothing was ever submitted here.

    Raises NotFound when no scored document fits.
    """
    if is_new(settings) and not (dataset or run or lang):
        return Report((), {})
    with open_existing(settings) as store:
        sums = list(store.reading.score_sums(dataset=dataset, run=run, lang=lang))
        if not sums:
            raise NotFound(_nothing(dataset, run, lang))
        rows = [_row(one, _pooled_entropy_loss(store, one)) for one in sums]
    totals = [_row(total, None) for total in _totals(sums)]
    ordered = sorted([*rows, *totals], key=lambda row: (row.run, row.lang == ALL, row.dataset, row.lang))
    return Report(tuple(ordered), {one.run.spec.name: _provenance(one.run) for one in sums})


def _nothing(dataset: str | None, run: str | None, lang: str | None) -> str:
    asked = ", ".join(
        f"{what} {name}" for what, name in (("dataset", dataset), ("run", run), ("language", lang)) if name
    )
    return f"no scored documents{f' of {asked}' if asked else ''}; see: eat status"


def _provenance(run: Run) -> dict[str, Any]:
    spec = run.spec
    return {"fingerprint": spec.fingerprint, "model": dict(spec.model), "settings": spec.config.to_json()}


def _row(sums: ScoreSums, entropy_loss_pooled: float | None) -> Row:
    bleu = corpus_bleu(sums.bleu_stats, sums.lang) if sums.bleu_stats else None
    return Row(
        run=sums.run.spec.name,
        dataset=sums.dataset,
        lang=sums.lang,
        documents=sums.documents,
        statuses=sums.statuses,
        token_strict=figure(sums.strict_rows, SEED),
        official=figure(sums.official_rows, SEED),
        span=figure(sums.span_rows, SEED),
        per_tag={name: tag_figures(sums.tag_sums, scorer) for name, scorer in SCORERS.items()},
        bleu=bleu.score if bleu else None,
        bleu_mean=sums.bleu_mean,
        bleu_signature=bleu.signature if bleu else None,
        bleu_documents=sums.bleu_documents,
        entropy_loss=sums.entropy_loss_mean,
        entropy_loss_documents=sums.entropy_loss_documents,
        entropy_loss_pooled=entropy_loss_pooled,
        outcomes=sums.outcomes,
        seconds=sums.seconds,
        prompt_tokens=sums.prompt_tokens,
        cached_tokens=sums.cached_tokens,
        generated_tokens=sums.generated_tokens,
        published=tuple(published(sums.dataset, sums.lang)) if sums.dataset and sums.lang != ALL else (),
    )


def _pooled_entropy_loss(store: Store, sums: ScoreSums) -> float | None:
    if not sums.entropy_loss_documents:
        return None
    texts, back_translations = PooledEntropy(), PooledEntropy()
    for text, back_translation in store.reading.iter_texts(sums.run.id, dataset=sums.dataset, lang=sums.lang):
        if back_translation is not None:
            texts.add(text)
            back_translations.add(back_translation)
    return pooled_entropy_loss(texts, back_translations)


def _totals(sums: Sequence[ScoreSums]) -> list[ScoreSums]:
    """One sum over all languages and datasets of each run that has several."""
    by_run: dict[int, list[ScoreSums]] = {}
    for one in sums:
        by_run.setdefault(one.run.id, []).append(one)
    return [_total(group) for group in by_run.values() if len(group) > 1]


def _total(group: Sequence[ScoreSums]) -> ScoreSums:
    """BLEU is left out: each language has its own tokenizer, and their counts do not add up."""
    datasets = {one.dataset for one in group}
    losses = sum(one.entropy_loss_documents for one in group)
    loss = sum((one.entropy_loss_mean or 0.0) * one.entropy_loss_documents for one in group)
    return replace(
        group[0],
        dataset=datasets.pop() if len(datasets) == 1 else ALL,
        lang=ALL,
        documents=sum(one.documents for one in group),
        strict_rows=tuple(row for one in group for row in one.strict_rows),
        official_rows=tuple(row for one in group for row in one.official_rows),
        span_rows=tuple(row for one in group for row in one.span_rows),
        tag_sums=_added_counts(one.tag_sums for one in group),
        bleu_mean=None,
        bleu_documents=0,
        bleu_stats=None,
        bleu_signature=None,
        entropy_loss_mean=loss / losses if losses else None,
        entropy_loss_documents=losses,
        outcomes=_added(one.outcomes for one in group),
        statuses=_added(one.statuses for one in group),
        seconds=sum(one.seconds for one in group),
        prompt_tokens=sum(one.prompt_tokens for one in group),
        cached_tokens=sum(one.cached_tokens for one in group),
        generated_tokens=sum(one.generated_tokens for one in group),
    )


def _added(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _added_counts(parts: Iterable[Mapping[str, tuple[int, int, int]]]) -> dict[str, tuple[int, int, int]]:
    total: dict[str, tuple[int, int, int]] = {}
    for part in parts:
        for key, (tp, fp, fn) in part.items():
            before = total.get(key, (0, 0, 0))
            total[key] = (before[0] + tp, before[1] + fp, before[2] + fn)
    return total


def _percent(one: Figure | None) -> dict[str, float | None] | None:
    if one is None:
        return None
    return {name: _rounded(None if value is None else 100 * value) for name, value in asdict(one).items()}


def _rounded(percent: float | None) -> float | None:
    """Four decimals: what floating point leaves behind them is no figure."""
    return None if percent is None else round(percent, 4)
