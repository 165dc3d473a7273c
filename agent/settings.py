"""Every setting there is, its default and its limits. Knows nothing of what the settings do, nor of files."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

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


Origin = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://[^/*\s]+$")]
"""A page's scheme, host and port, as browsers write them; no pattern, and no path."""


def _network(text: str) -> str:
    ipaddress.ip_network(text)
    return text


Network = Annotated[str, AfterValidator(_network)]
"""An address, or a network as 10.0.0.0/8."""


_ENDPOINT = re.compile(r"tcp://(?:\[[^\]/\s]+\]|[^:/\[\]\s]+):(\d{1,5})")


def _endpoint(text: str) -> str:
    found = _ENDPOINT.fullmatch(text)
    if text and (found is None or int(found[1]) > 65535):
        raise ValueError("tcp://HOST:PORT, as tcp://127.0.0.1:10700")
    return text


WyomingAddress = Annotated[str, AfterValidator(_endpoint)]
"""Where the Wyoming protocol is spoken, as that protocol writes it; or ""."""


SatelliteAddress = Annotated[WyomingAddress, Field(min_length=1)]
"""The same, of another machine."""


class SessionConfig(Section):
    """Who the agent is."""

    system: str = SYSTEM_PROMPT
    """The instructions: who the agent is and how it speaks."""


class LLMConfig(Section):
    """Which language model answers, and how it samples."""

    engine: str = "llamacpp"
    """A name from `backchat engines`."""
    model: str = "qwen2.5-0.5b"
    """A name from `backchat models`, or the path of a GGUF file; for `openai`, what the server calls it.

    For `transformers` also a folder in the hub's format, or `owner/name` on the hub.
    """
    projector: str = ""
    """For `llamavision` the path of the GGUF file (mmproj) that turns pictures into what the model reads."""
    context: int = Field(default=4096, ge=256)
    """Tokens that prompt and answer may fill together."""
    threads: int = Field(default=0, ge=0)
    """Threads that write a token; 0: as many as pay, about one for 200 MB of the model. `transformers`: one
    per core."""
    prompt_threads: int = Field(default=0, ge=0)
    """Threads that read a prompt, of `llamacpp` and `llamavision`; 0: one per core."""
    device: str = "auto"
    """Where `transformers` computes: cpu, cuda, cuda:1, ...; "auto" is a CUDA card where there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """The numbers that `transformers` computes with; "auto" is bfloat16 on a CUDA card, else float32."""
    slots: int = Field(default=1, ge=1)
    """Conversations that one loaded model answers at once; `serve` takes `server.sessions`."""
    thinking: bool = False
    """Whether the model may think before it answers, where its template or its server lets that be chosen.
    Thoughts are never spoken, and the answer waits for them; they count as `max_tokens`."""
    max_tokens: int = Field(default=400, ge=1)
    """Most tokens of an answer."""
    call_threshold: float = Field(default=0.0, ge=-1.0, le=10.0)
    """How much must be in favour of calling a tool, in log-odds, for an answer of `llamacpp` to begin with
    that. 0: what the list of models has for this one (`scripts/bench tools`), or else as it is drawn; -1:
    always as it is drawn."""
    temperature: float = Field(default=0.6, ge=0.0)
    """How freely the next token is drawn; 0: always the likeliest."""
    top_p: float = Field(default=0.9, gt=0.0, le=1.0)
    """Draws among the likeliest tokens that together have this probability; 1: among all."""
    top_k: int = Field(default=40, ge=0)
    """Draws among so many of the likeliest tokens; 0: among all."""
    min_p: float = Field(default=0.05, ge=0.0, le=1.0)
    """Leaves out tokens less probable than this share of the likeliest one's probability; 0: none."""
    repeat_penalty: float = Field(default=1.1, ge=0.0)
    """Divides the score of tokens that were there before; 1: as they are."""
    stop: tuple[str, ...] = ()
    """Texts at which an answer ends; they are not spoken."""
    seed: Seed = 0
    """A fixed seed gives the same answer to the same words; "random" (in Python: None) does not."""
    base_url: str = "http://127.0.0.1:8080/v1"
    """Where the server of the engine `openai` is, up to and with the version."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds that server's key; unset where it wants none."""
    connect_wait: float = Field(default=5.0, gt=0.0)
    """Most seconds for the connection to that server."""
    first_wait: float = Field(default=30.0, gt=0.0)
    """Most seconds from the question to that server's first word, further tries included."""
    wait: float = Field(default=15.0, gt=0.0)
    """Most seconds between two of its words."""
    retries: int = Field(default=2, ge=0)
    """Further tries when it is busy or breaks off before its first word."""


