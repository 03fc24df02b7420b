from dataclasses import replace

import pytest

from eat_worker.errors import ConfigurationError
from eat_worker.jobs.stages import Tools, run_stage
from eat_worker.method.document import Stage

CANNOT_BIND = (
    "the method binds answers to the text and this endpoint is not set up for that; set endpoint_grammar to llama or "
    "vllm, or submit with --forward free --alignment free"
)


def forward(desk):
    """The first stage of the first document, done with the desk's engine; what it made, and the rounds of it."""
    claim, rounds = desk.store.claim(1, Stage.FORWARD, "w1", 60.0), []
    return run_stage(claim, Tools(desk.engine), rounds.append, lambda: None), rounds


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"alignment": "free"},
        {"alignment": "free", "rounds": 1},
        {"alignment": "free", "prompts": "official"},
        {"forward": "free"},
        {"forward": "free", "alignment": "free+constrained"},
    ],
)
def test_a_bound_run_is_refused_by_an_engine_that_cannot_bind(desk, config):
    desk.add_run(**config)
    desk.engine.info = replace(desk.engine.info, constrained=False)
    with pytest.raises(ConfigurationError) as raised:
        forward(desk)
    assert str(raised.value) == CANNOT_BIND
    assert desk.engine.requests == []


def test_a_free_run_is_done_by_any_engine(desk):
    desk.add_run(forward="free", alignment="free")
    desk.engine.info = replace(desk.engine.info, constrained=False)
    result, rounds = forward(desk)
    assert (result.english, len(rounds)) == ("Seoul liegt am Fluss 0", 3)


def test_the_direct_method_is_done_by_any_engine(desk):
    desk.add_run(method="direct", forward="bound", alignment="constrained")
    desk.engine.info = replace(desk.engine.info, constrained=False)
    claim, rounds = desk.store.claim(1, Stage.DIRECT, "w1", 60.0), []
    result = run_stage(claim, Tools(desk.engine), rounds.append, lambda: None)
    assert [str(line.outcome) for line in result.alignments] == ["exact", "exact"]
    assert len(rounds) == 1


def test_rounds_are_bound_as_the_run_says(desk):
    desk.add_run()
    forward(desk)
    assert [type(request.constraint).__name__ for request in desk.engine.requests] == [
        "ListConstraint",
        "EnglishConstraint",
        "EnglishConstraint",
    ]
