"""The voice itself: slower, louder, another one, and what was said last again. Of one conversation."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from agent.errors import ToolError
from agent.tools.tool import ToolContext, Voice, tool
from audio.tts import Gender

SPEED_STEP, VOLUME_STEP = 1.25, 1.6
"""The factor of one step: a quarter faster, 4 dB louder."""
GENDERS: dict[str, Gender] = {
    "woman": "female",
    "female": "female",
    "girl": "female",
    "lady": "female",
    "man": "male",
    "male": "male",
    "boy": "male",
    "guy": "male",
}
"""Words for how a voice sounds."""

Speed: TypeAlias = Literal["same", "slower", "faster", "normal"]
Volume: TypeAlias = Literal["same", "quieter", "louder", "normal"]
Other: TypeAlias = Annotated[
    str, Field(description='"same", "another", "woman", "man", "normal", or the name of a voice')
]


@tool(effect="changes")
async def change_voice(
    conversation: ToolContext,
    speed: Speed = "same",
    volume: Volume = "same",
    voice: Other = "same",
    again: bool = False,
) -> str:
    """Change how you speak from now on. Only when the user asks you to speak otherwise.

    speed: how fast you speak.
    volume: how loud you speak.
    again: true if the user wants to hear again what you said last ("say that again slower").
    """
    last, told = conversation.last_said, list[str]()
    other = chosen(conversation.voice, voice) if voice not in ("same", "") else None
    if (speed, volume) != ("same", "same"):
        speaks = conversation.voice
        _change(speaks, speed, volume)
        told.append(f"You speak at {speaks.speed:.0%} of your usual speed, {speaks.volume:.0%} as loud")
    if other is not None:
        speaks = conversation.voice
        speaks.change(name=other)
        told.append(f"You speak with the voice {speaks.name} from the next words on")
    if again and not last:
        raise ToolError("You have not said anything yet.")
    if again:
        conversation.say(last)
        told.append("what you said last is said again behind your next words: write one word")
    if not told:
        raise ToolError("Say what is to be changed: speed, volume or voice.")
    return f"{'; '.join(told)}."


def chosen(voice: Voice, wish: str) -> str:
    """The name of the voice that is wished for; "" is the usual one. Raises ToolError where there is none.

    Of several that fit it is the one that comes next in their order, so that who asks again hears them all.
    """
    choice = voice.choice
    if len(choice) < 2:
        raise ToolError("There is only this one voice; say so. It can be louder and quieter.")
    words = wish.lower().replace("'s", "").replace("_", " ").split()
    if not {"normal", "usual", "own"}.isdisjoint(words):
        return ""
    if named := [name for name in choice if name.lower().replace("_", " ").split()[-1] in words]:
        return named[0]
    names = [*choice]
    at = names.index(voice.name) + 1 if voice.name in choice else 0
    others = [name for name in (*names[at:], *names[:at]) if name != voice.name]
    genders = {GENDERS[word] for word in words if word in GENDERS}
    fitting = [name for name in others if choice[name] in genders] if genders else others
    known = genders or "another" in words or "different" in words
    if fitting and known:
        return fitting[0]
    raise ToolError(f"There is no voice {wish!r}. There are: {', '.join(choice)}.")


def _change(voice: Voice, speed: Speed, volume: Volume) -> None:
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