class STTConfig(Section):
    """Who transcribes, and how."""

    engine: str = "whisper"
    """A name from `backchat engines`."""
    model: str = ""
    """A name from `backchat models` or a folder; "" is the engine's own: `whisper-tiny.en`, and
    `moonshine` for `moonshine`. `whisper` takes CTranslate2's format, `whisper-torch` that of
    transformers, or a name on the hub."""
    language: str = "en"
    """ISO code of what is spoken; "auto": it is heard, and turns, answer and voice follow it (`whisper`,
    `whisper-torch`)."""
    languages: tuple[str, ...] = ()
    """ISO codes of what may be spoken where `language` is "auto", the first until another one is heard; none:
    any."""
    threads: int = Field(default=0, ge=0)
    """0: half of the cores, for `moonshine` one; `whisper-torch`: as many as torch takes for everything."""
    window: float = Field(default=10.0, ge=4.0, le=30.0)
    """Shortest stretch of audio, in seconds, that the encoder is given; 30 is Whisper's own padding."""
    prompt: str = ""
    """Words that are told to the transcriber before it hears any, whose names and spellings it then prefers,
    as "Siobhan, Nguyen, Reykjavik." (`whisper`)."""
    scores: bool = False
    """Whether it is told how probable each token of a transcript was (`whisper`, `whisper-torch`): in the
    event `TurnCommitted`. A client that asks for it is told without it."""
    interim: float = Field(default=0.6, ge=0.0)
    """Seconds of speech between two interim transcripts; 0 switches them off."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where Whisper computes; "cuda" needs NVIDIA's cuBLAS and cuDNN libraries for CUDA 12."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Numbers that `whisper-torch` computes in: "auto" is float16 on a card, else float32. A CPU with
    instructions for bfloat16 may be quicker with it."""


class TTSConfig(Section):
    """Whose voice speaks."""

    engine: str = "hibari"
    """A name from `backchat engines`."""
    model: str = ""
    """A name from `backchat models`, a file or folder, or for `coqui` one of Coqui's own names; "": the
    engine's own."""
    voice: str = ""
    """A voice or speaker that the engine or its model has; "": the first, which for hibari is heart."""
    language: str = ""
    """What the text is in, for models that know several languages; "": the first."""
    reference: str = ""
    """A WAV file of somebody speaking for at least six seconds, whose voice is taken (`xtts`)."""
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    """How fast it speaks, as a factor."""
    noise: float = Field(default=1.0, ge=0.0, le=2.0)
    """How much a VITS voice varies, as a factor on what its model asks for."""
    seed: Seed = 0
    """A fixed seed speaks the same words the same way, for voices that vary; "random" does not."""
    device: str = "auto"
    """Where a torch voice runs: "cpu", "cuda", "cuda:1", or "auto", a GPU where there is one."""
    threads: int = Field(default=0, ge=0)
    """Threads of a voice on onnxruntime; 0: one per core."""


class VADConfig(Section):
    """What counts as speech."""

    engine: str = "webrtc-silero"
    """A name from `backchat engines`: what hears speech."""
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


