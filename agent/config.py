"""Every setting there is, its default and its limits. Knows nothing of what the settings do."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agent.errors import ConfigError

SYSTEM_PROMPT = (
    "You are a warm and helpful voice assistant. Everything you write is spoken aloud, so write plain "
    "sentences, without lists, headings or code. Answer a question in one or two short sentences; when a "
    "story or an explanation is asked for, tell it in several sentences."
)


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Seed = Annotated[int | None, BeforeValidator(lambda value: None if value == "random" else value)]
"""A number, or in TOML "random", which is None: TOML has no null."""


class SessionConfig(Section):
    """Who the agent is."""

    system: str = SYSTEM_PROMPT


class LLMConfig(Section):
    """Which language model answers, and how it samples."""

    engine: str = "llamacpp"
    model: str = "qwen2.5-0.5b"
    """A name from `backchat models`, or the path of a GGUF file."""
    context: int = Field(default=4096, ge=256)
    threads: int = Field(default=0, ge=0)
    """0: one per core."""
    max_tokens: int = Field(default=400, ge=1)
    temperature: float = Field(default=0.6, ge=0.0)
    top_p: float = Field(default=0.9, gt=0.0, le=1.0)
    top_k: int = Field(default=40, ge=0)
    min_p: float = Field(default=0.05, ge=0.0, le=1.0)
    repeat_penalty: float = Field(default=1.1, ge=0.0)
    stop: tuple[str, ...] = ()
    seed: Seed = 0
    """A fixed seed gives the same answer to the same words; "random" (in Python: None) does not."""


class STTConfig(Section):
    """Who transcribes, and how."""

    engine: str = "whisper"
    model: str = "whisper-tiny.en"
    """A name from `backchat models`, or a folder in CTranslate2's format."""
    language: str = "en"
    threads: int = Field(default=0, ge=0)
    """0: half of the cores."""
    window: float = Field(default=10.0, ge=4.0, le=30.0)
    """Shortest stretch of audio, in seconds, that the encoder is given; 30 is Whisper's own padding."""
    partials: float = Field(default=0.6, ge=0.0)
    """Seconds of speech between two partial transcripts; 0 switches them off."""


class TTSConfig(Section):
    """Whose voice speaks."""

    engine: str = "hibari"
    voice: str = "heart"
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    seed: Seed = 0


class VADConfig(Section):
    """What counts as speech."""

    aggressiveness: int = Field(default=2, ge=0, le=3)
    """webrtcvad's mode: 3 is the hardest to convince."""
    onset_frames: int = Field(default=3, ge=1)
    """Consecutive 10 ms frames of webrtcvad that make an onset."""
    start: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Silero's probability from which a 32 ms window is speech."""
    stop: float = Field(default=0.35, gt=0.0, lt=1.0)
    """Silero's probability below which it no longer is."""
    confirm: float = Field(default=0.064, ge=0.032)
    """Seconds of Silero speech that confirm an onset."""
    pre_roll: float = Field(default=0.5, ge=0.0)
    """Seconds kept from before the onset, so that no first syllable is lost."""


class TurnsConfig(Section):
    """When to answer and when to yield; lengths in seconds."""

    policy: str = "ladder"
    """`ladder` ducks, pauses, and yields to words; `switch` yields to any speech and answers after `end`."""
    meaning: Literal["off", "words", "audio", "both"] = "both"
    """What tells the end of a turn: its words, its sound (the Smart Turn model), both, or only `end`."""
    model: str = "smart-turn-v3.2"
    """The end-of-turn model: a name from `backchat models`, or the path of its ONNX file."""
    pause: float = Field(default=0.15, gt=0.0)
    """Silence after which work on an answer begins, unheard."""
    complete: float = Field(default=0.2, gt=0.0)
    """Silence after which a turn is over that sounds and reads complete."""
    unsure: float = Field(default=0.7, gt=0.0)
    """The same when words and sound disagree."""
    incomplete: float = Field(default=1.4, gt=0.0)
    """The same when it breaks off."""
    longest: float = Field(default=2.0, gt=0.0)
    """Silence after which any turn is over."""
    end: float = Field(default=0.3, gt=0.0)
    """Silence after which a turn is over when no meaning is asked for."""
    interrupt: bool = True
    """Whether the person may talk over the agent; if not, it does not listen while it speaks."""
    interrupting_words: int = Field(default=3, ge=1)
    """Words that end a reply before the person has paused; fewer may yet be a back-channel."""
    unintelligible: float = Field(default=3.0, gt=0.0)
    """How long somebody may speak over a reply without a word understood before it goes on."""
    max_utterance: float = Field(default=28.0, gt=1.0, le=29.0)
    """Length of one unbroken utterance after which it is answered as it stands."""


