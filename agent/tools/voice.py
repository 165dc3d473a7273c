"""The voice itself: slower, louder, another one, and what was said last again. Changes one conversation."""

from __future__ import annotations

from typing import Literal

from agent.errors import ToolError
from agent.tools.tool import ToolContext, Voice, tool

SPEED_STEP, VOLUME_STEP = 1.25, 1.6
"""The factor of one step: a quarter faster, 4 dB louder."""
ANOTHER = ("another", "next", "other", "different")
"""What asks for any other voice."""


@tool(effect="changes")
async def change_voice(
    conversation: ToolContext,
    speed: Literal["same", "slower", "faster", "normal"] = "same",
    volume: Literal["same", "quieter", "louder", "normal"] = "same",
    voice: str = "",
    again: bool = False,
) -> str:
    """Change how you speak from now on. Only when the user asks you to speak otherwise.

    speed: how fast you speak.
    volume: how loud you speak.
    voice: the name of another voice, or "another"; empty for the same.
    again: true if the user wants to hear again what you said last ("say that again slower").
    """
    last, told = conversation.last_said, list[str]()
    speaks = conversation.voice if (speed, volume, voice) != ("same", "same", "") else None
    if speaks is not None:
        _change(speaks, speed, volume, voice)
        told.append(f"You speak at {speaks.speed:.0%} of your usual speed, {speaks.volume:.0%} as loud")
        told += [f"as {speaks.name}"] if speaks.names else []
    if again and not last:
        raise ToolError("You have not said anything yet.")
    if again:
        conversation.say(last)
        told.append("what you said last is said again behind your next words: write one word")
    if not told:
        raise ToolError("Say what is to be changed: speed, volume or voice.")
    return f"{'; '.join(told)}."


def _change(
    voice: Voice,
    speed: Literal["same", "slower", "faster", "normal"],
    volume: Literal["same", "quieter", "louder", "normal"],
    name: str,
) -> None:
    """Raises ToolError where that cannot be, or is so already."""
    before = (voice.speed, voice.volume, voice.name)
    paces = {"slower": voice.speed / SPEED_STEP, "faster": voice.speed * SPEED_STEP, "normal": 1.0}
    levels = {"quieter": voice.volume / VOLUME_STEP, "louder": voice.volume * VOLUME_STEP, "normal": 1.0}
    voice.change(
        speed=paces.get(speed), volume=levels.get(volume), name=_meant(voice, name) if name.strip() else None
    )
    if (voice.speed, voice.volume, voice.name) == before:
        wanted = " and ".join(each for each in (speed, volume, name) if each not in ("same", ""))
        raise ToolError(f"It cannot be {wanted}: it is so already, or there is no more.")


def _meant(voice: Voice, name: str) -> str:
    """The voice that a user calls so: by a part of its name ("emma" for "bf_emma"), or any other one."""
    wanted = name.strip().lower()
    if wanted in ANOTHER:
        if len(voice.names) < 2:
            raise ToolError("There is no other voice.")
        at = voice.names.index(voice.name) if voice.name in voice.names else -1
        return voice.names[(at + 1) % len(voice.names)]
    found = [each for each in voice.names if wanted == each.lower()] or [
        each for each in voice.names if wanted in each.lower()
    ]
    return found[0] if found else name


voice = [change_voice]
"""The set."""
