"""What was said, and of that what was heard. Knows nothing of audio; the session says what was heard."""

from __future__ import annotations

from collections.abc import Sequence

from agent.chunker import sentences
from agent.llm import Message

CHARACTERS_PER_PICTURE = 3000
"""What a picture takes of the context: about a thousand tokens."""
CHARACTERS_PER_TOKEN = 3
"""A cautious estimate for natural language; the context limit is kept with it, not counted exactly."""


class History:
    """The conversation as the language model should see it.

    Only heard words enter it. Consecutive messages of one side are joined, so that a person whose
    first half was answered too early is read as one sentence. `unheard` keeps the rest of the last
    reply that was cut.

    system: the first message. context: tokens of the model's context; when the conversation outgrows
    it, the older half is dropped at once, so that the model's prefix cache stays valid in between.
    """

    def __init__(self, system: str, context: int, reply: int) -> None:
        self._system = Message("system", system)
        self._budget = max(1000, (context - reply) * CHARACTERS_PER_TOKEN)
        self._messages: list[Message] = []
        self.unheard = ""

    @property
    def system(self) -> str:
        """What the agent is told of itself."""
        return self._system.content

    @property
    def heard(self) -> str:
        """What was last heard of the agent; empty before it has spoken, or since the person has."""
        last = self._messages[-1] if self._messages else None
        return last.content if last is not None and last.role == "assistant" else ""

    @property
    def last_sentence(self) -> str:
        """The last sentence of the last reply that was heard."""
        said = [m.content for m in self._messages if m.role == "assistant"]
        return (sentences(said[-1]) or [""])[-1] if said else ""

    def person(self, said: str | Sequence[Message]) -> None:
        """The person said this; nothing, where the agent is to speak unasked.

        As messages it may have what they showed before their words, or pictures.
        """
        self._messages = joined(self._messages, _as_messages(said))

    def agent(self, heard: str, unheard: str) -> None:
        """The agent said this, and of its reply that much was not heard."""
        self.unheard = unheard.strip()
        if heard.strip():
            self._messages = joined(self._messages, [Message("assistant", heard.strip())])

    def instruct(self, system: str) -> None:
        """Who the agent is from now on."""
        self._system = Message("system", system)

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
        return [self._system, *joined(self._messages, _as_messages(question))]

    def trim(self) -> None:
        """Forget the older half when the conversation has outgrown the model's context."""
        while sum(_length(m) for m in self._messages) > self._budget and len(self._messages) > 2:
            half = len(self._messages) // 2
            self._messages = self._messages[half + (self._messages[half].role != "user") :]


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


def _length(message: Message) -> int:
    return len(message.content) + CHARACTERS_PER_PICTURE * len(message.images)
