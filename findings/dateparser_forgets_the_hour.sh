#!/usr/bin/env bash
# dateparser takes a bare hour for a month or for nothing: "tomorrow at 5" and "tomorrow at 11" are tomorrow at this
# very minute, "at 7" is a day in July, "on Friday at 9" one in September, a Saturday. Of what it does not know it
# keeps the rest: search_dates finds "an hour" in "in half an hour", so that the reminder comes twice as late. "5pm" it
# knows. The result looks like any other; nothing tells of a word left over, and PREFER_DATES_FROM "future" changes the
# year at most. Hurt: reminders and alarms by voice, for people say just that, and recognisers write it without colon.
# Ask again where an hour was said and the result has this minute.
#
# Seen: dateparser 1.5.0, CPython 3.11, at three in the afternoon of a Wednesday.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install dateparser==1.5.0
"$folder/venv/bin/python" -W ignore - <<'PY'
from datetime import datetime

import dateparser
from dateparser.search import search_dates

NOW = datetime(2026, 11, 25, 15, 0)
SETTINGS = {"RELATIVE_BASE": NOW, "PREFER_DATES_FROM": "future"}
print("dateparser", dateparser.__version__, "at", NOW)

for said, expected in (
    ("tomorrow at 5pm", datetime(2026, 11, 26, 17, 0)),
    ("tomorrow at 5", datetime(2026, 11, 26, 15, 0)),
    ("tomorrow at 11", datetime(2026, 11, 26, 15, 0)),
    ("at 7", datetime(2027, 7, 25)),
    ("on Friday at 9", datetime(2027, 9, 25)),
):
    date = dateparser.parse(said, languages=["en"], settings=SETTINGS)
    print(f"{said!r}: {date:%A, %d %B %Y, %H:%M}")
    assert date == expected
for said, expected in (
    ("Remind me in an hour.", [("in an hour", datetime(2026, 11, 25, 16, 0))]),
    ("Remind me in half an hour.", [("an hour", datetime(2026, 11, 25, 16, 0))]),
    ("Wake me at 7 on Monday.", [("at 7 on Monday", datetime(2027, 7, 25))]),
):
    found = search_dates(said, languages=["en"], settings=SETTINGS)
    print(f"{said!r}: {[(words, f'{date:%A, %d %B %Y, %H:%M}') for words, date in found]}")
    assert found == expected
PY
