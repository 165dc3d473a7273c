"""What was said, and of that what was heard. Knows nothing of audio; the session says what was heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from agent.messages import Message, joined, paired
from agent.text.sentences import sentences
from agent.text.tokens import LONGEST_TOKEN

OVERHEARD = 8
"""What was overheard that is kept: a television talks all day."""


@dataclass(slots=True, eq=False)
class Part:
    """One message at its place in a conversation; of a reply that is still being said, an empty one."""

    message: Message


class History:
    """The conversation as the language model should see it.

    Only heard words enter it. Each part is kept as it was said; where it is read, consecutive messages of one
    side are joined, so that a user whose first half was answered too early is read as one sentence.
    `unheard` keeps the rest of the last reply that was cut.

    system: the first message. context: tokens of the model that reads it, where they are known: what is put
    in lets go of what is too old to be read by it, whatever its tokenizer. language: of the replies, by whose
    rules they have sentences.
    """

    def __init__(self, system: str, context: int | None = None, language: str = "en") -> None:
        self._language = language
        self._context = context
        self._system = system
        self._parts: list[Part] = []
        self._reply: Part | None = None
        self.newest: list[Part] = []
        """What the user said in the newest turn, and then its reply."""
        self.unheard = ""
        self._forgotten: list[Callable[[str], bool]] = []
        self._overheard: list[Part] = []

    @property
    def system(self) -> str:
        """What the agent is told of itself."""
        return self._system

    @property
    def heard(self) -> str:
        """What was last heard of the agent; empty before it has spoken, or since the user has."""
        last = takewhile(lambda message: message.role == "assistant", reversed(self.said()))
        return " ".join(reversed([message.content for message in last]))

    @property
    def last_sentence(self) -> str:
        """The last sentence of the last reply that was heard, by the rules of the language that it was in."""
        said = [m for m in self.said() if m.role == "assistant" and m.content]
        if not said:
            return ""
        last = sentences(said[-1].content, said[-1].language or self._language)
        return "".join(sentence.text for sentence in last[-1:])

    @property
    def languages(self) -> frozenset[str]:
        """All that was said here in, as far as that is known, by ISO code."""
        return frozenset(message.language for message in self.said() if message.language)

    def user(self, said: str | Sequence[Message], language: str = "") -> None:
        """The user said this; nothing, where the agent is to speak unasked.

        language: ISO code of what they said it in, "" where that is not known. As messages it may have what
        they showed before their words, or pictures. The reply comes behind it, whatever else is put into the
        conversation until it has been heard.
        """
        self._reply = reply = Part(Message("assistant", ""))
        self.newest = [*(Part(replace(message, language=language)) for message in _worded(said)), reply]
        self._parts += self.newest

    def overhear(self, said: str, name: str, language: str = "") -> None:
        """Somebody else said this, and not to the agent: the newest `OVERHEARD` of such are kept."""
        self._overheard = [part for part in self._overheard if part in self._parts]
        if len(self._overheard) >= OVERHEARD:
            self.remove(self._overheard[: 1 - OVERHEARD])
        self._overheard.append(self.add(Message("user", said_by(name, said), language=language)))

    def agent(self, heard: str, unheard: str, done: Sequence[Message] = (), language: str = "") -> None:
        """The agent said this, and of its reply that much was not heard.

        done: what it said and did before that in the same reply, with the results. language: of what it said.
        """
        self.unheard = unheard.strip()
        reply = self.add(Message("assistant", "")) if self._reply is None else self._reply
        at = self._parts.index(reply) if reply in self._parts else 0
        self._parts[at:at] = [Part(replace(message, language=language)) for message in done]
        reply.message = Message("assistant", heard.strip(), language=language)
        self._reply = None
        if self._forgotten:
            self._clear(newest=True)
            self._forgotten.clear()

    def returned(self, call: str, result: str) -> None:
        """What is known of that call now; nothing, where the call has been forgotten."""
        for part in self._parts:
            if part.message.call == call:
                part.message = replace(part.message, content=result)

    def put(self, message: Message, after: Part | None) -> Part:
        """Put in what was not said here, behind another part, or None: before all. Behind one that has been
        forgotten is before all that has not.
        """
        part = Part(message)
        self._parts.insert(self._parts.index(after) + 1 if after in self._parts else 0, part)
        self._let_go()
        return part

    def _let_go(self) -> None:
        """What is said has a token, and a token no more than so many characters."""
        if self._context is None:
            return
        tokens = 0
        for age, part in enumerate(reversed(self._parts)):
            if tokens > self._context:
                del self._parts[: len(self._parts) - age]
                return
            tokens += (not part.message.empty) + len(part.message.content) // LONGEST_TOKEN

    @property
    def parts(self) -> Sequence[Part]:
        """All of it, the oldest first."""
        return self._parts

    def add(self, message: Message) -> Part:
        """Put in, at the end, what was not said here."""
        return self.put(message, self._parts[-1] if self._parts else None)

    def remove(self, parts: Sequence[Part]) -> None:
        """It was never said."""
        self._parts = [part for part in self._parts if part not in parts]

    def instruct(self, system: str) -> None:
        """Who the agent is from now on."""
        self._system = system

    def unhear(self, heard: str, kept: str) -> None:
        """Of the reply of which we thought that `heard` was heard, only its beginning `kept` was."""
        heard, kept = heard.strip(), kept.strip()
        said = [p for p in self._parts if p.message.role == "assistant" and p.message.content]
        reply = self._said_as(heard)
        if not reply:
            return
        if reply[-1] is said[-1]:
            self.unheard = f"{heard[len(kept) :].strip()} {self.unheard}".strip()
        left = sum(_length(part.message.content) for part in reply) - _length(heard) + _length(kept)
        for part in reply:
            content = part.message.content
            part.message = replace(part.message, content=_beginning(content, left))
            left = max(0, left - _length(content))

    def _said_as(self, heard: str) -> list[Part]:
        """The parts, up to the last, in which this was said last; what was called lies between them."""
        wanted = "".join(heard.split())
        for end in range(len(self._parts), 0, -1):
            parts, said = list[Part](), ""
            if not wanted or not self._parts[end - 1].message.content:
                continue
            for part in reversed(self._parts[:end]):
                if part.message.role == "tool":
                    continue
                if part.message.role != "assistant" or len(said) >= len(wanted):
                    break
                parts.insert(0, part)
                said = "".join(part.message.content.split()) + said
            if said.endswith(wanted) and self._parts[end - 1] in parts:
                return parts
        return []

    def forget(self, about: Callable[[str], bool]) -> None:
        """Turns in which anything is about this were never said; the newest one, once its reply is over."""
        self._forgotten.append(about)
        self._clear(newest=False)

    def still_said(self, messages: Sequence[Message]) -> list[Message]:
        """Of what was read here before, up to the newest turn, what has not been forgotten since."""
        gone = self._gone(messages, newest=False)
        return [message for message in messages if id(message) not in gone]

    def _clear(self, *, newest: bool) -> None:
        gone = self._gone([part.message for part in self._parts], newest=newest)
        self._parts = [part for part in self._parts if id(part.message) not in gone]
        if self.forgets(self.unheard):
            self.unheard = ""

    def _gone(self, messages: Sequence[Message], *, newest: bool) -> set[int]:
        """The messages, by `id`, of turns in which something is said that is forgotten."""
        turns = list[list[Message]]()
        for message in messages:
            if not turns or (message.role == "user" and turns[-1][-1].role != "user"):
                turns.append([])
            turns[-1].append(message)
        looked = turns if newest else turns[:-1]
        return {id(message) for turn in looked if any(map(self._forgets, turn)) for message in turn}

    def _forgets(self, message: Message) -> bool:
        return any(map(self.forgets, (message.content, *(call.arguments for call in message.calls))))

    def forgets(self, text: str) -> bool:
        """Whether this is about what is being forgotten."""
        return any(about(text) for about in self._forgotten)

    def messages(self, question: str | Sequence[Message] = "") -> list[Message]:
        """The whole conversation, and `question` as if the user had said it."""
        return joined([Message("system", self._system)], self.said(question))

    def said(self, question: str | Sequence[Message] = "") -> list[Message]:
        """The same in its parts, without the system's message."""
        return [*paired(_worded([part.message for part in self._parts])), *_worded(question)]

    def keep(self, said: Sequence[Message], fitted: Sequence[Message]) -> None:
        """Of `said`, as it was read here, keep what fitted a model's context: its end, some of it shortened.

        What has been said since stays as it is.
        """
        now = dict(zip(map(id, reversed(said)), reversed(fitted), strict=False))
        gone = {id(message) for message in said} - now.keys()
        self._parts = [part for part in self._parts if id(part.message) not in gone]
        for part in self._parts:
            part.message = now.get(id(part.message), part.message)


def said_by(name: str, said: str) -> str:
    """What a language model is told that somebody of this name has said; "" for who has none."""
    return f"{name}: {said}" if name and said else said


def _length(text: str) -> int:
    """Characters without blanks: by them what was said is found again, however its parts are joined."""
    return len("".join(text.split()))


def _beginning(text: str, length: int) -> str:
    """So much of a text, in characters without blanks."""
    for at, character in enumerate(text):
        if length <= 0:
            return text[:at].strip()
        length -= not character.isspace()
    return text


def _worded(said: str | Sequence[Message]) -> list[Message]:
    """What was said, without what is empty."""
    messages = [Message("user", said)] if isinstance(said, str) else said
    return [message for message in messages if not message.empty]
