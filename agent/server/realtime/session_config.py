"""What a Realtime client may choose for its session, and what comes of it for ours. Knows no wire."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, cast, get_args

from pydantic import Field, field_validator

from agent.conversation.reply import Manner
from agent.conversation.voices import SPEEDS
from agent.errors import RequestError
from agent.server.fields import Fields, granted, told_of
from agent.server.functions import MOST, Calling, Choice, Declared, calling
from agent.server.pool import Pool
from agent.server.realtime.formats import PCM, Format
from agent.settings import Config
from agent.tools.client import ClientTools

EAGERNESS = {"low": 1.6, "medium": 1.0, "auto": 1.0, "high": 0.6}
"""Factor on the silences after which a turn is over, for each eagerness of `semantic_vad`."""

DELAYS = {"minimal": 0.5, "low": 1.0, "medium": 2.0, "high": 4.0, "xhigh": 8.0}
"""Factor on the time between two interim transcripts, for each `delay` of a transcription."""

Modality = Literal["text", "audio"]
Kind = Literal["realtime", "transcription"]
"""Whether the session is a conversation, or only tells what was said."""


class ServerVad(Fields):
    """A turn is over after a fixed silence, whatever was said."""

    type: Literal["server_vad"] = "server_vad"
    threshold: float | None = Field(default=None, gt=0.0, lt=1.0)
    silence_duration_ms: int = Field(default=500, ge=50, le=10_000)
    prefix_padding_ms: int | None = Field(default=None, ge=0, le=5000)
    idle_timeout_ms: int | None = Field(default=None, ge=100, le=600_000)
    interrupt_response: bool = True
    create_response: bool = True


class SemanticVad(Fields):
    """A turn is over when it sounds and reads so; `eagerness`: how soon that is."""

    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    interrupt_response: bool = True
    create_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]

_OF_REPLIES: dict[str, tuple[Any, ...]] = {
    "create_response": (False,),
    "idle_timeout_ms": (),
    "interrupt_response": (False,),
}
"""What is asked for in vain where nothing is answered."""


class _ServerVad(ServerVad):
    ELSEWHERE: ClassVar = _OF_REPLIES


class _SemanticVad(SemanticVad):
    ELSEWHERE: ClassVar = _OF_REPLIES


class Transcription(Fields):
    """Whether the user's words are told, in which language they are said, and what words may be among them.

    delay: how long words are waited for that are told while they speak. The model is no choice: it is the
    one that understands the user for the agent, and told in the answer.
    """

    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    model: str | None = None
    language: str | None = None
    languages: list[str] = Field(default_factory=list[str])
    prompt: str | None = None
    keywords: list[str] = Field(default_factory=list[str])

    @property
    def context(self) -> str:
        """What is told to the transcriber before it hears anything."""
        return " ".join(filter(None, ((self.prompt or "").strip(), ", ".join(self.keywords))))


class _Sound(Fields):
    ELSEWHERE: ClassVar = {"noise_reduction": ()}

    format: Format | None = None
    transcription: Transcription | None = None

    @field_validator("turn_detection", mode="before", check_fields=False)
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


class _Input(_Sound):
    """How the user sounds, and is understood."""

    NULL: ClassVar = frozenset({"turn_detection", "transcription"})

    turn_detection: TurnDetection | None = None


class _Heard(_Sound):
    """The same where nothing is answered, and all is transcribed."""

    NULL: ClassVar = frozenset({"turn_detection"})

    turn_detection: Annotated[_ServerVad | _SemanticVad, Field(discriminator="type")] | None = None


class _VoiceID(Fields):
    id: str


class Output(Fields):
    """How the agent sounds."""

    format: Format | None = None
    voice: str | _VoiceID | None = None
    speed: float | None = Field(default=None, ge=SPEEDS[0], le=SPEEDS[1])

    @property
    def voice_name(self) -> str | None:
        """The voice that is asked for."""
        return self.voice.id if isinstance(self.voice, _VoiceID) else self.voice


class _Audio(Fields):
    input: _Input = Field(default_factory=_Input)
    output: Output = Field(default_factory=Output)


class _HeardAudio(Fields):
    input: _Heard = Field(default_factory=_Heard)


_Included = Literal["item.input_audio_transcription.logprobs"]

ELSEWHERE: dict[str, tuple[Any, ...]] = {
    "prompt": (),
    "reasoning": (),
}
"""Fields of a session and of a response that are not to be had here, and what asks for nothing."""


BETA = frozenset(
    {
        *("input_audio_format", "input_audio_noise_reduction", "input_audio_transcription", "modalities"),
        *("max_response_output_tokens", "output_audio_format", "temperature", "turn_detection", "voice"),
    }
)
"""Fields of a session that only the protocol's beta had."""