class WakeConfig(Section):
    """The wake word, before which nothing is listened to; without one, everything is."""

    engine: str = "microwakeword"
    """A name from `backchat engines`: what hears the word."""
    model: str = ""
    """Which word: `hey_jarvis`, `okay_nabu`, `alexa`, `hey_mycroft`, or the path of a microWakeWord model's
    JSON file; "": none is needed."""
    threshold: float = Field(default=0.0, ge=0.0, lt=1.0)
    """How sure the network must be, in the mean of its last decisions; 0: as its model says."""
    follow_up: float = Field(default=8.0, ge=0.0)
    """Seconds without a word from either side after which the wake word is needed again; "thank you" and
    "goodbye" end the talk at once."""
    sign: bool = True
    """Whether two soft notes tell that it has woken."""


class TurnsConfig(Section):
    """When to answer and when to be interrupted; lengths in seconds.

    `complete`, `likely`, `unsure`, `unlikely` and `incomplete` come in this order: each is at least as long
    as the one before it, so that who raises one raises those that it passes.
    """

    policy: str = "semantic"
    """`semantic` lowers the voice at a sound, pauses at speech and is interrupted by words; `vad` is
    interrupted by any speech and answers after `end`."""
    meaning: Literal["off", "words", "audio", "both"] = "both"
    """What tells the end of a turn: its words, its sound (by `endpointing`), both, or only `end`."""
    llm: bool = True
    """Whether the language model is asked as well, beside the words, where it runs in this process: one that
    expects an answer shortens the silence by one step, from `likely` to `complete` as it were, one that
    expects more words lengthens it."""
    endpointing: str = "smart-turn"
    """A name from `backchat engines`: what hears whether a turn is over."""
    model: str = ""
    """Its weights: a name from `backchat models`, or the path of a file; "": the engine's own."""
    pause: float = Field(default=0.1, gt=0.0)
    """Silence after which work on an answer begins, unheard."""
    complete: float = Field(default=0.4, gt=0.0)
    """Silence after which a turn is over that sounds and reads complete, once its answer can sound."""
    likely: float = Field(default=0.5, gt=0.0)
    """The same when it is a sentence that might go on."""
    unsure: float = Field(default=0.85, gt=0.0)
    """The same when words and sound disagree."""
    unlikely: float = Field(default=1.0, gt=0.0)
    """The same when a question, or a sentence that might go on, sounds unfinished."""
    incomplete: float = Field(default=1.6, gt=0.0)
    """The same when it breaks off."""
    longest: float = Field(default=2.0, gt=0.0)
    """Silence after which any turn is over, unless something is heard that may be the user going on."""
    end: float = Field(default=0.3, gt=0.0)
    """Silence after which a turn is over when no meaning is asked for."""
    interrupt: bool = True
    """Whether the user may talk over the agent; if not, it does not listen while it speaks."""
    overlap: Literal["interrupt", "wait"] = "interrupt"
    """What words said over a reply do: they end it, or they wait for its end and are answered then."""
    interrupting_words: int = Field(default=3, ge=1)
    """Words that end a reply before the user has paused; fewer may yet be a back-channel."""
    min_confidence: float = Field(default=-0.95, le=0.0)
    """The transcriber's confidence (mean log-probability) below which up to three words over a reply count
    as a sound: Whisper tiny.en gives laughs and hums -1.0 to -2.3, short words -0.1 to -0.9."""
    false_interruption_timeout: float = Field(default=3.0, gt=0.0)
    """How long somebody may speak over a reply without a word understood before it goes on."""
    max_utterance: float = Field(default=28.0, gt=1.0, le=29.0)
    """Length of one unbroken utterance after which it is answered as it stands."""

    @property
    def latest(self) -> float:
        """Silence after which any turn is over: `longest`, or the longer `end` where that alone counts."""
        by_end_alone = self.meaning == "off" or self.policy == "vad"
        return max(self.longest, self.end) if by_end_alone else self.longest

    @property
    def by_sound(self) -> bool:
        """Whether the sound of a turn is asked whether it is over."""
        return self.policy != "vad" and self.meaning in ("audio", "both")

    @property
    def by_model(self) -> bool:
        """Whether the language model is asked, too."""
        return self.llm and self.policy != "vad" and self.meaning in ("words", "both")

    def paced(self, factor: float) -> TurnsConfig:
        """The same with all lengths of silence that end a turn `factor` times as long, in their order."""
        return self.model_copy(update={name: getattr(self, name) * factor for name in SILENCES})