class EchoConfig(Section):
    """What is done to the microphone's sound where the speaker is near it."""

    cancel: bool = True
    """WebRTC's echo canceller, for live audio and simulated rooms."""
    noise_suppression: bool = False
    """Takes out steady noise as well; it costs 6 ms."""


class ReplyConfig(Section):
    """How a reply becomes speech."""

    ahead: float = Field(default=10.0, gt=0.0)
    """Most seconds of speech that may wait to be heard; beyond that the language model is held back."""
    first_piece: int = Field(default=16, ge=1)
    """Characters from which a clause is long enough to open a reply with."""
    longest_piece: int = Field(default=240, ge=40)
    """Characters after which a piece is cut at the best place there is."""


class Costs(Section):
    """What engines cost on the virtual clock.

    `measured`: what they really took. `declared`: the seconds below, so that a run repeats to the byte.
    """

    mode: Literal["measured", "declared"] = "measured"
    stt: float = Field(default=0.1, ge=0.0)
    """Seconds for one transcription."""
    turn: float = Field(default=0.03, ge=0.0)
    """Seconds for one look of the end-of-turn model."""
    first_token: float = Field(default=0.1, ge=0.0)
    token: float = Field(default=0.03, ge=0.0)
    speech: float = Field(default=0.02, ge=0.0)
    """Seconds for one part of speech."""


class LimitsConfig(Section):
    """How long an engine may give nothing before its turn is ended with an error, in seconds."""

    first_token: float = Field(default=60.0, gt=0.0)
    token: float = Field(default=20.0, gt=0.0)
    speech: float = Field(default=30.0, gt=0.0)
    stt: float = Field(default=30.0, gt=0.0)


class Config(Section):
    """All settings. `Config()` is the default; `load` reads a file and single settings over it."""

    session: SessionConfig = SessionConfig()
    llm: LLMConfig = LLMConfig()
    stt: STTConfig = STTConfig()
    tts: TTSConfig = TTSConfig()
    vad: VADConfig = VADConfig()
    turns: TurnsConfig = TurnsConfig()
    echo: EchoConfig = EchoConfig()
    reply: ReplyConfig = ReplyConfig()
    costs: Costs = Costs()
    limits: LimitsConfig = LimitsConfig()


def load(file: Path | None = None, settings: Sequence[str] = ()) -> Config:
    """The configuration from a TOML file (or the defaults), then `section.key=value` settings over it.

    A value is read as TOML, and as a plain string where it is none. Raises ConfigError, naming the
    key, where it was set and the nearest valid name.
    """
    data: dict[str, Any] = {}
    if file is not None:
        try:
            data = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"{file}: cannot be read ({error.strerror}); give the path of a TOML file"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: not valid TOML: {error}") from error
    _validate(data, str(file))
    for setting in settings:
        path, equals, value = setting.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (equals and dot and key):
            raise ConfigError(
                f"--set {setting}: write it as section.key=value, for example llm.temperature=0.2"
            )
        _validate({section: {key: _value(value)}}, f"--set {setting}")
        data.setdefault(section, {})[key] = _value(value)
    return _validate(data, "the settings together")


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text  # several lines of TOML are no one value


def _validate(data: dict[str, Any], source: str) -> Config:
    try:
        return Config.model_validate_json(_json(data))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{source}: unknown key {key!r}{_nearest(first['loc'])}") from None
        raise ConfigError(f"{source}: {key}: {first['msg']}, not {first['input']!r}") from None


def _json(data: dict[str, Any]) -> str:
    """TOML data as JSON: in pydantic's strict mode only JSON input may give a list for a tuple."""
    import json

    return json.dumps(data, default=str)


def _nearest(where: tuple[int | str, ...]) -> str:
    """A hint with the closest valid name, searched beside the unknown key first, then everywhere."""
    names = {f"{s}.{k}": k for s, field in Config.model_fields.items() for k in _keys(field.annotation)}
    wrong = str(where[-1])
    if len(where) == 1:
        names = {section: section for section in Config.model_fields}
    beside = {full: k for full, k in names.items() if len(where) == 1 or full.startswith(f"{where[0]}.")}
    for pool in (beside, names):
        close = difflib.get_close_matches(wrong, list(pool.values()), 1, 0.5)
        if close:
            return f"; did you mean {next(full for full, k in pool.items() if k == close[0])!r}?"
    return f"; known here: {', '.join(sorted(beside.values()))}" if beside else ""


def _keys(annotation: Any) -> list[str]:
    return (
        list(annotation.model_fields)
        if isinstance(annotation, type) and issubclass(annotation, Section)
        else []
    )