def not_beta(given: Any) -> None:
    """Raise RequestError for a session as the beta had it: one error, whatever else is in it."""
    beta = sorted(BETA & cast(dict[str, Any], given).keys()) if isinstance(given, dict) else []
    if beta:
        raise beta_refused(f"{beta[0]}: the beta of this protocol had it", beta[0])


def beta_refused(why: str, param: str | None = None) -> RequestError:
    """What who speaks the beta is told, once and on every way."""
    text = f"{why}; speak the protocol as it is since August 2025"
    return RequestError(text, code="beta_api_shape_disabled", param=param)


class Update(Fields):
    """The `session` of a `session.update`, of a conversation."""

    ELSEWHERE: ClassVar = {**ELSEWHERE, "tracing": ("auto",), "truncation": ("auto",)}
    ABOUT: ClassVar = frozenset({"expires_at", "id", "object"})

    type: Literal["realtime"] = "realtime"
    model: str | None = None
    include: list[_Included] | None = None
    instructions: str | None = None
    output_modalities: list[Modality] | None = Field(default=None, min_length=1, max_length=1)
    audio: _Audio = Field(default_factory=_Audio)
    max_output_tokens: Annotated[int, Field(ge=1)] | Literal["inf"] | None = None
    tools: list[Declared] | None = Field(default=None, max_length=MOST)
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None


class TranscriptionUpdate(Fields):
    """The same of a session that only tells what was said."""

    ABOUT: ClassVar = Update.ABOUT

    type: Literal["transcription"]
    include: list[_Included] | None = None
    audio: _HeardAudio = Field(default_factory=_HeardAudio)


def update_of(given: Any, kind: Kind) -> tuple[Update | TranscriptionUpdate, list[RequestError]]:
    """A client's wishes for its session, which is of this kind unless they say otherwise; see `granted`."""
    not_beta(given)
    wished: Any = cast(dict[str, Any], given).get("type") if isinstance(given, dict) else None
    if wished == "transcription" or (wished is None and kind == "transcription"):
        told = {**cast(dict[str, Any], given), "type": "transcription"} if isinstance(given, dict) else given
        return granted(TranscriptionUpdate, told)
    return granted(Update, given)


def shown(choice: Fields | None, *but: str) -> dict[str, Any] | None:
    """What was chosen, as the protocol shows it, without some of it, and without what says nothing.

    There are clients that fail at a field that they don't know.
    """
    if choice is None:
        return None
    return {
        name: value for name, value in choice.model_dump(exclude={*but}).items() if value not in (None, [])
    }


