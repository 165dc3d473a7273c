"""Events as earlier versions of the log wrote them, told as the version of today has them. Knows no file.

Versions 1 and 2 had other names for some events and engines. Version 1 had sentences where there are causes
now; what a sentence of ours meant is known, any other is "unrecorded".
"""

from __future__ import annotations

from typing import Any

from agent.causes import ActionName, Reason

ACTIONS: dict[str, ActionName] = {
    "prepare": "generate",
    "release": "commit",
    "drop": "discard",
    "hold": "pause",
    "yield": "interrupt",
    "listen": "transcribe_overlap",
    "transcribeoverlap": "transcribe_overlap",
}
"""Decisions that had another name."""
REASONS: dict[str, Reason] = {"cancelled": "interrupt_call"}
"""Typed reasons that had another name."""
EVENTS = {
    "partial": "interim_transcript",
    "turn_released": "turn_committed",
    "turn_dropped": "turn_discarded",
    "piece": "chunk",
    "audio_held": "audio_paused",
    "overheard": "overlap_transcribed",
}
"""Events that had another name."""
ENGINES = {"eye": "vision", "turn": "endpointing"}
"""Where an error was, which had another name."""
SENTENCES: dict[str, Reason] = {
    "went on": "went_on",
    "is our own echo": "echo",
    "was our own echo": "echo",
    "back-channel": "backchannel",
    "asks for silence": "silence_wanted",
    "silence was asked for": "silence_wanted",
    "asks for more": "go_on",
    "nothing intelligible for": "false_interruption",
    "nothing intelligible was said": "unintelligible",
    "are words": "words",
    "somebody speaks": "speech",
    "being listened to": "speech",
    "an onset": "onset",
    "no speech": "no_speech",
    "as long as it may be": "too_long",
    "spoke over the last words": "spoke_over_end",
    "nobody listens": "deafened",
    "was typed": "typed",
    "was cancelled": "interrupt_call",
    "it failed": "failed",
    "they paused": "pause",
    "they had paused": "pause",
}
"""What sentences of version 1 had in them, and what they meant."""
HAVE_CAUSE = (
    "decision",
    "turn_committed",
    "turn_discarded",
    "audio_paused",
    "audio_resumed",
    "interrupted",
)


def renewed(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of an event of an earlier version, its name first, as they are called now."""
    name = str(data.get("event"))
    data = data | {"event": EVENTS.get(name, name)}
    if name == "error":
        where = str(data.get("where"))
        return data | {"where": ENGINES.get(where, where)}
    if data.get("event") not in HAVE_CAUSE or "cause" in data:
        return data
    new = {key: value for key, value in data.items() if key not in ("why", "reason")}
    reason = _reason(str(data.get("why", "")))
    if data["event"] == "decision":
        action = str(data.get("action"))
        new |= {"action": ACTIONS.get(action, action), "turn": None}
        if str(data.get("why", "")).startswith("silent for"):
            reason = "pause" if new["action"] == "generate" else "endpointing"
    elif "reason" in data:
        reason = REASONS.get(str(data["reason"]), data["reason"])
    return new | {"cause": {"reason": reason}}


def _reason(sentence: str) -> Reason:
    for part, reason in SENTENCES.items():
        if part in sentence:
            return reason
    return "unrecorded"
