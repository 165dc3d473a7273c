"""What the user shows while they talk: the newest picture, and the engine's work on it. Knows no reply.

It works in a worker while the user still speaks: on a picture as soon as it is shown, on a camera's
frame when speech begins and again when it pauses, and only if the frame shows something new.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import numpy as np
from anyio.abc import TaskGroup
from numpy.typing import NDArray

from agent import events as ev
from agent.errors import BackchatError
from agent.images import Picture, Pixels, Source, open_image
from agent.messages import Message
from agent.protocols import Description, VisionEngine
from agent.runner import Runner
from agent.settings import Config

SPEAKING, QUIET = 1.0, 3.0
"""Least seconds between two frames of a camera, while the user speaks and otherwise."""
GRID = 64
"""Frames are compared in so many blocks each way."""
CHANGED, SOME = 10.0, 8
"""Brightness (of 255) by which a block has changed, and how many such blocks make a frame a new one: a
word on a sign that became another one is seen, a camera's noise is not."""

UNSEEN = Description(
    "Look at this picture.", "I cannot see the picture.", "I showed you a picture that you could not see."
)
"""What the language model is told when the picture or the vision engine is at fault."""


class Camera(Protocol):
    """Gives pictures of what is before it."""

    def grab(self) -> Picture:
        """The newest picture. Raises DeviceError when it gives none."""
        ...


@dataclass(eq=False)
class PendingImage:
    """One picture that is, or will be, looked at. once: for one turn. live: a frame of a camera.

    turns: how many have taken it. scope: of the vision engine's work on it.
    """

    source: Source
    once: bool = False
    live: bool = False
    begun: bool = False
    turns: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    took: float = 0.0
    description: Description | None = None
    done: anyio.Event = field(default_factory=anyio.Event)


class ImageInput:
    """The newest picture of a session, for whichever turn ends next."""

    def __init__(self, vision: VisionEngine | None, config: Config, runner: Runner, emit: ev.Watcher) -> None:
        self._vision = vision
        self._keep = config.vision.keep
        self._limit = config.limits.vision
        self._runner = runner
        self._emit = emit
        self._pending: PendingImage | None = None
        self._seen: tuple[Picture, Description] | None = None
        self._told: Description | None = None
        self._camera: Camera | None = None
        self._following: anyio.CancelScope | None = None
        self._speaking = False
        self._woken = anyio.Event()
        self._tasks: TaskGroup | None = None

    def enter(self, tasks: TaskGroup) -> None:
        """Work in this task group from now on."""
        self._tasks = tasks
        if self._pending is not None and not self._pending.live:
            self._begin(self._pending)
        if self._camera is not None:
            self.follow(self._camera)

    def leave(self) -> None:
        """Take no more frames."""
        if self._following is not None:
            self._following.cancel()

    def show(self, source: Source | None, *, once: bool = False, live: bool = False) -> None:
        """This is what the user shows from now on; nothing with None. See `Session.show`."""
        old, self._pending = self._pending, None if source is None else PendingImage(source, once, live)
        self._forget(old)
        if self._pending is not None and not live:
            self._begin(self._pending)

    def follow(self, camera: Camera) -> None:
        """Show what this camera gives, and no other one any more, from `enter` on."""
        self.leave()
        self._camera = camera
        if self._tasks is not None:
            self._following = anyio.CancelScope()
            self._tasks.start_soon(self._follow, camera, self._following)

    def speech_started(self) -> None:
        """The user begins to speak: what they show is looked at meanwhile."""
        self.speech_resumed()
        if self._pending is not None:
            self._begin(self._pending)

    def speech_resumed(self) -> None:
        """The user speaks."""
        self._speaking = True
        self._woken.set()

    def speech_paused(self) -> None:
        """The user does not speak."""
        self._speaking = False

    @contextmanager
    def taken(self) -> Generator[PendingImage | None]:
        """What is shown now, for a turn that pauses here; it is looked at within the block."""
        pending = self._pending
        if pending is None:
            yield None
            return
        pending.turns += 1
        self._begin(pending)
        try:
            yield pending
        finally:
            pending.turns -= 1
            self._forget(pending)

    async def looked(self, pending: PendingImage, turn: int) -> None:
        """Wait until the vision engine has looked."""
        await pending.done.wait()
        if pending.description is not None:
            self._emit(ev.Seen(self._runner.now(), turn, pending.description.short, pending.took))

    def asked(self, pending: PendingImage | None, question: str) -> list[Message]:
        """The user's words, with what is seen before them."""
        description = pending.description if pending is not None else None
        return [Message("user", question)] if description is None else description.asked(question)

    def kept(self, pending: PendingImage | None, question: str) -> list[Message]:
        """The same as the history keeps it, once. What was shown for one turn is not shown any more."""
        if pending is not None and pending.once and pending is self._pending:
            self._pending = None
        description = pending.description if pending is not None else None
        if description is None or description is self._told:
            return [Message("user", question)]
        self._told = description
        return description.kept(question, self._keep)

    def so_far(self, question: str) -> list[Message]:
        """Words that are not all said yet, as `asked` will have them if nothing else is shown."""
        return self.asked(self._pending if self._pending and self._pending.done.is_set() else None, question)

    def _forget(self, pending: PendingImage | None) -> None:
        """Do not look at what is not shown any more and no turn asks for; camera frames may be alike."""
        if pending is not None and pending is not self._pending and not pending.turns and not pending.live:
            pending.scope.cancel()

    def _begin(self, pending: PendingImage) -> None:
        if not pending.begun and self._tasks is not None:
            pending.begun = True
            self._tasks.start_soon(self._work, pending)

    async def _work(self, pending: PendingImage) -> None:
        began = self._runner.now()
        with pending.scope:
            try:
                pending.description = await self._runner.call(
                    "vision", lambda: self._see(pending), self._limit
                )
            except BackchatError as error:
                pending.description = UNSEEN
                self._emit(ev.failure(self._runner.now(), "vision", error))
        pending.took = self._runner.now() - began
        pending.done.set()

    def _see(self, pending: PendingImage) -> Description:
        picture = open_image(pending.source)
        if pending.live and self._seen is not None and not differs(picture, self._seen[0]):
            return self._seen[1]
        if self._vision is None:
            return UNSEEN
        description = self._vision.look(picture)
        self._seen = (picture, description)
        return description

    async def _follow(self, camera: Camera, following: anyio.CancelScope) -> None:
        with following:
            while True:
                try:
                    picture = await self._runner.call("camera", camera.grab, self._limit)
                except BackchatError as error:
                    self._emit(ev.failure(self._runner.now(), "camera", error))
                    self.show(None)
                    return
                self.show(picture, live=True)
                self._woken = anyio.Event()
                await anyio.sleep(SPEAKING)
                if not self._speaking:
                    with anyio.move_on_after(QUIET - SPEAKING):
                        await self._woken.wait()


def differs(one: Picture, other: Picture) -> bool:
    """Whether two pictures show something different, rather than the same in other light or noise."""
    if one.pixels.shape != other.pixels.shape:
        return True
    a, b = _blocks(one.pixels), _blocks(other.pixels)
    return int((np.abs((a - a.mean()) - (b - b.mean())) > CHANGED).sum()) >= SOME


def _blocks(pixels: Pixels) -> NDArray[np.float32]:
    """Mean brightness of each block; what does not fill one at the right and the bottom is left out."""
    grey = pixels.mean(axis=2, dtype=np.float32)
    tall, wide = (max(1, side // GRID) for side in grey.shape)
    rows, columns = grey.shape[0] // tall, grey.shape[1] // wide
    return grey[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide).mean(axis=(1, 3))
