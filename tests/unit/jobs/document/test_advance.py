import random
from dataclasses import replace

import pytest

from eat_worker.errors import (
    ConfigurationError,
    EngineBroken,
    EngineError,
    EngineUnavailable,
    LeaseLost,
    NumericFault,
    StoreUnavailable,
    TooLarge,
    TooLong,
)
from eat_worker.jobs.document import advance
from eat_worker.jobs.document.spool import Spool
from eat_worker.method.document import Stage
from eat_worker.storage.values import Hint

ALL_STAGES = [
    ("forward", "committed"),
    ("extract", "committed"),
    ("backward", "committed"),
    ("back_translation", "committed"),
    ("score", "committed"),
]
ALL_ROUNDS = [
    ("back_translation", -1, 1),
    ("back_translation", -1, 2),
    ("back_translation", -1, 3),
    ("extract", -1, 1),
    ("forward", -1, 1),
    ("forward", -1, 2),
    ("forward", -1, 3),
]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.0)


def hint(stage=Stage.FORWARD, document_id=1):
    return Hint(document_id, stage, 0, "chat.a")


def raising(error):
    def call(*_, **__):
        raise error

    return call


def test_one_hint_takes_a_document_through_all_its_stages(desk):
    desk.add_run()
    desk.advancer().take(hint())
    assert desk.status() == "done"
    assert desk.attempts() == ALL_STAGES
    assert sorted(desk.rounds()) == ALL_ROUNDS
    assert len(desk.engine.requests) == 7


def test_a_stale_hint_changes_nothing(desk):
    desk.add_run()
    desk.advancer().take(hint())
    desk.advancer().take(hint())
    desk.advancer().take(hint(Stage.SCORE))
    desk.advancer().take(hint(document_id=99))
    assert desk.attempts() == ALL_STAGES
    assert len(desk.engine.requests) == 7


def test_a_stage_of_another_queue_is_handed_on(desk):
    run = desk.add_run()
    desk.sql("UPDATE runs SET queues_json = :queues", queues='{"forward": "chat.a", "extract": "other"}')
    nudged = []
    desk.advancer(hand_on=lambda: nudged.append(1)).take(hint())
    assert (desk.store.reading.dossier(1).stage, desk.status(), nudged) == (Stage.EXTRACT, "queued", [1])
    assert run.id == 1


def test_a_worker_asked_to_stop_begins_nothing(desk):
    desk.add_run()
    desk.stop.set()
    desk.advancer().take(hint())
    assert not desk.advancer().take_next()
    assert (desk.status(), desk.attempts()) == ("queued", [])


def test_a_drain_finishes_the_round_stores_it_and_gives_the_document_back(desk):
    desk.add_run()
    desk.engine.before = lambda number: desk.stop.set() if number == 2 else None
    desk.advancer().take(hint())
    assert (desk.status(), desk.attempts()) == ("queued", [("forward", "released")])
    assert desk.rounds() == [("forward", -1, 1), ("forward", -1, 2)]
    desk.stop.clear()
    desk.advancer().take(hint())
    assert desk.status() == "done"
    assert len(desk.engine.requests) == 7


def test_a_drain_after_a_stages_last_round_commits_the_stage(desk):
    desk.add_run()
    desk.engine.before = lambda number: desk.stop.set() if number == 3 else None
    desk.advancer().take(hint())
    assert (desk.store.reading.dossier(1).stage, desk.status()) == (Stage.EXTRACT, "queued")
    assert desk.attempts() == [("forward", "committed")]


def test_a_lost_lease_stops_the_holder_at_the_next_round(desk):
    desk.add_run()

    def steal(number):
        if number == 2:
            desk.sql("UPDATE documents SET lease_owner = 'w2', attempt = attempt + 1")
            desk.leases.beat()

    desk.engine.before = steal
    desk.advancer().take(hint())
    assert len(desk.engine.requests) == 2
    assert desk.rounds() == []
    assert desk.status() == "running"


def test_a_fenced_commit_writes_nothing(desk):
    desk.add_run()

    def steal(number):
        if number == 3:
            desk.sql("UPDATE documents SET lease_owner = 'w2', attempt = attempt + 1")

    desk.engine.before = steal
    desk.advancer().take(hint())
    assert (desk.rounds(), desk.store.reading.dossier(1).english) == ([], None)


def test_a_document_that_makes_the_engine_fail_is_tried_again_and_then_fails(desk):
    desk.add_run()
    desk.engine.before = raising(EngineError("nan"))
    for expected in ("queued", "queued", "failed"):
        desk.sql("UPDATE documents SET not_before = NULL")
        desk.advancer().take(hint())
        assert desk.status() == expected
    assert desk.attempts() == [("forward", "fault"), ("forward", "fault"), ("forward", "failed")]
    assert desk.store.reading.dossier(1).error_code == "engine"


