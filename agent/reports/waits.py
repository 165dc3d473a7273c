"""What each turn did and where its time went, told from events as text and files. Knows no live session."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent import events as ev
from agent.causes import Cause
from agent.events import Event
from agent.reports.causes import in_words

PARTS: tuple[str, ...] = ("end of turn", "STT", "first token", "first chunk", "TTS", "commit", "start")
"""What a wait is made of, in order: silence until work began, transcription, the language model's
first token, the first speakable piece, its speech, the turn judged over, the speaker's start."""
VISION = "vision"
"""One more, behind STT, where something was shown: the look at it, as far as it was waited for."""
THOUGHT = "thought"
"""One more, before the first token, where the model thought before it answered."""

QUEUED = "queued"
"""One more, behind the whole wait: the seconds of it that were spent behind other conversations."""
ENGINES: dict[str, str] = {
    "STT": "stt",
    VISION: "vision",
    THOUGHT: "llm",
    "first token": "llm",
    "first chunk": "llm",
    "TTS": "tts",
    "commit": "endpointing",
}
"""The engine whose work a part is."""


LATE = 1.0
"""Seconds of silence from which an answer is late: the longest that people bear (Jefferson 1989, "Preliminary
notes on a possible metric which provides for a 'standard maximum' silence of approximately one second")."""


@dataclass(slots=True)
class Silence:
    """A stretch of a reply in which it kept its place, from `begin` (s), and why; `resumed`: why it went on.

    `end` (s) and `resumed` are None where it did not.
    """

    begin: float
    cause: Cause
    end: float | None = None
    resumed: Cause | None = None


@dataclass(slots=True)
class TurnReport:
    """One turn, as its events tell it. Times are seconds on the session's clock, None where never reached.

    speech_start, speech_end: the last stretch of the user's speech that the turn answers.
    transcribed: when the words were there; `stt_took`: seconds that the transcription itself took.
    seen: when what was shown had been looked at. thought: when the model had thought, if it did.
    first_speech: when the first part of the reply had become speech.
    committed: when the user's turn was judged over.
    onset: where the user began to speak over the reply; `cut`: when it was cut for that.
    ended: the reply's end, or when it was dropped; `reason`: finished, interrupted, error, dropped,
        or "" when the events stop before the turn does.
    waited_for: why the user's turn was judged over then, and not before.
    cause: why it was cut or dropped; None for one that was not. `pauses`: where it was silent for somebody.
    user: what they said; `speaker`: who, where their voice is known.
    reply: everything generated; `heard` + `unheard` is the same, split at the last word that sounded.
    whole: whether the model ended it by itself, and not for want of tokens.
    """

    turn: int
    speech_start: float
    speech_end: float
    opened: float
    transcribed: float | None = None
    stt_took: float | None = None
    first_token: float | None = None
    first_chunk: float | None = None
    first_speech: float | None = None
    committed: float | None = None
    audio_started: float | None = None
    generation_ended: float | None = None
    onset: float | None = None
    cut: float | None = None
    ended: float | None = None
    reason: str = ""
    waited_for: Cause | None = None
    cause: Cause | None = None
    pauses: list[Silence] = field(default_factory=list[Silence])
    user: str = ""
    speaker: str = ""
    reply: str = ""
    heard: str = ""
    unheard: str = ""
    tokens: int = 0
    whole: bool = True
    seen: float | None = None
    thought: float | None = None
    waits: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])
    """From when to when (s) something of it waited for its engine, which other conversations had."""

    @property
    def voice_to_voice(self) -> float | None:
        """Seconds from the user's last speech to the reply's first sample, at least 0; None: no sound."""
        return None if self.audio_started is None else max(0.0, self.audio_started - self.speech_end)

    @property
    def parts(self) -> list[tuple[str, float]]:
        """The wait as (name from PARTS, seconds), none negative, adding up to `voice_to_voice`.

        Where something was shown there is one more, VISION, behind the words, and where the model thought
        first, THOUGHT. What was done at the same time as something slower counts 0. Empty for a silent turn.
        """
        if self.audio_started is None:
            return []
        made = (self.first_token, self.first_chunk, self.first_speech, self.committed, self.audio_started)
        reached = list(zip(PARTS, (self.opened, self.transcribed, *made), strict=True))
        if self.seen is not None:
            reached.insert(PARTS.index("STT") + 1, (VISION, self.seen))
        if self.thought is not None:
            reached.insert([label for label, _ in reached].index("first token"), (THOUGHT, self.thought))
        waits: list[tuple[str, float]] = []
        now = min(self.speech_end, self.audio_started)
        for label, time in reached:
            then = now if time is None else min(max(time, now), self.audio_started)
            waits.append((label, then - now))
            now = then
        return waits

    @property
    def queued(self) -> dict[str, float]:
        """Of each of `parts`, the seconds for which others had its engine, where they had."""
        found: dict[str, float] = {}
        begin = min(self.speech_end, self.audio_started or 0.0)
        for label, seconds in self.parts:
            end = begin + seconds
            spans = ((b, e) for engine, b, e in self.waits if engine == ENGINES.get(label))
            waited = sum(max(0.0, min(e, end) - max(b, begin)) for b, e in spans)
            if waited > 0:
                found[label] = waited
            begin = end
        return found


