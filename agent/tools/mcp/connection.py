"""One conversation's connection to one server: calls, a list that may change, and a server that may die.

A connection that breaks is made anew, for as long as the conversation lasts. Nothing that a server does or
leaves undone is raised into the conversation.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from agent.errors import BackchatError, MissingExtra, ToolError, first_line, in_one_line, leaves
from agent.settings import MCPConfig
from agent.tools.mcp import http, process
from agent.tools.mcp.adapted import adapted, allowed, told
from agent.tools.nowhere import Nowhere
from agent.tools.tool import Tool, ToolContext

if TYPE_CHECKING:
    import mcp_types
    from mcp import Client

AGAIN, LATEST = 0.5, 30.0
"""Seconds before a broken connection is made anew: at first, and after several failures."""
SETTLED = 5.0
"""Seconds that a connection must have held for the next try to come soon again."""
NEWS = 1.0
"""Seconds between two looks at a list that changes."""
MOST, PAGES = 64, 20
"""Tools of one server, and parts in which it may list them."""
MAYBE = "It may have been done, and may be done yet: look before you do it again."


class MCPServer:
    """A server that the settings name, as `agent.tools.toolbox.Toolbox` has it.

    listed: what it offered when it was asked last. failed: why it could not be asked; "" where it could.
    """

    def __init__(self, config: MCPConfig) -> None:
        self.config = config
        self.listed: tuple[mcp_types.Tool, ...] = ()
        self.failed = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.config.name

    def open(self, context: ToolContext) -> MCPConnection:
        """A connection for this conversation."""
        return MCPConnection(self, context)


class MCPConnection:
    """See `agent.tools.toolbox.OpenToolbox`."""

    def __init__(self, server: MCPServer, context: ToolContext) -> None:
        self._server, self._config, self._context = server, server.config, context
        self._client: Client | None = None
        self._up = anyio.Event()
        self._lost = anyio.Event()
        self._why = self._down = ""
        self._stale = anyio.Event()
        self._calls = set[anyio.CancelScope]()
        self.left_out: list[str] = []
        """Why tools that the server lists are not offered."""
        self.tools: Sequence[Tool] = self._made()

    async def run(self, changed: Callable[[], None], failed: Callable[[ToolError], None]) -> None:
        """Be connected from now on; see `OpenToolbox.run`."""
        wait = AGAIN
        while True:
            began = anyio.current_time()
            try:
                async with self._connected() as client:
                    if self._lists(await _listed(client)):
                        changed()
                    if not self._lost.is_set():
                        self._down, self._client = "", client
                        self._up.set()
                    await self._kept(client, changed)
                    raise _Lost(self._why)
            except* _Lost as group:
                why = first_line(leaves(group)[0])
                if not self._down:
                    failed(ToolError(f"tools.mcp: {self._config.name}: {why}"))
                self._down = why
            finally:
                self._lose("the conversation is over")
            wait = AGAIN if anyio.current_time() - began > SETTLED else min(2 * wait, LATEST)
            await anyio.sleep(wait)

    async def once(self) -> None:
        """Ask the server what it offers, and leave. Where that fails, `failed` of the server says why."""
        try:
            async with self._connected() as client:
                self._lists(await _listed(client))
        except* _Lost as group:
            self._server.failed = first_line(leaves(group)[0])

    async def call(self, name: str, arguments: Mapping[str, Any], again: bool) -> str:
        """Have the server do this; it is tried twice where the connection breaks and it may be (`again`).

        Raises ToolError.
        """
        tries = int(again)
        with self._context.outside():
            while True:
                client = await self._reached()
                try:
                    return await self._answer(client, name, arguments)
                except _Lost as error:
                    if not tries:
                        broke = f"The connection to {self._config.name} broke: {error}."
                        raise ToolError(broke if again else f"{broke} {MAYBE}") from error
                    tries -= 1

    async def _reached(self) -> Client:
        with anyio.move_on_after(self._config.connect_timeout):
            await self._up.wait()
        if self._client is None:
            why = f": {self._down}" if self._down else ""
            raise ToolError(f"{self._config.name} cannot be reached now{why}. Nothing was done.")
        return self._client

    async def _answer(self, client: Client, name: str, arguments: Mapping[str, Any]) -> str:
        """What the server answers. Raises ToolError for what it says is wrong, _Lost where it is gone."""
        from mcp import MCPError

        stale = self._stale
        with anyio.CancelScope() as scope:
            self._calls.add(scope)
            try:
                return told(await client.call_tool(name, dict(arguments)))
            except MCPError as error:
                await self._look(client)
                raise ToolError(f"It failed: {first_line(error)}") from error
            except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
                self._lose(in_one_line(error))
                raise _Lost(self._why) from error
            except anyio.get_cancelled_exc_class():
                stale.set()  # it took too long, or is not wanted any more: is the server still there?
                raise
            finally:
                self._calls.discard(scope)
        raise _Lost(self._why)

    async def _look(self, client: Client) -> None:
        """After an error: whether the server is still there at all, and offers what it did. Raises _Lost."""
        from mcp import MCPError

        if not self._lost.is_set():
            try:
                with anyio.fail_after(self._config.connect_timeout):
                    await _listed(client)
            except (MCPError, TimeoutError) as error:
                self._lose(in_one_line(error))
        if self._lost.is_set():
            raise _Lost(self._why)
        self._stale.set()

    async def _kept(self, client: Client, changed: Callable[[], None]) -> None:
        """Offer what the server lists anew, until the connection is lost."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._subscribed, client)
            tasks.start_soon(self._followed, client, changed)
            await self._lost.wait()
            tasks.cancel_scope.cancel()

    async def _subscribed(self, client: Client) -> None:
        """Hear of changes where that is asked for; servers of an older protocol tell them unasked."""
        from mcp import MCPError
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        while True:
            try:
                async with client.listen(tools_list_changed=True) as news:
                    self._stale.set()  # of what changed before, nobody tells
                    async for _ in news:
                        self._stale.set()
            except (ListenNotSupportedError, MCPError):
                return
            except SubscriptionLost:
                self._stale.set()
            await anyio.sleep(SETTLED)

    async def _followed(self, client: Client, changed: Callable[[], None]) -> None:
        """List the tools anew whenever they may have changed, or the server be gone."""
        from mcp import MCPError

        while True:
            await self._stale.wait()
            self._stale = anyio.Event()
            try:
                with anyio.fail_after(self._config.connect_timeout), self._context.outside():
                    listed = await _listed(client)
            except TimeoutError:
                return self._lose(f"it did not answer for {self._config.connect_timeout:g} s")
            except MCPError as error:
                return self._lose(in_one_line(error))
            if self._lists(listed):
                changed()
            await anyio.sleep(NEWS)

    async def _heard(self, message: object) -> None:
        import mcp_types

        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._stale.set()

    def _lose(self, why: str) -> None:
        """The connection is no use any more: whoever waits for it need not."""
        self._why = self._why or why
        self._lost.set()
        self._client = None
        if self._up.is_set():
            self._up = anyio.Event()
        for scope in self._calls:
            scope.cancel()

    def _lists(self, listed: tuple[mcp_types.Tool, ...]) -> bool:
        """Take what the server offers; whether that is another list."""
        if listed == self._server.listed:
            return False
        self._server.listed = listed
        self.tools = self._made()
        return True

    def _made(self) -> Sequence[Tool]:
        """Of what the server lists, what may be used and can be told."""
        made, self.left_out = dict[str, Tool](), list[str]()
        for listed in self._server.listed:
            if not allowed(listed.name, self._config):
                continue
            try:
                tool = adapted(listed, self._config, self.call)
                if tool.name in made or len(made) >= MOST:
                    why = "there is one already" if tool.name in made else f"of a server, {MOST} can be used"
                    raise ToolError(f"{listed.name}: {why}")
                made[tool.name] = tool
            except ToolError as error:
                self.left_out.append(first_line(error))
        return list(made.values())

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Client]:
        """A client that has been greeted. Raises _Lost for whatever goes wrong, also later."""
        _quiet()
        from mcp import Client

        self._lost, self._stale, self._why = anyio.Event(), anyio.Event(), ""
        streams = (
            process.spoken_to(self._config, self._lose, self._context.outside)
            if self._config.command
            else http.spoken_to(self._config, self._lose)
        )
        try:
            with anyio.move_on_after(self._config.connect_timeout) as limit, ExitStack() as held:
                held.enter_context(self._context.outside())
                async with Client(streams, message_handler=self._heard, client_info=_us()) as client:
                    limit.deadline = math.inf
                    held.close()
                    yield client
                    held.enter_context(self._context.outside())
        except* _Lost:
            raise
        except* Exception as group:  # a server, and the libraries that speak to it, raise what they like
            error = leaves(group)[0]
            said = first_line(error) if isinstance(error, BackchatError) else in_one_line(error)
            raise _Lost(self._why or said) from group
        if limit.cancelled_caught:
            raise _Lost(self._why or f"it did not answer for {self._config.connect_timeout:g} s")