SILENCES = ("complete", "likely", "unsure", "unlikely", "incomplete", "longest", "end")
"""The settings of `turns` that are lengths of silence after which a turn is over."""


class SpeakersConfig(Section):
    """Whose voice counts; off, until `only` names somebody."""

    engine: str = "campplus"
    """A name from `backchat engines`: what tells voices apart."""
    model: str = ""
    """Its weights: a name from `backchat models`, or the path of a file; "": the engine's own."""
    only: tuple[str, ...] = ()
    """Who is answered and may interrupt: names of enrolled speakers, or "*" for all of them; with none it is
    anybody, and no voice is looked at."""
    interrupt: tuple[str, ...] = ()
    """Who of them may interrupt a reply; the others are answered when it is over. With none, all may."""
    overheard: tuple[str, ...] = ()
    """Enrolled speakers who neither are answered nor interrupt: what they say is noted with their name."""
    strangers: Literal["ignore", "overhear", "answer"] = "ignore"
    """What becomes of what anybody else says: nothing; it is noted as another speaker's; or it is answered,
    and may interrupt."""
    strictness: float = Field(default=0.0, ge=-0.5, le=0.5)
    """Is added to how alike (cosine) a voice must be: above 0 fewer strangers are heard."""
    folder: str = "~/.local/share/backchat/speakers"
    """Where enrolled voices are kept, in files that only their owner may read."""

    @property
    def overhears(self) -> bool:
        """Whether anything is noted of what those say who are not answered."""
        return bool(self.overheard) or self.strangers == "overhear"

    @property
    def named(self) -> bool:
        """Whether the language model is told who says what: where it may be one or another."""
        several = len(self.only) > 1 or "*" in self.only or bool(self.overheard)
        return bool(self.only) and (several or self.strangers != "ignore")


class EchoConfig(Section):
    """What is done to the microphone's sound where the speaker is near it."""

    cancel: bool = True
    """WebRTC's echo canceller, for live audio and simulated rooms."""
    noise_suppression: bool = False
    """Takes out steady noise as well; it costs 6 ms."""


class ReplyConfig(Section):
    """How a reply becomes speech."""

    ahead: float = Field(default=5.0, gt=0.0)
    """Seconds of speech that may wait to be made or heard; beyond that the language model is held back."""
    first_chunk: int = Field(default=8, ge=1)
    """Characters from which a phrase is long enough to open a reply with."""
    longest_chunk: int = Field(default=240, ge=40)
    """Characters after which a chunk is cut at the best place there is."""


class VisionConfig(Section):
    """What becomes of pictures that the user shows."""

    engine: str = "ocr"
    """`ocr` reads the text in them to any language model; `passthrough` gives them to one that sees."""
    keep: Literal["short", "whole", "nothing"] = "short"
    """What the history keeps once the turn is over: a short description, all that was seen, or nothing."""
    threads: int = Field(default=0, ge=0)
    """Threads of the OCR engine; 0: half of the cores."""


