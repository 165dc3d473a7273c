"""Events -> one picture: who spoke when, and where each turn's time went. Knows no live session."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from agent import events as ev
from agent.errors import BackchatError, MissingExtra
from agent.events import Event
from agent.languages.scripts import unspaced
from agent.reports.causes import in_words
from agent.reports.fonts import families
from agent.reports.waits import PARTS, THOUGHT, VISION, TurnReport, clock, shorten, turns
from audio.files import duration, read_channels
from audio.frame import Frame, Samples
from audio.private import replacing

# matplotlib's own type hints leave every keyword untyped, so nothing is lost by Any.
Axes: TypeAlias = Any
Figure: TypeAlias = Any

# All sizes are inches, at 100 pixels each.
DPI, WIDTH, LEFT, RIGHT = 100, 16.0, 1.0, 0.35
STRIP, AXIS = 2.95, 0.45
"""Height of one stretch of conversation, and of the axis below it."""
LONGEST_STRIP, MOST_STRIPS, LONGEST_WAVEFORM = 60.0, 10, 1200.0
"""Seconds of a stretch while there are few, how many there are, and seconds of sound held in memory."""
TURN, MOST_TURNS = 1.75, 12
"""Height of one turn's waterfall, and how many are drawn."""
USER, AGENT, LANE, CALL = 2.05, 0.85, 0.62, 0.12
"""Lower edge of each lane in a strip, and a lane's height; its words stand below it. Height of a call's bar,
which lies on the agent's lane."""
LINE, GLYPH = 0.22, 0.105
"""Height of a line of words and mean width of a character, at the font size BODY."""
MARK = 60
"""Most characters of a mark's label."""
HEADING, BODY, SMALL = 17, 13, 12
"""Font sizes in points."""

# Okabe and Ito's palette (2008), which stays distinct under the common kinds of colour blindness.
BLUE, ORANGE, GREEN, RED, INK, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#222222", "#767676"
PART_COLOURS = ("#999999", "#56B4E9", GREEN, "#F0E442", "#CC79A7", ORANGE, BLUE)
COLOUR_OF = dict(zip((*PARTS, VISION, THOUGHT), (*PART_COLOURS, RED, GREY), strict=True))


