"""What is told of a session: the parts of a wait, the transcript, the table and the file of events."""

from __future__ import annotations

import dataclasses
import json
import re
import runpy
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import events as ev
from agent.causes import Cause
from agent.errors import BackchatError, ScriptError
from agent.reports import event_log as eventlog
from agent.reports import waits as report
from agent.text.cleaning import cleaned

SAMPLE = runpy.run_path(str(Path(__file__).with_name("sample_events.py")))
EVENTS: list[ev.Event] = SAMPLE["sample"]()

times = st.floats(0, 50, allow_nan=False)
maybe = st.none() | times


def test_turns_tell_what_happened_to_each():
    first, dropped, cut, last = report.turns(EVENTS)
    assert [r.turn for r in (first, dropped, cut, last)] == [1, 2, 3, 4]
    assert (first.speech_start, first.speech_end) == (0.5, 2.1)
    assert first.opened == pytest.approx(2.26)
    assert (first.user, first.reason, first.stt_took) == ("What is the capital of France?", "finished", 0.09)
    assert first.reply == first.heard == "The capital of France is Paris. It lies on the Seine."
    assert (dropped.reason, dropped.cause, dropped.tokens) == ("discarded", Cause("went_on"), 1)
    assert (dropped.heard, dropped.voice_to_voice, dropped.parts) == ("", None, [])
    assert (cut.reason, cut.speech_start) == ("interrupted", 7.0)
    assert cut.heard + cut.unheard == cut.reply == SAMPLE["STORY"]
    assert cut.onset is not None
    assert cut.cut == pytest.approx(cut.onset + 0.21)
    assert last.speech_start == cut.onset


def test_work_that_was_thrown_away_is_told():
    written = sum(turn.tokens for turn in report.turns(EVENTS))
    (line,) = report.discarded(EVENTS)
    assert line.startswith(f"thrown away: 1 of 4 answers, begun too early; 1 of {written} tokens (")
    assert report.discarded(turn_events("Hi.", "Hello.")) == []


def test_parts_name_the_wait():
    first = report.turns(EVENTS)[0]
    parts = {label: round(seconds, 4) for label, seconds in first.parts}
    assert tuple(parts) == report.PARTS
    assert parts == {
        "end of turn": 0.16,
        "STT": 0.09,
        "first token": 0.07,
        "first chunk": 0.3,
        "TTS": 0.025,
        "commit": 0.0,
        "start": 0.012,
    }
    assert first.voice_to_voice == pytest.approx(0.657)


def test_a_gate_that_opens_late_is_waited_for():
    turn = report.TurnReport(1, 0.0, 1.0, 1.1, 1.2, None, 1.25, 1.3, 1.35, committed=1.8, audio_started=1.82)
    assert dict(turn.parts)["commit"] == pytest.approx(0.45)
    assert dict(turn.parts)["start"] == pytest.approx(0.02)


@settings(deadline=None)  # other work on the machine is no failure
@given(times, times, maybe, maybe, maybe, maybe, maybe, times)
def test_parts_add_up_and_are_never_negative(end, opened, done, token, piece, speech, released, audio):
    turn = report.TurnReport(
        1, 0.0, end, opened, done, None, token, piece, speech, released, audio_started=audio
    )
    waits = [seconds for _, seconds in turn.parts]
    assert len(waits) == len(report.PARTS)
    assert min(waits) >= 0.0
    assert turn.voice_to_voice is not None
    assert sum(waits) == pytest.approx(turn.voice_to_voice, abs=1e-9)
    assert turn.voice_to_voice == pytest.approx(max(0.0, audio - end))


QUEUES = [  # when it was the engine's turn, which engine, and for how long it had served others
    ev.Queued(3.0, "stt", 0.25, 1),  # 0.05 s of it before work began: that is none of the words' time
    ev.Queued(3.4, "llm", 0.1, 1),
    ev.Queued(3.6, "llm", 0.05, 1),
    ev.Queued(3.6, "tts", 0.5, 1),  # of the reply before: this one had nothing to say yet
    ev.Queued(3.95, "tts", 0.05, 1),
    ev.Queued(9.0, "llm", 1.0, 1),  # it sounds already
]


