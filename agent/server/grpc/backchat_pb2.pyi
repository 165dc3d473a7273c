from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Grain(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOKEN: _ClassVar[Grain]
    CHUNK: _ClassVar[Grain]
    SENTENCE: _ClassVar[Grain]
TOKEN: Grain
CHUNK: Grain
SENTENCE: Grain

class ConverseRequest(_message.Message):
    __slots__ = ("settings", "audio", "text", "cancel", "truncate", "forget", "image", "tool_output", "respond")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    FORGET_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TOOL_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    RESPOND_FIELD_NUMBER: _ClassVar[int]
    settings: Settings
    audio: bytes
    text: str
    cancel: Cancel
    truncate: Truncate
    forget: Forget
    image: bytes
    tool_output: ToolOutput
    respond: Respond
    def __init__(self, settings: _Optional[_Union[Settings, _Mapping]] = ..., audio: _Optional[bytes] = ..., text: _Optional[str] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., truncate: _Optional[_Union[Truncate, _Mapping]] = ..., forget: _Optional[_Union[Forget, _Mapping]] = ..., image: _Optional[bytes] = ..., tool_output: _Optional[_Union[ToolOutput, _Mapping]] = ..., respond: _Optional[_Union[Respond, _Mapping]] = ...) -> None: ...

class Settings(_message.Message):
    __slots__ = ("rate", "system", "text_only", "interrupt", "max_tokens", "tools", "tool_choice", "voice", "language")
    RATE_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    TEXT_ONLY_FIELD_NUMBER: _ClassVar[int]
    INTERRUPT_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    TOOL_CHOICE_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    rate: int
    system: str
    text_only: bool
    interrupt: bool
    max_tokens: int
    tools: _containers.RepeatedCompositeFieldContainer[Tool]
    tool_choice: str
    voice: str
    language: str
    def __init__(self, rate: _Optional[int] = ..., system: _Optional[str] = ..., text_only: _Optional[bool] = ..., interrupt: _Optional[bool] = ..., max_tokens: _Optional[int] = ..., tools: _Optional[_Iterable[_Union[Tool, _Mapping]]] = ..., tool_choice: _Optional[str] = ..., voice: _Optional[str] = ..., language: _Optional[str] = ...) -> None: ...

class Tool(_message.Message):
    __slots__ = ("name", "description", "parameters")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    parameters: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., parameters: _Optional[str] = ...) -> None: ...

class ToolOutput(_message.Message):
    __slots__ = ("call", "output")
    CALL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    call: str
    output: str
    def __init__(self, call: _Optional[str] = ..., output: _Optional[str] = ...) -> None: ...

class Respond(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Cancel(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Truncate(_message.Message):
    __slots__ = ("turn", "seconds")
    TURN_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    turn: int
    seconds: float
    def __init__(self, turn: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class Forget(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ConverseReply(_message.Message):
    __slots__ = ("sound", "event", "call")
    SOUND_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    sound: Sound
    event: Event
    call: ToolCall
    def __init__(self, sound: _Optional[_Union[Sound, _Mapping]] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., call: _Optional[_Union[ToolCall, _Mapping]] = ...) -> None: ...

class ToolCall(_message.Message):
    __slots__ = ("turn", "call", "name", "arguments")
    TURN_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    turn: int
    call: str
    name: str
    arguments: str
    def __init__(self, turn: _Optional[int] = ..., call: _Optional[str] = ..., name: _Optional[str] = ..., arguments: _Optional[str] = ...) -> None: ...

class Sound(_message.Message):
    __slots__ = ("turn", "time", "audio")
    TURN_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    turn: int
    time: float
    audio: bytes
    def __init__(self, turn: _Optional[int] = ..., time: _Optional[float] = ..., audio: _Optional[bytes] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("name", "time", "turn", "fields")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    time: float
    turn: int
    fields: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., time: _Optional[float] = ..., turn: _Optional[int] = ..., fields: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("prompt", "system", "grain", "max_tokens", "temperature", "top_p", "stop", "seed")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    GRAIN_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    system: str
    grain: Grain
    max_tokens: int
    temperature: float
    top_p: float
    stop: _containers.RepeatedScalarFieldContainer[str]
    seed: int
    def __init__(self, prompt: _Optional[str] = ..., system: _Optional[str] = ..., grain: _Optional[_Union[Grain, str]] = ..., max_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., stop: _Optional[_Iterable[str]] = ..., seed: _Optional[int] = ...) -> None: ...

class GenerateReply(_message.Message):
    __slots__ = ("text", "end")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    text: str
    end: End
    def __init__(self, text: _Optional[str] = ..., end: _Optional[_Union[End, _Mapping]] = ...) -> None: ...

class End(_message.Message):
    __slots__ = ("reason", "prompt_tokens", "completion_tokens")
    REASON_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    prompt_tokens: int
    completion_tokens: int
    def __init__(self, reason: _Optional[str] = ..., prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ...) -> None: ...

class SpeakRequest(_message.Message):
    __slots__ = ("text", "voice")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    text: str
    voice: str
    def __init__(self, text: _Optional[str] = ..., voice: _Optional[str] = ...) -> None: ...

class Speech(_message.Message):
    __slots__ = ("rate", "audio")
    RATE_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    rate: int
    audio: bytes
    def __init__(self, rate: _Optional[int] = ..., audio: _Optional[bytes] = ...) -> None: ...

class TranscribeRequest(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class TranscribeReply(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...
