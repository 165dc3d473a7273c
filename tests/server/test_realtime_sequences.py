"""Whatever a Realtime client sends in whatever order: the connection lives, all comes in order, slots return.

Sequences are drawn from the types that OpenAI publishes, and mutated; a connection in memory, on the virtual
clock. CI draws 50 of each; BACKCHAT_THOROUGH=1 draws 1,000.
"""

from __future__ import annotations

import base64
import json
import os
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import anyio
import pytest
import serving
import typing_extensions
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openai.types import realtime
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from agent.config import load
from agent.runner import VirtualRunner
from agent.server.realtime.connection import talk
from agent.server.reception import Reception
from agent.server.telemetry.metrics import Metrics
from agent.simulation.virtual import run_virtual
from audio.pcm import from_pcm16, pcm16
from pictures import encoded, sign

MANY = settings(
    max_examples=1000 if os.environ.get("BACKCHAT_THOROUGH") == "1" else 50,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
COSTS = ("stt", "endpointing", "first_token", "token", "speech", "vision")
CONFIG = load(None, [*serving.SETTINGS, "costs.mode=declared", *(f"costs.{name}=0.01" for name in COSTS)])
PICTURE = f"data:image/png;base64,{base64.b64encode(encoded(sign('A', size=(20, 20)))).decode()}"
SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


# What a client may send.


def sound(seconds: float, level: float = 0.4) -> str:
    return base64.b64encode(pcm16(from_pcm16(serving.tone(seconds, level)))).decode()


SPEECH = [sound(0.5), sound(1.0, 0.0)]
TEXTS = {
    "audio": [sound(0.05), sound(0.3), sound(0.3, 0.0), ""],
    "image_url": [PICTURE],
    "item_id": ["@item", "@first", "nobody"],
    "previous_item_id": ["@item", "@first", "root", "nobody"],
    "response_id": ["@response", "nobody"],
    "id": ["mine_1", "mine_2", "@item"],
    "event_id": ["e_1", "e_2"],
    "language": ["en", "fi"],
    "model": ["gpt-realtime", "llama-9"],
}
NUMBERS: dict[str, list[Any]] = {
    "audio_end_ms": [0, 100, 100_000],
    "content_index": [0, 1],
    "idle_timeout_ms": [5000, 6000],
    "silence_duration_ms": [200, 500],
    "prefix_padding_ms": [0, 300],
    "threshold": [0.3, 0.9],
    "max_output_tokens": [1, 50],
}


@cache
def values(hint: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Values of a published type; texts and numbers of these names are among those that mean something."""
    kind, inner = typing.get_origin(hint), typing.get_args(hint)
    if kind is typing.Literal:
        return st.sampled_from(inner)
    if kind is typing.Annotated:
        return values(inner[0], name)
    if typing_extensions.is_typeddict(hint):
        hints = typing.get_type_hints(hint)
        parts = {key: values(part, key) for key, part in hints.items()}
        needed = {key: part for key, part in parts.items() if key in hint.__required_keys__ or key == "type"}
        return st.fixed_dictionaries(needed, optional={k: v for k, v in parts.items() if k not in needed})
    if inner and kind is not dict and isinstance(kind, type) and issubclass(kind, typing.Iterable):
        return st.lists(values(inner[0], name), min_size=1, max_size=2)
    if inner and kind is not dict:
        return st.one_of([values(part, name) for part in inner])
    if kind is dict or hint is object:
        return st.just({"a": "b"})
    if hint in (int, float):
        return st.sampled_from(NUMBERS.get(name, [1]))
    if hint is bool:
        return st.booleans()
    return st.none() if hint is type(None) else st.sampled_from(TEXTS.get(name, ["Hi.", "What is it?", ""]))


EVENTS = {
    typing.get_args(typing.get_type_hints(event)["type"])[0]: values(event)
    for event in typing.get_args(realtime.RealtimeClientEventParam)
}


def session(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **fields}}


def put(role: str, part: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = {"type": "message", "role": role, "content": [part]}
    return {"type": "conversation.item.create", "item": item, **more}


TRUNCATE = {
    "type": "conversation.item.truncate",
    "item_id": "@said",
    "content_index": 0,
    "audio_end_ms": 100,
}
HI = put("user", {"type": "input_text", "text": "Hi."})
COMMON = [
    {"type": "response.create"},
    {"type": "response.create", "response": {"conversation": "none"}},
    {"type": "response.create", "response": {"output_modalities": ["text"]}},
    {"type": "response.cancel"},
    {"type": "input_audio_buffer.commit"},
    {"type": "conversation.item.delete", "item_id": "@item"},
    {"type": "conversation.item.delete", "item_id": "@first"},
    {"type": "conversation.item.retrieve", "item_id": "@item"},
    TRUNCATE,
    HI,
    put("user", {"type": "input_text", "text": "Hi."}, previous_item_id="@first"),
    put("user", {"type": "input_audio", "audio": sound(0.3)}),
    put("assistant", {"type": "output_text", "text": "Well?"}),
    *(session(audio={"input": {"turn_detection": vad}}) for vad in (None, {"type": "semantic_vad"})),
    session(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}),
    session(audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}),
    *(session(output_modalities=[modality]) for modality in ("text", "audio")),
]
"""What clients send most: of what is drawn from the types alone nearly all names what is not there."""
SPOKEN = [{"type": "input_audio_buffer.append", "audio": part} for part in SPEECH]
ANY = st.sampled_from(sorted(EVENTS)).flatmap(lambda kind: EVENTS[kind])
ONE = st.builds(lambda one: [one], st.one_of(ANY, st.sampled_from(COMMON), st.sampled_from(COMMON)))
STEP = st.tuples(st.one_of(ONE, ONE, ONE, st.just(SPOKEN)), st.sampled_from([0.0, 0.0, 0.2, 1.5]))
LOOKED_AT = [{"type": f"conversation.item.{do}", "item_id": "@item"} for do in ("retrieve", "delete")]
TALK = [
    ([HI, {"type": "response.create"}], 1.5),
    ([TRUNCATE, *LOOKED_AT], 0.0),
    ([session(output_modalities=["text"]), HI, {"type": "response.create"}], 0.5),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A step of which one event has another value or field somewhere, or is cut short, or is none at all."""
    (events, pause) = draw(STEP)
    event = json.loads(json.dumps(draw(st.sampled_from(events))))
    how = draw(st.sampled_from(["right", "value", "value", "key", "without", "cut", "random", "bytes"]))
    if how == "bytes":
        return [draw(st.binary(max_size=60))], pause
    if how == "random":
        return [json.dumps(draw(JSON))], pause
    if how in ("value", "key", "without"):
        inside = event
        while True:
            name = draw(st.sampled_from(sorted(inside)))
            deeper = inside[name][0] if isinstance(inside[name], list) and inside[name] else inside[name]
            if not (isinstance(deeper, dict) and deeper and draw(st.booleans())):
                break
            inside = deeper
        if how == "without":
            del inside[name]
        else:
            inside[draw(st.text(max_size=8)) if how == "key" else name] = draw(JSON)
    text = json.dumps(event)
    return [text[: draw(st.integers(0, len(text)))] if how == "cut" else text], pause


# What the server may tell.


@dataclass
class Order:
    """Says when something is told that must not be told now."""

    ids: set[str] = field(default_factory=set)
    ever: dict[str, str] = field(default_factory=dict)
    """Items that were ever in the conversation, and how far each is told."""
    open: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Responses that are made, and of each item of them the parts that are open."""
    over: set[str] = field(default_factory=set)
    inside: str | None = None
    """The response that is part of the conversation."""
    speaking: str | None = None
    said: str = "nobody"
    """The agent's last item."""
    told: set[tuple[str, str]] = field(default_factory=set)

    def see(self, event: dict[str, Any]) -> None:
        assert event["event_id"] not in self.ids
        assert bool(self.ids) == (event["type"] != "session.created"), "it is the first, and the only one"
        self.ids.add(event["event_id"])
        SERVER_EVENT.validate_python(event)
        room, _, rest = event["type"].partition(".")
        if room == "response":
            self._response(rest, event)
        elif room == "input_audio_buffer":
            self._buffer(rest, event)
        elif room == "conversation":
            self._item(rest, event)

    def _response(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "created":
            name = event["response"]["id"]
            assert name not in self.open.keys() | self.over
            self.open[name] = {}
            if event["response"]["conversation_id"] is not None:
                assert self.inside is None, "one at a time"
                self.inside = name
        elif kind == "done":
            name, items = event["response"]["id"], self.open.pop(event["response"]["id"])
            assert not any(parts is not None for parts in items.values()), "all of its items are done"
            assert [item["id"] for item in event["response"]["output"]] == list(items)
            assert event["response"]["status"] != "in_progress"
            self.over.add(name)
            self.inside = None if self.inside == name else self.inside
        else:
            self._part(kind, event, self.open[event["response_id"]])

    def _part(self, kind: str, event: dict[str, Any], items: dict[str, Any]) -> None:
        name = event["item"]["id"] if "item" in event else event["item_id"]
        if kind == "output_item.added":
            assert name not in items
            items[name], self.said = set[int](), name
        elif kind == "output_item.done":
            assert items[name] == set(), "its parts are done"
            items[name] = None
        elif kind == "content_part.added":
            items[name].add(event["content_index"])
        elif kind == "content_part.done":
            items[name].remove(event["content_index"])
        elif "content_index" in event:
            assert event["content_index"] in items[name]
        else:
            assert items[name] is not None

    def _buffer(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "speech_started":
            assert self.speaking is None
            self.speaking = event["item_id"]
        elif kind == "speech_stopped":
            assert self.speaking == event["item_id"]
            self.speaking = None
        elif kind == "committed":
            assert event["item_id"] not in self.ever
            assert event["item_id"] != self.speaking
            assert event["previous_item_id"] is None or event["previous_item_id"] in self.ever

    def _item(self, kind: str, event: dict[str, Any]) -> None:
        name = event["item"]["id"] if "item" in event else event["item_id"]
        if kind == "item.added":
            assert self.ever.get(name, "deleted") == "deleted"
            assert event["previous_item_id"] is None or event["previous_item_id"] in self.ever
            self.ever[name] = "added"
        elif kind == "item.done":
            assert self.ever[name] in ("added", "deleted")
            self.ever[name] = "done" if self.ever[name] == "added" else "deleted"
        elif kind == "item.deleted":
            assert self.ever[name] != "deleted"
            self.ever[name] = "deleted"
        elif kind.startswith("item.input_audio_transcription"):
            assert name in self.ever
            last = kind.rpartition(".")[2]
            assert (name, "completed") not in self.told
            assert (name, "failed") not in self.told
            self.told.add((name, last))


class Gone(Exception):
    """The client has gone."""


class Line:
    """A WebSocket in memory."""

    def __init__(self, intent: str) -> None:
        self.query_params, self.headers, self.scope = {"intent": intent}, {}, {"subprotocols": []}
        self._put, self._taken = anyio.create_memory_object_stream[dict[str, Any]](1000)
        self.told: list[dict[str, Any]] = []
        self.order = Order()
        self.closed: tuple[int, str] | None = None

    async def receive(self) -> dict[str, Any]:
        return await self._taken.receive()

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))
        self.order.see(self.told[-1])
        await anyio.lowlevel.checkpoint()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed = (code, reason)

    def say(self, event: Any) -> None:
        """Send an event; ids in it that begin with @ are those of what there is by then."""
        items = [name for name, state in self.order.ever.items() if state != "deleted"] or ["nobody"]
        known = {
            "@item": items[-1],
            "@first": items[0],
            "@said": self.order.said,
            "@response": next(reversed(self.order.open), "nobody"),
        }
        text = event if isinstance(event, str | bytes) else json.dumps(event)
        if isinstance(text, str):
            for mark, name in known.items():
                text = text.replace(f'"{mark}"', f'"{name}"')
        kind = "bytes" if isinstance(text, bytes) else "text"
        self._put.send_nowait({"type": "websocket.receive", kind: text})

    def leave(self) -> None:
        self._put.send_nowait({"type": "websocket.disconnect"})


async def until(condition: Callable[[], bool], seconds: float) -> None:
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.05)


def runner(locks: Any, *, background: bool = False) -> VirtualRunner:
    return VirtualRunner(CONFIG.costs, locks)


def held(steps: list[tuple[list[Any], float]], intent: str = "") -> Line:
    """Say all of it to a session; it then answers, is done with what was begun, and leaves its slot."""
    lines: list[Line] = []

    async def inside() -> None:
        pool = serving.pool(["What?", "Stop.", ""], ["One two three.", "Four."], config=CONFIG)
        for slot in pool._free:
            slot.runner = partial(runner, slot.locks)
        reception, line = Reception.of(pool, None, Metrics(pool)), Line(intent)
        lines.append(line)

        async def serve() -> None:
            async with reception.visit("realtime", "test") as visit:
                await talk(line, visit, Gone)

        with anyio.fail_after(500):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve)
                for events, pause in steps:
                    for event in events:
                        line.say(event)
                    await anyio.sleep(pause)
                line.say({"type": "session.update", "event_id": "last", "session": 5})
                await until(lambda: line.told[-1:] != [] and answered(line), 60)
                await until(lambda: not line.order.open and line.order.speaking is None, 60)
                assert line.closed is None
                line.leave()
        assert pool.idle
        assert not any(model.open for model in pool.model.each)

    run_virtual(CONFIG, inside)
    return lines[0]


