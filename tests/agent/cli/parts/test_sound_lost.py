"""What devices lose is told once a burst, all of it, and in the line at the end."""

from __future__ import annotations

import io
import itertools
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import events as ev
from agent.cli.parts.typed_conversation import chat_aloud
from agent.cli.parts.view import Conversation, print_line
from agent.config import load
from agent.conversation.speak import play
from agent.protocols import Engines
from agent.transports.sound_watch import SoundWatch
from audio.devices.bursts import LONGEST, QUIET, Bursts
from audio.frame import HEARING_RATE, Frame, silence
from scripted import ScriptedLLM, ScriptedSTT, ScriptedTTS


@given(st.lists(st.integers(0, 3), max_size=400), st.integers(0, 5))
def test_all_that_is_lost_is_told_once_and_seldom(losses: list[int], left: int) -> None:
    bursts, total, told = Bursts(), 0, []
    for step, more in enumerate([*losses, left]):
        total += more
        if news := bursts.news(total, step * 0.1):
            told.append((step * 0.1, news))
    assert sum(news for _, news in told) + bursts.rest() == total
    assert bursts.rest() == 0
    assert all(later - sooner >= QUIET for (sooner, _), (later, _) in itertools.pairwise(told))


def test_a_burst_is_told_when_it_is_over_and_one_without_end_every_ten_seconds() -> None:
    bursts = Bursts()
    assert [bursts.news(min(step, 5), step * 0.1) for step in range(30)] == [0] * 15 + [5] + [0] * 14
    endless = Bursts()
    told = [step * 0.1 for step in range(1, 350) if endless.news(step, step * 0.1)]
    assert len(told) == 3
    assert told[0] == pytest.approx(0.1 + LONGEST)


def test_a_talk_tells_of_both_devices(capsys: pytest.CaptureFixture[str]) -> None:
    microphone = SimpleNamespace(dropped=0, overflows=0)
    speaker = SimpleNamespace(underflows=0, latency=0.058)
    events: list[ev.Event] = []
    watch = SoundWatch(microphone, speaker, [events.append, print_line])
    assert watch.summary == "sound: nothing lost; speaker latency 58 ms"

    async def frames() -> AsyncIterator[Frame]:
        for count in range(200):
            if count == 50:
                microphone.dropped, microphone.overflows, speaker.underflows = 4, 1, 1
            yield Frame(silence(0.02, HEARING_RATE), HEARING_RATE, count * 0.02)

    async def main() -> int:
        return len([frame async for frame in watch.counting(frames())])

    assert anyio.run(main) == 200
    assert [(event.device, event.gaps) for event in events] == [("microphone", 5), ("speaker", 1)]
    assert watch.summary == "sound: microphone 5 gaps, speaker 1 gaps; speaker latency 58 ms"
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith(
        "the microphone lost sound 5 times: this machine is too busy; close other programs"
    )
    assert said[1].endswith("the speaker lost sound once: this machine is too busy; close other programs")
    shown = Conversation()
    shown.note(events[0])
    assert "the microphone lost sound 5 times" in shown.error


class TornSpeaker:
    """A card that is there in name only, and has torn three gaps; it plays ten times as fast as it should."""

    def __init__(self, _: object, source: Callable[[int, float], object], rate: int, clock: Callable) -> None:
        self._source, self._rate, self._clock = source, rate, clock
        self.underflows = 3

    async def __aenter__(self) -> TornSpeaker:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._play)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(*error)

    async def _play(self) -> None:
        while True:
            self._source(self._rate // 50, self._clock())
            await anyio.sleep(0.002)


def test_a_chat_aloud_and_a_text_said_tell_of_the_speaker(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is heard there: no frame comes with which one could look."""
    config = load(None, [])
    engines = Engines(ScriptedSTT([]), ScriptedLLM(["One two three four five."]), ScriptedTTS())

    monkeypatch.setattr("audio.devices.live.Speaker", TornSpeaker)
    monkeypatch.setattr("sys.stdin", io.StringIO("Count, please.\n"))
    chat_aloud(config, engines, None)
    lost = "the speaker lost sound 3 times: this machine is too busy; close other programs"
    assert capsys.readouterr() == ("One two three four five.\n", f"backchat: {lost}\n")
    assert play("One.", ScriptedTTS(), config, None) == 3
