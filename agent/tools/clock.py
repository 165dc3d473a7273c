"""What time and what day it is, here and elsewhere. Reads the machine's clock and its list of time zones."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from agent.errors import ToolError
from agent.tools.tool import tool

COUNTRIES = {
    "japan": "Asia/Tokyo",
    "china": "Asia/Shanghai",
    "india": "Asia/Kolkata",
    "germany": "Europe/Berlin",
    "france": "Europe/Paris",
    "spain": "Europe/Madrid",
    "italy": "Europe/Rome",
    "england": "Europe/London",
    "uk": "Europe/London",
    "united kingdom": "Europe/London",
    "california": "America/Los_Angeles",
    "san francisco": "America/Los_Angeles",
    "washington": "America/New_York",
    "boston": "America/New_York",
    "texas": "America/Chicago",
    "beijing": "Asia/Shanghai",
    "mumbai": "Asia/Kolkata",
    "delhi": "Asia/Kolkata",
}
"""Places that people name and the list of time zones does not, with the zone of most who live there."""


@tool(effect="reads")
def current_time(place: str = "") -> str:
    """The time and the date now, here or in another place."""
    zone = _zone(place)
    now = datetime.now(zone) if zone is not None else datetime.now().astimezone()
    where = f" in {place}" if place else ""
    return f"It is {now:%H:%M} on {now:%A}, {now.day} {now:%B} {now.year}{where}."


@tool(effect="reads")
def day_of(days_later: int = 0, day: str = "") -> str:
    """The weekday and date of a day, and how many days it is from today."""
    today = date.today()
    named = {"": 0, "today": 0, "tomorrow": 1, "yesterday": -1}
    try:
        begin = today + timedelta(named[day.lower()]) if day.lower() in named else date.fromisoformat(day)
        found = begin + timedelta(days_later)
    except (ValueError, OverflowError) as error:
        raise ToolError(
            f"{day!r} is no day; give today, tomorrow, yesterday, or a date as 2026-12-24"
        ) from error
    away = (found - today).days
    when = "today" if away == 0 else f"in {away} days" if away > 0 else f"{-away} days ago"
    return f"{found:%A}, {found.day} {found:%B} {found.year}, {when}."


def _zone(place: str) -> ZoneInfo | None:
    """The time zone of a place; None for here. Raises ToolError for one that is not known."""
    wanted = re.sub(r"[\s_]+", " ", place.strip().lower())
    if wanted in ("", "here", "local", "home"):
        return None
    if wanted in COUNTRIES:
        return ZoneInfo(COUNTRIES[wanted])
    zones = sorted(available_timezones(), key=lambda zone: ("/" not in zone, zone.startswith("Etc"), zone))
    plain = {zone: zone.lower().replace("_", " ") for zone in zones}
    city = wanted.partition(",")[0]
    for found in (
        [zone for zone, name in plain.items() if name == wanted],
        [zone for zone, name in plain.items() if name.rpartition("/")[2] == city],
    ):
        if found:
            return ZoneInfo(found[0])
    raise ToolError(f"No time zone is known for {place!r}. Name the largest city near it, or its country.")


clock = [current_time, day_of]
"""The set."""