class RealtimeConfig:
    """What is in force for one session.

    begun: whether there is something of the session already, so that it stays of its kind.
    """

    def __init__(self, pool: Pool, name: str, kind: Kind = "realtime") -> None:
        self._pool, self._name = pool, name
        self.kind: Kind = kind
        self.begun = False
        self.heard: Format = PCM()
        """How the user's sound comes."""
        self.said: Format = PCM()
        """How the agent's is sent."""
        self.voice = pool.voice
        """The one that speaks."""
        self.speed = 1.0
        """How much faster than by itself."""
        self.instructions = pool.config.session.system
        self.modality: Modality = "audio"
        self.wake = pool.config.wake
        """The word before which nothing of the user is listened to; chosen as the client connects."""
        self.detection: ServerVad | SemanticVad | None = SemanticVad(
            interrupt_response=pool.config.turns.interrupt and pool.config.turns.overlap == "interrupt"
        )
        self._chosen = False
        """Whether the client has said how turns are found; else it is the server's settings that say so."""
        self.transcription: Transcription | None = Transcription(model=pool.names["stt"])
        self.scores = False
        """Whether it is told how probable each token of their words was."""
        self.max_output_tokens: int | Literal["inf"] = "inf"
        self.tools: list[Declared] = []
        """What the client can be asked to run."""
        self.tool_choice: Choice = "auto"
        self.parallel = True
        self.client = ClientTools()
        """What it is running."""

    def update(self, wanted: Update | TranscriptionUpdate) -> list[RequestError]:
        """Take over what a client sets but its instructions, and tell what cannot be: it is as before."""
        given, refused = wanted.audio.input, list[RequestError]()
        if wanted.type != self.kind and self.begun:
            text = f"type: this session is of type {self.kind!r}, and stays so; open another one"
            raise RequestError(text, code="invalid_value", param="type")
        self.kind = wanted.type
        if isinstance(wanted, Update):
            self._answer(wanted, refused)
        with told_of(refused):
            if wanted.include:
                self._pool.check_scores()
            self.scores = self.scores if wanted.include is None else bool(wanted.include)
        self.heard = given.format or self.heard
        if "turn_detection" in given.model_fields_set:
            self.detection, self._chosen = given.turn_detection, True
        if "transcription" in given.model_fields_set:
            self.transcription = given.transcription and self._transcribed(given.transcription, refused)
        return refused

    def _answer(self, wanted: Update, refused: list[RequestError]) -> None:
        """Take over how the agent answers."""
        with told_of(refused):
            self._pool.check("llm", wanted.model)
        with told_of(refused):
            if (voice := wanted.audio.output.voice_name) is not None:
                self.voice = self._pool.voice_of(voice, "audio.output.voice")
        self.speed = self.speed_of(wanted.audio.output, refused)
        self.said = wanted.audio.output.format or self.said
        self.max_output_tokens = wanted.max_output_tokens or self.max_output_tokens
        self.modality = (wanted.output_modalities or [self.modality])[0]
        with told_of(refused):
            self.calling(wanted.tools, wanted.tool_choice)
            self.tools = self.tools if wanted.tools is None else wanted.tools
            self.tool_choice = wanted.tool_choice or self.tool_choice
        self.parallel = self.parallel if wanted.parallel_tool_calls is None else wanted.parallel_tool_calls

    def speed_of(self, output: Output, refused: list[RequestError]) -> float:
        """How fast somebody wants to be spoken to; as before, where they say nothing or cannot have it."""
        with told_of(refused):
            wish = self.speed if output.speed is None else output.speed
            self._pool.check_speed(wish, "audio.output.speed")
            return wish
        return self.speed

    def calling(
        self, tools: list[Declared] | None, choice: Choice | None, parallel: bool | None = None
    ) -> Calling:
        """What may be called in a response that wishes for this, or else for what its session has.

        Raises RequestError.
        """
        parallel = self.parallel if parallel is None else parallel
        return calling(self.tools if tools is None else tools, choice or self.tool_choice, parallel)

    def with_tools(self, manner: Manner, calling: Calling) -> Manner:
        """How it is answered where this may be called."""
        tools = tuple(map(self.client.tool, calling.tools))
        must, parallel = calling.required, calling.parallel
        return replace(manner, tools=tools, own_tools=calling.own, must_call=must, parallel=parallel)

    def instruct(self, instructions: str | None) -> None:
        """Take over who the agent is to be; None: as before."""
        self.instructions = self.instructions if instructions is None else instructions

    def _transcribed(self, wish: Transcription, refused: list[RequestError]) -> Transcription:
        """What is granted of a wish for transcripts: always by the model that is here."""
        where, kept = "audio.input.transcription", Transcription(model=self._pool.names["stt"])
        with told_of(refused):
            self._pool.hearing(wish.language, param=f"{where}.language")
            for number, language in enumerate(wish.languages):
                self._pool.hearing(language, param=f"{where}.languages.{number}")
            kept = kept.model_copy(update={"language": wish.language, "languages": wish.languages})
        kept = kept.model_copy(update={"delay": wish.delay})
        with told_of(refused):
            if wish.context:
                self._pool.check_context(f"{where}.{'prompt' if wish.prompt else 'keywords'}")
            return kept.model_copy(update={"prompt": wish.prompt, "keywords": wish.keywords})
        return kept

    @property
    def _hearing(self) -> Config:
        """The server's settings, for who speaks the languages and the words that the client has named."""
        if (wish := self.transcription) is None:
            return self._pool.config
        config = self._pool.hearing(wish.language, *wish.languages)
        told: dict[str, Any] = {"prompt": wish.context} if wish.context else {}
        if wish.delay is not None:
            told["interim"] = config.stt.interim * DELAYS[wish.delay]
        return config.model_copy(update={"stt": config.stt.model_copy(update=told)})

    def config(self) -> Config:
        """The settings of this session."""
        config, changes = self._hearing, dict[str, Any]()
        changes["stt"] = config.stt.model_copy(update={"scores": config.stt.scores or self.scores})
        changes["session"] = config.session.model_copy(update={"system": self.instructions})
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
        if self.detection is not None and self._chosen:
            overlap = "interrupt" if self.detection.interrupt_response else "wait"
            turns = turns.model_copy(update={"interrupt": True, "overlap": overlap})
        return config.model_copy(update={**changes, "turns": turns, "vad": vad, "wake": self.wake})

    @property
    def manner(self) -> Manner:
        """How what the user says is answered."""
        answered = self.detection is None or self.detection.create_response
        manner = Manner(answered and self.kind == "realtime", self.limit, voice=self.voice, speed=self.speed)
        return self.with_tools(manner, self.calling(None, None))

    @property
    def limit(self) -> int | None:
        """Most tokens of a response."""
        return None if self.max_output_tokens == "inf" else self.max_output_tokens

    @property
    def interrupts(self) -> bool:
        """Whether what the user says over a response may end it."""
        return self.detection is not None and self.detection.interrupt_response

    @property
    def idle_timeout(self) -> float | None:
        """Seconds without a word after which the agent speaks unasked."""
        if self.kind == "transcription" or not isinstance(self.detection, ServerVad):
            return None
        milliseconds = self.detection.idle_timeout_ms
        return None if milliseconds is None else milliseconds / 1000

    def as_dict(self) -> dict[str, Any]:
        """The session, as the protocol shows it."""
        replies = () if self.kind == "realtime" else tuple(_OF_REPLIES)
        heard = {
            "format": shown(self.heard),
            "transcription": shown(self.transcription),
            "noise_reduction": None,
            "turn_detection": shown(self.detection, *replies),
        }
        included = [*get_args(_Included)] if self.scores else None
        told = {"type": self.kind, "id": self._name, "include": included}
        if self.kind == "transcription":
            return {**told, "object": "realtime.transcription_session", "audio": {"input": heard}}
        said = {"format": shown(self.said), "voice": self.voice, "speed": self.speed}
        return {
            **told,
            "object": "realtime.session",
            "model": self._pool.names["llm"],
            "output_modalities": [self.modality],
            "instructions": self.instructions,
            "audio": {"input": heard, "output": said},
            "max_output_tokens": self.max_output_tokens,
            "truncation": "auto",
            "prompt": None,
            "tracing": None,
            "tools": [shown(tool) for tool in self.tools],
            "tool_choice": self.tool_choice if isinstance(self.tool_choice, str) else shown(self.tool_choice),
            "parallel_tool_calls": self.parallel,
        }
