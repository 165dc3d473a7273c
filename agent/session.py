"""A conversation for programs: sound, text and pictures in, events and sound out. Knows no wire, no screen.

It loads what it is not given, runs the session of `agent.conversation` behind one of two transports (pushed
sound, or this machine's microphone and speaker), and keeps what nobody has taken yet, within bounds.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

from agent import events as ev
from agent.config import load as load_config
from agent.conversation.image_input import Camera
from agent.engines.registry import Given, load
from agent.errors import BackchatError, CallbackError, SessionError, in_one_line, leaves
from agent.images import Source
from agent.messages import Message
from agent.protocols import Engines, LanguageModel, VisionEngine
from agent.runner import Runner
from agent.settings import Config
from agent.tools.tool import Tool
from agent.transports.in_process import InProcessSession
from agent.transports.remote import Item, Sound
from agent.turns.policy import Policy
from audio.frame import Frame, Samples
from audio.pushed import as_mono, as_rate
from audio.resampler import Resampler
from audio.stt import EndOfTurn, Transcriber
from audio.tts import Synthesizer
from audio.vad import VAD

T = TypeVar("T")

log = logging.getLogger("backchat")

OUT_RATE = 24_000
"""Hz of what is said, unless another rate is asked for."""
KEPT_SOUND = 1000
"""Stretches of sound, 20 ms each, that wait to be taken: 20 s."""
KEPT_EVENTS = 4000
"""Events that wait to be taken: those of some minutes."""
SAME = 0.001
"""Seconds by which two stretches that follow each other may seem apart."""

Callback: TypeAlias = Callable[[ev.Event], Awaitable[None] | None]
"""A program's own function for events, plain or async."""

State = Literal["new", "starting", "listening", "closed", "ended"]
WRONG: dict[State, str] = {
    "new": "has not begun; use it inside `async with Session() as session:`",
    "starting": "is still loading; wait for `async with` to enter its block",
    "listening": "has begun already, and runs once; make another one",
    "closed": "was closed; make another one",
    "ended": "has ended; make another one",
}
_in_use: dict[int, object] = {}
"""Engines that a session works with now: each serves one at a time."""


class Waiting(AsyncIterator[T], Generic[T]):
    """What waits to be taken, an async iterator for one task; beyond `most` the oldest is let go."""

    def __init__(self, what: str, most: int) -> None:
        self._what = what
        self._items: deque[T] = deque(maxlen=most)
        self._news: anyio.Event | None = None
        self._over = False

    def put(self, item: T) -> bool:
        """Keep it; whether something older had to go."""
        full = len(self._items) == self._items.maxlen
        self._items.append(item)
        self._wake()
        return full

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()

    async def __anext__(self) -> T:
        if self._news is not None:
            raise SessionError(f"{self._what}: is iterated somewhere else already; iterate it in one task")
        await anyio.lowlevel.checkpoint()
        while not self._items:
            if self._over:
                raise StopAsyncIteration
            self._news = anyio.Event()
            try:
                await self._news.wait()
            finally:
                self._news = None
        return self._items.popleft()


class Audio(AsyncIterator[Frame]):
    """The sound that waits to be taken, at the rate asked for. Each unbroken stretch is resampled alone."""

    def __init__(self, sounds: Waiting[Sound], rate: int) -> None:
        self._sounds, self._rate = sounds, rate
        self._resampler: Resampler | None = None
        self._ready: deque[Frame] = deque()
        self._due = self._at = 0.0

    async def __anext__(self) -> Frame:
        while not self._ready:
            try:
                sound = await anext(self._sounds)
            except StopAsyncIteration:
                self._finish()
                if not self._ready:
                    raise
            else:
                self._feed(sound)
        return self._ready.popleft()

    def _feed(self, sound: Sound) -> None:
        if self._resampler is None or abs(sound.time - self._due) > SAME:
            self._finish()
            self._resampler, self._at = Resampler(OUT_RATE, self._rate), sound.time
        self._due = sound.time + len(sound.samples) / OUT_RATE
        self._give(self._resampler.feed(sound.samples))

    def _finish(self) -> None:
        if self._resampler is not None:
            self._give(self._resampler.finish())
            self._resampler = None

    def _give(self, samples: Samples) -> None:
        if len(samples):
            self._ready.append(Frame(samples, self._rate, self._at))
            self._at += len(samples) / self._rate


