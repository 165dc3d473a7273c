"""`POST /v1/realtime/calls`: the OpenAI Realtime protocol over WebRTC, and its end. Knows no library."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio.abc import TaskStatus

from agent import events as ev
from agent.errors import RequestError
from agent.server.admission import budget
from agent.server.admission.guard import BOUND, address
from agent.server.calls.ice import ice_servers
from agent.server.calls.peer import Gone, Peer, connected
from agent.server.http.forms import form_of
from agent.server.http.responses import SDP, TEXT, Answer, answer
from agent.server.realtime import server_events
from agent.server.realtime.connection import Realtime
from agent.server.reception import Reception, Visit
from agent.transports.disclosure import told
from agent.transports.playout import RATE
from agent.transports.remote import Item, RemoteSession, Sound
from audio.resampler import PromptResampler

if TYPE_CHECKING:
    from starlette.requests import Request

ON_THE_WAY = 0.3
"""Seconds that the last sound may need to be heard, once it was sent."""


async def call(request: Request, reception: Reception) -> Answer:
    """An offer in, the answer out; the session is one of the server's tasks. Raises RequestError, Busy."""
    offer, session = await _offer(request, reception)
    model = (session or {}).get("model", request.query_params.get("model"))
    reception.pool.check("llm", model if isinstance(model, str) else None)
    bound = request.scope.get(BOUND)
    run = partial(_run, reception, address(request.scope), offer, session if bound is None else bound)
    asked = {name: request.query_params[name] for name in ("events", "wake") if name in request.query_params}
    reception.pool.waking(asked.get("wake"))
    name, sdp = await reception.tasks.start(run, asked)
    return Answer(sdp.encode(), SDP, 201, {"location": f"/v1/realtime/calls/{name}"})


async def ways(request: Request, reception: Reception) -> Answer:
    """`GET /v1/realtime/ice_servers`: the servers that help a client's packets through, for one call."""
    found = ice_servers(reception.pool.config.server)
    return answer({"ice_servers": found}, headers={"cache-control": "no-store"})


async def hang_up(request: Request, reception: Reception) -> Answer:
    """`POST /v1/realtime/calls/{name}/hangup`: end a call. Raises RequestError where there is none."""
    name = request.path_params["name"]
    if (end := reception.calls.get(name)) is None:
        raise RequestError(f"no call {name[:80]!r} goes on here", 404, "call_id_not_found", param="call_id")
    end()
    return Answer(b"", TEXT)


