"""HTTP on a real socket with scripted engines: grains, the stock OpenAI client, refusals, clients that go."""

from __future__ import annotations

import io
import json
import threading
import warnings
from collections.abc import Callable
from typing import Any

import anyio
import av
import httpx
import numpy as np
import pytest
import serving
from openai import NotFoundError

from agent.errors import AudioFileWarning
from agent.server.pool import Pool
from audio.encode import FORMATS, Encoder

pytestmark = pytest.mark.net

REPLY = "It is a bell, my friend. It rings every day at noon. Goodbye."
LONG = " ".join(f"This is sentence number {i}." for i in range(400))


def served(pool: Pool, main: Callable, token: str | None = None) -> None:
    """Run `main(address)` against the server; a deadlock fails."""

    async def inside() -> None:
        with anyio.fail_after(60):
            async with serving.running(pool, token) as address:
                await main(address)
                await freed(pool)
        assert pool.idle, "a slot was not given back"

    anyio.run(inside, backend="asyncio")


async def freed(pool: Pool) -> None:
    """Until nobody has a slot."""
    with anyio.fail_after(10):
        while not pool.idle:
            await anyio.sleep(0.01)


def sse(text: str) -> list[tuple[str, object]]:
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields.get("event", "message"), json.loads(fields["data"])))
    return found


@pytest.mark.parametrize(
    ("grain", "expected"),
    [
        ("token", ["It", " is", " a", " bell,"]),
        ("chunk", ["It is a bell,", " my friend."]),
        ("sentence", ["It is a bell, my friend.", " It rings every day at noon.", " Goodbye."]),
    ],
)
def test_generate_in_each_grain_and_form(grain: str, expected: list[str]) -> None:
    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            body = {"prompt": "What is that?", "stream": grain}
            reply = await client.post("/generate", json=body)
            *pieces, (last, end) = sse(reply.text)
            assert [text for _, text in pieces][: len(expected)] == expected
            assert "".join(text for _, text in pieces) == REPLY
            assert (last, end["reason"], end["usage"]["completion_tokens"]) == ("end", "stop", 13)
            plain = await client.post("/generate", json=body, headers={"accept": "text/plain"})
            assert plain.text == REPLY
            lines = await client.post("/generate", json=body, headers={"accept": "application/x-ndjson"})
            *pieces, end = [json.loads(line) for line in lines.text.splitlines()]
            assert "".join(piece["text"] for piece in pieces) == REPLY
            assert end["end"]["reason"] == "stop"

    served(serving.pool(["x"], [REPLY]), main)


def test_the_first_token_comes_before_the_last_is_made() -> None:
    pool = serving.pool(["x"], [REPLY], token=0.05)

    async def main(address: str) -> None:
        async with (
            httpx.AsyncClient(base_url=address) as client,
            client.stream("POST", "/generate", json={"prompt": "x"}) as reply,
        ):
            async for _ in reply.aiter_text():
                assert sum(pool.model.pulled()) < 13
                break

    served(pool, main)


def test_max_tokens_ends_it_and_says_so() -> None:
    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            reply = await client.post("/generate", json={"prompt": "x", "max_tokens": 3})
            *pieces, (_, end) = sse(reply.text)
            assert ([text for _, text in pieces], end["reason"]) == (["It", " is", " a"], "length")

    served(serving.pool(["x"], [REPLY]), main)


def test_an_engine_that_fails_in_the_stream_is_an_event_and_before_it_an_answer() -> None:
    pool = serving.pool(["x"], [REPLY], "server.sessions=1")
    pool.model.each[0].fail_at = {0: 3, 1: 0}

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            reply = await client.post("/generate", json={"prompt": "x"})
            *_, (kind, error) = sse(reply.text)
            assert (reply.status_code, kind) == (200, "error")
            assert error["error"]["message"].startswith("the language model failed (error ")
            reply = await client.post("/generate", json={"prompt": "x"})
            assert reply.status_code == 500
            assert reply.json()["error"]["code"] == "llm_failed"
            assert (await client.post("/generate", json={"prompt": "x"})).text.startswith('data: "It"')

    served(pool, main)


