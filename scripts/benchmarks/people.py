"""Real people, with what they say: the prompts of Asterisk, one speaker a language, from Debian's packages.

`apt install asterisk-core-sounds-es asterisk-core-sounds-es-g722` and the like; they are not kept here:
CC-BY-SA 3.0 (es, fr) and CC-BY 3.0 (it, ru).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from audio.frame import HEARING_RATE, Frame
from benchmarks.speech import PROMPTS, g722
from benchmarks.voices import PEAK, Utterance

TEXTS = Path("/usr/share/doc")
LONG = (1.5, 8.0)
"""Seconds that such an utterance has."""
FEWEST = 4
"""Words that it has at least: menus are full of single ones."""
SPREAD = 7
"""Of so many that follow each other one is taken before the next: neighbours in the alphabet are alike."""


def utterances(language: str, count: int = 80) -> list[Utterance]:
    """So many whole sentences of one speaker, the same each time. Those of even number are for tuning."""
    texts = TEXTS / f"asterisk-core-sounds-{language}"
    folder = next(iter(sorted(PROMPTS.glob(f"{language}_*_[fm]_*"))), None)
    said = list(_transcripts(texts))
    if folder is None or not said:
        package = f"asterisk-core-sounds-{language}"
        raise SystemExit(
            f"no recorded people for {language}; type: sudo apt install {package} {package}-g722"
        )
    found = list[Utterance]()
    for name, text in (each for first in range(SPREAD) for each in said[first::SPREAD]):
        path = folder / f"{name}.g722"
        if len(re.findall(r"\w+", text)) < FEWEST or not re.search(r"[.!?]$", text) or not path.is_file():
            continue
        audio = _trimmed(g722(path))
        if LONG[0] <= audio.duration <= LONG[1]:
            found.append(Utterance(name, "human", "statement", text, audio, ()))
        if len(found) == count:
            break
    return found


def _transcripts(folder: Path) -> Iterator[tuple[str, str]]:
    """What each file says: lines of `name: words`. Notes in brackets are no words."""
    for path in sorted(folder.glob("*.txt*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in raw.decode("utf-8", "replace").splitlines():
            name, colon, words = line.partition(":")
            if colon and not line.startswith(";") and not re.search(r"[\[(\ufffd]|\w\?\w", words):
                yield name.strip(), words.strip()


def _trimmed(frame: Frame) -> Frame:
    """Without silence around it, peak at `PEAK`."""
    loud = np.flatnonzero(np.abs(frame.samples) > 0.01)
    if not len(loud):
        return Frame(frame.samples[:0], HEARING_RATE)
    sound = frame.samples[loud[0] : loud[-1] + 1]
    return Frame((sound * (PEAK / np.abs(sound).max())).astype(np.float32), HEARING_RATE)