class MCPConfig(Section):
    """A server that offers tools by the Model Context Protocol: a program, or an address.

    One `[[tools.mcp]]` for each; docs/tools.md shows some. The lists of names take `*`, as "get_*".
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    """What it is called here."""
    command: str = ""
    """The program to start, with which it is spoken to by its standard input and output."""
    args: tuple[str, ...] = ()
    """Its arguments."""
    env: dict[str, str] = {}
    """Environment variables for it, besides PATH, HOME and the like."""
    inherit: tuple[str, ...] = ()
    """Names of environment variables that it is given as they are here."""
    folder: str = ""
    """Where it is started; "": where backchat is."""
    url: str = ""
    """Its address instead of a program, as "http://127.0.0.1:8000/mcp" (streamable HTTP)."""
    headers: dict[str, str] = {}
    """What is sent along with each request to that address."""
    token_env: str = ""
    """The environment variable that holds its token, sent as `Authorization: Bearer`."""
    connect_timeout: float = Field(default=20.0, gt=0.0)
    """Most seconds until it has said what it offers."""
    timeout: float = Field(default=30.0, gt=0.0)
    """Most seconds for one of its calls."""
    allow: tuple[str, ...] = ("*",)
    """Its tools that may be used."""
    deny: tuple[str, ...] = ()
    """Those of them that may not."""
    reads: tuple[str, ...] = ()
    """Tools that only read, whatever the server says of them."""
    changes: tuple[str, ...] = ()
    """Tools that change something, whatever the server says of them; they come before `reads`."""
    confirm: tuple[str, ...] = ()
    """Tools before which the user is asked aloud, besides those that the server calls destructive."""
    speakers: tuple[str, ...] = ()
    """Enrolled speakers for whom its tools are; with none, for whoever is answered."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("an MCP server has either a command or a url")
        others = ("headers", "token_env") if self.command else ("args", "env", "inherit", "folder")
        if wrong := [name for name in others if getattr(self, name)]:
            kind = "a command" if self.command else "a url"
            raise ValueError(f"an MCP server with {kind} has no {wrong[0]}")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("the url of an MCP server begins with http:// or https://")
        return self


class ToolsConfig(Section):
    """What the agent can do besides talking: nothing, until it is named here."""

    use: tuple[str, ...] = ()
    """Names from `backchat tools`, or the path of a Python file with functions that are tools."""
    mcp: tuple[MCPConfig, ...] = ()
    """Servers of tools, each a `[[tools.mcp]]` as below."""
    instructions: str = (
        "You do not know the time, the date or the result of a sum, and you remember nothing by yourself: "
        "call a function for what one of them can find out or do, and for nothing else."
    )
    """What the language model is told behind `session.system` when it has tools. Small models call none where
    nobody tells them what they do not know (`scripts/bench tools`)."""
    rounds: int = Field(default=4, ge=1, le=20)
    """How often the language model may be asked again after results, in one reply."""
    timeout: float = Field(default=60.0, gt=0.0)
    """Most seconds for a call, whatever its tool asks for."""
    announce_after: float = Field(default=0.4, ge=0.0)
    """Seconds of silence over a call after which the user is told, once, that it takes a moment."""
    background_after: float = Field(default=8.0, gt=0.0)
    """Seconds after which a reply does not wait for a call any more; its result is told when it comes."""
    recall: Literal["words", "meaning"] = "words"
    """How notes are found: by the words that they share with what is asked, or by what they mean, with a
    small network for English (`minilm`, 23 MB)."""
    folder: str = "~/.local/share/backchat"
    """Where timers and notes are kept, in files that only their owner may read; "": nowhere, so that they
    last as long as the conversation. For `serve` see `server.one_user`."""
    longest_result: int = Field(default=2000, ge=100)
    """Most characters of a result that the language model is told."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [server.name for server in self.mcp]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two MCP servers are called {twice[0]!r}")
        return self


class Costs(Section):
    """What engines cost on the virtual clock.

    `measured`: what they really took. `declared`: the seconds below, so that a run repeats to the byte.
    """

    mode: Literal["measured", "declared"] = "measured"
    """Which of the two."""
    stt: float = Field(default=0.1, ge=0.0)
    """Seconds for one transcription."""
    endpointing: float = Field(default=0.03, ge=0.0)
    """Seconds for one decision of the end-of-turn model."""
    first_token: float = Field(default=0.1, ge=0.0)
    """Seconds for the language model's first token."""
    token: float = Field(default=0.03, ge=0.0)
    """Seconds for each further one."""
    speech: float = Field(default=0.02, ge=0.0)
    """Seconds for one part of speech."""
    vision: float = Field(default=0.8, ge=0.0)
    """Seconds for one picture."""