class Session:
    """One spoken conversation, used once: `async with Session() as session:`, on asyncio or trio.

    It may be made anywhere, also where no event loop runs; entering it loads what it was not given. Leaving
    the block ends it at once; `close` lets it answer what was said before.

    config: settings, or the path of a TOML file with some; None: the defaults.
    engines: a set that `load` has loaded, for several sessions after each other.
    stt, llm, tts, vision, vad, endpointing, policy: parts of the program's own, as their protocols say
    (docs/python.md); they take the place of those of `engines` or of the settings. An object serves one
    session at a time.
    tools: what the agent can do, besides what the settings name; see `agent.tool`.
    on_event: is called with each event, plain or async; what it raises is reported, and the session goes on.
    runner: another clock, as `agent.testing` has it.

    Raises ConfigError where it is made for settings and parts that are wrong; on entering ModelError,
    MissingExtra and EngineFault for what cannot be loaded; SessionError where it is used wrongly.
    """

    def __init__(
        self,
        config: Config | Path | str | None = None,
        *,
        engines: Engines | None = None,
        stt: Transcriber | None = None,
        llm: LanguageModel | None = None,
        tts: Synthesizer | None = None,
        vision: VisionEngine | None = None,
        vad: VAD | None = None,
        endpointing: EndOfTurn | None = None,
        policy: Policy | None = None,
        tools: Sequence[Tool] = (),
        on_event: Callback | None = None,
        runner: Runner | None = None,
    ) -> None:
        file = None if config is None or isinstance(config, Config) else Path(config)
        self._config = config if isinstance(config, Config) else load_config(file)
        self._given = Given(
            stt=stt,
            llm=llm,
            tts=tts,
            vision=vision,
            vad=vad,
            endpointing=endpointing,
            policy=policy,
            tools=tools,
        )
        self._loaded = engines
        self._on_event = on_event
        self._runner = runner
        self._state: State = "new"
        self._events = Waiting[ev.Event]("events", KEPT_EVENTS)
        self._calls = Waiting[ev.Event]("on_event", KEPT_EVENTS)
        self._sounds = Waiting[Sound]("audio", KEPT_SOUND)
        self._untaken = False

    async def __aenter__(self) -> Self:
        self._check("async with", "new")
        self._state = "starting"
        async with AsyncExitStack() as stack:
            stack.callback(self._end)
            engines = await self._engines()
            stack.enter_context(_claimed(engines))
            runner = self._runner or Runner()
            self._line = InProcessSession(engines, self._config, runner, self._take)
            self._conversation, self._clock = self._line.session, runner
            stack.enter_context(_plain())
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            self._tasks.start_soon(self._run, self._line.run)
            self._tasks.start_soon(self._call_back)
            await self._line.ready.wait()
            self._state = "listening"
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        self._tasks.cancel_scope.cancel()
        return await self._stack.__aexit__(*error)

    async def run_local(self, microphone: int | str | None = None, speaker: int | str | None = None) -> None:
        """Hold the conversation on this machine's microphone and speaker, until `close` or cancellation.

        Instead of `async with`. microphone, speaker: number, name or None for the default, as `backchat
        devices` lists them. Raises DeviceError, and what `async with` raises.
        """
        from agent.transports.local import LocalDevices, LocalSession

        self._check("run_local", "new")
        self._state = "starting"
        self._closing = anyio.Event()
        async with AsyncExitStack() as stack:
            stack.callback(self._end)
            engines = await self._engines()
            stack.enter_context(_claimed(engines))
            devices = LocalDevices(self._config.echo, microphone, speaker)
            local = LocalSession(engines, self._config, [self._take], devices)
            self._conversation, self._clock = local.session, local.runner
            stack.enter_context(_plain())
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(self._call_back)
            tasks.start_soon(self._run, partial(local.run, self._until_closed))

    async def push_audio(self, samples: Any, rate: int) -> None:
        """What the user says next; waits while more than `server.max_buffer` seconds are still unheard.

        samples: numpy array, int16 or float32 within [-1, 1], shape (frames,) or (frames, channels) with one
        or two channels. rate: of the array, in Hz. Raises SessionError for anything else.
        """
        self._check("push_audio", "listening")
        await self._pushed("push_audio").push_audio(as_mono(samples), as_rate(rate))

    def send_text(self, text: str) -> None:
        """Answer this as if the user had said it; a reply that is being said is interrupted."""
        self._check("send_text", "listening")
        self._conversation.send_text(_worded("send_text", text))

    def say(self, text: str) -> None:
        """Speak this as the agent's own words; a reply that is being said is interrupted."""
        self._check("say", "listening")
        self._conversation.send_text("", _worded("say", text))

    def use_voice(self, name: str) -> None:
        """From the next reply on that voice speaks; another language than its own the one most like it.

        name: as `backchat voices` lists it for the engine that is loaded; "": the one of the settings.
        Raises SessionError where it is none of them.
        """
        self._check("use_voice", "listening")
        controller = self._conversation.controller
        if name and name not in controller.voices:
            known = ", ".join(controller.voices) or "only the one that it was loaded with"
            raise SessionError(f"use_voice: no voice {name!r}; this engine has {known}")
        controller.manner = replace(controller.manner, voice=name)

    def switch_language(self, code: str) -> None:
        """From the next turn on this language is spoken, by both sides, until the user speaks another.

        code: as "fr". Raises SessionError for one that may not be spoken (`stt.language`, `stt.languages`).
        """
        self._check("switch_language", "listening")
        spoken = self._conversation.controller.spoken
        if not spoken.allows(code):
            raise SessionError(f"switch_language: {code!r} is none of {', '.join(spoken.among)}")
        spoken.switch(code)

    def show(self, image: Source | None, *, once: bool = False) -> None:
        """The user shows this from now on, or in one turn (`once`); None: nothing any more.

        image: PNG, JPEG or WebP, as a path, a data URL or bytes; one that is no good is told in an Error.
        """
        self._check("show", "listening")
        self._conversation.show(image, once=once)

    def follow(self, camera: Camera) -> None:
        """The user shows what this camera gives, from now on, instead of what was shown."""
        self._check("follow", "listening")
        self._conversation.follow(camera)

    def mute(self, muted: bool = True) -> None:
        """Hear nothing of the user from now on, not even a wake word; or hear them again."""
        self._check("mute", "listening")
        self._conversation.controller.attention.mute(muted)

    def interrupt(self) -> None:
        """End the reply that is being made or said, without another one; without one, nothing happens."""
        self._check("interrupt", "listening")
        self._conversation.cancel()

    def close(self) -> None:
        """Nothing more comes: what was said is heard and answered, and then events and audio end."""
        self._check("close", "listening", "closed", "ended")
        if self._state == "listening":
            self._state = "closed"
            if hasattr(self, "_line"):
                self._line.finish()
            else:
                self._closing.set()

    def events(self) -> AsyncIterator[ev.Event]:
        """All that happens, from the beginning on; ends with the session. Iterated in one task.

        Of what is not taken the newest 4000 are kept.
        """
        self._check("events", "starting", "listening", "closed", "ended")
        return self._events

    def audio(self, rate: int = OUT_RATE) -> AsyncIterator[Frame]:
        """What the agent says: mono float32 frames at `rate` Hz as they are to sound; ends with the session.

        A frame's time is when it sounds, in seconds on the session's clock, as events have it; between
        replies there are none. Iterated in one task. Of what is not taken the newest 20 s are kept, and an
        Error event says so once.
        """
        self._check("audio", "listening", "closed", "ended")
        self._pushed("audio")
        return Audio(self._sounds, as_rate(rate))

    @property
    def history(self) -> list[Message]:
        """What was said, and of the agent's words those that were heard; the instructions first."""
        self._check("history", "listening", "closed", "ended")
        return self._conversation.history.messages()

    async def _engines(self) -> Engines:
        if self._loaded is not None:
            return self._given.over(self._loaded)
        return await Runner().wait_for(partial(load, self._config, given=self._given))

    async def _run(self, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        finally:
            self._end()

    def _end(self) -> None:
        self._state = "ended"
        for waiting in (self._events, self._calls, self._sounds):
            waiting.end()

    async def _until_closed(self, frames: Any) -> AsyncIterator[Frame]:
        self._state = "listening"
        async for frame in frames:
            if self._closing.is_set():
                return
            yield frame

    def _take(self, item: Item) -> None:
        """An event or sound of the session."""
        if not isinstance(item, Sound):
            self._events.put(item)
            if self._on_event is not None:
                self._calls.put(item)
        elif self._sounds.put(item) and not self._untaken:
            self._untaken = True
            self._report(
                SessionError("nobody takes the audio, and the oldest is let go: iterate session.audio()"),
                "audio",
            )

    async def _call_back(self) -> None:
        async for event in self._calls:
            try:
                await self._call(event)
            except CallbackError as error:
                self._report(error, "callback")

    async def _call(self, event: ev.Event) -> None:
        """Have the program's own function have the event. Raises CallbackError for whatever that raises."""
        assert self._on_event is not None
        try:
            waits = self._on_event(event)
            if inspect.isawaitable(waits):
                await waits
        except Exception as error:  # the program's own code: its fault is told, and ends nothing
            raise CallbackError(f"on_event: {in_one_line(error)}") from error

    def _report(self, error: BackchatError, where: str) -> None:
        """Tell of an error of the program's: in the log, and to who iterates the events."""
        log.error("%s", error, exc_info=error.__cause__)
        self._events.put(ev.failure(self._clock.now(), where, error))

    def _pushed(self, what: str) -> InProcessSession:
        if not hasattr(self, "_line"):
            raise SessionError(
                f"{what}: this session has a microphone and a speaker; use `async with` instead"
            )
        return self._line

    def _check(self, what: str, *states: State) -> None:
        if self._state not in states:
            raise SessionError(f"{what}: this session {WRONG[self._state]}")


def _worded(what: str, text: Any) -> str:
    """`text`, if there is something in it. Raises SessionError."""
    if not isinstance(text, str) or not text.strip():
        raise SessionError(f"{what}: takes words, not {text!r:.40}")
    return text


@contextmanager
def _claimed(engines: Engines) -> Generator[None]:
    """These engines for one session. Raises SessionError where another one uses one of them."""
    parts = (engines.stt, engines.llm, engines.tts, engines.endpointing)
    own = {id(part): part for part in parts if part is not None}
    for part in own.values():
        if id(part) in _in_use:
            raise SessionError(
                f"{type(part).__name__}: works in another session now, and serves one at a time; load another"
            )
    _in_use.update(own)
    try:
        yield
    finally:
        for key in own:
            del _in_use[key]


@contextmanager
def _plain() -> Generator[None]:
    """A single error that a task group has wrapped comes out as it is."""
    try:
        yield
    except BaseExceptionGroup as group:
        found = leaves(group)
        if len(found) != 1:
            raise
        raise found[0] from found[0].__cause__
