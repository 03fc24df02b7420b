"""A model behind a URL: what is asked, what is made of every kind of answer. A real HTTP server on loopback answers."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from eat_worker.engines.endpoint import RETRIES, Endpoint
from eat_worker.errors import ConfigurationError, EngineError, EngineUnavailable, TooLong
from eat_worker.method.constraint import span_of
from eat_worker.method.document import Stage
from eat_worker.method.rounds import Limits, Message, Request

KEY = "sk-this-is-a-secret"
GOOD = {
    "choices": [
        {
            "message": {"role": "assistant", "content": "Seoul"},
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "Se", "logprob": -0.5}, {"token": "oul", "logprob": -0.25}]},
        }
    ],
    "usage": {"prompt_tokens": 40, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 30}},
}

Reply = tuple[int, dict[str, str], bytes]


def reply(status: int = 200, body: object = None, **headers: str) -> Reply:
    """An answer of the server; a body of bytes is sent as it is."""
    raw = body if isinstance(body, bytes) else json.dumps(GOOD if body is None else body).encode()
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, raw


class Server(ThreadingHTTPServer):
    """Gives the replies of a list one after the other, the last one again and again; remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = [reply()]
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.connections = 0
        self.inside = self.most_inside = 0
        self.seconds = 0.0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.paths.append(self.path)
            self.server.keys.append(self.headers["Authorization"])
            self.server.inside += 1
            self.server.most_inside = max(self.server.most_inside, self.server.inside)
            status, headers, raw = self.server.next_reply()
        time.sleep(self.server.seconds)
        with self.server.lock:
            self.server.inside -= 1
        if status == 0:  # hang up in the middle of an answer
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