def test_the_stock_client_chats_speaks_and_transcribes() -> None:
    async def main(address: str) -> None:
        async with serving.stock(address) as client:
            asked = {"model": "qwen2.5-0.5b", "messages": [{"role": "user", "content": "hi"}]}
            stream = await client.chat.completions.create(
                **asked, stream=True, stream_options={"include_usage": True}
            )
            chunks = [chunk async for chunk in stream]
            assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == REPLY
            assert chunks[-1].usage.completion_tokens == 13
            assert chunks[-2].choices[0].finish_reason == "stop"
            whole = await client.chat.completions.create(**asked)
            assert whole.choices[0].message.content == REPLY
            heard = await client.audio.transcriptions.create(
                model="whisper-tiny.en", file=("q.wav", serving.wav())
            )
            assert heard.text == "What is that?"
            assert {m.id async for m in client.models.list()} == {"qwen2.5-0.5b", "whisper-tiny.en", "hibari"}
            with pytest.raises(NotFoundError, match=r"no model '[./]+etc/passwd' here"):
                await client.chat.completions.create(**{**asked, "model": "../../etc/passwd"})
            with pytest.raises(NotFoundError, match="no voice"):
                await client.audio.speech.create(model="hibari", voice="../heart", input="Hi.")

    served(serving.pool(["What is that?"], [REPLY]), main)


