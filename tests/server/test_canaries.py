"""Secrets, paths and words, planted wherever a server meets them and looked for where none may be."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import grpc
import httpx
import pytest
import serving
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import helpers_server
import pictures
from agent.config import load
from agent.errors import EngineFault
from agent.llm.openai_api import OpenAI
from agent.messages import Message
from agent.protocols import Description
from agent.server.grpc import backchat_pb2 as pb
from agent.server.run import run_server, start_log
from agent.server.telemetry.concealment import Concealment
from agent.server.telemetry.traces import Traces
from agent.settings import Config
from agent.transports.disclosure import said, told, wordless

TOKEN, KEY = "tokencanary-0123456789abcdef", "keycanary-0123456789abcdef"
TYPED, HEARD, ANSWERED, SEEN = "Typedcanary", "Heardcanary", "Answeredcanary", "Seencanary"
PICTURE, UPLOAD = "picturecanary.png", "uploadcanary.wav"
PLACES = (
    "weightscanary",
    "earscanary",
    "voicecanary",
    "tokenfilecanary",
    "certificatecanary",
    "keyfilecanary",
)
ENGINE_PLACES = ("enginepathcanary", "blankcanary", "windowscanary", "homecanary")
INNER = ("Innercanary", "10.0.0.77")
"""What an engine says of itself: for the log, and for no client."""
SECRETS = (TOKEN, KEY, *PLACES, *ENGINE_PLACES)
WORDS = (TYPED, HEARD, ANSWERED, SEEN, "picturecanary", "uploadcanary")

Told = list[tuple[str, str]]
"""What was found, each with the place where."""


@dataclass
class Seen:
    """All that came out of a server: to the clients as answers, to them as errors and headers, and to us."""

    answers: Told = field(default_factory=list)
    errors: Told = field(default_factory=list)
    inside: Told = field(default_factory=list)


def holding(told: Told, canaries: Sequence[str]) -> list[tuple[str, str, str]]:
    """Which canary was found where."""
    return [
        (canary, place, text[:2000])
        for place, text in told
        for canary in canaries
        if canary.casefold() in text.casefold()
    ]


class Eye:
    def look(self, picture: Any) -> Description:
        return Description("Look.", f"{SEEN} is written there.", "I showed you something.")


@dataclass
class Failing:
    """An engine that tells all that it knows when it fails, in its error and to a logger of its own."""

    error: Exception
    after: str = ""
    rate, language = 24_000, "en"

    def _fail(self, given: object) -> None:
        told = f"{self.error} while it read {given!r} after {self.after.upper()!r}"
        logging.getLogger("somebodys.engine").error("failed: %s", told)
        raise type(self.error)(told)

    def stream(self, what: Sequence[Message] | str) -> Iterator[str]:
        if self.after:  # in two tokens
            yield from (self.after[:9], self.after[9:])
        self._fail(what)

    def prefill(self, messages: Sequence[Message]) -> None: ...

    def transcribe(self, audio: Any, *, final: bool = True) -> Any:
        self._fail(None)

    def look(self, picture: Any) -> Any:
        self._fail(picture)


@pytest.fixture(autouse=True)
def quick_and_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.testing.SECONDS_PER_CHARACTER", 0.01)
    monkeypatch.setenv("CANARY_KEY", KEY)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Settings with a canary in each path."""

    def path(folder: str, name: str) -> str:
        return str(tmp_path / folder / name)

    pairs = [
        f"llm.model={path('weightscanary', 'model.gguf')}",
        f"stt.model={path('earscanary', 'ears')}",
        f"tts.voice={path('voicecanary', 'joe')}",
        f"server.token_file={path('tokenfilecanary', 'token')}",
        f"server.certificate={path('certificatecanary', 'a.pem')}",
        f"server.key={path('keyfilecanary', 'b.pem')}",
        "llm.api_key_env=CANARY_KEY",
        "server.port=0",
        "server.grpc_port=0",
        "server.characters=2000",
        "server.refusals=100000",
    ]
    return load(None, [*serving.SETTINGS, *pairs])


