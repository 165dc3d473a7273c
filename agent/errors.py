"""The error tree behind one door. It is drawn in `audio.errors`, where samples need it too."""

from audio.errors import (
    PARTS,
    AudioFileError,
    AudioFileWarning,
    AudioTooLong,
    BackchatError,
    Busy,
    CallbackError,
    ConfigError,
    ContextExceeded,
    DeviceError,
    EngineFault,
    EngineStalled,
    ImageError,
    ImageTooLarge,
    MissingExtra,
    ModelError,
    NoAnswer,
    RequestError,
    ScriptError,
    SessionError,
    ToolError,
    first_line,
)

__all__ = [
    "PARTS",
    "AudioFileError",
    "AudioFileWarning",
    "AudioTooLong",
    "BackchatError",
    "Busy",
    "CallbackError",
    "ConfigError",
    "ContextExceeded",
    "DeviceError",
    "EngineFault",
    "EngineStalled",
    "ImageError",
    "ImageTooLarge",
    "MissingExtra",
    "ModelError",
    "NoAnswer",
    "RequestError",
    "ScriptError",
    "SessionError",
    "ToolError",
    "first_line",
    "in_one_line",
    "leaves",
]


def leaves(error: BaseException) -> list[BaseException]:
    """The errors inside an exception group, however deep; of any other error, itself."""
    inner: tuple[BaseException, ...] | None = getattr(error, "exceptions", None)
    return [error] if inner is None else [leaf for each in inner for leaf in leaves(each)]


def in_one_line(error: BaseException) -> str:
    """What somebody else's code has raised: its type and the first line of what it says."""
    name, said = type(error).__name__, first_line(error)
    return f"{name}: {said if said != name else 'it does not say why'}"