def phone_recording() -> bytes:
    """A second of M4A."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for number in range(16):
            frame = av.AudioFrame.from_ndarray(np.full((1, 1024), 0.1, np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16_000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return sink.getvalue()


def test_what_phones_record_and_a_header_that_lies_are_transcribed_and_answered() -> None:
    wav = serving.wav()
    at = wav.index(b"data") + 4
    files = {"killed.wav": wav[:at] + bytes([128, 2, 0, 0]) + wav[at + 4 :], "phone.m4a": phone_recording()}

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            for name, data in files.items():
                form = {"file": (name, data)}
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", AudioFileWarning)
                    heard = await client.post("/v1/audio/transcriptions", files=form)
                    answered = await client.post("/converse", content=data)
                assert (heard.status_code, heard.json()) == (200, {"text": "What is that?"})
                assert answered.status_code == 200
            refused = await client.post(
                "/v1/audio/transcriptions", files={"file": ("a.m4a", b"\0\0\0 ftyp" * 9)}
            )
            assert refused.status_code == 400
            assert "the sound: MP4 or M4A that cannot be read" in refused.json()["error"]["message"]

    served(serving.pool(["What is that?"] * 4, [REPLY] * 4), main)


@pytest.mark.parametrize("kind", FORMATS)
def test_speech_comes_in_every_format_and_before_it_is_all_made(kind: str) -> None:
    pool = serving.pool(["x"], ["y"])

    async def main(address: str) -> None:
        async with serving.stock(address) as client:
            make = client.audio.speech.with_streaming_response.create
            async with make(model="hibari", voice="default", input=REPLY, response_format=kind) as reply:
                data = b"".join([piece async for piece in reply.iter_bytes()])
            magic = {
                "wav": b"RIFF",
                "mp3": b"\xff",
                "opus": b"OggS",
                "flac": b"fLaC",
                "aac": b"\xff\xf1",
                "pcm": b"",
            }
            assert data.startswith(magic[kind])
            assert len(data) > 200

    served(pool, main)


def test_converse_answers_a_file_with_events_and_sound() -> None:
    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            reply = await client.post("/converse", content=serving.wav())
            told = [json.loads(line) for line in reply.content.split(b"\r\n") if line.startswith(b'{"event"')]
            assert told[0] == {"event": "question", "text": "What is that?"}
            assert (told[-1]["reason"], told[-1]["heard"]) == ("finished", "A bell.")
            bare = await client.post("/converse", content=serving.wav(), headers={"accept": "audio/wav"})
            assert bare.content.startswith(b"RIFF")
            spoken = len("A bell.") * 0.06
            assert len(bare.content) / 48_000 == pytest.approx(spoken, abs=0.05)
            garbage = await client.post("/converse", content=b"no sound at all")
            assert garbage.status_code == 400

    served(serving.pool(["What is that?"], ["A bell."]), main)


def test_who_goes_stops_the_model_within_a_token_and_frees_the_seat() -> None:
    pool = serving.pool(["x"], [LONG], "server.sessions=2", token=0.005)

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for number in range(100):
                async with client.stream("POST", "/generate", json={"prompt": "x"}) as reply:
                    assert reply.status_code == 200, number
                    async for _ in reply.aiter_text():
                        break
                await freed(pool)
                assert pool.model.open == 0
        assert max(pool.model.pulled()) < 60, "the model wrote on for nobody"

    served(pool, main)


def test_beyond_the_slots_a_newcomer_is_told_to_come_back() -> None:
    pool = serving.pool(["x"], [LONG], "server.sessions=2", token=0.01)

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(_until_cancelled, client)
                with anyio.fail_after(5):
                    while pool.taken < 2:
                        await anyio.sleep(0.01)
                third = await client.post("/generate", json={"prompt": "x"})
                assert third.status_code == 503
                assert int(third.headers["retry-after"]) > 0
                assert "all 2 places are taken" in third.json()["error"]["message"]
                tasks.cancel_scope.cancel()
            await freed(pool)
            reply = await client.post("/generate", json={"prompt": "x", "max_tokens": 1})
            assert reply.status_code == 200

    served(pool, main)


async def _until_cancelled(client: httpx.AsyncClient) -> None:
    async with client.stream("POST", "/generate", json={"prompt": "x"}) as reply:
        async for _ in reply.aiter_text():
            pass


def test_who_never_reads_is_held_back_then_cut() -> None:
    reply = " ".join(["d" * 10_000] * 4000)
    pool = serving.pool(["x"], [reply], "server.client_timeout=0.5", "llm.max_tokens=4000")

    async def main(address: str) -> None:
        host, port = address.removeprefix("http://").split(":")
        body = json.dumps({"prompt": "x"}).encode()
        async with await anyio.connect_tcp(host, int(port)) as stream:
            head = f"POST /generate HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {len(body)}\r\n\r\n"
            await stream.send(head.encode() + body)
            with anyio.fail_after(5):
                while not pool.taken:
                    await anyio.sleep(0.01)
            await freed(pool)
        assert max(pool.model.pulled()) < 3000, "it was not held back"

    served(pool, main)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"prompt": 5}', b'{"prompt": ""}', b"\xff" * 50, b"null"]
)
def test_a_wrong_body_is_one_clear_line(body: bytes) -> None:
    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for path in ("/generate", "/v1/chat/completions", "/v1/audio/speech"):
                reply = await client.post(path, content=body)
                assert reply.status_code == 400, path
                assert "\n" not in reply.json()["error"]["message"]

    served(serving.pool(["x"], ["y"]), main)


@pytest.mark.parametrize("text", ["...", "🙂", "***", "```\ncode\n```", "–"])
def test_a_text_without_words_is_refused_and_says_why(text: str) -> None:
    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for kind in ("mp3", "wav", "pcm"):
                ask = {"input": text, "response_format": kind}
                reply = await client.post("/v1/audio/speech", json=ask)
                assert reply.status_code == 400
                assert reply.json()["error"]["code"] == "unspeakable"
                assert "can be said aloud" in reply.json()["error"]["message"]
            again = await client.post("/v1/audio/speech", json={"input": "One two."})
            assert again.status_code == 200
            assert len(again.content) > 1000

    served(serving.pool(["x"], ["y"]), main)


def test_health_and_metrics() -> None:
    pool = serving.pool(["What?"], ["A bell."])

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            await client.post("/converse", content=serving.wav())
            text = (await client.get("/metrics")).text
            for line in ("backchat_sessions 0.0", "backchat_first_token_seconds_count 1.0"):
                assert line in text
            assert "bell" not in text
            pool.close()
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.post("/generate", json={"prompt": "x"})).status_code == 503

    served(pool, main)


def test_speech_is_not_encoded_by_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen may be read aloud to at once, each a hundred times as fast as it plays."""
    threads, real = set[int](), Encoder.feed

    def feed(self: Encoder, samples: Any) -> bytes:
        threads.add(threading.get_ident())
        return real(self, samples)

    monkeypatch.setattr(Encoder, "feed", feed)

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            assert (await client.post("/v1/audio/speech", json={"input": REPLY})).status_code == 200

    served(serving.pool(["x"], ["y"]), main)
    assert threads
    assert threading.get_ident() not in threads
