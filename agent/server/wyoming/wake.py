"""`detect`: sound in as long as it comes, and each time that a wake word was said in it. Keeps none of it.

It is no conversation: no engine but that of the word hears the sound, and no slot is taken.
"""

from __future__ import annotations

import math

from agent.server.pool import Pool
from agent.server.wyoming import requests
from agent.server.wyoming.asr import Sound
from agent.server.wyoming.caller import Caller
from agent.server.wyoming.library import domain
from agent.server.wyoming.wire import Received
from audio.frame import HEARING_RATE, Frame, Samples


async def detect(caller: Caller, first: Received) -> None:
    """Listen for one word, or any of several, up to `audio-stop`. Raises RequestError, Busy, ModelError."""
    listening = _Listening(caller.reception.pool, requests.read(requests.Detect, first).names)
    limit = caller.reception.pool.config.server.client_timeout
    types, found = domain("wake"), False
    while (event := await caller.next(limit)) is not None:
        if event.type == "audio-chunk":
            for name, end in listening.hears(*requests.samples(event)):
                found = True
                await caller.send(types.Detection(name, round(1000 * end)))
        elif event.type == "audio-stop":
            caller.whole()
            if not found:
                await caller.send(types.NotDetected())
            return


class _Listening:
    """Some words in one stream of sound. names: which; none for the setting's, or all where it has none."""

    def __init__(self, pool: Pool, names: tuple[str, ...] | None) -> None:
        known, chosen = pool.wake_words(), pool.config.wake
        usual = [name for name, word in known.items() if word.model == chosen.model] or list(known)
        wanted = {name: pool.waking(name, "names") for name in names or usual or ("",)}
        with pool.shared_slot() as slot:
            make = slot.engines.wake
        self._engines = {name: make(config) for name, config in wanted.items()}
        self._sound, self._heard = Sound(math.inf), 0

    def hears(self, samples: Samples, rate: int) -> list[tuple[str, float]]:
        """Which words ended in these samples, and when in all the sound (s)."""
        heard = self._sound.feed(samples, rate)
        frame = Frame(heard, HEARING_RATE, self._heard / HEARING_RATE)
        self._heard += len(heard)
        told = [(name, engine.feed(frame)) for name, engine in self._engines.items()] if len(heard) else []
        return [(name, found.end) for name, found in told if found is not None]