def queued_turn() -> report.TurnReport:
    """Said until 2.5 s, opened at 2.8, words 3.1, token 3.5, chunk 3.7, speech 4.0, sounds at 4.1."""
    turn = report.TurnReport(
        1, 0.0, 2.5, 2.8, 3.1, None, 3.5, 3.7, 4.0, 4.0, audio_started=4.1, reason="finished"
    )
    turn.waits = [(each.engine, each.time - each.seconds, each.time) for each in QUEUES]
    turn.waited_for = Cause("endpointing")
    return turn


def test_what_was_spent_behind_other_conversations_is_told_of_its_part():
    turn = queued_turn()
    queued = {label: round(seconds, 6) for label, seconds in turn.queued.items()}
    assert queued == {"STT": 0.2, "first token": 0.1, "first chunk": 0.05, "TTS": 0.05}
    assert report.columns([turn])[-2:] == ["voice to voice", "queued"]
    assert report.cells(turn, report.columns([turn]))[-2:] == pytest.approx([1.6, 0.4])
    assert report.notes(turn)[1] == "0.4 s of that behind other conversations"
    alone = report.turns(EVENTS)[:1]
    assert report.columns(alone)[-1] == "voice to voice"
    assert not any("other" in note for note in report.notes(alone[0]))


def test_events_say_what_waited_for_whom():
    opened = ev.TurnOpened(2.8, 1, 2.5)
    (turn,) = report.turns([opened, *QUEUES, ev.Queued(3.0, "llm", 0.1, None), ev.Queued(3.0, "llm", 0.1, 7)])
    assert turn.waits == queued_turn().waits


@settings(deadline=None)
@given(
    st.lists(times, min_size=8, max_size=8),
    st.lists(st.tuples(st.sampled_from(["stt", "llm", "tts", "endpointing"]), times, times), max_size=9),
)
def test_nothing_waits_for_longer_than_its_part_takes(moments: list[float], waits) -> None:
    end, opened, done, token, chunk, speech, committed, audio = moments
    turn = report.TurnReport(
        1, 0.0, end, opened, done, None, token, chunk, speech, committed, audio_started=audio
    )
    ends = dict[str, float]()
    for engine, begin, finish in sorted(waits, key=lambda wait: wait[1]):  # one item of an engine at a time
        begin = max(begin, ends.get(engine, 0.0))
        ends[engine] = max(begin, finish)
        turn.waits.append((engine, begin, ends[engine]))
    parts = dict(turn.parts)
    assert all(0.0 < seconds <= parts[label] + 1e-9 for label, seconds in turn.queued.items())


def test_a_turn_that_the_events_leave_open():
    events = [
        ev.TurnOpened(1.0, 1, 0.8),
        ev.Token(1.1, 1, "One"),
        ev.Token(1.2, 1, " two"),
        ev.SessionEnded(2),
    ]
    (turn,) = report.turns(events)
    assert (turn.reason, turn.reply, turn.tokens, turn.ended) == ("", "One two", 2, None)
    assert turn.speech_start == 0.8


def test_speech_after_the_answered_speech_is_not_its_start():
    events = [ev.SpeechStarted(0.6, 0.5), ev.SpeechStarted(2.1, 2.0), ev.TurnOpened(2.2, 1, 1.9)]
    assert report.turns(events)[0].speech_start == 0.5


def test_events_of_a_turn_that_was_never_opened_are_passed_over():
    assert report.turns([ev.AudioStarted(1.0, 9), ev.Error(1.0, "device", "gone")]) == []


