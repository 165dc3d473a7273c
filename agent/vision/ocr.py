"""Reads what is in a picture: signs, labels, screens, print, by RapidOCR. Knows letters and colours only."""

from __future__ import annotations

import colorsys
import math
import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.errors import MissingExtra
from agent.images import Picture, Pixels
from agent.protocols import Description

SIDE = 960
"""Pixels of the longer side in which text is looked for."""
SURE = 0.6
"""RapidOCR's confidence from which a line of text is told."""
WRITING = 0.7
"""RapidOCR's confidence from which a part of the picture is writing in any letters: it gave those of seven
alphabets 0.70 to 0.89, circles up to 0.68; a plain or soft picture as a whole up to 0.92."""
MOST = 600
"""Most characters of text that are told; a small model reads a page slowly."""
SHORT = 120
"""Most characters that the history keeps."""
HUES = ("red", "yellow", "green", "turquoise", "blue", "purple")
"""Sixths of the circle of colours, from 0 degrees."""
LARGE, SMALL = 0.09, 0.03
"""Height of a line, as a share of the picture's, from which it is large, and below which it is small."""


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text. x, y: its middle, 0 to 1 from left and top; height: of its letters, 0 to 1."""

    text: str
    x: float
    y: float
    height: float

    @property
    def place(self) -> str:
        """Roughly where it is."""
        across = "left" if self.x < 0.33 else "right" if self.x > 0.67 else ""
        down = "top" if self.y < 0.33 else "bottom" if self.y > 0.67 else ""
        return f"{down} {across}".strip() or "middle"

    @property
    def size(self) -> str:
        """Roughly how large it is."""
        return "large" if self.height >= LARGE else "small" if self.height < SMALL else "medium"


class OCR:
    """Reads text in any picture; RapidOCR (PP-OCRv6, in its package) finds lines and reads them.

    threads: 0 is half of the cores, so that the voice goes on meanwhile. The library is loaded when the
    first picture comes: who shows none pays nothing. Text in Latin letters, Chinese or Japanese.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self._threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._reader: Any = None

    def look(self, picture: Picture) -> Description:
        """The text in `picture`, from top to bottom, and what else is plain to see. Raises MissingExtra."""
        if self._reader is None:
            self._reader = _load(self._threads)
        pixels = np.ascontiguousarray(picture.pixels[:, :, ::-1])  # RapidOCR wants blue first
        found = self._reader(pixels, use_det=True, use_cls=True, use_rec=True)
        texts: tuple[str, ...] = found.txts or ()
        scores: tuple[float, ...] = found.scores or ()
        boxes = np.asarray(found.boxes if found.boxes is not None else np.zeros((0, 4, 2)), np.float64)
        sure = [i for i, score in enumerate(scores) if score >= SURE and readable(texts[i])]
        height, width = picture.pixels.shape[:2]
        lines = in_order([texts[i].strip() for i in sure], boxes[sure], width, height)
        return told(picture, lines, more=len(texts) > len(sure) or (not lines and self._written(pixels)))

    def _written(self, pixels: Any) -> bool:
        """Whether there seems to be writing at all: of lines in letters that it does not know, RapidOCR tells
        nothing.
        """
        found = self._reader(pixels, use_det=True, use_cls=False, use_rec=False)
        if found.boxes is None:
            return False
        extents = np.ptp(np.asarray(found.boxes), axis=1)
        part = (extents < 0.95 * np.array([pixels.shape[1], pixels.shape[0]])).any(axis=1)
        return bool((part & (np.asarray(found.scores) >= WRITING)).any())


def readable(text: str) -> bool:
    """Whether a line is more than what comes of letters that the reader does not know.

    Those it takes for marks alone, or for letters of several alphabets in one word or line. A Greek letter by
    itself belongs to the formulas of every language.
    """
    kinds = [{kind for kind in map(_alphabet, word) if kind} for word in text.split()]
    greek = [sum(_alphabet(letter) == "greek" for letter in word) for word in text.split()]
    mixed = any({"greek", "latin"} <= kind and count > 1 for kind, count in zip(kinds, greek, strict=True))
    far = {"greek", "far"} <= set[str]().union(*kinds)
    return any(map(str.isalnum, text)) and not mixed and not far


