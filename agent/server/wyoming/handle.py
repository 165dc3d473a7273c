"""`transcript`: what a user has said, answered in text while the answer is written, as one conversation."""

from __future__ import annotations

from typing import Any

import anyio

from agent import events as ev
from agent.errors import RequestError
from agent.server.wyoming import requests
from agent.server.wyoming.asr import check_language
from agent.server.wyoming.caller import Caller
from agent.server.wyoming.library import domain
from agent.server.wyoming.wire import Received
from agent.transports.remote import RemoteSession

CONVERSATION = "conversation_id"
"""What the context calls a conversation; without one, all of a connection is one."""


async def handle(caller: Caller, first: Received) -> None:
    """One sentence of a conversation. Raises RequestError, Busy, EngineFault."""
    asked = requests.read(requests.Transcript, first)
    check_language(caller.reception.pool, asked.language)
    caller.whole()
    if not asked.text.strip():
        await caller.send(domain("handle").NotHandled("nothing was said", asked.context))
        return
    name = asked.context.get(CONVERSATION)
    name = name if isinstance(name, str) and name else caller.name
    async with (
        caller.conversations.going_on(caller.address, name) as conversation,
        caller.reception.visit("wyoming", caller.address) as visit,
    ):
        session = visit.session()
        session.voice.muted = True  # it is read aloud elsewhere, if at all
        for message in conversation.messages:
            session.history.add(message)
        try:
            await _answer(caller, session, asked)
            visit.entry.why = "answered"
        finally:  # who goes in the midst of it has heard it up to there
            conversation.messages = session.history.said()


async def _answer(caller: Caller, session: RemoteSession, asked: requests.Transcript) -> None:
    """Ask, and tell the answer as it comes."""
    types, context = domain("handle"), dict[str, Any](asked.context)
    begun, failed = False, None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        async for item in session.items():
            match item:
                case ev.SessionStarted():
                    session.send_text(asked.text)
                case ev.Token(text=text):
                    start = () if begun else (types.HandledStart(context),)
                    begun = True
                    await caller.send(*start, types.HandledChunk(text))
                case ev.Error(message=message, code=code):
                    failed = RequestError(message, 500, code)
                case ev.TurnEnded(reason=reason, heard=heard):
                    if reason == "error" and failed is not None:
                        raise failed
                    start = () if begun else (types.HandledStart(context),)
                    await caller.send(*start, types.Handled(heard, context), types.HandledStop())
                    session.hang_up()
                case _:
                    pass
