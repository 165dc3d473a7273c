"""What was done in the middle of one reply, and what the user is asked about it. Runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agent.messages import Message, ToolCall, call_id
from agent.tools.execution import Running


@dataclass(slots=True, eq=False)
class Act:
    """What a model called in one go. end: characters of the reply that were written before."""

    end: int
    calls: list[Running]


@dataclass(slots=True, eq=False)
class Asks:
    """What the user is asked before something is done, at the end of a reply that has `end` characters."""

    end: int
    calls: list[ToolCall]
    question: str


@dataclass(slots=True, eq=False)
class Acts:
    """All that was done for one reply, in order."""

    made: list[Act] = field(default_factory=list[Act])
    asks: Asks | None = None
    """What must be agreed to before it is done."""
    announced: bool = False
    """Whether the user was told that it takes a moment."""

    @property
    def calls(self) -> list[Running]:
        """All that was called."""
        return [running for act in self.made for running in act.calls]

    @property
    def handed_over(self) -> bool:
        """Whether some of it is for a client to run: then there need be nothing to say."""
        return any(running.by_client for running in self.calls)

    def done(self, text: str, heard: str) -> tuple[list[Message], str]:
        """What was said and done before the last words, as messages, and those of the last words.

        text: the reply, of which `heard`, its beginning, was heard.
        """
        messages, start = list[Message](), 0
        for act in self.made:
            said = text[start : min(act.end, len(heard))].strip()
            messages.append(Message("assistant", said, calls=tuple(each.call for each in act.calls)))
            messages += [Message("tool", each.told, call=each.call.id) for each in act.calls]
            start = max(start, act.end)
        return messages, heard[start:]

    def cut(self, heard: str) -> None:
        """The reply was cut: of what was done behind its last heard word the user does not know."""
        for act in self.made:
            for running in act.calls:
                running.untold = act.end >= len(heard)

    def told_late(self, turn: int, calls: Sequence[Running]) -> None:
        """The reply, of that turn, tells of calls that are over: to the model as if just made."""
        named = [replace(each.call, id=call_id(turn, number)) for number, each in enumerate(calls, 1)]
        self.made.append(Act(0, [each.again(call) for each, call in zip(calls, named, strict=True)]))

    def ask(self, call: ToolCall, question: str) -> None:
        """Have the user asked, behind all else, whether this may be done, which is of the last act."""
        if self.asks is None:
            self.asks = Asks(self.made[-1].end, [call], question)
        else:
            self.asks.calls.append(call)
            self.asks.question = f"{self.asks.question} {question}"

    def asked(self, heard: str) -> Asks | None:
        """What the user was asked so, if they have heard half of the question or more."""
        enough = self.asks is not None and len(heard) - self.asks.end > len(self.asks.question) / 2
        return self.asks if enough else None
