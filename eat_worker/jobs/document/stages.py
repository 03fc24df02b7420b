"""What each stage of a document does, between its claim and its commit. The same with and without Celery.

Knows the method, the engine and the scorers. Knows no message, no lease and no SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from eat_worker.engines.engine import ChatEngine
from eat_worker.engines.extractors.asking import ExtractorRounds
from eat_worker.engines.identity import CANNOT_BIND
from eat_worker.engines.loading import open_engine, open_extractor
from eat_worker.errors import ConfigurationError
from eat_worker.jobs.document.scoring import score
from eat_worker.method.annotate import thought_of
from eat_worker.method.backward import align
from eat_worker.method.config import MethodConfig
from eat_worker.method.direct import ask_directly, placed_entities
from eat_worker.method.document import RoundOutput, Stage
from eat_worker.method.extract import ask_extractor, parse_entities
from eat_worker.method.forward import SHORTEST, back_translate, translate, translation_of
from eat_worker.method.prompts import PromptSet, prompt_set
from eat_worker.method.rounds import Ask, Request, RoundResult, Said, said_by_key
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


@dataclass(frozen=True, slots=True)
class _Work:
    """One claimed stage with the means to do it."""

    claim: Claim
    prompts: PromptSet
    session: str
    ask: Ask
    said: Said
    record: Callable[[RoundOutput], None]

    def last_of(self, outputs: Iterable[RoundOutput]) -> str:
        """Record every round as it arrives; the final round's answer."""
        final = ""
        for output in outputs:
            if (str(output.stage), output.entity, output.round) not in self.said:
                self.record(output)
            final = output.output
        return final


def run_stage(
    claim: Claim, tools: Tools, record: Callable[[RoundOutput], None], may_continue: Callable[[], None]
) -> StageResult:
    """Do the claimed stage, asking only rounds that are not recorded yet.

    `may_continue` is called before every round and raises when this worker must stop or has lost the document. Raises
    ConfigurationError when this process cannot do what the run asks.
    """

    answer = tools.ask_for(claim.config)

    def ask(request: Request) -> RoundResult:
        may_continue()
        return answer(request)

    said = said_by_key(claim.rounds)
    work = _Work(claim, prompt_set(claim.config.prompts), str(claim.document_id), ask, said, record)
    return _STAGES[claim.stage](work)


def _forward(work: _Work) -> StageResult:
    document, config = work.claim.document, work.claim.config
    if len(document.text.strip()) < SHORTEST:
        return StageResult(skipped="skipped_short")
    rounds = translate(
        document.text,
        document.lang,
        config=config,
        prompts=work.prompts,
        session=work.session,
        ask=work.ask,
        said=work.said,
    )
    return StageResult(english=translation_of(work.last_of(rounds)))


def _extract(work: _Work) -> StageResult:
    english, config = work.claim.english or "", work.claim.config
    rounds = ask_extractor(
        english, config=config, prompts=work.prompts, session=work.session, ask=work.ask, said=work.said
    )
    return StageResult(english_entities=parse_entities(work.last_of(rounds), english, config.tags))


def _backward(work: _Work) -> StageResult:
    config = work.claim.config

    def record(output: RoundOutput) -> None:
        work.last_of([output])

    ledger = align(
        work.claim.document,
        work.claim.english_entities,
        thought_of(work.claim.rounds, config),
        config=config,
        prompts=work.prompts,
        session=work.session,
        ask=work.ask,
        said=work.said,
        record=record,
    )
    return StageResult(alignments=ledger)


def _back_translation(work: _Work) -> StageResult:
    rounds = back_translate(
        work.claim.english or "",
        work.claim.document.lang,
        config=work.claim.config,
        prompts=work.prompts,
        session=work.session,
        ask=work.ask,
        said=work.said,
    )
    return StageResult(back_translation=translation_of(work.last_of(rounds)))


def _direct(work: _Work) -> StageResult:
    document, config = work.claim.document, work.claim.config
    if len(document.text.strip()) < SHORTEST:
        return StageResult(skipped="skipped_short")
    rounds = ask_directly(
        document.text, config=config, prompts=work.prompts, session=work.session, ask=work.ask, said=work.said
    )
    return StageResult(alignments=placed_entities(work.last_of(rounds), document, config))


def _score(work: _Work) -> StageResult:
    return StageResult(scores=score(work.claim.document, work.claim.alignments, work.claim.back_translation))


_STAGES: dict[Stage, Callable[[_Work], StageResult]] = {
    Stage.FORWARD: _forward,
    Stage.EXTRACT: _extract,
    Stage.BACKWARD: _backward,
    Stage.BACK_TRANSLATION: _back_translation,
    Stage.DIRECT: _direct,
    Stage.SCORE: _score,
}
