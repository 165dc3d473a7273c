"""What a Realtime session gives its store, so that it can be gone on with. Knows no socket."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio

from agent import events as ev
from agent.messages import Message
from agent.transports.resumption import TOUCH, Part, Reply, State, Store, merged

AGAIN = 0.5
"""Seconds before a store that could not be reached is tried again."""

Place = Callable[[int, float], tuple[str, int]]
"""From a reply and a moment (s) to the item that it is, and the milliseconds of its sound until then."""
Coming = Callable[[int, float], list[tuple[float, int]]]
"""From a reply and a moment (s) to the words that come: seconds until each is heard, and where it ends."""


class Keeper:
    """Keeps one session, once its client wants that.

    What has changed is given to the store in order, the newest of each part; a store that cannot be reached
    holds up nobody.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._holder = secrets.token_hex(16)
        self._token: str | None = None
        self._state = State()
        self._texts: dict[int, Reply] = {}
        self._turn = 0
        self._sent: dict[Part, str] = {}
        self._due: dict[Part, str] = {}
        self._news = anyio.Event()
        self.place: Place = lambda turn, moment: ("", 0)
        self.coming: Coming = lambda turn, moment: []

    @property
    def able(self) -> bool:
        """Whether sessions are kept here."""
        return self._store is not None

    @property
    def token(self) -> str | None:
        """By which the client finds its session again; None before it has asked."""
        return self._token

    @property
    def items(self) -> list[str]:
        """The ids of what the client has put into the conversation, on whichever connection."""
        return self._state.items

    async def claim(self, token: str | None) -> State | None:
        """The session that is kept by that token, whose holder we are from now on; else a new one is kept.

        Raises ConnectionError.
        """
        if self._store is None:
            return None
        parts = await self._store.claim(token, self._holder) if token is not None else None
        if parts is None:
            self._token = await self._store.open(self._holder)
            return None
        self._token = token
        found, self._sent = State.of(parts), dict(parts)
        self._state.chosen, self._state.items = found.chosen, found.items
        return found

    def goes_on(self, turn: int, text: str) -> None:
        """What was kept is said again in this turn: this text, or if it is empty what the model writes anew.

        turn: 0: nothing is.
        """
        if turn:
            self._texts[turn], self._turn = Reply(text, bool(text)), turn
        self._state.reply = self._texts.get(self._turn)
        self._put("reply", self._state.reply_part())

    def chosen(self, given: Mapping[str, Any]) -> None:
        """The client has chosen this."""
        self._state.chosen = merged(self._state.chosen, given)

    def watch(self, event: ev.Event) -> None:
        """Note what a reply says, and what of it is heard."""
        match event:
            case ev.TurnOpened(turn=turn):
                self._texts[turn] = Reply()
            case ev.Token(turn=turn, text=text) if turn in self._texts and not self._texts[turn].whole:
                self._texts[turn].text += text
            case ev.GenerationEnded(turn=turn) if turn in self._texts:
                self._texts[turn].whole = True
            case ev.TurnCommitted(turn=turn, answered=True):
                self._turn = turn
                self._sounds(event)
            case ev.TurnDiscarded(turn=turn):
                self._texts.pop(turn, None)
            case ev.WordHeard(turn=turn) | ev.Synthesized(turn=turn) if turn == self._turn:
                self._sounds(event)
            case ev.TurnEnded(turn=turn):
                self._texts.pop(turn, None)
                self._turn = 0 if turn == self._turn else self._turn
            case _:
                return
        self._state.reply = self._texts.get(self._turn)
        self._put("reply", self._state.reply_part())

    def _sounds(self, event: ev.WordHeard | ev.Synthesized | ev.TurnCommitted) -> None:
        """A word of the reply was heard, or more of it will be."""
        if (reply := self._texts.get(event.turn)) is None:
            return
        reply.item, ms = self.place(event.turn, event.time)
        if isinstance(event, ev.WordHeard):
            reply.ends.append((ms, event.end))
        coming = self.coming(event.turn, event.time)
        reply.ahead = [(ms + round(1000 * seconds), end) for seconds, end in coming]

    def look(self, said: Sequence[Message], unheard: str) -> None:
        """The conversation is this now."""
        self._state.said, self._state.unheard = list(said), unheard
        self._put("session", self._state.session())

    def _put(self, part: Part, text: str) -> None:
        if self._due.get(part, self._sent.get(part)) != text:
            self._due[part] = text
            self._news.set()

    async def run(self, lost: Callable[[], None]) -> None:
        """Give it to the store as long as the session goes on. lost: is called once another one holds it."""
        while self._store is not None:
            with anyio.move_on_after(TOUCH):
                await self._news.wait()
            self._news = anyio.Event()
            if self._token is None:
                continue
            due, self._due = self._due, {}
            self._sent |= due
            try:
                held = await self._store.put(self._token, self._holder, due)
            except ConnectionError:  # it is given all of that again
                self._due = due | self._due
                await anyio.sleep(AGAIN)
                self._news.set()
                continue
            if not held:
                lost()
                return

    async def forget(self) -> None:
        """The session is over: nothing of it is kept."""
        if self._store is not None and self._token is not None:
            with suppress(ConnectionError):  # it forgets it by itself
                await self._store.drop(self._token, self._holder)
