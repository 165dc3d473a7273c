"""From samples that come in chunks to `Speech`: trims, fades, times the words. Knows no voice, no library."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audio.frame import Samples, silence
from audio.tts import Speech, Word

AUDIBLE = 10 ** (-50 / 20)
BEFORE, AFTER, FADE = 0.010, 0.030, 0.005
"""Seconds kept around what is audible, for soft onsets and the last decay, and faded at each end."""

SENTENCE_PAUSE = 0.16
"""Seconds of silence after a sentence; the voice's own 0.3 s before and after one are trimmed."""

CLAUSE_PAUSE = 0.06
"""Seconds of silence after a comma, colon, semicolon or dash that ends a text."""

_CLOSERS = "\"'”’)]*_」』） \t\r\n"
_STOPS = frozenset(".!?…。！？｡।؟۔።")
_COMMAS = frozenset(",;:—–،؛，、；：")


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is about to be said: characters `start` to `end` of a text, and its words.

    words: times in seconds from the first sample that the voice makes, silence before the speech included.
    pause: seconds of silence that follow. guessed: the words' times are, so that at the end, when the length
    is known, those that are left share what is left.
    """

    start: int
    end: int
    words: Sequence[Word]
    pause: float
    guessed: bool = False


def pause(text: str) -> float:
    """Seconds of silence that the end of `text` asks for."""
    last = text.rstrip(_CLOSERS)[-1:]
    if last in _STOPS or "\n" in text[len(text.rstrip()) :]:
        return SENTENCE_PAUSE
    return CLAUSE_PAUSE if last in _COMMAS else 0.0


def timed(
    words: Sequence[tuple[int, int]], owners: Sequence[int], sounds: Sequence[tuple[str, float, float]]
) -> list[Word]:
    """The words that sound, with their times.

    words: character ranges. sounds: each phoneme with when it begins and finishes in seconds; owners: to
    which word it belongs. Punctuation and spaces belong to none.
    """
    found: dict[int, tuple[float, float]] = {}
    for owner, (sound, begin, finish) in zip(owners, sounds, strict=True):
        if unicodedata.category(sound[0])[0] in "LMN":
            found[owner] = (found[owner][0] if owner in found else begin, finish)
    return [Word(*words[n], *found[n]) for n in sorted(found)]


def assembled(chunks: Iterable[tuple[Samples, bool]], rate: int, spoken: Spoken) -> Iterator[Speech]:
    """The chunks as speech, each handed on as soon as it is there; nothing when none of it is audible.

    Silence at both ends is dropped but for a margin, so what may yet be the end is held back. chunks: each
    with whether it is the last one; where that is not known, the end comes as a part of its own. A word that
    lies within what is there is drawn in to what is audible of it: voices spread pauses over their words.
    """
    before, fade = round(BEFORE * rate), round(FADE * rate)
    held = np.zeros(0, np.float32)
    at = 0
    """Where `held` begins, in samples from the voice's first."""
    zero: int | None = None
    """Where the speech begins, in the same count, once something was audible."""
    cursor, left = spoken.start, list(spoken.words)
    for samples, last in chunks:
        held = np.concatenate([held, samples])
        audible = np.flatnonzero(np.abs(held) > AUDIBLE)
        if zero is None:
            if len(audible) == 0:
                at += max(0, len(held) - before)
                held = held[max(0, len(held) - before) :]
                continue
            skipped = max(0, int(audible[0]) - before)
            at += skipped
            held, audible = held[skipped:].copy(), audible - skipped
            held[:fade] *= np.linspace(0.0, 1.0, min(fade, len(held)), dtype=np.float32)
            zero = at
        ready = min(int(audible[-1]) + 1, len(held) - fade) if len(audible) else 0
        if last or ready < 1:
            continue
        due = [word for word in left if word.begin * rate < at + ready]
        left = left[len(due) :]
        end = left[0].start if left else spoken.end
        words = tuple(_moved(word, audible + at, at + ready, zero, at, rate) for word in due)
        yield Speech(held[:ready].copy(), rate, cursor, end, words)
        held, at, cursor = held[ready:], at + ready, end
    if zero is not None:
        yield _ended(held, at, zero, rate, replace(spoken, start=cursor, words=left))


def _ended(held: Samples, at: int, zero: int, rate: int, spoken: Spoken) -> Speech:
    """The last part: what was held back, without the silence at its end, and the pause."""
    audible = np.flatnonzero(np.abs(held) > AUDIBLE)
    sound = held[: (int(audible[-1]) + 1 if len(audible) else 0) + round(AFTER * rate)].copy()
    ramp = np.linspace(1.0, 0.0, min(round(FADE * rate), len(sound)), dtype=np.float32)
    sound[len(sound) - len(ramp) :] *= ramp
    stop = at + len(sound)
    if spoken.guessed:
        spoken = replace(spoken, words=_shared(spoken.words, at / rate, stop / rate))
    words = tuple(_moved(word, audible + at, stop, zero, at, rate, last=True) for word in spoken.words)
    return Speech(np.concatenate([sound, silence(spoken.pause, rate)]), rate, spoken.start, spoken.end, words)


def _shared(words: Sequence[Word], begin: float, finish: float) -> list[Word]:
    """The words, each with a share of that time in proportion to its letters."""
    letters = sum(word.end - word.start for word in words)
    found: list[Word] = []
    for word in words:
        lasts = (finish - begin) * (word.end - word.start) / letters
        letters -= word.end - word.start
        found.append(Word(word.start, word.end, begin, begin + lasts))
        begin += lasts
    return found


def _moved(
    word: Word, audible: np.ndarray, there: int, zero: int, at: int, rate: int, *, last: bool = False
) -> Word:
    """`word` in seconds from sample `at`, where its part begins; `there`: where the samples end."""
    begin, finish = max(word.begin * rate, zero), max(word.finish * rate, zero)
    if last:
        begin, finish = min(begin, there), min(finish, there)
    if finish <= there:
        heard = audible[np.searchsorted(audible, begin) : np.searchsorted(audible, finish)]
        if len(heard):
            begin, finish = heard[0], heard[-1] + 1
    return Word(word.start, word.end, max(0.0, float(begin - at) / rate), max(0.0, float(finish - at) / rate))
