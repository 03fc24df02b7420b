"""The cards of an adapter for names: one for programs, and README.md for people, with sources and licences.

Knows figures and names; knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from eat_worker.method.config import TUNED_STAGES
from eat_worker.models.adapter import WEIGHTS, AdapterCard, write_card
from eat_worker.models.fingerprint import file_sha256
from eat_worker.models.manifest import read_manifest
from eat_worker.training.adapter.card import versions
from eat_worker.training.adapter.loop import History
from eat_worker.training.adapter.recipe import PROJECTIONS
from eat_worker.training.names.chats import PROMPTS
from eat_worker.training.names.lessons import Lesson, digest_of


@dataclass(frozen=True, slots=True)
class Taught:
    """A phase, how it went, and the folder of its adapter."""

    lesson: Lesson
    history: History
    folder: Path

    def figures(self) -> dict[str, Any]:
        """What the card says of it. Losses are means per answer token (nats), `seconds` those of training."""
        history = self.history
        return {
            **self.lesson.described(),
            "steps": history.step,
            "horizon": history.horizon,
            "tokens": history.tokens,
            "seconds": round(history.seconds, 1),
            "loss": {"first": history.losses[0]["loss"], "last": history.losses[-1]["loss"]},
            "held_out_loss": history.looks[-1]["loss"] if history.looks else None,
        }


def write_names_cards(
    folder: Path,
    base: Path,
    parts: Mapping[str, str],
    taught: Sequence[Taught],
    *,
    sources: Mapping[str, str],
    threads: int,
    digests: Path,
) -> None:
    """Write both cards into the adapter's folder; the one for programs last: with it the run is finished.

    `parts` are the digests of the base, `sources` those of the files that the chats were made of. The adapter is the
    mean of the last two of `taught`.
    """
    manifest, recipe = read_manifest(base), taught[0].lesson.recipe
    card = AdapterCard(
        base=manifest.repo if manifest and manifest.repo else base.resolve().name.removesuffix("-hf"),
        base_weights=parts["weights"],
        base_revision=manifest.revision if manifest else "",
        r=recipe.r,
        alpha=recipe.alpha,
        targets=tuple(sorted(PROJECTIONS)),
        weights=file_sha256(folder / WEIGHTS, digests),
        data=digest_of([one.lesson for one in taught]),
        settings={
            "task": "names",
            "stages": list(TUNED_STAGES),
            "prompts": PROMPTS,
            "base": dict(parts),
            "sources": dict(sources),
            "phases": [one.figures() for one in taught],
            "mean_of": {one.lesson.name: file_sha256(one.folder / WEIGHTS, digests) for one in taught[-2:]},
            "threads": threads,
            "versions": versions(),
        },
    )
    (folder / "README.md").write_text(_readme(card), encoding="utf-8")
    write_card(folder, card)


def _readme(card: AdapterCard) -> str:
    template = files("eat_worker.training.names").joinpath("readme.md").read_text(encoding="utf-8")
    values = {
        "base": card.base,
        "base_weights": card.base_weights,
        "weights": card.weights,
        "data": card.data,
        "r": str(card.r),
        "alpha": f"{card.alpha:g}",
        "prompts": card.settings["prompts"],
        "stages": ", ".join(card.settings["stages"]),
        "versions": ", ".join(f"{name} {number}" for name, number in card.settings["versions"].items()),
        "threads": str(card.settings["threads"]),
        "mean_of": " and ".join(f"`{weights}` ({phase})" for phase, weights in card.settings["mean_of"].items()),
        "phases": "\n".join(_phase(figures) for figures in card.settings["phases"]),
    }
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _phase(figures: Mapping[str, Any]) -> str:
    held_out = "–" if figures["held_out_loss"] is None else f"{figures['held_out_loss']:.3f}"
    loss = f"{figures['loss']['first']:.3f} → {figures['loss']['last']:.3f}"
    made = figures["chats"]["learnt_from"]
    learnt = min(made, figures["steps"] * figures["recipe"]["batch"])
    cells = (figures["phase"], f"{learnt} of {made}", figures["steps"], figures["tokens"])
    return f"| {' | '.join(map(str, cells))} | {figures['seconds']:.0f} | {loss} | {held_out} |"