def answered(line: Line) -> bool:
    return any(event["type"] == "error" and event["error"]["event_id"] == "last" for event in line.told)


WANTED = {
    "input_audio_buffer.committed",
    "input_audio_buffer.speech_stopped",
    "conversation.item.deleted",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "response.output_audio.delta",
    "response.output_text.delta",
    "session.updated",
    "error",
}
"""What the server must have told in some of the sequences: else they do not reach what they are to try."""


def test_whatever_is_valid_in_whatever_order() -> None:
    seen = set[str]()

    @given(st.lists(STEP, min_size=1, max_size=10), st.sampled_from(["", "", "transcription"]))
    @example(TALK, "")
    @MANY
    def drawn(steps: list[Any], intent: str) -> None:
        seen.update(event["type"] for event in held(steps, intent).told)

    drawn()
    assert seen >= WANTED


@given(st.lists(st.one_of(mutated(), STEP), min_size=1, max_size=8))
@MANY
def test_whatever_is_not(steps: list[Any]) -> None:
    held(steps)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.created", "response": {"id": "r", "conversation_id": "c", "output": []}},
        {"type": "input_audio_buffer.speech_stopped", "item_id": "i", "audio_end_ms": 0},
        {"type": "conversation.item.added", "item": {"id": "i", "type": "message"}, "previous_item_id": "x"},
    ],
)
def test_what_is_out_of_order_is_noticed(event: dict[str, Any]) -> None:
    order = Order(ids={"e_0"}, open={"q": {}}, inside="q")
    with pytest.raises((AssertionError, KeyError, ValueError)):
        order.see({"event_id": "e_1", **event})
