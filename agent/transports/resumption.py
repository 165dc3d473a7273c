"""Sessions that outlive their connection: what is kept of each, by whom, and for how long. Knows no wire.

A client that comes back within `server.resume` seconds goes on where it was heard last. What is kept has two
parts, so that a word that was heard costs no copy of the conversation: the session, and the reply that is
being said. Whoever has the token holds the session: an older holder, on a connection that hangs, loses it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import anyio

from agent.messages import Message, ToolCall
from agent.settings import ServerConfig

Part: TypeAlias = Literal["session", "reply"]
Parts: TypeAlias = Mapping[Part, str]
"""What is kept, as JSON."""

TOUCH = 5.0
"""Seconds between two signs of life of who holds a session; they count from the last."""
ITEMS = 50
"""Of what a client has put into its conversation, so many ids are kept."""


class Store(Protocol):
    """Keeps sessions, outside of what holds them. All raise ConnectionError where it cannot be reached."""

    async def open(self, holder: str) -> str:
        """A new session, and the token by which it is found."""
        ...

    async def claim(self, token: str, holder: str) -> Parts | None:
        """What is kept of it, for who holds it from now on; None where nothing is kept any more."""
        ...

    async def put(self, token: str, holder: str, parts: Parts) -> bool:
        """Keep these instead of what they were; False where another one holds it by now, or nobody."""
        ...

    async def drop(self, token: str, holder: str) -> None:
        """It is over: nothing of it is kept."""
        ...

    async def tend(self) -> None:
        """Let go of what has been silent for too long, again and again: runs as long as the server."""
        ...


@dataclass
class Kept:
    """One session. last: when there was a sign of life (s)."""

    holder: str
    last: float
    parts: dict[Part, str] = field(default_factory=dict[Part, str])


class LocalStore:
    """A store in this process.

    seconds: for which a session is kept after its last sign of life. most: sessions; beyond it the one that
    has been silent for longest is let go. now: a clock (s).
    """

    def __init__(self, seconds: float, most: int, now: Callable[[], float] = anyio.current_time) -> None:
        self._seconds, self._most, self._now = seconds, most, now
        self.kept: dict[str, Kept] = {}
        """By what is known of the token: not the token itself."""

    @classmethod
    def of(cls, settings: ServerConfig) -> LocalStore:
        """One as the settings say."""
        return cls(settings.resume, settings.resumable)

    async def open(self, holder: str) -> str:
        """See `Store.open`."""
        await self.tidy()
        token = secrets.token_urlsafe(32)
        self.note(key(token), holder, self._now(), {})
        while len(self.kept) > self._most:
            self.forget(min(self.kept, key=lambda each: self.kept[each].last))
        return token

    async def claim(self, token: str, holder: str) -> Parts | None:
        """See `Store.claim`."""
        await self.tidy()
        if (found := self.kept.get(key(token))) is None:
            return None
        self.note(key(token), holder, self._now(), {})
        return dict(found.parts)

    async def put(self, token: str, holder: str, parts: Parts) -> bool:
        """See `Store.put`."""
        found = self.kept.get(key(token))
        if found is None or found.holder != holder:
            return False
        self.note(key(token), holder, self._now(), parts)
        return True

    async def drop(self, token: str, holder: str) -> None:
        """See `Store.drop`."""
        found = self.kept.get(key(token))
        if found is not None and found.holder == holder:
            self.forget(key(token))

    async def tend(self) -> None:
        """See `Store.tend`."""
        while True:
            await anyio.sleep(TOUCH)
            await self.tidy()

    async def tidy(self) -> None:
        """Let go of what has been silent for too long: nobody's words are kept for longer than it says."""
        oldest = self._now() - self._seconds - TOUCH
        for name in [name for name, kept in self.kept.items() if kept.last < oldest]:
            self.forget(name)

    def note(self, name: str, holder: str, now: float, parts: Parts) -> None:
        """A sign of life, and these parts anew."""
        kept = self.kept.setdefault(name, Kept(holder, now))
        kept.holder, kept.last = holder, now
        kept.parts |= parts

    def forget(self, name: str) -> None:
        """Nothing is kept of it."""
        self.kept.pop(name, None)


