"""`backchat mcp` on a virtual sound card, with the transcriber's real weights, asked by a stock client."""

from __future__ import annotations

import sys

import anyio
import pytest

from agent.weights.catalogue import cache_dir, resolve
from live_talk import DEMO, PATIENCE, ROOT, TALK

pytestmark = [pytest.mark.device, pytest.mark.model]


def test_a_program_asks_its_user_aloud_and_is_answered(sound_card):
    from mcp import Client, StdioServerParameters

    resolve("whisper-tiny.en")
    env = sound_card.env | {"PYTHONPATH": str(ROOT), "BACKCHAT_CACHE": str(cache_dir())}
    program = StdioServerParameters(command=sys.executable, args=["-c", TALK, "mcp"], env=env)

    async def main() -> list[str]:
        told: list[str] = []
        with anyio.fail_after(PATIENCE):
            async with Client(program) as client:
                tools = await client.list_tools()
                told.append(" ".join(tool.name for tool in tools.tools))
                told.append((await client.call_tool("speak", {"text": "Hello there."})).content[0].text)
                async with anyio.create_task_group() as tasks:

                    async def answer() -> None:
                        await anyio.sleep(4.0)
                        await anyio.to_thread.run_sync(sound_card.play(DEMO / "question.wav").wait)

                    tasks.start_soon(answer)
                    asked = {"text": "What do you want to know?", "wait": 20}
                    told.append((await client.call_tool("converse", asked)).content[0].text)
        return told

    tools, spoken, answered = anyio.run(main)
    assert tools == "speak listen converse"
    assert spoken == "It was heard."
    assert "capital of France" in answered