class Longest:
    """Chance that always takes the longest pause."""

    def uniform(self, a, b, /):
        return b


def waits(desk):
    """Seconds until the document is due."""
    (until,) = desk.sql("SELECT not_before - (julianday('now') - 2440587.5) * 86400.0 FROM documents")[0]
    return round(until)


def test_faults_of_a_document_and_of_its_surroundings_back_off_each_by_itself(desk):
    desk.add_run()
    advancer = desk.advancer(chance=Longest(), max_faults=9)
    for error, seconds in (
        (EngineError("nan"), 2),
        (EngineError("nan"), 4),
        (EngineUnavailable("503"), 2),
        (EngineUnavailable("503"), 4),
        (EngineError("nan"), 8),
        (EngineUnavailable("503"), 8),
    ):
        advancer._answered_at = float("inf")  # others are answered: this document frees its place
        desk.engine.before = raising(error)
        desk.sql("UPDATE documents SET not_before = NULL")
        advancer.take(hint())
        assert waits(desk) == seconds
    assert desk.sql("SELECT faults, retries FROM documents") == [(3, 3)]


def test_failures_before_an_answer_do_not_count_when_the_engine_fails_again(desk):
    """Four in a row without an answer, while other documents are answered, free a document's place."""
    desk.add_run()
    desk.engine.before = lambda number: raising(EngineUnavailable("503"))() if number in (1, 2, 3, 5, 6, 7) else None
    desk.advancer().take(hint())
    assert (desk.status(), desk.attempts(), len(desk.engine.requests)) == ("done", ALL_STAGES, 7 + 6)


def test_a_commit_ends_the_back_off_of_the_surroundings(desk):
    desk.add_run()
    advancer = desk.advancer()
    advancer._answered_at = float("inf")
    desk.engine.before = raising(EngineUnavailable("503"))
    advancer.take(hint())
    assert desk.sql("SELECT retries FROM documents") == [(1,)]
    desk.sql("UPDATE documents SET not_before = NULL")
    desk.engine.before = lambda number: None
    advancer.take(hint())
    assert desk.sql("SELECT stage, retries FROM documents") == [("done", 0)]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TooLong("9,000 tokens"), "too_long"),
        (TooLarge("one chat"), "too_large"),
        (NumericFault("nan"), "numeric_fault"),
    ],
)
def test_what_can_never_succeed_fails_at_once(desk, error, code):
    desk.add_run()
    desk.engine.before = raising(error)
    desk.advancer().take(hint())
    assert (desk.status(), desk.store.reading.dossier(1).error_code) == ("failed", code)
    assert len(desk.engine.requests) == 1


def test_an_engine_that_breaks_stops_the_worker_and_commits_nothing(desk, monkeypatch):
    desk.add_run()
    broken, told = EngineBroken("illegal address"), []
    monkeypatch.setattr(advance.time, "monotonic", lambda: 0.0)  # rounds wait for each other
    desk.engine.before = lambda number: raising(broken)() if number == 3 else None
    desk.advancer(give_up=told.append).take(hint())
    assert told == [broken]
    assert (desk.status(), desk.attempts(), desk.rounds()) == ("queued", [("forward", "engine_broken")], [])
    assert desk.sql("SELECT faults, expiries, breaks, not_before FROM documents") == [(0, 0, 1, None)]


def test_the_second_engine_that_breaks_with_a_document_makes_it_poison(desk):
    desk.add_run()
    desk.engine.before = raising(EngineBroken("illegal address"))
    for _ in range(2):
        desk.advancer().take(hint())
    dossier = desk.store.reading.dossier(1)
    assert (dossier.status, dossier.error_code, dossier.run.state) == ("failed", "poison", "complete")
    assert dossier.error == (
        "the engine broke 2 times in a row with this document in hand; the last time: illegal address"
    )
    assert desk.attempts() == [("forward", "engine_broken"), ("forward", "engine_broken")]
    assert desk.sql("SELECT kind FROM events") == [("poison",)]


def test_an_engine_that_breaks_while_the_database_is_away_leaves_the_lease_to_run_out(desk, monkeypatch, caplog):
    desk.add_run()
    desk.engine.before = raising(EngineBroken("illegal address"))
    monkeypatch.setattr(desk.store.queue, "break_off", raising(StoreUnavailable("away")))
    desk.advancer().take(hint())
    assert desk.status() == "running"
    assert "the lease will expire: away" in caplog.text


