"""Why turn-taking does what it does: typed reasons with their evidence. Has no words for people.

`agent.reports.causes` makes those, where a cause is shown; docs/turn-taking.md explains each reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActionName = Literal[
    "generate", "commit", "discard", "duck", "pause", "resume", "interrupt", "transcribe_overlap"
]
"""What turn-taking can do, as files and wires spell it."""

Kind = Literal["nothing", "backchannel", "stop", "go_on", "repeat", "words", "echo", "stranger", "no_leave"]
"""What the user's words are, as `agent.turns.phrases` tells; "echo" are the agent's own, "stranger" those of
somebody who is not answered, "no_leave" over a reply those of somebody who may not interrupt."""

Reason = Literal[
    "pause",
    "too_long",
    "spoke_over_end",
    "endpointing",
    "answer_late",
    "noise",
    "longest_wait",
    "typed",
    "asked",
    "notice",
    "onset",
    "speech",
    "words",
    "silence_wanted",
    "interrupt_call",
    "client",
    "went_on",
    "unintelligible",
    "failed",
    "no_speech",
    "backchannel",
    "echo",
    "go_on",
    "repeat",
    "false_interruption",
    "deafened",
    "wake_word",
    "stranger",
    "no_leave",
    "unrecorded",
]
"""What a decision was taken for. "unrecorded": by a version that did not write it down."""

Sign = Literal[
    "fixed",
    "no_words",
    "command",
    "breaks_off",
    "answers",
    "spelling",
    "leads_on",
    "buys_time",
    "digits",
    "backchannel",
    "no_end",
    "closing",
    "may_lead_on",
    "half",
    "promises",
    "more_numbers",
    "short_question",
    "question",
    "unmarked_question",
    "one_word",
    "sentence",
]
"""What in the user's words told how long to wait; "fixed": nothing did, the wait is a setting."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason and its evidence; what a reason has none of is empty.

    text: the user's words that it hangs on. seconds: of silence, or of speech without words, after which it
    was done. For the end of a turn also: wait: the silence that words and voice asked for (s); sign: what in
    the words; word: which of them; voice: the end-of-turn model's probability that the voice had finished;
    model: the language model's that the words were all.
    """

    reason: Reason
    text: str = ""
    seconds: float | None = None
    wait: float | None = None
    sign: Sign | None = None
    word: str = ""
    voice: float | None = None
    model: float | None = None
