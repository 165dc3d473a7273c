#!/usr/bin/env bash
# Whether uvicorn's connections have Nagle's algorithm off depends on who made the listening socket. asyncio sets
# TCP_NODELAY only on sockets whose protocol says TCP; what socket.socket() makes says 0, and connections inherit
# that. So one process that binds host and port streams small frames (tokens, 20 ms of sound, events) at once, and
# the same app with --workers, --reload, --fd or sockets= holds a small frame back until the one before it is
# acknowledged, which may take the other side tens of milliseconds. Hurt: streaming servers, first in production.
#
# Seen: uvicorn 0.54.0 on CPython 3.11, Linux: TCP_NODELAY of the accepted connection.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install uvicorn==0.54.0 h11==0.16.0
"$folder/venv/bin/python" - <<'PY'
import asyncio
import platform
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

seen = []


class Watched(H11Protocol):
    def connection_made(self, transport):
        connection = transport.get_extra_info("socket")
        seen.append((connection.proto, connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        super().connection_made(transport)


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def serve(bound: bool) -> None:
    """One request to a server that binds itself, or (bound) gets the socket that --workers would give it."""
    config = uvicorn.Config(app, port=0, http=Watched, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve([config.bind_socket()] if bound else None))
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    server.should_exit = await asyncio.sleep(0.2, True)
    writer.close()
    await running


print("uvicorn", uvicorn.__version__, "Python", platform.python_version())
for bound, expected in ((False, (socket.IPPROTO_TCP, 1)), (True, (0, 0))):
    asyncio.run(serve(bound))
    print("socket of --workers:" if bound else "host and port:", f"protocol {seen[-1][0]}, TCP_NODELAY {seen[-1][1]}")
    assert seen[-1] == expected
PY