def at_round(number, action):
    """What happens before the request of that number."""
    return lambda now: action() if now == number else None


def test_a_run_that_is_paused_gives_its_documents_back_after_the_round(desk):
    desk.add_run()
    desk.engine.before = at_round(2, lambda: (desk.store.operating.pause_run("news"), advance.time.sleep(0.06)))
    desk.advancer().take(hint())
    assert (desk.status(), desk.attempts()) == ("queued", [("forward", "released")])
    assert len(desk.engine.requests) == 2
    assert desk.rounds() == [("forward", -1, 1), ("forward", -1, 2)]
    assert desk.sql("SELECT faults, expiries, retries, breaks FROM documents") == [(0, 0, 0, 0)]
    assert desk.sql("SELECT error FROM attempts") == [("the run is paused",)]
    assert not desk.advancer().take_next()
    desk.store.operating.resume_run("news")
    assert desk.advancer().take_next()
    assert (desk.status(), len(desk.engine.requests)) == ("done", 7)


def test_a_run_that_is_cancelled_costs_one_round(desk):
    desk.add_run()
    desk.engine.before = at_round(2, lambda: (desk.store.operating.cancel_run("news"), advance.time.sleep(0.06)))
    desk.advancer().take(hint())
    assert (desk.status(), desk.attempts()) == ("cancelled", [("forward", "cancelled")])
    assert len(desk.engine.requests) == 2


class Outage:
    """A store that does not answer while `away`; `tries` counts how often it was asked meanwhile."""

    def __init__(self, desk, monkeypatch, *names):
        self.away, self.tries, self.on_try = True, 0, lambda: None
        for name in names:
            monkeypatch.setattr(desk.store.queue, name, self.guarded(getattr(desk.store.queue, name)))

    def guarded(self, real):
        def call(*args, **keywords):
            if self.away:
                self.tries += 1
                self.on_try()
                raise StoreUnavailable("away")
            return real(*args, **keywords)

        return call


def test_what_the_database_does_not_take_lies_in_the_spool_until_it_does(desk, monkeypatch, tmp_path):
    desk.add_run()
    spool, seen = Spool(tmp_path / "spool"), []
    outage = Outage(desk, monkeypatch, "add_rounds", "commit_stage")

    def look():
        seen.append([file.stat().st_mode & 0o777 for file in (tmp_path / "spool").glob("*")])
        outage.away = outage.tries < 4

    outage.on_try = look
    desk.advancer(spool=spool).take(hint())
    assert seen == [[], [0o600], [0o600], [0o600]]
    assert (desk.status(), len(desk.engine.requests), desk.attempts()) == ("done", 7, ALL_STAGES)
    assert (list((tmp_path / "spool").iterdir()), spool.size) == ([], 0)


def test_a_lease_lost_during_the_outage_drops_the_spooled_rounds(desk, monkeypatch, tmp_path):
    desk.add_run()
    spool = Spool(tmp_path / "spool")
    outage = Outage(desk, monkeypatch, "add_rounds", "commit_stage")

    def steal():
        if outage.tries == 3:
            desk.sql("UPDATE documents SET lease_owner = 'w2', attempt = attempt + 1")
            outage.away = False

    outage.on_try = steal
    desk.advancer(spool=spool).take(hint())
    assert (desk.rounds(), spool.size, list((tmp_path / "spool").iterdir())) == ([], 0, [])


def test_a_worker_that_ends_during_the_outage_leaves_its_rounds_to_the_next(desk, monkeypatch, tmp_path):
    desk.add_run()
    outage = Outage(desk, monkeypatch, "add_rounds", "commit_stage", "release")
    outage.on_try = desk.stop.set
    desk.advancer(spool=Spool(tmp_path / "spool")).take(hint())
    assert (desk.status(), desk.rounds()) == ("running", [])
    (file,) = (tmp_path / "spool").iterdir()
    outage.away = False
    desk.stop.clear()
    assert Spool(tmp_path / "spool").restore(desk.store) == 1
    assert not file.exists()
    asked = len(desk.engine.requests)
    assert (desk.status(), len(desk.rounds())) == ("queued", asked)
    desk.advancer().take(hint())
    assert (desk.status(), len(desk.engine.requests)) == ("done", 7)


