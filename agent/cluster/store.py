"""Where a cluster's sessions are kept for clients that come back: one actor, and a file that it writes ahead.

An actor, because all replicas must see the same at once, and because Ray runs it anew where it dies: it reads
its file then. No Redis, which would be one service more to run, guard and lose. The file has a line for each
change, and is written anew as soon as something in it is forgotten: nobody's words stay in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import anyio

from agent.cluster.library import ray
from agent.settings import Config
from agent.transports.resumption import TOUCH, LocalStore, Parts
from audio.private import append, replacing, write_whole

NAME = "backchat-sessions"
HEAD = "node:__internal_head__"
"""What only Ray's head node has. The store is there: it finds its file again wherever else a machine dies."""
LINES = 5000
"""Lines after which the file is written anew, with one for each session."""
PATIENCE = 5.0
"""Seconds after which it counts as out of reach."""


class JournalStore(LocalStore):
    """A store whose changes are in a file before they count; what is in it is taken over.

    now: a clock that goes on when this process ends. Raises OSError where the file cannot be used.
    """

    def __init__(self, file: Path, seconds: float, most: int, now: Callable[[], float] = time.time) -> None:
        super().__init__(seconds, most, now)
        self._file, self._lines, self._stale = file, 0, False
        with suppress(FileNotFoundError):
            for line in file.read_bytes().splitlines():
                with suppress(ValueError):  # the last one, which was not written to its end
                    self._read(json.loads(line))
        self._compact()

    async def tidy(self) -> None:
        """See `LocalStore.tidy`; what was let go is in the file no more."""
        await super().tidy()
        if self._stale or self._lines > LINES:
            self._out.close()
            self._compact()

    def note(self, name: str, holder: str, now: float, parts: Parts) -> None:
        """See `LocalStore.note`."""
        self._write([name, holder, now, dict(parts)])
        super().note(name, holder, now, parts)

    def forget(self, name: str) -> None:
        """See `LocalStore.forget`."""
        self._write([name])
        self._stale = True
        super().forget(name)

    def _read(self, change: list[Any]) -> None:
        name, *rest = change
        if rest:
            holder, now, parts = rest
            super().note(name, holder, now, cast(Parts, parts))
        else:
            super().forget(name)

    def _write(self, change: list[Any]) -> None:
        write_whole(self._out, _line(change))
        self._lines += 1

    def _compact(self) -> None:
        with replacing(self._file) as file:
            for name, kept in self.kept.items():
                file.write(_line([name, kept.holder, kept.last, kept.parts]))
        self._out = append(self._file)
        self._lines, self._stale = len(self.kept), False


def _line(change: list[Any]) -> bytes:
    return json.dumps(change).encode() + b"\n"


class Shared(JournalStore):
    """What the processes of a cluster have in common: its sessions, and the figures that each told last."""

    def __init__(self, file: Path, seconds: float, most: int, now: Callable[[], float] = time.time) -> None:
        super().__init__(file, seconds, most, now)
        self._pages: dict[str, tuple[float, str]] = {}

    async def pages(self, name: str, text: str) -> dict[str, str]:
        """The figures of those that told theirs lately, by their names; name, text: who asks, and its own."""
        now = self._now()
        self._pages[name] = (now, text)
        self._pages = {who: each for who, each in self._pages.items() if each[0] > now - 3 * TOUCH}
        return {who: told for who, (_, told) in self._pages.items()}


class RayStore:
    """The cluster's store, from anywhere in it; the first who asks has it begin."""

    def __init__(self, config: Config) -> None:
        server = config.server
        made = (
            ray()
            .remote(Shared)
            .options(
                name=NAME,
                namespace=NAME,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                resources={HEAD: 0.001},
                max_restarts=-1,
                max_task_retries=1,
            )
        )
        self._actor = made.remote(journal(config), server.resume, server.resumable)

    async def open(self, holder: str) -> str:
        """See `Store.open`."""
        return await self._asked("open", holder)

    async def claim(self, token: str, holder: str) -> Parts | None:
        """See `Store.claim`."""
        return await self._asked("claim", token, holder)

    async def put(self, token: str, holder: str, parts: Parts) -> bool:
        """See `Store.put`."""
        return await self._asked("put", token, holder, dict(parts))

    async def drop(self, token: str, holder: str) -> None:
        """See `Store.drop`."""
        await self._asked("drop", token, holder)

    async def tend(self) -> None:
        """See `Store.tend`."""
        while True:
            await anyio.sleep(TOUCH)
            with suppress(ConnectionError):
                await self._asked("tidy")

    async def pages(self, name: str, text: str) -> dict[str, str]:
        """See `Shared.pages`; of this process alone, where it cannot be reached."""
        try:
            return await self._asked("pages", name, text)
        except ConnectionError:
            return {name: text}

    async def _asked(self, what: str, *args: Any) -> Any:
        failures = ray().exceptions
        try:
            with anyio.fail_after(PATIENCE):
                return await getattr(self._actor, what).remote(*args)
        except (TimeoutError, failures.RayError) as error:
            raise ConnectionError("the store of sessions cannot be reached") from error


def journal(config: Config) -> Path:
    """The file of the store, on the machine where its actor runs."""
    from platformdirs import user_state_path

    named = config.cluster.journal
    return Path(named).expanduser() if named else user_state_path("backchat") / "sessions.jsonl"
