"""The recipe for a Whisper that answers quickly: a short window, a longer look in doubt. Knows no library.

Whisper (Radford et al. 2022, https://arxiv.org/abs/2212.04356) was trained on 30 s windows, and the
usual decoders pad every utterance to that, so that "yes" costs as much as half a minute. Its encoder
takes shorter inputs as well, but padded too little the decoder starts to repeat itself. So: pad to
`window` seconds, allow no more tokens than the duration can hold, and where the outcome looks wrong
(a loop, the token limit, a low probability) decode once more on the full 30 s.
"""

from __future__ import annotations

import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from audio.frame import HEARING_RATE, Frame, Samples, level_dbfs, silence
from audio.stt import Choose, Token, Transcript, Word, strung
from audio.stt.mel import HOP
from audio.stt.tokens import written

FULL = 30.0
"""Seconds of audio that Whisper was trained on: the longest that one decode can take."""
ROOM = 0.6
"""Seconds of padding after the last sample: without any, Whisper tends to lose the last word."""
QUIET_DBFS = -65.0
"""An utterance whose loudest 25 ms are below this is not even given to the model."""
NO_SPEECH = 0.6
"""`no_speech` from which words of low confidence are taken for noise (the limit of Whisper's own code)."""
UNSURE = -0.8
"""Confidence below which words count as noise there. Measured: noises give -1.2 to -4.4, speech at 0 dB
signal to noise -0.2 to -0.6, with `no_speech` below 0.5."""
LOW = -1.0
"""Confidence below which a short-window decode is done again on 30 s (as Whisper's own fallback)."""


class ShortWindow(ABC):
    """A `Transcriber` on the short window. What decodes is left to the class below it.

    window: the shortest stretch, in seconds, that speech is padded to; 30 is Whisper's own padding.
    """

    detects: bool = False
    """Whether it can hear which language is spoken."""

    def __init__(self, window: float) -> None:
        self._window = min(window, FULL)

    @abstractmethod
    def _decode(self, samples: Samples, seconds: float, choose: Choose | None = None) -> Decoded:
        """One greedy decode of 16 kHz `samples` (n,) padded to `seconds`. Raises EngineFault.

        choose: as in `transcribe_in`; None: as the settings say.
        """

    def _again(self, samples: Samples, choose: Choose | None = None) -> Decoded:
        """A second look at samples whose decode is doubtful. Raises EngineFault."""
        return self._decode(samples, FULL, choose)

    def warm(self) -> None:
        """Run once on silence, so that the first real call finds its memory and threads ready."""
        sound = silence(1.0, HEARING_RATE)
        self._decode(sound, self._need(sound))

    def _need(self, samples: Samples) -> float:
        """Seconds that samples are padded to."""
        return min(FULL, max(self._window, len(samples) / HEARING_RATE + ROOM))

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        """The words in `audio`: mono, any rate and length; empty text for silence and noise.

        final: False never takes the time for a second look.
        Audio too long for one window is cut at quiet places and the words are joined. Raises
        EngineFault when the engine fails.
        """
        return self._transcript(audio, None, final)

    def transcribe_in(self, audio: Frame, choose: Choose, *, final: bool = True) -> Transcript:
        """The same in the language that `choose` names; see `audio.stt.DetectsLanguage`."""
        return self._transcript(audio, choose, final)

    def _transcript(self, audio: Frame, choose: Choose | None, final: bool) -> Transcript:
        samples = audio.at_rate(HEARING_RATE).samples
        found = (self._best(piece, choose, final) for piece in pieces(samples) if audible(piece))
        return joined([(best.transcript(doubtful), 0.0) for best, doubtful in found])

    def _best(self, samples: Samples, choose: Choose | None, final: bool) -> tuple[Decoded, bool]:
        """What at most `FULL - ROOM` seconds give: the short window, and the full one in doubt.

        And whether there is still doubt.
        """
        need = self._need(samples)
        best = self._decode(samples, need, choose)
        doubtful = best.doubtful and not best.noise and need < FULL
        if not (final and doubtful):
            return best, doubtful
        same = best.language
        return self._again(samples, choose and (lambda _: same)), False


def joined(heard: Sequence[tuple[Transcript, float]]) -> Transcript:
    """What was heard piece by piece, each with the moment (s) at which its piece begins, as one."""
    spoken = [(said, since) for said, since in heard if said.text]
    doubtful = any(said.doubtful for said, _ in heard)
    if not spoken:
        return Transcript("", 0.0, min((said.no_speech for said, _ in heard), default=1.0), doubtful)
    words: list[Word] = []
    ahead = 0
    for said, since in spoken:
        words += [Word(w.start + ahead, w.end + ahead, w.begin + since, w.finish + since) for w in said.words]
        ahead += len(said.text) + 1
    return Transcript(
        " ".join(said.text for said, _ in spoken),
        sum(said.confidence for said, _ in spoken) / len(spoken),
        min(said.no_speech for said, _ in spoken),
        doubtful,
        tuple(words),
        max((said for said, _ in spoken), key=lambda said: len(said.text)).language,
        strung([said.tokens for said, _ in spoken]),
    )


