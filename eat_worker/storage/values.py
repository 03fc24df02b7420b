"""The frozen values that cross the wall of storage. Rows, sessions and SQL stay behind it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Alignment, Document, EnglishEntity, RoundOutput, Stage

# Where a document stands. `queued` waits for a worker, `running` is leased by one; the others are ends.
STATUSES = ("queued", "running", "done", "skipped", "failed", "cancelled")
ENDED = ("done", "skipped", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What `eat submit` freezes. `queues` maps each stage that needs a resource to the queue that has it.

    `fingerprint` identifies model, quantisation, decoding and prompt set; `model` describes it in full.
    """

    name: str
    lang: str
    dataset: str
    config: MethodConfig
    fingerprint: str
    model: Mapping[str, Any]
    queues: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """A stored run. `state` is open, paused, cancelled or complete; instants are seconds since the epoch, UTC.

    Documents of a run of higher `priority` are taken first.
    """

    id: int
    spec: RunSpec
    state: str
    created_at: float
    finished_at: float | None = None
    priority: int = 0


def queue_of(queues: Mapping[str, str], stage: Stage) -> str:
    """The queue that serves a stage. A stage that needs no resource goes where the run's first stage goes."""
    return queues.get(stage) or next(iter(queues.values()), "default")


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a machine, so that another one of the same number is not taken for it.

    `started` counts clock ticks from boot to the start of the process, and `boot` names that boot and the namespace
    that the number belongs to; both are None where the machine does not say.
    """

    host: str
    number: int
    started: int | None
    boot: str | None


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker says of itself when it starts. `name` is what its leases carry; it need not be unique."""

    name: str
    process: Process
    queues: Collection[str]
    fingerprints: Collection[str]
    version: str


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker's row. Instants are seconds since the epoch, UTC; `ended_at` is None unless it ended by itself.

    `silent_seconds` is how long ago its last heartbeat was, by the clock of the database.
    """

    id: int
    spec: WorkerSpec
    started_at: float
    last_heartbeat: float
    ended_at: float | None
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class Added:
    """What add_documents did: rows written, and rows that were there already."""

    new: int
    already: int


@dataclass(frozen=True, slots=True)
class Hint:
    """A document ready for a worker: everything a broker message carries."""

    document_id: int
    stage: Stage
    attempt: int
    queue: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may write to a document: the fence of every write. A claim is one with all that its stage needs."""

    document_id: int
    stage: Stage
    attempt: int
    worker: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased document with all that its stage needs. `attempt` is the fencing token of every write under it.

    `faults` counts errors of its own, `retries` those of its surroundings since its last commit.
    """

    document_id: int
    run_id: int
    stage: Stage
    attempt: int
    worker: str
    document: Document
    config: MethodConfig
    queues: Mapping[str, str]
    english: str | None = None
    english_entities: tuple[EnglishEntity, ...] = ()
    alignments: tuple[Alignment, ...] = ()
    back_translation: str | None = None
    rounds: tuple[RoundOutput, ...] = ()
    faults: int = 0
    retries: int = 0

    @property
    def lease(self) -> Lease:
        """What the database is shown with every write."""
        return Lease(self.document_id, self.stage, self.attempt, self.worker)


@dataclass(frozen=True, slots=True)
class Scores:
    """Per-document numbers whose sums make the corpus figures. Counts are of tokens (strict, official) or spans.

    `per_tag` maps "<scorer>/<tag>" to (tp, fp, fn). `bleu_stats` holds the ten sums sacrebleu needs: 4 correct and
    4 total n-gram counts, candidate length, reference length. None: undefined (no gold, no back-translation, H = 0).
    """

    strict: tuple[int, int, int] | None = None
    official: tuple[int, int, int] | None = None
    span: tuple[int, int, int] | None = None
    per_tag: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    bleu: float | None = None
    bleu_signature: str | None = None
    bleu_stats: tuple[int, ...] | None = None
    entropy_loss: float | None = None


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage produced; a field left None stays as it is in the database."""

    english: str | None = None
    english_entities: Sequence[EnglishEntity] | None = None
    alignments: Sequence[Alignment] | None = None
    back_translation: str | None = None
    scores: Scores | None = None
    skipped: str | None = None  # a reason, e.g. skipped_short: the document ends here without a model call


@dataclass(frozen=True, slots=True)
class RunStatus:
    """One run in `eat status`: documents by status, and failures by code."""

    run: Run
    documents: Mapping[str, int]
    failures: Mapping[str, int]
    seconds_generating: float
    rounds: int
    generated_tokens: int
    first_started_at: float | None
    last_finished_at: float | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What open runs still have to do: documents that wait and that are worked on, and `seconds` of engine time.

    `oldest_age_seconds` is how long the oldest document has waited, 0.0 when none does. `dead_letters` are the
    documents of all runs that failed for good.
    """

    queued: int
    running: int
    dead_letters: int
    oldest_age_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ScoreSums:
    """All scored documents of one (run, dataset, lang), grouped by equal counts: the exact input of a bootstrap.

    `strict_rows` etc. list (documents, tp, fp, fn). `tag_sums` sums `Scores.per_tag`. `bleu_stats` is summed.
    """

    run: Run
    dataset: str
    lang: str
    documents: int
    strict_rows: tuple[tuple[int, int, int, int], ...]
    official_rows: tuple[tuple[int, int, int, int], ...]
    span_rows: tuple[tuple[int, int, int, int], ...]
    tag_sums: Mapping[str, tuple[int, int, int]]
    bleu_mean: float | None
    bleu_documents: int
    bleu_stats: tuple[int, ...] | None
    bleu_signature: str | None
    entropy_loss_mean: float | None
    entropy_loss_documents: int
    outcomes: Mapping[str, int]
    statuses: Mapping[str, int]
    seconds: float
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One lease of one stage, for the audit trail."""

    stage: str
    attempt: int
    worker: str
    started_at: float
    ended_at: float | None
    outcome: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything stored about one document."""

    document_id: int
    run: Run
    document: Document
    stage: Stage
    status: str
    error_code: str | None
    error: str | None
    english: str | None
    back_translation: str | None
    rounds: tuple[RoundOutput, ...]
    english_entities: tuple[EnglishEntity, ...]
    alignments: tuple[Alignment, ...]
    scores: Scores | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Annotated:
    """A document that ended well, as an export needs it; the alignments hold its English entities.

    `skipped` is why it never came to the model, or None.
    """

    document_id: int
    document: Document
    skipped: str | None
    english: str | None
    back_translation: str | None
    alignments: tuple[Alignment, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A document that failed for good, and why. `attempts` counts its leases, `finished_at` is when it failed."""

    document_id: int
    run: str
    document: Document
    stage: Stage
    attempts: int
    code: str
    error: str
    finished_at: float
