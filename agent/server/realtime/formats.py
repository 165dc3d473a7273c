"""The forms in which sound goes over the Realtime wire, each with its rate. Knows no event and no session."""

from __future__ import annotations

import base64
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

from pydantic import BeforeValidator, Field

from agent.errors import RequestError
from agent.server.fields import Fields
from agent.transports.playout import RATE
from audio.frame import Samples
from audio.g711 import A_LAW, MU_LAW, Law
from audio.pcm import from_pcm16, pcm16
from audio.resampler import PromptResampler

TELEPHONE = 8000
"""The rate of G.711, in Hz."""


class PCM(Fields):
    """16 bits a sample, little endian."""

    RATE: ClassVar[int] = RATE

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000

    def decode(self, data: bytes) -> Samples:
        """float32 (n,) in [-1, 1]. Raises RequestError for half a sample."""
        if len(data) % 2:
            raise RequestError("audio: an odd number of bytes; a sample has two", param="audio")
        return from_pcm16(data)

    def encode(self, samples: Samples) -> bytes:
        """Of float32 (n,) in [-1, 1]."""
        return pcm16(samples)


class _Telephone(Fields):
    LAW: ClassVar[Law]
    RATE: ClassVar[int] = TELEPHONE

    def decode(self, data: bytes) -> Samples:
        """float32 (n,) in [-1, 1]."""
        return self.LAW.decode(data)

    def encode(self, samples: Samples) -> bytes:
        """Of float32 (n,) in [-1, 1]."""
        return self.LAW.encode(samples)


class PCMU(_Telephone):
    """G.711 mu-law."""

    LAW: ClassVar = MU_LAW

    type: Literal["audio/pcmu"]


class PCMA(_Telephone):
    """G.711 A-law."""

    LAW: ClassVar = A_LAW

    type: Literal["audio/pcma"]


def _kind(given: Any) -> Any:
    """Without a type it is the form that everybody has."""
    if not isinstance(given, dict):
        return given
    wish = cast(dict[str, Any], given)
    return wish if wish.get("type") is not None else {**wish, "type": "audio/pcm"}


Format: TypeAlias = Annotated[PCM | PCMU | PCMA, Field(discriminator="type"), BeforeValidator(_kind)]


def sound(text: Any, form: Format) -> Samples:
    """What a client sends, in base64. Raises RequestError."""
    if not isinstance(text, str):
        raise RequestError(f"audio: base64 of {form.type} at {form.RATE} Hz", param="audio")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:  # binascii.Error is one; what is not ASCII is another
        raise RequestError(f"audio: not base64 ({error})", param="audio") from error
    return form.decode(data)


class Encoder:
    """A reply's sound, a chunk at a time, in the form that the client wants."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._resampler = PromptResampler(RATE, form.RATE)

    def feed(self, samples: Samples) -> str:
        """The next chunk, float32 (n,) at 24 kHz, in base64; it comes 1.3 ms late where the rate changes."""
        return base64.b64encode(self._form.encode(self._resampler.feed(samples))).decode()
