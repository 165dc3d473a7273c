"""What a Realtime client may choose for its session, and what comes of it for ours. Knows no wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.errors import RequestError
from agent.server.pool import Pool
from agent.settings import Config

EAGERNESS = {"low": 1.6, "medium": 1.0, "auto": 1.0, "high": 0.6}
"""Factor on the silences after which a turn is over, for each eagerness of `semantic_vad`."""

Modality = Literal["text", "audio"]


class _Loose(BaseModel):
    """Fields that we do not know are left alone: clients of other makers send many."""

    model_config = ConfigDict(extra="ignore")


class Format(_Loose):
    """The one audio format on this wire."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class TurnDetection(_Loose):
    """When a turn is over and whether speech interrupts."""

    type: Literal["server_vad", "semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    threshold: float | None = Field(default=None, gt=0.0, lt=1.0)
    silence_duration_ms: int | None = Field(default=None, ge=50, le=10_000)
    prefix_padding_ms: int | None = Field(default=None, ge=0, le=5000)
    interrupt_response: bool = True
    create_response: Literal[True] = True


class _Input(_Loose):
    format: Format | None = None
    turn_detection: TurnDetection | None = None
    transcription: dict[str, Any] | None = None


class _Output(_Loose):
    format: Format | None = None
    voice: str | None = None
    speed: float = Field(default=1.0, ge=1.0, le=1.0)


class _Audio(_Loose):
    input: _Input = Field(default_factory=_Input)
    output: _Output = Field(default_factory=_Output)


class Update(_Loose):
    """The `session` of a `session.update`."""

    type: Literal["realtime"]
    model: str | None = None
    instructions: str | None = Field(default=None, max_length=20_000)
    output_modalities: list[Modality] | None = Field(default=None, min_length=1, max_length=1)
    audio: _Audio = Field(default_factory=_Audio)
    max_output_tokens: int | Literal["inf"] | None = None
    tools: list[Any] = Field(default_factory=list[Any], max_length=0)


class Choices:
    """What is in force for one session."""

    def __init__(self, pool: Pool, name: str) -> None:
        self._pool, self._name = pool, name
        self.instructions = pool.config.session.system
        self.modality: Modality = "audio"
        self.detection: TurnDetection | None = TurnDetection(interrupt_response=pool.config.turns.interrupt)
        self.transcription: dict[str, Any] | None = {"model": pool.names["stt"]}
        self.max_output_tokens: int | Literal["inf"] = "inf"

    def update(self, wanted: Update, *, settled: bool) -> None:
        """Take over what a client sets. settled: the session listens already, and some things are fixed.

        Raises RequestError, and then nothing has changed.
        """
        self._pool.check("llm", wanted.model)
        self._pool.check_voice(wanted.audio.output.voice)
        given = wanted.audio.input
        detection = self.detection
        if "turn_detection" in given.model_fields_set:
            detection = given.turn_detection
        fixed = detection and self.detection and detection != self.detection
        if settled and (fixed or wanted.max_output_tokens not in (None, self.max_output_tokens)):
            raise RequestError("turn detection and length are chosen before the first audio or response")
        self.detection = detection
        if "transcription" in given.model_fields_set:
            self.transcription = given.transcription
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
        if (wish := self.detection) is not None:
            turns: dict[str, Any] = {"interrupt": wish.interrupt_response}
            if wish.silence_duration_ms is not None:
                turns |= {"meaning": "off", "end": wish.silence_duration_ms / 1000}
            factor = EAGERNESS[wish.eagerness]
            for name in ("complete", "unsure", "incomplete", "longest"):
                turns[name] = getattr(config.turns, name) * factor
            changes["turns"] = config.turns.model_copy(update=turns)
            vad: dict[str, Any] = {}
            if wish.threshold is not None:
                vad = {"start": wish.threshold, "stop": wish.threshold * 0.7}
            if wish.prefix_padding_ms is not None:
                vad["pre_roll"] = wish.prefix_padding_ms / 1000
            changes["vad"] = config.vad.model_copy(update=vad)
        return config.model_copy(update=changes)

    def as_dict(self) -> dict[str, Any]:
        """The session, as the protocol shows it."""
        form = {"type": "audio/pcm", "rate": 24000}
        detection = self.detection.model_dump(exclude_none=True) if self.detection else None
        heard = {
            "format": form,
            "transcription": self.transcription,
            "noise_reduction": None,
            "turn_detection": detection,
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