def draw(events: Sequence[Event], recording: Path | None, out: Path, shortest: float = 1.0) -> None:
    """Draw a conversation into the PNG file `out`, 1600 pixels wide, higher for longer ones.

    It shows what was said, so it is its owner's alone.
    recording: the conversation as stereo audio (left: user, right: agent) from time 0 of the events;
    without it, or beyond LONGEST_WAVEFORM, the lanes are plain. shortest: the least length of the
    time axis in seconds. Raises MissingExtra without matplotlib, AudioFileError for a bad recording,
    BackchatError when `out` cannot be written.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtra("drawing the timeline needs matplotlib", "plot") from error
    reports = turns(events)
    fonts, missing = families("".join(f"{report.user}{report.heard}{report.unheard}" for report in reports))
    plotting: Any = matplotlib
    with plotting.rc_context({"font.family": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # which the picture says itself
        _draw(events, reports, recording, out, shortest, missing)


def _draw(
    events: Sequence[Event],
    reports: Sequence[TurnReport],
    recording: Path | None,
    out: Path,
    shortest: float,
    missing: str,
) -> None:
    channels: tuple[Frame, ...] = ()
    if recording is not None and duration(recording) <= LONGEST_WAVEFORM:
        channels = read_channels(recording)[:2]
    sounded = [report for report in reports if report.voice_to_voice is not None]
    shown = sounded[:MOST_TURNS]
    total = max([shortest, *(event.time for event in events), *(frame.duration for frame in channels)])
    strips = min(MOST_STRIPS, math.ceil(total / LONGEST_STRIP))
    height = 1.1 + strips * (STRIP + AXIS) + (0.9 + len(shown) * TURN if shown else 0.0)
    figure = _canvas(height)
    blocks = list(_blocks(events, reports, total))
    _legend(figure, height, any(kind == "call" for kind, *_ in blocks))
    top = height - 0.65
    for number in range(strips):
        axes = _axes(figure, LEFT, top - STRIP, WIDTH - LEFT - RIGHT, STRIP)
        span = (total * number / strips, total * (number + 1) / strips)
        _strip(axes, blocks, reports, channels, span)
        top -= STRIP + AXIS
    if shown:
        _waterfalls(figure, shown, top)
    if len(sounded) > len(shown):
        note = f"Waits of the first {MOST_TURNS} of {len(sounded)} replies; the latency table has them all."
        _write(figure, LEFT, 0.12, note, SMALL, GREY)
    if missing:
        note = "No font here has all letters of what was said; install one, such as Noto Sans CJK."
        _write(figure, LEFT + 6.0, height - 0.4, note, SMALL, RED)
    try:
        with replacing(out) as file:
            figure.savefig(file, format="png")
    except OSError as error:
        raise BackchatError(f"{out}: cannot be written ({error.strerror}); choose another folder") from error


def _canvas(height: float) -> Figure:
    """An empty picture; not through pyplot, so nothing is shown."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Empty axes, placed in inches from the lower left corner."""
    wide, high = figure.get_size_inches()
    axes = figure.add_axes((left / wide, bottom / high, width / wide, height / high))
    axes.tick_params(labelsize=SMALL, colors=INK, length=3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.set_yticks([])
    return axes


def _write(figure: Figure, x: float, y: float, text: str, size: float, colour: str, **more: Any) -> None:
    """Text at a place in inches from the lower left corner; a `$` in it is no formula."""
    wide, high = figure.get_size_inches()
    figure.text(x / wide, y / high, text, fontsize=size, color=colour, parse_math=False, **more)


def _legend(figure: Figure, height: float, calls: bool) -> None:
    """calls: whether a tool was called."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    _write(figure, LEFT, height - 0.4, "Who spoke when", HEADING, INK, weight="bold")
    keys = [
        Patch(color=BLUE, alpha=0.6, label="user"),
        Patch(color=ORANGE, alpha=0.8, label="agent"),
        Line2D([], [], color=GREY, linewidth=3, label="the user waits"),
        *([Patch(color=GREEN, label="a tool works")] if calls else []),
        Patch(facecolor="white", edgecolor=GREY, hatch="////", label="begun on a pause, dropped"),
        Line2D([], [], color=RED, linestyle="--", linewidth=2, label="the reply is cut"),
    ]
    corner = (1 - RIGHT / WIDTH, 1 - 0.1 / height)
    look = {"frameon": False, "fontsize": BODY, "handlelength": 1.4, "columnspacing": 1.3}
    figure.legend(handles=keys, loc="upper right", bbox_to_anchor=corner, ncols=len(keys), **look)


def _blocks(
    events: Sequence[Event], reports: Sequence[TurnReport], total: float
) -> Iterator[tuple[str, float, float]]:
    """All that fills the lanes: user, pause, agent, wait, dropped or call; from when to when (s)."""
    begin, paused = None, 0.0
    for event in events:
        if isinstance(event, ev.SpeechStarted):
            begin = event.at
        elif isinstance(event, ev.SpeechResumed):
            begin = event.time
            yield "pause", paused, begin
        elif isinstance(event, ev.SpeechPaused) and begin is not None:
            yield "user", begin, event.at
            begin, paused = None, event.at
    if begin is not None:
        yield "user", begin, total
    for event in events:
        if isinstance(event, ev.ToolReturned) and event.outcome != "refused":
            yield "call", event.time - event.took, event.time
    for report in reports:
        over = total if report.ended is None else report.ended
        if report.reason == "discarded":
            yield "discarded", report.opened, over
        elif report.audio_started is not None:
            yield "wait", report.speech_end, report.audio_started
            yield "agent", report.audio_started, over


def _strip(
    axes: Axes,
    blocks: Sequence[tuple[str, float, float]],
    reports: Sequence[TurnReport],
    channels: Sequence[Frame],
    span: tuple[float, float],
) -> None:
    """One stretch of the conversation: two lanes over one time axis, y in inches."""
    axes.set_xlim(*span)
    axes.set_ylim(0, STRIP)
    axes.xaxis.set_major_formatter(_tick)
    for lane, name in ((USER, "user  "), (AGENT, "agent  ")):
        axes.axhline(lane + LANE / 2, color="#DDDDDD", linewidth=1, zorder=0)
        axes.text(span[0], lane + LANE / 2, name, ha="right", va="center", fontsize=BODY + 1, color=INK)
    for kind, begin, end in blocks:
        if begin < span[1] and end > span[0]:
            _fill(axes, kind, begin, end, 0.22 if channels else 0.6)
    for frame, lane, colour in zip(channels, (USER, AGENT), (BLUE, ORANGE), strict=False):
        at, level = _envelope(frame, span)
        middle, reach = lane + LANE / 2, level * LANE / 2
        axes.fill_between(at, middle - reach, middle + reach, color=colour, linewidth=0)
    spoken = [report for report in reports if report.reason != "discarded"]
    said = [(r.speech_start, f"{f'{r.turn} {r.speaker}'.strip()}: {r.user}", "") for r in spoken]
    _words(axes, USER, said, span)
    _words(axes, AGENT, [(r.audio_started or -1.0, r.heard, r.unheard) for r in spoken], span)
    _marks(axes, spoken, span)


def _marks(axes: Axes, spoken: Sequence[TurnReport], span: tuple[float, float]) -> None:
    """Where a reply was cut, and where it was silent for somebody, each with its cause."""
    marks = [(r.onset, f"cut in at {r.onset:.1f} s", r.cause, RED) for r in spoken if r.onset is not None]
    marks += [(p.begin, "silent", p.resumed or p.cause, GREY) for r in spoken for p in r.pauses if p.end]
    free = span[0]
    for at, label, cause, colour in sorted(marks, key=lambda mark: mark[0]):
        if not span[0] <= at < span[1]:
            continue
        label = shorten(f"{label}: {in_words(cause)}" if cause is not None else label, MARK)
        width = _seconds(span, len(label) * GLYPH)
        axes.axvline(at, color=colour, linestyle="--", linewidth=2, ymin=AGENT / STRIP)
        side = "right" if span[1] - at < width else "left"
        if (at - width if side == "right" else at) >= free:  # where two are too close, the second has none
            axes.text(at, STRIP - 0.2, f" {label} ", color=colour, fontsize=SMALL, ha=side, parse_math=False)
            free = at + width


def _tick(second: float, _: int | None) -> str:
    return clock(second).removeprefix("0").removesuffix(".0")


def _seconds(span: tuple[float, float], inches: float) -> float:
    """How much time a width on a strip is worth."""
    return inches * (span[1] - span[0]) / (WIDTH - LEFT - RIGHT)


def _fill(axes: Axes, kind: str, begin: float, end: float, alpha: float) -> None:
    """One block of a lane; `alpha` is low where a waveform goes over it."""
    lane = USER if kind in ("user", "pause") else AGENT
    if kind == "call":
        axes.broken_barh([(begin, end - begin)], (AGENT + LANE + 0.03, CALL), facecolor=GREEN, linewidth=0)
        return
    box = ([(begin, end - begin)], (lane, LANE))
    if kind == "wait":
        middle = lane + LANE / 2
        axes.plot((begin, end), (middle, middle), color=GREY, linewidth=3, solid_capstyle="butt")
    elif kind == "discarded":
        axes.broken_barh(*box, facecolor="white", edgecolor=GREY, hatch="////")
    else:
        colour = BLUE if lane == USER else ORANGE
        axes.broken_barh(*box, facecolor=colour, alpha=0.1 if kind == "pause" else alpha, linewidth=0)


def _envelope(frame: Frame, span: tuple[float, float]) -> tuple[Samples, Samples]:
    """Times (s) and peaks, 1 being the loudest of the whole channel; at most 1,400 of each."""
    first, last = (min(len(frame.samples), round(second * frame.rate)) for second in span)
    cuts = np.unique(np.linspace(first, last, 1400, endpoint=False).astype(np.int64))
    if first == last:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    loudest = max(float(np.max(frame.samples)), -float(np.min(frame.samples)), 1e-3)
    peaks = np.maximum.reduceat(np.abs(frame.samples[first:last]), cuts - first) / loudest
    return (cuts / frame.rate).astype(np.float32), peaks.astype(np.float32)


def _words(
    axes: Axes, lane: float, said: Sequence[tuple[float, str, str]], span: tuple[float, float]
) -> None:
    """What was said (when, heard, unheard) below a lane, as much as fits before the next; unheard in grey."""
    inside = [words for words in said if span[0] <= words[0] < span[1]]
    ends = [*(begin for begin, *_ in inside[1:]), span[1]][: len(inside)]
    lines = 2 if lane == USER else 3
    for (begin, heard, unheard), end in zip(inside, ends, strict=True):
        wide = GLYPH * (1.6 if unspaced(heard) else 1.0)
        width = int((end - begin) / _seconds(span, wide)) - 2
        if width < 10:
            continue
        unheard = " ".join(unheard.split())
        kept = _wrapped(heard, width, lines - bool(unheard))
        lost = _wrapped(f"not heard: {unheard}" if unheard else "", width, 1)
        x = begin + _seconds(span, 0.05)
        for number, line in enumerate(kept + lost):
            colour = INK if number < len(kept) else GREY
            y = lane - 0.06 - number * LINE
            axes.text(x, y, line, color=colour, fontsize=BODY, va="top", parse_math=False)


def _wrapped(text: str, width: int, lines: int) -> list[str]:
    """The first lines of a text, with "…" where there are more; a script without blanks is cut anywhere."""
    if not unspaced(text):
        return textwrap.wrap(text, width, max_lines=lines, placeholder=" …")
    cut = [text[at : at + width] for at in range(0, len(text), width)]
    return cut if len(cut) <= lines else [*cut[: lines - 1], f"{cut[lines - 1][:-1]}…"]


def _waterfalls(figure: Figure, shown: Sequence[TurnReport], top: float) -> None:
    """One row a reply: on the left the wait in milliseconds, on the right writing and speaking in seconds."""
    wait_width, reply_left = 8.6, LEFT + 9.5
    _write(figure, LEFT, top - 0.3, "Where the wait went", HEADING, INK, weight="bold")
    _write(figure, reply_left, top - 0.3, "Speaking while still writing", HEADING, INK, weight="bold")
    longest_wait = max(r.voice_to_voice or 0.0 for r in shown) * 1000
    longest_reply = max(_over(r) - r.speech_end for r in shown)
    top -= 0.4
    for report in shown:
        bottom = top - TURN + 0.1
        wait = _axes(figure, LEFT, bottom, wait_width, TURN - 0.5)
        reply = _axes(figure, reply_left, bottom, WIDTH - RIGHT - reply_left, TURN - 0.5)
        _write(figure, LEFT - 0.1, top - 0.3, str(report.turn), HEADING, INK, weight="bold", ha="right")
        title = f"“{shorten(report.user, 40)}”  answered after {(report.voice_to_voice or 0.0) * 1000:.0f} ms"
        if report.waited_for is not None:
            cause = replace(report.waited_for, text="", seconds=None, voice=None)
            title += f": {shorten(in_words(cause), 80)}"
        _write(figure, LEFT, top - 0.3, title, BODY, INK)
        _wait(wait, report, longest_wait)
        _reply(reply, report, longest_reply)
        for axes, unit in ((wait, "ms"), (reply, "s")):
            axes.tick_params(labelbottom=report is shown[-1])
            if report is shown[-1]:
                axes.set_xlabel(f"{unit} after the user's last sound", fontsize=SMALL, color=INK)
        top -= TURN


def _wait(axes: Axes, report: TurnReport, longest: float) -> None:
    """The parts of one wait, each on its own line below the one before, with its milliseconds."""
    axes.set_xlim(0, max(longest, 1.0) * 1.25)  # the rest is room for the last label
    axes.set_ylim(len(report.parts) - 0.4, -0.6)
    begin = 0.0
    for line, (label, seconds) in enumerate(report.parts):
        end, colour = begin + seconds * 1000, COLOUR_OF[label]
        axes.barh(line, end - begin, left=begin, height=0.8, color=colour, edgecolor=GREY, linewidth=0.5)
        told = f" {label} {end - begin:.0f} ms"
        if queued := report.queued.get(label, 0.0) * 1000:
            axes.barh(line, queued, left=begin, height=0.8, color="none", edgecolor=INK, hatch="////")
            told += f", {queued:.0f} of them behind other conversations"
        axes.text(end, line, told, va="center", fontsize=SMALL - 1, color=INK)
        begin = end


def _reply(axes: Axes, report: TurnReport, longest: float) -> None:
    """When the reply was written and when it sounded, on one axis."""
    axes.set_xlim(0, max(longest, 0.1) * 1.02)
    axes.set_ylim(-0.2, 3.2)
    over, origin = _over(report), report.speech_end
    first = origin if report.first_token is None else report.first_token
    sound = origin if report.audio_started is None else report.audio_started
    last = over if report.generation_ended is None else report.generation_ended
    axes.barh(2.0, last - first, left=first - origin, height=0.3, color=GREEN)
    axes.barh(0.3, over - sound, left=sound - origin, height=0.6, color=ORANGE)
    both = max(0.0, min(last, over) - sound)
    axes.axvspan(sound - origin, sound - origin + both, color=ORANGE, alpha=0.15, linewidth=0)
    wrote = f"writes {report.tokens} tokens in {last - first:.1f} s ({both:.1f} s while speaking)"
    wrote += "" if report.whole else ", and may write no more"
    axes.text(0, 2.4, wrote, fontsize=SMALL, color=INK)
    cut = "" if report.onset is None else ", then is cut"
    axes.text(0, 0.8, f"speaks {over - sound:.1f} s{cut}", fontsize=SMALL, color=INK)


def _over(report: TurnReport) -> float:
    """When the reply, or what is known of it, was over."""
    known = (report.speech_end, report.audio_started, report.generation_ended)
    return max(time for time in known if time is not None) if report.ended is None else report.ended
