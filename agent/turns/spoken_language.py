"""Which language the user speaks, and which one the agent answers in. Pure: knows no sound, no engine.

A transcriber is least sure of the language where little is said: "okay" is the same in ten of them. So what
is short is taken to be in a language that is spoken already, and what says nothing changes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.causes import Kind

LONG_ENOUGH = 0.7
"""Seconds of sound from which an utterance may be in another language than the last one."""
SURE = 0.8
"""Share of the probability of all languages that may be spoken which another one must have for that."""


class SpokenLanguage:
    """The languages of one conversation, by ISO code; changes when a turn of the user's is over, and by wish.

    among: those that may be spoken; none: any. first: the one that is spoken until another is heard.
    """

    def __init__(self, among: Sequence[str], first: str) -> None:
        self.first = self.heard = self.answer = first
        """What was spoken in the beginning, what the user speaks, and what the agent answers in."""
        self.among: tuple[str, ...] = ()
        self.restrict(among)

    def restrict(self, among: Sequence[str]) -> None:
        """Only these may be spoken from now on; none: any."""
        self.among = tuple(among)
        if self.among and self.heard not in self.among:
            self.heard = self.among[0]
        if self.among and self.answer not in self.among:
            self.answer = self.heard

    def allows(self, code: str) -> bool:
        """Whether that language may be spoken."""
        return not self.among or code in self.among

    def choose(self, likely: Mapping[str, float], seconds: float) -> str:
        """The language to take an utterance in.

        likely: how probable each is by its sound. seconds: how long it is. What is spoken already, by either
        side, needs no proof; another language does.
        """
        known = {code: share for code, share in likely.items() if self.allows(code)} or dict(likely)
        best = max(known, key=known.__getitem__)
        spoken = [code for code in (self.heard, self.answer) if code in known]
        if not spoken or best in spoken:
            return best
        sure = known[best] >= SURE * sum(known.values())
        return best if sure and seconds >= LONG_ENOUGH else max(spoken, key=known.__getitem__)

    def answering(self, said: str, kind: Kind, wish: str = "") -> str:
        """The language of the answer to words of that kind in the language `said`, "" where it is not known.

        wish: the language that they ask for. Who has asked for another language than they speak is answered
        in that one until they speak a third, or come to speak it and then another.
        """
        if wish and self.allows(wish):
            return wish
        new = said not in ("", self.heard, self.answer)
        return said if kind == "words" and new else self.answer

    def spoke(self, said: str, kind: Kind, wish: str = "") -> None:
        """The user's turn is over, and these were its words."""
        self.answer = self.answering(said, kind, wish)
        if said and kind == "words":
            self.heard = said

    def switch(self, code: str) -> None:
        """From now on both sides speak this."""
        self.heard = self.answer = code
