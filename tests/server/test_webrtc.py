"""The Realtime session over WebRTC, with aiortc as its client."""

from __future__ import annotations

import json
import random
import re
import sys
from dataclasses import dataclass

import anyio
import httpx
import numpy as np
import pytest
import serving
from av import AudioFrame
from bad_network import Detour, Network
from hypothesis import given
from hypothesis import strategies as st
from webrtc_client import Client, called, tone

import scripted
from agent.config import load
from agent.server.calls.packets import HELD, Packets
from agent.server.calls.peer import connected
from agent.settings import ServerConfig
from agent.testing import SECONDS_PER_CHARACTER

STORY = (
    "Once upon a time there was a king who had three sons and a daughter. They lived in a castle by the "
    "sea, with a very old horse, and a clock that was always wrong by an hour."
)


def humming(texts: list[str], replies: list[str], *settings: str) -> serving.Scripted:
    config = load(None, [*serving.SETTINGS, "server.port=0", *settings])
    model = serving.SharedLLM(replies, config.server.sessions)
    heard = scripted.ScriptedSTT(texts)
    made = serving.Scripted(config, [scripted.with_loudness(heard, model, scripted.Humming())])
    made.model = model
    return made


def seconds(client: Client) -> float:
    """How long something sounded."""
    return 0.02 * sum(np.abs(block).max() > 0.05 for block in client.heard)


@pytest.mark.net
@pytest.mark.parametrize(("loss", "more"), [(0.0, True), (0.1, False)])
def test_a_question_is_heard_and_its_answer_sounds(loss: float, more: bool) -> None:
    """Also where every tenth packet of the user's is lost; or where the client offers more than is taken."""

    async def main(client: Client) -> None:
        created = await client.until("session.created")
        assert created["session"]["id"].startswith("sess_")
        client.microphone.say(tone(1.0))
        await client.until("output_audio_buffer.stopped")
        await anyio.sleep(0.3)

    client = called(humming(["What is that?"], ["A bell."]), main, loss, more=more)
    taken = [(each.kind, each.currentDirection) for each in client.connection.getTransceivers()]
    beside = [("audio", "inactive"), ("video", "inactive")] if more else []
    assert sorted(taken) == sorted([("audio", "sendrecv"), *beside])
    (words,) = client.of("conversation.item.input_audio_transcription.completed")
    assert words["transcript"] == "What is that?"
    (done,) = client.of("response.done")
    assert done["response"]["status"] == "completed"
    assert not client.of("response.output_audio.delta"), "the sound goes by its track"
    among = ("output_audio_buffer.started", "response.done", "output_audio_buffer.stopped")
    assert [event["type"] for event in client.told if event["type"] in among] == list(among)
    assert seconds(client) == pytest.approx(len("A bell.") * SECONDS_PER_CHARACTER, abs=0.08)
    assert not client.of("error")


@pytest.mark.net
def test_who_speaks_over_a_reply_silences_it_and_its_history_is_what_sounded() -> None:
    pool = humming(["Tell me a story.", "Wait, what time is it?"], [STORY, "Noon."])
    before: list[float] = []

    async def main(client: Client) -> None:
        await client.until("session.created")
        client.microphone.say(tone(1.0))
        await client.until("output_audio_buffer.started")
        await anyio.sleep(3.0)
        client.microphone.say(tone(1.0))
        await client.until("output_audio_buffer.cleared")
        before.append(seconds(client))
        await client.until("response.done", 2)

    client = called(pool, main)
    cut = client.of("response.done")[0]["response"]
    assert (cut["status"], cut["status_details"]["reason"]) == ("cancelled", "turn_detected")
    heard = cut["output"][0]["content"][0]["transcript"]
    assert STORY.startswith(heard)
    assert len(heard) * SECONDS_PER_CHARACTER == pytest.approx(before[0], abs=0.5)
    told = [(m.role, m.content) for m in pool.model.asked[-1] if m.role != "system"]
    assert told[-2:] == [("assistant", heard), ("user", "Wait, what time is it?")]


@pytest.mark.net
def test_events_go_as_on_the_websocket_and_a_form_brings_the_session() -> None:
    """A typed question, instructions, a wish that cannot be, and `output_audio_buffer.clear`."""
    pool = humming([], [STORY])

    async def main() -> None:
        client = Client()
        async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as http:
            session = {"type": "realtime", "model": "gpt-realtime", "instructions": "You are a king."}
            form = {"sdp": (None, await client.offer()), "session": (None, json.dumps(session))}
            reply = await http.post("/v1/realtime/calls", files=form)
            assert reply.status_code == 201, reply.text
            await client.accept(reply.text)
            created = await client.until("session.created")
            assert created["session"]["instructions"] == "You are a king."
            client.send("no.such.event")
            assert (await client.until("error"))["error"]["param"] == "type"
            item = {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "A story!"}],
            }
            client.send("conversation.item.create", item=item)
            client.send("response.create")
            await client.until("output_audio_buffer.started")
            await anyio.sleep(0.5)
            client.send("output_audio_buffer.clear")
            await client.until("output_audio_buffer.cleared")
            assert (await client.until("response.done"))["response"]["status"] == "cancelled"
            await client.connection.close()
            while not pool.idle:
                await anyio.sleep(0.01)

    async def within() -> None:
        with anyio.fail_after(20):
            await main()

    anyio.run(within, backend="asyncio")
    assert [m.content for m in pool.model.asked[0]] == ["You are a king.", "A story!"]


