"""The door from pictures to words: what an eye is given and what it says. Eyes are one file each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.llm import Message
from agent.text.cleaning import cleaned
from agent.vision.image import Picture


@dataclass(frozen=True, slots=True)
class Sight:
    """What a picture becomes for the language model: for the turn that it belongs to, and for later ones.

    note: what the person has shown, in their words. says: what is seen, as if the model had just said so; ""
    for nothing. A model of half a billion weights answers about what it said itself, and hardly about a note
    in the person's words. short: what the history keeps. picture: the pixels, for a model that sees.
    """

    note: str
    says: str
    short: str
    picture: Picture | None = None

    def __post_init__(self) -> None:
        for name in ("note", "says", "short"):  # what stands in a picture is anybody's text
            object.__setattr__(self, name, cleaned(getattr(self, name)))

    def asked(self, question: str) -> list[Message]:
        """The person's words as the language model gets them in this turn."""
        if self.picture is not None:
            return [Message("user", f"{self.note}\n{question}".strip(), (self.picture,))]
        return [Message("user", self.note), Message("assistant", self.says), Message("user", question)]

    def kept(self, question: str, keep: str) -> list[Message]:
        """The same as the history keeps it, all in the person's words: of the agent's it has what was heard.

        keep: as the setting `vision.keep`.
        """
        whole = "\n".join(filter(None, (self.note, self.says)))
        told = {"short": self.short, "whole": whole}.get(keep, "")
        shown = (self.picture,) if keep == "whole" and self.picture is not None else ()
        return [Message("user", f"{told}\n{question}".strip(), shown)]


class Eye(Protocol):
    """Says in words what is in a picture. A plain blocking object; one picture at a time."""

    def look(self, picture: Picture) -> Sight:
        """What is seen in `picture`. Raises MissingExtra without its library, EngineFault when it fails."""
        ...
