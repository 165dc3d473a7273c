#!/usr/bin/env bash
# An AsyncOpenAI that is dropped without close() makes a task of its aclose() on whichever event loop happens to run
# when the garbage collector finds it. Each use makes a cycle of references, so that is not where it was dropped, but
# any time later; and its connections belong to the loop it was used in. Where that one is gone (asyncio.run twice, a
# loop for each test, a loop in a worker thread), the task fails: "Event loop is closed" and "Task exception was never
# retrieved" are reported in a part of the program that has never heard of OpenAI. Hurt: whoever looks for that fault
# where it is reported, or whose tests fail by the test before. Hold the client in `async with`, always.
#
# Seen: openai 3.57.0 (with httpx2 2.16.2), CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install openai==3.57.0 httpx2==2.16.2
"$folder/venv/bin/python" - <<'PY'
import asyncio
import gc
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the connection is kept, as any server does
    log_message = lambda *_: None  # noqa: E731

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "30")
        self.end_headers()
        self.wfile.write(b'{"object": "list", "data": []}')


async def first(url: str, closed: bool) -> None:
    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    await client.models.list()
    if closed:
        await client.close()


async def another() -> list[str]:
    told = []  # what is reported to a part of the program that knows nothing of the first
    tell = lambda _, what: told.append(f"{what['message']}: {what.get('exception')}")  # noqa: E731
    asyncio.get_running_loop().set_exception_handler(tell)
    gc.collect()
    await asyncio.sleep(0.1)
    gc.collect()
    return told


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
gc.disable()  # when it is found is chance; here it is found in another()
print("openai", openai.__version__)
for closed in (True, False):
    asyncio.run(first(f"http://127.0.0.1:{server.server_port}/v1", closed))
    told = asyncio.run(another())
    print("closed:" if closed else "dropped:", told)
    assert told == ([] if closed else ["Task exception was never retrieved: Event loop is closed"])
PY