@pytest.mark.net
def test_the_last_word_of_a_server_that_stops_is_heard() -> None:
    pool = humming([], ["Good day to you all."])

    async def main(client: Client) -> None:
        await client.until("session.created")
        client.send("response.create")
        await client.until("output_audio_buffer.started")
        pool.close()
        while not pool.idle:
            await anyio.sleep(0.01)

    client = called(pool, main)
    assert seconds(client) == pytest.approx(len("Good day to you all.") * SECONDS_PER_CHARACTER, abs=0.1)


@pytest.mark.net
def test_what_is_no_offer_is_refused_in_one_line_and_holds_no_slot() -> None:
    pool = humming([], [], "server.sessions=128", "server.first_event=0.5")

    async def main() -> None:
        client = Client()
        offer = await client.offer()
        audio = offer.index("m=audio")
        wrong = [
            (b"", 400, "sdp"),
            (b"\xff\xfe no sdp", 400, "sdp"),
            (offer[:audio].encode(), 400, "sdp"),
            (offer.replace("m=application", "m=video").encode(), 400, "sdp"),
            (offer.replace("a=fingerprint", "a=nothing").encode(), 400, "sdp"),
            (offer.replace("a=ice-ufrag", "a=nothing").encode(), 400, "sdp"),
            (re.sub("opus|PCM[UA]|G722", "other", offer).encode(), 400, "sdp"),
            (("x" * 70_000).encode(), 413, "sdp"),
            ((offer + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 8).encode(), 413, "sdp"),
            ((offer + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 30).encode(), 413, "sdp"),
        ]
        draw = random.Random(1)
        lines = offer.splitlines()
        for _ in range(100):  # a line less, or one that is cut
            at = draw.randrange(len(lines))
            cut = [lines[at][: draw.randrange(len(lines[at]) + 1)]] * draw.randrange(2)
            wrong.append(("\r\n".join([*lines[:at], *cut, *lines[at + 1 :], ""]).encode(), 0, ""))
        async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as http:
            for body, status, param in wrong:
                reply = await http.post(
                    "/v1/realtime/calls", content=body, headers={"content-type": "application/sdp"}
                )
                assert reply.status_code in ([status] if status else [201, 400]), (body, reply.text)
                if status:
                    assert reply.json()["error"]["param"] == param
            reply = await http.post("/v1/realtime/calls", json={})
            assert reply.status_code == 415
            while not pool.idle:  # those that were answered and do not come
                await anyio.sleep(0.01)
        await client.connection.close()

    async def within() -> None:
        with anyio.fail_after(20):
            await main()

    anyio.run(within, backend="asyncio")


def test_nothing_is_held_back_by_aiortc_and_lost_sound_is_silence() -> None:
    """aiortc's own buffer waits for four more packets, and for good for more once one was lost."""

    async def main() -> None:
        client = Client()
        async with connected(ServerConfig()) as peer:
            await peer.answer(await client.offer())
            (receiver,) = peer._connection.getReceivers()
            assert isinstance(receiver._RTCRtpReceiver__jitter_buffer, Packets)
            for pts in (0, 960, 3840):  # two were lost
                frame = AudioFrame.from_ndarray(np.full((1, 960), 8192, np.int16), "s16", "mono")
                frame.sample_rate, frame.pts = 48_000, pts
                receiver.track._queue.put_nowait(frame)
            receiver.track._queue.put_nowait(None)
            heard = [samples async for samples, rate in peer.sound() if rate == 48_000]
        await client.connection.close()
        assert [len(samples) for samples in heard] == [960, 960, 3 * 960]
        assert heard[2].tolist() == [0.0] * 1920 + [0.25] * 960

    anyio.run(main, backend="asyncio")


@pytest.mark.net
def test_where_the_library_is_missing_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as http:
            monkeypatch.setitem(sys.modules, "aiortc", None)
            kind = {"content-type": "application/sdp"}
            reply = await http.post("/v1/realtime/calls", content="v=0", headers=kind)
            assert (reply.status_code, reply.json()["error"]["code"]) == (501, "webrtc_missing")
            assert "scripts/setup webrtc" in reply.text or "backchat[webrtc]" in reply.text

    pool = humming([], [])
    anyio.run(main, backend="asyncio")
    assert pool.idle


@dataclass(frozen=True)
class Numbered:
    sequence_number: int


def passed(numbers: list[int]) -> list[int]:
    found: list[int] = []
    packets = Packets(lambda packet: found.append(packet.sequence_number))
    for number in numbers:
        assert packets.add(Numbered(number & 0xFFFF)) == (False, None)
    return found


