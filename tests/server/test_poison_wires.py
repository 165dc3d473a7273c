"""Text that is none on the server's wires: it is cleaned, and the session goes on; thoughts are apart."""

from __future__ import annotations

import json

import anyio
import httpx
import pytest
import serving
from websockets.asyncio.client import connect

pytestmark = pytest.mark.net

POISON = "half \ud83d of it\x00\x1b[31m"


def test_realtime_items_and_instructions() -> None:
    pool = serving.pool(["Hm?"], ["<think>Hm.</think>Fine."])
    part = {"type": "input_text", "text": POISON}
    item = {"type": "message", "role": "user", "content": [part]}
    chosen = {"type": "realtime", "instructions": POISON, "output_modalities": ["text"]}

    async def main() -> list[dict]:
        told: list[dict] = []
        with anyio.fail_after(60):
            async with (
                serving.running(pool) as address,
                connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket,
            ):
                await socket.send(json.dumps({"type": "session.update", "session": chosen}))
                for _ in range(2):
                    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
                    await socket.send(json.dumps({"type": "response.create"}))
                    while not told or told[-1]["type"] != "response.done":
                        told.append(json.loads(await socket.recv()))
                    told.append({"type": "next"})
        return told

    told = anyio.run(main, backend="asyncio")
    assert [each for each in told if each["type"] == "error"] == []
    assert [e["text"] for e in told if e["type"] == "response.output_text.done"] == ["Fine.", "Fine."]
    (used,) = [one for one in pool.model.each if one.asked]
    assert [m.content for m in used.asked[-1]] == ["half \ufffd of it"] * 2 + ["Fine.", "half \ufffd of it"]


def test_http_texts_and_thoughts() -> None:
    async def main() -> None:
        pool = serving.pool(["Hm?"], ["<think>Hm.</think> *smiles* Fine.<|im_end|>"])
        with anyio.fail_after(60):
            async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as client:
                asked = {"prompt": POISON, "system": POISON}
                head = {"content-type": "application/json", "accept": "text/plain"}
                answer = await client.post("/generate", content=json.dumps(asked), headers=head)
                assert (answer.status_code, answer.text) == (200, "*smiles* Fine.")
                messages = [{"role": "user", "content": POISON}]
                for stream in (False, True):
                    asked = {"model": pool.names["llm"], "messages": messages, "stream": stream}
                    answer = await client.post(
                        "/v1/chat/completions", content=json.dumps(asked), headers=head
                    )
                    assert answer.status_code == 200, answer.text
                    if not stream:
                        message = answer.json()["choices"][0]["message"]
                        assert message["content"] == "*smiles* Fine."
                        assert message["reasoning_content"] == "Hm."
                assert '"reasoning_content": "Hm."' in answer.text
                assert "<think>" not in answer.text

    anyio.run(main, backend="asyncio")
