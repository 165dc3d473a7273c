"""The commands by name and the options that many share; one line when something is wrong. Knows no engine.

Everything but click is imported by the command that needs it, so that `--help` answers at once.
"""

from __future__ import annotations

import difflib
import errno
import os
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agent import __version__, signals
from agent.text.cleaning import cleaned

if TYPE_CHECKING:
    from agent.settings import Config

F = TypeVar("F", bound=Callable[..., Any])

COMMANDS = {
    "talk": "Talk and be answered, with microphone and speaker.",
    "run": "Hold a conversation from audio files, with no sound card.",
    "simulate": "Hold scripted conversations, and check what must be true.",
    "replay": "Hear a recorded conversation again, with other settings.",
    "say": "Say a text aloud, or into a WAV file.",
    "chat": "Type and be answered, in print or aloud.",
    "voices": "List voices by language, and write samples of them.",
    "languages": "List languages, and check one of your own.",
    "speakers": "List, enroll and forget whose voices are known.",
    "engines": "List engines, what state they are in, and what to type.",
    "tools": "List what the agent can do besides talking, and try it.",
    "mcp": "Let another program, such as a coding agent, talk to its user.",
    "serve": "Serve the agent over HTTP and the Realtime WebSocket.",
    "models": "List, fetch and check model weights.",
    "devices": "List microphones and speakers.",
    "doctor": "Say what is installed, missing or slow, and what to type.",
    "config": "Print the settings in force, as TOML.",
}
"""The commands, in the order in which a newcomer needs them; each is in the file of its name."""
INVENTORY = frozenset(("voices", "languages", "engines", "tools", "models", "devices", "doctor", "config"))
"""Those that show what there is, and lie in the room of that name."""


class Commands(click.Group):
    """Imports a command's module when that command is run, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in their order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported; None when there is none and none that is nearly called so."""
        if cmd_name not in COMMANDS:
            if near := difflib.get_close_matches(cmd_name, COMMANDS, 1):
                raise click.UsageError(f"no command {cmd_name!r}; did you mean {near[0]!r}?", ctx)
            return None
        room = "agent.cli.inventory" if cmd_name in INVENTORY else "agent.cli"
        return getattr(import_module(f"{room}.{cmd_name}"), cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="backchat")
def backchat() -> None:
    """A local voice agent: it hears you, answers aloud while it is still thinking, and stops when you speak.

    With the usual settings nothing leaves this machine. Start with `backchat talk`; `backchat doctor` says
    what is missing.
    """


def settings(command: F) -> F:
    """The options that choose settings, for every command that has any."""
    options = [
        click.option("--config", "file", type=click.Path(path_type=str), help="Settings from a TOML file."),
        click.option(
            "--set", "pairs", multiple=True, metavar="SECTION.KEY=VALUE", help="One setting; repeatable."
        ),
        click.option("--llm", metavar="MODEL", help="Language model: a name from `models list`, or a file."),
        click.option("--stt", metavar="MODEL", help="Speech-to-text model: a name or a folder."),
        click.option("--voice", metavar="VOICE", help="The agent's voice."),
        click.option(
            "--language",
            metavar="CODES",
            help="Hear and speak this language: es; or any of several: en,es,fr. Settings go over it.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def configured(
    file: str | None,
    pairs: tuple[str, ...],
    llm: str | None,
    stt: str | None,
    voice: str | None,
    language: str | None,
) -> Config:
    """The configuration from those options. Raises ConfigError."""
    import json
    from pathlib import Path

    from agent.config import load

    short = {"llm.model": llm, "stt.model": stt, "tts.voice": voice}
    chosen = [f"{key}={json.dumps(value)}" for key, value in short.items() if value is not None]
    return load(Path(file) if file else None, [*pairs, *chosen], language)


def run() -> None:
    """Run the command of `sys.argv`; an error that a user is meant to read is one line and an exit code."""
    from agent.errors import BackchatError, leaves

    try:
        with _warned():
            backchat.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context: click.Context | None = getattr(error, "ctx", None)
        where = f"; see `{context.command_path} --help`" if context else ""
        click.echo(f"backchat: {error.format_message().rstrip('.')}{where}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # who read our output has gone; there is nobody to tell
        sys.exit(1)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _stopped()
    except BackchatError as error:
        _failed(error)
    except OSError as error:
        _unprinted(error)
        raise
    except BaseExceptionGroup as group:  # what a task group raises, around the one thing that went wrong
        for error in leaves(group):
            if isinstance(error, BackchatError):
                _failed(error)
            if isinstance(error, KeyboardInterrupt):
                _stopped()
            if isinstance(error, OSError):
                _unprinted(error)
            if isinstance(error, SystemExit):
                raise error from None
        raise


@contextmanager
def _warned() -> Generator[None]:
    """Shows warnings that a user is meant to read as errors are shown: in one line each."""
    from agent.errors import AudioFileWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", AudioFileWarning)
        others = warnings.showwarning

        def show(message: Warning | str, *where: Any, **more: Any) -> None:
            if isinstance(message, AudioFileWarning):
                click.echo(f"backchat: {message}", err=True)
            else:
                others(message, *where, **more)

        warnings.showwarning = show
        yield


def _failed(error: Any) -> None:
    if signals.received() is None:  # else it failed because it was told to end
        click.echo(f"backchat: {cleaned(str(error))}", err=True)
    sys.exit(error.exit_code)


def _unprinted(error: OSError) -> None:
    """End in one line where what is printed goes to a full disk: all else that we write says so itself."""
    if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return
    click.echo(
        f"backchat: what is printed cannot be written ({error.strerror}); print it to another place", err=True
    )
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the rest of it, when the interpreter ends
    sys.exit(1)


def _stopped() -> None:
    click.echo("stopped", err=True)
    sys.exit(130)
