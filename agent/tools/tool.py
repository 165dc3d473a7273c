"""A tool: a function that a language model may have called, and what it declares. Runs nothing.

    @tool(effect="reads")
    def weather(city: str, days: int = 1) -> str:
        \"\"\"The weather in a city.

        city: its name, without the country.
        \"\"\"
        return ...

The schema that a model is told comes from the hints, by pydantic, its words from the docstring.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, TypeAlias, cast, get_args, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from agent.errors import ToolError
from agent.messages import ToolCall, ToolSchema
from agent.tools.schemas import plain_schema
from audio.tts import Gender

Effect: TypeAlias = Literal["reads", "changes"]
"""What a call does: `reads` only looks, and may be begun for a turn that is then withdrawn; `changes` does
something that lasts, and waits until the user's turn is over."""
WhenInterrupted: TypeAlias = Literal["finish", "cancel"]
"""What becomes of a call that is under way when the user talks over the reply that it belongs to."""

TIMEOUT = 30.0
"""Seconds that a tool may take where it does not say."""
MOST_SAID = 1024
"""Characters of a description that a model is told: each is read before every answer."""


class Voice(Protocol):
    """How the agent speaks in a conversation."""

    @property
    def speed(self) -> float:
        """Of what the settings say: below 1 is slower."""
        ...

    @property
    def volume(self) -> float:
        """Of the usual loudness, as a factor of the level."""
        ...

    @property
    def name(self) -> str:
        """Which of `choice` speaks."""
        ...

    @property
    def choice(self) -> Mapping[str, Gender]:
        """The voices that it may have in its language, and how they sound; none where there is only one."""
        ...

    def change(
        self, *, speed: float | None = None, volume: float | None = None, name: str | None = None
    ) -> None:
        """Speak so from the next words on, as far as that goes, and be so loud from now on.

        name: of `choice`; "": the usual one. Raises ToolError, and changes nothing, where the engine cannot.
        """
        ...


class ToolContext(Protocol):
    """What a tool may do to the conversation that calls it; a parameter with this hint is given it."""

    @property
    def voice(self) -> Voice:
        """How it speaks. Raises ToolError where nobody does."""
        ...

    @property
    def last_said(self) -> str:
        """The last sentence of the agent's that the user has heard; "" before there was one."""
        ...

    @property
    def user_said(self) -> Sequence[str] | None:
        """All that the user has said and that is not forgotten, the newest last; None where there is no user,
        as when a tool is tried by hand.
        """
        ...

    def say(self, text: str, *, soon: bool = False) -> None:
        """Have this said when there is room, as the agent's own words: not over anybody.

        soon: at the end of the sentence that is being said, and not of the whole reply.
        """
        ...

    def forget(self, about: Callable[[str], bool]) -> None:
        """Forget the turns of this conversation in which anything was said or done that is `about` this; the
        one that asks for it, when its reply is over.
        """
        ...

    def end(self) -> None:
        """End the conversation when the reply that is being made has been heard."""
        ...

    def time(self) -> float:
        """Seconds since 1970, on the conversation's clock."""
        ...

    def outside(self) -> AbstractContextManager[None]:
        """Within, an async tool waits for something that keeps its own time, such as a server: the virtual
        clock of `backchat run` does not jump over it."""
        ...


Work: TypeAlias = Callable[[], Any] | Awaitable[Any]
"""What is still to be done: blocking, for a thread; or awaitable, where the conversation runs."""
Begins: TypeAlias = Callable[[Mapping[str, Any], ToolContext], Work]
"""From arguments by name, and the conversation, to the work; ToolError where they do not fit the schema."""
Lives: TypeAlias = Callable[[ToolContext], Awaitable[None]]
"""What goes on beside a conversation from its beginning on; it is cancelled at the end."""

Tells: TypeAlias = Callable[[ToolContext], str]
"""What a model is told with the user's words, as long as it is so; "" where there is nothing. ToolError where
it cannot be read."""


