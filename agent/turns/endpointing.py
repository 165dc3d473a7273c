"""When a user who paused has finished: words, sound and a model's guess to a length of silence.

Pure; knows no clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Literal, get_args

from agent.causes import Cause, Sign
from agent.languages import scripts
from agent.turns.elicitation import NOTHING_ASKED, Elicitation
from agent.turns.phrases import Language, Phrase

Finished = Literal["complete", "unsure", "incomplete"]
Grade = Literal["complete", "likely", "unsure", "unlikely", "incomplete"]
Wording = Literal["command", "complete", "asking", "likely", "open", "doubtful", "incomplete"]
"""What the words come to. "asking": a question but for its mark; "open": whole, but something often follows;
"doubtful": probably not whole."""

SOUNDS_COMPLETE = 0.9
"""Smart Turn's probability from which the voice sounds finished, and below `SOUNDS_INCOMPLETE` unfinished."""
SOUNDS_INCOMPLETE = 0.3

EXPECTS_MORE = 0.01
"""The language model's probability of the end of the turn below which it expects more words. Above which it
expects an answer is the language's to say; `scripts/bench endofturn` and `turntaking` measure both."""

LONG_ENOUGH, LONG = 7, 10
"""Digits of a number read out that may be all of it (a telephone number without prefix), and that are."""
YEAR = 4
"""Digits from which a number at the end of a sentence is likely to be whole."""
LONGEST_HALF = 4
"""Words with which a clause that is not the main one begins, at most: "después de que"."""
WHOLE_QUESTION = 4
"""Words from which a question is taken for whole; "How many?" may be the beginning of one."""

