"""One stage of a document between its claim and its commit. The same with and without Celery.

Knows the steps of the method, the engine and the scorers. Knows no message, no lease and no SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from eat_worker.engines.engine import ChatEngine
from eat_worker.engines.extractors.asking import ExtractorRounds
from eat_worker.engines.identity import CANNOT_BIND
from eat_worker.engines.loading import open_engine, open_extractor
from eat_worker.errors import ConfigurationError
from eat_worker.jobs.document.scoring import score
from eat_worker.method.chat import Chat, by_key
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.method.rounds import Ask, Request, RoundResult
from eat_worker.method.steps import STEPS, Findings
from eat_worker.settings import Settings
from eat_worker.storage.values import Claim, StageResult


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker answers with: one loaded engine and, for runs whose extractor is no chat, one extractor."""

    engine: ChatEngine
    extractor: ExtractorRounds | None = None

    def ask_for(self, config: MethodConfig) -> Ask:
        """What answers the rounds of a run. Raises ConfigurationError where this process cannot answer them."""
        if config.constrained and not self.engine.info.constrained:
            raise ConfigurationError(CANNOT_BIND)
        if config.method == "direct" or config.extractor == "chat":
            return self.engine.ask
        extractor = self.extractor
        if extractor is None or extractor.info.kind != config.extractor:
            here = extractor.info.kind if extractor else "chat"
            raise ConfigurationError(f"the run's extractor is {config.extractor}, this worker has {here}")
        return lambda request: (extractor if request.stage == Stage.EXTRACT else self.engine).ask(request)

    def close(self) -> None:
        """Give the memory back."""
        self.engine.close()
        if self.extractor:
            self.extractor.close()


def open_tools(settings: Settings) -> Tools:
    """Load what the settings name. Raises ConfigurationError, ModelMissing or EngineUnavailable."""
    extractor = open_extractor(settings)  # first: it is small, and what is wrong with it is said at once
    return Tools(open_engine(settings), ExtractorRounds(extractor) if extractor else None)


def run_stage(
    claim: Claim, tools: Tools, record: Callable[[RoundOutput], None], may_continue: Callable[[], None]
) -> StageResult:
    """Do the claimed stage, asking only rounds that are not recorded yet; `record` takes each new one as it arrives.

    `may_continue` is called before every round and raises when this worker must stop or has lost the document. Raises
    ConfigurationError when this process cannot do what the run asks.
    """
    answer = tools.ask_for(claim.config)
    if claim.stage == Stage.SCORE:
        return StageResult(scores=score(claim.document, claim.alignments, claim.back_translation))

    def ask(request: Request) -> RoundResult:
        may_continue()
        return answer(request)

    chat = Chat(claim.stage, claim.config, ask, str(claim.document_id), by_key(claim.rounds), record)
    known = Findings(english=claim.english, english_entities=claim.english_entities)
    found = STEPS[claim.stage](claim.document, known, chat)
    return StageResult(**{field.name: getattr(found, field.name) for field in fields(found)})