def test_transcript_shows_who_said_what_and_where_it_was_cut():
    text = report.transcript_markdown(EVENTS)
    blocks = text.split("\n\n")
    said = [block.split(" ", 1)[0] for block in blocks if block.startswith("**")]
    assert said == ["**User**", "**Agent**"] * 3
    assert "**User** (00:00.5): What is the capital of France?" in blocks
    assert "**Agent** (00:02.8): The capital of France is Paris. It lies on the Seine." in blocks
    story = next(block for block in blocks if "lighthouse keeper called" in block)
    assert "put it out, ~~and she rowed to the ships" in story
    assert re.search(
        r"that night\.~~ \*\(cut at 18\.\d s, 0\.21 s after the user began: words were said: “Wait\.”\)\*",
        story,
    )
    assert "Tell me a\n" not in text
    assert "went on" not in text, "a reply dropped because the user went on leaves no trace"


def turn_events(text: str, heard: str, reason: str = "finished") -> list[ev.Event]:
    return [
        ev.TurnOpened(1.0, 1, 0.8),
        ev.TurnCommitted(1.1, 1, text, Cause("endpointing")),
        ev.AudioStarted(1.2, 1),
        ev.TurnEnded(2.0, 1, reason, heard, ""),
    ]


def test_transcript_escapes_what_markdown_would_eat():
    text = report.transcript_markdown(turn_events("2 * 3?", "It is *six*,\n# in <b>all</b> ~~no~~ `x_y`."))
    assert r"It is \*six\*, \# in \<b\>all\</b\> \~\~no\~\~ \`x\_y\`." in text
    assert r"2 \* 3?" in text


def test_transcript_tells_of_errors_and_of_words_that_got_no_reply():
    events: list[ev.Event] = [
        ev.TurnOpened(1.0, 1, 0.8),
        ev.Transcribed(1.1, 1, "uh-huh", 0.1),
        ev.TurnDiscarded(1.2, 1, Cause("backchannel", "uh-huh"), 0),
        ev.Error(3.0, "llm", "it broke"),
        ev.TurnOpened(2.5, 2, 2.4),
        ev.TurnCommitted(2.8, 2, "Go on.", Cause("endpointing")),
        ev.Error(3.0, "llm", "it broke", 2),
        ev.TurnEnded(3.0, 2, "error", "", ""),
    ]
    text = report.transcript_markdown(events)
    assert "**User** (00:00.8): uh-huh *(no reply: it was a back-channel: “uh-huh”)*" in text
    assert "*00:03.0: error in llm: it broke*" in text
    assert "**Agent** (00:03.0): *(ended by an error)*" in text


def test_clock_rounds_over_the_minute():
    assert [report.clock(t) for t in (0, 9.96, 59.97, 61.24, 3600)] == [
        "00:00.0",
        "00:10.0",
        "01:00.0",
        "01:01.2",
        "60:00.0",
    ]


@settings(deadline=None)
@given(st.text(), st.integers(1, 40))
def test_shorten_fits(text, width):
    short = report.shorten(text, width)
    assert len(short) <= width
    assert "\n" not in short


def test_latency_table_has_a_row_a_reply_and_the_medians():
    lines = report.latency_table(EVENTS).splitlines()
    assert max(map(len, lines)) < 100
    assert lines[1].split()[:2] == ["turn", "question"]
    rows = [line for line in lines if re.match(r" +[134] ", line)]
    assert len(rows) == 3
    for line in rows:
        *parts, total = (int(number) for number in line.split()[-8:])
        assert sum(parts) == pytest.approx(total, abs=4)
    assert lines[-2].split() == ["median", "160", "90", "70", "300", "25", "0", "12", "657"]


def test_latency_table_of_one_reply_has_no_median_and_of_none_says_so():
    assert "median" not in report.latency_table(turn_events("Hi.", "Hello."))
    assert report.latency_table([]) == "no reply was heard"


def field_values(kind: type) -> st.SearchStrategy:
    """Any value of the field's type, as a file can hold it: times to 0.1 ms."""
    number = st.floats(0, 1e5, allow_nan=False).map(lambda value: round(value, 4))
    text = st.text(st.characters(exclude_categories=["Cs"])).map(cleaned)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*map(field_values, get_args(kind)))
    known = {float: number, int: st.integers(0, 10**6), str: text, bool: st.booleans(), type(None): st.none()}
    return known[kind] if kind in known else any_event(kind)


