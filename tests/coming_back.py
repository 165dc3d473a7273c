"""A Realtime client that comes back when its connection is lost, as docs/server.md has it."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

import anyio
from realtime_client import Client
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from agent.conversation.reply import ENOUGH
from agent.testing import SECONDS_PER_CHARACTER

RATE = 24_000
PAUSE = 0.1
"""Seconds between two tries."""
INEXACT = 0.06
"""Seconds by which a client knows when a word has sounded."""
DUPLICATE = "item_create_duplicate_item_id"


@dataclass(frozen=True)
class Cut:
    """A reply whose connection was lost: its words, and the last of what was said.

    played: seconds that were played of it, and of each rest that was cut again.
    """

    text: str
    played: tuple[float, ...]
    rest: str

    @property
    def right(self) -> bool:
        """Whether each word was heard once, said by a scripted voice."""
        rests = {self.text}
        for played in self.played:
            rests = {_after(rest, played + by) for rest in rests for by in (-INEXACT, 0.0, INEXACT)}
        return self.rest in rests


def _after(text: str, played: float) -> str:
    """What is still to be said of it once so much was heard (s)."""
    for word in re.finditer(r"\S+", text):
        if played < (word.start() + ENOUGH * len(word.group())) * SECONDS_PER_CHARACTER:
            return text[word.start() :]
    return ""


class ComingBack:
    """One user, who types and listens. absences: seconds from each loss to the next word of the server.

    cuts: replies whose connection was lost. dry: the longest time for which a reply that was not cut fell
    silent, since no sound had come (s), and when (s, monotonic clock).
    """

    def __init__(self, address: str) -> None:
        self._url = f"ws{address.removeprefix('http')}/v1/realtime?events=all"
        self._token: str | None = None
        self._item, self._began, self._sent = "", 0.0, 0.0
        self.losses: list[float] = []
        self.absences: list[float] = []
        self.cuts: list[Cut] = []
        self.dry: list[tuple[float, float]] = []
        self.errors: list[str] = []
        self._owed = False
        self.replaced = 0
        """Sessions that were not found again."""

    @property
    def _played(self) -> float:
        """Seconds of the item that have sounded: it plays what it has, as it comes."""
        return min(self._sent, time.monotonic() - self._began)

    async def open(self) -> dict:
        """A connection, and what is known of the session on it."""
        before, where = self._token, {}
        if before is not None and self._item:
            where = {"item_id": self._item, "audio_end_ms": round(1000 * self._played)}
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

    async def ask(self, text: str, answer: str) -> None:
        """Type this, and hear the answer to its end, by however many connections. answer: in words."""
        name, step, answered, lost = f"item_{secrets.token_hex(8)}", "put", False, 0.0
        cut: tuple[float, ...] = ()
        while True:
            try:
                if step == "put":
                    known = await self._put(text, name)
                    if known and answered:
                        self._back(lost)
                        return
                    await self._client.send("response.create")
                step = "hear"
                event = await self._client.read()
            except ConnectionClosed:
                self.losses.append(time.monotonic())
                lost, played = lost or self.losses[-1], self._played if self._sent else 0.0
                session = await self.open()
                last = session.get("last") or {"role": ""}
                step = "hear" if session.get("goes_on") else "put"
                answered = last["role"] == "assistant"
                cut = (*cut, played) if step == "hear" else ()
                self._sent = 0.0
                continue
            if lost and event["type"].startswith("response."):
                self._back(lost)
                lost = 0.0
            if event["type"] == "error":
                self.errors.append(event["error"]["message"])
            if event["type"] == "response.output_audio.delta":
                self._hear(event)
            if event["type"] == "response.done":
                self._owed = False
                if cut and event["response"]["output"]:
                    said = event["response"]["output"][0]["content"][0]["transcript"]
                    self.cuts.append(Cut(answer, cut, said))
                with anyio.move_on_after(2):  # until it has sounded
                    await anyio.sleep(max(0.0, self._sent - (time.monotonic() - self._began)))
                self._sent = 0.0
                return

    def _hear(self, delta: dict) -> None:
        now = time.monotonic()
        if delta["item_id"] != self._item or not self._sent:
            self._item, self._began, self._sent = delta["item_id"], now, 0.0
        silent = now - self._began - self._sent
        if silent > 0:
            self.dry.append((silent, now))
            self._began += silent
        self._sent += len(delta["delta"]) * 3 / 4 / 2 / RATE

    def _back(self, lost: float) -> None:
        self.absences.append(time.monotonic() - lost)

    async def _put(self, text: str, name: str) -> bool:
        """Type this; whether it had arrived before, which its id tells."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content, "id": name}
        await self._client.send("conversation.item.create", item=item)
        while True:
            event = await self._client.read()
            if event["type"] == "conversation.item.done":
                return False
            if event["type"] == "error" and event["error"]["code"] == DUPLICATE:
                return True

    async def settle(self) -> None:
        """Be connected, and let the rest of a reply that was cut be said."""
        while True:
            try:
                await self.open()
                if self._owed:
                    await self._client.until("response.done")
                self._owed = False
                return
            except ConnectionClosed:
                continue

    async def told(self, text: str) -> str:
        """What is answered to this, in words."""
        await self._client.put(text)
        return (await self._client.respond(output_modalities=["text"]))["output"][0]["content"][0]["text"]

    async def close(self) -> None:
        await self._client.socket.close()
