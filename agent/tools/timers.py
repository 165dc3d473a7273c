"""Timers, alarms and reminders, which speak up by themselves. Knows the clock, and no conversation.

Those of the user of this machine are kept in one readable file, so that they outlive a program that ends;
what was due meanwhile is said as soon as somebody is there to hear it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeAlias

import anyio
from pydantic import Field, TypeAdapter, ValidationError

from agent.errors import ToolError
from agent.settings import ToolsConfig
from agent.text.cleaning import cleaned
from agent.tools.memory.keeping import Keeping, Kept
from agent.tools.stems import stems
from agent.tools.tool import Tool, ToolContext, tool

FILE = "timers.json"
TICK = 0.2
"""Seconds between two looks at whether something is due."""
MOST = 50
"""Timers at once."""
_EVERY = stems("all every everything both each")
LATE = 60.0
"""Seconds after which something that was due is said to be late."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Something that will be said. due: seconds since 1970. about: what for, in the user's words; or ""."""

    due: float
    kind: str
    about: str

    @property
    def called(self) -> str:
        """What it is called: "timer for two minutes", "reminder to call Ann"."""
        return f"{self.kind} {self.about}".strip()


class Timers:
    """All that will be said to one user. ToolError where it cannot be kept."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.until = kept.until

    def all(self) -> list[Timer]:
        """What is still to come, the next first."""
        if not (text := self._kept.read()):
            return []
        try:
            found = TypeAdapter(list[Timer]).validate_json(text)
        except ValidationError as error:
            raise self._kept.damaged from error
        return sorted(found, key=lambda timer: timer.due)

    def keep(self, timers: list[Timer]) -> None:
        """These and no others."""
        self._kept.write(json.dumps([asdict(timer) for timer in timers], indent=1, ensure_ascii=False))

    def add(self, timer: Timer) -> None:
        """One more."""
        timers = self.all()
        if len(timers) >= MOST:
            raise ToolError(f"There are {MOST} timers already; cancel one first.")
        self.keep([*timers, timer])

    def take(self, now: float) -> list[Timer]:
        """What is due at `now`, which is then no longer to come."""
        timers = self.all()
        due = [timer for timer in timers if timer.due <= now]
        if due:
            self.keep([timer for timer in timers if timer.due > now])
        return due


def timers(config: ToolsConfig) -> list[Tool]:
    """The set. Each conversation rings what its own user has set."""
    keeping = Keeping(config, FILE)

    def of(conversation: ToolContext) -> Timers:
        return Timers(keeping.of(conversation))

    async def ring(conversation: ToolContext) -> None:
        """Say what is due, as long as the conversation lasts."""
        while True:
            for timer in of(conversation).take(conversation.time()):
                conversation.say(_said(timer, conversation.time()), soon=True)
            await anyio.sleep(TICK)

    return [
        replace(tool(_set_timer(of), effect="changes", name="set_timer"), lives=ring),
        tool(_set_alarm(of), effect="changes", name="set_alarm"),
        tool(_list_timers(of), effect="reads", name="list_timers"),
        tool(_cancel_timer(of), effect="changes", name="cancel_timer"),
    ]


Of: TypeAlias = Callable[[ToolContext], Timers]
"""The timers of whom a conversation is with."""
LONGEST = 10_000 * 3600.0
"""Seconds that a timer may run."""


def _set_timer(of: Of) -> Callable[..., str]:
    def set_timer(
        conversation: ToolContext, minutes: float = 0, seconds: float = 0, hours: float = 0, about: str = ""
    ) -> str:
        """Set a timer, or a reminder after some time. It speaks up by itself when it is due."""
        length = hours * 3600 + minutes * 60 + seconds
        if not 0 < length <= LONGEST:
            most = length_in_words(LONGEST)
            raise ToolError(f"Say how long: hours, minutes or seconds above 0, up to {most}.")
        told = length_in_words(length)
        about = cleaned(about).strip()
        kind, about = ("reminder:", about) if about else ("timer", f"for {told}")
        of(conversation).add(Timer(conversation.time() + length, kind, about))
        return f"The {kind.strip(':')} is set. It is due in {told}.{of(conversation).until}"

    return set_timer


def _set_alarm(of: Of) -> Callable[..., str]:
    def set_alarm(
        conversation: ToolContext,
        at: Annotated[str, Field(description="HH:MM, or YYYY-MM-DDTHH:MM")],
        about: str = "",
    ) -> str:
        """Set an alarm, or a reminder, for a time of day. It speaks up by itself then."""
        due = moment(at, conversation.time())
        about = cleaned(about).strip()
        when = f"{datetime.fromtimestamp(due):%A at %H:%M}"
        kind, about = ("reminder:", about) if about else ("alarm", f"for {datetime.fromtimestamp(due):%H:%M}")
        of(conversation).add(Timer(due, kind, about))
        left = length_in_words(due - conversation.time())
        return f"The {kind.strip(':')} is set for {when}, in {left}.{of(conversation).until}"

    return set_alarm


def _list_timers(of: Of) -> Callable[..., Any]:
    def list_timers(conversation: ToolContext) -> str:
        """The timers, alarms and reminders that are set, and how long is left of each."""
        now = conversation.time()
        told = [
            f"{timer.called}, due in {length_in_words(timer.due - now)}" for timer in of(conversation).all()
        ]
        return "; ".join(told) or "No timer, alarm or reminder is set."

    return list_timers


def _cancel_timer(of: Of) -> Callable[..., str]:
    def cancel_timer(conversation: ToolContext, about: str = "") -> str:
        """Cancel a timer, alarm or reminder.

        about: which one, if there are several; "all" for all of them.
        """
        timers = (store := of(conversation)).all()
        found = fitting(timers, about)
        if not found or (len(found) > 1 and not _all(about)):
            there = "; ".join(timer.called for timer in timers) or "none"
            raise ToolError(f"{'Several fit' if found else 'None fits'}. There are: {there}.")
        store.keep([timer for timer in timers if timer not in found])
        return f"Cancelled: {'; '.join(timer.called for timer in found)}."

    return cancel_timer


def fitting(timers: list[Timer], about: str) -> list[Timer]:
    """The timers that these words are about: those that share most of them, all where they say nothing."""
    wanted = stems(about) - _EVERY
    shared = [len(wanted & stems(timer.called)) for timer in timers]
    most = max(shared, default=0)
    return [
        timer for timer, count in zip(timers, shared, strict=True) if count == most and (most or not wanted)
    ]


def _all(about: str) -> bool:
    return not stems(about).isdisjoint(_EVERY)


def moment(at: str, now: float) -> float:
    """The next time that `at` names, in seconds since 1970. Raises ToolError where it is none, or past."""
    here = datetime.fromtimestamp(now)
    try:
        if "T" in at or "-" in at:
            found = datetime.fromisoformat(at.strip())
        else:
            clock = datetime.strptime(at.strip(), "%H:%M" if at.count(":") == 1 else "%H:%M:%S")
            found = here.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
            found += timedelta(days=found <= here)
        due = found.timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ToolError(f'{at!r} is no time; give one as "07:30" or "2026-12-24T18:00".') from error
    if due <= now:
        raise ToolError(f"{at} is past.")
    return due


def length_in_words(seconds: float) -> str:
    """A length of time as it is said: "2 minutes", "1 hour and 5 minutes"."""
    whole = max(0, round(seconds))
    parts = [
        (whole // 86400, "day"),
        (whole // 3600 % 24, "hour"),
        (whole // 60 % 60, "minute"),
        (whole % 60, "second"),
    ]
    told = [f"{count} {unit}{'s' if count != 1 else ''}" for count, unit in parts if count][:2]
    return " and ".join(told) or "0 seconds"


def _said(timer: Timer, now: float) -> str:
    late = f" It was due {length_in_words(now - timer.due)} ago." if now - timer.due > LATE else ""
    if timer.kind == "reminder:":
        return f"Here is your reminder: {timer.about.rstrip('.')}.{late}"
    return (
        f"Your {timer.called} is over.{late}"
        if timer.kind == "timer"
        else f"It is time: your {timer.called}.{late}"
    )
