"""Wyoming, driven by the stock client of the `wyoming` package: each service, who comes, what is damaged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import anyio
import numpy as np
import pytest
import serving
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.handle import Handled, HandledChunk, HandledStart, HandledStop, NotHandled
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)
from wyoming.wake import Detect, Detection

from agent.config import load
from agent.errors import ConfigError, RequestError
from agent.messages import Message
from agent.server.admission.exposure import check_exposure, host_and_port
from agent.server.wyoming import requests
from agent.server.wyoming.announcement import _reachable
from agent.server.wyoming.conversations import Conversations
from agent.server.wyoming.wire import Received, Wire
from agent.settings import ServerConfig
from agent.testing import SECONDS_PER_CHARACTER, wake_word
from audio.frame import Frame
from audio.pcm import from_pcm, from_pcm16
from audio.stt import Transcript as Said

TOKEN = "a-token-of-more-than-16-characters"
STORY = "Once upon a time there was a king. He had three sons. They lived in a castle by the sea."


class Keeping:
    """A transcriber that keeps what it is given."""

    def __init__(self) -> None:
        self.heard: list[Frame] = []

    def transcribe(self, audio: Frame, *, final: bool = True) -> Said:
        self.heard.append(audio)
        return Said(f"{audio.duration:.1f} seconds")


def served(
    pool: serving.Scripted,
    main: Callable[[str, int], Coroutine[Any, Any, None]],
    token: str | None = None,
) -> None:
    """Run a client against a server; a deadlock fails, and so does a slot that is not given back."""

    async def inside() -> None:
        with anyio.fail_after(30):
            async with serving.both(pool, token) as addresses:
                (address,) = [each for each in addresses if each.startswith("tcp://")]
                await main(*host_and_port(address))
                while not pool.idle:
                    await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")


def made(texts: Sequence[str] = ("Hello.",), replies: Sequence[str] = ("Yes.",), *settings: str, **more: Any):
    return serving.pool(list(texts), list(replies), "server.wyoming=tcp://127.0.0.1:0", *settings, **more)


def on_a_clock_that_jumps(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    anyio.run(main, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})


def answers(pool: serving.Scripted, *events: Any, token: str | None = None) -> list[Event]:
    """What a stock client is told that sends these, and then that no more comes."""
    told: list[Event] = []

    async def main(host: str, port: int) -> None:
        async with AsyncTcpClient(host, port) as client:
            for event in events:
                await client.write_event(event if isinstance(event, Event) else event.event())
            client._writer.write_eof()
            while (event := await client.read_event()) is not None:
                told.append(event)

    served(pool, main, token)
    return told


def kinds(events: Sequence[Event]) -> list[str]:
    """Their types, each once in a row."""
    found = [event.type for event in events]
    return [kind for at, kind in enumerate(found) if at == 0 or found[at - 1] != kind]


def chunks(data: bytes, rate: int = 16_000, width: int = 2, channels: int = 1) -> list[AudioChunk]:
    size = width * channels * rate // 50
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return [AudioChunk(rate, width, channels, part) for part in parts]


def asked(*sound: AudioChunk, **wish: Any) -> list[Any]:
    start = AudioStart(sound[0].rate, sound[0].width, sound[0].channels)
    return [Transcribe(**wish), start, *sound, AudioStop()]


def sine(rate: int, seconds: float = 1.0, level: float = 0.6) -> np.ndarray:
    return level * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)


# ------------------------------------------------------------------------------------------------- describe


@pytest.mark.net
def test_info_is_what_the_package_reads_and_names_what_is_loaded() -> None:
    pool = made()
    info, pong = answers(pool, Describe(), Ping(text="there?"))
    found = Info.from_event(info)
    (asr,), (tts,), (handle,) = found.asr, found.tts, found.handle
    assert (asr.models[0].name, asr.models[0].languages) == (pool.names["stt"], ["en"])
    assert tts.voices[0].name == pool.voice
    assert handle.models[0].name == pool.names["llm"]
    assert (asr.supports_transcript_streaming, tts.supports_synthesize_streaming) == (True, True)
    assert (handle.supports_handled_streaming, handle.supports_home_control) == (True, False)
    assert Pong.from_event(pong).text == "there?"


# ------------------------------------------------------------------------------------------------------ asr


@pytest.mark.net
def test_what_is_said_is_transcribed_and_both_kinds_of_clients_are_told() -> None:
    told = answers(made(["Turn on the light."]), *asked(*chunks(serving.tone(1.0))))
    assert kinds(told) == ["transcript-start", "transcript-chunk", "transcript", "transcript-stop"]
    assert Transcript.from_event(told[2]).text == "Turn on the light."
    assert "".join(TranscriptChunk.from_event(e).text for e in told if TranscriptChunk.is_type(e.type)) == (
        "Turn on the light."
    )
    assert TranscriptStart.is_type(told[0].type)
    assert TranscriptStop.is_type(told[-1].type)


@pytest.mark.net
def test_a_long_sound_is_told_while_it_is_still_spoken() -> None:
    """The first words come before the sound has ended."""
    pool, early = made(["First."]), list[str]()

    async def main(host: str, port: int) -> None:
        async with AsyncTcpClient(host, port) as client:
            for event in asked(*[AudioChunk(16_000, 2, 1, bytes(32_000))] * 35)[:-1]:
                await client.write_event(event.event())
            while not (early and early[-1] == "transcript-chunk"):
                early.append((await client.read_event()).type)
            await client.write_event(AudioStop().event())
            while (await client.read_event()).type != "transcript-stop":
                pass

    served(pool, main)
    assert early == ["transcript-start", "transcript-chunk"]


@pytest.mark.net
@pytest.mark.parametrize(
    ("rate", "width", "channels"),
    [(8_000, 1, 1), (16_000, 2, 1), (22_050, 2, 2), (44_100, 3, 2), (48_000, 4, 6)],
)
def test_any_rate_width_and_channels_are_heard_alike(rate: int, width: int, channels: int) -> None:
    pool, ears = made(), Keeping()
    for slot in pool._halves:
        slot.engines = replace(slot.engines, stt=ears)
    wave = np.repeat(sine(rate), channels)
    if width == 1:
        data = np.round(wave * 127 + 128).astype(np.uint8).tobytes()
    else:
        scaled = np.round(wave * (2 ** (8 * width - 1) - 1)).astype("<i4")
        data = scaled.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    answers(pool, *asked(*chunks(data, rate, width, channels)))
    heard = np.concatenate([each.samples for each in ears.heard])
    assert len(heard) == pytest.approx(16_000, abs=20)
    middle = heard[4000:12000]
    assert np.abs(middle).max() == pytest.approx(0.6, abs=0.02), "a channel more makes it no louder"
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.6 / np.sqrt(2), abs=0.02)


@pytest.mark.net
def test_a_rate_that_changes_in_the_midst_of_it_loses_nothing() -> None:
    pool, ears = made(), Keeping()
    for slot in pool._halves:
        slot.engines = replace(slot.engines, stt=ears)
    parts = [
        chunks((sine(rate, 0.5) * 32767).astype("<i2").tobytes(), rate) for rate in (8000, 48_000, 16_000)
    ]
    answers(pool, *asked(*(chunk for part in parts for chunk in part)))
    assert sum(each.duration for each in ears.heard) == pytest.approx(1.5, abs=0.01)


@given(st.integers(1, 4), st.lists(st.floats(-1, 1), max_size=50))
def test_integers_of_any_width_are_the_same_samples(width: int, values: list[float]) -> None:
    top = 2 ** (8 * width - 1)
    whole = [max(-top, min(top - 1, round(value * top))) for value in values]
    raw = b"".join(
        (each + 128).to_bytes(1, "little") if width == 1 else each.to_bytes(width, "little", signed=True)
        for each in whole
    )
    assert from_pcm(raw, width) == pytest.approx(np.array(whole) / top, abs=1e-6)
    if width == 2:
        assert np.array_equal(from_pcm(raw, 2), from_pcm16(raw))


# ------------------------------------------------------------------------------------------------------ tts


def sound(events: Sequence[Event]) -> float:
    """Seconds of speech among these."""
    return sum(AudioChunk.from_event(e).seconds for e in events if AudioChunk.is_type(e.type))


@pytest.mark.net
def test_a_text_is_said() -> None:
    told = answers(made(), Synthesize("Good day to you all."))
    assert kinds(told) == ["audio-start", "audio-chunk", "audio-stop"]
    assert sound(told) == pytest.approx(20 * SECONDS_PER_CHARACTER, abs=0.01)
    stamps = [AudioChunk.from_event(e).timestamp for e in told if AudioChunk.is_type(e.type)]
    assert stamps == sorted(stamps)
    assert AudioStop.from_event(told[-1]).timestamp == round(sound(told) * 1000)


@pytest.mark.net
def test_a_text_that_is_still_written_is_heard_before_its_last_word() -> None:
    """As Home Assistant does it: the whole text once more, for servers that do not stream, then stop."""
    pool, first = made(), list[Event]()

    async def main(host: str, port: int) -> None:
        async with AsyncTcpClient(host, port) as client:
            await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name="alloy")).event())
            for word in STORY.split(" ")[:9]:
                await client.write_event(SynthesizeChunk(f"{word} ").event())
            first.append(await client.read_event())
            first.append(await client.read_event())
            for word in STORY.split(" ")[9:]:
                await client.write_event(SynthesizeChunk(f"{word} ").event())
            await client.write_event(Synthesize(STORY).event())
            await client.write_event(SynthesizeStop().event())
            while not SynthesizeStopped.is_type(first[-1].type):
                first.append(await client.read_event())

    served(pool, main)
    assert kinds(first) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
    assert sound(first) == pytest.approx(len(STORY) * SECONDS_PER_CHARACTER, rel=0.1), "once, not twice"


@pytest.mark.net
def test_nothing_to_say_is_said_with_nothing() -> None:
    assert kinds(answers(made(), SynthesizeStart(), SynthesizeStop())) == ["synthesize-stopped"]


# --------------------------------------------------------------------------------------------------- handle


@pytest.mark.net
def test_an_answer_is_told_while_it_is_written() -> None:
    context = {"conversation_id": "one", "device_id": "kitchen"}
    told = answers(made([], ["It is noon."]), Transcript("What time is it?", context=context))
    assert kinds(told) == ["handled-start", "handled-chunk", "handled", "handled-stop"]
    assert (
        "".join(HandledChunk.from_event(e).text for e in told if HandledChunk.is_type(e.type))
        == "It is noon."
    )
    handled = Handled.from_event(told[-2])
    assert (handled.text, handled.context) == ("It is noon.", context)
    assert HandledStart.from_event(told[0]).context == context
    assert HandledStop.is_type(told[-1].type)


@pytest.mark.net
def test_a_conversation_goes_on_over_connections_by_its_name_and_no_other_hears_of_it() -> None:
    pool = made([], ["A bell.", "By the sea.", "Who knows?"], "server.sessions=1")

    async def main(host: str, port: int) -> None:
        for text, name in [("What is that?", "one"), ("Where?", "one"), ("And you?", "two")]:
            async with AsyncTcpClient(host, port) as client:
                await client.write_event(Transcript(text, context={"conversation_id": name}).event())
                while (await client.read_event()).type != "handled":
                    pass  # and it goes at once, as Home Assistant does

    served(pool, main)
    said = [[m.content for m in messages if m.role != "system"] for messages in pool.model.asked]
    assert said == [["What is that?"], ["What is that?", "A bell.", "Where?"], ["And you?"]]


@pytest.mark.net
def test_silence_is_not_handled() -> None:
    (told,) = answers(made([], []), Transcript("  "))
    assert NotHandled.is_type(told.type)


def test_conversations_are_forgotten_when_they_are_too_old_or_too_many() -> None:
    async def main() -> None:
        kept = Conversations(ServerConfig(idle=10.0, memory=1000))
        for name in "ab":
            async with kept.going_on("here", name) as conversation:
                conversation.messages = [Message("user", "x" * 500)]
        async with kept.going_on("here", "a") as conversation:
            assert conversation.messages == [], "the older one went for the newer"
        async with kept.going_on("there", "b") as conversation:
            assert conversation.messages == []
        async with kept.going_on("here", "b") as conversation:
            assert len(conversation.messages) == 1
        await anyio.sleep(11)
        async with kept.going_on("here", "b") as conversation:
            assert conversation.messages == []

    on_a_clock_that_jumps(main)


# ----------------------------------------------------------------------------------------------- who may come


@pytest.mark.net
@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([Describe()], "error"),
        ([Event("authorize", {"token": "not-the-token-at-all"}), Describe()], "error"),
        ([Event("authorize", {"token": 5}), Describe()], "error"),
        ([Event("authorize", {"token": TOKEN}), Describe()], "info"),
    ],
)
def test_where_there_is_a_token_it_is_shown_first(events: list[Any], told: str) -> None:
    found = answers(made(), *events, token=TOKEN)
    assert kinds(found) == [told]
    if told == "error":
        assert Error.from_event(found[0]).code == "invalid_api_key"


@pytest.mark.net
def test_who_is_named_needs_no_token_and_anybody_else_does() -> None:
    assert kinds(
        answers(made((), (), 'server.wyoming_clients=["127.0.0.0/8"]'), Describe(), token=TOKEN)
    ) == ["info"]
    assert kinds(answers(made((), (), 'server.wyoming_clients=["10.0.0.1"]'), Describe(), token=TOKEN)) == [
        "error"
    ]


@pytest.mark.parametrize(
    ("address", "clients", "token", "starts"),
    [
        ("tcp://127.0.0.1:10700", (), None, True),
        ("tcp://[::1]:10700", (), None, True),
        ("tcp://localhost:10700", (), None, True),
        ("tcp://0.0.0.0:10700", (), None, False),
        ("tcp://[::]:10700", (), None, False),
        ("tcp://kitchen.lan:10700", (), None, False),
        ("tcp://0.0.0.0:10700", ("192.168.1.20",), None, True),
        ("tcp://0.0.0.0:10700", (), TOKEN, True),
    ],
)
def test_where_others_could_come_the_server_starts_only_where_it_says_who(
    address: str, clients: tuple[str, ...], token: str | None, starts: bool
) -> None:
    config = ServerConfig(wyoming=address, wyoming_clients=clients)
    if starts:
        check_exposure(config, token)
        return
    with pytest.raises(ConfigError, match=r"server\.wyoming_clients") as raised:
        check_exposure(config, token)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "own", "here"),
    [
        ("0.0.0.0", ["127.0.0.1", "192.168.1.5"], ["192.168.1.5"]),
        ("192.168.1.5", ["127.0.0.1"], ["192.168.1.5"]),
        ("0.0.0.0", ["127.0.0.1"], None),
        ("127.0.0.1", ["192.168.1.5"], None),
    ],
)
def test_what_is_announced_are_the_addresses_at_which_others_come(
    host: str, own: list[str], here: list[str] | None
) -> None:
    with nullcontext() if here else pytest.raises(ConfigError, match="nobody else"):
        assert anyio.run(_reachable, host, own) == here


@pytest.mark.parametrize(
    "wrong", ["127.0.0.1:10700", "tcp://127.0.0.1", "tcp://a:99999", "unix:///x", "tcp://::1:5"]
)
def test_an_address_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="tcp://127"):
        load(None, [f"server.wyoming={wrong}"])


# ------------------------------------------------------------------------------------------ damaged events


HEAD = b'{"type": "audio-chunk", '


@pytest.mark.net
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "invalid_json"),
        (b"\x16\x03\x01\x02\x00\x01\x00\n", "invalid_json"),
        (b"[]\n", "invalid_json"),
        (b"{}\n", "invalid_request_error"),
        (b'{"type": 5}\n', "invalid_request_error"),
        (b'{"type": "describe", "data": []}\n', "invalid_request_error"),
        (b'{"type": "describe", "data": [1]}\n', "invalid_request_error"),
        (b'{"type": "describe", "data_length": -1}\n', "invalid_request_error"),
        (b'{"type": "describe", "data_length": "8"}\n', "invalid_request_error"),
        (b'{"type": "describe", "data_length": true}\n', "invalid_request_error"),
        (b'{"type": "describe", "data_length": 3}\n[1]', "invalid_json"),
        (b'{"type": "describe", "payload_length": 99999999999}\n', "too_large"),
        (b"x" * 3_000_000, "too_large"),
        (b"[" * 100_000 + b"\n", None),
        (b'{"type": "synthesize", "data": {"text": 5}}\n', "invalid_value"),
        (b'{"type": "synthesize", "data": {"text": "x", "voice": 5}}\n', "invalid_value"),
        (b'{"type": "synthesize"}\n', "invalid_value"),
        (b'{"type": "synthesize", "data": {"text": "x", "text_format": "ssml"}}\n', "invalid_value"),
        (b'{"type": "transcribe"}\n{"type": "audio-chunk"}\n', "invalid_value"),
        (b'{"type": "transcript", "data": {"text": "x", "context": 5}}\n', "invalid_value"),
        (b'{"type": "run-pipeline", "data": {"start_stage": "oven", "end_stage": "tts"}}\n', "invalid_value"),
        (
            b'{"type": "audio-start"}\n{"type": "audio-chunk", "payload_length": 3, '
            b'"data": {"rate": 16000, "width": 2, "channels": 2}}\nabc',
            "invalid_value",
        ),
        (
            b'{"type": "audio-start"}\n'
            b'{"type": "audio-chunk", "data": {"rate": 0, "width": 2, "channels": 1}}\n',
            "invalid_value",
        ),
    ],
)
def test_what_is_no_event_is_refused_in_one_line_and_ends_the_connection(
    sent: bytes, code: str | None
) -> None:
    told = list[Event]()

    async def main(host: str, port: int) -> None:
        async with AsyncTcpClient(host, port) as client:
            client._writer.write(sent)
            told.append(await client.read_event())
            assert await client.read_event() is None
        async with AsyncTcpClient(host, port) as client:
            await client.write_event(Describe().event())
            assert Info.is_type((await client.read_event()).type), "others are served"

    served(made(), main)
    error = Error.from_event(told[0])
    assert code is None or error.code == code
    assert "\n" not in error.text


@pytest.mark.net
@pytest.mark.parametrize(
    "event",
    [
        Event("of-next-year", {"x": 1}, b"abc"),
        Event("audio-chunk", {"rate": 16000}, b"abc"),
        Event("audio-stop"),
        Event("synthesize-chunk", {"text": "x"}),
        Event("played"),
    ],
)
def test_what_belongs_to_nothing_or_to_a_later_version_is_let_be(event: Event) -> None:
    assert kinds(answers(made(), event, Describe())) == ["info"]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_an_event_is_read_however_its_bytes_come_and_goes_on_where_a_wait_was_given_up(size: int) -> None:
    data = json.dumps({"text": "grüß dich \U0001f600"}).encode()
    header = {"type": "transcript", "data": {"language": "de"}, "data_length": len(data), "payload_length": 3}
    raw = json.dumps(header).encode() + b"\n" + data + b"abc"

    async def main() -> None:
        send, receive = anyio.create_memory_object_stream[bytes](len(raw))
        wire = Wire(anyio.streams.stapled.StapledByteStream(_Sink(), _Source(receive)), ServerConfig())
        for at in range(0, len(raw), size):
            with anyio.move_on_after(1) as given_up:
                await wire.read()
            assert given_up.cancelled_caught
            await send.send(raw[at : at + size])
        found = await wire.read()
        assert found == Received("transcript", {"language": "de", "text": "grüß dich \U0001f600"}, b"abc")

    on_a_clock_that_jumps(main)


class _Source(anyio.abc.ByteReceiveStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._inner.receive()

    async def aclose(self) -> None:
        pass


class _Sink(anyio.abc.ByteSendStream):
    async def send(self, item: bytes) -> None:
        pass

    async def aclose(self) -> None:
        pass


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner) | st.dictionaries(st.text(), inner)


@settings(max_examples=20)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), nested, max_leaves=8))
def test_whatever_is_in_an_event_is_read_or_refused_by_name(value: Any) -> None:
    for model in (requests.Transcribe, requests.AudioFormat, requests.Synthesize, requests.Transcript):
        for name in model.model_fields:
            told = "event: "
            try:
                requests.read(model, Received("event", {"text": "x", name: value}, b""))
            except RequestError as error:
                told = str(error)
            assert told.startswith("event: ")


# --------------------------------------------------------------------------------------------- those who go


@asynccontextmanager
async def vanishing(host: str, port: int) -> AsyncIterator[AsyncTcpClient]:
    """A client that goes without a word: its connection is reset."""
    client = AsyncTcpClient(host, port)
    await client.connect()
    yield client
    client._writer.transport.abort()


@pytest.mark.net
@pytest.mark.parametrize(
    "events",
    [
        [],
        [Describe()],
        asked(*chunks(serving.tone(0.5)))[:-1],
        [SynthesizeStart(), SynthesizeChunk("Once upon a time there was a king. ")],
        [Synthesize(STORY * 20)],
        [Transcript("Tell me a story.")],
    ],
)
def test_who_vanishes_leaves_nothing_behind(events: list[Any]) -> None:
    pool = made(["x"], [STORY * 20], token=0.005)

    async def main(host: str, port: int) -> None:
        async with vanishing(host, port) as client:
            for event in events:
                await client.write_event(event.event())
            await asyncio.sleep(0.1)
        with anyio.fail_after(5):
            while not pool.idle or pool.model.open:
                await anyio.sleep(0.02)

    served(pool, main)
    assert sum(pool.model.pulled()) < 300, "the answer was not written to its end for nobody"


def test_urls_of_addresses_are_read_as_the_package_reads_them() -> None:
    for address in ("tcp://127.0.0.1:10700", "tcp://[::1]:5", "tcp://kitchen.local:1"):
        split = urlsplit(address)
        assert host_and_port(address) == (split.hostname, split.port)


# ------------------------------------------------------------------------------------------------- wake


def said_word() -> bytes:
    """Silence, what `ScriptedWake` takes for its word, and speech behind it; 16 kHz."""
    parts = [np.zeros(8000), wake_word().samples, sine(16_000, 0.6, 0.3)]
    return (np.concatenate(parts) * 32767).astype("<i2").tobytes()


@pytest.mark.net
def test_a_wake_word_is_told_when_it_was_said_and_not_when_it_was_not() -> None:
    pool = made([], [], "wake.model=hey_jarvis")
    spoken, silent = chunks(said_word()), chunks(bytes(32_000))
    begin, end = AudioStart(16_000, 2, 1), AudioStop()
    found, missed = (
        answers(pool, Detect(), begin, *spoken, end),
        answers(pool, Detect(names=["hey_jarvis"]), begin, *silent, end),
    )
    (heard,) = map(Detection.from_event, found)
    assert (heard.name, heard.timestamp) == ("hey_jarvis", pytest.approx(1100, abs=25))
    assert kinds(missed) == ["not-detected"]


@pytest.mark.net
def test_which_words_there_are_is_told_and_another_is_refused_by_name() -> None:
    pool = made([], [], "wake.model=hey_jarvis")
    (info,) = answers(pool, Describe())
    (program,) = Info.from_event(info).wake
    there = {model.name: model.phrase for model in program.models}
    assert there["hey_jarvis"] == "Hey Jarvis"
    for wish in (["../secret.json"], ["hey_jarvis", "computer"]):
        (told,) = answers(pool, Detect(names=wish))
        assert Error.from_event(told).text.startswith(f"names: no wake word is called {wish[-1]!r}")