@given(st.integers(0, 0xFFFF), st.lists(st.integers(0, HELD - 1), min_size=40, max_size=80))
def test_packets_in_disorder_are_put_in_order(first: int, delays: list[int]) -> None:
    """Each comes up to so many places too late: none is lost, also where their number begins anew."""
    order = sorted(range(1, len(delays)), key=lambda at: (at + delays[at], at))
    numbers = [first, *(first + at for at in order)]
    assert passed(numbers) == [(first + at) & 0xFFFF for at in range(len(delays))]


@given(st.sets(st.integers(1, 60), max_size=20))
def test_one_that_is_lost_delays_the_others_only_as_long_as_it_is_waited_for(lost: set[int]) -> None:
    found = passed([number for number in range(100) if number not in lost])
    assert found == [number for number in range(100) if number not in lost]


def test_what_comes_too_late_is_left_out_and_another_stream_is_begun() -> None:
    assert passed([*range(10), 3, 10, 40_000, 40_001]) == [*range(11), 40_000, 40_001]


def test_a_call_takes_less_than_a_slow_link_carries_and_makes_up_for_what_is_lost() -> None:
    """aiortc's own 96,000 bit/s are twice what a bad mobile network carries."""

    async def main() -> None:
        client = Client()
        async with connected(ServerConfig()) as peer:
            answer = await peer.answer(await client.offer())
            (sender,) = peer._connection.getSenders()
            track, encoder, size = peer._connection.getSenders()[0].track, sender._RTCRtpSender__encoder, 0
            assert encoder.codec.options["fec"] == "1"
            hum = np.sin(np.cumsum(np.linspace(0.01, 0.4, 480 * 100))).astype(np.float32)
            for at in range(0, len(hum), 480):
                peer.outgoing.put(hum[at : at + 480])
                packets, _ = encoder.encode(await track.recv())
                size += sum(map(len, packets))
        await client.connection.close()
        assert "maxaveragebitrate=24000" in answer
        assert 8 * size / 2.0 < 1.3 * 24_000

    anyio.run(main, backend="asyncio")


@pytest.mark.net
def test_a_call_goes_on_over_a_bad_network() -> None:
    """Every tenth packet is lost both ways, of the events' too; the others come 60 to 140 ms late."""
    pool = humming(["What is that?"], ["A bell."])

    async def main() -> None:
        client, detour = Client(), Detour(Network.like(loss=0.1, delay=0.1, jitter=0.04))
        async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as http:
            kind = {"content-type": "application/sdp"}
            offer = await detour.offer(await client.offer())
            reply = await http.post("/v1/realtime/calls", content=offer, headers=kind)
            await client.accept(detour.answer(reply.text))
            await client.until("session.created")
            client.microphone.say(tone(1.0))
            await client.until("output_audio_buffer.stopped")
            await client.connection.close()
            detour.close()
            pool.close()
            while not pool.idle:
                await anyio.sleep(0.01)
        (done,) = client.of("response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "A bell."
        assert (
            client.of("conversation.item.input_audio_transcription.completed")[0]["transcript"]
            == "What is that?"
        )

    async def within() -> None:
        with anyio.fail_after(40):
            await main()

    anyio.run(within, backend="asyncio")


@pytest.mark.net
def test_a_call_can_be_hung_up_by_its_name() -> None:
    """While it goes on, or before it has begun; once."""
    pool = humming([], [STORY])

    async def main() -> None:
        async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as http:
            for begun in (True, False):
                client, kind = Client(), {"content-type": "application/sdp"}
                reply = await http.post("/v1/realtime/calls", content=await client.offer(), headers=kind)
                if begun:
                    await client.accept(reply.text)
                    await client.until("session.created")
                    client.send("response.create")
                    await client.until("output_audio_buffer.started")
                assert not pool.idle
                end = f"{reply.headers['location']}/hangup"
                assert ((ended := await http.post(end)).status_code, ended.content) == (200, b"")
                while not pool.idle:
                    await anyio.sleep(0.01)
                again = await http.post(end)
                assert (again.status_code, again.json()["error"]["code"]) == (404, "call_id_not_found")
                await client.connection.close()

    async def within() -> None:
        with anyio.fail_after(20):
            await main()

    anyio.run(within, backend="asyncio")


@pytest.mark.net
def test_who_only_listens_is_answered_what_was_typed() -> None:
    pool = humming([], ["A bell."])

    async def main() -> None:
        client = Client()
        (transceiver,) = client.connection.getTransceivers()
        transceiver.direction = "recvonly"
        async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as http:
            kind = {"content-type": "application/sdp"}
            reply = await http.post("/v1/realtime/calls", content=await client.offer(), headers=kind)
            assert reply.status_code == 201, reply.text
            await client.accept(reply.text)
            await client.until("session.created")
            client.send("response.create")
            await client.until("output_audio_buffer.stopped")
            await anyio.sleep(0.3)
            await client.connection.close()
            while not pool.idle:
                await anyio.sleep(0.01)
        assert seconds(client) == pytest.approx(len("A bell.") * SECONDS_PER_CHARACTER, abs=0.08)

    async def within() -> None:
        with anyio.fail_after(20):
            await main()

    anyio.run(within, backend="asyncio")
