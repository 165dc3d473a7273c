"""What came of a scenario, measured on its recording and events. Knows no engine and no session.

Times by issue: a stop is the agent's last sample above -50 dBFS after the user's first above -40 dBFS;
a response is the agent's first sample above -50 dBFS after the user's last above -40 dBFS.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent import events as ev
from agent.events import Event
from agent.messages import ToolCall
from agent.reports.waits import TurnReport, shorten, turns
from agent.simulation.scenario import Expectation, ExpectedCall, Scenario
from audio.files import read_channels
from audio.frame import Frame

AGENT_AUDIBLE, USER_AUDIBLE = 10 ** (-50 / 20), 10 ** (-40 / 20)
"""Levels (1 is full scale) from which a sample of either voice counts as heard."""
EARLY = 0.05
"""Seconds before the event that announces it from which a reply's first sample is looked for."""


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation, what was seen instead or as wished, and whether that is right."""

    about: str
    expected: str
    seen: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the user: when it was begun, when the next one was, its first and last sound (s)."""

    begin: float
    next: float
    first: float
    last: float


def check(
    scenario: Scenario, events: Sequence[Event], spoken: Sequence[tuple[float, float]], recording: Path
) -> list[Check]:
    """Every expectation of a scenario, checked; and an error of the session, if there was one.

    spoken: when each line of the user began and ended (s). recording: stereo, left the user.
    """
    outcome = Outcome(events, spoken, recording)
    found = [
        Check(f"{_of(each)}{name}", _shown(wanted), *outcome.compare(each, name, wanted))
        for each in scenario.expect
        for name, wanted in each.checks.items()
    ]
    found += [outcome.called(each, events) for each in scenario.call]
    errors = [event for event in events if isinstance(event, ev.Error)]
    return found + [Check("no error", "true", shorten(error.message, 60), False) for error in errors]


