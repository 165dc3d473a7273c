"""Scripted engines that know several languages: ears that hear which is spoken, a voice that can be any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import scripted
from agent.languages import code
from audio.frame import Frame
from audio.stt import Choose, Transcript, likeliest
from audio.tts import Speech

VOICES = {"anna": "en-us", "bert": "en-us", "dora": "es", "siwis": "fr"}


def sure(language: str) -> dict[str, float]:
    """How likely languages are where one is plain to hear."""
    return {language: 0.9, "en" if language != "en" else "es": 0.1}


@dataclass
class Ears:
    """Understands the given texts in turn, each with how likely the languages are by its sound.

    taken: the language that each was taken in. detects: whether it was loaded to hear that.
    """

    said: list[tuple[str, dict[str, float]]]
    taken: list[str] = field(default_factory=list)
    detects: bool = True

    def transcribe_in(self, audio: Frame, choose: Choose, *, final: bool = True) -> Transcript:
        text, likely = self.said[min(len(self.taken), len(self.said) - 1)]
        self.taken.append(choose(likely))
        return Transcript(text, language=self.taken[-1])

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        return self.transcribe_in(audio, likeliest, final=final)


@dataclass
class Choir(scripted.ScriptedTTS):
    """A voice that can be any of `VOICES`. heard: who has said what."""

    voice: str = "anna"
    language: str = "en-us"
    heard: list[tuple[str, str]] = field(default_factory=list)
    loaded_voices = VOICES

    def with_voice(self, voice: str = "", language: str = "") -> Choir:
        name = voice or self.voice
        known = self.loaded_voices
        if language and code(known[name]) != code(language):
            name = next(each for each, spoken in known.items() if code(spoken) == code(language))
        return replace(self, voice=name, language=known[name])

    def stream(self, text: str) -> Iterator[Speech]:
        self.heard.append((self.voice, text))
        return super().stream(text)
