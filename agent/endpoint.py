"""When a person who paused has finished: words and sound to a length of silence. Pure; knows no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from agent.language import Language, Phrase, words

Finished = Literal["complete", "unsure", "incomplete"]
Wording = Literal["complete", "likely", "doubtful", "incomplete"]

SOUNDS_COMPLETE = 0.75
"""Smart Turn's probability from which the voice sounds finished, and below `SOUNDS_INCOMPLETE` unfinished."""
SOUNDS_INCOMPLETE = 0.3

LONG_ENOUGH = 7
"""Digits that may be a whole number that was read out: a telephone number without its prefix."""
WHOLE_QUESTION = 4
"""Words from which a question is taken for whole; "How many?" may be the beginning of one."""

_CUT_OFF = re.compile(r"(?:\.\.+|…|[-–—,;:])[\"'”’]*$")
_ENDED = re.compile(r"[.!?][\"'”’)]*$")


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds of silence in all, from the last sound, after which an answer may sound.

    complete: the person has finished. unsure: that is not clear, or words and voice disagree.
    incomplete: there is more to come; the longest wait there is.
    """

    complete: float = 0.2
    unsure: float = 0.7
    incomplete: float = 1.4


@dataclass(frozen=True, slots=True)
class Verdict:
    """How much silence in all ends the turn, and the reason to show."""

    wait: float
    why: str


def verdict(
    text: str, smart: float | None, waits: Waits, language: Language, agent_asked: bool = False
) -> Verdict:
    """How long to wait in all after the last sound of what a person has said so far.

    text: the words so far, as transcribed with punctuation. smart: Smart Turn's probability that the
    voice has finished; None without it. agent_asked: the agent has just asked a question.
    """
    wording, why = judge(text, language, agent_asked)
    seconds = {"complete": waits.complete, "unsure": waits.unsure, "incomplete": waits.incomplete}
    if smart is None:
        return Verdict(seconds[_ALONE[wording]], why)
    voice = heard(smart)
    manner = {"complete": "finished", "unsure": "undecided", "incomplete": "unfinished"}[voice]
    why = f"{why}; the voice sounds {manner} ({smart:.2f})"
    return Verdict(seconds[TOGETHER[wording][voice]], why)


TOGETHER: dict[Wording, dict[Finished, Finished]] = {
    "complete": {"complete": "complete", "unsure": "complete", "incomplete": "unsure"},
    "likely": {"complete": "complete", "unsure": "unsure", "incomplete": "incomplete"},
    "doubtful": {"complete": "unsure", "unsure": "unsure", "incomplete": "incomplete"},
    "incomplete": {"complete": "unsure", "unsure": "incomplete", "incomplete": "incomplete"},
}
"""What the words, then the voice, come to together. Measured, with whisper-tiny.en, on 76 whole utterances
(48 questions, 28 others; three voices) and 231 cut at a word, many of which might as well have ended there:

    judged by     whole: complete, unsure, incomplete    cut: complete, unsure, incomplete
    words                0.57      0.42    0.01                0.26      0.28    0.46
    Smart Turn           0.80      0.11    0.09                0.25      0.14    0.61
    both                 0.86      0.14    0.00                0.16      0.29    0.55
"""

_ALONE: dict[Wording, Finished] = {
    "complete": "complete",
    "likely": "unsure",
    "doubtful": "unsure",
    "incomplete": "incomplete",
}
"""What the words come to without the voice."""


def judge(text: str, language: Language, agent_asked: bool = False) -> tuple[Wording, str]:
    """What the words alone say, and why."""
    text = text.strip()
    said = words(text)
    if not said:
        return "doubtful", "no words yet"
    if language.kind(text, agent_asked) in ("stop", "go_on", "repeat"):
        return "complete", "a command"
    if _CUT_OFF.search(text):
        return "incomplete", "the sentence breaks off"
    if said[-1] in language.dangling:
        return "incomplete", f"{said[-1]!r} leads on"
    if (count := _read_out(said, language)) is not None:
        number = f"a number is being read out ({count} digits)"
        return ("incomplete" if count < LONG_ENOUGH else "likely"), number
    if language.kind(text) == "backchannel":
        return "complete", "a back-channel"
    if agent_asked and language.is_answer(text):
        return "complete", "it answers the question"
    if not _ENDED.search(text):
        return "incomplete", "the sentence has no end"
    if any(said[-n:] in language.closings for n in (1, 2, 4)):
        return "complete", f"{said[-1]!r} closes a request"
    return _sentence(text, said, language)


def _sentence(text: str, said: Phrase, language: Language) -> tuple[Wording, str]:
    """The opinion on words that end in a full stop or a question mark, which Whisper puts lightly."""
    opened = next((i for i, word in enumerate(said[:-1]) if word not in language.openings), len(said) - 1)
    first, last, count = said[opened], said[-1], len(said) - opened
    asks = text.rstrip("\"'”’)").endswith("?")
    if last in language.maybe_dangling:
        return "doubtful", f"{last!r} may lead on"
    if first in language.halves and not asks and "," not in text:
        return "doubtful", f"{first!r} opens half a sentence"
    if asks and first in language.question_words:
        return (
            ("doubtful", "a short question") if count < WHOLE_QUESTION else ("complete", "a whole question")
        )
    return "likely", "a sentence"


def _read_out(said: Phrase, language: Language) -> int | None:
    """Digits at the end of words that read out a number; None where they do not.

    They do when something announces it ("my number is 5"), or when two or more digits come one by one.
    """
    count = groups = 0
    for word in reversed(said):
        if word.isdigit():
            count += len(word)
        elif word in language.digits:
            count += 1
        elif word not in language.numbers:
            break
        groups += 1
    announced = not language.announcing.isdisjoint(said[: len(said) - groups])
    return count if groups and (announced or (groups >= 2 and count >= 3)) else None


def heard(smart: float) -> Finished:
    """Smart Turn's probability as an opinion."""
    if smart >= SOUNDS_COMPLETE:
        return "complete"
    return "unsure" if smart >= SOUNDS_INCOMPLETE else "incomplete"
