"""What can go wrong with samples, in one tree. Knows nothing of how an error is shown.

An error's text is for whoever runs the program: it may name paths, addresses and settings, and quote what
others said. Strangers, who are clients of a server, read `public` instead, which holds nothing of that for a
kind of error that does not say otherwise: a new kind is private.

BackchatError            every error that a user is meant to read; its text says what to do
├── AudioFileError       a file that is not the audio it should be, or cannot be written
│   └── AudioTooLong     a file with more sound than is taken
├── DeviceError          no PortAudio, no microphone, no speaker, or one that vanished
├── MissingExtra         a library that an optional engine needs is not installed
├── ModelError           weights missing, unreachable, corrupt, or the cache not writable
│   └── ContextExceeded  a conversation is longer than the model's context
├── ImageError           a picture that is not one, is damaged or too large
│   └── ImageTooLarge    a picture with more bytes or pixels than are taken
├── ConfigError          an unknown key, a wrong type, a bad value
├── EngineFault          an STT, LLM or TTS engine failed in the middle of its work
│   ├── EngineStalled    an engine gave nothing for longer than its time limit
│   └── NoAnswer         a language model wrote no words for the user
├── SessionError         a session is used before it listens, after it has ended, twice, or with what it
│   │                    does not take
│   └── CallbackError    a program's own function, called with an event, has raised
├── ToolError            a tool that cannot be offered, or that was called with wrong arguments, or has failed
├── ScriptError          a conversation script (file, time, trigger) that makes no sense
└── RequestError         what a client of the server asked for is wrong, or not to be had
    └── Busy             not now: every place is taken
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from audio.extras import how_to_install

PARTS = {
    "stt": "the transcriber",
    "llm": "the language model",
    "tts": "the voice",
    "endpointing": "the end-of-turn model",
    "vision": "the vision engine",
    "camera": "the camera",
    "decoder": "the decoder of sound",
}
"""What an engine is called in words."""


def first_line(error: BaseException) -> str:
    """The first line of what a library's error says, or its type where that is nothing."""
    return str(error).strip().partition("\n")[0][:160] or type(error).__name__


class BackchatError(Exception):
    """An error whose text is one clear line for the user. `exit_code` is the command's status."""

    exit_code = 1
    engine: str = ""
    """In whose work it happened, one of `PARTS`; empty elsewhere, and where nobody has noted it."""
    happened: ClassVar[str] = "failed"
    """What the engine did, in words for strangers."""
    theirs: ClassVar[bool] = False
    """Whether it lies in what a client sent: then `public` is all that there is to tell, and no fault."""

    @property
    def public(self) -> str:
        """What a stranger may read of it."""
        return f"{PARTS.get(self.engine, 'a part of the server')} {self.happened}"

    @property
    def code(self) -> str:
        """The same in one word, for programs."""
        return f"{self.engine}_failed" if self.engine else "failed"

    def __reduce__(self) -> tuple[Any, ...]:
        """The same in another process, whatever its class is made of."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[BackchatError], args: tuple[Any, ...], state: dict[str, Any]) -> BackchatError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class AudioFileError(BackchatError):
    """A file is missing, empty, truncated, no audio, or cannot be written."""

    exit_code = 2


class AudioTooLong(AudioFileError):
    """A file has more sound than is taken."""


class AudioFileWarning(UserWarning):
    """A file that was read is not what its header says. One clear line, as an error has it.

    said: seconds that the header gives; None where it is damage that is told. read: seconds that were read.
    """

    def __init__(self, text: str, said: float | None, read: float) -> None:
        super().__init__(text)
        self.said = said
        self.read = read


class ImageError(BackchatError):
    """A picture cannot be read, is damaged, or too large.

    Its text is for strangers too: where they show a picture it has no name, and is their own.
    """

    exit_code = 2
    theirs = True

    @property
    def public(self) -> str:
        """All of it."""
        return str(self)

    @property
    def code(self) -> str:
        """One word for all of them."""
        return "invalid_image"


class ImageTooLarge(ImageError):
    """A picture has more bytes or pixels than are taken."""

    @property
    def code(self) -> str:
        """As whatever else is too large."""
        return "too_large"


class DeviceError(BackchatError):
    """The sound device is missing or failed."""

    exit_code = 3


class MissingExtra(BackchatError):
    """An optional library is not installed. what: who needs it; extra: the one of pyproject.toml with it."""

    exit_code = 4

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what}; type: {how_to_install(extra)}")


class ModelError(BackchatError):
    """Weights cannot be had or read."""

    exit_code = 5


class ContextExceeded(ModelError):
    """A conversation is longer than the model's context. Lengths in tokens, None where they are not known.

    public: what is too long, and by how much, without what whoever runs the program can do about it.
    """

    theirs = True

    def __init__(
        self,
        text: str,
        tokens: int | None = None,
        context: int | None = None,
        public: str = "the conversation is longer than the model's context",
    ) -> None:
        super().__init__(text)
        self.tokens = tokens
        self.context = context
        self._public = public

    @property
    def public(self) -> str:
        """What is too long."""
        return self._public

    @property
    def code(self) -> str:
        """As the OpenAI API spells it."""
        return "context_length_exceeded"

    @classmethod
    def of(cls, tokens: int, context: int, cure: str | None = None) -> Self:
        """Said with both lengths. cure: what to do, where the setting `llm.context` does not help."""
        cure = cure or f"raise it with --set llm.context={2 * context}"
        what = f"the conversation is {tokens} tokens long, more than the model's context of {context}"
        return cls(f"{what}; {cure}", tokens, context, what)


class ConfigError(BackchatError):
    """A setting is unknown or wrong."""

    exit_code = 6


class EngineFault(BackchatError):
    """An engine failed while working."""

    exit_code = 7


class EngineStalled(EngineFault):
    """An engine gave nothing within its time limit."""

    happened = "took too long"


class NoAnswer(EngineFault):
    """A language model wrote no words for the user: only thoughts, calls of tools, or nothing."""

    happened = "wrote no words that can be said"


class SessionError(BackchatError):
    """A session is used before it listens, after it has ended, twice, or with what it does not take."""


class CallbackError(SessionError):
    """A program's own function that was called with an event has raised."""


class ToolError(BackchatError):
    """A tool is declared or called wrongly, or failed. Raised by a tool, its text is told to the model."""

    exit_code = 2


class ScriptError(BackchatError):
    """A conversation script makes no sense."""

    exit_code = 2


class RequestError(BackchatError):
    """A client's request is refused or ended. `status`: as HTTP has it; `code`: one word for programs.

    retry_after: seconds after which the same may be had; None where waiting changes nothing. param: the
    field of the request that is at fault, None where it is none in particular. Its text is for that client.
    """

    exit_code = 8
    theirs = True

    def __init__(
        self,
        text: str,
        status: int = 400,
        code: str = "invalid_request_error",
        *,
        retry_after: int | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self._code = code
        self.retry_after = retry_after
        self.param = param

    @property
    def public(self) -> str:
        """All of it."""
        return str(self)

    @property
    def code(self) -> str:
        """As it was given."""
        return self._code


class Busy(RequestError):
    """Every place is taken."""

    def __init__(self, text: str, retry_after: int = 5) -> None:
        super().__init__(text, 503, "busy", retry_after=retry_after)
