"""A scenario file: who says what, when, in which room, and what must be true. Knows no sound.

TOML, read into frozen models that refuse unknown keys. Paths in it are relative to the file.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, cast

from pydantic import Field, ValidationError, model_validator

from agent.config import load
from agent.errors import ConfigError, ScriptError
from agent.events import Outcome
from agent.settings import Section
from agent.text.cleaning import cleaned_data
from agent.tools.tool import Effect
from audio.echo.room import NOISES

Decibel = Field(default=0.0, ge=-80.0, le=40.0)
Pace = Field(default=1.0, ge=0.7, le=1.4)


class User(Section):
    """Whose voice says the lines that are given as text."""

    engine: str = "hibari"
    voice: str = "heart"
    speed: float = Pace
    pitch: float = Field(default=0.88, ge=0.7, le=1.4)
    """Below 1 is lower. The default makes another user of the voice that the agent has."""
    gain_db: float = Decibel
    """Added to the level of every line."""


class Surroundings(Section):
    """What the microphone hears besides the user."""

    echo_db: float | None = Field(default=None, ge=-80.0, le=20.0)
    """Level of the agent's own voice at the microphone against the one it is played with."""
    echo_delay: float = Field(default=0.06, ge=0.02, le=1.0)
    reverb: float = Field(default=0.2, ge=0.0, le=2.0)
    """Seconds until the room's echo is 60 dB down."""
    noise_db: float | None = Field(default=None, ge=-120.0, le=0.0)
    """Level of the noise, in dBFS."""
    noise: str = "white"
    """A kind of noise, or an audio file that is played again and again."""
    seed: int = 0

    @model_validator(mode="after")
    def _known_noise(self) -> Self:
        if self.noise not in NOISES and not Path(self.noise).suffix:
            raise ValueError(f"no noise {self.noise!r}; give an audio file, or one of {', '.join(NOISES)}")
        return self


class SpokenLine(Section):
    """One thing the user says: `say` or `file`; and when: one of the five times, else 0.6 s `after`."""

    say: str | None = Field(default=None, min_length=1)
    file: str | None = Field(default=None, min_length=1)
    at: float | None = Field(default=None, ge=0.0)
    """Seconds after the start."""
    after: float | None = Field(default=None, ge=0.0)
    """Seconds after the reply to the line before has ended."""
    over: float | None = Field(default=None, ge=0.0)
    """Seconds for which that reply has been audible: the line is said over it."""
    pause: float | None = Field(default=None, ge=0.0)
    """Seconds after the user's own line before, whatever the agent does."""
    unasked: float | None = Field(default=None, ge=0.0)
    """Seconds for which something has been audible that the agent says by itself, as a timer that is due."""
    gain_db: float = Decibel
    voice: str | None = None
    """With `speed` and `pitch`: another voice than the user's, for this line."""
    speed: float | None = Field(default=None, ge=0.7, le=1.4)
    pitch: float | None = Field(default=None, ge=0.7, le=1.4)

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.say is None) == (self.file is None):
            raise ValueError("give either say or file")
        times = (self.at, self.after, self.over, self.pause, self.unasked)
        if sum(time is not None for time in times) > 1:
            raise ValueError("give one of at, after, over, pause and unasked")
        return self


class Expectation(Section):
    """What must be true afterwards, of a line or of a turn; `turns` is of the whole conversation.

    line: of the user's lines, from 1. interrupted, stop_within and resumed are about the reply that it
    was said over, the others about the reply to it. turn: of the replies that were given, from 1.
    """

    line: int | None = Field(default=None, ge=1)
    turn: int | None = Field(default=None, ge=1)
    interrupted: bool | None = None
    stop_within: float | None = Field(default=None, gt=0.0)
    """Seconds from the user's first sample to the agent's last one above -50 dBFS."""
    resumed: Literal[True] | None = None
    """It was not cut, and is heard again after the line."""
    heard_contains: str | None = Field(default=None, min_length=1)
    heard_is: str | None = None
    answered_within: float | None = Field(default=None, gt=0.0)
    """Seconds from the user's last sample above -40 dBFS to the agent's first above -50 dBFS.

    An answer that begins before the user has ended is a cut-in, and not within anything.
    """
    transcript_contains: str | None = Field(default=None, min_length=1)
    continues: Literal[True] | None = None
    """It begins with the very words of the reply before it that were not heard."""
    no_answer: Literal[True] | None = None
    turns: int | None = Field(default=None, ge=0)
    """How many replies were given in all."""

    @property
    def checks(self) -> dict[str, Any]:
        """What is expected, by name."""
        return self.model_dump(exclude={"line", "turn"}, exclude_none=True)

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not self.checks:
            raise ValueError("nothing is expected here; add for example interrupted = true")
        if self.line is not None and self.turn is not None:
            raise ValueError("give line or turn, not both")
        if self.checks.keys() - {"turns"} and self.line is None and self.turn is None:
            raise ValueError("say of which line or turn, for example line = 1")
        if self.turn is not None and self.no_answer:
            raise ValueError("no_answer is about a line, not a turn")
        return self


