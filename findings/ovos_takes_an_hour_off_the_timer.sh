#!/usr/bin/env bash
# Two libraries that assistants set timers by lose an hour, or half of one, and give the rest as the result. The parser
# of OpenVoiceOS, the heir of Mycroft's, knows no "an": of "an hour and ten minutes" it makes ten minutes, "an hour and
# a half" is no duration, and a moment "in an hour and a half" is in one hour; "five to ten minutes" is ten. The words
# left over come back beside the result, which looks like any other. parsedatetime takes "in half an hour" for an hour
# from now and "at seven in the morning" for six o'clock, and calls both understood. With figures ("1 hour and 10
# minutes", "7am") both are right, but recognisers write small numbers as words. Hurt: who cooks, parks or takes
# medicine by it. Refuse a result that leaves number words or "hour" over.
#
# Seen: ovos-date-parser 0.29.0, ovos-number-parser 0.24.3a1, parsedatetime 2.6, CPython 3.11, English.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install ovos-date-parser==0.29.0 ovos-number-parser==0.24.3a1 parsedatetime==2.6
export HOME=$folder
"$folder/venv/bin/python" -W ignore - <<'PY'
from datetime import datetime, timedelta
from importlib.metadata import version

import parsedatetime
from ovos_date_parser import extract_datetime, extract_duration

print(*(f"{name} {version(name)}" for name in ("ovos-date-parser", "parsedatetime")))
NOW = datetime(2026, 11, 27, 15, 20)
MINUTE = timedelta(minutes=1)
for said, seen, over in (
    ("1 hour and 10 minutes", 70 * MINUTE, "and"),
    ("an hour and ten minutes", 10 * MINUTE, "an hour and"),
    ("an hour and a half", None, "an hour and a 0.5"),
    ("one and a half hours", 90 * MINUTE, ""),
    ("five to ten minutes", 10 * MINUTE, "5 to"),
):
    found, rest = extract_duration(said, "en")
    print(f"ovos           {said!r:32} {found}, over: {rest!r}")
    assert (found, rest) == (seen, over)
moment, rest = extract_datetime("in an hour and a half", "en", anchorDate=NOW)
print(f"ovos           'in an hour and a half'          {moment:%H:%M}, over: {rest!r}")
assert moment == datetime(2026, 11, 27, 16, 20)
calendar = parsedatetime.Calendar()
for said, seen in (
    ("in 30 minutes", "15:50"),
    ("in half an hour", "16:20"),
    ("at 7am", "07:00"),
    ("at seven in the morning", "06:00"),
):
    moment, understood = calendar.parseDT(said, NOW)
    print(f"parsedatetime  {said!r:32} {moment:%H:%M}, understood: {understood}")
    assert f"{moment:%H:%M}" == seen and understood == 2
PY
