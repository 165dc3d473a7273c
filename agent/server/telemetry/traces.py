"""Each turn as an OpenTelemetry span. Knows events and times; sends no word of what is said, and no engine.

A span `turn` lasts from the user's last speech to the end of the reply. Below it is one span for each part
of the wait, as `agent.reports.waits` cuts it, and one, `speaking`, for the reply as it sounds. What of a
part was spent behind other conversations is its attribute `backchat.queued` (s). Each call of a tool is a
span `tool` of its own, since it may outlast its turn.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

from agent import events as ev
from agent.errors import MissingExtra
from agent.reports.waits import TurnReport, turns
from agent.settings import Config

LACKING = "server.traces: OpenTelemetry's libraries are missing"


def traces_for(config: Config) -> Traces | None:
    """Where spans go, as OpenTelemetry's own environment variables (OTEL_...) say; None: nobody wants any.

    Raises MissingExtra.
    """
    if not config.server.traces:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise MissingExtra(LACKING, "otel") from error
    return Traces(OTLPSpanExporter())


class Traces:
    """One tracer for one server. exporter: OpenTelemetry's SpanExporter. Raises MissingExtra."""

    def __init__(self, exporter: Any) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.context import Context
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise MissingExtra(LACKING, "otel") from error
        name = os.environ.get("OTEL_SERVICE_NAME", "backchat")
        self._provider: Any = TracerProvider(resource=Resource.create({"service.name": name}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer: Any = self._provider.get_tracer("backchat")
        self._trace: Any = trace
        self._root = Context()

    def close(self) -> None:
        """Send what waits, and stop."""
        self._provider.shutdown()

    def turn(self, session: str, report: TurnReport, zero: int) -> None:
        """One turn that is over. zero: nanoseconds since 1970 at the session's time 0."""

        def at(moment: float) -> int:
            return zero + round(moment * 1e9)

        begin = report.speech_end
        end = max(report.opened, begin) if report.ended is None else report.ended
        told: dict[str, str | int | float] = {
            "backchat.session": session,
            "backchat.turn": report.turn,
            "backchat.reason": report.reason,
            "backchat.tokens": report.tokens,
        }
        if report.voice_to_voice is not None:
            told["backchat.voice_to_voice"] = round(report.voice_to_voice, 4)
            begin = min(begin, report.audio_started or begin)
        span = self._tracer.start_span("turn", self._root, attributes=told, start_time=at(begin))
        if report.reason == "error":
            span.set_status(self._trace.StatusCode.ERROR)
        inside = self._trace.set_span_in_context(span)
        parts = report.parts
        if report.audio_started is not None:
            parts = [*parts, ("speaking", end - report.audio_started)]
        for name, seconds in parts:
            if seconds > 0:
                queued = report.queued.get(name)
                about = {} if queued is None else {"backchat.queued": round(queued, 4)}
                part = self._tracer.start_span(name, inside, attributes=about, start_time=at(begin))
                begin += seconds
                part.end(at(begin))
        span.end(at(end))

    def tool(self, session: str, call: ev.ToolReturned, zero: int) -> None:
        """One call that is over: which tool, and what came of it; neither its arguments nor its result."""
        told = {
            "backchat.session": session,
            "backchat.turn": call.turn,
            "backchat.tool": call.name,
            "backchat.outcome": call.outcome,
        }
        end, took = zero + round(call.time * 1e9), round(max(0.0, call.took) * 1e9)
        span = self._tracer.start_span("tool", self._root, attributes=told, start_time=end - took)
        if call.outcome in ("failed", "timed_out"):
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(end)


class TurnSpans:
    """Watches one session, and gives each turn that is over to `traces`."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._session = secrets.token_hex(8)
        self._zero: int | None = None
        self._turns: dict[int, list[ev.Event]] = {}

    def watch(self, event: ev.Event) -> None:
        """Take note of one event."""
        if self._zero is None:
            self._zero = time.time_ns() - round(event.time * 1e9)
        if isinstance(event, ev.ToolReturned):  # perhaps after its turn
            self._traces.tool(self._session, event, self._zero)
        turn: int | None = getattr(event, "turn", None)
        if isinstance(event, ev.TurnOpened):
            self._turns[event.turn] = []
        if turn is None or turn not in self._turns:
            return
        if isinstance(event, ev.TurnCommitted) and not event.answered:
            del self._turns[turn]  # whoever asks for an answer later opens another one
            return
        self._turns[turn].append(event)
        if isinstance(event, ev.TurnEnded | ev.TurnDiscarded):
            for report in turns(self._turns.pop(turn)):
                self._traces.turn(self._session, report, self._zero)