class ScriptedTool(Section):
    """A tool that the agent has in this scenario, and what comes of it."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    about: str = Field(min_length=1)
    """What the language model is told of it."""
    effect: Effect
    parameters: dict[str, Literal["string", "integer", "number", "boolean"]] = Field(default_factory=dict)
    """Its arguments by name, each of which must be given."""
    gives: str = "Done."
    """What it gives, or, where it `fails`, why it does."""
    takes: float = Field(default=0.0, ge=0.0)
    """Seconds."""
    fails: bool = False


class ExpectedCall(Section):
    """A call that must be made, or must not be."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Those that it must have, among others."""
    line: int | None = Field(default=None, ge=1)
    """The user's line, from 1, in whose reply it is made; of any where this is not given."""
    times: int = Field(default=1, ge=0)
    """How often such a call is made."""
    outcome: Outcome = "done"
    """What becomes of each."""
    within: float | None = Field(default=None, gt=0.0)
    """Seconds from the user's last sample of that line to the begin of its work."""

    @model_validator(mode="after")
    def _of_a_line(self) -> Self:
        if self.within is not None and self.line is None:
            raise ValueError("within counts from a line; say of which, for example line = 1")
        return self


class Scenario(Section):
    """A whole scenario file."""

    about: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    user: User = User()
    room: Surroundings | None = None
    line: tuple[SpokenLine, ...] = Field(min_length=1)
    tool: tuple[ScriptedTool, ...] = ()
    expect: tuple[Expectation, ...] = ()
    call: tuple[ExpectedCall, ...] = ()

    @model_validator(mode="after")
    def _lines_exist(self) -> Self:
        for each in (*self.expect, *self.call):
            if each.line is not None and each.line > len(self.line):
                raise ValueError(f"an expectation is about line {each.line} of {len(self.line)}")
        return self

    @property
    def pairs(self) -> list[str]:
        """The settings as `section.key=value`."""
        return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in _flat(self.settings, "")]


def read(path: Path) -> Scenario:
    """The scenario in a TOML file. Raises ScriptError, naming the key and the nearest valid one."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ScriptError(f"{path}: cannot be read ({reason}); give a scenario file") from error
    except tomllib.TOMLDecodeError as error:
        raise ScriptError(f"{path}: not valid TOML: {error}") from error
    try:
        # In pydantic's strict mode only JSON may give a list for a tuple.
        scenario = Scenario.model_validate_json(json.dumps(cleaned_data(data), default=str))
    except ValidationError as error:
        raise ScriptError(f"{path}: {_explained(error)}") from None
    try:
        load(None, scenario.pairs)
    except ConfigError as error:
        raise ScriptError(f"{path}: [settings] {str(error).removeprefix('--set ')}") from None
    return scenario


def _flat(table: dict[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(cast(dict[str, Any], value), f"{before}{key}.")
        else:
            yield before + key, value


_TABLES: dict[str, type[Section]] = {
    "user": User,
    "room": Surroundings,
    "line": SpokenLine,
    "expect": Expectation,
    "tool": ScriptedTool,
    "call": ExpectedCall,
}


def _explained(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    table, *inside = [*first["loc"], ""]
    where, model = "", _TABLES.get(str(table))
    if model is not None and inside:
        number = next((f" {step + 1}" for step in inside if isinstance(step, int)), "")
        where = f"[[{table}]]{number}: " if number else f"[{table}] "
    key = str(first["loc"][-1]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        if key == "person" and not where:
            return "[person] is called [user] now"
        known = list((model if where and model else Scenario).model_fields)
        close = difflib.get_close_matches(key, known, 1, 0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        return f"{where}unknown key {key!r}; {hint}"
    if first["type"] == "value_error":
        return where + first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"no [[{key}]]: a scenario needs at least one"
    return f"{where}{key}: {first['msg']}, not {first['input']!r}"
