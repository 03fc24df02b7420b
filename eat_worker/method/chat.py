"""How one stage asks the model about one document: rounds put to `ask`, each recorded as it arrives (eqs. 1-3, 5-7).

Knows prompts and rounds; knows no model, queue or database: `ask` may be anything that answers a Request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from eat_worker.method.config import MethodConfig
from eat_worker.method.document import WHOLE_SENTENCE, RoundOutput, Stage
from eat_worker.method.flags import alignment_flags, flags_of, translation_flags
from eat_worker.method.prompts import PromptSet, prompt_set
from eat_worker.method.rounds import REFUSAL, Ask, Constraint, Limits, Message, Request, Round, RoundResult

Recorded = Mapping[tuple[str, int, int], RoundOutput]
"""The rounds answered before, by (stage, entity, round)."""


def by_key(outputs: Iterable[RoundOutput]) -> dict[tuple[str, int, int], RoundOutput]:
    """The recorded rounds under their natural key."""
    return {(str(output.stage), output.entity, output.round): output for output in outputs}


@dataclass(frozen=True, slots=True)
class Chat:
    """What every round of a stage needs, whatever it asks."""

    stage: Stage
    config: MethodConfig
    ask: Ask
    #: Names the document towards the engine, so that it can keep its prompt cache.
    session: str
    #: Rounds that were answered before, of any stage: they are not asked again.
    recorded: Recorded = field(default_factory=dict)
    #: Called with each new round as it arrives, before the next one is asked.
    record: Callable[[RoundOutput], None] = lambda _: None

    @property
    def prompts(self) -> PromptSet:
        """The prompt set of the run."""
        return prompt_set(self.config.prompts)

    def opening(self, **variables: str) -> tuple[Message, ...]:
        """The messages that every chat of this stage begins with."""
        return self.prompts.opening(self.stage, **variables)

    def round(
        self, number: int, name: str, tokens: int, constraint: Constraint | None = None, **variables: str
    ) -> Round:
        """The round of that name, its prompt filled with `variables`, its answer at most `tokens` long."""
        return Round(number, self.prompts.prompt(self.stage, name, **variables), Limits(tokens), constraint)

    def final_answer(
        self,
        opening: Sequence[Message],
        rounds: Sequence[Round],
        *,
        entity: int = WHOLE_SENTENCE,
        history: Sequence[Message] = (),
        last: bool = True,
    ) -> RoundOutput:
        """The output of the last of `rounds`, after those before it; what is recorded is not asked again.

        `opening` is the same in every chat of its kind, `history` follows it. The chat grows by the prompt and the
        answer of every round. `last` says that the session asks nothing more. Raises what `ask` raises.
        """
        messages = [*opening, *history]
        for round_ in rounds[:-1]:
            messages.append(Message("user", round_.prompt.text()))
            output = self._output(round_, entity, messages, shared=len(opening), final=False, last=False)
            messages.append(Message("assistant", output.output))
        messages.append(Message("user", rounds[-1].prompt.text()))
        return self._output(rounds[-1], entity, messages, shared=len(opening), final=True, last=last)

    def _output(
        self, round_: Round, entity: int, messages: Sequence[Message], *, shared: int, final: bool, last: bool
    ) -> RoundOutput:
        recorded = self.recorded.get((str(self.stage), entity, round_.number))
        if recorded is not None:
            return recorded
        request = Request(
            session=f"{self.session}/{self.stage}",
            stage=self.stage,
            messages=tuple(messages),
            variables=round_.prompt.variables,
            limits=round_.limits,
            constraint=round_.constraint,
            shared=shared,
            adapter=str(self.stage) in self.config.adapter_stages,
            last=last,
        )
        output = _with_flags(round_, self.stage, entity, self.ask(request), final=final)
        self.record(output)
        return output


def _with_flags(round_: Round, stage: Stage, entity: int, result: RoundResult, *, final: bool) -> RoundOutput:
    remarks = [*result.flags, *flags_of(result.text)]
    if final and stage == Stage.FORWARD:
        remarks += translation_flags(result.text)
    elif final and stage == Stage.BACKWARD and result.text.strip(" .") != REFUSAL:
        remarks += alignment_flags(result.text, round_.prompt.variables["text"])
    return RoundOutput(
        stage=stage,
        entity=entity,
        round=round_.number,
        prompt_id=round_.prompt.id,
        variables=round_.prompt.variables,
        output=result.text,
        prompt_tokens=result.prompt_tokens,
        cached_tokens=result.cached_tokens,
        generated_tokens=result.generated_tokens,
        seconds=result.seconds,
        finish_reason=result.finish_reason,
        batch_size=result.batch_size,
        logprob=result.logprob,
        line_logprobs=result.line_logprobs,
        flags=tuple(dict.fromkeys(remarks)),
    )
