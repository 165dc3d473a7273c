"""Somebody speaks round the end of a reply, over a real socket, at random: nobody is met with silence.

The server runs in this process with scripted engines, so that the moments are all that varies; the clients
speak the Realtime protocol in real time. `boundaries` sweeps the same on the virtual clock.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import click
import serving
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.results import Results

OPTIONS = [
    click.Option(["--talks"], default=200, show_default=True, help="Conversations."),
    click.Option(["--seed"], default=1, show_default=True, help="Of their moments."),
]
AT_ONCE = 8
REPLY = "It is noon and the sun is out."
"""1.8 s as the scripted voice says it."""
SECOND = (1.0, 2.1)
"""Seconds from the reply's first sound to the second utterance's."""
LENGTH = (0.1, 0.7)
"""Seconds of it."""
WAIT = 8.0
"""Seconds after its end in which its answer has begun to sound, or it is met with silence."""
QUIET = bytes(960)


@dataclass
class Heard:
    """What has come of the responses so far: made, with sound, and done."""

    made: int = 0
    sounding: int = 0
    done: int = 0
    errors: int = 0


def run(talks: int, seed: int) -> Results:
    results = Results("mute")
    chance = random.Random(seed)
    plans = [(chance.uniform(*SECOND), chance.uniform(*LENGTH)) for _ in range(talks)]
    silent: list[tuple[float, float]] = []
    anyio.run(_talks, plans, silent, backend="asyncio")
    for second, length in silent:
        print(f"met with silence: {length:.3f} s said {second:.3f} s into a reply")
    results.add({"conversations": talks, "met with silence": len(silent)})
    results.target("conversations met with silence", len(silent), "<=", 0)
    return results


async def _talks(plans: list[tuple[float, float]], silent: list[tuple[float, float]]) -> None:
    pool = serving.pool(["What time is it?"], [REPLY], f"server.sessions={AT_ONCE}")
    left = list(plans)

    async def one_after_the_other() -> None:
        while left:
            plan = left.pop()
            if not await _answered(address, *plan):
                silent.append(plan)

    async with serving.running(pool) as address, anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(one_after_the_other)


async def _answered(address: str, second: float, length: float) -> bool:
    """Whether the second utterance is answered aloud to the end."""
    heard = Heard()
    async with (
        connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(_listen, socket, heard)
        await _say(socket, 0.6)
        answered = await _quiet(socket, lambda: heard.sounding == 1)
        if answered:
            await _say(socket, second, loud=False)
            await _say(socket, length)
            answered = await _quiet(socket, lambda: heard.sounding == 2 and heard.done == heard.made)
        tasks.cancel_scope.cancel()
    return answered and not heard.errors


async def _listen(socket: ClientConnection, heard: Heard) -> None:
    sounding = ""
    async for text in socket:
        event = json.loads(text)
        match event["type"]:
            case "response.created":
                heard.made += 1
            case "response.done":
                heard.done += 1
            case "error":
                heard.errors += 1
            case "response.output_audio.delta" if event["response_id"] != sounding:
                sounding = event["response_id"]
                heard.sounding += 1
            case _:
                pass


async def _say(socket: ClientConnection, seconds: float, *, loud: bool = True) -> None:
    """A tone, which is speech to the scripted detector, or silence; as fast as it would be spoken."""
    sound = serving.tone(seconds, 0.4 if loud else 0.0)
    began = anyio.current_time()
    for start in range(0, len(sound), len(QUIET)):
        await _send(socket, sound[start : start + len(QUIET)])
        await anyio.sleep_until(began + start / 48_000)


async def _quiet(socket: ClientConnection, come: Callable[[], bool]) -> bool:
    """Silence until something has come; whether it has."""
    began = due = anyio.current_time()
    while not come() and due < began + WAIT:
        await _send(socket, QUIET)
        due += 0.02
        await anyio.sleep_until(due)
    return come()


async def _send(socket: ClientConnection, data: bytes) -> None:
    sound = base64.b64encode(data).decode()
    await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": sound}))
