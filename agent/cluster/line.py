"""The way from a session to an engine in another process: its seat there, and what is asked from it.

A seat is taken at the first use, through Ray Serve, which knows the replicas and their load. From then on
what is asked goes straight to the engine's process, one item at a time: nothing is made ahead of who pulls.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from agent.cluster.calls import Answer, Facts, Request, Served
from agent.cluster.library import ray, serve
from agent.errors import EngineFault, EngineStalled
from agent.order import Wish, wished

APP = "backchat"
"""What the application is called in Ray Serve."""
DEPLOYMENTS: dict[Served, str] = {
    "stt": "Transcriber",
    "llm": "LanguageModel",
    "tts": "Synthesizer",
    "endpointing": "EndOfTurn",
}
"""What the deployment of each engine is called."""
TRIES = 3
"""Replicas that are tried for a seat, or for what could not be begun at another that has gone."""
PATIENCE = 30.0
"""Seconds for which a seat is waited for, as where an engine that died or hung is being replaced."""
PAUSE = 0.1
"""Seconds between two tries."""
GRACE = 1.0
"""Seconds that an answer may take longer than its limit, which the other side keeps too."""


class Lost(Exception):
    """The process at the other end has gone, or cannot be reached."""


class Seat(Protocol):
    """A seat at one replica."""

    def ask(self, what: str, *args: Any, limit: float) -> Any:
        """What a method of `Worker` gives, at that seat. Raises Lost, EngineStalled."""
        ...

    def leave(self) -> None:
        """Give it back."""
        ...


class Line(ABC):
    """What one session, or one copy of an engine, asks; one thing at a time."""

    patience = PATIENCE

    def __init__(self, kind: Served) -> None:
        self._kind: Served = kind
        self._seat: Seat | None = None

    @abstractmethod
    def take(self) -> Seat | None:
        """A seat at some replica; None where there is none free. Raises Lost, EngineFault."""

    def call(self, request: Request) -> Any:
        """The result of a method. Raises what it raises; EngineFault where no replica can be reached."""
        return self._begun("call", request)[1].result()

    def stream(self, request: Request) -> Iterator[Any]:
        """What a method yields, each item as it is pulled. Raises as `call` does."""
        seat, answer = self._begun("begin", request)
        try:
            while True:
                item = answer.result()
                if answer.over:
                    return
                yield item
                answer = self._asked(seat, "pull", answer.stream)
        finally:
            if not answer.over and seat is self._seat:
                with suppress(Lost, EngineFault):
                    seat.ask("close", answer.stream, limit=wished().limit)

    def _begun(self, what: str, request: Request) -> tuple[Seat, Answer]:
        """What has not begun may be asked of another replica, if one has gone, or one that comes soon."""
        until = time.monotonic() + min(self.patience, wished().limit)
        attempt = 0
        while True:
            attempt += 1
            why = "the {} engine's process has gone, and no other answers"
            with suppress(Lost):
                seat = self._seat = self._seat or self.take()
                if seat is None:
                    why = "every seat at the {} engine is taken, or hangs; add replicas"
                else:
                    answer = self._answer(seat, what, request)
                    if answer.seated:
                        return seat, answer
            self._drop()
            if attempt >= TRIES and time.monotonic() >= until:
                raise EngineFault(why.format(self._kind))
            time.sleep(PAUSE)

    def _asked(self, seat: Seat, what: str, *args: Any) -> Answer:
        """What goes on at one replica is lost with it."""
        try:
            return self._answer(seat, what, *args)
        except Lost as error:
            self._seat = None
            raise EngineFault(
                f"the {self._kind} engine's process has gone; the next turn asks another"
            ) from error

    def _drop(self) -> None:
        """The seat is no good any more; another is taken when something is asked for."""
        if self._seat is not None:
            with suppress(Lost, EngineFault):
                self._seat.leave()
        self._seat = None

    def _answer(self, seat: Seat, what: str, *args: Any) -> Answer:
        """What comes of it. Where it hangs, what is asked next is asked at another seat."""
        wish: Wish = wished()
        try:
            answer = seat.ask(what, *args, wish, limit=wish.limit)
        except EngineStalled:
            self._drop()
            raise
        if isinstance(answer.error, EngineStalled):
            self._drop()
        return answer


@dataclass
class RaySeat:
    """A seat at a worker that is a Ray actor. lease: the call to Ray Serve that keeps it."""

    name: str
    worker: Any
    lease: Any

    def ask(self, what: str, *args: Any, limit: float) -> Any:
        """See `Seat.ask`."""
        library = ray()
        failures = library.exceptions
        try:
            return library.get(getattr(self.worker, what).remote(self.name, *args), timeout=limit + GRACE)
        except failures.GetTimeoutError as error:
            raise EngineStalled(f"an engine's process gave nothing for {limit:g} s") from error
        except failures.RayActorError as error:
            raise Lost from error

    def leave(self) -> None:
        """See `Seat.leave`."""
        self.lease.cancel()


class RayLine(Line):
    """To a deployment of the running application."""

    def take(self) -> RaySeat | None:
        """See `Line.take`."""
        failures = ray().exceptions
        handle, name = _handle(self._kind), f"{os.getpid()}-{os.urandom(8).hex()}"
        for _ in range(TRIES):
            lease = handle.options(stream=True).sit.remote(name, _caller())
            try:
                worker = next(lease, None)
            except failures.RayActorError as error:
                raise Lost from error
            except serve().exceptions.RayServeException as error:
                raise EngineFault(f"no {self._kind} engine can be reached: {error}") from error
            if worker is not None:
                return RaySeat(name, worker, lease)
        return None

    def facts(self) -> Facts:
        """What is known of the engine there; waits until a replica has loaded it."""
        return _handle(self._kind).facts.remote().result()


def ray_line(kind: Served) -> RayLine:
    """A line to the engine of that kind. Raises MissingExtra; EngineFault where no cluster is running."""
    if not ray().is_initialized():
        raise EngineFault(f'{kind}.engine: "ray" is for `backchat serve --cluster`, whose engines it asks')
    return RayLine(kind)


def _handle(kind: Served) -> Any:
    """What Serve calls the deployment by. Raises EngineFault where the application is not there."""
    wrong = serve().exceptions.RayServeException
    try:
        app = serve().get_replica_context().app_name
    except wrong:
        app = APP
    handle = serve().get_deployment_handle(DEPLOYMENTS[kind], app)
    if not handle.is_initialized:
        handle._init(_prefer_local_routing=True)  # a session falls silent with no machine but its own
    return handle


def _caller() -> Any:
    """The actor that asks, by which the other side sees that it is gone; None where it is a program."""
    context = ray().get_runtime_context()
    return context.current_actor if context.get_actor_id() else None