@dataclass(frozen=True)
class Tool:
    """A tool. Called, it is the function that it was made of.

    schema: what a model is told. effect: what a call does. confirm: whether the user is asked aloud before
    it runs; as text, the question, with arguments in braces ("Delete the note {text}?"). interrupted: what
    becomes of a call when the user talks over its reply. timeout: seconds that it may take. private: whether
    what it is called with and what it gives is for the language model alone: no event has it, so that no
    screen, page or recording shows it. speakers: names of enrolled speakers whose voice must ask for it; with
    none anybody may.
    begin: what it does; see `Begins`. lives: what it does besides, unasked; see `Lives`. tells: what a model
    is told unasked; see `Tells`. source: where it is from. function: what it was made of. by_client: gives
    what a client made of a call, which it runs itself.
    """

    schema: ToolSchema
    effect: Effect
    begin: Begins = field(repr=False)
    confirm: bool | str = False
    interrupted: WhenInterrupted = "finish"
    timeout: float = TIMEOUT
    source: str = "given"
    private: bool = False
    speakers: tuple[str, ...] = ()
    function: Callable[..., Any] | None = field(default=None, repr=False)
    lives: Lives | None = field(default=None, repr=False)
    tells: Tells | None = field(default=None, repr=False)
    by_client: Callable[[ToolCall], Awaitable[str]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.name):
            raise ToolError(
                f"{self.name!r}: a tool's name is 1 to 64 letters, digits, _ and -; call it another"
            )
        if self.effect not in ("reads", "changes"):
            raise ToolError(f'{self.name}: say what it does, effect="reads" or effect="changes"')
        if self.interrupted not in ("finish", "cancel"):
            raise ToolError(f'{self.name}: interrupted is "finish" or "cancel"')
        if not self.timeout > 0:
            raise ToolError(f"{self.name}: timeout is a number of seconds above 0")

    @property
    def name(self) -> str:
        """What a model calls it."""
        return self.schema.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call its function as it is. Raises ToolError for a tool that is none of Python's."""
        if self.function is None:
            raise ToolError(f"{self.name}: is no function of this program")
        return self.function(*args, **kwargs)


@overload
def tool(
    function: None = None,
    /,
    *,
    effect: Effect,
    name: str = "",
    description: str = "",
    confirm: bool | str = False,
    interrupted: WhenInterrupted | None = None,
    timeout: float = TIMEOUT,
    source: str = "given",
    private: bool = False,
    speakers: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Tool]: ...


@overload
def tool(
    function: Callable[..., Any],
    /,
    *,
    effect: Effect | None = None,
    name: str = "",
    description: str = "",
    confirm: bool | str = False,
    interrupted: WhenInterrupted | None = None,
    timeout: float = TIMEOUT,
    source: str = "given",
    private: bool = False,
    speakers: Sequence[str] = (),
) -> Tool: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    effect: Effect | None = None,
    name: str = "",
    description: str = "",
    confirm: bool | str = False,
    interrupted: WhenInterrupted | None = None,
    timeout: float = TIMEOUT,
    source: str = "given",
    private: bool = False,
    speakers: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Tool] | Tool:
    """Make a tool of a function with type hints and a docstring, plain (it may block) or async.

    effect must be said. name, description: the function's own, where they are not given. interrupted: as
    `Tool` says; what only reads is cancelled, what changes something finishes. Raises ToolError for a
    function that a model cannot be told how to call.
    """

    def made(function: Callable[..., Any]) -> Tool:
        called = name or getattr(function, "__name__", type(function).__name__)
        if effect is None:
            raise ToolError(f'{called}: say what it does, @tool(effect="reads") or @tool(effect="changes")')
        signature = _Signature(called, function)
        said = description or signature.about
        if not said:
            raise ToolError(f"{called}: has no docstring; a model knows from it when to call it")
        if isinstance(confirm, str):
            _check_question(called, confirm, signature.fields)
        return Tool(
            ToolSchema(called, said[:MOST_SAID], signature.schema()),
            effect,
            signature.begin,
            confirm,
            interrupted or ("cancel" if effect == "reads" else "finish"),
            timeout,
            source,
            private,
            tuple(speakers),
            function,
        )

    return made if function is None else made(function)