def test_no_document_pays_for_a_worker_that_is_set_up_wrongly(desk, caplog):
    desk.add_run()
    refused, told = ConfigurationError("the model server refused the key"), []
    desk.engine.before = lambda number: raising(refused)() if number == 3 else None
    desk.advancer(max_faults=1, give_up=told.append).take(hint())
    assert told == [refused]
    assert (desk.status(), desk.store.reading.dossier(1).error_code) == ("queued", None)
    assert desk.sql("SELECT faults, expiries, lease_owner, not_before FROM documents") == [(0, 0, None, None)]
    assert desk.sql("SELECT outcome, error FROM attempts") == [("released", "the model server refused the key")]
    assert "this worker cannot continue: the model server refused the key" in caplog.text
    # What was answered before is kept, and another worker asks only the rest.
    assert desk.rounds() == [("forward", -1, 1), ("forward", -1, 2)]
    desk.engine.before = lambda number: None
    desk.advancer().take(hint())
    assert (desk.status(), sorted(desk.rounds())) == ("done", ALL_ROUNDS)
    assert len(desk.engine.requests) == 7 + 1


def test_a_bound_run_that_meets_an_engine_which_cannot_bind_asks_nothing(desk):
    desk.add_run()
    desk.engine.info, told = replace(desk.engine.info, constrained=False), []
    desk.advancer(give_up=told.append).take(hint())
    (error,) = told
    assert isinstance(error, ConfigurationError)
    assert (desk.status(), desk.attempts(), desk.engine.requests) == ("queued", [("forward", "released")], [])


def test_an_engine_that_cannot_bind_is_good_enough_for_a_free_run(desk):
    desk.add_run(forward="free", alignment="free")
    desk.engine.info = replace(desk.engine.info, constrained=False)
    desk.advancer(give_up=raising(AssertionError("gave up"))).take(hint())
    assert desk.status() == "done"


def test_a_wrong_setting_while_the_database_is_away_still_stops_the_worker(desk, monkeypatch, caplog):
    desk.add_run()
    told = []
    desk.engine.before = raising(ConfigurationError("wrong"))
    monkeypatch.setattr(desk.store.queue, "release", raising(StoreUnavailable("away")))
    desk.advancer(give_up=told.append).take(hint())
    assert [str(error) for error in told] == ["wrong"]
    assert desk.status() == "running"
    assert "its lease will expire" in caplog.text


@pytest.mark.parametrize(("queue", "fingerprint"), [("chat.a", "a"), ("my.own", None)])
def test_a_log_line_has_a_fingerprint_where_the_queue_is_named_after_one(desk, caplog, queue, fingerprint):
    desk.add_run(queue=queue)
    desk.engine.before = raising(ZeroDivisionError("ours"))
    desk.advancer(queue).take(hint())
    assert {record.fingerprint for record in caplog.records if hasattr(record, "document")} == {fingerprint}


def test_an_error_that_is_not_ours_is_stored_with_its_name(desk, caplog):
    desk.add_run()
    desk.engine.before = raising(ZeroDivisionError("ratio"))
    desk.advancer(max_faults=1).take(hint())
    dossier = desk.store.reading.dossier(1)
    assert (dossier.status, dossier.error_code, dossier.error) == ("failed", "unexpected", "ZeroDivisionError: ratio")
    assert "Traceback" in caplog.text


def test_rounds_before_a_failure_are_kept(desk):
    desk.add_run()
    desk.engine.before = lambda number: raising(EngineError("nan"))() if number == 3 else None
    desk.advancer(max_faults=1).take(hint())
    assert desk.rounds() == [("forward", -1, 1), ("forward", -1, 2)]


def test_an_engine_that_is_away_is_waited_for_and_asked_only_what_is_missing(desk):
    desk.add_run()
    desk.engine.before = lambda number: raising(EngineUnavailable("away"))() if number in range(3, 30) else None
    desk.advancer().take(hint())
    assert (desk.status(), desk.attempts()) == ("done", ALL_STAGES)
    asked = [len(request.messages) for request in desk.engine.requests[:2]]
    assert len(desk.engine.requests) == 2 + 27 + 5
    assert asked[0] < asked[1]


def test_an_engine_that_answers_others_but_not_this_document_frees_its_place(desk, monkeypatch):
    desk.add_run()
    advancer = desk.advancer()

    def away(number):
        advancer._answered_at = float("inf")  # as if another thread were being answered
        raise EngineUnavailable("503")

    desk.engine.before = away
    advancer.take(hint())
    assert len(desk.engine.requests) == advance.TRIES_IN_HAND
    assert desk.attempts() == [("forward", "retry")]
    assert desk.sql("SELECT status, faults FROM documents") == [("queued", 0)]


def test_a_drain_while_the_engine_is_away_gives_the_document_back(desk):
    desk.add_run()

    def away(number):
        desk.stop.set()
        raise EngineUnavailable("away")

    desk.engine.before = away
    desk.advancer().take(hint())
    assert desk.attempts() == [("forward", "released")]


