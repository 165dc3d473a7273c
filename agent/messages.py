"""What language models are asked with: messages in the roles of every chat model. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.text.cleaning import cleaned

if TYPE_CHECKING:
    from agent.images import Picture

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, in the roles of every chat model.

    content: is cleaned of what no tokenizer or template should meet, whoever it comes from. images: pictures
    that stand before its words, for a model that takes pictures; others get none.
    """

    role: Role
    content: str
    images: tuple[Picture, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", cleaned(self.content))


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