def turns(events: Iterable[Event]) -> list[TurnReport]:
    """One report a turn, in the order in which they were opened; dropped ones too."""
    found: dict[int, TurnReport] = {}
    starts: list[float] = []
    for event in events:
        if isinstance(event, ev.SpeechStarted):
            starts.append(event.at)
        elif isinstance(event, ev.TurnOpened):
            start = max((at for at in starts[-8:] if at <= event.speech_end), default=event.speech_end)
            found[event.turn] = TurnReport(event.turn, start, event.speech_end, event.time)
        else:
            report = found.get(getattr(event, "turn", None) or 0)
            if report is not None:
                _note_wait(report, event)
                _note_end(report, event)
    return list(found.values())


def _note_wait(report: TurnReport, event: Event) -> None:
    """Put what happens up to the reply's first sound into the report; the first of its kind counts."""
    match event:
        case ev.Queued():
            report.waits.append((event.engine, event.time - event.seconds, event.time))
        case ev.Transcribed():
            report.transcribed, report.stt_took = event.time, event.took
            report.user, report.speaker = event.text, event.speaker
        case ev.Seen():
            report.seen = event.time
        case ev.Thought() if report.first_token is None:
            report.thought = event.time
        case ev.TurnCommitted():
            report.committed, report.user = event.time, event.text
            report.waited_for, report.speaker = event.cause, event.speaker
        case ev.Token():
            report.tokens += 1
            report.reply += event.text
            if report.first_token is None:
                report.first_token = event.time
        case ev.Chunk() if report.first_chunk is None:
            report.first_chunk = event.time
        case ev.Synthesized() if report.first_speech is None:
            report.first_speech = event.time
        case ev.AudioStarted():
            report.audio_started = event.time
        case _:
            pass


def _note_end(report: TurnReport, event: Event) -> None:
    """Put what ends the reply, or a part of it, into the report."""
    match event:
        case ev.GenerationEnded():
            report.generation_ended, report.tokens = event.time, event.tokens
            report.whole = event.reason == "stop"
        case ev.AudioPaused(time=time):
            report.cut = time
            report.pauses.append(Silence(time, event.cause))
        case ev.AudioResumed():
            report.cut = None
            for silence in report.pauses[-1:]:
                silence.end, silence.resumed = event.time, event.cause
        case ev.Interrupted():
            report.onset, report.cut = event.onset, report.cut or event.time
            report.cause = event.cause
        case ev.TurnDiscarded():
            report.ended, report.reason, report.cause = event.time, "discarded", event.cause
            report.tokens = event.tokens
        case ev.TurnEnded():
            report.ended, report.reason = report.cut or event.time, event.reason
            report.heard, report.unheard = event.heard, event.unheard
            report.reply = event.heard + event.unheard
        case _:
            pass