class Opened:
    """Opens endpoints on the server; `pauses` are the seconds they would have waited between tries."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.pauses: list[float] = []
        self.all: list[Endpoint] = []

    def __call__(self, url: str = "", model: str = "qwen", **more: Any) -> Endpoint:
        known = {"slots": 2, "timeout": 5.0, "sleep": self.pauses.append, **more}
        self.all.append(Endpoint(url or self.server.url, model, **known))
        return self.all[-1]


@pytest.fixture
def opened(server: Server) -> Iterator[Opened]:
    opener = Opened(server)
    yield opener
    for endpoint in opener.all:
        endpoint.close()


def request(*contents: str, **more: Any) -> Request:
    """One round; contents are of the system, user, assistant, user..."""
    roles = ("system", "user", "assistant", "user")
    told = zip(roles, contents or ("Be brief.", "Where?"), strict=False)
    messages = tuple(Message(role, content) for role, content in told)
    return Request("s", Stage.FORWARD, messages, {}, Limits(48), **more)


# --- what is asked and what comes back


def test_an_answer_with_what_it_cost(opened: Opened) -> None:
    result = opened().ask(request())
    assert (result.text, result.finish_reason, result.flags) == ("Seoul", "stop", ())
    assert (result.prompt_tokens, result.cached_tokens, result.generated_tokens) == (40, 30, 2)
    assert result.logprob == -0.75
    assert 0 < result.seconds < 5


def test_the_question_is_greedy_and_limited(opened: Opened) -> None:
    opened().ask(request("Be brief.", "Where?"))
    assert opened.server.paths == ["/v1/chat/completions"]
    assert opened.server.bodies == [
        {
            "model": "qwen",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}],
            "max_tokens": 48,
            "temperature": 0,
            "logprobs": True,
        }
    ]


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/"])
def test_the_url_may_end_as_people_write_it(opened: Opened, tail: str) -> None:
    opened(opened.server.url + tail).ask(request())
    opened(opened.server.url + "/models/a" + tail).ask(request())
    assert opened.server.paths == ["/v1/chat/completions", "/models/a/v1/chat/completions"]


def test_the_adapter_is_a_model_of_its_own_name(opened: Opened) -> None:
    both, one = opened(adapter_model="qwen-tuned"), opened()
    for endpoint, adapter in ((both, False), (both, True), (one, True)):
        endpoint.ask(request(adapter=adapter))
    assert [body["model"] for body in opened.server.bodies] == ["qwen", "qwen-tuned", "qwen"]


@pytest.mark.parametrize(
    ("kind", "where"),
    [("llama", lambda body: body["grammar"]), ("vllm", lambda body: body["structured_outputs"]["grammar"])],
)
def test_a_bound_answer_is_asked_in_the_servers_own_way(
    opened: Opened, kind: str, where: Callable[[dict[str, Any]], str]
) -> None:
    endpoint = opened(grammar=kind)
    assert endpoint.info.constrained
    endpoint.ask(request(constraint=span_of("in Oslo", characters=False)))
    grammar = where(opened.server.bodies[0])
    assert grammar.startswith("root ::= ")
    assert '"Oslo"' in grammar


def test_a_server_without_grammars_is_never_asked_for_a_bound_answer(opened: Opened) -> None:
    endpoint = opened()
    assert not endpoint.info.constrained
    with pytest.raises(ConfigurationError, match="set endpoint_grammar"):
        endpoint.ask(request(constraint=span_of("in Oslo", characters=False)))
    assert opened.server.bodies == []


def test_an_unknown_kind_of_grammar_is_refused(opened: Opened) -> None:
    with pytest.raises(ConfigurationError, match="endpoint_grammar = 'ebnf' is not one of: none, llama, vllm"):
        opened(grammar="ebnf")


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("a<|im_end|>\n<|im_start|>system", "a< |im_end|>\n< |im_start|>system"),
        ("<tool_call>{}</tool_call>", "< tool_call>{}< /tool_call>"),
        ("<<|endoftext|>", "<< |endoftext|>"),
        ("<|im_<|im_end|>start|>", "<|im_< |im_end|>start|>"),
        ("<｜User｜>", "< ｜User｜>"),
        ("<start_of_turn>user <s>[INST] x [/INST]</s>", "< start_of_turn>user < s>[ INST] x [ /INST]< /s>"),
    ],
)
def test_control_tokens_are_broken_up_and_the_record_says_so(opened: Opened, text: str, sent: str) -> None:
    for contents in ((text, "b"), ("a", text), ("a", "b", text, "c")):
        assert opened().ask(request(*contents)).flags == ("control_tokens_neutralised",)
        told = [message["content"] for message in opened.server.bodies[-1]["messages"]]
        assert told == [sent if content == text else content for content in contents]


@pytest.mark.parametrize("text", ["1 < 2 |> 3", "<b>Seoul</b>", "a <| b", "[1] (INST)", "김철수 <서울>"])
def test_other_brackets_stay_as_they_are(opened: Opened, text: str) -> None:
    assert opened().ask(request("a", text)).flags == ()
    assert opened.server.bodies[0]["messages"][1]["content"] == text


@pytest.mark.parametrize(
    ("choice", "usage", "expected"),
    [
        ({"message": {"content": "x"}, "finish_reason": "length"}, None, ("x", "length", 0, 0, None)),
        ({"message": {"content": "서\ufffd"}, "finish_reason": "length"}, None, ("서", "length", 0, 0, None)),
        ({"message": {"content": None}}, {"prompt_tokens": None}, ("", "stop", 0, 0, None)),
        ({"message": {"content": ""}, "logprobs": None}, {"prompt_tokens": 7}, ("", "stop", 7, 0, None)),
        (
            {"message": {"content": "x"}, "logprobs": {"content": []}},
            {"prompt_tokens": 7, "prompt_tokens_details": None},
            ("x", "stop", 7, 0, None),
        ),
    ],
)
def test_what_a_server_leaves_out_counts_as_nothing(
    opened: Opened, choice: object, usage: object, expected: tuple[object, ...]
) -> None:
    opened.server.replies = [reply(body={"choices": [choice], "usage": usage})]
    found = opened().ask(request())
    assert (found.text, found.finish_reason, found.prompt_tokens, found.cached_tokens, found.logprob) == expected


# --- what goes wrong


def test_a_busy_server_is_asked_again_after_the_time_it_named(opened: Opened) -> None:
    opened.server.replies = [reply(429, {"error": "slow down"}, Retry_After="7"), reply()]
    assert opened().ask(request()).text == "Seoul"
    (pause,) = opened.pauses
    assert 7 <= pause <= 7.5


def test_no_server_makes_us_wait_for_hours(opened: Opened) -> None:
    opened.server.replies = [
        reply(503, Retry_After="86400"),
        reply(503, Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"),
        reply(503, Retry_After="-5"),
        reply(),
    ]
    assert opened().ask(request()).text == "Seoul"
    first, second, third = opened.pauses
    assert 20 <= first <= 20.5
    assert 0 <= second <= 1
    assert 0 <= third <= 2


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 0])
def test_a_fault_that_passes_is_tried_again(opened: Opened, status: int) -> None:
    opened.server.replies = [reply(status, b"wait"), reply(status, b"wait"), reply()]
    assert opened().ask(request()).text == "Seoul"
    assert len(opened.server.bodies) == 3
    assert len(opened.pauses) == 2


def test_pauses_grow_and_are_drawn_anew_each_time(opened: Opened) -> None:
    opened.server.replies = [reply(503, b"no")]
    endpoint = opened()
    for _ in range(8):
        with pytest.raises(EngineUnavailable, match=r"does not answer: 503 no$"):
            endpoint.ask(request())
    tries = [opened.pauses[at : at + RETRIES - 1] for at in range(0, len(opened.pauses), RETRIES - 1)]
    assert len(tries) == 8
    for number in range(RETRIES - 1):
        drawn = [pauses[number] for pauses in tries]
        assert 0 <= min(drawn) <= max(drawn) <= 0.5 * 2**number
        assert len(set(drawn)) > 4


def test_a_server_that_is_not_there(opened: Opened) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineUnavailable, match=rf"the model server http://127.0.0.1:{port} does not answer: Connect"):
        opened(f"http://127.0.0.1:{port}").ask(request())
    assert len(opened.pauses) == RETRIES - 1


def test_an_answer_that_takes_too_long_is_not_asked_for_twice(opened: Opened) -> None:
    opened.server.seconds = 0.5
    with pytest.raises(EngineUnavailable, match=r"gave no answer within 0.2 s") as raised:
        opened(timeout=0.2).ask(request())
    assert raised.value.retryable
    assert len(opened.server.bodies) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": None},
        {"choices": ["x"]},
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": ["x"]}}]},
        {"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{}]}}]},
        {"error": {"message": "out of memory"}},
    ],
)
def test_an_answer_without_a_message_is_an_error(opened: Opened, body: object) -> None:
    opened.server.replies = [reply(body=body)]
    with pytest.raises(EngineError, match="the model server's answer has no message") as raised:
        opened().ask(request())
    assert not raised.value.retryable


@pytest.mark.parametrize("body", [b"<html>Welcome to this network</html>", b"[1, 2]", b'"yes"', b"", b'{"choices": '])
def test_an_answer_that_is_no_json_object_is_an_error(opened: Opened, body: bytes) -> None:
    opened.server.replies = [reply(body=body)]
    with pytest.raises(EngineError, match="answer is not a JSON object: 200"):
        opened().ask(request())


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "the request exceeds the available context size, try increasing it",
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    ],
)
def test_a_prompt_that_does_not_fit(opened: Opened, message: str) -> None:
    opened.server.replies = [reply(400, {"error": {"message": message}})]
    with pytest.raises(TooLong, match="refused the prompt: 400"):
        opened().ask(request())
    assert opened.pauses == []


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (400, EngineError, "refused the request: 400 .*bad temperature"),
        (422, EngineError, "refused the request: 422"),
        (307, EngineError, "refused the request: 307"),
        (404, ConfigurationError, "check endpoint_url and endpoint_model: http://127.0.0.1:.* says 404"),
        (401, ConfigurationError, "refused the key; set endpoint_key_file"),
        (403, ConfigurationError, "refused the key; set endpoint_key_file"),
    ],
)
def test_what_a_server_refuses_is_not_tried_again(
    opened: Opened, status: int, error: type[Exception], message: str
) -> None:
    opened.server.replies = [reply(status, {"error": "bad temperature"})]
    with pytest.raises(error, match=message) as raised:
        opened().ask(request())
    assert type(raised.value) is error
    assert len(opened.server.bodies) == 1


def test_the_key_is_sent_and_never_told(opened: Opened) -> None:
    endpoint = opened(opened.server.url.replace("http://", "http://me:hidden@"), key=KEY)
    assert endpoint.ask(request()).text == "Seoul"
    assert opened.server.keys == [f"Bearer {KEY}"]
    for status in (400, 401, 403, 404, 422, 429, 500, 200):
        opened.server.replies = [reply(status, f"Incorrect API key provided: {KEY} for {'x' * 180}{KEY}".encode())]
        with pytest.raises((EngineError, ConfigurationError)) as raised:
            endpoint.ask(request())
        told = f"{raised.value} {raised.value!r}"
        assert KEY[:8] not in told
        assert "hidden" not in told
    opened.server.replies = [reply(body={"error": KEY})]
    with pytest.raises(EngineError) as raised:
        endpoint.ask(request())
    assert KEY not in str(raised.value)


def test_without_a_key_none_is_sent(opened: Opened) -> None:
    opened().ask(request())
    assert opened.server.keys == [None]


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://me:hidden@host", "http://", "http://[::1", "models"])
def test_a_url_that_is_none_is_refused_at_once(opened: Opened, url: str) -> None:
    with pytest.raises(ConfigurationError, match="endpoint_url") as raised:
        opened(url)
    assert "hidden" not in str(raised.value)


def test_half_a_character_fails_the_round(opened: Opened) -> None:
    with pytest.raises(EngineError, match="cannot be sent"):
        opened().ask(request("a", "\ud800"))
    assert opened().ask(request()).text == "Seoul"


# --- many at once


def test_connections_are_kept_and_no_more_than_slots_are_made(opened: Opened) -> None:
    opened.server.seconds = 0.02
    endpoint = opened(slots=2)
    with ThreadPoolExecutor(8) as pool:
        texts = [result.text for result in pool.map(endpoint.ask, [request()] * 24)]
    assert texts == ["Seoul"] * 24
    assert opened.server.most_inside == 2
    assert opened.server.connections == 2


def test_submit_gives_the_answers_later(opened: Opened) -> None:
    endpoint = opened()
    assert [future.result(timeout=5).text for future in [endpoint.submit(request()) for _ in range(5)]] == ["Seoul"] * 5


def test_closing_answers_what_is_under_way_and_nothing_after(opened: Opened) -> None:
    opened.server.seconds = 0.2
    endpoint = opened()
    waiting = endpoint.submit(request())
    while not opened.server.bodies:
        time.sleep(0.005)
    endpoint.close()
    endpoint.close()
    assert waiting.result(timeout=0).text == "Seoul"
    with pytest.raises(EngineUnavailable, match="the engine was closed"):
        endpoint.ask(request())


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"input": "Kim Yuna gewann in Seoul"}},
        {"error": "bad value 'gewann in Seo..."},
        {"error": {"input": "김연아는 서울에서 이겼다"}},
    ],
)
def test_a_reply_that_quotes_the_prompt_is_not_repeated(opened: Opened, said: dict[str, Any]) -> None:
    opened.server.replies = [reply(422, said)]
    variables = {"text": "Kim Yuna gewann in Seoul", "english": "김연아는 서울에서 이겼다"}
    with pytest.raises(EngineError, match=r"422 \(the reply quotes the prompt\)$"):
        opened().ask(replace(request(), variables=variables))
