"""The page to talk to, as files. Knows no session: it uses the same WebSocket or WebRTC as everyone else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.server.http.responses import Answer

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = Path(__file__).parent
MEDIA = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES = {
    f"/{'' if file.name == 'index.html' else file.name}": (file.read_bytes(), MEDIA[file.suffix])
    for file in sorted(FOLDER.iterdir())
    if file.suffix in MEDIA
}
"""Each path of the page, with the bytes and their type, read once; they are for whoever asks."""
POLICY = ("default-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
HEADERS = {
    "content-security-policy": "; ".join(POLICY),
    "permissions-policy": "camera=(self), microphone=(self)",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


async def page(request: Request) -> Answer:
    """`GET /`, and what the page needs. Nothing is loaded from elsewhere."""
    content, kind = FILES[request.url.path]
    return Answer(content, kind, headers=HEADERS)
