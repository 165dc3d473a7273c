"""The voice itself: slower, faster, louder, quieter, and what was said last again. Of one conversation."""

from __future__ import annotations

from typing import Literal

from agent.errors import ToolError
from agent.tools.tool import ToolContext, Voice, tool

SPEED_STEP, VOLUME_STEP = 1.25, 1.6
"""The factor of one step: a quarter faster, 4 dB louder."""


@tool(effect="changes")
async def change_voice(
    conversation: ToolContext,
    speed: Literal["same", "slower", "faster", "normal"] = "same",
    volume: Literal["same", "quieter", "louder", "normal"] = "same",
    again: bool = False,
) -> str:
    """Change how you speak from now on. Only when the user asks you to speak otherwise.

    speed: how fast you speak.
    volume: how loud you speak.
    again: true if the user wants to hear again what you said last ("say that again slower").
    """
    last, told = conversation.last_said, list[str]()
    if (speed, volume) != ("same", "same"):
        speaks = conversation.voice
        _change(speaks, speed, volume)
        told.append(f"You speak at {speaks.speed:.0%} of your usual speed, {speaks.volume:.0%} as loud")
    if again and not last:
        raise ToolError("You have not said anything yet.")
    if again:
        conversation.say(last)
        told.append("what you said last is said again behind your next words: write one word")
    if not told:
        raise ToolError("Say what is to be changed: speed or volume.")
    return f"{'; '.join(told)}."


def _change(
    voice: Voice,
    speed: Literal["same", "slower", "faster", "normal"],
    volume: Literal["same", "quieter", "louder", "normal"],
) -> None:
    """Raises ToolError where that cannot be, or is so already."""
    before = (voice.speed, voice.volume)
    paces = {"slower": voice.speed / SPEED_STEP, "faster": voice.speed * SPEED_STEP, "normal": 1.0}
    levels = {"quieter": voice.volume / VOLUME_STEP, "louder": voice.volume * VOLUME_STEP, "normal": 1.0}
    voice.change(speed=paces.get(speed), volume=levels.get(volume))
    if (voice.speed, voice.volume) == before:
        wanted = " and ".join(each for each in (speed, volume) if each != "same")
        raise ToolError(f"It cannot be {wanted}: it is so already, or there is no more.")


voice = [change_voice]
"""The set."""
