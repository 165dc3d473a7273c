#!/usr/bin/env bash
# One field that pipecat does not know in `session.created` silences its OpenAI Realtime service. The event is read
# by models with fixed keywords; `languages`, which OpenAI's own types give a transcription's settings, raises an
# exception. A server that sends what the specification
# allows has a client that is connected, and never says or hears a thing.
#
# Seen: pipecat-ai 1.14.0: parse_server_event raises for a session.created with `"languages": ["en"]`, and not for
# the same event without it.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install "pipecat-ai[openai]==1.14.0"
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
import json

from pipecat.services.openai.realtime.events import parse_server_event


def created(**more: object) -> str:
    """The first event of a server, whose session has this in its transcription's settings."""
    transcription = {"model": "whisper-1", "language": "en", **more}
    session = {"type": "realtime", "audio": {"input": {"transcription": transcription}}}
    return json.dumps({"type": "session.created", "event_id": "event_1", "session": session})


print(type(parse_server_event(created())).__name__)
try:
    parse_server_event(created(languages=["en"]))
except Exception as error:
    print(f"{type(error).__name__}: {str(error).splitlines()[0]}")
else:
    raise SystemExit("it is read now")
PY
