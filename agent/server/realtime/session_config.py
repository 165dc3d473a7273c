"""What a Realtime client may choose for its session, and what comes of it for ours. Knows no wire."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, field_validator

from agent.errors import RequestError
from agent.server.fields import Fields
from agent.server.pool import Pool
from agent.settings import Config

EAGERNESS = {"low": 1.6, "medium": 1.0, "auto": 1.0, "high": 0.6}
"""Factor on the silences after which a turn is over, for each eagerness of `semantic_vad`."""

Modality = Literal["text", "audio"]


class Format(Fields):
    """The one audio format on this wire."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class ServerVad(Fields):
    """A turn is over after a fixed silence, whatever was said."""

    ELSEWHERE: ClassVar = {"idle_timeout_ms": ()}

    type: Literal["server_vad"] = "server_vad"
    threshold: float | None = Field(default=None, gt=0.0, lt=1.0)
    silence_duration_ms: int = Field(default=500, ge=50, le=10_000)
    prefix_padding_ms: int | None = Field(default=None, ge=0, le=5000)
    interrupt_response: bool = True
    create_response: Literal[True] = True


class SemanticVad(Fields):
    """A turn is over when it sounds and reads so; `eagerness`: how soon that is."""

    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    interrupt_response: bool = True
    create_response: Literal[True] = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class Transcription(Fields):
    """Whether the user's words are told, and in which language they are said.

    The model is no choice: it is the one that understands the user for the agent, and told in the answer.
    """

    ELSEWHERE: ClassVar = {"prompt": ("",), "delay": (), "keywords": ([],)}

    model: str | None = None
    language: str | None = None
    languages: list[str] = Field(default_factory=list[str])


class _Input(Fields):
    ELSEWHERE: ClassVar = {"noise_reduction": ()}
    NULL: ClassVar = frozenset({"turn_detection", "transcription"})

    format: Format | None = None
    turn_detection: TurnDetection | None = None
    transcription: Transcription | None = None

    @field_validator("turn_detection", mode="before")
    @classmethod
    def _kind(cls, given: Any) -> Any:
        """Without a type it is the one whose fields are given."""
        if not isinstance(given, dict):
            return given
        wish = cast(dict[str, Any], given)
        if wish.get("type") is not None:
            return wish
        own = wish.keys() & (ServerVad.model_fields.keys() - SemanticVad.model_fields.keys())
        return {**wish, "type": "server_vad" if own else "semantic_vad"}


class _VoiceID(Fields):
    id: str


class Output(Fields):
    """How the agent sounds."""

    format: Format | None = None
    voice: str | _VoiceID | None = None
    speed: float = Field(default=1.0, ge=1.0, le=1.0)

    @property
    def voice_name(self) -> str | None:
        """The voice that is asked for."""
        return self.voice.id if isinstance(self.voice, _VoiceID) else self.voice


class _Audio(Fields):
    input: _Input = Field(default_factory=_Input)
    output: Output = Field(default_factory=Output)


TOOLS: dict[str, tuple[Any, ...]] = {
    "parallel_tool_calls": (True, False),
    "prompt": (),
    "reasoning": (),
    "tool_choice": ("auto", "none"),
    "tools": ([],),
}
"""Fields of a session and of a response that are not to be had here, and what asks for nothing."""


class Update(Fields):
    """The `session` of a `session.update`."""

    ELSEWHERE: ClassVar = {**TOOLS, "include": ([],), "tracing": ("auto",), "truncation": ("auto",)}
    ABOUT: ClassVar = frozenset({"expires_at", "id", "object"})

    type: Literal["realtime"]
    model: str | None = None
    instructions: str | None = None
    output_modalities: list[Modality] | None = Field(default=None, min_length=1, max_length=1)
    audio: _Audio = Field(default_factory=_Audio)
    max_output_tokens: Annotated[int, Field(ge=1)] | Literal["inf"] | None = None


def shown(choice: Fields | None) -> dict[str, Any] | None:
    """What was chosen, as the protocol shows it."""
    return choice.model_dump(exclude_none=True) if choice is not None else None


class RealtimeConfig:
    """What is in force for one session."""

    def __init__(self, pool: Pool, name: str) -> None:
        self._pool, self._name = pool, name
        self.instructions = pool.config.session.system
        self.modality: Modality = "audio"
        self.detection: ServerVad | SemanticVad | None = SemanticVad(
            interrupt_response=pool.config.turns.interrupt
        )
        self.transcription: Transcription | None = Transcription(model=pool.names["stt"])
        self.max_output_tokens: int | Literal["inf"] = "inf"

    def update(self, wanted: Update, *, settled: bool) -> None:
        """Take over what a client sets. settled: the session listens already, and some things are fixed.

        Raises RequestError, and then nothing has changed.
        """
        given = wanted.audio.input
        self._pool.check("llm", wanted.model)
        self._pool.check_voice(wanted.audio.output.voice_name)
        if given.transcription is not None:
            for language in (given.transcription.language, *given.transcription.languages):
                self._pool.check_language(language)
        if settled and wanted.max_output_tokens not in (None, self.max_output_tokens):
            raise RequestError(
                "max_output_tokens: chosen before the first audio or response", param="max_output_tokens"
            )
        if "turn_detection" in given.model_fields_set:
            self.detection = given.turn_detection
        if "transcription" in given.model_fields_set:
            self.transcription = given.transcription and given.transcription.model_copy(
                update={"model": self._pool.names["stt"]}
            )
        self.max_output_tokens = wanted.max_output_tokens or self.max_output_tokens
        self.modality = (wanted.output_modalities or [self.modality])[0]
        if wanted.instructions is not None:
            self.instructions = wanted.instructions

    def config(self) -> Config:
        """The settings of this session."""
        config, changes = self._pool.config, dict[str, Any]()
        changes["session"] = config.session.model_copy(update={"system": self.instructions})
        if self.max_output_tokens != "inf":
            limit = min(self.max_output_tokens, config.llm.max_tokens)
            changes["llm"] = config.llm.model_copy(update={"max_tokens": limit})
        turns, vad = config.turns, config.vad
        match self.detection:
            case ServerVad() as wish:
                end, more = wish.silence_duration_ms / 1000, dict[str, float]()
                turns = turns.model_copy(
                    update={"meaning": "off", "end": end, "pause": min(turns.pause, end)}
                )
                if wish.threshold is not None:
                    more |= {"start": wish.threshold, "stop": wish.threshold * 0.7}
                if wish.prefix_padding_ms is not None:
                    more["pre_roll"] = wish.prefix_padding_ms / 1000
                vad = vad.model_copy(update=more)
            case SemanticVad() as wish:
                turns = turns.paced(EAGERNESS[wish.eagerness])
            case None:
                pass
        if self.detection is not None:
            turns = turns.model_copy(update={"interrupt": self.detection.interrupt_response})
        return config.model_copy(update={**changes, "turns": turns, "vad": vad})

    def as_dict(self) -> dict[str, Any]:
        """The session, as the protocol shows it."""
        form = {"type": "audio/pcm", "rate": 24000}
        heard = {
            "format": form,
            "transcription": shown(self.transcription),
            "noise_reduction": None,
            "turn_detection": shown(self.detection),
        }
        said = {"format": form, "voice": self._pool.voice, "speed": 1.0}
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": self._name,
            "model": self._pool.names["llm"],
            "output_modalities": [self.modality],
            "instructions": self.instructions,
            "audio": {"input": heard, "output": said},
            "max_output_tokens": self.max_output_tokens,
            "tools": [],
            "tool_choice": "none",
        }
