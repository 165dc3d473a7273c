"""A cause in words for people: for the transcript, the timeline and the terminal. Decides nothing."""

from __future__ import annotations

from agent.causes import Cause, Reason, Sign
from agent.events import Decision

REASONS: dict[Reason, str] = {
    "pause": "the user paused",
    "too_long": "the utterance is as long as it may be",
    "spoke_over_end": "the user spoke over the last words",
    "endpointing": "the silence was long enough",
    "answer_late": "the answer was not ready earlier",
    "noise": "a noise that might have been speech held it back",
    "longest_wait": "no turn waits longer",
    "typed": "something was typed",
    "asked": "an answer was asked for",
    "notice": "something was due to be said",
    "onset": "somebody may be speaking",
    "speech": "somebody speaks",
    "words": "words were said",
    "silence_wanted": "silence was asked for",
    "interrupt_call": "the program interrupted it",
    "client": "the client cancelled it",
    "went_on": "the user went on",
    "unintelligible": "nothing intelligible was said",
    "failed": "an engine failed",
    "no_speech": "it was no speech",
    "backchannel": "it was a back-channel",
    "echo": "it was our own echo",
    "go_on": "more was asked for",
    "repeat": "it was to be said again",
    "false_interruption": "no words came of it",
    "deafened": "nobody listens any more",
    "wake_word": "the wake word was said",
    "stranger": "it was another voice",
    "no_leave": "it was somebody who may not interrupt",
    "unrecorded": "the log does not say why",
}
SIGNS: dict[Sign, str] = {
    "fixed": "the wait is fixed",
    "no_words": "no words yet",
    "command": "a command",
    "breaks_off": "the sentence breaks off",
    "answers": "it answers the question",
    "spelling": "letters are being spelled",
    "leads_on": "{word} leads on",
    "buys_time": "it only buys time",
    "digits": "a number is being read out",
    "backchannel": "a back-channel",
    "no_end": "the sentence has no end",
    "closing": "{word} closes a request",
    "may_lead_on": "{word} may lead on",
    "half": "{word} opens half a sentence",
    "promises": "{word} promises more",
    "more_numbers": "more may follow {word}",
    "short_question": "a short question",
    "question": "a whole question",
    "unmarked_question": "a question without its mark",
    "one_word": "a single word",
    "sentence": "a sentence",
}


def in_words(cause: Cause) -> str:
    """The reason and its evidence, on one line: "words were said: “Wait, what?”"."""
    told = REASONS[cause.reason]
    waited = [] if cause.seconds is None else [f"{cause.seconds:.2f} s"]
    waited += [] if cause.wait is None else [f"{cause.wait:.2f} s wanted"]
    told += f" ({', '.join(waited)})" if waited else ""
    evidence = [f"“{' '.join(cause.text.split())}”"] if cause.text else []
    if cause.sign is not None:
        evidence.append(SIGNS[cause.sign].format(word=f"“{cause.word}”"))
    if cause.model is not None:
        evidence.append(f"the model expects an answer with a probability of {cause.model:.2f}")
    if cause.voice is not None:
        evidence.append(f"the voice sounds finished with a probability of {cause.voice:.2f}")
    return f"{told}: {'; '.join(evidence)}" if evidence else told


def decision_line(event: Decision) -> str:
    """One decision in one line: when, what, about which reply, why."""
    about = "" if event.turn is None else f"#{event.turn}"
    return f"{event.time:7.2f} s  {event.action:18} {about:>4}  {in_words(event.cause)}"
