"""What was said in a sound file, in each form that the transcription request has. Knows no engine."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from agent.text.sentences import sentences
from agent.transports.transcription import Segment, together

LANGUAGES = {
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "pl": "polish",
    "pt": "portuguese",
}
"""What Whisper's own code calls some of them; others are told by their code."""


def verbose(heard: Sequence[Segment], language: str, granularities: Sequence[str]) -> dict[str, Any]:
    """`verbose_json`: the words with their stretches, as Whisper's own code tells them."""
    duration = round(heard[-1].end, 2) if heard else 0.0
    told: dict[str, Any] = {
        "task": "transcribe",
        "language": LANGUAGES.get(language, language),
        "duration": duration,
        "text": together(heard),
        "usage": {"type": "duration", "seconds": duration},
    }
    if "segment" in granularities or not granularities:
        told["segments"] = [_segment(number, one) for number, one in enumerate(_spoken(heard, language))]
    if "word" in granularities:
        told["words"] = [
            {"word": one.said.text[word.start : word.end], **_within(one, word.begin, word.finish)}
            for one in heard
            for word in one.said.words
        ]
    return told


def srt(heard: Sequence[Segment], language: str) -> str:
    """SubRip: numbered stretches."""
    spoken = enumerate(_spoken(heard, language), start=1)
    return "".join(
        f"{number}\n{_clock(one.start, ',')} --> {_clock(one.end, ',')}\n{_lines(one)}\n\n"
        for number, one in spoken
    )


def vtt(heard: Sequence[Segment], language: str) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/)."""
    cues = [
        f"{_clock(one.start, '.')} --> {_clock(one.end, '.')}\n{_escaped(one)}\n\n"
        for one in _spoken(heard, language)
    ]
    return "".join(["WEBVTT\n\n", *cues])


def _spoken(heard: Sequence[Segment], language: str) -> list[Segment]:
    """The stretches in which something is said: single sentences, where it is known when their words are."""
    return [part for one in heard for part in _sentences(one, language) if part.text]


def _sentences(one: Segment, language: str) -> Iterator[Segment]:
    """A stretch by its sentences, each from its first word to its last."""
    if not one.said.words:
        yield one
    begin = 0
    for sentence in sentences(one.said.text, language):
        words = [word for word in one.said.words if begin <= word.start < sentence.end]
        if words:
            said = replace(one.said, text=one.said.text[begin : sentence.end].strip(), words=())
            yield Segment(one.start + words[0].begin, one.start + words[-1].finish, said)
            begin = sentence.end


def _within(one: Segment, begin: float, finish: float) -> dict[str, float]:
    """Two moments of a stretch (s), as those of the whole sound."""
    return {"start": round(one.start + begin, 2), "end": round(one.start + finish, 2)}


def _segment(number: int, one: Segment) -> dict[str, Any]:
    raw = one.text.encode()
    return {
        "id": number,
        "seek": round(one.start * 100),
        **_within(one, 0.0, one.end - one.start),
        "text": one.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(one.said.confidence, 4),
        "compression_ratio": round(len(raw) / len(zlib.compress(raw)), 4),
        "no_speech_prob": round(one.said.no_speech, 4),
    }


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _lines(one: Segment) -> str:
    return " ".join(one.text.split())


def _escaped(one: Segment) -> str:
    return _lines(one).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
