"""The live view: whatever ends what it shows, it shows that the agent listens again."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import anyio
import boundaries
import numpy as np
import pytest
from boundaries import Plan
from rich.console import Console, ConsoleDimensions

from agent import events as ev
from agent.cli.parts.view import LEAK, Conversation, LiveView, verbose_line
from audio.frame import Frame


@pytest.mark.parametrize(
    ("plan", "shown"),
    [
        (Plan(reply=2.0, words="Stop."), ["hearing you", "thinking", "listening"]),
        (Plan(reply=2.0, words="Okay."), ["hearing you", "thinking", "speaking", "listening"]),
        (Plan(reply=2.0, words=""), ["hearing you", "thinking", "speaking", "listening"]),
        (Plan(second=3.0, words="Stop."), ["hearing you", "thinking", "listening"]),
        (Plan(second=3.0, words=""), ["hearing you", "thinking", "listening"]),
        (Plan(reply=2.0, deed="cancel", at=0.5, length=0.0), ["speaking", "listening"]),
        (Plan(second=3.0, fails="tts"), ["hearing you", "thinking", "listening"]),
        (Plan(second=3.0, fails="stt"), ["hearing you", "listening"]),
    ],
    ids=["stop", "back-channel", "noise", "stop to silence", "noise to silence", "cancel", "voice", "ears"],
)
def test_every_state_goes_back_to_listening(plan: Plan, shown: list[str]) -> None:
    talk, states, now = Conversation(), [""], 0.0
    talk.hears()
    for event in boundaries.hold(plan).events:
        if event.time > now and talk.state != states[-1]:  # what is over in no time is not seen
            states.append(talk.state)
        talk.note(event)
        now = event.time
    assert states[-len(shown) :] == shown, states


def test_the_warning_of_the_echo_goes_with_the_echo_and_an_error_with_the_next_answer() -> None:
    console = Console(file=io.StringIO(), width=100, height=30)
    view = LiveView(console)

    def picture() -> str:
        with console.capture() as captured:
            console.print(view._draw())
        return " ".join(captured.get().split())

    view.watch(ev.EchoHeard(1.0))
    view.watch(ev.Error(2.0, "reply", "out of paper", 1))
    view.watch(ev.Error(2.1, "recording", "a full disk"))
    assert LEAK in picture()
    assert "out of paper" in picture()
    view.watch(ev.TurnEnded(3.0, 2, "finished", "Hello.", ""))
    assert "out of paper" not in picture()
    assert LEAK in picture()
    assert "a full disk" in picture()  # which an answer does not mend
    view.watch(ev.EchoGone(4.0))
    assert LEAK not in picture()


def test_a_thought_is_shown_while_it_goes_on_and_leaves_with_the_answer() -> None:
    console = Console(file=io.StringIO(), width=100, height=30)
    view = LiveView(console)

    def picture() -> str:
        with console.capture() as captured:
            console.print(view._draw())
        return " ".join(captured.get().split())

    view.watch(ev.TurnOpened(1.0, 1, 0.9))
    for bit in ("They greet me.", " I greet them."):
        view.watch(ev.Thought(1.1, 1, bit))
    assert "thinks They greet me. I greet them." in picture()
    view.watch(ev.Token(1.2, 1, "Hello."))
    view.watch(ev.AudioStarted(1.3, 1))
    assert "greet" not in picture()
    view.watch(ev.TurnEnded(2.0, 1, "finished", "Hello.", ""))
    view.watch(ev.TurnOpened(3.0, 2, 2.9))
    assert "greet" not in picture()


def test_the_picture_is_drawn_again_only_when_something_in_it_has_changed() -> None:
    console = Console(file=io.StringIO(), width=100, height=30, force_terminal=True)
    view, drawn = LiveView(console), list[int]()
    chance = np.random.default_rng(0)

    async def listen(level: float, count: int) -> None:
        async def frames() -> AsyncIterator[Frame]:
            for number in range(count):
                noise = chance.normal(0, 10 ** (level / 20), 320).astype(np.float32)
                yield Frame(noise, 16_000, 0.02 * number)

        async for _ in view.listening(frames()):
            view._live.refresh()

    def redrawn(level: float, count: int = 100) -> int:
        before = len(drawn)
        anyio.run(listen, level, count)
        return len(drawn) - before

    view._live._started = True  # without its thread, which draws when it likes
    draw = view._draw
    view._live._get_renderable = lambda: (drawn.append(1), draw())[1]
    assert redrawn(-80.0) == 1, "it has begun to listen"
    assert redrawn(-80.0) == 0
    assert redrawn(-28.75) <= 8, "a steady noise, between two bars, moves the meter once"
    assert redrawn(-28.75) == 0
    assert redrawn(-6.0) == 1
    for event in (
        ev.SpeechStarted(1.0, 0.9),
        ev.InterimTranscript(1.2, "Wait"),
        ev.InterimTranscript(1.3, "Wait a minute"),
    ):
        before = len(drawn)
        view.watch(event)
        view._live.refresh()
        view._live.refresh()
        assert len(drawn) == before + 1
    console.size = ConsoleDimensions(60, 20)
    view._live.refresh()
    assert len(drawn) == before + 2


def test_verbose_tells_of_calls() -> None:
    called = ev.ToolCalled(1.0, 1, "1", "boil", '{"cups": 2}', "changes")
    returned = ev.ToolReturned(2.5, 1, "1", "boil", "timed_out", "It took\nlong.", 1.5)
    assert verbose_line(called) == '   1.00 s  tool    boil (changes) {"cups": 2}'
    assert verbose_line(returned) == "   2.50 s  tool    boil timed out after 1.50 s: It took long."
    assert verbose_line(ev.SpeechResumed(1.0)) == ""
