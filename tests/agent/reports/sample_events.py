"""A conversation made up for tests: three replies, the second interrupted, and one begun too early."""

from __future__ import annotations

import re
from dataclasses import fields, replace

from agent import events as ev
from agent.causes import Cause
from agent.events import Event

STORY = (
    "Once there was a lighthouse keeper called Ada. Every night she climbed ninety steps to light the lamp. "
    "One winter a storm put it out, and she rowed to the ships with a lantern. Nobody was lost that night."
)
WHOLE = Cause("endpointing", seconds=0.3, wait=0.3, sign="question", voice=0.98)
CUT = STORY.index(" and she rowed")


def speech(begin: float, end: float, pause: float = 0.16) -> list[Event]:
    return [
        ev.Onset(begin + 0.03, begin),
        ev.SpeechStarted(begin + 0.09, begin),
        ev.SpeechPaused(end + pause, end),
    ]


def reply(
    number: int, said: str, speech_end: float, text: str, seconds_per_token: float = 0.05
) -> list[Event]:
    """A reply as the real engines would time it, from the pause to the last word heard."""
    opened, done = speech_end + 0.16, speech_end + 0.25
    events: list[Event] = [
        ev.TurnOpened(opened, number, speech_end),
        ev.Transcribed(done, number, said, 0.09),
        ev.TurnCommitted(speech_end + 0.3, number, said, WHOLE),
    ]
    tokens = re.findall(r"\s*\S{1,6}", text)
    now, played, start = done + 0.07, 0.0, 0
    first_audio: float | None = None
    at = 0
    for token in tokens:
        events.append(ev.Token(round(now, 4), number, token))
        at += len(token)
        if token.endswith((".", ",", "?")) and at - start > 20:
            seconds = (at - start) * 0.062
            events.append(ev.Chunk(now, number, start, at, text[start:at], text[start:at].strip()))
            events.append(ev.Synthesized(round(now + 0.025, 4), number, start, at, seconds, 0.024))
            if first_audio is None:
                first_audio = max(now + 0.025, speech_end + 0.3) + 0.012
                events.append(ev.AudioStarted(round(first_audio, 4), number))
            for word in re.finditer(r"\S+", text[start:at]):
                heard_at = first_audio + played + word.end() * 0.062
                events.append(
                    ev.WordHeard(round(heard_at, 4), number, start + word.start(), start + word.end())
                )
            played += seconds
            start = at
        now += seconds_per_token
    events.append(ev.GenerationEnded(round(now, 4), number, len(tokens)))
    assert first_audio is not None
    events.append(ev.TurnEnded(round(first_audio + played, 4), number, "finished", text, ""))
    return events


def cut(events: list[Event], number: int, onset: float, at: int, text: str) -> list[Event]:
    """The same reply, interrupted by speech that began at `onset`, with `text[:at]` heard."""
    stop = round(onset + 0.21, 4)
    kept = [event for event in events if event.time <= stop]
    return [
        *kept,
        ev.Interrupted(stop, number, onset, Cause("words", "Wait.")),
        ev.TurnEnded(stop, number, "interrupted", text[:at], text[at:]),
    ]


def sample() -> list[Event]:
    """The whole conversation, ordered by time."""
    paris = "The capital of France is Paris. It lies on the Seine."
    week = "There are seven days in a week, from Monday to Sunday."
    story = reply(3, "Tell me a story about a lighthouse keeper.", 9.62, STORY)
    begun = next(event.time for event in story if isinstance(event, ev.AudioStarted))
    onset = round(begun + CUT * 0.062 - 0.1, 2)
    events: list[Event] = [
        ev.SessionStarted(0.0, "qwen2.5-0.5b", "whisper-tiny.en", "hibari heart"),
        *speech(0.5, 2.1),
        ev.Decision(2.4, 1, "commit", WHOLE),
        *reply(1, "What is the capital of France?", 2.1, paris),
        *speech(7.0, 7.8),
        ev.TurnOpened(7.96, 2, 7.8),
        ev.Transcribed(8.05, 2, "Tell me a", 0.09),
        ev.Token(8.07, 2, "What"),
        ev.SpeechResumed(8.08),
        ev.TurnDiscarded(8.09, 2, Cause("went_on"), 1),
        ev.InterimTranscript(9.0, "Tell me a story about"),
        ev.SpeechPaused(9.78, 9.62),
        *cut(story, 3, onset, CUT, STORY),
        *speech(onset, onset + 2.4),
        *reply(4, "Wait. How many days are there in a week?", onset + 2.4, week),
        ev.FalseOnset(1.0),
        ev.SessionEnded(onset + 8.0),
    ]
    return sorted(map(rounded, events), key=lambda event: event.time)


def rounded(event: Event) -> Event:
    """The event as a file keeps it: times to 0.1 ms."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return replace(event, **{k: round(v, 4) for k, v in values.items() if isinstance(v, float)})
