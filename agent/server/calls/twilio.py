"""Twilio's Media Streams: a telephone call as JSON on a WebSocket. Knows no route, and not who may call.

Twilio sends the caller's sound in mu-law at 8 kHz, 20 ms a message, and keeps what it is sent until it has
played it. A `mark` behind some sound comes back once that has been played, so what was heard is known and not
reckoned; `clear` makes it forget what it has not played, and then all of its marks come back at once.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

import anyio

from agent import events as ev
from agent.conversation.reply import Manner
from agent.errors import RequestError
from agent.server.admission import budget
from agent.server.calls.keys import Keypad
from agent.server.reception import Visit
from agent.text.cleaning import json_text
from agent.transports.playout import BLOCK, RATE
from agent.transports.remote import Item, RemoteSession, Sound
from audio.g711 import MU_LAW
from audio.resampler import PromptResampler

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

LINE_RATE = 8000
"""Hz of a telephone line."""
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": LINE_RATE, "channels": 1}
MARK_EVERY = 5 * BLOCK
"""Samples (24 kHz) of a reply from one mark to the next: 0.1 s, by which what was heard is known."""


async def talk(socket: WebSocket, visit: Visit, vanished: type[Exception]) -> None:
    """One call, from its first message to its last. Raises RequestError, TimeoutError, `vanished`."""
    call = _Call(socket, visit)
    started = await call.begin()
    if started is None:
        return
    parameters = _part(started, "customParameters") if started.get("customParameters") else {}
    session = await _session(visit, parameters)
    async with anyio.create_task_group() as tasks:
        visit.lost = tasks.cancel_scope.cancel
        tasks.start_soon(session.run)
        await session.ready.wait()
        keypad = Keypad(session)
        tasks.start_soon(keypad.run)
        tasks.start_soon(call.listen, session, keypad, tasks.cancel_scope)
        if greeting := str(parameters.get("greeting") or ""):
            session.send_text("", Manner(instructions=greeting))
        async for item in session.items():
            await call.tell(item)
        await call.played_out()
        tasks.cancel_scope.cancel()


async def _session(visit: Visit, parameters: dict[str, Any]) -> RemoteSession:
    """The session, with the instructions that the call came with. Raises RequestError."""
    config, system = visit.pool.config, str(parameters.get("instructions") or "")
    if system:
        await visit.slot.check(config, system)
        own = config.session.model_copy(update={"system": system})
        config = config.model_copy(update={"session": own})
    return visit.session(config)


class _Call:
    """The messages of one call, and how much of each reply Twilio has played."""

    def __init__(self, socket: WebSocket, visit: Visit) -> None:
        self._socket, self._limits = socket, visit.pool.config.server
        self._name = ""
        self._resampler = PromptResampler(RATE, LINE_RATE)
        self._turn = self._sent = 0
        """The reply that is being sent, and samples (24 kHz) of it that were."""
        self._cleared = 0
        """The last reply that Twilio was told to forget: what it says of that one's marks tells nothing."""
        self._marks: dict[str, tuple[int, int]] = {}
        """Those that have not come back: the reply, and samples of it before them."""
        self._silent = anyio.Event()

    async def begin(self) -> dict[str, Any] | None:
        """What the call begins with; None where there is none. Raises RequestError."""
        limit = self._limits.first_event
        try:
            with anyio.fail_after(limit):
                while (message := await self._read()) is not None and message.get("event") != "start":
                    pass
        except TimeoutError as error:
            told = f"no start came for {limit:g} s (server.first_event)"
            raise RequestError(told, 408, "session_expired") from error
        if message is None:
            return None
        start = _part(message, "start")
        given = _part(start, "mediaFormat")
        if any(given.get(name) != value for name, value in FORMAT.items()):
            raise RequestError(f"start.mediaFormat: {json_text(FORMAT)}", param="start.mediaFormat")
        self._name = str(message.get("streamSid") or start.get("streamSid") or "")
        return start

    async def listen(self, session: RemoteSession, keypad: Keypad, all_over: anyio.CancelScope) -> None:
        """Take in what comes, until the caller hangs up: nobody hears the rest then."""
        while (message := await self._read()) is not None and message.get("event") != "stop":
            match message.get("event"):
                case "media" if _part(message, "media").get("track", "inbound") == "inbound":
                    await session.push_audio(MU_LAW.decode(_payload(message)), LINE_RATE)
                case "mark":
                    self._played(session, str(_part(message, "mark").get("name")))
                case "dtmf":
                    keypad.press(str(_part(message, "dtmf").get("digit")))
                case _:  # `connected`, the other side's sound, and what Twilio may come to send
                    pass
        all_over.cancel()

    def _played(self, session: RemoteSession, mark: str) -> None:
        turn, samples = self._marks.pop(mark, (0, 0))
        if turn > self._cleared:
            session.played(turn, samples)
        if not self._marks:
            self._silent.set()

    async def tell(self, item: Item) -> None:
        """Send what there is to send for one thing that the session gave."""
        match item:
            case Sound(turn=turn, samples=samples) if turn > self._cleared:
                if turn != self._turn:
                    self._turn, self._sent = turn, 0
                sound = MU_LAW.encode(self._resampler.feed(samples))
                await self._send("media", media={"payload": base64.b64encode(sound).decode()})
                self._sent += len(samples)
                if self._sent % MARK_EVERY == 0:
                    await self._mark()
            case ev.TurnEnded(turn=turn, reason="interrupted") | ev.Interrupted(turn=turn):
                if turn > self._cleared:
                    self._cleared = turn
                    await self._send("clear")
            case ev.TurnEnded(turn=turn) if turn == self._turn and self._sent % MARK_EVERY:
                await self._mark()
            case _:
                pass

    async def _mark(self) -> None:
        """Have it told when all that was sent so far has been played."""
        name = f"{self._turn}.{self._sent}"
        self._marks[name] = (self._turn, self._sent)
        self._silent = anyio.Event()
        await self._send("mark", mark={"name": name})

    async def played_out(self) -> None:
        """Wait until the last word was played: the end of the connection ends the call."""
        if self._marks:
            with anyio.move_on_after(self._limits.max_buffer):
                await self._silent.wait()

    async def _send(self, event: str, **fields: Any) -> None:
        with anyio.fail_after(self._limits.client_timeout):
            await self._socket.send_text(json_text({"event": event, "streamSid": self._name, **fields}))

    async def _read(self) -> dict[str, Any] | None:
        """The next message; None when there will be no more. Raises RequestError."""
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            return None
        try:
            message = budget.read(received.get("text") or received.get("bytes") or "", self._limits)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"not a JSON message: {str(error)[:100]}", code="invalid_json") from error
        if not isinstance(message, dict):
            raise RequestError("a message is a JSON object with an event")
        return cast(dict[str, Any], message)


def _part(message: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of that name in a message. Raises RequestError."""
    part = message.get(name)
    if not isinstance(part, dict):
        raise RequestError(f"{name}: an object is missing", param=name)
    return cast(dict[str, Any], part)


def _payload(message: dict[str, Any]) -> bytes:
    """The sound in a `media` message. Raises RequestError."""
    payload = _part(message, "media").get("payload")
    if not isinstance(payload, str):
        raise RequestError("media.payload: base64 of mu-law at 8 kHz", param="media.payload")
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError as error:  # binascii.Error is one; what is not ASCII is another
        raise RequestError(f"media.payload: not base64 ({error})", param="media.payload") from error
