"""One session whose client is the program that runs it. Knows neither who takes what it gives, nor a wire."""

from __future__ import annotations

import math
from collections.abc import Callable

from agent import events as ev
from agent.protocols import Engines
from agent.runner import Runner
from agent.settings import Config
from agent.transports.remote import Item, RemoteSession
from agent.transports.slot import SessionSlot


class _Slot(SessionSlot):
    """Engines of the program's own, on the clock that it has chosen."""

    def __init__(self, engines: Engines, runner: Runner) -> None:
        super().__init__(engines)
        self._runner = runner

    def runner(self, *, background: bool = False) -> Runner:
        """That clock."""
        return self._runner


class InProcessSession(RemoteSession):
    """As a remote one, but told errors as they are, and cut by nothing. `take` is given each event and sound.

    runner: the session's clock.
    """

    def __init__(
        self, engines: Engines, config: Config, runner: Runner, take: Callable[[Item], None]
    ) -> None:
        patient = config.server.model_copy(update={"idle": math.inf, "longest": math.inf})
        super().__init__(_Slot(engines, runner), config.model_copy(update={"server": patient}))
        self._take = take

    def _disclosed(self, event: ev.Error) -> str:
        """All of it: who runs the program reads it."""
        return event.message

    def _put(self, item: Item) -> None:
        self._take(item)
