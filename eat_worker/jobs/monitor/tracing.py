"""OpenTelemetry spans of chats, for those who trace: one `chat <model>` per round, no word of prompt or answer in it.

Off unless the standard variables ask for an exporter. Knows the names of the GenAI conventions; exporters, sampling
and the service's name are the SDK's own business and are set by its own variables.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eat_worker import __version__
from eat_worker.engines.engine import EngineInfo
from eat_worker.method.rounds import Request, RoundResult

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

log = logging.getLogger(__name__)

WANTED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")
Record = Callable[[RoundResult], None]


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the standard variables name a place for traces."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environ.get(name) for name in WANTED)


def open_tracing(environ: Mapping[str, str]) -> Tracing:
    """Tracing as the OTEL_ variables ask for it; off, with a warning, where the extra `otel` is not installed."""
    if not is_wanted(environ):
        return Tracing(None)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("traces were asked for, but cannot be made; run: pip install 'eat_worker[otel]'")
        return Tracing(None)
    provider = TracerProvider(
        resource=Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME", "eat_worker")})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


class Tracing:
    """Spans for the chats of one process; without a provider there are none and they cost nothing."""

    def __init__(self, provider: TracerProvider | None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("eat_worker", __version__) if provider else None

    @contextmanager
    def chat(self, engine: EngineInfo, request: Request) -> Iterator[Record]:
        """A span around one round; what this yields records the answer's figures. An error is marked on it."""
        if self._tracer is None:
            yield _record_nothing
            return
        from opentelemetry.trace import SpanKind, StatusCode

        with self._tracer.start_as_current_span(
            f"chat {engine.model}",
            kind=SpanKind.CLIENT,
            attributes=_attributes(engine, request),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield lambda result: _record(span, result)
            except Exception as error:
                # The type only: a message may quote what was asked.
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


def _record_nothing(_result: RoundResult) -> None:
    """Without a provider."""


def _attributes(engine: EngineInfo, request: Request) -> dict[str, str | int | float]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": f"eat.{engine.kind}",
        "gen_ai.request.model": engine.model,
        "gen_ai.request.max_tokens": request.limits.max_new_tokens,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.conversation.id": request.session,
        "eat.stage": str(request.stage),
    }


def _record(span: Span, result: RoundResult) -> None:
    span.set_attributes(
        {
            "gen_ai.usage.input_tokens": result.prompt_tokens,
            "gen_ai.usage.output_tokens": result.generated_tokens,
            "gen_ai.response.finish_reasons": [result.finish_reason],
        }
    )
