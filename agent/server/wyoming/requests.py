"""What clients ask for: read from an event's data, refused by the name of what is wrong. Knows no wire."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.errors import RequestError
from agent.server.fields import refusal
from agent.server.wyoming.wire import Received
from audio.frame import Samples
from audio.pcm import from_pcm

SLOWEST, FASTEST = 8_000, 192_000
"""Hz that a client's sound may have."""
CHANNELS = 32
"""Most channels of it."""


class Asked(BaseModel):
    """The data of an event. What is not known here is of a later version of the protocol, and let be."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, given: Any) -> Any:
        """Null is as if the field were not there: that is how the package writes what is not given."""
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in cast(dict[str, Any], given).items() if value is not None}


class Transcribe(Asked):
    """`transcribe`: sound follows, whose words are wanted."""

    name: str | None = None
    language: str | None = None


class Detect(Asked):
    """`detect`: sound follows, in which these words are listened for."""

    names: tuple[str, ...] | None = None


class AudioFormat(Asked):
    """How the bytes of sound are to be read, as `audio-chunk` says of its own."""

    rate: int = Field(ge=SLOWEST, le=FASTEST)
    width: int = Field(ge=1, le=4)
    channels: int = Field(ge=1, le=CHANNELS)


class Voice(Asked):
    """Who is to speak."""

    name: str | None = None
    language: str | None = None
    speaker: str | None = None


class SynthesizeStart(Asked):
    """`synthesize-start`: text follows that is to be said."""

    voice: Voice = Voice()
    text_format: Literal["text"] = "text"


class Synthesize(SynthesizeStart):
    """`synthesize`: this is to be said."""

    text: str


class SynthesizeChunk(Asked):
    """`synthesize-chunk`: more of the text."""

    text: str


class Transcript(Asked):
    """`transcript`: what a user has said, to be answered."""

    text: str
    language: str | None = None
    context: dict[str, Any] = {}


A = TypeVar("A", bound=Asked)


def read(model: type[A], event: Received) -> A:
    """The data of an event as `model`. Raises RequestError, naming the event and the first field at fault."""
    try:
        return model.model_validate(event.data)
    except ValidationError as error:
        why = refusal(error, model)
        raise RequestError(f"{event.type}: {why}", code="invalid_value", param=why.param) from error


def samples(event: Received) -> tuple[Samples, int]:
    """The sound in an `audio-chunk`: mono float32 (n,) and its rate in Hz. Raises RequestError.

    Of several channels it is the mean. The package's own converter adds them up, so that a voice in both of
    two is cut off at half of its loudness.
    """
    form = read(AudioFormat, event)
    size = form.width * form.channels
    if len(event.payload) % size:
        text = f"audio-chunk: {len(event.payload)} bytes are no whole samples of {size} bytes each"
        raise RequestError(text, code="invalid_value", param="payload")
    heard = from_pcm(event.payload, form.width)
    mono = heard.reshape(-1, form.channels).mean(axis=1, dtype=heard.dtype)
    return mono, form.rate