def key(token: str) -> str:
    """What is known of a token where its session is kept."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


@dataclass
class Reply:
    """A reply that is being said.

    text: what the model has written of it. whole: whether that is all. ends: of each word that was heard,
    where in the reply's sound that is (ms) and where in the text it ends. ahead: the same of the words that
    will be heard next, if nothing comes between. item: its id.
    """

    text: str = ""
    whole: bool = False
    ends: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    item: str = ""
    ahead: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def parted(self, item: str | None = None, played: int | None = None) -> tuple[str, str]:
        """What of it was heard, and what is still to be said.

        played: milliseconds of that item that the client says it has played, which it knows best: what it
        heard after the last word from its server is then known, too.
        """
        if played is not None and item == self.item:
            ends = [end for ms, end in (*self.ends, *self.ahead) if ms <= played]
        else:
            ends = [end for _, end in self.ends]
        at = max(ends, default=0)
        return self.text[:at].strip(), self.text[at:].strip()


@dataclass
class State:
    """What is kept of a session.

    said: the conversation, of replies what was heard. unheard: what was not, of the last that was cut.
    chosen: what the client has chosen, setting by setting. items: the ids of what the client has put into
    the conversation, the last `ITEMS`: what it sends again, in doubt whether it has come, is not taken twice.
    """

    said: list[Message] = field(default_factory=list[Message])
    unheard: str = ""
    chosen: dict[str, Any] = field(default_factory=dict[str, Any])
    reply: Reply | None = None
    items: list[str] = field(default_factory=list[str])

    def parted(self, item: str | None, played: int | None) -> tuple[list[Message], str, bool]:
        """The conversation as it was heard, what of the last reply is still to be said, and whether it is
        answered anew, since nothing was heard of it and it is not whole.

        item, played: as of `Reply.parted`.
        """
        if self.reply is None:
            return self.said, "", False
        heard, rest = self.reply.parted(item, played)
        said = [*self.said, *([Message("assistant", heard)] if heard else [])]
        return said, rest, not (heard or self.reply.whole)

    def session(self) -> str:
        """All but the reply, as JSON. Pictures are left out: of what they showed the words stay."""
        said = [
            _as_dict(message) for message in self.said if message.content or message.calls or message.call
        ]
        items = self.items[-ITEMS:]
        return json.dumps({"said": said, "unheard": self.unheard, "chosen": self.chosen, "items": items})

    def reply_part(self) -> str:
        """The reply, as JSON."""
        return json.dumps(None if self.reply is None else asdict(self.reply))

    @classmethod
    def of(cls, parts: Parts) -> State:
        """What was kept."""
        told = json.loads(parts.get("session", "{}"))
        said = [_message(each) for each in told.get("said", [])]
        reply = json.loads(parts.get("reply", "null"))
        if reply is not None:
            ends, ahead = ([(ms, end) for ms, end in reply[name]] for name in ("ends", "ahead"))
            reply = Reply(reply["text"], reply["whole"], ends, reply["item"], ahead)
        return cls(said, told.get("unheard", ""), told.get("chosen", {}), reply, told.get("items", []))


def merged(below: Mapping[str, Any], above: Mapping[str, Any], depth: int = 2) -> dict[str, Any]:
    """What was chosen, and what is chosen above it. Only `audio`, `input` and `output` hold settings that are
    chosen one by one.
    """
    whole = dict(below)
    for name, value in above.items():
        if depth and name in ("audio", "input", "output") and isinstance(value, dict):
            lower: Any = whole.get(name)
            value = merged(lower if isinstance(lower, dict) else {}, value, depth - 1)  # pyright: ignore[reportUnknownArgumentType]
        whole[name] = value
    return whole


def _as_dict(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        told["calls"] = [asdict(call) for call in message.calls]
    more = {"call": message.call, "language": message.language}
    return told | {name: value for name, value in more.items() if value}


def _message(told: dict[str, Any]) -> Message:
    calls = tuple(ToolCall(**call) for call in told.get("calls", ()))
    call, language = told.get("call", ""), told.get("language", "")
    return Message(told["role"], told["content"], calls=calls, call=call, language=language)