def any_event(kind: type) -> st.SearchStrategy:
    """Any event, or cause of one, with fields as a file keeps them."""
    hints = get_type_hints(kind)
    shown = [field.name for field in dataclasses.fields(kind) if field.metadata.get("shown", True)]
    return st.builds(kind, **{name: field_values(hints[name]) for name in shown})


@settings(deadline=None, max_examples=40)
@given(st.tuples(*(any_event(kind) for kind in get_args(ev.Event))))
def test_every_event_survives_the_file(tmp_path_factory, events):
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    eventlog.write_events(path, events)
    assert eventlog.read_events(path) == list(events)


def test_the_file_appears_whole_and_alone(tmp_path):
    path = tmp_path / "deep" / "events.jsonl"
    eventlog.write_events(path, EVENTS)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert told[0] == {"event": "event_log", "version": eventlog.VERSION}
    assert [line["event"] for line in told][1:3] == ["session_started", "onset"]

    def broken():
        yield EVENTS[0]
        raise RuntimeError("the session fell over")

    with pytest.raises(RuntimeError):
        eventlog.write_events(path, broken())
    assert eventlog.read_events(path) == EVENTS, "an old file must outlive a new one that failed"
    assert [file.name for file in path.parent.iterdir()] == ["events.jsonl"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{not json", "not JSON"),
        ("[1, 2]", "no event"),
        ('{"event": "moonrise", "time": 1.0}', "no event"),
        ('{"event": "session_ended"}', "SessionEnded: time: Field required"),
        ('{"event": "session_ended", "time": "soon"}', "SessionEnded: time"),
        ('{"event": "session_ended", "time": 1.0, "colour": "red"}', "has no 'colour'"),
        (
            '{"event": "turn_ended", "time": 1.0, "turn": 1, "reason": "bored", "heard": "", "unheard": ""}',
            "reason",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, says):
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "session_ended", "time": 1}\n\n' + line + "\n")
    with pytest.raises(ScriptError, match=r"events\.jsonl, line 3: ") as error:
        eventlog.read_events(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_or_binary_file_is_one_clear_line(tmp_path):
    with pytest.raises(ScriptError, match="No such file"):
        eventlog.read_events(tmp_path / "none.jsonl")
    (tmp_path / "noise.jsonl").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ScriptError, match="not text"):
        eventlog.read_events(tmp_path / "noise.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(BackchatError, match="cannot be written"):
        eventlog.write_events(tmp_path / "file" / "events.jsonl", [])


def test_a_journal_has_each_event_as_soon_as_it_happens(tmp_path: Path):
    path = tmp_path / "new" / "events.jsonl"
    with eventlog.Journal(path) as journal:
        for count, event in enumerate(EVENTS, 1):
            journal.watch(event)
            assert eventlog.read_events(path) == EVENTS[:count]
    eventlog.write_events(tmp_path / "whole.jsonl", EVENTS)
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    (tmp_path / "file").touch()
    with pytest.raises(BackchatError, match="cannot be written"):
        eventlog.Journal(tmp_path / "file" / "events.jsonl")


def test_the_time_in_which_the_model_thought_is_a_part_of_its_own():
    events: list[ev.Event] = [
        ev.TurnOpened(1.0, 1, 0.8),
        ev.Transcribed(1.1, 1, "Why?", 0.1),
        ev.Thought(1.3, 1, "They ask"),
        ev.Thought(1.9, 1, " why."),
        ev.Token(2.0, 1, "So."),
        ev.AudioStarted(2.5, 1),
    ]
    (turn,) = report.turns(events)
    assert list(dict(turn.parts))[:4] == ["end of turn", "STT", "thought", "first token"]
    assert dict(turn.parts)["thought"] == pytest.approx(0.8)
    assert sum(dict(turn.parts).values()) == pytest.approx(turn.voice_to_voice)
    assert "thought" in report.latency_table(events)
