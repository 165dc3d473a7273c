"""The whole error tree behind one door; the tree is drawn in `audio.errors`, where samples need it too."""

from audio.errors import (
    AudioFileError,
    BackchatError,
    ConfigError,
    DeviceError,
    EngineFault,
    EngineStalled,
    MissingExtra,
    ModelError,
    ScriptError,
)

__all__ = [
    "AudioFileError",
    "BackchatError",
    "ConfigError",
    "DeviceError",
    "EngineFault",
    "EngineStalled",
    "MissingExtra",
    "ModelError",
    "ScriptError",
]
