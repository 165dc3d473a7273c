"""Fonts for what was said: matplotlib's own has no letters of China, Japan, Korea or India."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

OWN = "DejaVu Sans"
"""The font that comes with matplotlib."""
_OTHERS = re.compile(
    r"CJK|Han Sans|WenQuanYi|Hei|Gothic|PingFang|Hiragino|Meiryo|Malgun|Devanagari|Nirmala|Mangal|Kohinoor|"
    r"Lohit|Thai|Arabic|Hebrew|Tahoma|Unicode|Unifont|Droid Sans Fallback"
)
"""Names of fonts that are worth a look: to open all that a machine has takes seconds."""


def families(text: str) -> tuple[list[str], str]:
    """The fonts here that have the letters of `text` between them, and the letters that none has."""
    from matplotlib import font_manager

    manager: Any = font_manager
    found = [OWN]
    missing = _without(manager, {letter for letter in text if letter.isalnum()}, manager.findfont(OWN))
    entries: Iterable[Any] = manager.fontManager.ttflist
    others = {
        each.name: each.fname for each in entries if _OTHERS.search(each.name) and each.style == "normal"
    }
    for name, file in sorted(others.items()) if missing else ():
        if len(left := _without(manager, missing, file)) < len(missing):
            missing = left
            found.append(name)
    return found, "".join(sorted(missing))


def _without(manager: Any, letters: set[str], file: str) -> set[str]:
    font = manager.get_font(file)
    return {letter for letter in letters if not font.get_char_index(ord(letter))}
