"""The keys of a telephone: each is an event, and what was typed is a turn of the user. Knows no wire."""

from __future__ import annotations

import anyio

from agent.transports.remote import RemoteSession

WAIT = 1.5
"""Seconds after a key in which the next one belongs to it; `#` ends what is typed at once."""
MOST = 32
"""Keys of one turn."""
KEYS = frozenset("0123456789*#ABCD")


class Keypad:
    """Collects what the caller types."""

    def __init__(self, session: RemoteSession) -> None:
        self._session = session
        self._typed = ""
        self._pressed = anyio.Event()

    def press(self, key: str) -> None:
        """A key was pressed; what is none of a telephone's is not heard."""
        if key in KEYS and len(self._typed) < MOST:
            self._typed += key
            self._session.press(key)
            self._pressed.set()

    async def run(self) -> None:
        """Tell the agent what was typed, for ever."""
        while True:
            await self._pressed.wait()
            while not self._typed.endswith("#") and len(self._typed) < MOST:
                self._pressed = anyio.Event()
                with anyio.move_on_after(WAIT) as waited:
                    await self._pressed.wait()
                if waited.cancelled_caught:
                    break
            typed, self._typed = self._typed, ""
            self._pressed = anyio.Event()
            self._session.send_text(f"I pressed {' '.join(typed)}.")
