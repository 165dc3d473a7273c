"""What was said, and of that what was heard. Knows nothing of audio; the session says what was heard."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from agent.chunker import sentences
from agent.llm import Message


class History:
    """The conversation as the language model should see it.

    Only heard words enter it. Each part is kept as it was said; where it is read, consecutive messages of one
    side are joined, so that a person whose first half was answered too early is read as one sentence.
    `unheard` keeps the rest of the last reply that was cut.

    system: the first message.
    """

    def __init__(self, system: str) -> None:
        self._system = system
        self._messages: list[Message] = []
        self.unheard = ""

    @property
    def system(self) -> str:
        """What the agent is told of itself."""
        return self._system

    @property
    def heard(self) -> str:
        """What was last heard of the agent; empty before it has spoken, or since the person has."""
        last = takewhile(lambda message: message.role == "assistant", reversed(self._messages))
        return " ".join(reversed([message.content for message in last]))

    @property
    def last_sentence(self) -> str:
        """The last sentence of the last reply that was heard."""
        said = [m.content for m in self._messages if m.role == "assistant"]
        return (sentences(said[-1]) or [""])[-1] if said else ""

    def person(self, said: str | Sequence[Message]) -> None:
        """The person said this; nothing, where the agent is to speak unasked.

        As messages it may have what they showed before their words, or pictures.
        """
        self._messages = self.said(said)

    def agent(self, heard: str, unheard: str) -> None:
        """The agent said this, and of its reply that much was not heard."""
        self.unheard = unheard.strip()
        if heard.strip():
            self._messages = [*self._messages, Message("assistant", heard.strip())]

    def instruct(self, system: str) -> None:
        """Who the agent is from now on."""
        self._system = system

    def unhear(self, heard: str, kept: str) -> None:
        """Of the reply of which we thought that `heard` was heard, only its beginning `kept` was."""
        heard, kept = heard.strip(), kept.strip()
        for at in reversed(range(len(self._messages))):
            message = self._messages[at]
            if heard and message.role == "assistant" and message.content.endswith(heard):
                if not any(later.role == "assistant" for later in self._messages[at + 1 :]):
                    self.unheard = f"{heard[len(kept) :].strip()} {self.unheard}".strip()
                content = (message.content.removesuffix(heard) + kept).strip()
                left = [Message("assistant", content)] if content else []
                self._messages = [*self._messages[:at], *left, *self._messages[at + 1 :]]
                return

    def messages(self, question: str | Sequence[Message] = "") -> list[Message]:
        """The whole conversation, and `question` as if the person had said it."""
        return joined([Message("system", self._system)], self.said(question))

    def said(self, question: str | Sequence[Message] = "") -> list[Message]:
        """The same in its parts, without the system's message."""
        return [*self._messages, *(m for m in _as_messages(question) if m.content or m.images)]

    def keep(self, said: Sequence[Message], fitted: Sequence[Message]) -> None:
        """Of `said`, as it was read here, keep what fitted a model's context: its end, some of it shortened.

        What has been said since stays as it is.
        """
        now = dict(zip(map(id, reversed(said)), reversed(fitted), strict=False))
        gone = {id(message) for message in said} - now.keys()
        self._messages = [now.get(id(m), m) for m in self._messages if id(m) not in gone]


def _as_messages(said: str | Sequence[Message]) -> Sequence[Message]:
    return [Message("user", said)] if isinstance(said, str) else said


def joined(messages: Sequence[Message], more: Sequence[Message]) -> list[Message]:
    """All of them; empty ones are left out, and neighbours of one role become one."""
    whole = list(messages)
    for message in more:
        if not message.content and not message.images:
            continue
        if whole and whole[-1].role == message.role:
            last = whole.pop()
            message = Message(
                last.role, f"{last.content} {message.content}".strip(), last.images + message.images
            )
        whole.append(message)
    return whole