class LimitsConfig(Section):
    """How long an engine may give nothing before its turn is ended with an error, in seconds."""

    first_token: float = Field(default=60.0, gt=0.0)
    """The language model, before its first token."""
    token: float = Field(default=20.0, gt=0.0)
    """The language model, between two tokens."""
    speech: float = Field(default=30.0, gt=0.0)
    """The voice, for one part of speech."""
    stt: float = Field(default=30.0, gt=0.0)
    """The transcriber."""
    vision: float = Field(default=30.0, gt=0.0)
    """The vision engine, for one picture."""


_HOST = r"[^\s?/:\[\]]+(:\d{1,5})?"
_STUN, _TURN = rf"stun:{_HOST}", rf"turn:{_HOST}(\?transport=(udp|tcp))?|turns:{_HOST}(\?transport=tcp)?"
IceURL = Annotated[str, Field(pattern=f"^({_STUN}|{_TURN})$")]
"""A STUN or TURN server (RFC 7064, RFC 7065), by its name or IPv4 address: aiortc takes no other."""


class IceServer(Section):
    """A server that helps WebRTC's packets across NAT (ICE), one `[[server.ice_servers]]` for each.

    The page uses all of them, the server the first STUN and the first TURN server of the list.
    """

    urls: tuple[IceURL, ...] = Field(min_length=1)
    """Its addresses: "stun:stun.example.org:3478" tells who asks their outer address,
    "turn:turn.example.org:3478" also carries packets, "turns:turn.example.org:443?transport=tcp" by TLS."""
    username: str = ""
    """The user of a TURN server; "": each call has one of its own, made of the secret that TURN servers call
    `static-auth-secret`."""
    credential_env: str = Field(default="", max_length=200)
    """The environment variable that holds that user's password, or the secret. TURN servers need one; the
    page is told the password, so whoever may talk can use it."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        turn = any(url.startswith("turn") for url in self.urls)
        if turn != bool(self.credential_env):
            raise ValueError("turn: and turns: have a credential_env, stun: alone has none")
        if self.username and not turn:
            raise ValueError("stun: has no username")
        return self


class ServerConfig(Section):
    """`backchat serve`: where it listens, whom it lets in, and when it cuts."""

    host: str = "127.0.0.1"
    """The address to listen on; "0.0.0.0": all of them, which needs a token."""
    port: int = Field(default=8400, ge=0, le=65535)
    """0: any free one, which the log names."""
    grpc_port: int = Field(default=-1, ge=-1, le=65535)
    """The port of the gRPC service; -1: there is none."""
    wyoming: WyomingAddress = ""
    """Where Home Assistant's Wyoming protocol is spoken, as "tcp://127.0.0.1:10700"; "": nowhere."""
    wyoming_clients: tuple[Network, ...] = ()
    """Addresses and networks that may speak Wyoming without the token, as "192.168.1.20": it has no place for
    one. Others must show it in an event of ours, `authorize`; without one, only this machine may come."""
    announce: bool = False
    """Whether Wyoming is announced in the local network by zeroconf (mDNS), where Home Assistant finds it."""
    satellites: tuple[SatelliteAddress, ...] = ()
    """Wyoming satellites that are called, as Home Assistant would, as "tcp://kitchen.local:10700". Each that
    streams its microphone has a place of `sessions`."""
    sessions: int = Field(default=4, ge=1)
    """Conversations and generations at once; the next newcomer is told to come back later."""
    load: float = Field(default=0.7, gt=0.0)
    """Share of this machine's cores that the sessions inside may take, measured over ten seconds, before
    newcomers are told to come back later. They are too where those inside wait for each other. 1: only the
    number of slots counts."""
    one_user: bool = False
    """Whether all who may connect are one user. Then timers and notes are kept in `tools.folder`, and every
    session has them; otherwise each session has its own, which end with it."""
    copies: int = Field(default=0, ge=0)
    """How often the transcriber and the voice are loaded; 0: once for each two cores."""
    token_env: str = "BACKCHAT_TOKEN"
    """The environment variable that holds the token; without one, only this machine may connect."""
    token_file: str = ""
    """The file that holds the token instead, which nobody else may read; its path may also be in the
    environment, as BACKCHAT_TOKEN_FILE."""
    certificate: str = ""
    """TLS certificate chain, a PEM file; without one what is said goes over the network in clear text."""
    key: str = ""
    """Its private key, a PEM file that nobody else may read; "": it is in the same file."""
    origins: tuple[Origin, ...] = ()
    """Web pages of other hosts that may connect, as "https://example.org"."""
    model_aliases: tuple[str, ...] = (
        "",
        *("gpt-*", "chatgpt-*", "codex-*", "o[1-9]*", "tts-1*", "whisper-1"),
    )
    """Names of models that clients bring along, and that stand for the one that is loaded; with `*` and `[]`
    as in the names of files."""
    voice_aliases: tuple[str, ...] = (
        "",
        *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
        *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
    )
    """The same of voices; those that are written out are spread over what the engine has in memory."""
    ice_servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers for WebRTC across NAT, each a `[[server.ice_servers]]` as below; without any no
    other machine is asked."""
    lead: float = Field(default=0.15, ge=0.0, le=2.0)
    """Seconds of speech that a client is sent before they should sound, against gaps on the way."""
    max_buffer: float = Field(default=20.0, ge=1.0)
    """Seconds of audio that may wait to be heard, or to be read by a client; then it is held back, or cut."""
    client_timeout: float = Field(default=20.0, gt=0.0)
    """Seconds that a client may take to read or to send one thing, or be behind speech that it takes."""
    first_event: float = Field(default=60.0, gt=0.0)
    """Seconds in which the client of a new session must have sent something."""
    longest: float = Field(default=3600.0, gt=0.0)
    """Seconds after which any session is closed, and any reading aloud over HTTP or gRPC."""
    idle: float = Field(default=600.0, gt=0.0)
    """Seconds without a turn after which a session is closed."""
    proxies: tuple[Network, ...] = ()
    """Proxies in front of it, which are believed who came to them (X-Forwarded-For, Forwarded)."""
    rate: int = Field(default=600, ge=1)
    """Requests that one address may make in a minute, on all wires together."""
    refusals: int = Field(default=120, ge=1)
    """Requests without the token that one address may make in a minute; the right token is always let in."""
    secrets: int = Field(default=1000, ge=1)
    """Most client secrets of Realtime that may be out at once; what their sessions say takes at most `memory`
    bytes together."""
    responses: int = Field(default=256, ge=0)
    """Most answers of `/v1/responses`, and conversations of them, that may be gone on with by their ids; the
    newest, in memory, at most `memory` bytes together. 0: nothing is kept of any."""
    body: int = Field(default=25_000_000, ge=1000)
    """Most bytes of a request."""
    max_audio: float = Field(default=3600.0, gt=0.0)
    """Most seconds of sound in a file or a committed buffer."""
    max_pictures: int = Field(default=8, ge=1)
    """Most pictures in a request."""
    max_pixels: int = Field(default=25_000_000, ge=1)
    """Most pixels of a picture; a telephone's photo has 12 to 24 million."""
    body_time: float = Field(default=120.0, gt=0.0)
    """Seconds in which a request must have come whole."""
    bodies: int = Field(default=100_000_000, ge=1000)
    """Most bytes of all requests that are in work, beyond the first 65536 of each; with less than `body`
    a request that is larger never finds room."""
    connections: int = Field(default=256, ge=4)
    """Connections at once, and gRPC calls; beyond it the one goes that has waited longest for its client."""
    message: int = Field(default=2_000_000, ge=1000)
    """Most bytes of a message on a WebSocket or in gRPC, or of an event of Wyoming."""
    characters: int = Field(default=200_000, ge=100)
    """Most characters of the texts of one request or event together: a prompt, a conversation's messages, an
    item, instructions, what is to be said."""
    entries: int = Field(default=1000, ge=10)
    """Most entries of a list in a request, as messages of a conversation; of all of them 20 times that."""
    memory: int = Field(default=25_000_000, ge=1000)
    """Most bytes that a session keeps: texts, pictures, and sound that is not committed. The oldest items are
    let go for newer ones."""
    resume: float = Field(default=60.0, ge=0.0)
    """Seconds for which a Realtime client that has lost its connection may come back and go on; its words are
    kept for so long, in memory. 0: it never may."""
    resumable: int = Field(default=256, ge=1)
    """Most sessions that are kept for that, those that are connected included; beyond it the one that gave no
    sign of life for longest is let go."""
    drain_timeout: float = Field(default=30.0, ge=0.0)
    """Seconds that running replies are given when the server is told to stop."""
    traces: bool = False
    """Each turn as an OpenTelemetry span, sent where the environment's OTEL_EXPORTER_OTLP_ENDPOINT says."""


