import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from eat_worker.errors import BrokerUnavailable
from eat_worker.jobs.broker.app import open_app
from eat_worker.jobs.broker.messages import TASK, HintPublisher, from_arguments, register, to_arguments
from eat_worker.jobs.broker.server import EmbeddedServer
from eat_worker.method.document import Stage
from eat_worker.storage.values import Hint

HINT = Hint(7, Stage.BACKWARD, 3, "chat.a")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path) as server:
        yield server


@pytest.fixture
def publisher(server: EmbeddedServer) -> Iterator[HintPublisher]:
    publisher = HintPublisher(open_app(f"redis+socket://{server.socket}"))
    yield publisher
    publisher.close()


def client(server: EmbeddedServer):
    import redis

    return redis.Redis(unix_socket_path=str(server.socket))


def test_a_hint_travels_as_three_plain_values():
    assert to_arguments(HINT) == [7, "backward", 3]
    assert json.loads(json.dumps(to_arguments(HINT))) == [7, "backward", 3]
    assert from_arguments(7, "backward", 3) == Hint(7, Stage.BACKWARD, 3, "")


@pytest.mark.parametrize("arguments", [(7, "dance", 3), ("seven", "backward", 3), (7, "backward", "x")])
def test_what_is_no_hint_is_refused(arguments):
    with pytest.raises(ValueError, match=r"dance|seven|x"):
        from_arguments(*arguments)


def test_messages_wait_in_the_queue_they_were_sent_to(publisher):
    assert publisher.waiting("chat.a") == 0
    publisher.publish([HINT, HINT])
    assert publisher.waiting("chat.a") == 2
    assert publisher.waiting("chat.b") == 0


def test_a_message_carries_the_hint_and_nothing_of_the_document(publisher, server):
    publisher.publish([HINT])
    with client(server) as redis:
        raw = redis.lindex("chat.a", 0)
    message = json.loads(raw)
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == TASK
    assert len(raw) < 1500


def test_publishing_goes_on_after_everything_was_flushed(publisher, server):
    publisher.publish([HINT])
    with client(server) as redis:
        redis.flushall()
    publisher.publish([HINT])
    assert publisher.waiting("chat.a") == 1


def test_publishing_goes_on_after_the_server_was_away(publisher, server):
    publisher.publish([HINT])
    server._end(server._pid())
    with pytest.raises(BrokerUnavailable, match="does not take messages"):
        publisher.publish([HINT])
    with pytest.raises(BrokerUnavailable):
        publisher.waiting("chat.a")
    server.revive()
    publisher.publish([HINT])
    assert publisher.waiting("chat.a") == 2


def test_closing_is_not_the_end(publisher):
    publisher.close()
    publisher.publish([HINT])
    assert publisher.waiting("chat.a") == 1


def test_the_task_hands_hints_on_and_drops_what_is_none(caplog):
    app, taken = open_app("redis://localhost"), []
    register(app, taken.append)
    app.tasks[TASK](7, "backward", 3)
    app.tasks[TASK](7, "dance", 3)
    assert taken == [Hint(7, Stage.BACKWARD, 3, "")]
    assert "not a hint" in caplog.text