_CUT_OFF = re.compile(r"(?:\.\.+|…|[-–—,;:，、；：،؛])[\"'”’]*$")
_PAUSE = re.compile("[,，،]")
_ENDED = re.compile(r"[.!?。！？｡।॥؟][\"'”’)）」』]*$")


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds of silence in all, from the last sound, after which an answer may sound.

    From `complete`, when words and voice say that the user has finished, through `unsure`, when they
    disagree, to `incomplete`, when there is more to come; the longest wait there is. None is shorter than the
    one before it: where settings say so, it is as long.
    """

    complete: float
    likely: float
    unsure: float
    unlikely: float
    incomplete: float

    def __post_init__(self) -> None:
        names = [field.name for field in fields(self)]
        for name, longest in zip(
            names, accumulate((getattr(self, each) for each in names), max), strict=True
        ):
            object.__setattr__(self, name, longest)


@dataclass(frozen=True, slots=True)
class EndpointingDecision:
    """How much silence in all ends the turn (s), and why."""

    wait: float
    cause: Cause


def fixed(wait: float) -> EndpointingDecision:
    """So long, whatever was said."""
    return EndpointingDecision(wait, Cause("endpointing", wait=wait, sign="fixed"))


def decision(
    text: str,
    complete: float | None,
    waits: Delays,
    language: Language,
    asked: Elicitation = NOTHING_ASKED,
    expected: float | None = None,
) -> EndpointingDecision:
    """How long to wait in all after the last sound of what a user has said so far.

    text: the words so far, as transcribed with punctuation. complete: Smart Turn's probability that the
    voice has finished; None without it. asked: what the agent has just asked for. expected: the language
    model's probability that the words are all; None where it was not asked.
    """
    wording, sign, word = judge(text, language, asked)
    grade = _ALONE[wording] if complete is None else TOGETHER[wording][heard(complete)]
    if expected is not None:
        grade = _with(expected, grade, language.expects_answer)
    wait: float = getattr(waits, grade)
    return EndpointingDecision(
        wait, Cause("endpointing", text, wait=wait, sign=sign, word=word, voice=complete, model=expected)
    )


def _with(expected: float, grade: Grade, answer: float) -> Grade:
    """What words and voice come to, a step sooner where the model expects an answer, later where more.

    answer: the probability from which it does.

    Where they are sure it stays: waiting longer there spared nobody in `scripts/bench endofturn`.
    """
    if grade == "complete":
        return grade
    step = (expected < EXPECTS_MORE) - (expected > answer)
    grades: tuple[Grade, ...] = get_args(Grade)
    return grades[min(max(grades.index(grade) + step, 0), len(grades) - 1)]


TOGETHER: dict[Wording, dict[Finished, Grade]] = {
    "command": {"complete": "complete", "unsure": "complete", "incomplete": "likely"},
    "complete": {"complete": "complete", "unsure": "complete", "incomplete": "unsure"},
    "asking": {"complete": "complete", "unsure": "complete", "incomplete": "unlikely"},
    "likely": {"complete": "likely", "unsure": "unsure", "incomplete": "unlikely"},
    "open": {"complete": "unsure", "unsure": "unsure", "incomplete": "unlikely"},
    "doubtful": {"complete": "unsure", "unsure": "unlikely", "incomplete": "incomplete"},
    "incomplete": {"complete": "incomplete", "unsure": "incomplete", "incomplete": "incomplete"},
}
"""What the words, then the voice, come to together; `scripts/bench turntaking` measures it."""

_ALONE: dict[Wording, Grade] = {
    "command": "complete",
    "complete": "complete",
    "asking": "likely",
    "likely": "unsure",
    "open": "unlikely",
    "doubtful": "unlikely",
    "incomplete": "incomplete",
}
"""What the words come to without the voice."""


def judge(text: str, language: Language, asked: Elicitation = NOTHING_ASKED) -> tuple[Wording, Sign, str]:
    """What the words alone say, by which sign, and the word that shows it, if it is one."""
    text = text.strip()
    said = language.words(text)
    if not said:
        return "doubtful", "no_words", ""
    if asked.kind(text, language) in ("stop", "go_on", "repeat"):
        return "command", "command", ""
    if _CUT_OFF.search(text):
        return "incomplete", "breaks_off", ""
    spelled = all(len(word) == 1 and word.isalpha() and not scripts.unspaced(word) for word in said)
    if asked.asking != "nothing" and spelled:
        whole = asked.answered(text, language)
        return ("complete", "answers", "") if whole else ("open", "spelling", "")
    if said[-1] in language.dangling:
        return "incomplete", "leads_on", said[-1]
    if said in language.holding:
        return "incomplete", "buys_time", ""
    if (count := _read_out(said, language)) is not None:
        wording: Wording = "doubtful" if count < LONG_ENOUGH else "open" if count < LONG else "likely"
        return wording, "digits", ""
    if language.kind(text) == "backchannel":
        return "complete", "backchannel", ""
    if asked.answered(text, language):
        return "complete", "answers", ""
    if not _ENDED.search(text):
        leads_on = said[-1] in language.maybe_dangling
        return ("incomplete" if leads_on else "doubtful"), "no_end", ""
    if any(said[-len(closing) :] == closing for closing in language.closings):
        return "complete", "closing", said[-1]
    return _sentence(text, said, language)


def _sentence(text: str, said: Phrase, language: Language) -> tuple[Wording, Sign, str]:
    """The opinion on words that end in a full stop or a question mark, which Whisper puts lightly."""
    opened = next((i for i, word in enumerate(said[:-1]) if word not in language.openings), len(said) - 1)
    first, last, count = said[opened], said[-1], len(said) - opened
    asks = scripts.asks(text)
    if last in language.maybe_dangling:
        return "doubtful", "may_lead_on", last
    half = _half(said[: opened + LONGEST_HALF], opened, language)
    if half and not asks and not _PAUSE.search(text):
        return "incomplete", "half", half
    if first in language.promising and not asks and language.promising[first].isdisjoint(said):
        return "incomplete", "promises", first
    if not asks and (last in language.numbers or (last.isdigit() and len(last) < YEAR)):
        return "open", "more_numbers", last
    asked_in_place = language.in_place and not language.question_words.isdisjoint(said)
    if asks and (first in language.question_words or asked_in_place):
        whole = count >= WHOLE_QUESTION
        return ("complete", "question", "") if whole else ("doubtful", "short_question", "")
    asking = first in language.question_words and count > WHOLE_QUESTION
    if asking and said[opened + 1] not in language.subjects:
        return "asking", "unmarked_question", ""
    if count == 1:
        return "open", "one_word", ""
    return "likely", "sentence", ""


def _half(said: Phrase, opened: int, language: Language) -> str:
    """With what a clause begins that is not the main one; "" where it is that. opened: its first word that is
    no opening.
    """
    begun = (said[at:end] for at in range(opened + 1) for end in range(at + 1, len(said) + 1))
    return " ".join(next((phrase for phrase in begun if phrase in language.halves), ()))


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


def heard(complete: float) -> Finished:
    """Smart Turn's probability as an opinion."""
    if complete >= SOUNDS_COMPLETE:
        return "complete"
    return "unsure" if complete >= SOUNDS_INCOMPLETE else "incomplete"
