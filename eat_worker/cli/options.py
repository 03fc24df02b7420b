"""Every option of the command line, once: its names, its help, and the setting it overrides.

An option named like a setting overrides that setting; its default and its variable are written into the help.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal, TypedDict

import click

from eat_worker.method.config import CHOICES as METHOD_CHOICES
from eat_worker.settings import CHOICES, NAMES, Settings

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_DEFAULTS = {item.name: item.default for item in fields(Settings)}


def setting(name: str, help_: str, *names: str, metavar: str | None = None) -> Decorator:
    """An option that overrides the setting `name`; absent, the setting comes from variable, eat.toml or default."""
    default = _DEFAULTS[name]
    about = [f"env: EAT_{name.upper()}"]
    if default not in ("", (), 0, False) and name != "state":
        about.append(f"default: {','.join(default) if isinstance(default, tuple) else default}")
    text = f"{help_}  [{'; '.join(about)}]"
    option = f"--{name.replace('_', '-')}"
    if isinstance(default, bool):
        return click.option(f"{option}/--no-{option[2:]}", name, default=None, help=text)
    return click.option(*names, option, name, type=_type(name), default=None, help=text, metavar=metavar)


def _type(name: str) -> click.ParamType[Any, Any]:
    if name in METHOD_CHOICES and name != "rounds":
        return click.Choice([str(choice) for choice in METHOD_CHOICES[name]])
    if name in CHOICES:
        return click.Choice(CHOICES[name])
    kinds: dict[type, click.ParamType[Any, Any]] = {int: click.INT, float: click.FLOAT}
    return kinds.get(type(_DEFAULTS[name]), click.STRING)


def variable(*names: str, **keywords: Any) -> Decorator:
    """An option of a command that is no setting; its variable is EAT_ and its long name."""
    long = next(name for name in names if name.startswith("--")).partition("/")[0]
    return click.option(
        *names, envvar=f"EAT_{long[2:].replace('-', '_').upper()}", show_envvar=True, show_default=True, **keywords
    )


def together(*decorators: Decorator) -> Decorator:
    """Several options as one decorator, listed in --help in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return functools.reduce(lambda decorated, decorator: decorator(decorated), reversed(decorators), function)

    return decorate


common_options = together(
    setting("state", "Folder of the embedded database, broker, logs and quarantine.  [default: .eat]", metavar="DIR"),
    setting("database_url", "Database; empty is SQLite in the state folder.", metavar="URL"),
    setting("broker_url", "Broker; empty: an embedded server, none: no broker.", "--broker", metavar="URL|none"),
    setting("insecure", "Accept servers on other machines without TLS and password or key."),
    setting("log_level", "Least severe log line shown."),
    setting("log_format", "Log lines as text or JSON."),
    variable("--json", "as_json", is_flag=True, help="One JSON document on stdout, errors too."),
    variable("-q", "--quiet", is_flag=True, help="Print ids only."),
    variable("--debug", is_flag=True, help="Show the traceback of an error."),
)

engine_options = together(
    setting("engine", "What answers: llama.cpp, Qwen by transformers, a chat server, or a script."),
    setting("model", "Catalog name, GGUF file or folder of weights; `eat model list`.", metavar="NAME"),
    setting("adapter", "LoRA adapter (GGUF or folder), or its name on the endpoint.", metavar="PATH"),
    setting("allow_mixed", "Use an adapter whose card does not match the model, and record that."),
    setting("device", "Where the qwen engine computes: auto, cpu, cuda, cuda:1.", metavar="DEVICE"),
    setting("quantisation", "Weights of the qwen engine: 4-bit (nf4) or as they are."),
    setting("deterministic", "Let the qwen engine answer one chat at a time: slow, always the same words."),
    setting("extractor", "What finds the entities of the English translation."),
    setting("extractor_model", "File or folder of the extractor; empty is the CRF shipped with eat.", metavar="PATH"),
    setting("script", "Answers of the scripted engine.", metavar="FILE"),
    setting("endpoint_url", "Base URL of an OpenAI-style chat server.", metavar="URL"),
    setting("endpoint_model", "The model's name on that server.", metavar="NAME"),
    setting("endpoint_key_file", "File with that server's API key.", metavar="FILE"),
    setting("endpoint_grammar", "How that server takes a grammar that binds answers to the text."),
    setting("endpoint_timeout", "Seconds that server may take for one answer.", metavar="S"),
    setting("models_dir", "Where weights are kept.", metavar="DIR"),
    setting("threads", "Threads of the engine; 0 is the CPUs given to this process.", metavar="N"),
    setting("slots", "Chats the engine runs at once; 0 is what suits the engine.", metavar="N"),
    setting("context", "Tokens per slot.", metavar="N"),
)

method_options = together(
    setting("method", "Translate and align (eat), or ask once for the entities (direct)."),
    setting("prompts", "Prompt set."),
    setting("rounds", "Rounds per chat: 1, 3 or 5.", metavar="N"),
    setting("forward", "Whether forward rounds are bound: names from the text, English in Latin script."),
    setting("alignment", "How an English entity finds its words in the text."),
    setting("matcher", "How an answer becomes a span of the text."),
    setting("back_translation", "Translate back the whole sentence, for BLEU and the entropy loss."),
    setting("adapter_stages", "Stages with the adapter on.", metavar="STAGES"),
    setting("tags", "Tags to annotate.", metavar="TAGS"),
)

worker_options = together(
    setting("lease_seconds", "Seconds without a heartbeat after which a worker loses its documents.", metavar="S"),
    setting("drain_seconds", "Seconds that a stopping worker may take to finish its current rounds.", metavar="S"),
    setting("stuck_seconds", "Seconds without an answer of its engine after which a worker ends with 70.", metavar="S"),
    setting("window", "Documents announced to the broker ahead, per queue.", metavar="N"),
    setting("max_faults", "Errors a document may cause before it counts as failed.", metavar="N"),
    setting("concurrency", "Documents a worker works on at once; 0 is twice the slots.", metavar="N"),
    setting("health_address", "Address of a worker's health and metrics, or none; port 0 is any.", metavar="HOST:PORT"),
    setting("message_key_file", "File with the key that signs messages; the same for all workers.", metavar="FILE"),
)

corpus_options = together(
    variable("--lang", metavar="LANG", help="Language of records without one, e.g. ko."),
    variable("--dataset", metavar="NAME", help="Data set of records without one; the report groups by it."),
    variable(
        *("--format", "format"),
        type=click.Choice(["auto", "jsonl", "bio"]),
        default="auto",
        callback=lambda _context, _option, value: None if value == "auto" else value,
        help="File format.",
    ),
    variable("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N records only."),
    variable(
        "--tag-map", metavar="FILE|NAME", help="Gold tags: JSON {tag: PER, LOC, ORG or null}, or a known data set."
    ),
    variable("--strict-bio", is_flag=True, help="Refuse BIO sentences with an entity that begins with I-."),
)


class CorpusOptions(TypedDict):
    """What `corpus_options` give a command: how its file is read."""

    lang: str | None
    dataset: str | None
    format: Literal["jsonl", "bio"] | None
    limit: int | None
    tag_map: str | None
    strict_bio: bool


PRIORITIES = click.IntRange(-1000, 1000)
priority = variable(
    "--priority", type=PRIORITIES, metavar="N", help="Runs of higher priority come first; new ones have 0."
)
run_name = variable("--run", "run", metavar="NAME", help="Name of the run; default: file, language, settings hash.")


def settings_among(options: dict[str, Any]) -> dict[str, Any]:
    """The options that override a setting."""
    return {name: value for name, value in options.items() if name in NAMES and value is not None}
