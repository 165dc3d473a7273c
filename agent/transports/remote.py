"""One session behind a connection: sound and text in, events and paced sound out. Knows no wire.

What was heard is what was sent and has had the time to sound; a client that knows better says so
with `truncate`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import anyio

from agent import events as ev
from agent.conversation.history import History, Part
from agent.conversation.reply import Manner
from agent.conversation.session import Session
from agent.conversation.voices import SessionVoice
from agent.errors import RequestError, SessionError
from agent.images import Picture, Upload
from agent.protocols import Description, Engines, VisionEngine
from agent.runner import Runner
from agent.settings import Config
from agent.transports.disclosure import Writing, failure, said
from agent.transports.echo import without_echo
from agent.transports.jitter_buffer import JitterBuffer
from agent.transports.memory import room, weight
from agent.transports.playout import BLOCK, RATE, Playout, Reply
from agent.transports.slot import SessionSlot
from agent.transports.transcription import spoken
from audio.echo.front_end import FrontEnd
from audio.frame import Frame, Samples
from audio.stt import Transcript

STEP = BLOCK / RATE
"""Seconds of one block."""
UNSENT = 10
"""Blocks that may wait for a client that reads more slowly than speech plays: 0.2 s. The rest stays in the
playback, since what lies on the way counts as heard and cannot be taken back."""
REST = 0.5
"""Seconds between two looks at the clock while nothing is said."""
ITEMS_A_SECOND = 100
"""More things than a line sends in a second, by far: that many may wait for each second of the backlog."""

KEPT = 50
"""Replies that a client may still truncate."""
KEPT_SOUNDS = 4
"""Turns of which it is still known what was said in them, as sound."""
FOUND = 1000
"""Turns that are still found in the history."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A stretch of the reply `turn`: mono float32 (n,) at 24 kHz, to sound at `time` (s, session's clock)."""

    time: float
    turn: int
    samples: Samples


Item: TypeAlias = ev.Event | Sound


@contextmanager
def _unless_ended() -> Generator[None]:
    """What a client asks for while its session ends, before it can know of that, is refused and no fault."""
    try:
        yield
    except SessionError:
        raise RequestError("this session has ended; connect anew", 408, "session_expired") from None