async def _offer(request: Request, reception: Reception) -> tuple[str, dict[str, Any] | None]:
    """The SDP, and the session that is wished for, if there is one. Raises RequestError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == SDP:
        return (await request.body()).decode("utf-8", "replace"), None
    if kind != "multipart/form-data":
        raise RequestError(f"send the offer as {SDP}, or as the `sdp` of a form with `session`", 415)
    async with form_of(request, files=2, fields=2) as form:
        given = {name: form.get(name) for name in ("sdp", "session")}
        texts = {
            name: value if isinstance(value, str | None) else (await value.read()).decode("utf-8", "replace")
            for name, value in given.items()
        }
    if not texts["sdp"]:
        raise RequestError("sdp: the offer is missing", param="sdp")
    if not texts["session"]:
        return texts["sdp"], None
    try:
        session = budget.read(texts["session"], reception.pool.config.server)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"session: not JSON ({str(error)[:100]})", param="session") from error
    if not isinstance(session, dict):
        raise RequestError("session: a JSON object", param="session")
    return texts["sdp"], cast(dict[str, Any], session)


async def _run(
    reception: Reception,
    where: str,
    offer: str,
    bound: Mapping[str, Any] | None,
    asked: Mapping[str, str],
    *,
    task_status: TaskStatus[tuple[str, str]],
) -> None:
    """One call, to its end. What goes wrong once it was answered is told on the call, and in the log."""
    limits, answered = reception.pool.config.server, False
    try:
        with told("this call"):
            async with reception.visit("webrtc", where) as visit, connected(limits) as peer:
                answer, name = await peer.answer(offer), visit.entry.name.replace("sess", "rtc", 1)
                answered = True
                with _known(reception, name, peer):
                    task_status.started((name, answer))
                    with anyio.move_on_after(limits.first_event):
                        await peer.opened.wait()
                    if peer.opened.is_set() and not peer.gone.is_set():
                        await Call(peer, visit, bound, asked).run()
    except RequestError as error:
        if not answered:
            raise
        reception.refused("webrtc", where, error)


@contextmanager
def _known(reception: Reception, name: str, peer: Peer) -> Generator[None]:
    """A call that can be ended by its name, as long as the block lasts."""
    reception.calls[name] = peer.leave
    try:
        yield
    finally:
        del reception.calls[name]


class _Channel:
    """The data channel, as `Realtime` uses a WebSocket."""

    def __init__(self, peer: Peer, asked: Mapping[str, str]) -> None:
        self._peer, self._texts = peer, peer.texts()
        self.query_params = asked

    async def send_text(self, text: str) -> None:
        """Send it. Raises Gone."""
        await self._peer.write(text)

    async def receive(self) -> dict[str, Any]:
        """The next message."""
        async for text in self._texts:
            return {"type": "websocket.receive", "text" if isinstance(text, str) else "bytes": text}
        return {"type": "websocket.disconnect"}

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """The whole connection is closed behind it."""


class Call(Realtime):
    """A Realtime session whose sound goes by tracks. The server knows what was played: nobody truncates."""

    def __init__(
        self, peer: Peer, visit: Visit, bound: Mapping[str, Any] | None, asked: Mapping[str, str]
    ) -> None:
        channel: Any = _Channel(peer, asked)
        super().__init__(channel, visit, Gone, "realtime", bound)
        self._peer, self._first_event = peer, None
        self._playing: tuple[int, str] | None = None
        """The reply that the client was told to be playing, and its response's id."""

    async def hear(self) -> None:
        """What the client says, to the end."""
        resampler = PromptResampler(RATE, RATE)
        async for samples, rate in self._peer.sound():
            wanted = (rate, self._client.chosen.heard.RATE)
            if (resampler.source, resampler.target) != wanted:
                resampler = PromptResampler(*wanted)
            try:
                await self._client.push_audio(resampler.feed(samples))
            except RequestError as error:
                self._client.clear_audio()
                await self._send([server_events.refused(error, None)])

    async def do(self, fields: dict[str, Any]) -> None:
        """What one event asks, and that nothing more is played. Raises RequestError."""
        if fields.get("type") != "output_audio_buffer.clear":
            await super().do(fields)
            return
        if self._client.session is not None:
            self._client.session.cancel()
        await self._stop("cleared")

    async def give(self, session: RemoteSession, item: Item) -> None:
        """Sound by the track, everything else as events; and when the one begins and ends."""
        if isinstance(item, Sound):
            await self._play(session, item)
            return
        await super().give(session, item)
        match item:
            case ev.Interrupted() | ev.TurnEnded(reason="interrupted"):
                await self._stop("cleared")
            case ev.TurnEnded(turn=turn) if self._client.tasks is not None:
                self._client.tasks.start_soon(self._play_out, turn)
            case _:
                pass

    async def finish(self) -> None:
        """Let the last word be played."""
        await self._peer.outgoing.said()
        await anyio.sleep(ON_THE_WAY)

    async def _play(self, session: RemoteSession, sound: Sound) -> None:
        if session.voice.muted or (self._playing and self._playing[0] > sound.turn):
            return
        if self._playing is None or self._playing[0] != sound.turn:
            self._playing = (sound.turn, self._client.server_events.response(sound.turn).id)
            await self._buffer("started")
        self._peer.outgoing.put(sound.samples)

    async def _play_out(self, turn: int) -> None:
        await self._peer.outgoing.said()
        if self._playing is not None and self._playing[0] == turn:
            await self._stop("stopped")

    async def _stop(self, how: str) -> None:
        self._peer.outgoing.clear()
        if self._playing is not None:
            await self._buffer(how)
            self._playing = None

    async def _buffer(self, how: str) -> None:
        """Tell what becomes of the reply's sound."""
        if self._playing is not None:
            told = server_events.message(f"output_audio_buffer.{how}", response_id=self._playing[1])
            await self._send([told])
