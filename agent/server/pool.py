"""Engines that are loaded once and the slots from which sessions use them. Knows no wire and no session."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import anyio

from agent import languages
from agent.conversation.voices import at_speed
from agent.engines.registry import (
    Tell,
    load,
    load_endpointing,
    load_one,
    model_of,
    spoken_languages,
    wake_words,
)
from agent.errors import Busy, RequestError
from agent.llm.context import known_context
from agent.order import Kind, Queue
from agent.protocols import Engines, HasSlots, WritesInTurn
from agent.runner import Engine, SharedLock, Waited
from agent.server.admission.load import Load
from agent.settings import Config, WakeConfig
from agent.transports.slot import SessionSlot
from agent.weights.catalogue import Progress
from audio.cores import usable_cores
from audio.stt import DetectsLanguage, ScoresTokens, TakesContext
from audio.tts import ChangesVoice

CORES_PER_COPY = 2
"""Cores for each copy of the transcriber and the voice, unless the settings say how many copies."""


SHARED_PER_SLOT = 4
"""Requests for speech or a transcript, for each slot, that may be in work or wait."""


STOPPING = 60
"""Seconds after which a server that stops may be back."""
FREEING = 1.0
"""Seconds that a newcomer waits for a slot: whoever has just gone may still be leaving it."""
LOOK = 0.01
"""Seconds between two looks at it."""


@dataclass(frozen=True, slots=True)
class Word:
    """A wake word that can be listened for. model: as `wake.model`. phrase: what is to be said."""

    model: str
    phrase: str


class Pool:
    """Admits as many as there are slots; a newcomer beyond that is told to come back later.

    copies: the engines; the first one's language model is the one that all share, by its slots. A model
    without them (`HasSlots`) serves one conversation at a time, so there is one.
    """

    def __init__(self, config: Config, copies: Sequence[Engines]) -> None:
        self.config = config
        self.names = {
            "llm": _short(model_of("llm", config)),
            "stt": _short(model_of("stt", config)),
            "tts": config.tts.engine,
        }
        """What clients call the models."""
        tts = copies[0].tts
        several = tts if isinstance(tts, ChangesVoice) and tts.loaded_voices else None
        self.voice = several.voice if several is not None else _short(config.tts.voice) or "default"
        """The one that speaks where none is chosen."""
        others = several.loaded_voices if several is not None else dict[str, str]()
        others = {name: spoken for name, spoken in others.items() if name != self.voice}
        self.voices = {self.voice: tts.language, **others}
        """Those that clients may choose among, each with its language; first the usual one."""
        self.closing = False
        self.load = Load(usable_cores())
        """What is left of the machine."""
        self._watch_waits: Waited | None = None
        told = {kind: f"{getattr(config, kind).engine} {name}" for kind, name in self.names.items()}
        told["tts"] = " ".join(filter(None, (config.tts.engine, _short(config.tts.model), self.voice)))
        self._free = self._slots([replace(each, names=told) for each in copies])
        self.size = len(self._free)
        self.context = known_context(self._free[0].engines.llm)
        """Tokens of the language model's context, where it knows them."""
        self._taken: dict[SessionSlot, Callable[[], None]] = {}
        self._halved = self._turns = self._waiting = 0
        self.left = 0
        """How many slots were ever given back."""
        self.reading = anyio.Lock()
        """Held while a large request is made out of its bytes."""
        self._halves = [replace(slot) for slot in self._free[: len(copies)]]

    @property
    def taken(self) -> int:
        """How many slots are in use."""
        return len(self._taken)

    @property
    def idle(self) -> bool:
        """Whether nobody uses anything."""
        return not self._taken and not self._halved

    @asynccontextmanager
    async def slot(self, hang_up: Callable[[], None] = lambda: None) -> AsyncGenerator[SessionSlot]:
        """A slot for oneself; `hang_up` is called when the server closes. Raises Busy."""
        slot = await self._next()
        self._free.remove(slot)
        self._taken[slot] = hang_up
        try:
            yield slot
        finally:
            del self._taken[slot]
            self._free.append(slot)
            self.left += 1

    async def expect_slot(self) -> None:
        """Wait until there is a slot, without taking it: before a body is read for nothing. Raises Busy."""
        await self._next()

    def watch_waits(self, watch: Waited) -> None:
        """Have `watch` told how long each item waits for its engine."""
        self._watch_waits = watch

    def waited(self, engine: Engine, kind: Kind, seconds: float) -> None:
        """An item has waited so long for its engine."""
        self.load.note(engine, kind, seconds)
        if self._watch_waits is not None:
            self._watch_waits(engine, kind, seconds)

    async def _next(self) -> SessionSlot:
        """A free slot. Raises Busy."""
        self._admit()
        self._leave_room()
        slot = self._found()
        # An engine comes to the end of its item before it is free of a client that went. Only as many wait
        # as may all get a slot, so that a crowd is still refused at once.
        if slot is None and self._waiting < self.size:
            slot = await self._freed()
            self._admit()
        if slot is None:
            raise Busy(f"all {self.size} places are taken (server.sessions); try again in a few seconds")
        return slot

    def _found(self) -> SessionSlot | None:
        return next((slot for slot in self._free if not slot.hangs), None)

    async def _freed(self) -> SessionSlot | None:
        """A slot that becomes free soon."""
        self._waiting += 1
        try:
            with anyio.move_on_after(FREEING):
                while (slot := self._found()) is None and not self.closing:
                    await anyio.sleep(LOOK)
                return slot
            return None
        finally:
            self._waiting -= 1

    @contextmanager
    def shared_slot(self) -> Generator[SessionSlot]:
        """A slot to transcribe and to speak from, where requests wait for each other. Raises Busy."""
        self.expect_shared_slot()
        self._halved += 1
        self._turns += 1
        try:
            yield self._halves[self._turns % len(self._halves)]
        finally:
            self._halved -= 1
            self.left += 1

    def expect_shared_slot(self) -> None:
        """Raise Busy where `shared_slot` would: before a body is read for nothing."""
        self._admit()
        self._leave_room()
        if self._halved >= SHARED_PER_SLOT * self.size:
            raise Busy(f"{self._halved} requests for speech wait already (server.sessions); try again soon")

    def _leave_room(self) -> None:
        """Raise Busy where those inside need the machine."""
        if self._taken and self.load.full(self.config.server.load):
            inside = f"{self.taken} session{'s' * (self.taken > 1)}"
            raise Busy(f"the machine is busy with {inside} (server.load); try again in a few seconds")

    def _admit(self) -> None:
        if self.closing:
            raise Busy("the server is about to stop; try again in a minute", retry_after=STOPPING)

    def close(self) -> None:
        """Admit nobody any more, and tell everybody who is inside."""
        self.closing = True
        for hang_up in list(self._taken.values()):
            hang_up()

    def check(self, kind: str, name: str | None) -> None:
        """A client's name for a model. Raises RequestError for one that stands for none that is loaded."""
        aliases = self.config.server.model_aliases
        if name is not None and name not in (self.names[kind], "backchat") and not _stands_for(name, aliases):
            wrong = f"no model {name[:80]!r} here; there is {self.names[kind]!r}"
            raise RequestError(wrong, 404, "model_not_found", param="model")

    def voice_of(self, name: str | None, param: str = "voice") -> str:
        """The voice that a client's name for one means. Raises RequestError where there is none."""
        if name is None or name == "default":
            return self.voice
        if name in self.voices:
            return name
        aliases = self.config.server.voice_aliases
        if not _stands_for(name, aliases):
            wrong = f"no voice {name[:80]!r} here; GET /v1/audio/voices lists them"
            raise RequestError(wrong, 404, "voice_not_found", param=param)
        return _spread(name, aliases, self.voice, self.voices) if name else self.voice

    def check_speed(self, speed: float, param: str = "speed") -> None:
        """Raise RequestError where no voice here can speak that much faster than by itself."""
        at_speed(self._halves[0].engines.tts, speed, param)

    def check_context(self, param: str = "prompt") -> None:
        """Raise RequestError where the transcriber cannot be told what to expect."""
        if not isinstance(self._halves[0].engines.stt, TakesContext):
            text = f"{param}: the transcriber that is loaded takes none; leave it out"
            raise RequestError(text, param=param)

    def check_scores(self, param: str = "include") -> None:
        """Raise RequestError where the transcriber cannot tell how probable its tokens were."""
        if not isinstance(self._halves[0].engines.stt, ScoresTokens):
            text = f"{param}: the transcriber that is loaded does not tell how probable its tokens were"
            raise RequestError(text, param=param)

    @property
    def _heard(self) -> tuple[str, ...]:
        """The languages that clients may say that they speak."""
        stt = self._halves[0].engines.stt
        told = self.config.stt.language != "auto" or (isinstance(stt, DetectsLanguage) and stt.detects)
        return spoken_languages(self.config.stt) if told else ()

    def hearing(self, *names: str | None, param: str = "language") -> Config:
        """The settings for who speaks these languages, by a client's names; for none of them all settings.

        Raises RequestError for one that is not understood.
        """
        codes = list[str]()
        for name in filter(None, names):
            code = name.lower().replace("_", "-").partition("-")[0]
            if code not in self._heard:
                what = f"is not understood here; {', '.join(self._heard)} is"
                raise RequestError(
                    f"{param}: {name[:20]!r} {what if self._heard else _FOUND_OUT}", param=param
                )
            codes.append(code)
        if not codes or self.config.stt.language != "auto":
            return self.config
        wish = {"languages": tuple(codes)} if len(codes) > 1 else {"language": codes[0], "languages": ()}
        stt = self.config.stt.model_copy(update=wish)
        return self.config.model_copy(update={"stt": stt})

    def wake_words(self) -> dict[str, Word]:
        """The wake words that there are, by the name that clients choose them by."""
        chosen = self.config.wake.model
        found = {name: Word(name, phrase) for name, phrase in wake_words(self.config).items()}
        if chosen and chosen not in found:
            name = Path(chosen).stem
            found[name] = Word(chosen, name.replace("_", " "))
        return found

    def waking(self, name: str | None, param: str = "wake") -> WakeConfig:
        """The wake word that a client chooses; None: that of the settings, "none": it needs none.

        Raises RequestError for one that is not here.
        """
        chosen = self.config.wake
        if name is None or name == "none":
            return chosen if name is None else chosen.model_copy(update={"model": ""})
        if not (known := self.wake_words()):
            raise RequestError("no wake word is here: the server lacks the extra wake", 404, "no_wake_word")
        if name not in known:
            text = f"{param}: no wake word is called {name[:40]!r}; there are: {', '.join(known)}"
            raise RequestError(text, param=param)
        return chosen.model_copy(update={"model": known[name].model})

    def _slots(self, copies: Sequence[Engines]) -> list[SessionSlot]:
        llm = copies[0].llm
        models = llm.slots() if isinstance(llm, HasSlots) else [llm]
        vision = SharedLock(waited=self.waited)
        own: tuple[Engine, ...] = ("stt", "tts", "endpointing", "decoder")
        shared: list[dict[Engine, SharedLock]] = [
            {"vision": vision, **{engine: SharedLock(waited=self.waited) for engine in own}} for _ in copies
        ]
        writing = Queue() if isinstance(llm, WritesInTurn) and llm.in_turn else None
        return [
            SessionSlot(
                replace(copies[number % len(copies)], llm=model),
                {"llm": SharedLock(writing, self.waited), **shared[number % len(copies)]},
            )
            for number, model in enumerate(models[: self.config.server.sessions])
        ]