def scored(tokens: Sequence[str], chances: Sequence[float]) -> tuple[Token, ...]:
    """The tokens of a text as it is told, with their log-probabilities; without those that write nothing."""
    return tuple(Token(*each) for each in zip(written(tokens), chances, strict=True) if each[0])


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one decode gave, and whether to believe it.

    text: stripped. confidence: mean log-probability of the tokens. no_speech: 0 to 1. capped: the
    token limit ended it. tokens: those of the text, where they are known.
    language: ISO code of what the text is in, "" where that is not known.
    scored: the text's bytes, token by token, and how probable each was, where that was asked for.
    """

    text: str
    confidence: float
    no_speech: float
    capped: bool
    tokens: tuple[str, ...] = ()
    language: str = ""
    scored: tuple[Token, ...] = ()

    def transcript(self, doubtful: bool) -> Transcript:
        """What of it is believed."""
        if self.noise or self.wordless:
            return Transcript("", self.confidence, self.no_speech, doubtful)
        text = unloop(self.text) if self.capped else self.text
        kept, ends = len(text.encode()), accumulate(len(token.data) for token in self.scored)
        tokens = tuple(token for token, end in zip(self.scored, ends, strict=True) if end <= kept)
        return Transcript(
            text, self.confidence, self.no_speech, doubtful, language=self.language, tokens=tokens
        )

    @property
    def noise(self) -> bool:
        """Whether nobody spoke, and what words there are were made up for a noise."""
        if self.no_speech <= NO_SPEECH:
            return False
        return self.wordless or self.confidence < UNSURE or loops(self.text)

    @property
    def wordless(self) -> bool:
        """Whether there is no letter or digit in it."""
        return not any(c.isalnum() for c in self.text)

    @property
    def doubtful(self) -> bool:
        """Whether a longer window might give something better."""
        return self.capped or self.wordless or self.confidence < LOW or loops(self.text)


def even_frames(seconds: float) -> int:
    """The feature frames of so much sound. The encoder halves them, so their number has to be even."""
    return 2 * int(np.ceil(seconds * HEARING_RATE / HOP / 2))


def token_cap(seconds: float) -> int:
    """The most tokens that so much speech can hold; people say 4 to 5 a second."""
    return min(224, 12 + round(8 * seconds))


def loops(text: str) -> bool:
    """Whether a decoder seems to repeat itself: six or more letters said twice in a row, any stretch
    four times, or text that deflates to less than 1/2.4 of its length (Whisper's own test).

    Case, spaces and punctuation are ignored, so it works for scripts without spaces too. People
    repeat themselves as well: this is a reason to look again, not to drop the words.
    """
    letters = "".join(c for c in text.casefold() if c.isalnum())
    raw = text.encode()
    return _REPEAT.search(letters) is not None or len(raw) > 2.4 * len(zlib.compress(raw))


_REPEAT = re.compile(r"(.{6,}?)\1|(.{1,5}?)\2{3}")


def unloop(text: str) -> str:
    """`text` with a stretch that is repeated up to its end (cut short or not) said once."""
    space = " " if " " in text else ""  # scripts without spaces go by characters
    words = text.split() if space else list(text)
    keys = ["".join(c for c in w.casefold() if c.isalnum()) for w in words]
    for size in range(1, len(words) // 2 + 1):
        start = len(words)
        while start > size and keys[start - 1] == keys[start - 1 - size]:
            start -= 1
        if len(words) - start >= size:
            return space.join(words[:start])
    return text


def audible(samples: Samples) -> bool:
    """Whether the loudest 25 ms of 16 kHz `samples` reach QUIET_DBFS; the first samples are needed."""
    step = HEARING_RATE // 40
    if len(samples) < step:
        return False
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    return level_dbfs(blocks[int(np.argmax(np.square(blocks).sum(axis=1)))]) > QUIET_DBFS


class Cutter:
    """Cuts 16 kHz sound into pieces that fit one window, each at the quietest 0.2 s of its last 10 s."""

    def __init__(self) -> None:
        self._held: Samples = np.zeros(0, np.float32)

    def feed(self, samples: Samples) -> Iterator[Samples]:
        """Take the next samples, shape (n,), and give the pieces that are certain; to be read to its end."""
        longest, step, span = int((FULL - ROOM) * HEARING_RATE), HEARING_RATE // 20, 4
        self._held = np.concatenate([self._held, samples]) if len(self._held) else samples
        while len(self._held) > longest:
            start = longest - 10 * HEARING_RATE
            blocks = np.square(self._held[start:longest]).reshape(-1, step).sum(axis=1)
            quietest = int(np.argmin(np.convolve(blocks, np.ones(span), "valid")))
            cut = start + (quietest + span // 2) * step
            piece, self._held = self._held[:cut], self._held[cut:]
            yield piece

    def rest(self) -> Samples:
        """The last piece, when no more comes."""
        rest, self._held = self._held, np.zeros(0, np.float32)
        return rest


def pieces(samples: Samples) -> Iterator[Samples]:
    """The same of sound that is there as a whole."""
    cutter = Cutter()
    yield from cutter.feed(samples)
    yield cutter.rest()
