"""The command `mcp`: this machine's voice for other programs, as a server of tools. Knows no conversation."""

from __future__ import annotations

import hmac
import json
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import click
from pydantic import Field

from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from starlette.types import ASGIApp, Receive, Scope, Send

    from agent.events import Watcher
    from agent.messages import Message
    from agent.transports.exchange import Exchanged, Voice

HOST, PORT = "127.0.0.1", 8401
"""Where --http listens: at no other machine's call, since who may call it may hear what is said here."""

Text = Annotated[str, Field(min_length=1, max_length=5000, description="plain sentences, as they are said")]
Wait = Annotated[
    float, Field(gt=0, le=600, description="seconds that the user is given to begin to speak; they may go on")
]


@click.command()
@click.option("--http", is_flag=True, help="Serve streamable HTTP on this machine instead.")
@click.option(
    "--port", type=int, default=PORT, show_default=True, help="Port of --http; 0 takes any free one."
)
@click.option("--token-file", metavar="FILE", help="The token that clients of --http must show, in a file.")
@click.option("--microphone", help="Microphone, by name or number from `backchat devices`.")
@click.option("--speaker", help="Speaker, by name or number.")
@settings
def mcp(
    http: bool,
    port: int,
    token_file: str | None,
    microphone: str | None,
    speaker: str | None,
    **options: Any,
) -> None:
    """Let a program talk to its user: serve three tools by the Model Context Protocol.

    \b
      speak     says a text aloud, and tells whether the user heard all of it
      listen    hears what the user says
      converse  says a text, and hears the answer

    It is started by that program, and spoken to by standard input and output. No language model is loaded.
    The microphone is open while a tool runs, and at no other time. Weights that are missing are fetched
    first, which takes longer than most programs wait: `backchat models pull` does it before.

    With --http clients must show the token of --token-file, or of the environment's BACKCHAT_TOKEN_FILE or
    BACKCHAT_TOKEN.
    """
    from functools import partial

    import anyio

    from agent.cli.parts.loading import loading
    from agent.engines.registry import Given, load
    from agent.errors import ConfigError
    from agent.server.admission.exposure import MAKE, checked_token
    from agent.settings import ToolsConfig
    from agent.transports.exchange import Voice
    from agent.transports.local import LocalDevices, LocalSession
    from audio.devices.portaudio import check_devices, quiet

    if token_file is not None:
        options["pairs"] += (f"server.token_file={json.dumps(token_file)}",)
    config = configured(**options).model_copy(update={"tools": ToolsConfig()})
    token = checked_token(config) if http else None
    if http and not token:
        raise ConfigError(f"mcp --http needs a token: {MAKE}, then --token-file token")
    check_devices(microphone, speaker)
    _check_library()
    with loading(lines=False) as (progress, tell):
        engines = load(config, progress, tell, Given(llm=Silent()))

    def place(watchers: Sequence[Watcher]) -> LocalSession:
        return LocalSession(engines, config, watchers, LocalDevices(config.echo, microphone, speaker))

    server = server_of(Voice(place))
    with quiet():
        if token:
            anyio.run(partial(_serve, server, port, token))
        else:
            anyio.run(server.run_stdio_async)


class Silent:
    """The language model of who speaks for itself: it is asked for nothing."""

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        """No words."""
        return iter(())

    def prefill(self, messages: Sequence[Message]) -> None:
        """Nothing is read."""


def server_of(voice: Voice) -> MCPServer:
    """The server of the three tools, whichever way it is reached."""
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp_types import ToolAnnotations

    from agent.errors import BackchatError, leaves

    server = MCPServer(
        "backchat", instructions="Talk to the user by this machine's voice.", log_level="ERROR"
    )

    async def exchanged(text: str, wait: float | None) -> Exchanged:
        failed: list[str] = []
        try:
            return await voice.exchange(text, wait)
        except* BackchatError as group:
            failed = [str(error) for error in leaves(group)]
        raise ToolError(failed[0])

    @server.tool(annotations=ToolAnnotations(destructive_hint=False, open_world_hint=False))
    async def speak(text: Text) -> str:
        """Say something aloud to the user. Returns when it has been heard, or the user has talked over it."""
        return _told(await exchanged(text, None))

    @server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    async def listen(wait: Wait = 30.0) -> str:
        """Listen to what the user says next, and return it as text."""
        return _told(await exchanged("", wait)) or f"The user has said nothing for {wait:g} seconds."

    @server.tool(annotations=ToolAnnotations(destructive_hint=False, open_world_hint=False))
    async def converse(text: Text, wait: Wait = 30.0) -> str:
        """Say something aloud to the user, such as a question, and return what they answer."""
        came = await exchanged(text, wait)
        told = _told(came)
        return told if came.heard else f"{told} They have said nothing for {wait:g} seconds."

    return server


def _told(came: Exchanged) -> str:
    """What came of it, for the program that asked."""
    if came.whole:
        return came.heard or ("It was heard." if came.said else "")
    cut = f"The user talked over it, and heard only: {came.said!r}."
    return f"{cut} They said: {came.heard}" if came.heard else cut


def _check_library() -> None:
    """Raise MissingExtra before anything is loaded."""
    from importlib.util import find_spec

    from agent.errors import MissingExtra

    if find_spec("mcp") is None:
        raise MissingExtra("the library for mcp is missing", "mcp")


async def _serve(server: MCPServer, port: int, token: str) -> None:
    """Serve streamable HTTP until a signal ends it. Raises ConfigError for a port that is taken."""
    import uvicorn

    from agent.errors import ConfigError

    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigError(f"--port {port} cannot be opened ({error.strerror}); take another") from error
    app = guarded(server.streamable_http_app(), token)
    click.echo(f"http://{HOST}:{listening.getsockname()[1]}/mcp", err=True)
    await uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).serve([listening])


def guarded(app: ASGIApp, token: str) -> ASGIApp:
    """The application for who shows the token; others get 401."""
    wanted = f"Bearer {token}".encode()

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        shown = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "lifespan" or hmac.compare_digest(shown, wanted):
            return await app(scope, receive, send)
        if scope["type"] != "http":
            return None  # which refuses a WebSocket
        challenge = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": challenge})
        await send({"type": "http.response.body", "body": b""})
        return None

    return guard