def complaint(config: Config) -> str:
    """What an engine may say when it fails: all of the settings, the conversation, and where it looked."""
    return (
        f"Innercanary at http://me:{KEY}@10.0.0.77:9/v1: cannot load {config.llm.model}, "
        f"'{config.stt.model}' or {config.tts.voice}; see {config.server.token_file}, "
        f"{config.server.certificate}:{config.server.key}; key={KEY}, Bearer {TOKEN}; "
        "[Errno 2] No such file or directory: "
        "'/srv/some where/blankcanary/x y.bin' (/srv/enginepathcanary/x.bin, ~/homecanary/x, "
        "C:\\windowscanary\\x)"
    )


def drive(config: Config, broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Ask everything on every wire of a server with these broken engines. All that it said."""
    seen, exporter, log = Seen(), InMemorySpanExporter(), io.StringIO()
    made = serving.pool([f"{HEARD} there."], [f"{ANSWERED} now."], config=config)
    for slot in [*made._free, *made._halves]:
        slot.engines = replace(slot.engines, **{"vision": Eye(), **broken})
    root = logging.getLogger()
    kept = root.handlers[:], root.level, logging.getLogger("uvicorn.error").level
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", log)
        start_log(config, TOKEN)
    traces = Traces(exporter)

    async def inside() -> None:
        addresses: list[str] = []
        opened = anyio.Event()

        def started(at: list[str]) -> None:
            addresses.extend(at)
            opened.set()

        with anyio.fail_after(90):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run_server, made, TOKEN, None, None, started, traces)
                await opened.wait()
                await over_http(addresses[0], seen)
                await over_realtime(addresses[0], seen)
                await over_grpc(addresses[1].removeprefix("grpc://"), seen)
                async with httpx.AsyncClient(base_url=addresses[0], headers=SHOWN) as client:
                    seen.inside.append(("/metrics", (await client.get("/metrics")).text))
                while not made.idle:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()

    try:
        anyio.run(inside, backend="asyncio")
    finally:
        root.handlers[:] = kept[0]
        root.setLevel(kept[1])
        logging.getLogger("uvicorn.error").setLevel(kept[2])
        traces.close()
    seen.inside += [("traces", span.to_json()) for span in exporter.get_finished_spans()]
    seen.inside += [("log", line) for line in log.getvalue().splitlines()]
    return seen


SHOWN = {"authorization": f"Bearer {TOKEN}"}


def shown_picture() -> str:
    data = pictures.encoded(pictures.noise(40, 40))
    return f"data:image/png;name={PICTURE};base64,{base64.b64encode(data).decode()}"


async def over_http(address: str, seen: Seen) -> None:
    parts = [
        {"type": "text", "text": f"{TYPED} is what?"},
        {"type": "image_url", "image_url": {"url": shown_picture().replace(f"name={PICTURE};", "")}},
    ]
    chat = {"model": "backchat", "messages": [{"role": "user", "content": parts}]}
    words = {"model": "backchat", "messages": [{"role": "user", "content": TYPED}]}
    named = {"model": "backchat", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": f"file:///home/x/{PICTURE}"}}]}]}  # fmt: skip
    form: dict[str, Any] = {"files": {"file": (UPLOAD, serving.wav())}}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        *(
            ("POST", "/generate", {"json": {"prompt": TYPED}, "headers": {"accept": accept}})
            for accept in ("text/event-stream", "application/x-ndjson", "text/plain")
        ),
        ("POST", "/v1/chat/completions", {"json": chat}),
        ("POST", "/v1/chat/completions", {"json": {**chat, "stream": True}}),
        ("POST", "/v1/chat/completions", {"json": words}),
        ("POST", "/v1/audio/speech", {"json": {"input": f"{TYPED} and more.", "response_format": "wav"}}),
        ("POST", "/v1/audio/transcriptions", form),
        ("POST", "/v1/audio/transcriptions", {**form, "data": {"response_format": "text"}}),
        ("POST", "/converse", {"content": serving.wav()}),
        ("POST", "/converse", {"content": serving.wav(), "headers": {"accept": "audio/wav"}}),
        # What is refused.
        ("POST", "/generate", {"json": {"prompt": TYPED, "temperature": -1}}),
        ("POST", "/generate", {"json": {"prompt": f"{TYPED} " * 500}}),
        ("POST", "/generate", {"content": f'{{"prompt": "{TYPED}'}),
        ("POST", "/generate", {"content": TYPED.encode("utf-16")}),
        ("POST", "/v1/chat/completions", {"json": {**words, "model": "elsewhere"}}),
        ("POST", "/v1/chat/completions", {"json": named}),
        ("POST", "/v1/audio/transcriptions", {"files": {"file": (UPLOAD, TYPED.encode())}}),
        ("POST", "/v1/audio/transcriptions", {"files": {"other": (UPLOAD, serving.wav())}}),
        ("POST", "/converse", {"content": TYPED.encode() * 100}),
        ("POST", "/generate", {"json": {"prompt": TYPED}, "headers": {"authorization": f"Bearer {KEY}"}}),
        ("POST", "/generate", {"json": {"prompt": TYPED}, "headers": {"origin": "https://else.example"}}),
        ("GET", "/generate", {}),
        ("GET", "/v1/models", {}),
        ("GET", "/openapi.json", {}),
        ("GET", "/nothing", {}),
        ("GET", "/", {}),
    ]
    async with httpx.AsyncClient(base_url=address, headers=SHOWN, timeout=30) as client:
        for method, path, more in asked:
            place = f"{method} {path}"
            try:
                reply = await client.request(method, path, **more)
            except httpx.RemoteProtocolError as error:  # an answer that fails in its midst is cut
                seen.errors.append((place, str(error)))
                continue
            seen.errors.append((f"{place} headers", str(reply.headers.multi_items())))
            # An error in the midst of a stream is one too.
            failed = re.findall(r'\{[^{}]*"(?:message|event)": (?:"error"|"[^"]*\(error)[^{}]*\}', reply.text)
            seen.errors += [(place, each) for each in failed]
            (seen.answers if reply.status_code == 200 else seen.errors).append((place, reply.text))


async def over_realtime(address: str, seen: Seen) -> None:
    url, place = f"ws{address.removeprefix('http')}/v1/realtime", "realtime"
    for more in ({"authorization": f"Bearer {KEY}"}, {**SHOWN, "origin": "https://else.example"}):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=more)
        reply = refused.value.response
        seen.errors.append((f"{place} handshake", f"{reply.body!r} {list(reply.headers.raw_items())}"))
    protocols: Any = ["realtime", f"openai-insecure-api-key.{TOKEN}"]
    async with connect(f"{url}?events=all", subprotocols=protocols) as socket:
        seen.errors.append((f"{place} headers", str(list(socket.response.headers.raw_items()))))

        async def send(kind: str, **fields: Any) -> None:
            await socket.send(json.dumps({"type": kind, **fields}))

        async def until(kind: str) -> None:
            while True:
                raw = str(await socket.recv())
                event = json.loads(raw)
                details = (event.get("response") or {}).get("status_details")
                seen.errors.append((place, json.dumps(details)))
                failed = event["type"] == "error" or (event.get("event") or {}).get("event") == "error"
                (seen.errors if failed else seen.answers).append((f"{place} {event['type']}", raw))
                if event["type"] in (kind, "error"):
                    return

        async def item(**part: str) -> None:
            content = {"type": "message", "role": "user", "content": [part]}
            await send("conversation.item.create", item=content)
            await until("conversation.item.done")

        async def answered(modality: str) -> None:
            await send("response.create", response={"output_modalities": [modality]})
            await until("response.done")

        update = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await send("session.update", session=update)
        await until("session.updated")
        await item(type="input_text", text=TYPED)
        await answered("text")
        await item(type="input_image", image_url=shown_picture().replace(f"name={PICTURE};", ""))
        await item(type="input_image", image_url=f"file:///home/x/{PICTURE}")
        await item(type="input_image", image_url=shown_picture()[:60])
        await answered("text")
        await send("input_audio_buffer.append", audio=base64.b64encode(serving.tone(0.5)).decode())
        await send("input_audio_buffer.commit")
        await until("conversation.item.input_audio_transcription.completed")
        await answered("audio")
        await item(type="input_text", text=f"{TYPED} " * 500)
        await send("conversation.item.create", item={"type": "message", "role": TYPED, "content": []})
        await until("error")
        await socket.send(f'{{"type": "{TYPED}')
        await until("error")


async def over_grpc(address: str, seen: Seen) -> None:
    shown = (("authorization", f"Bearer {TOKEN}"),)
    sound = [pb.TranscribeRequest(data=serving.wav())]
    picture = pictures.encoded(pictures.noise(40, 40))
    long = f"{TYPED} " * 500
    asked: list[tuple[str, Sequence[Any], Any]] = [
        ("Generate", [pb.GenerateRequest(prompt=TYPED)], shown),
        ("Speak", [pb.SpeakRequest(text=f"{TYPED} and more.")], shown),
        ("Transcribe", sound, shown),
        ("Converse", [pb.ConverseRequest(text=TYPED)], shown),
        ("Converse", [pb.ConverseRequest(image=picture), pb.ConverseRequest(text=TYPED)], shown),
        # What is refused.
        ("Generate", [pb.GenerateRequest(prompt=TYPED)], (("authorization", f"Bearer {KEY}"),)),
        ("Generate", [pb.GenerateRequest(prompt=TYPED, temperature=-1)], shown),
        ("Generate", [pb.GenerateRequest(prompt=long)], shown),
        ("Speak", [pb.SpeakRequest(text=TYPED, voice="elsewhere")], shown),
        ("Transcribe", [pb.TranscribeRequest(data=TYPED.encode() * 100)], shown),
        ("Converse", [pb.ConverseRequest(settings=pb.Settings(system=long))], shown),
        ("Converse", [pb.ConverseRequest(text=TYPED), pb.ConverseRequest(image=TYPED.encode())], shown),
        ("Nothing", [pb.GenerateRequest(prompt=TYPED)], shown),
    ]
    replies = {"Generate": pb.GenerateReply, "Speak": pb.Speech, "Transcribe": pb.TranscribeReply}
    async with grpc.aio.insecure_channel(address) as channel:
        for method, messages, metadata in asked:
            place = f"grpc {method}"
            call = channel.stream_stream(
                f"/backchat.v1.Backchat/{method}",
                request_serializer=type(messages[0]).SerializeToString,
                response_deserializer=replies.get(method, pb.ConverseReply).FromString,
            )(metadata=metadata)
            try:
                for message in messages:
                    await call.write(message)
                await call.done_writing()
                async for reply in call:
                    failed = method == "Converse" and reply.event.name == "error"
                    (seen.errors if failed else seen.answers).append((place, str(reply)))
            except grpc.aio.AioRpcError as error:
                told = f"{error.details()} {error.debug_error_string()}"
                seen.errors.append((place, told))
            seen.errors.append((f"{place} trailers", str(await call.trailing_metadata())))
            seen.errors.append((f"{place} headers", str(await call.initial_metadata())))


def check(seen: Seen) -> None:
    everything = [*seen.answers, *seen.errors, *seen.inside]
    assert holding(everything, SECRETS) == []
    assert holding([*seen.errors, *seen.inside], WORDS) == []
    assert holding([*seen.answers, *seen.errors], INNER) == []
    assert {place for place, _ in seen.inside} >= {"/metrics", "log"}


@pytest.mark.net
def test_what_goes_well_is_told_to_its_own_client_alone(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = drive(config, {}, monkeypatch)
    check(seen)
    for wire in ("POST", "realtime", "grpc"):
        answers = [each for each in seen.answers if each[0].startswith(wire)]
        assert {canary for canary, *_ in holding(answers, WORDS)} >= {HEARD, ANSWERED}
    assert "traces" in {place for place, _ in seen.inside}
    assert len(seen.errors) > 60


@pytest.mark.net
@pytest.mark.parametrize(
    ("kind", "error"),
    [("stt", OSError), ("llm", OSError), ("llm", EngineFault), ("tts", OSError), ("vision", OSError)],
)
def test_an_engine_that_fails_tells_the_log_alone_and_no_secret(
    kind: str, error: type[Exception], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = f"{ANSWERED} is it. " if kind == "llm" else ""
    seen = drive(config, {kind: Failing(error(complaint(config)), after)}, monkeypatch)
    check(seen)
    assert holding(seen.inside, INNER[:1]), "the log has what the engine said"
    assert [place for place, text in seen.errors if "(error " in text]


@pytest.mark.net
def test_a_fault_of_our_own_tells_the_log_where_and_no_secret(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        try:
            raise OSError(complaint(config))
        except OSError as error:
            raise ExceptionGroup(complaint(config), [ValueError(complaint(config))]) from error

    for place in ("http.text.grains", "http.speech.Encoder", "grpc.methods.grains", "grpc.methods.say"):
        monkeypatch.setattr(f"agent.server.{place}", broken)
    monkeypatch.setattr("agent.server.realtime.client_events.ClientEvents._room", broken)
    seen = drive(config, {}, monkeypatch)
    check(seen)
    assert sum('"unforeseen"' in text for _, text in seen.inside) > 5
    assert holding(seen.inside, INNER[:1])


@dataclass
class Quoting(helpers_server.ScriptedServer):
    """A language model's server that refuses every question with all of it, and the key."""

    status: str = ""

    def _play(self, connection: Any, script: Any) -> bool:
        _, headers, asked = self.seen[-1]
        told = f"Innercanary: {headers['authorization']} /srv/enginepathcanary/x {asked['messages'][1:]!r}"
        body = json.dumps({"error": {"message": told}})
        return super()._play(connection, helpers_server.error(self.status, body))


@pytest.mark.net
@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "200 OK"])
def test_a_language_model_server_is_quoted_to_nobody(
    status: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Quoting([], status=status)
    llm = OpenAI(base_url=server.url, api_key_env="CANARY_KEY", retries=0)
    try:
        seen = drive(config, {"llm": llm}, monkeypatch)
    finally:
        llm.close()
        server.close()
    check(seen)
    assert any('"failed"' in text for _, text in seen.inside)
    if not status.startswith("200"):
        assert holding(seen.inside, INNER[:1]), "the log has what the server said"


@pytest.mark.parametrize(
    ("said_", "quoted"),
    [
        ("नमस्ते दुनिया", "नमस्ते"),
        ("我的密码是四七一一", "密码是四七"),
        ("Élève Zoë", r"\u00c9l\u00e8ve"),
        ("Élève Zoë", "E\u0301le\u0300ve"),
        ("Zanzibar", "prompt_Zanzibar=ZANZIBAR"),
        ("x", "data:image/png;base64," + "iVBORw0KGgo" * 30),
    ],
)
def test_words_are_hidden_in_every_script_and_spelling(said_: str, quoted: str) -> None:
    def request() -> str:
        with told("x"):
            said(said_)
            return wordless(quoted)

    kept = Context().run(request)
    assert not re.search(
        r"[^\W_]{4,}", kept.replace("prompt", "").replace("data:image", "").replace("base64", "")
    )


PLAIN = st.text(st.characters(categories=("Lu", "Ll", "Nd")), min_size=1, max_size=8)
SHAPES: list[Callable[[str], str]] = [
    lambda path: path,
    lambda path: f"'{path}'",
    lambda path: f'File "{path}", line 3',
    lambda path: f"x={path}",
    lambda path: f"({path})",
    lambda path: f"open:{path}: denied",
    lambda path: f"file://{path}",
    lambda path: f"~{path}",
    lambda path: f"..{path}",
    lambda path: f"C:{path}".replace("/", "\\"),
    lambda path: f"'/srv/with blanks{path}'",
]


@given(st.lists(PLAIN, min_size=2, max_size=5), st.sampled_from(SHAPES))
def test_a_path_is_hidden_in_whatever_it_stands(parts: list[str], shape: Callable[[str], str]) -> None:
    hidden = Concealment()(shape("/" + "/".join(f"{part}Canary" for part in parts)))
    assert "Canary" not in hidden


@pytest.mark.parametrize(
    "text",
    [
        "http://10.0.0.7:9999/v1 refuses the key (401: no); set LLM_KEY",
        "agent/server/run.py:12 serve",
        "image/png and/or text/plain, 3/4",
        "llm.context is 4096 tokens: lower it with --set llm.context=2048",
    ],
)
def test_what_is_no_path_stays(text: str) -> None:
    assert Concealment()(text) == text


def test_what_is_known_is_hidden_under_its_name() -> None:
    config = load(None, ["llm.model=weights/big.gguf", "llm.api_key_env=A_KEY", "server.token_file=~/t.txt"])
    hide = Concealment.of(config, "t" * 16, {"A_KEY": "k" * 20, "DB_PASSWORD": "p" * 9, "SHORT_KEY": "ab"})
    told = f"weights/big.gguf {'t' * 16} {'k' * 20} {'p' * 9} ab {Path('~/t.txt').expanduser()}"
    assert hide(told) == "[llm.model] [BACKCHAT_TOKEN] [A_KEY] [DB_PASSWORD] ab [server.token_file]"
