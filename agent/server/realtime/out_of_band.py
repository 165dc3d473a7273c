"""Responses beside the conversation: their own input, and nothing of them enters it. Knows no socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio

from agent.conversation.voices import Voices
from agent.errors import RequestError
from agent.messages import Message, in_one_go
from agent.server.completion import Sampling, Written, write
from agent.server.functions import Calling
from agent.server.http.speech import say
from agent.server.pool import Pool
from agent.server.realtime import server_events
from agent.transports.disclosure import told
from agent.transports.playout import RATE
from agent.transports.slot import SessionSlot
from audio.frame import Samples
from audio.resampler import Resampler

Tell: TypeAlias = Callable[[list[server_events.Message]], Awaitable[None]]

MOST = 4
"""Such responses of one session at a time."""


class OutOfBand:
    """Makes them, each in a task and a slot of its own: a slot writes one answer at a time."""

    def __init__(self, pool: Pool, send: Tell) -> None:
        self._pool, self._send = pool, send
        self._scopes: dict[str, anyio.CancelScope] = {}
        """Of those that are made now, by the id of each."""

    def admit(self) -> None:
        """Raise RequestError where there are too many."""
        if len(self._scopes) >= MOST:
            raise RequestError(
                f"{MOST} responses are made beside the conversation already; wait for one", 429
            )

    def cancel(self, name: str) -> bool:
        """End one by its id; False where there is none."""
        if (scope := self._scopes.get(name)) is not None:
            scope.cancel()
        return scope is not None

    async def make(
        self, response: server_events.Response, messages: Sequence[Message], calling: Calling
    ) -> None:
        """One response, from its first event to its last. calling: what its client may be asked to run."""
        self._scopes[response.id] = scope = anyio.CancelScope()
        response.open = response.cancelled = True  # by its client, if it is: nobody else can
        status = "cancelled"
        try:
            await self._send([server_events.created(response)])
            with scope:
                status = await self._made(response, messages, calling)
            begun = [] if response.outputs else server_events.opened(response)
            await self._send([*begun, *server_events.closed(response, status, response.text)])
        finally:
            del self._scopes[response.id]

    async def _made(
        self, response: server_events.Response, messages: Sequence[Message], calling: Calling
    ) -> str:
        """Its status, once all of it was sent."""
        written = Written()
        try:
            with told("this response", TimeoutError):
                async with self._pool.slot() as slot:
                    await self._write(slot, response, messages, written, calling)
                    await self._say(slot, response)
        except RequestError as error:
            response.error = str(error)
            return "failed"
        return "incomplete" if written.reason == "length" else "completed"

    async def _write(
        self,
        slot: SessionSlot,
        response: server_events.Response,
        messages: Sequence[Message],
        written: Written,
        calling: Calling,
    ) -> None:
        sampling = Sampling(max_tokens=response.limit)
        async with write(slot, self._pool.config, in_one_go(messages), sampling, written, calling) as tokens:
            async for delta in tokens:
                response.text = delta.text if delta.anew else response.text + delta.text
                if delta.text:
                    begun = [] if response.item in response.outputs else server_events.opened(response)
                    await self._send([*begun, server_events.delta(response, delta.text)])
                if delta.call is not None:
                    await self._send(server_events.called(response, delta.call))
        response.tokens = written.tokens

    async def _say(self, slot: SessionSlot, response: server_events.Response) -> None:
        """What it says, as sound; nothing for a response in text."""
        if response.modality == "text" or not response.text.strip():
            return
        voice = Voices(slot.engines.tts).of(name=response.voice)
        resampler = Resampler(voice.rate, RATE)

        async def send(samples: Samples) -> None:
            await self._send(server_events.sounding(response, samples))

        async with say(slot, self._pool.config, response.text, voice, response.speed) as parts:
            async for part in parts:
                await send(resampler.feed(part.samples))
        await send(resampler.finish())