def shorten(text: str, width: int) -> str:
    """`text` on one line, at most `width` (>= 1) characters, an ellipsis where something is left out."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


def clock(seconds: float) -> str:
    """A time as mm:ss.s, to the nearest tenth of a second."""
    tenths = round(seconds * 10)
    return f"{tenths // 600:02d}:{tenths % 600 // 10:02d}.{tenths % 10}"


def transcript_markdown(events: Sequence[Event]) -> str:
    """The conversation as Markdown: who said what and when, what was heard, where a reply was cut.

    What was generated and not heard is struck through. A dropped turn leaves no trace, unless its
    words were never taken up by a later one.
    """
    reports = turns(events)
    answered = [r for r in reports if r.reason != "discarded" and (r.user or r.reply)]
    lines: list[tuple[float, str]] = []
    for report in answered:
        lines.append((report.speech_start, f"**User** ({clock(report.speech_start)}): {_md(report.user)}"))
        begin = report.ended if report.audio_started is None else report.audio_started
        if begin is not None:
            lines.append((begin, f"**Agent** ({clock(begin)}): {_agent_markdown(report)}"))
    for report in reports:
        taken_up = any(r.speech_start <= report.speech_end <= r.speech_end for r in answered)
        if report.cause is not None and report.reason == "discarded" and report.user and not taken_up:
            said = f"**User** ({clock(report.speech_start)}): {_md(report.user)}"
            lines.append((report.speech_start, f"{said} *(no reply: {_md(in_words(report.cause))})*"))
    for event in events:
        if isinstance(event, ev.Error):
            lines.append((event.time, f"*{clock(event.time)}: error in {event.where}: {_md(event.message)}*"))
    lines.sort(key=lambda line: line[0])
    return "\n\n".join(["# Transcript", _heading(events), *(line for _, line in lines)]) + "\n"


def _heading(events: Iterable[Event]) -> str:
    started = next((e for e in events if isinstance(e, ev.SessionStarted)), None)
    note = "~~Struck through~~: written by the language model, never heard, not in the history."
    return f"{_md(f'LLM {started.llm}, STT {started.stt}, TTS {started.tts}.')} {note}" if started else note


def _agent_markdown(report: TurnReport) -> str:
    """Heard text, the rest struck through, and why there is a rest, a silence, or a wait."""
    text, unheard = _md(report.heard), _md(report.unheard)
    if unheard:
        # Strike-through marks must touch the words they strike: the space goes before them.
        apart = report.heard[-1:].isspace() or report.unheard[:1].isspace()
        text += f"{' ' if apart else ''}~~{unheard}~~"
    for note in notes(report):
        text += f" *({_md(note)})*"
    if report.onset is None and report.reason != "finished":
        text += " *(ended by an error)*" if report.reason == "error" else " *(the events end here)*"
    return text.strip() or "*(nothing was said)*"


def notes(report: TurnReport) -> list[str]:
    """Why a reply came late, was silent for a while, or was cut, as far as it was, each in one line."""
    told: list[str] = []
    wait = report.voice_to_voice
    if report.waited_for is not None and wait is not None and wait >= LATE:
        longest, seconds = max(report.parts, key=lambda part: part[1])
        told.append(f"after {wait:.1f} s, {seconds:.1f} s of it {longest}: {in_words(report.waited_for)}")
        if queued := sum(report.queued.values()):
            told.append(f"{queued:.1f} s of that behind other conversations")
    for silence in report.pauses:
        if silence.end is not None and silence.resumed is not None:
            why = f"{in_words(silence.cause)}; {in_words(silence.resumed)}"
            told.append(f"silent from {silence.begin:.1f} to {silence.end:.1f} s: {why}")
    if report.cut is not None and report.onset is not None and report.cause is not None:
        after = report.cut - report.onset
        began = f", {after:.2f} s after the user began" if after > 0 else ""
        told.append(f"cut at {report.cut:.1f} s{began}: {in_words(report.cause)}")
    return told


def _md(text: str) -> str:
    """Text on one line, with what Markdown would take for marks escaped."""
    return re.sub(r"([\\`*_~\[\]<>#|])", r"\\\1", " ".join(text.split()))


def columns(reports: Iterable[TurnReport]) -> list[str]:
    """What a table of waits tells: the parts, the whole, and what is rarer only where a turn has it."""
    reports = list(reports)
    names = list(PARTS)
    if any(report.seen is not None for report in reports):
        names.insert(PARTS.index("STT") + 1, VISION)
    if any(report.thought is not None for report in reports):
        names.insert(names.index("first token"), THOUGHT)
    queued = [QUEUED] if any(report.queued for report in reports) else []
    return [*names, "voice to voice", *queued]


def cells(report: TurnReport, names: Sequence[str]) -> list[float]:
    """A turn that sounded, in these columns (s); 0 for a part that it does not have."""
    whole = {"voice to voice": report.voice_to_voice or 0.0, QUEUED: sum(report.queued.values())}
    values = whole | dict(report.parts)
    return [values.get(name, 0.0) for name in names]


def latency_table(events: Sequence[Event]) -> str:
    """The waits of all turns that sounded, as a plain text table in milliseconds, below 100 columns.

    The parts of a row add up to "voice to voice", save for rounding; with more than one row the medians
    follow, each of its own column.
    """
    sounded = [r for r in turns(events) if r.voice_to_voice is not None]
    if not sounded:
        return "no reply was heard"
    names = columns(sounded)
    values = [cells(report, names) for report in sounded]
    heads = [column.rpartition(" ") for column in names]
    widths = [max(len(first), len(last), 5) for first, _, last in heads]

    def row(turn: str, question: str, shown: Iterable[str]) -> str:
        right = "  ".join(cell.rjust(width) for cell, width in zip(shown, widths, strict=True))
        return f"{turn:>4}  {question:<24}  {right}"

    def numbers(seconds: Iterable[float]) -> list[str]:
        return [f"{second * 1000:.0f}" for second in seconds]

    first_line = row("", "milliseconds", [first for first, _, _ in heads])
    rule = "-" * len(first_line)
    lines = [first_line, row("turn", "question", [last for _, _, last in heads]), rule]
    for report, line in zip(sounded, values, strict=True):
        lines.append(row(str(report.turn), shorten(report.user, 24), numbers(line)))
    if len(sounded) > 1:
        medians = [statistics.median(column) for column in zip(*values, strict=True)]
        lines += [rule, row("", "median", numbers(medians))]
    return "\n".join([*lines, *discarded(events)])


def discarded(events: Iterable[Event]) -> list[str]:
    """A line on what was thrown away, if anything: answers begun at a pause that was not the end."""
    reports = turns(events)
    early = [report for report in reports if report.reason == "discarded"]
    written, wasted = (sum(report.tokens for report in some) for some in (reports, early))
    if not early or not written:
        return []
    share = f"{wasted} of {written} tokens ({100 * wasted / written:.0f} %)"
    return [f"thrown away: {len(early)} of {len(reports)} answers, begun too early; {share}"]
