"""`eat eacl`: the corpus that adapters are trained on, from an English data set to chats, one step per command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from eat_worker.cli.call import Call
from eat_worker.cli.call import command as eat_command
from eat_worker.cli.options import FORMATS, setting, together
from eat_worker.cli.outcome import PARTLY
from eat_worker.errors import CorpusError

eacl_command = click.Group("eacl", help="Collect and prepare the corpus that adapters are trained on.")

_FILE = click.argument("file", type=click.Path(path_type=Path))
_PAIRS = click.argument("file", type=click.Path(path_type=Path), metavar="PAIRS")
_output = click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", required=True, help="Write the pairs there."
)
_rejects = click.option(
    "--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Write refused records there, with reasons."
)
_lang = click.option(
    "--lang",
    metavar="LANG",
    help="Language of records that name none; default: from the file's name, such as ko.jsonl.",
)
_folder = click.option(
    "--output-dir", "folder", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Folder to write to."
)
_chat_settings = together(
    setting("prompts", "Prompt set of the chats; the one that the adapter will be used with."),
    setting("rounds"),
    setting("alignment"),
)


@eat_command("collect", short_help="Collect pairs from Wikipedia.")
@_FILE
@click.option("--lang", metavar="LANG", required=True, help="Language to collect, e.g. ko.")
@_output
@_rejects
@click.option("--contact", default="", metavar="ADDRESS", help="Your mail or web address, for Wikipedia's operators.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask for the first N entities only.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Format of FILE; default: by looking.")
@click.option("--tag-map", metavar="FILE|NAME", help="Gold tags: JSON {tag: PER, LOC, ORG or null}, or a data set.")
@click.option("--api", metavar="URL", help="Address of the API, with {lang} in it; default: Wikipedia's own.")
@click.option("--cache", type=click.Path(path_type=Path), metavar="DIR", help="Answers so far; default: in --state.")
def collect_command(
    call: Call,
    file: Path,
    *,
    lang: str,
    output: Path,
    rejects: Path | None,
    contact: str,
    limit: int | None,
    format_: Any,
    tag_map: str | None,
    api: str | None,
    cache: Path | None,
) -> None:
    """Collect EACL pairs for the gold entities of an English corpus FILE.

    Each entity's page is followed to LANG through interlanguage links; the pair is that page's title and its first
    sentence. Every answer is kept on disk: stopped and run again, nothing is asked twice. With --json:
    {"pairs", "pages", "rejected", "output", "asked", "refused_records"}.
    """
    from itertools import chain, islice

    from eat_worker.cli.progress import Progress
    from eat_worker.corpora.reading import read_documents
    from eat_worker.corpora.tagmaps import chosen_tag_map
    from eat_worker.training.eacl.asking import Site
    from eat_worker.training.eacl.collecting import collect, entities_of
    from eat_worker.training.eacl.page_cache import PageCache
    from eat_worker.training.eacl.steps import keep
    from eat_worker.training.eacl.wikipedia import PUBLIC_API, Wikipedia

    _check_other_language(lang)
    _check_other(file, output, rejects)
    if not contact and api is None:
        call.tell("Wikipedia asks who collects: give --contact with your mail or web address")
    tags = chosen_tag_map(tag_map) if tag_map else None
    with (
        Site(contact) as site,
        read_documents(file, lang="en", format=format_, tag_map=tags) as records,
        Progress("collecting", silent=call.quiet or call.as_json, unit="entities") as progress,
    ):
        wikipedia = Wikipedia(site, PageCache(cache or call.settings.state / "wikipedia"), api or PUBLIC_API)
        entities = islice(entities_of(records), limit)
        if (first := next(entities, None)) is None:
            raise CorpusError(f"{file} has no gold entities to ask for; --tag-map says which tags to take")
        figures = keep(collect(chain([first], entities), lang, wikipedia), output, rejects, progress.update)
        figures |= {"asked": site.asked, "refused_records": records.tally.rejected.total()}
    _tell(call, figures)
    if refused := figures["refused_records"]:
        call.tell(f"{refused} records of {file} were refused; eat submit {file} says why")


def _check_other_language(lang: str) -> None:
    _check_lang(lang)
    if lang == "en":
        raise click.UsageError("--lang en: pairs lead from English into another language")


@eat_command("import", short_help="Take pairs from the released corpus or other files.")
@_FILE
@_lang
@_output
@_rejects
def import_command(call: Call, file: Path, *, lang: str | None, output: Path, rejects: Path | None) -> None:
    """Read pairs from FILE: the released corpus_xx.json, or JSON Lines with english, title and text.

    A record that is not a pair is refused with its reason; the exit code is then 3. With --json: {"pairs", "pages",
    "rejected", "output"}.
    """
    from eat_worker.training.eacl.pairs import import_pairs
    from eat_worker.training.eacl.steps import keep

    _check_lang(lang)
    _check_other(file, output, rejects)
    figures = keep(import_pairs(file, lang), output, rejects)
    _tell(call, figures)
    if figures["rejected"]:
        click.get_current_context().exit(PARTLY)


@eat_command("filter", short_help="Keep the pairs whose title occurs in their sentence.")
@_PAIRS
@click.option(
    "--rule",
    type=click.Choice(["tolerant", "paper"]),
    default="tolerant",
    show_default=True,
    help="Ignore stress marks, case, brackets and the order 'Surname, Name'; or nothing (paper).",
)
@_lang
@_output
@_rejects
def filter_command(call: Call, file: Path, *, rule: str, lang: str | None, output: Path, rejects: Path | None) -> None:
    """Keep the pairs of PAIRS whose title occurs in their sentence, each page's sentence once.

    With --json: {"pairs", "pages", "rejected", "output"}.
    """
    from eat_worker.training.eacl.steps import filter_file

    _check_lang(lang)
    _check_other(file, output, rejects)
    _tell(call, filter_file(file, rule, output, rejects, lang))


@eat_command("split", short_help="Split pairs into training and held-out ones, by page.")
@_PAIRS
@click.option(
    "--held-out",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    default=10.0,
    show_default=True,
    metavar="PERCENT",
    help="Share of the pages that is held out.",
)
@click.option("--seed", type=int, default=13, show_default=True, metavar="N", help="Another seed gives another split.")
@_lang
@_folder
def split_command(call: Call, file: Path, *, held_out: float, seed: int, lang: str | None, folder: Path) -> None:
    """Split PAIRS by page into DIR/train.jsonl and DIR/held_out.jsonl; pairs added later move none of these.

    With --json: {"train", "held_out", "left_out", "leakage", "seed"}.
    """
    from eat_worker.training.eacl.steps import split_file

    _check_lang(lang)
    _check_other(file, folder / "train.jsonl", folder / "held_out.jsonl")
    figures = split_file(file, folder, share=held_out / 100, seed=seed, lang=lang)
    if call.as_json:
        call.emit(figures)
    elif not call.quiet:
        for side in ("train", "held_out"):
            click.echo(f"{figures[side]['output']}: {figures[side]['pairs']} pairs of {figures[side]['pages']} pages")
        leaked = figures["leakage"]
        click.echo(f"in both: {leaked['pages']} pages, {leaked['texts']} sentences; left out: {figures['left_out']}")


@eat_command("export", short_help="Write chats for LLaMA-Factory (ShareGPT).")
@_PAIRS
@click.option("--name", default="eacl", show_default=True, metavar="NAME", help="Name of the data set and its file.")
@_lang
@_folder
@_chat_settings
def export_command(call: Call, file: Path, *, name: str, lang: str | None, folder: Path) -> None:
    """Write the chats of PAIRS to DIR/NAME.jsonl in ShareGPT form, and their entry to DIR/dataset_info.json.

    These are the chats of backward alignment with these settings. With --json: {"chats", "answers",
    "spans", "prompts", "output", "index"}.
    """
    from eat_worker.training.eacl.steps import export_file

    _check_lang(lang)
    if not name.replace("-", "").replace("_", "").isalnum():
        raise click.UsageError(f"--name {name!r} is not a name: use letters, digits, dash and underscore")
    _check_other(file, folder / f"{name}.jsonl")
    figures = export_file(file, folder, name=name, config=call.settings.method_config, lang=lang)
    if call.as_json:
        call.emit(figures)
    elif not call.quiet:
        click.echo(f"{figures['output']}: {figures['chats']} chats, {figures['answers']} answers, ", nl=False)
        click.echo(f"{figures['spans']} of them words of the text")


def _check_lang(lang: str | None) -> None:
    from eat_worker.method.languages import language

    if lang is not None:
        language(lang)


def _check_other(file: Path, *outputs: Path | None) -> None:
    """Raises UsageError when a file would be written over the one that is read, or two into one."""
    named = [output.absolute() for output in outputs if output is not None]
    if len(set(named)) < len(named):
        raise click.UsageError("the pairs and the rejects need a file each")
    for output in named:
        if output.exists() and file.exists() and output.samefile(file):
            raise click.UsageError(f"{output} is the file that is read")


def _tell(call: Call, figures: dict[str, Any]) -> None:
    if call.as_json:
        call.emit(figures)
        return
    if not call.quiet:
        click.echo(f"{figures['output']}: {figures['pairs']} pairs of {figures['pages']} pages")
        for reason, count in figures["rejected"].items():
            click.echo(f"{count:>8} {reason}")


for _command in (collect_command, import_command, filter_command, split_command, export_command):
    eacl_command.add_command(_command)