class _Lost(Exception):
    """The connection broke; its text says why."""


def asked(configs: Iterable[MCPConfig]) -> tuple[MCPServer, ...]:
    """These servers, each asked once what it offers; one that does not answer says why in `failed`.

    Blocks for their `connect_timeout` at most, in a thread without an event loop. Raises ConfigError for a
    program that there is not, MissingExtra.
    """
    servers = tuple(map(MCPServer, configs))
    if servers and find_spec("mcp") is None:
        raise MissingExtra("the library for tools.mcp is missing", "mcp")
    for server in servers:
        if server.config.command:
            process.program(server.config)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for server in servers:
                tasks.start_soon(server.open(Nowhere()).once)

    if servers:
        anyio.run(main, backend="trio")
    return servers


async def _listed(client: Client) -> tuple[mcp_types.Tool, ...]:
    """All that the server offers, as far as it can be listed. Raises MCPError."""
    tools, cursor = list[Any](), None
    for _ in range(PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return tuple(tools)


def _us() -> mcp_types.Implementation:
    import mcp_types

    return mcp_types.Implementation(name="backchat", version=version("backchat"))


def _quiet() -> None:
    """What goes wrong with a server is told in events. What the library logs of it quotes what the server has
    sent, words of a conversation among it: that reaches no log, whatever level is asked for.
    """
    library = logging.getLogger("mcp")
    library.propagate = False
    if not library.handlers:
        library.addHandler(logging.NullHandler())
    logging.getLogger("client").addFilter(_not_of_the_library)


def _not_of_the_library(record: logging.LogRecord) -> bool:
    """Of "client", which its session logs as, and a program of anybody else may too."""
    return "mcp" not in Path(record.pathname).parts[-3:-1]
