"""What a training run tells of itself: the adapter's card, from which it can be made again, and README.md for people.

Knows figures and names; knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eat_worker import __version__
from eat_worker.errors import ConfigurationError
from eat_worker.method.config import MethodConfig
from eat_worker.method.prompts import prompt_set
from eat_worker.models.adapter import CARD, WEIGHTS, AdapterCard, read_card, write_card
from eat_worker.models.fingerprint import file_sha256
from eat_worker.models.manifest import read_manifest
from eat_worker.training.adapter.loop import History
from eat_worker.training.adapter.recipe import PROJECTIONS, Limits, Recipe

_LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes")


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run."""

    base: Path
    #: Digests of the base.
    parts: Mapping[str, str]
    data: Mapping[str, Any]
    recipe: Recipe
    method: MethodConfig
    history: History
    left_out: int
    #: What `accuracy` gave before training,
    before: Mapping[str, Any] | None
    #: ... and after.
    after: Mapping[str, Any] | None

    def figures(self) -> dict[str, Any]:
        """What the command tells of the run."""
        history = self.history
        return {
            "steps": history.step,
            "horizon": history.horizon,
            "stopped": history.stopped,
            "seconds": round(history.seconds, 1),
            "tokens": history.tokens,
            "left_out": self.left_out,
            "loss": {"first": history.losses[0]["loss"], "last": history.losses[-1]["loss"]},
            "held_out_loss": {"first": history.looks[0]["loss"], "last": history.looks[-1]["loss"]}
            if history.looks
            else None,
            "before": self.before,
            "after": self.after,
        }


def write_cards(folder: Path, trained: Trained, *, threads: int, digests: Path) -> None:
    """Write both cards into the adapter's folder; the one for programs last: with it the run is finished."""
    card = _card(folder, trained, threads, digests)
    (folder / "README.md").write_text(_readme(trained, card), encoding="utf-8")
    write_card(folder, card)


def versions() -> dict[str, str]:
    """The version of this program and of each library that training computes with."""
    return {"eat_worker": __version__} | {name: version(name) for name in _LIBRARIES}


def is_finished(folder: Path) -> bool:
    """Whether the run that this folder is for has ended."""
    return (folder / CARD).exists()


def _card(folder: Path, trained: Trained, threads: int, digests: Path) -> AdapterCard:
    manifest, recipe = read_manifest(trained.base), trained.recipe
    return AdapterCard(
        base=manifest.repo if manifest and manifest.repo else trained.base.name,
        base_weights=trained.parts["weights"],
        base_revision=manifest.revision if manifest else "",
        r=recipe.r,
        alpha=recipe.alpha,
        targets=tuple(sorted(PROJECTIONS)),
        weights=file_sha256(folder / WEIGHTS, digests),
        data=trained.data["sha256"],
        settings={
            "recipe": recipe.to_json(),
            "method": trained.method.to_json(),
            "prompt_set": prompt_set(trained.method.prompts).id,
            "base": dict(trained.parts),
            "data": dict(trained.data),
            "run": trained.figures(),
            "threads": threads,
            "versions": versions(),
        },
    )


@dataclass(frozen=True, slots=True)
class Repeat:
    """What a card says is needed to make its run again: settings, and the digests that base and data must have."""

    recipe: Recipe
    limits: Limits
    method: MethodConfig
    base: Mapping[str, str]
    data: str


def read_repeat(folder: Path) -> Repeat:
    """What the card in an adapter's folder says. Raises ConfigurationError when no run wrote it."""
    card = read_card(folder)
    if card is None:
        raise ConfigurationError(f"{folder}: has no {CARD}")
    try:
        settings, run = card.settings, card.settings["run"]
        repeat = Repeat(
            Recipe.from_json(settings["recipe"]),
            Limits(max_steps=run["steps"], horizon=run["horizon"]),
            MethodConfig.from_json(settings["method"]),
            settings["base"],
            card.data,
        )
        prompts = settings["prompt_set"]
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder}: its {CARD} describes no training run ({error!r})") from error
    if prompts != prompt_set(repeat.method.prompts).id:
        raise ConfigurationError(f"{folder}: this version has other prompts; make the run again with its own version")
    return repeat


def _readme(trained: Trained, card: AdapterCard) -> str:
    """The card for people, in Markdown."""
    data, run, recipe = trained.data, card.settings["run"], trained.recipe
    held_out = run["held_out_loss"]
    versions = ", ".join(f"{name} {number}" for name, number in card.settings["versions"].items())
    languages = ", ".join(f"{lang} {count}" for lang, count in data["languages"].items())
    revision = f" at revision {card.base_revision}" if card.base_revision else ""
    settings = "\n".join(f"| {name} | {value} |" for name, value in recipe.to_json().items())
    return f"""# Adapter for backward alignment

LoRA for `{card.base}`{revision}, trained by `eat train adapter` on EACL pairs to answer which words of a sentence an
English name was translated from. It is meant for the stage `backward` of `eat_worker` with the prompts it was trained
with (`{trained.method.prompts}`, alignment `{trained.method.alignment}`), and for nothing else.

| | |
|---|---|
| base weights, SHA-256 | `{card.base_weights}` |
| adapter weights, SHA-256 | `{card.weights}` |
| pairs, SHA-256 | `{card.data}` |
| pairs trained on | {data["train"]} ({languages}); {run["left_out"]} chats were too long |
| pairs held out, by page | {data["held_out"]} |
| steps | {run["steps"]}, {run["tokens"]} tokens in {run["seconds"]:.0f} s; ended by {run["stopped"]} |
| loss per answer token | {run["loss"]["first"]:.3f} at first, {run["loss"]["last"]:.3f} at last |
| ... of held-out pages | {_both(held_out)} |
| versions | {versions} |

{_accuracy_table(trained)}
![loss curve](losses.png)

## Settings

| setting | value |
|---|---|
{settings}

To repeat it: `eat train adapter PAIRS... --base DIR --from-card DIR --out DIR`. On the same kind of CPU with
{card.settings["threads"]} threads every loss is the same; elsewhere they differ by rounding.
"""


def _both(looks: Mapping[str, float] | None) -> str:
    return "none were held out" if looks is None else f"{looks['first']:.3f} at first, {looks['last']:.3f} at last"


def _accuracy_table(trained: Trained) -> str:
    if trained.before is None or trained.after is None:
        return "Accuracy was not measured.\n"
    lines = [
        "## Exact spans on held-out pages",
        "",
        "Share of names whose words were found exactly; `bound`: the answer can only be words of the sentence, `free`:",
        "one free answer, looked up. Names that occur in the sentence in English are asked as well.",
        "",
        "| language | pairs | bound, base | bound, adapter | free, base | free, adapter |",
        "|---|---|---|---|---|---|",
    ]
    for lang in [*trained.after["bound"]["languages"], "within", "all"]:
        cells = [_share(found[way], lang) for way in ("bound", "free") for found in (trained.before, trained.after)]
        pairs = _counts(trained.after["bound"], lang)["pairs"]
        name = "not at the beginning" if lang == "within" else lang
        lines.append(f"| {name} | {pairs} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _counts(found: Mapping[str, Any], lang: str) -> Mapping[str, int]:
    counts: Mapping[str, int] = found[lang] if lang in ("all", "within") else found["languages"][lang]
    return counts


def _share(found: Mapping[str, Any], lang: str) -> str:
    counts = _counts(found, lang)
    return f"{counts['exact'] / counts['pairs']:.1%}" if counts["pairs"] else "–"
