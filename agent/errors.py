"""The whole error tree behind one door; the tree is drawn in `audio.errors`, where samples need it too."""

from audio.errors import (
    AudioFileError,
    BackchatError,
    Busy,
    ConfigError,
    DeviceError,
    EngineFault,
    EngineStalled,
    ImageError,
    MissingExtra,
    ModelError,
    RequestError,
    ScriptError,
)

__all__ = [
    "AudioFileError",
    "BackchatError",
    "Busy",
    "ConfigError",
    "DeviceError",
    "EngineFault",
    "EngineStalled",
    "ImageError",
    "MissingExtra",
    "ModelError",
    "RequestError",
    "ScriptError",
]