class ClusterConfig(Section):
    """`backchat serve --cluster`: the server on Ray Serve, sessions and engines in processes of their own.

    A file for `serve deploy` may say otherwise of each deployment's replicas, and let Ray scale them.
    """

    address: str = ""
    """Of a Ray cluster to join, as "auto" or "10.0.0.5:6379"; "": one of its own, on this machine alone."""
    sessions: int = Field(default=1, ge=1)
    """Replicas that hold sessions, each with `server.sessions` places."""
    stt: int = Field(default=1, ge=1)
    """Replicas of the transcriber."""
    llm: int = Field(default=1, ge=1)
    """Replicas of the language model."""
    tts: int = Field(default=1, ge=1)
    """Replicas of the voice."""
    endpointing: int = Field(default=1, ge=1)
    """Replicas of what tells by the sound whether a turn is over, where that is wanted."""
    seats: int = Field(default=0, ge=0)
    """Sessions that one replica of an engine serves at once; 0: all that there are places for; of those a
    language model has its share."""
    journal: str = ""
    """The file in which sessions are kept for clients that come back, on the machine that keeps them; "": one
    in the user's own folder. On a disk that all machines share it outlives each of them."""
    cpus: float = Field(default=0.25, ge=0.0)
    """Cores that Ray counts for each replica of the sessions and each engine: it starts no more on a machine
    than its cores are enough for. 0: as many as it is told to."""
    stt_gpus: float = Field(default=0.0, ge=0.0)
    """GPUs of each transcriber; less than 1 is a part of one."""
    llm_gpus: float = Field(default=0.0, ge=0.0)
    """GPUs of each language model."""
    tts_gpus: float = Field(default=0.0, ge=0.0)
    """GPUs of each voice."""


class Config(Section):
    """All settings. `Config()` is the default; `agent.config.load` reads a file over it."""

    session: SessionConfig = SessionConfig()
    llm: LLMConfig = LLMConfig()
    stt: STTConfig = STTConfig()
    tts: TTSConfig = TTSConfig()
    vad: VADConfig = VADConfig()
    wake: WakeConfig = WakeConfig()
    turns: TurnsConfig = TurnsConfig()
    speakers: SpeakersConfig = SpeakersConfig()
    echo: EchoConfig = EchoConfig()
    reply: ReplyConfig = ReplyConfig()
    vision: VisionConfig = VisionConfig()
    tools: ToolsConfig = ToolsConfig()
    costs: Costs = Costs()
    limits: LimitsConfig = LimitsConfig()
    server: ServerConfig = ServerConfig()
    cluster: ClusterConfig = ClusterConfig()

    def told(self, *, tools: bool, several: str) -> str:
        """The language model's instructions. tools: whether it has some besides those of servers.

        several: what it is told where several people talk.
        """
        behind = self.tools.instructions if tools or self.tools.mcp else ""
        named = several if self.speakers.named else ""
        return " ".join(filter(None, (self.session.system, named, behind)))
