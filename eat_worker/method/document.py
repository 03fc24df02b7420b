"""The frozen values that travel through the method: documents, English entities, alignments, round outputs.

Knows no model, queue or database. Every span is [start, end) in Unicode code points of the text it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

TAGS: tuple[str, ...] = ("PER", "LOC", "ORG")
WHOLE_SENTENCE = -1  # the `entity` of a round that is not about one entity


class Stage(StrEnum):
    """A document passes the stages that its run asks for, in this order.

    The direct method has no stage between `direct` and `score`, and the prompts that show worked examples have no
    `direct` before the forward translation.
    """

    DIRECT = "direct"
    FORWARD = "forward"
    EXTRACT = "extract"
    BACKWARD = "backward"
    BACK_TRANSLATION = "back_translation"
    SCORE = "score"
    DONE = "done"


class Outcome(StrEnum):
    """How one English entity ended. Exactly one per entity: together they are the alignment ledger."""

    EXACT = "exact"  # the answer stands in the text as it is
    NORMALISED = "normalised"  # ... after folding case, width, marks and spacing
    INFLECTED = "inflected"  # ... as another form of the same word
    PARTIAL = "partial"  # ... in part: the longest common run
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"  # every place it could stand is taken by another entity
    TOO_LONG = "too_long"  # the answer covers most of a sentence: it names no entity
    REFUSED = "refused"  # the model answered that nothing corresponds
    UNSURE = "unsure"  # bound to the text, the model had to answer words that it finds improbable
    OUTVOTED = "outvoted"  # a surer name of the text has some of its words
    TRUNCATED = "truncated"  # the answer hit its token limit
    EMPTY = "empty"
    NOT_IN_TRANSLATION = "not_in_translation"  # the extractor named a mention that the translation lacks
    REPEATED = "repeated"  # the extractor named it more often than it stands in the translation
    NOT_A_NAME = "not_a_name"  # the extractor named a common noun, a pronoun or a figure
    UNKNOWN_TAG = "unknown_tag"
    PARSE_ERROR = "parse_error"


ALIGNED = frozenset({Outcome.EXACT, Outcome.NORMALISED, Outcome.INFLECTED, Outcome.PARTIAL})


@dataclass(frozen=True, slots=True)
class Span:
    """Code points [start, end) of a text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class GoldEntity:
    """One reference entity of a dataset, with its tag as it is called here; others are left out when it is read."""

    start: int
    end: int
    tag: str


@dataclass(frozen=True, slots=True)
class Document:
    """One record of a corpus, the unit of the queue.

    `gold` is None when the record carries no reference at all, and empty when it says that there are no entities.
    `meta` is kept as it came and never read by the method.
    """

    text: str
    lang: str
    ext_id: str | None = None
    dataset: str | None = None
    gold: tuple[GoldEntity, ...] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EnglishEntity:
    """A mention that the extractor found in the English translation, with its tag."""

    index: int  #: numbers the entities of a document from 0
    mention: str  #: the words that name the entity
    tag: str
    span: Span | None = None  #: where the mention is in the translation; None when nothing can be aligned
    #: Why nothing can be aligned: NOT_IN_TRANSLATION, REPEATED, NOT_A_NAME, UNKNOWN_TAG or PARSE_ERROR.
    unusable: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Alignment:
    """One line of the alignment ledger: what became of one English entity in the document's own text.

    `span` is set exactly when `outcome` is in ALIGNED. `via` names what found it: copy, list, free, constrained or
    direct. `confidence` is the geometric mean of the answer's token probabilities in [0, 1], None where there is none.
    """

    english: EnglishEntity
    outcome: Outcome
    span: Span | None = None
    via: str = ""
    answer: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class RoundOutput:
    """What the model answered in one round, as stored for audit.

    Natural key within a document: (stage, entity, round). `entity` is the index of the English entity, WHOLE_SENTENCE
    (-1) where a round is about none; `round` counts from 1. `prompt_id` is the SHA-256 of the prompt template and
    `variables` fill it, so that every prompt can be rebuilt. Tokens are counted by the engine; `seconds` is wall time
    in the engine; `logprob` is the sum of the answer's token log-probabilities (natural log) or
    None, `line_logprobs` the same for each line of the answer, empty where the engine does not say.
    """

    stage: Stage
    entity: int
    round: int
    prompt_id: str
    variables: Mapping[str, str]
    output: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0
    finish_reason: str = "stop"  # stop | length
    batch_size: int = 1
    logprob: float | None = None
    line_logprobs: tuple[float, ...] = ()
    flags: tuple[str, ...] = ()
