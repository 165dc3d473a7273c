"""A bare Realtime client on a real socket: says what a test wants, right or wrong; keeps what it is told."""

from __future__ import annotations

import json
from collections.abc import Callable

import anyio
import serving
from websockets.asyncio.client import ClientConnection, connect


class Client:
    """One connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[dict] = []

    async def send(self, kind: str, **fields: object) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def update(self, **session: object) -> dict:
        """Set something, and the session that comes of it."""
        await self.send("session.update", session={"type": "realtime", **session})
        return (await self.until("session.updated"))["session"]

    async def read(self) -> dict:
        self.told.append(json.loads(await self.socket.recv()))
        return self.told[-1]

    async def until(self, kind: str) -> dict:
        """Read on to the next event of that kind."""
        while (event := await self.read())["type"] != kind:
            pass
        return event

    async def put(self, text: str, role: str = "user", **more: object) -> dict:
        """An item with these words."""
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": text}]
        item = {"type": "message", "role": role, "content": content, **more}
        await self.send("conversation.item.create", item=item)
        return (await self.until("conversation.item.done"))["item"]

    async def respond(self, **response: object) -> dict:
        await self.send("response.create", response=response)
        return (await self.until("response.done"))["response"]

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.told if event["type"] == kind]

    @property
    def errors(self) -> list[dict]:
        """What was refused so far, since this was asked last."""
        found = [event["error"] for event in self.of("error")]
        self.told = [event for event in self.told if event["type"] != "error"]
        return found


def talked(pool: serving.Scripted, main: Callable, query: str = "", seconds: float = 60) -> None:
    """Run `main(client)` against the server; a deadlock fails, and so does a slot that is not given back."""

    async def inside() -> None:
        with anyio.fail_after(seconds):
            async with serving.running(pool) as address:
                async with connect(f"ws{address.removeprefix('http')}/v1/realtime{query}") as socket:
                    await main(Client(socket))
                while not pool.idle:
                    await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")
