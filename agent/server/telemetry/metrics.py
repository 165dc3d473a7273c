"""What the server counts and times, as Prometheus reads it. Knows no wire; keeps no word of what is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent import events as ev
from agent.errors import MissingExtra
from agent.runner import Waited
from agent.server.pool import Pool
from agent.server.telemetry.pages import merged
from agent.server.telemetry.traces import Traces, TurnSpans

SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
MOST_TOOLS = 100
"""Tools that are counted apart."""
FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

Gather = Callable[[str], Awaitable[Mapping[str, str]]]
"""From the page of this process to those of all, this one included, by name."""


class Metrics:
    """One registry for one server. traces: where each turn is told as a span too."""

    def __init__(self, pool: Pool, traces: Traces | None = None) -> None:
        self._traces = traces
        self.gather: Gather | None = None
        try:
            import prometheus_client as prometheus
        except ImportError as error:
            raise MissingExtra("the server's libraries are missing", "server") from error
        self._prometheus: Any = prometheus
        self.registry = registry = prometheus.CollectorRegistry()

        def timed(name: str, about: str, buckets: tuple[float, ...] = SECONDS) -> Any:
            return prometheus.Histogram(name, about, registry=registry, buckets=buckets)

        self._watch_slots(pool)
        self.begun = prometheus.Counter("backchat_sessions_begun", "Sessions, ever.", registry=registry)
        self.refused = prometheus.Counter(
            "backchat_refused", "Requests refused, by cause.", ["cause"], registry=registry
        )
        self.ended = prometheus.Counter(
            "backchat_turns", "Replies ended, by reason.", ["reason"], registry=registry
        )
        self.cancelled = prometheus.Counter(
            "backchat_cancels", "Replies given up, by cause.", ["cause"], registry=registry
        )
        self.decisions = prometheus.Counter(
            "backchat_decisions",
            "What turn-taking decided, by cause.",
            ["action", "cause"],
            registry=registry,
        )
        self.errors = prometheus.Counter(
            "backchat_errors", "Engines that failed, by engine.", ["where"], registry=registry
        )
        self._tools, self._tool_names = self._tool_times(), set[str]()
        self.first_token = timed("backchat_first_token_seconds", "From a reply's begin to its first token.")
        self.first_audio = timed("backchat_first_audio_seconds", "From a turn's release to its first sound.")
        self.voice_to_voice = timed(
            "backchat_voice_to_voice_seconds", "From the user's last speech to the first sound."
        )
        self.stt = timed("backchat_stt_seconds", "One transcription.")
        self.tts = timed("backchat_tts_factor", "Seconds of work for one second of speech.", FACTORS)
        waits = prometheus.Histogram(
            "backchat_wait_seconds",
            "Time that an item waited for its engine, by engine and kind of work.",
            ["engine", "kind"],
            registry=registry,
            buckets=(0.005, 0.01, 0.02, *SECONDS),
        )
        self.waited: Waited = lambda engine, kind, waited: waits.labels(engine, kind).observe(waited)
        pool.watch_waits(self.waited)
        self.unheard = timed("backchat_jitter_buffer_seconds", "Sound not heard yet, at each turn's end.")
        self.unread = timed(
            "backchat_unread_items",
            "Items that wait for a client, at each turn's end.",
            (0, 1, 10, 100, 1000),
        )

    def _watch_slots(self, pool: Pool) -> None:
        prometheus, registry = self._prometheus, self.registry
        sessions = prometheus.Gauge("backchat_sessions", "Session slots in use.", registry=registry)
        sessions.set_function(lambda: pool.taken)
        slots = prometheus.Gauge("backchat_slots", "Session slots there are.", registry=registry)
        slots.set(pool.size)
        load = prometheus.Gauge(
            "backchat_load", "Share of the cores taken, of the last ten seconds.", registry=registry
        )
        load.set_function(lambda: pool.load.share)

    def _tool_times(self) -> Any:
        return self._prometheus.Histogram(
            "backchat_tool_seconds",
            "Work of one call, by tool and outcome.",
            ["tool", "outcome"],
            registry=self.registry,
            buckets=(*SECONDS, 30.0),
        )

    def watchers(self) -> list[ev.Watcher]:
        """What a new session is watched by."""
        spans = [TurnSpans(self._traces).watch] if self._traces is not None else []
        return [TurnTimes(self).watch, *spans]

    def called(self, event: ev.ToolReturned, known: bool) -> None:
        """A call is over. Names are counted apart as long as there are few: a model may write any."""
        if known and len(self._tool_names) < MOST_TOOLS:
            self._tool_names.add(event.name)
        name = event.name if known and event.name in self._tool_names else "other"
        self._tools.labels(name, event.outcome).observe(max(0.0, event.took))

    async def page(self) -> bytes:
        """What is told of this server: of all its processes, where there are several."""
        return self.text() if self.gather is None else merged(await self.gather(self.text().decode()))

    def text(self) -> bytes:
        """Those of this process, in Prometheus's text format."""
        return self._prometheus.generate_latest(self.registry)


class TurnTimes:
    """Watches one session and notes its times."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._opened: dict[int, tuple[float, float]] = {}
        self._released: dict[int, float] = {}
        self._known: set[str] = set()
        """Numbers of the calls that are under way of tools that there are."""
        metrics.begun.inc()

    def watch(self, event: ev.Event) -> None:
        """Take note of one event."""
        to = self._metrics
        match event:
            case ev.TurnOpened(turn=turn):
                self._opened[turn] = (event.time, event.speech_end)
            case ev.Token(turn=turn) if turn in self._opened and self._opened[turn][0] >= 0:
                began, said = self._opened[turn]
                to.first_token.observe(event.time - began)
                self._opened[turn] = (-1.0, said)
            case ev.TurnCommitted(answered=False, turn=turn):
                self._forget(turn)
            case ev.TurnCommitted(turn=turn):
                self._released[turn] = event.time
            case ev.AudioStarted(turn=turn) if turn in self._released:
                to.first_audio.observe(max(0.0, event.time - self._released.pop(turn)))
                to.voice_to_voice.observe(max(0.0, event.time - self._opened[turn][1]))
            case ev.Transcribed():
                to.stt.observe(event.took)
            case ev.ToolCalled(call=call, effect=effect) if effect is not None:
                self._known.add(call)
            case ev.ToolReturned(call=call):
                to.called(event, call in self._known)
                self._known.discard(call)
            case ev.Synthesized() if event.seconds > 0:
                to.tts.observe(event.took / event.seconds)
            case ev.Decision(action=action, cause=cause):
                to.decisions.labels(action, cause.reason).inc()
            case ev.TurnDiscarded(turn=turn):
                to.cancelled.labels(event.cause.reason).inc()
                self._forget(turn)
            case ev.TurnEnded(turn=turn):
                to.ended.labels(event.reason).inc()
                self._forget(turn)
            case ev.Error():
                to.errors.labels(event.where).inc()
            case _:
                pass

    def _forget(self, turn: int) -> None:
        self._opened.pop(turn, None)
        self._released.pop(turn, None)
