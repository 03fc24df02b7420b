from dataclasses import replace

import pytest

from eat_worker.engines.extractors.asking import ExtractorRounds
from eat_worker.engines.extractors.opening import open_extractor
from eat_worker.errors import ConfigurationError
from eat_worker.jobs.document.stages import Tools, run_stage
from eat_worker.method.document import Stage

CANNOT_BIND = (
    "the method binds answers to the text and this endpoint is not set up for that; set endpoint_grammar to llama or "
    "vllm, or submit with --forward free --alignment free"
)


def forward(desk):
    """The first stage of the first document, done with the desk's engine; what it made, and the rounds of it."""
    claim, rounds = desk.store.queue.claim(1, Stage.FORWARD, "w1", 60.0), []
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
    claim, rounds = desk.store.queue.claim(1, Stage.DIRECT, "w1", 60.0), []
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


def extracted(desk, tools):
    """The second stage of the first document, its translation being there; what was found, and the rounds of it."""
    claim = replace(
        desk.store.queue.claim(1, Stage.FORWARD, "w1", 60.0),
        stage=Stage.EXTRACT,
        english="Anna Schmidt lives in London.",
    )
    rounds = []
    return run_stage(claim, tools, rounds.append, lambda: None), rounds


def crf(tmp_path):
    return ExtractorRounds(open_extractor("crf", "", models_dir=tmp_path))


def test_an_extractor_of_its_own_is_asked_instead_of_the_engine(desk, tmp_path):
    desk.add_run(extractor="crf")
    result, rounds = extracted(desk, Tools(desk.engine, crf(tmp_path)))
    assert [(entity.mention, entity.tag) for entity in result.english_entities] == [
        ("Anna Schmidt", "PER"),
        ("London", "LOC"),
    ]
    assert [(said.output, said.variables) for said in rounds] == [
        ("(PER, Anna Schmidt) (LOC, London)", {"english": "Anna Schmidt lives in London."})
    ]
    assert desk.engine.requests == []


def test_the_other_stages_are_the_engines_all_the_same(desk, tmp_path):
    desk.add_run(extractor="crf")
    claim, rounds = desk.store.queue.claim(1, Stage.FORWARD, "w1", 60.0), []
    run_stage(claim, Tools(desk.engine, crf(tmp_path)), rounds.append, lambda: None)
    assert [request.stage for request in desk.engine.requests] == ["forward"] * 3


@pytest.mark.parametrize("has", [True, False])
def test_a_worker_without_the_runs_extractor_refuses_it(desk, tmp_path, has):
    desk.add_run(extractor="flan_t5")
    here = "crf" if has else "chat"
    with pytest.raises(ConfigurationError, match=f"the run's extractor is flan_t5, this worker has {here}"):
        extracted(desk, Tools(desk.engine, crf(tmp_path) if has else None))


def test_a_run_that_extracts_by_chat_needs_no_extractor(desk, tmp_path):
    desk.add_run(extractor="chat")
    extracted(desk, Tools(desk.engine, crf(tmp_path)))
    assert [request.stage for request in desk.engine.requests] == ["extract"]