class RemoteSession:
    """A session and what passes between it and its client.

    A transport runs `run`, sends what `items` gives, and calls the rest as its client asks. `config` is
    this session's own: what a client may choose is chosen in it before. manner: how the user is answered.
    front: takes the echo of the agent's voice out of what the client sends; None: the client does that.
    """

    def __init__(
        self,
        slot: SessionSlot,
        config: Config,
        watchers: Sequence[ev.Watcher] = (),
        manner: Manner | None = None,
        front: FrontEnd | None = None,
    ) -> None:
        self._watchers = watchers
        self._limits = config.server
        self.runner: Runner = slot.runner()
        self._front = front
        self._outlet = Playout(None if front is None else self._echoes)
        self.delay = 0.0
        """Seconds by which the client plays what it is sent later than it should."""
        self._intake = JitterBuffer(self.runner, config.server.max_buffer)
        self._session = Session(_noting(slot), config, self.runner, self._outlet, [self._watch])
        self._session.controller.manner = manner or Manner()
        size = round(config.server.max_buffer * ITEMS_A_SECOND)
        self._send, self._items = anyio.create_memory_object_stream[Item](size)
        self.ready = anyio.Event()
        """Set when the session listens: only then may it be asked."""
        self._scope = anyio.CancelScope()
        self._cut: str | None = None
        self._slot, self._config = slot, config
        self._turn = self._opened = 0
        self._writing = Writing()
        self._replies: dict[int, Reply] = {}
        self._parts: dict[int, list[Part]] = {}
        self._settling: dict[int, anyio.Event] = {}
        self._spoken: dict[int, Frame] = {}
        self._cursor = 0.0
        self._unsent = 0
        self._active = 0.0
        self.quiet: float | None = None
        """Since when nobody has said anything after a reply; None before there was one, or while they do."""

    @property
    def voice(self) -> SessionVoice:
        """How it speaks."""
        return self._session.controller.voice

    @property
    def session(self) -> Session:
        """The session behind it."""
        return self._session

    @property
    def history(self) -> History:
        """What the session knows to have been said."""
        return self._session.history

    @property
    def kept(self) -> int:
        """Bytes that it keeps of what was said and shown."""
        return sum(weight(part.message) for part in self.history.parts)

    @property
    def turn(self) -> int:
        """The number of the reply that is being said or about to be; 0 between replies."""
        return self._turn

    @property
    def waiting(self) -> tuple[float, int]:
        """Seconds of sound that wait to be heard by us, and items that wait for the client."""
        return self._intake.waiting, self._items.statistics().current_buffer_used

    async def run(self) -> None:
        """Listen and answer until `hang_up`. Raises RequestError when the line is cut by policy."""
        with self._send, self._scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._speak)
                await self._session.run(without_echo(self._intake.frames(), self._front, [self._watch]))
                tasks.cancel_scope.cancel()
        if self._cut is not None:
            raise RequestError(self._cut, 408, "session_expired")

    async def items(self) -> AsyncIterator[Item]:
        """Everything to tell the client, in order; ends when the session has."""
        async for item in self._items:
            yield self._as_heard(item)
            self._unsent -= isinstance(item, Sound)

    async def push_audio(self, samples: Samples, rate: int) -> None:
        """Sound from the client, float32 (n,) at `rate` Hz; waits while too much of it is unheard."""
        await self._intake.put(samples, rate)

    def clear_audio(self) -> None:
        """Do not listen to what the client has sent and we have not heard yet."""
        self._intake.clear()

    def update(self, config: Config, *, listening: bool, manner: Manner | None = None) -> None:
        """Find turns and expect languages as `config` says, from the next pause on; answer in that manner.

        listening: whether what comes in is heard at all. Where not, what was being said is forgotten.
        """
        self._config = config
        self._session.update(config)
        self._session.controller.manner = manner or self._session.controller.manner
        if not listening:
            self._intake.clear()
            self._session.clear_audio()

    def send_text(self, text: str, manner: Manner | None = None, language: str = "", say: str = "") -> int:
        """Answer this text, or without one speak unasked; a reply that is being said is interrupted.

        manner: how, this once; None: as always. language: ISO code of the text, where it is known. say: what
        is said unasked. Returns the number of the reply. Raises RequestError where the session has ended.
        """
        with _unless_ended():
            self._session.send_text(text, say, manner=manner, language=language)
        return self._opened

    async def commit(self) -> int:
        """What the user has said so far is their turn, and waits for `send_text`. Its number; 0: nothing was.

        Its words are in the history once it is `settled`. What has come and is not heard yet is waited for.
        """
        await self._intake.heard()
        if not self._session.controller.commit():
            return 0
        self._settling[self._opened] = anyio.Event()
        return self._opened

    async def settled(self, turn: int) -> None:
        """Wait until what the user has said in a turn is in the history, or came to nothing."""
        if turn in self._settling:
            await self._settling[turn].wait()

    def spoken(self, turn: int) -> Frame | None:
        """What was said in a turn that was just released, once; None where it was typed."""
        return self._spoken.pop(turn, None)

    def press(self, key: str) -> None:
        """The user has pressed a key of their telephone. What is to be answered of it, `send_text` says."""
        self._watch(ev.KeyPressed(self.runner.now(), key))

    def played(self, turn: int, samples: int) -> None:
        """The client has played so many samples (24 kHz) of that reply by now, and tells it as it goes on.

        Of a reply that is interrupted no more was heard. One that was said to its end is on its way.
        """
        if turn in self._replies:
            self._replies[turn].progress = samples

    def show(self, image: str | bytes | None, *, once: bool = False, live: bool = False) -> None:
        """The client shows this; see `Session.show`. Only a data URL or the bytes of a picture are taken."""
        if isinstance(image, str) and not image.startswith("data:"):
            raise RequestError("image: a data URL, data:image/png;base64,...; nothing else is opened")
        if image is not None:
            room(self.kept, len(image), self._limits)
        upload = None if image is None else Upload(image, self._limits.max_pixels)
        with _unless_ended():
            self._session.show(upload, once=once, live=live)

    def cancel(self) -> None:
        """End the reply that is being made or said."""
        self._session.cancel("client")

    def finish(self) -> None:
        """No more sound comes; the session ends when what waits has been heard, and answered."""
        self._intake.finish()

    def hang_up(self) -> None:
        """Hear no more; the session ends when its last reply has been said."""
        self._intake.close()

    async def transcribe(self, audio: Frame) -> Transcript:
        """The words in a whole utterance. Raises EngineFault."""
        return await spoken(self._slot, self.runner, self._config, audio)

    def sent(self, turn: int) -> int:
        """Samples (24 kHz) of that reply's sound that the client was sent."""
        return self._replies[turn].sent if turn in self._replies else 0

    def said(self, turn: int) -> list[Part]:
        """Where in the history is what the user said in that turn."""
        return self._parts[turn][:-1] if turn in self._parts else []

    def replied(self, turn: int) -> list[Part]:
        """Where in the history the reply is, from its beginning."""
        return self._parts[turn][-1:] if turn in self._parts else []

    def position(self, turn: int, moment: float) -> float:
        """Seconds of that reply's sound that had sounded at `moment` (s, session's clock), as it was sent."""
        return self._replies[turn].position(moment) if turn in self._replies else 0.0

    def truncate(self, turn: int, samples: int) -> str | None:
        """The client played only so many samples (24 kHz) of what it was sent of that reply.

        A reply that still goes on is ended, and the history put right when it is; otherwise at once,
        and what is left of the reply is returned.
        """
        reply = self._replies.get(turn)
        if reply is None:
            return None
        reply.played = samples
        if turn == self._turn:
            self.cancel()
        elif reply.heard is not None:
            self._shorten(reply, reply.heard, samples)
        return reply.heard

    def _shorten(self, reply: Reply, heard: str, played: int) -> str:
        """No more of it was heard than was played. Returns what was."""
        reply.heard = heard[: reply.end_at(played)]
        self.history.unhear(heard, reply.heard)
        return reply.heard

    def _watch(self, event: ev.Event) -> None:
        """Keep track of the replies, and pass every event on to the client."""
        match event:
            case ev.SessionStarted():
                self.ready.set()
            case ev.Error():
                event = replace(event, message=self._disclosed(event))
            case ev.Transcribed(text=text) | ev.InterimTranscript(text=text) | ev.Chunk(text=text):
                said(text)
            case ev.OverheardSpeech(text=text):
                said(text)
            case ev.ToolCalled(arguments=text) | ev.ToolReturned(result=text):
                said(text)
            case ev.Token(text=text) | ev.Thought(text=text):
                self._writing.add(text)
            case ev.TurnOpened(turn=turn):
                self._opened = turn
            case ev.TurnCommitted(turn=turn, answered=answered):
                self._turn = turn if answered else self._turn
                self._replies = {n: r for n, r in self._replies.items() if n > turn - KEPT}
                self._parts = {n: p for n, p in self._parts.items() if n > turn - FOUND}
                self._replies[turn] = Reply()
                self._parts[turn] = self.history.newest
                self._spoken = {n: sound for n, sound in self._spoken.items() if n > turn - KEPT_SOUNDS}
                if (sound := self._session.controller.said(turn)) is not None:
                    self._spoken[turn] = sound
            case ev.WordHeard(turn=turn) if turn in self._replies:
                self._replies[turn].words.append((event.time, event.end))
            case ev.Interrupted():
                self._send_one(self._turn)  # the fade-out, so that the cut does not click
            case ev.TurnEnded(turn=turn) if turn in self._replies:
                reply = self._replies[turn]
                reply.heard = event.heard
                played = reply.progress if event.reason == "interrupted" else None
                if (played := played if reply.played is None else reply.played) is not None:
                    kept = self._shorten(reply, event.heard, played)
                    event = replace(event, heard=kept, unheard=event.heard[len(kept) :] + event.unheard)
                self._turn = 0 if turn == self._turn else self._turn
            case _:
                pass
        if isinstance(event, ev.TurnCommitted | ev.TurnDiscarded) and event.turn in self._settling:
            self._settling.pop(event.turn).set()
        if isinstance(event, ev.TurnOpened | ev.SpeechStarted | ev.TurnEnded):
            self._active = event.time
        if isinstance(event, ev.TurnOpened | ev.SpeechStarted | ev.TurnEnded | ev.TurnDiscarded):
            over = isinstance(event, ev.TurnEnded | ev.TurnDiscarded) and not self._session.controller.hearing
            self.quiet = event.time if over else None
        for watch in self._watchers:
            watch(event)
        self._put(event)

    def _as_heard(self, item: Item) -> Item:
        """The end of a reply with what is known to have been heard: it may be truncated by now."""
        if not isinstance(item, ev.TurnEnded) or item.turn not in self._replies:
            return item
        heard, whole = self._replies[item.turn].heard or "", item.heard + item.unheard
        return replace(item, heard=heard, unheard=whole[len(heard) :])

    def _disclosed(self, event: ev.Error) -> str:
        """What the client is told of an error in its session; what it is not told is in the log."""
        if event.theirs:
            return event.public
        return str(failure(event.where, event.message, event.public, event.code))

    def _put(self, item: Item) -> None:
        try:
            self._send.send_nowait(item)
            self._unsent += isinstance(item, Sound)
        except anyio.WouldBlock:
            self._end(f"the client has not read for {self._limits.max_buffer:g} s (server.max_buffer)")
        except anyio.ClosedResourceError:
            pass  # the session's own end is told to nobody: the line is closed by then

    def _end(self, why: str) -> None:
        self._cut = self._cut or why
        self._scope.cancel()

    async def _speak(self) -> None:
        """Read the playback as a sound card would, a little ahead; and look at the clock.

        It is held while the client is behind: a slow network makes gaps, and loses nothing.
        """
        self._cursor = self._active = self.runner.now()
        while True:
            now = self.runner.now()
            if now - self._active > self._limits.idle and not self._turn:
                self._end(f"nothing was said for {self._limits.idle:g} s (server.idle)")
            if now > self._limits.longest:
                self._end(f"a session may last {self._limits.longest:g} s (server.longest)")
            if self._cursor < now - 5 * STEP:
                self._cursor = now - STEP
            lead = self._limits.lead if self._outlet.waiting else 0.0
            while self._unsent < UNSENT and self._cursor + STEP <= now + lead:
                self._send_one(self._turn)
            if self._outlet.unread:
                await self._outlet.begun(REST)
                self._cursor = max(self._cursor, self.runner.now() - STEP)
            else:
                await anyio.sleep(STEP / 2)

    def _echoes(self, frame: Frame) -> None:
        """This is sent: how much later its echo comes is the front end's to find."""
        assert self._front is not None
        self._front.played(replace(frame, time=frame.time - self.delay))

    def _send_one(self, turn: int) -> None:
        speaking, sounds = self._outlet.waiting, self._cursor + self.delay
        samples = self._outlet.read(BLOCK, sounds)
        if turn in self._replies and (speaking or samples.any()):
            self._replies[turn].note(sounds)
            self._put(Sound(sounds, turn, samples))
        self._cursor += STEP


@dataclass(frozen=True)
class _Noted:
    """A vision engine; what it sees is noted as words of the conversation."""

    vision: VisionEngine

    def look(self, picture: Picture) -> Description:
        description = self.vision.look(picture)
        said(f"{description.note} {description.says} {description.short}")
        return description


def _noting(slot: SessionSlot) -> Engines:
    """The engines of a session, with a vision engine that notes what it sees."""
    vision = slot.engines.vision
    return replace(slot.engines, vision=None if vision is None else _Noted(vision))