class _Signature:
    """A function's parameters: what they may be, by pydantic; the conversation's is none of the model's."""

    def __init__(self, called: str, function: Callable[..., Any]) -> None:
        self._function, self._called = function, called
        self._context = ""
        documented = inspect.getdoc(function) or ""
        self.about, told = _explained(documented, list(inspect.signature(function).parameters))
        self.fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise ToolError(f"{called}: {name}: a tool's parameters are plain ones with a name each")
            hint = self._hints().get(name)
            if hint is None:
                raise ToolError(f"{called}: {name} has no type hint; write for example {name}: str")
            if hint is ToolContext or ToolContext in get_args(hint):
                self._context = name
                continue
            default = ... if parameter.default is parameter.empty else parameter.default
            if name in told and not _described(hint):
                hint = Annotated[hint, FieldInfo(description=told[name])]
            self.fields[name] = (hint, default)
        try:
            config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
            self._model: type[BaseModel] = create_model(called, __config__=config, **self.fields)
        except Exception as error:  # pydantic raises many kinds for types that it cannot check
            raise ToolError(f"{called}: its parameters cannot be told to a model: {_first(error)}") from error

    def _hints(self) -> dict[str, Any]:
        target = self._function if inspect.isroutine(self._function) else type(self._function).__call__
        try:
            return get_type_hints(target, include_extras=True)
        except (NameError, TypeError) as error:
            raise ToolError(
                f"{self._called}: a type hint is not known where it is defined: {error}"
            ) from error

    def schema(self) -> dict[str, Any]:
        """The parameters as a JSON schema, without titles, and references resolved."""
        return plain_schema(self._model.model_json_schema())

    def begin(self, arguments: Mapping[str, Any], context: ToolContext) -> Work:
        """What runs the function. Raises ToolError that tells a model what is wrong with its arguments."""
        try:
            checked = self._model.model_validate(dict(arguments))
        except ValidationError as error:
            raise ToolError(_wrong(error)) from None
        given: dict[str, Any] = {name: getattr(checked, name) for name in self.fields}
        if self._context:
            given[self._context] = context
        if inspect.iscoroutinefunction(self._function):
            return cast(Awaitable[Any], self._function(**given))
        return lambda: self._function(**given)


def _explained(documented: str, parameters: list[str]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function, and of each parameter that has "name: text" in it: on a line of
    its own, or behind the full stop of another one's.
    """
    told: dict[str, str] = {}
    another = re.compile(rf"(?<=[.;])\s+({'|'.join(map(re.escape, parameters)) or '(?!)'}):\s+")
    about: list[str] = []
    last = ""
    for line in documented.splitlines():
        found = re.match(r"\s*(?::param\s+(?:[\w\[\], |.]+\s)?)?(\w+)(?:\s*\([^)]*\))?\s*:\s+(\S.*)", line)
        if found and found[1] in parameters:
            text, *others = another.split(found[2].strip())
            names = [found[1], *others[::2]]
            told |= zip(names, [text, *others[1::2]], strict=True)
            last = names[-1]
        elif not line.strip():
            last = ""
            about.append("")
        elif last:
            told[last] += f" {line.strip()}"
        elif line.strip() not in ("Args:", "Arguments:", "Parameters:"):
            about.append(line.strip())
    return "\n".join(about).strip().replace("\n\n\n", "\n\n"), told


def _described(hint: Any) -> bool:
    return any(
        isinstance(extra, FieldInfo) and extra.description for extra in getattr(hint, "__metadata__", ())
    )


def _wrong(error: ValidationError) -> str:
    """What is wrong with arguments, in words for a model."""
    told: list[str] = []
    for each in error.errors()[:5]:
        where = ".".join(map(str, each["loc"])) or "arguments"
        value = "" if each["type"] in ("missing", "extra_forbidden") else f", not {each['input']!r:.80}"
        what = {"missing": "is missing", "extra_forbidden": "is no argument of this tool"}
        told.append(f"{where}: {what.get(each['type'], each['msg'])}{value}")
    return "; ".join(told)


def _check_question(called: str, question: str, fields: Mapping[str, Any]) -> None:
    """Raise ToolError where a question names in braces what is no argument."""
    for name in re.findall(r"\{(\w*)\}", question):
        if name not in fields:
            raise ToolError(f"{called}: confirm asks about {{{name}}}, which is no parameter")


def _first(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
