"""A server at an address: streamable HTTP, of which no more is taken than can be held. Follows no proxy."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from agent.errors import ToolError
from agent.settings import MCPConfig
from agent.tools.mcp.flow import MESSAGE, Flow

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams


@asynccontextmanager
async def spoken_to(config: MCPConfig, lost: Callable[[str], None]) -> AsyncGenerator[TransportStreams]:
    """Streams to and from the server. `lost` is told why it is no use any more, where that shows here.

    Raises ToolError where its token is not in the environment, and whatever the libraries raise.
    """
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    headers = {**config.headers, "Accept-Encoding": "identity"}
    if config.token_env:
        if not (token := os.environ.get(config.token_env)):
            raise ToolError(f"its token is to be in the environment variable {config.token_env}")
        headers["Authorization"] = f"Bearer {token}"
    wait = httpx2.Timeout(config.connect_timeout, read=None)  # a call has its own time limit
    transport = _bounded(lost)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=wait, transport=transport, trust_env=False) as client,
        streamable_http_client(config.url, http_client=client) as streams,
    ):
        yield streams


def _bounded(lost: Callable[[str], None]) -> httpx2.AsyncBaseTransport:
    """The usual transport, which takes no longer answer than one message may be, and no flood of events."""
    import httpx2

    flow = Flow()

    class Counted(httpx2.AsyncByteStream):
        def __init__(self, stream: httpx2.AsyncByteStream, most: float) -> None:
            self._stream, self._left = stream, most

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self._stream:
                self._left -= len(part)
                if self._left < 0 or flow.floods(len(part), part.count(b"\n\n")):
                    lost(why := "it sends more than can be read")
                    raise httpx2.ReadError(why)
                yield part

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Bounded(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await super().handle_async_request(request)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise httpx2.DecodingError("it packs what it was asked to send as it is")
            events = response.headers.get("content-type", "").startswith("text/event-stream")
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = Counted(response.stream, float("inf") if events else MESSAGE)
            return response

    return Bounded()
