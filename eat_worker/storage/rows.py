"""Values to rows and back: what a column means, once.

Knows the order of the columns it names and how values are spelt in them (JSON, epoch seconds). Runs no statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from eat_worker.errors import CorpusError
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import (
    Alignment,
    Document,
    EnglishEntity,
    GoldEntity,
    Outcome,
    RoundOutput,
    Span,
    Stage,
)
from eat_worker.method.identity import content_hash
from eat_worker.storage.tables import BLEU_STATS, COUNTS
from eat_worker.storage.values import Run, RunSpec, Scores

STAGE_ORDER: dict[str, int] = {str(stage): position for position, stage in enumerate(Stage)}

RUN = ("id", "name", "lang", "dataset", "config_json", "queues_json", "state", "created_at", "finished_at", "priority")
DOCUMENT = ("ext_id", "lang", "dataset", "text", "gold_json", "meta_json")
ROUND = (
    *("stage", "entity", "round", "variables_json", "output", "prompt_tokens", "cached_tokens"),
    *("generated_tokens", "seconds", "finish_reason", "batch_size", "logprob", "flags_json", "line_logprobs_json"),
)
ENGLISH_ENTITY = ("idx", "words", "tag", "english_start", "english_end", "fault")
ALIGNMENT = ("outcome", "text_start", "text_end", "via", "answer", "confidence")
SCORES = (*COUNTS, "per_tag_json", "bleu", "bleu_signature", *BLEU_STATS, "entropy_loss")


def clean(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD, one for one, so that spans still fit.

    PostgreSQL can store neither, and a model may say either.
    """
    text = text.replace("\x00", "�")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("�" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


def dump(value: Any) -> str:
    """JSON as stored."""
    return orjson.dumps(value).decode()


def run_of(row: Sequence[Any], fingerprint: str, model_json: str) -> Run:
    """A run from the columns RUN."""
    key, name, lang, dataset, config_json, queues_json, state, created_at, finished_at, priority = row
    spec = RunSpec(
        name=name,
        lang=lang,
        dataset=dataset,
        config=MethodConfig.from_json(orjson.loads(config_json)),
        fingerprint=fingerprint,
        model=orjson.loads(model_json),
        queues=orjson.loads(queues_json),
    )
    return Run(key, spec, state=state, created_at=created_at, finished_at=finished_at, priority=priority)


def document_row(document: Document, run: Run, stage: Stage) -> dict[str, Any]:
    """A new document. Raises CorpusError on a text that cannot be stored as it came."""
    try:
        if "\x00" in document.text:
            raise CorpusError(f"the text of {document.ext_id or 'a document'} contains NUL, which PostgreSQL refuses")
        document.text.encode()
        return {
            "run_id": run.id,
            "ext_id": document.ext_id,
            "content_sha256": content_hash(document),
            "lang": document.lang,
            "dataset": document.dataset or run.spec.dataset,
            "text": document.text,
            "gold_json": None if document.gold is None else dump([[g.start, g.end, g.tag] for g in document.gold]),
            "meta_json": dump(dict(document.meta)) if document.meta else None,
            "stage": str(stage),
        }
    except (UnicodeEncodeError, TypeError) as error:  # orjson raises TypeError on what JSON cannot say
        raise CorpusError(f"{document.ext_id or 'a document'} cannot be stored: {error}") from error


def document_of(row: Sequence[Any]) -> Document:
    """A document from the columns DOCUMENT."""
    ext_id, lang, dataset, text, gold_json, meta_json = row
    return Document(
        text=text,
        lang=lang,
        ext_id=ext_id,
        dataset=dataset,
        gold=None if gold_json is None else tuple(GoldEntity(*gold) for gold in orjson.loads(gold_json)),
        meta={} if meta_json is None else orjson.loads(meta_json),
    )


def round_row(output: RoundOutput) -> dict[str, Any]:
    """What a round output says of itself; document, attempt and prompt come from the claim."""
    return {
        "stage": str(output.stage),
        "entity": output.entity,
        "round": output.round,
        "variables_json": dump({name: clean(value) for name, value in output.variables.items()}),
        "output": clean(output.output),
        "prompt_tokens": output.prompt_tokens,
        "cached_tokens": output.cached_tokens,
        "generated_tokens": output.generated_tokens,
        "seconds": output.seconds,
        "finish_reason": output.finish_reason,
        "batch_size": output.batch_size,
        "logprob": output.logprob,
        "flags_json": dump(output.flags) if output.flags else None,
        "line_logprobs_json": _dumped_logprobs(output.line_logprobs),
    }


def _dumped_logprobs(lines: Sequence[float]) -> str | None:
    # Four digits are more than an engine repeats, and a quarter of the bytes.
    return dump([round(max(one, -1e6), 4) for one in lines]) if lines else None


def round_of(row: Sequence[Any], prompt_sha256: str) -> RoundOutput:
    """A round output from the columns ROUND."""
    (
        stage,
        entity,
        number,
        variables,
        output,
        prompt,
        cached,
        generated,
        seconds,
        reason,
        size,
        logprob,
        flags,
        lines,
    ) = row
    return RoundOutput(
        stage=Stage(stage),
        entity=entity,
        round=number,
        prompt_id=prompt_sha256,
        variables=orjson.loads(variables),
        output=output,
        prompt_tokens=prompt,
        cached_tokens=cached,
        generated_tokens=generated,
        seconds=seconds,
        finish_reason=reason,
        batch_size=size,
        logprob=logprob,
        flags=() if flags is None else tuple(orjson.loads(flags)),
        line_logprobs=() if lines is None else tuple(orjson.loads(lines)),
    )


def in_order(outputs: Iterable[RoundOutput]) -> tuple[RoundOutput, ...]:
    """The outputs as they were asked: by stage, entity and round."""
    return tuple(sorted(outputs, key=lambda output: (STAGE_ORDER[output.stage], output.entity, output.round)))


def english_row(entity: EnglishEntity) -> dict[str, Any]:
    """The extractor's part of an entity."""
    return {
        "idx": entity.index,
        "words": clean(entity.mention),
        "tag": clean(entity.tag),
        "english_start": entity.span and entity.span.start,
        "english_end": entity.span and entity.span.end,
        "fault": entity.unusable and str(entity.unusable),
    }


def alignment_row(alignment: Alignment) -> dict[str, Any]:
    """One line of the ledger, with the extractor's part of its entity."""
    return {
        **english_row(alignment.english),
        "outcome": str(alignment.outcome),
        "text_start": alignment.span and alignment.span.start,
        "text_end": alignment.span and alignment.span.end,
        "via": alignment.via,
        "answer": clean(alignment.answer),
        "confidence": alignment.confidence,
    }


def english_of(row: Sequence[Any]) -> EnglishEntity:
    """An English entity from the columns ENGLISH_ENTITY."""
    index, words, tag, start, end, fault = row
    span = None if start is None else Span(start, end)
    unusable = None if fault is None else Outcome(fault)
    return EnglishEntity(index=index, mention=words, tag=tag, span=span, unusable=unusable)


def ledger_of(rows: Sequence[Sequence[Any]]) -> tuple[tuple[EnglishEntity, ...], tuple[Alignment, ...]]:
    """English entities, and alignments of those that have one, from the columns ENGLISH_ENTITY and ALIGNMENT."""
    width = len(ENGLISH_ENTITY)
    entities = tuple(english_of(row[:width]) for row in rows)
    pairs = zip(entities, (row[width:] for row in rows), strict=True)
    return entities, tuple(_alignment_of(entity, row) for entity, row in pairs if row[0] is not None)


def _alignment_of(english: EnglishEntity, row: Sequence[Any]) -> Alignment:
    outcome, start, end, via, answer, confidence = row
    span = None if start is None else Span(start, end)
    return Alignment(english, Outcome(outcome), span, via=via, answer=answer, confidence=confidence)


def scores_row(scores: Scores) -> dict[str, Any]:
    """A document's scores under the names of SCORES."""
    undefined = (None, None, None)
    counts = (*(scores.strict or undefined), *(scores.official or undefined), *(scores.span or undefined))
    stats = scores.bleu_stats or (None,) * len(BLEU_STATS)
    return {
        **dict(zip(COUNTS, counts, strict=True)),
        **dict(zip(BLEU_STATS, stats, strict=True)),
        # Sorted, so that equal counts are equal text and can be grouped as such.
        "per_tag_json": dump({tag: scores.per_tag[tag] for tag in sorted(scores.per_tag)}) if scores.per_tag else None,
        "bleu": scores.bleu,
        "bleu_signature": scores.bleu_signature,
        "entropy_loss": scores.entropy_loss,
    }


def scores_of(row: Sequence[Any]) -> Scores:
    """Scores from the columns SCORES."""
    values = dict(zip(SCORES, row, strict=True))
    stats = [values[name] for name in BLEU_STATS]
    strict, official, span = (_counts([values[name] for name in COUNTS[at : at + 3]]) for at in (0, 3, 6))
    return Scores(
        strict=strict,
        official=official,
        span=span,
        per_tag=per_tag_of(values["per_tag_json"]),
        bleu=values["bleu"],
        bleu_signature=values["bleu_signature"],
        bleu_stats=None if stats[0] is None else tuple(stats),
        entropy_loss=values["entropy_loss"],
    )


def per_tag_of(per_tag_json: str | None) -> Mapping[str, tuple[int, int, int]]:
    """Counts by "<scorer>/<tag>"."""
    if per_tag_json is None:
        return {}
    return {name: (tp, fp, fn) for name, (tp, fp, fn) in orjson.loads(per_tag_json).items()}


def _counts(values: Sequence[int | None]) -> tuple[int, int, int] | None:
    tp, fp, fn = values
    return None if tp is None or fp is None or fn is None else (tp, fp, fn)
