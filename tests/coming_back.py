"""A Realtime client that comes back when its connection is lost, as docs/server.md has it."""

from __future__ import annotations

import time

import anyio
from realtime_client import Client
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

RATE = 24_000
PAUSE = 0.1
"""Seconds between two tries."""


class ComingBack:
    """One user, who types and listens. absences: seconds from each loss to the next word of the server.

    gaps: the longest time without sound in each reply that was not cut (s).
    """

    def __init__(self, address: str) -> None:
        self._url = f"ws{address.removeprefix('http')}/v1/realtime?events=all"
        self._token: str | None = None
        self._item, self._began, self._sent = "", 0.0, 0.0
        self.absences: list[float] = []
        self.gaps: list[float] = []
        self._owed = False
        self.replaced = 0
        """Sessions that were not found again."""

    @property
    def _played(self) -> int:
        """Milliseconds of the item that have sounded: it plays what it has, as it comes."""
        return round(1000 * min(self._sent, time.monotonic() - self._began))

    async def open(self) -> dict:
        """A connection, and what is known of the session on it."""
        before, where = self._token, {}
        if before is not None and self._item:
            where = {"item_id": self._item, "audio_end_ms": self._played}
        while True:
            try:
                socket = await connect(self._url, open_timeout=5)
                self._client = Client(socket)
                await self._client.send("backchat.resume", token=before, **where)
                with anyio.fail_after(10):
                    session = await self._client.until("backchat.session")
                break
            except (OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError):
                await anyio.sleep(PAUSE)
        self._token = session["token"]
        self._owed = bool(session.get("goes_on"))
        self.replaced += before is not None and not session["resumed"]
        return session

    async def ask(self, text: str) -> None:
        """Type this, and hear the answer to its end, by however many connections."""
        asked = lost = 0.0
        last = time.monotonic()
        while True:
            try:
                if not asked:
                    await self._client.put(text)
                    await self._client.send("response.create")
                    asked = time.monotonic()
                event = await self._client.read()
            except ConnectionClosed:
                lost = lost or time.monotonic()
                session = await self.open()
                known = (session.get("last") or {}).get("text", "")
                if not session.get("goes_on"):
                    if session["resumed"] and known != text:
                        asked = asked if (session["last"] or {}).get("role") == "assistant" else 0.0
                        if asked:
                            self.absences.append(time.monotonic() - lost)
                            return
                    else:
                        asked = 0.0
                continue
            if lost and event["type"].startswith("response."):
                self.absences.append(time.monotonic() - lost)
                lost = 0.0
            if event["type"] == "response.output_audio.delta":
                now = time.monotonic()
                if event["item_id"] != self._item:
                    self._item, self._began, self._sent = event["item_id"], now, 0.0
                elif not lost:
                    self.gaps.append(now - last)
                last = now
                self._sent += len(event["delta"]) * 3 / 4 / 2 / RATE
            if event["type"] == "response.done":
                self._owed = False
                with anyio.move_on_after(2):  # until it has sounded
                    await anyio.sleep(max(0.0, self._sent - (time.monotonic() - self._began)))
                return

    async def told(self, text: str) -> str:
        """What is answered to this, in words; after the rest of a reply that was cut."""
        if self._owed:
            await self._client.until("response.done")
            self._owed = False
        await self._client.put(text)
        return (await self._client.respond(output_modalities=["text"]))["output"][0]["content"][0]["text"]

    async def close(self) -> None:
        await self._client.socket.close()