def load_pool(config: Config, progress: Progress | None = None, tell: Tell = lambda _: None) -> Pool:
    """All engines, loaded and warm, and their slots."""
    return Pool(config, load_copies(config, progress, tell))


def load_copies(
    config: Config, progress: Progress | None = None, tell: Tell = lambda _: None
) -> list[Engines]:
    """All engines, loaded and warm: one language model with a slot for each session, and the copies."""
    slots = {"llm": config.llm.model_copy(update={"slots": config.server.sessions})}
    apart = {} if config.server.one_user else {"tools": config.tools.model_copy(update={"folder": ""})}
    config = config.model_copy(update=slots | apart)
    first = load(config, progress, tell)
    count = config.server.copies or max(1, (os.cpu_count() or 1) // CORES_PER_COPY)
    count = min(count, config.server.sessions)
    others = [
        replace(
            first,
            stt=load_one("stt", config, progress),
            tts=load_one("tts", config, progress),
            endpointing=load_endpointing(config, progress),
        )
        for _ in range(count - 1)
    ]
    return [first, *others]


def _spread(name: str, aliases: Sequence[str], usual: str, voices: Mapping[str, str]) -> str:
    """The voice that stands for an alias, of the language of the usual one: so what it reads stays its own.

    It is the one that is called so but for a prefix, as "af_nova"; else one by its place in the list.
    """
    own = languages.code(voices[usual])
    called = {
        each: each.rpartition("_")[2] for each, spoken in voices.items() if languages.code(spoken) == own
    }
    if name not in aliases:  # it fits a pattern
        return usual
    if named := [each for each, short in called.items() if short == name]:
        return named[0]
    free = [each for each, short in called.items() if short not in aliases] or [*called]
    others = [alias for alias in aliases if alias and alias not in called.values()]
    return free[others.index(name) % len(free)]


_FOUND_OUT = "is no choice here: what is spoken is found out; leave it out"


def _stands_for(name: str, aliases: Sequence[str]) -> bool:
    return any(fnmatchcase(name, alias) for alias in aliases)


def _short(model: str) -> str:
    """A model's name without the folders of this machine: clients learn no paths."""
    return os.path.basename(model.rstrip("/")).removesuffix(".gguf") or model
