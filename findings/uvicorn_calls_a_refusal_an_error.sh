#!/usr/bin/env bash
# An ASGI app that refuses a WebSocket with an answer (the extension websocket.http.response, which uvicorn offers:
# "429, come back in 3 s") does all right and the client gets it whole; and each time uvicorn logs at ERROR that
# the app "returned without completing handshake". Hurt: whoever alerts on errors in the log: a full house or a
# wrong token looks like a broken app, and a client that retries fills the log; and who looks for the fault in the app.
#
# Seen: uvicorn 0.54.0 with websockets 17.4 (what ws="auto" takes), CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install uvicorn==0.54.0 websockets==17.4
"$folder/venv/bin/python" - <<'PY'
import asyncio
import logging

import uvicorn
import websockets

RESPONSE = "websocket.http.response"
errors = []


async def app(scope, receive, send):
    assert RESPONSE in scope["extensions"]
    await receive()
    await send({"type": f"{RESPONSE}.start", "status": 429, "headers": [(b"retry-after", b"3")]})
    await send({"type": f"{RESPONSE}.body", "body": b"busy"})


async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with websockets.connect(f"ws://127.0.0.1:{port}/"):
            raise AssertionError("not refused")
    except websockets.InvalidStatus as refused:
        answer = refused.response
    server.should_exit = True
    await running
    return answer


watch = logging.Handler(logging.ERROR)
watch.emit = lambda record: errors.append(record.getMessage())
logging.getLogger("uvicorn.error").addHandler(watch)
answer = asyncio.run(main())
print(f"uvicorn {uvicorn.__version__}: the client got {answer.status_code}, {bytes(answer.body)!r}; errors: {errors}")
assert answer.status_code == 429 and answer.headers["retry-after"] == "3" and bytes(answer.body) == b"busy"
assert len(errors) == 1 and "without completing handshake" in errors[0]
PY
