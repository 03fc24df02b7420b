"""Spans of chats: one per round, with its figures and none of its words; none unless they are asked for."""

from __future__ import annotations

import sys

import pytest

from eat_worker.engines.engine import EngineInfo
from eat_worker.errors import EngineError
from eat_worker.jobs.monitor.tracing import Tracing, is_wanted, open_tracing
from eat_worker.method.document import Stage
from eat_worker.method.rounds import Limits, Message, Request, RoundResult

INFO = EngineInfo("endpoint", "qwen", 4, constrained=True, detail={})
REQUEST = Request("7", Stage.BACKWARD, (Message("user", "Secret corpus words"),), {"text": "Secret"}, Limits(16))
RESULT = RoundResult("Secret answer", prompt_tokens=40, generated_tokens=7, finish_reason="length")


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
    ],
)
def test_the_standard_variables_decide(environ: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environ) is wanted


def test_nobody_traces_unless_asked() -> None:
    tracing = open_tracing({})
    with tracing.chat(INFO, REQUEST) as tell:
        tell(RESULT)
    tracing.close()


def test_without_the_extra_a_warning_and_no_traces(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    tracing = open_tracing({"OTEL_TRACES_EXPORTER": "otlp"})
    with tracing.chat(INFO, REQUEST) as tell:
        tell(RESULT)
    assert "pip install 'eat_worker[otel]'" in caplog.text


def test_a_chat_is_a_span_with_figures_and_without_words() -> None:
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(memory))
    tracing = Tracing(provider)
    with tracing.chat(INFO, REQUEST) as tell:
        tell(RESULT)
    with pytest.raises(EngineError), tracing.chat(INFO, REQUEST):
        raise EngineError("refused: Secret corpus words")
    tracing.close()
    answered, failed = memory.get_finished_spans()
    assert answered.name == "chat qwen"
    assert answered.kind.name == "CLIENT"
    assert dict(answered.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "eat.endpoint",
        "gen_ai.request.model": "qwen",
        "gen_ai.request.max_tokens": 16,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.conversation.id": "7",
        "eat.stage": "backward",
        "gen_ai.usage.input_tokens": 40,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.response.finish_reasons": ("length",),
    }
    assert failed.attributes["error.type"] == "EngineError"
    assert failed.status.status_code.name == "ERROR"
    assert "Secret" not in answered.to_json() + failed.to_json()


def test_the_standard_exporter_is_made_and_closed() -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    tracing = open_tracing({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SERVICE_NAME": "mine"})
    assert tracing._provider is not None
    assert tracing._provider.resource.attributes["service.name"] == "mine"
    tracing.close()
