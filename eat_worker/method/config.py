"""The frozen settings of a run that decide what the method does; stored with the run, read back by every worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from eat_worker.errors import ConfigurationError
from eat_worker.method.document import TAGS, Stage

CHOICES: dict[str, tuple[Any, ...]] = {
    "method": ("eat", "direct"),
    "prompts": ("restated", "official", "tuned"),
    "rounds": (1, 3, 5),
    "forward": ("bound", "free"),
    "alignment": ("constrained", "free", "free+constrained"),
    "matcher": ("char", "official"),
    "extractor": ("chat", "crf", "flan_t5", "token_classification"),
}

CHAT_STAGES = tuple(str(stage) for stage in Stage if stage not in (Stage.SCORE, Stage.DONE))
"""Stages in which a model is asked."""

TUNED_STAGES = (str(Stage.DIRECT), str(Stage.EXTRACT))
"""Stages whose prompts in the set `tuned` are those that the adapter which comes along was trained on."""


@dataclass(frozen=True, slots=True)
class MethodConfig:
    """What a run asks of the method. Raises ConfigurationError on a value outside CHOICES."""

    method: str = "eat"
    #: With `tuned` a list of the names of the text comes first, and the English side is asked about the rest.
    prompts: str = "restated"
    rounds: int = 3
    #: Bound: the thinking round may only list words of the text (prompt sets that list names), and the translation is
    #: one line in Latin script. Free: as in the paper.
    forward: str = "bound"
    #: Whether the backward rounds may only say words of the text.
    alignment: str = "constrained"
    matcher: str = "char"
    #: What names the English entities: the same model (`chat`) or one made for it.
    extractor: str = "chat"
    back_translation: bool = True
    #: The stages in which the fine-tuned weights are on.
    adapter_stages: tuple[str, ...] = (str(Stage.BACKWARD),)
    tags: tuple[str, ...] = TAGS
    #: Limits of tokens are per round.
    think_tokens: int = 192
    translate_tokens: int = 128
    extract_tokens: int = 128
    locate_tokens: int = 128
    final_tokens: int = 48
    #: A bound alignment of less confidence is unsure and aligns nothing.
    min_confidence: float = 0.42
    #: A name that the tuned list gives with less probability is unsure.
    names_above: float = 0.05
    #: An English entity on words that the tuned list does not name needs this confidence.
    kept_above: float = 0.8
    #: A document whose listed names all have this probability is not translated, unless a back-translation is asked
    #: for. 0 translates none, because the English side of a 1.5B adds about one point at three times the cost; 1 nearly
    #: all.
    cascade: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                allowed = ", ".join(map(str, choices))
                raise ConfigurationError(f"{name} = {value!r} is not one of: {allowed}")
        unknown = [stage for stage in self.adapter_stages if stage not in CHAT_STAGES]
        if unknown:
            raise ConfigurationError(f"adapter_stages: {unknown[0]!r} is not one of: {', '.join(CHAT_STAGES)}")
        if not self.tags or not all(self.tags):
            raise ConfigurationError("tags: name at least one tag, such as PER,LOC,ORG")
        for name in ("think_tokens", "translate_tokens", "extract_tokens", "locate_tokens", "final_tokens"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} = {getattr(self, name)} must be at least 1")
        for name in ("min_confidence", "names_above", "kept_above", "cascade"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} = {getattr(self, name)} must lie between 0 and 1")

    @property
    def constrained(self) -> bool:
        """Whether some round's answer is bound: an engine that cannot do that must refuse the run."""
        if self.prompts == "tuned":
            return True
        return self.method == "eat" and (self.forward == "bound" or self.alignment != "free")

    def stages(self) -> tuple[Stage, ...]:
        """The stages a document of this run passes, in order, `done` last."""
        if self.method == "direct":
            return (Stage.DIRECT, Stage.SCORE, Stage.DONE)
        first = (Stage.DIRECT,) if self.prompts == "tuned" else ()
        back = (Stage.BACK_TRANSLATION,) if self.back_translation else ()
        return (*first, Stage.FORWARD, Stage.EXTRACT, Stage.BACKWARD, *back, Stage.SCORE, Stage.DONE)

    def stage_after(self, stage: Stage, *, sure: bool = False) -> Stage:
        """The stage that follows; `done` follows itself. A document whose names are `sure` is only scored."""
        stages = self.stages()
        if sure:
            return Stage.SCORE
        return stages[min(stages.index(stage) + 1, len(stages) - 1)]

    def to_json(self) -> dict[str, Any]:
        """Plain values for storage."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MethodConfig:
        """The settings a run was stored with. Raises ConfigurationError on a name this version does not know."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigurationError(f"the run uses settings this version does not know: {', '.join(unknown)}")
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**plain)
