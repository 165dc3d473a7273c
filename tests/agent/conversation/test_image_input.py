"""A session to which something is shown, with a scripted eye on the virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import pictures
import scripted
from agent import events as ev
from agent.config import load
from agent.conversation.image_input import differs
from agent.conversation.session import Session
from agent.errors import DeviceError
from agent.images import Picture, open_image, picture_of
from agent.messages import Message
from agent.protocols import Description
from agent.reports import waits as report
from agent.runner import VirtualRunner
from agent.simulation.virtual import run_virtual
from audio.frame import HEARING_RATE, Frame
from audio.playback import Playback

DECLARED = ["costs.mode=declared", "stt.interim=0", "turns.meaning=off", "costs.vision=0.4"]
BLOCK = 0.02
STOP = pictures.encoded(pictures.sign("STOP"))
EXIT = pictures.encoded(pictures.sign("EXIT"))


@dataclass
class ScriptedEye:
    """Sees the colour of the first pixel; keeps what it looked at."""

    looked: list[Picture] = field(default_factory=list)
    fails: bool = False

    def look(self, picture: Picture) -> Description:
        self.looked.append(picture)
        if self.fails:
            raise RuntimeError("dust")
        name = f"{picture.kind} {len(self.looked)}"
        return Description("Look.", f"Note {name}.", f"Short {name}.")


@dataclass
class Played:
    """What came of a session. asked: what the language model was told last, for each question."""

    events: list[ev.Event]
    llm: scripted.ScriptedLLM
    vision: ScriptedEye
    session: Session

    @property
    def asked(self) -> list[str]:
        return [_told(messages) for messages in self.llm.asked]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def _told(messages: list[Message]) -> str:
    seen = messages[-2].content if messages[-2].role == "assistant" else ""
    return (
        f"{seen}\n{messages[-1].content}" if seen.startswith(("Note", "I cannot")) else messages[-1].content
    )


def play(
    seconds: float,
    speech: list[tuple[float, float]],
    acts: dict[float, Callable[[Session], None]],
    *settings: str,
    vision: ScriptedEye | None = None,
    camera: FakeCamera | None = None,
) -> Played:
    """A session of that length; who speaks when (s), and what is done to the session at which second."""
    config, vision = load(None, [*DECLARED, *settings]), vision or ScriptedEye()
    engines = replace(scripted.engines(["What is it?"], ["A sign."]), vision=vision)
    events: list[ev.Event] = []

    async def main() -> Session:
        runner, playback = VirtualRunner(config.costs), Playback()
        session = Session(engines, config, runner, playback, [events.append])
        if camera is not None:
            camera.clock = runner.now
            session.follow(camera)
        left = dict(sorted(acts.items()))

        async def frames():
            for count in range(round(seconds / BLOCK)):
                now = count * BLOCK
                for at in [at for at in left if at <= now]:
                    left.pop(at)(session)
                loud = any(begin <= now < end for begin, end in speech)
                block = (scripted.loud if loud else scripted.silent)(BLOCK)
                await runner.sleep_until(now + BLOCK)
                yield Frame(block.samples, HEARING_RATE, now)

        async def speaker():
            count = 0
            while True:
                playback.read(240, count * 0.01)
                count += 1
                await runner.sleep_until(count * 0.01)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speaker)
            await session.run(frames())
            tasks.cancel_scope.cancel()
        return session

    return Played(events, engines.llm, vision, run_virtual(config, main))


def contents(session: Session) -> list[str]:
    return [message.content for message in session.history.messages()][1:]


def test_what_is_shown_goes_with_the_words_and_a_short_description_stays():
    done = play(5.0, [(1.0, 2.0)], {0.0: lambda s: s.show(STOP)})
    assert done.asked == ["Note PNG 1.\nWhat is it?"]
    assert contents(done.session) == ["Short PNG 1.\nWhat is it?", "A sign."]
    (seen,) = done.of(ev.Seen)
    assert seen.text == "Short PNG 1."
    assert seen.took == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("short", ["Short PNG 1.\nWhat is it?"]),
        ("whole", ["Look.\nNote PNG 1.\nWhat is it?"]),
        ("nothing", ["What is it?"]),
    ],
)
def test_what_the_history_keeps_can_be_chosen(keep: str, kept: list[str]):
    done = play(5.0, [(1.0, 2.0)], {0.0: lambda s: s.show(STOP)}, f"vision.keep={keep}")
    assert contents(done.session) == [*kept, "A sign."]
    replied = [m.content for m in done.session.history.messages() if m.role == "assistant"]
    assert replied == [ended.heard for ended in done.of(ev.TurnEnded)]


def test_the_current_view_goes_with_every_turn_and_is_kept_once():
    done = play(9.0, [(1.0, 2.0), (5.0, 6.0)], {0.0: lambda s: s.show(STOP)})
    assert done.asked == ["Note PNG 1.\nWhat is it?"] * 2
    assert contents(done.session)[::2] == ["Short PNG 1.\nWhat is it?", "What is it?"]
    assert len(done.vision.looked) == 1


def test_a_picture_for_one_turn_is_gone_in_the_next():
    done = play(9.0, [(1.0, 2.0), (5.0, 6.0)], {0.0: lambda s: s.show(STOP, once=True)})
    assert done.asked == ["Note PNG 1.\nWhat is it?", "What is it?"]


def test_a_turn_that_was_begun_too_early_does_not_use_up_the_picture():
    done = play(6.0, [(1.0, 2.0), (2.2, 3.0)], {0.0: lambda s: s.show(STOP, once=True)})
    assert len(done.of(ev.TurnDiscarded)) == 1
    assert done.asked[-1] == "Note PNG 1.\nWhat is it?"
    assert len(done.vision.looked) == 1


def test_the_newest_picture_counts_and_none_takes_it_away():
    acts = {0.0: lambda s: s.show(STOP), 1.5: lambda s: s.show(EXIT), 4.0: lambda s: s.show(None)}
    done = play(9.0, [(1.0, 2.0), (5.0, 6.0)], acts)
    assert done.asked == ["Note PNG 2.\nWhat is it?", "What is it?"]


def test_typed_words_are_answered_with_it_too():
    acts = {0.0: lambda s: s.show(STOP), 1.0: lambda s: s.send_text("What does it say?")}
    assert play(3.0, [], acts).asked == ["Note PNG 1.\nWhat does it say?"]


def test_the_engine_works_while_the_user_speaks():
    """Shown before the end of the words, a picture costs the answer nothing; shown then, its look."""

    def waited(at: float) -> dict[str, float]:
        done = play(6.0, [(1.0, 2.0)], {at: lambda s: s.show(STOP)})
        (turn,) = [t for t in report.turns(done.events) if t.reason == "finished"]
        assert sum(seconds for _, seconds in turn.parts) == pytest.approx(turn.voice_to_voice or 0.0)
        return dict(turn.parts)

    assert waited(0.0)["vision"] == 0.0
    assert waited(1.2)["vision"] == 0.0
    assert waited(2.05)["vision"] == pytest.approx(0.4 - 0.1 - 0.05, abs=0.05)  # what STT does not cover


def test_without_a_picture_nothing_is_different():
    done = play(5.0, [(1.0, 2.0)], {})
    assert done.asked == ["What is it?"]
    assert done.of(ev.Seen) == []
    (turn,) = report.turns(done.events)
    assert [name for name, _ in turn.parts] == list(report.PARTS)
    assert "vision" not in report.latency_table(done.events)
    shown = play(5.0, [(1.0, 2.0)], {0.0: lambda s: s.show(STOP)})
    (other,) = report.turns(shown.events)
    assert other.voice_to_voice == pytest.approx(turn.voice_to_voice, abs=0.021)
    assert " vision " in report.latency_table(shown.events)


@pytest.mark.parametrize("kind", pictures.BAD)
def test_a_bad_picture_is_an_error_event_and_the_session_lives(kind: str, tmp_path: Path):
    given, words = pictures.bad(tmp_path)[kind]
    done = play(9.0, [(1.0, 2.0), (5.0, 6.0)], {0.0: lambda s: s.show(given), 4.0: lambda s: s.show(STOP)})
    (error,) = done.of(ev.Error)
    assert error.where == "vision"
    assert words in error.message
    assert "I cannot see the picture" in done.asked[0]
    assert done.asked[1] == "Note PNG 1.\nWhat is it?"
    assert [e.reason for e in done.of(ev.TurnEnded)] == ["finished", "finished"]


def test_an_eye_that_fails_costs_the_picture_not_the_turn():
    done = play(5.0, [(1.0, 2.0)], {0.0: lambda s: s.show(STOP)}, vision=ScriptedEye(fails=True))
    (error,) = done.of(ev.Error)
    assert error.message == "the vision engine failed: RuntimeError: dust"
    assert [e.reason for e in done.of(ev.TurnEnded)] == ["finished"]
    assert contents(done.session)[0].startswith("I showed you a picture that you could not see.")


@dataclass
class FakeCamera:
    """Another picture each time, or always the same; keeps when it was asked."""

    clock: Callable[[], float]
    moving: bool = True
    breaks: int = 1000
    grabs: list[float] = field(default_factory=list)

    def grab(self) -> Picture:
        if len(self.grabs) >= self.breaks:
            raise DeviceError("camera 0 gives no more pictures; connect it again and restart")
        self.grabs.append(self.clock())
        pixels = np.full((90, 160, 3), 255, np.uint8)
        if self.moving:
            pixels[:, : len(self.grabs) * 8] = 0
        return picture_of(pixels, "camera")


def filmed(speech: list[tuple[float, float]], seconds: float, **options: Any) -> tuple[FakeCamera, Played]:
    camera = FakeCamera(lambda: 0.0, **options)
    return camera, play(seconds, speech, {}, camera=camera)


def test_a_camera_gives_a_frame_a_second_while_the_person_speaks_and_one_in_three_otherwise():
    camera, done = filmed([(10.0, 15.0)], 25.0)
    gaps = np.diff(camera.grabs)
    assert gaps.min() >= 0.99
    silent = [gap for gap, at in zip(gaps, camera.grabs[1:], strict=True) if at < 10.0]
    spoken = [gap for gap, at in zip(gaps, camera.grabs[1:], strict=True) if 11.2 < at < 15.0]
    assert min(silent) >= 2.99
    assert max(spoken) <= 1.05
    assert len(done.asked) == 1
    assert len(done.vision.looked) == 2, "it looks when speech begins and when it pauses, at no other frame"
    newest = max(at for at in camera.grabs if at <= done.of(ev.TurnOpened)[0].time)
    last = done.vision.looked[-1].pixels[0, :, 0]
    assert (last == 0).sum() == 8 * (camera.grabs.index(newest) + 1), "the frame at the end of the turn"


def test_the_last_camera_that_is_followed_is_the_one_and_may_come_while_the_talk_goes_on():
    first, second = FakeCamera(lambda: 0.0), FakeCamera(lambda: 0.0)

    def change(session: Session) -> None:
        second.clock = lambda: 0.0
        session.follow(second)
        session.follow(second)

    play(20.0, [], {10.0: change}, camera=first)
    assert 3 <= len(first.grabs) <= 5
    assert 3 <= len(second.grabs) <= 5


def test_a_camera_that_sees_nothing_new_is_looked_at_once():
    _, done = filmed([(4.0, 6.0), (9.0, 11.0)], 15.0, moving=False)
    assert len(done.of(ev.Seen)) == 2
    assert len(done.vision.looked) == 1


def test_a_camera_that_vanishes_is_told_and_the_talk_goes_on():
    _, done = filmed([(8.0, 9.0)], 13.0, breaks=2)
    (error,) = done.of(ev.Error)
    assert error.where == "camera"
    assert done.asked == ["What is it?"]


def test_noise_is_nothing_new_and_another_word_is():
    stop, other = (open_image(pictures.encoded(pictures.sign(word))) for word in ("PLATFORM 1", "PLATFORM 2"))
    noisy = stop.pixels.astype(int) + np.random.default_rng(1).normal(0, 8, stop.pixels.shape)
    assert not differs(stop, picture_of(noisy.clip(0, 255).astype(np.uint8), "camera"))
    assert differs(stop, other)


def test_pictures_reach_a_model_that_sees_and_leave_the_history():
    class SeeingEye(ScriptedEye):
        def look(self, picture: Picture) -> Description:
            return Description("", "", "I showed you a picture.", picture)

    done = play(5.0, [(1.0, 2.0)], {0.0: lambda s: s.show(STOP)}, vision=SeeingEye())
    (picture,) = done.llm.asked[0][-1].images
    assert picture.pixels.shape == (480, 640, 3)
    assert all(message.images == () for message in done.session.history.messages())
    whole = play(5.0, [(1.0, 2.0)], {0.0: lambda s: s.show(STOP)}, "vision.keep=whole", vision=SeeingEye())
    assert [len(m.images) for m in whole.session.history.messages()] == [0, 1, 0]
    assert isinstance(whole.session.history.messages()[1], Message)