def _alphabet(letter: str) -> str:
    """Whose letter it is: "latin", "greek", "far" (Chinese, Japanese), or "" for what is none of these."""
    name = unicodedata.name(letter, "")
    far = name.startswith(("CJK", "HIRAGANA", "KATAKANA"))
    return "far" if far else next((kind for kind in ("latin", "greek") if name.startswith(kind.upper())), "")


def in_order(texts: list[str], boxes: Any, width: int, height: int) -> list[Text]:
    """Lines as a user reads them: from top to bottom, what is level from left to right.

    boxes: n x 4 x 2, corners in pixels from the top left one clockwise along the text. Rows are those of
    the text, which may be tilted: the middles are turned back by the boxes' median angle first.
    """
    if not texts:
        return []
    along, down = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 0]
    angle = float(np.median(np.arctan2(along[:, 1], along[:, 0])))
    tall = np.hypot(down[:, 0], down[:, 1])
    middles = boxes.mean(axis=1)
    level = middles[:, 1] * math.cos(angle) - middles[:, 0] * math.sin(angle)
    across = middles[:, 0] * math.cos(angle) + middles[:, 1] * math.sin(angle)
    order, rows = np.argsort(level), list[list[int]]()
    for i in order:
        first = rows[-1][0] if rows else None
        if first is not None and level[i] - level[first] < 0.5 * min(tall[i], tall[first]):
            rows[-1].append(int(i))
        else:
            rows.append([int(i)])
    return [
        Text(texts[i], middles[i, 0] / width, middles[i, 1] / height, tall[i] / height)
        for row in rows
        for i in sorted(row, key=lambda one: across[one])
    ]


def told(picture: Picture, lines: list[Text], *, more: bool = False) -> Description:
    """What a language model is told of a picture with that text; `more`: and with some that was not read."""
    shown = {"camera": "what my camera shows", "screen": "my screen"}.get(picture.kind, "this picture")
    facts = f"{picture.width} by {picture.height} pixels, {colour(picture.pixels)}"
    if not lines and more:
        says = f"I see it: {facts}. There seems to be text in it, but no text that I can read."
        return Description(
            f"Look at {shown}.", says, f"I showed you {shown}, with no text that you can read."
        )
    if not lines:
        says = f"I see it: {facts}. There is no text in it, and I cannot tell what else it shows."
        return Description(f"Look at {shown}.", says, f"I showed you {shown}, without text.")
    kept = [line for at, line in enumerate(lines) if sum(len(one.text) for one in lines[:at]) < MOST]
    parts = ", ".join(f'"{line.text}" ({line.size}, {line.place})' for line in kept)
    words = ", ".join(line.text for line in kept)[:MOST]
    short = words if len(words) <= SHORT else words[: SHORT - 1].rstrip() + "…"
    rest = " There is more that I cannot read." if more else ""
    says = f'I see it: {facts}, with {parts}. It says: "{words}".{rest}'
    return Description(f"Look at {shown}.", says, f'I showed you {shown}. It said: "{short}".')


def colour(pixels: Pixels) -> str:
    """The colour that most of the picture has, in a word or two."""
    few = pixels[:: max(1, pixels.shape[0] // 32), :: max(1, pixels.shape[1] // 32)].reshape(-1, 3)
    counts = Counter(_named(*map(int, one)) for one in few)
    return f"mostly {counts.most_common(1)[0][0]}"


def _named(red: int, green: int, blue: int) -> str:
    high, low = max(red, green, blue), min(red, green, blue)
    if high < 60:
        return "black"
    if high - low < 40:
        return "white" if high > 200 else "grey"
    hue, _, _ = colorsys.rgb_to_hsv(red, green, blue)
    return HUES[round(hue * len(HUES)) % len(HUES)]


def _load(threads: int) -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise MissingExtra("reading pictures needs more libraries", "vision") from error
    runtime = "EngineConfig.onnxruntime"
    settings = {
        "Global.log_level": "critical",
        "Global.text_score": SURE,
        "Det.limit_type": "max",
        "Det.limit_side_len": SIDE,
        f"{runtime}.intra_op_num_threads": threads,
        f"{runtime}.inter_op_num_threads": 1,
    }
    return RapidOCR(params=settings)
