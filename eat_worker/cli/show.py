"""`eat show`: the whole dossier of one document, readable from top to bottom."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import variable

if TYPE_CHECKING:
    from eat_worker.method.document import EnglishEntity
    from eat_worker.storage.values import Dossier


@eat_command("show", short_help="Show everything stored about one document.")
@click.argument("document")
@variable("--run", metavar="NAME", help="The run to look in, if several runs have this id.")
def show_command(call: Call, document: str, run: str | None) -> None:
    """Show text, rounds, English entities, alignment ledger, scores, model and attempts of DOCUMENT.

    DOCUMENT is the id of the database, or the id the record had in its file. With --json the same as one object:
    {"document", "run", "text", "lang", "stage", "status", "english", "rounds", "entities", "ledger", "scores", ...}.
    """
    from eat_worker.runs.dossiers import ambiguity, show

    dossier = show(call.settings, document, run=run)
    if several := ambiguity(call.settings, document, run=run):
        call.tell(f"{several}; the newest is shown, --run NAME or a number chooses")
    if call.as_json:
        call.emit(dossier_json(dossier))
    elif call.quiet:
        click.echo(str(dossier.document_id))
    else:
        from eat_worker.cli.dossier import print_dossier

        print_dossier(dossier, call.console())


def dossier_json(dossier: Dossier) -> dict[str, Any]:
    """The dossier as documented for `eat show --json`; spans are [start, end) in code points."""
    document, spec = dossier.document, dossier.run.spec
    return {
        "document": dossier.document_id,
        "run": spec.name,
        "id": document.ext_id,
        "dataset": document.dataset,
        "lang": document.lang,
        "text": document.text,
        "gold": None if document.gold is None else [asdict(entity) for entity in document.gold],
        "meta": dict(document.meta),
        "stage": str(dossier.stage),
        "status": dossier.status,
        "error": {"code": dossier.error_code, "message": dossier.error} if dossier.error_code else None,
        "english": dossier.english,
        "back_translation": dossier.back_translation,
        "rounds": [asdict(output) for output in dossier.rounds],
        "entities": [_english_entity(entity) for entity in dossier.english_entities],
        "ledger": [_ledger_line(dossier, number) for number in range(len(dossier.alignments))],
        "scores": asdict(dossier.scores) if dossier.scores else None,
        "reviews": [asdict(review) for review in dossier.reviews],
        "attempts": [asdict(attempt) for attempt in dossier.attempts],
        "fingerprint": spec.fingerprint,
        "model": dict(spec.model),
        "settings": spec.config.to_json(),
        "seconds": sum(output.seconds for output in dossier.rounds),
    }


def _english_entity(entity: EnglishEntity) -> dict[str, Any]:
    return {
        "index": entity.index,
        "words": entity.mention,
        "tag": entity.tag,
        "span": asdict(entity.span) if entity.span else None,
        "fault": entity.unusable and str(entity.unusable),
    }


def _ledger_line(dossier: Dossier, number: int) -> dict[str, Any]:
    alignment = dossier.alignments[number]
    span = alignment.span
    return {
        "entity": alignment.english.index,
        "english": alignment.english.mention,
        "tag": alignment.english.tag,
        "outcome": str(alignment.outcome),
        "start": span.start if span else None,
        "end": span.end if span else None,
        "words": dossier.document.text[span.start : span.end] if span else None,
        "via": alignment.via,
        "answer": alignment.answer,
        "confidence": alignment.confidence,
    }