def test_a_database_that_is_away_for_a_moment_costs_nothing(desk, monkeypatch):
    desk.add_run()
    down = [1, 2, 3]
    real = desk.store.queue.commit_stage

    def commit(*args, **keywords):
        if down:
            down.pop()
            raise StoreUnavailable("away")
        return real(*args, **keywords)

    monkeypatch.setattr(desk.store.queue, "commit_stage", commit)
    desk.advancer().take(hint())
    assert (desk.status(), len(desk.engine.requests)) == ("done", 7)


def test_a_drain_while_the_database_is_away_leaves_the_lease_to_run_out(desk, monkeypatch, caplog):
    desk.add_run()

    def commit(*args, **keywords):
        desk.stop.set()
        raise StoreUnavailable("away")

    monkeypatch.setattr(desk.store.queue, "commit_stage", commit)
    monkeypatch.setattr(desk.store.queue, "release", raising(StoreUnavailable("away")))
    desk.advancer().take(hint())
    assert desk.status() == "running"
    assert "its lease will expire" in caplog.text


def test_a_lease_lost_while_failing_is_only_logged(desk, monkeypatch, caplog):
    desk.add_run()
    desk.engine.before = raising(EngineError("nan"))
    monkeypatch.setattr(desk.store.queue, "fail", raising(LeaseLost("gone")))
    desk.advancer().take(hint())
    assert "not recorded" in caplog.text


def test_the_next_document_is_found_without_a_hint(desk):
    desk.add_run(documents=2)
    advancer = desk.advancer()
    assert [advancer.take_next(), advancer.take_next(), advancer.take_next()] == [True, True, False]
    assert [desk.status(1), desk.status(2)] == ["done", "done"]


def test_documents_of_another_model_are_never_taken(desk):
    desk.add_run(queue="chat.b")
    assert not desk.advancer("chat.a").take_next()


def test_a_short_text_ends_without_a_model_call(desk):
    run = desk.add_run(documents=0)
    from eat_worker.method.document import Document

    desk.store.runs.add_documents(run.id, [Document("x", "de")])
    desk.advancer().take(hint())
    assert (desk.status(), desk.engine.requests) == ("skipped", [])


def test_a_claim_that_fails_for_good_is_raised_and_stops_the_worker(desk, monkeypatch):
    wrong, told = ConfigurationError("wrong"), []
    monkeypatch.setattr(desk.store.queue, "claim", raising(wrong))
    with pytest.raises(ConfigurationError):
        desk.advancer(give_up=told.append).take(hint())
    assert told == [wrong]


def test_a_run_with_settings_of_another_version_is_left_for_another_worker(desk):
    desk.add_run()
    desk.sql("UPDATE runs SET config_json = :values", values='{"think": "bound"}')
    told = []
    with pytest.raises(ConfigurationError):
        desk.advancer(give_up=told.append).take(hint())
    assert [str(error) for error in told] == ["the run uses settings this version does not know: think"]
    assert desk.sql("SELECT status, attempt FROM documents") == [("queued", 0)]


def test_a_stop_while_the_database_is_away_ends_the_search(desk, monkeypatch):
    def claim_next(*_):
        desk.stop.set()
        raise StoreUnavailable("away")

    monkeypatch.setattr(desk.store.queue, "claim_next", claim_next)
    assert desk.advancer().take_next() is False


def test_what_becomes_of_documents_is_counted(desk):
    desk.add_run(documents=3)
    advancer = desk.advancer(max_faults=1)
    advancer.take(hint(document_id=1))
    desk.engine.before = raising(EngineError("nan"))
    advancer.take(hint(document_id=2))
    desk.engine.before = lambda _: desk.sql("UPDATE documents SET lease_owner = 'w2', attempt = 7 WHERE id = 3")
    advancer.take(hint(document_id=3))
    value = advancer.metrics.registry.get_sample_value
    assert value("eat_documents_total", {"status": "done", "lang": "de"}) == 1
    assert value("eat_documents_total", {"status": "failed", "lang": "de"}) == 1
    assert value("eat_lease_expired_total") == 1


def test_a_document_that_is_tried_again_is_counted_by_its_reason(desk):
    desk.add_run()
    desk.engine.before = raising(EngineError("nan"))
    advancer = desk.advancer(max_faults=2)
    advancer.take(hint())
    assert advancer.metrics.registry.get_sample_value("eat_retries_total", {"reason": "engine"}) == 1
    assert desk.status() == "queued"