class Outcome:
    """A conversation that was held: its replies, and its lines as they sounded."""

    def __init__(
        self, events: Sequence[Event], spoken: Sequence[tuple[float, float]], recording: Path
    ) -> None:
        user, self._agent = read_channels(recording)[:2]
        self._all = everything = turns(events)
        self._discarded = [r for r in everything if r.reason == "discarded"]
        self.replies = [r for r in everything if r.reason != "discarded" and r.committed is not None]
        ends = [*(begin for begin, _ in spoken[1:]), self._agent.end]
        self.lines = [
            Said(begin, after, *_span(user, begin, end, USER_AUDIBLE))
            for (begin, end), after in zip(spoken, ends, strict=False)
        ]

    def compare(self, expected: Expectation, name: str, wanted: Any) -> tuple[str, bool]:
        """What was seen of one expectation, and whether it is what was wanted."""
        if name == "turns":
            return str(len(self.replies)), len(self.replies) == wanted
        line, over, answer = self._about(expected)
        if name in ("interrupted", "stop_within", "resumed"):
            if line is None or over is None:
                return "nothing was said over a reply", False
            return self._yielded(name, wanted, line, over)
        if name == "no_answer":
            heard = answer is not None and answer.audio_started is not None
            return ("answered" if heard else "no answer"), not heard
        if name == "transcript_contains":
            text = answer.user if answer is not None else self._misunderstood(line)
            return _quoted(text), _contains(text, wanted)
        if answer is None:
            return "no reply", False
        if name == "continues":
            before = self.replies[max(0, self.replies.index(answer) - 1)]
            words = _words(answer.heard)
            return _quoted(answer.heard), bool(words) and _words(before.unheard)[: len(words)] == words
        if name == "heard_contains":
            return _quoted(answer.heard), _contains(answer.heard, wanted)
        if name == "heard_is":
            return _quoted(answer.heard), _words(answer.heard) == _words(wanted)
        return self._answered(wanted, line, answer)

    def called(self, wanted: ExpectedCall, events: Sequence[Event]) -> Check:
        """How often such a call was made, and when it began."""
        line = None if wanted.line is None else self.lines[wanted.line - 1]
        answers = {r.turn for r in self._all if line is None or line.begin < r.speech_end <= line.next}
        made = [
            event
            for event in events
            if isinstance(event, ev.ToolCalled) and event.turn in answers and _fits(event, wanted)
        ]
        ids = {event.call for event in made}
        over = [event for event in events if isinstance(event, ev.ToolReturned) and event.call in ids]
        seen, ok = f"{len(made)} times", len(made) == wanted.times
        others = [event.outcome for event in over if event.outcome != wanted.outcome]
        if ok and (others or len(over) < len(made)):
            seen, ok = f"{seen}, {others[0] if others else 'not over'}", False
        if ok and line is not None and wanted.within is not None and over:
            late = max(event.time - event.took for event in over) - line.last
            seen, ok = f"{seen}, after {late:.2f} s", late <= wanted.within
        given = ", ".join(f"{name}={value!r}" for name, value in wanted.arguments.items())
        about = f"{'' if wanted.line is None else f'line {wanted.line}: '}calls {wanted.name}({given})"
        return Check(about, f"{wanted.times} times, {wanted.outcome}", seen, ok)

    def _about(self, expected: Expectation) -> tuple[Said | None, TurnReport | None, TurnReport | None]:
        """The line, the reply that it was said over, and the reply to it."""
        if expected.line is not None:
            line = self.lines[expected.line - 1]
            return line, self._over(line), self._answer(line)
        if (expected.turn or 0) > len(self.replies):
            return None, None, None
        reply = self.replies[(expected.turn or 1) - 1]
        view = (
            self._over if expected.checks.keys() & {"interrupted", "stop_within", "resumed"} else self._answer
        )
        return next((each for each in self.lines if view(each) is reply), None), reply, reply

    def _over(self, line: Said) -> TurnReport | None:
        """The reply that sounded when the line began to sound."""
        return next((r for r in self.replies if _sounds(r, line.first)), None)

    def _answer(self, line: Said) -> TurnReport | None:
        """The first reply to something said from this line on and before the next."""
        return next((r for r in self.replies if line.begin < r.speech_end <= line.next), None)

    def _misunderstood(self, line: Said | None) -> str:
        """The words of a line that nothing was replied to."""
        if line is None:
            return ""
        texts = [r.user for r in self._discarded if line.begin < r.speech_end <= line.next and r.user]
        return texts[-1] if texts else ""

    def _yielded(self, name: str, wanted: Any, line: Said, over: TurnReport) -> tuple[str, bool]:
        cut = over.onset is not None and over.onset < line.next
        if name == "interrupted":
            return _shown(cut), cut == wanted
        later = [r.audio_started for r in self.replies if r.audio_started and r.turn > over.turn]
        end = min([self._agent.end, *(time - EARLY for time in later)])
        if name == "resumed":
            _, last = _span(self._agent, line.last, min(end, line.next), AGENT_AUDIBLE)
            again = not cut and last > line.last
            return ("resumed" if again else "cut" if cut else "silent"), again
        if not cut:
            return "not stopped", False
        _, last = _span(self._agent, line.first, end, AGENT_AUDIBLE)
        stopped = last - line.first
        return f"{stopped:.2f} s", stopped <= wanted

    def _answered(self, wanted: float, line: Said | None, answer: TurnReport) -> tuple[str, bool]:
        if line is None or answer.audio_started is None:
            return "nothing was heard", False
        end = self._agent.end if answer.ended is None else answer.ended
        first, _ = _span(self._agent, answer.audio_started - EARLY, end, AGENT_AUDIBLE)
        response = first - line.last
        return f"{response:.2f} s", 0.0 <= response <= wanted


def _fits(event: ev.ToolCalled, wanted: ExpectedCall) -> bool:
    """Whether a call has the name that is wanted, and the arguments."""
    given = ToolCall(event.call, event.name, event.arguments).data or {}
    return event.name == wanted.name and all(
        name in given and given[name] == value for name, value in wanted.arguments.items()
    )


def _sounds(reply: TurnReport, time: float) -> bool:
    return (
        reply.audio_started is not None
        and reply.audio_started <= time
        and (reply.ended is None or time < reply.ended)
    )


def _span(frame: Frame, begin: float, end: float, level: float) -> tuple[float, float]:
    """When the first and the last sample above `level` sound between two times; `begin` twice for none."""
    start = max(0, round(begin * frame.rate))
    loud = np.flatnonzero(np.abs(frame.samples[start : max(start, round(end * frame.rate))]) > level)
    if len(loud) == 0:
        return begin, begin
    return (start + int(loud[0])) / frame.rate, (start + int(loud[-1]) + 1) / frame.rate


def _of(expected: Expectation) -> str:
    if expected.line is not None:
        return f"line {expected.line}: "
    return f"turn {expected.turn}: " if expected.turn is not None else ""


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g} s"
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return f"“{shorten(text.strip(), 48)}”"


def _words(text: str) -> list[str]:
    """What must agree: the words, whatever their case and punctuation."""
    return re.findall(r"\w+(?:['’]\w+)*", text.lower())


def _contains(text: str, wanted: str) -> bool:
    return f" {' '.join(_words(wanted))} " in f" {' '.join(_words(text))} "
