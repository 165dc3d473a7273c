"""Which voice says a reply: by the language of the reply, and by who was asked for. Knows no reply."""

from __future__ import annotations

from collections.abc import Mapping

from agent.languages import code
from audio.tts import ChangesVoice, Synthesizer


class Voices:
    """The voices that one engine can speak with at any time; of most that is the one that was loaded."""

    def __init__(self, tts: Synthesizer) -> None:
        self._tts = tts
        self.loaded: Mapping[str, str] = tts.loaded_voices if isinstance(tts, ChangesVoice) else {}
        """Each that may be asked for by name, and its language."""
        self._spoken = {code(language) for language in (tts.language, *self.loaded.values())}

    def able(self, language: str) -> str:
        """That language, where a voice reads it; else the one that the loaded voice reads. "" stays that."""
        own = code(self._tts.language)
        return language if not (language and own) or code(language) in self._spoken else own

    def of(self, language: str = "", name: str = "") -> Synthesizer:
        """What says a reply in that language, an ISO code. name: the voice that is wished for.

        Where that one speaks another language, it is the voice that is most like it. Without a language a
        voice says what is written in its own.
        """
        tts = self._tts
        if not isinstance(tts, ChangesVoice) or not self.loaded:
            return tts
        name = "" if name == tts.voice else name
        if not name and (not language or code(language) == code(tts.language)):
            return tts
        return tts.with_voice(name, language)
