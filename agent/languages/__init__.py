"""The languages that backchat speaks: a folder each, of data alone. Knows where they are, not what they say.

A folder is called by its language's ISO 639 code and has three files: `turns.toml` (the words that decide
turns), `text.toml` (how numbers, abbreviations and signs are read; English has rules in code instead) and
`agent.toml` (instructions, transcriber and voice). Another package adds a language by an entry point in the
group `backchat.languages`: the code, and the package that is its folder.
"""

from __future__ import annotations

import importlib.resources
import re
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources.abc import Traversable

from agent.errors import ConfigError, in_one_line


def code(name: str) -> str:
    """The language that a name means: "pt" for "pt-br", "es" for "spa_MX"."""
    first = re.split(r"[-_]", name.lower())[0]
    return _THREE_LETTERS.get(first, first)


@cache
def _ours() -> dict[str, Traversable]:
    ours = importlib.resources.files("agent.languages")
    return {folder.name: folder for folder in ours.iterdir() if folder.joinpath("turns.toml").is_file()}


@cache
def folders() -> dict[str, Traversable | EntryPoint]:
    """Every language that has a folder, by its code: ours, and the entry points of other packages."""
    found = _ours()
    others = {point.name: point for point in entry_points(group="backchat.languages")}
    return {name: (others | found)[name] for name in sorted(others | found)}


def data(name: str, file: str) -> bytes | None:
    """The bytes of a language's file; None where it has none, or where there is no such language.

    Raises ConfigError where it is of a package that cannot be imported.
    """
    folder = _ours().get(code(name)) or folders().get(code(name))
    if isinstance(folder, EntryPoint):
        folder = _folder_of(folder)
    path = folder.joinpath(file) if folder else None
    return path.read_bytes() if path is not None and path.is_file() else None


def _folder_of(point: EntryPoint) -> Traversable:
    try:
        return importlib.resources.files(point.value)
    except Exception as error:
        package = point.dist.name if point.dist is not None else point.value
        raise ConfigError(
            f"the language {point.name!r} of the package {package} cannot be loaded "
            f"({in_one_line(error)}); repair it, or uninstall it: pip uninstall {package}"
        ) from error


_THREE_LETTERS = {
    "eng": "en",
    "spa": "es",
    "fra": "fr",
    "fre": "fr",
    "ita": "it",
    "por": "pt",
    "deu": "de",
    "ger": "de",
    "nld": "nl",
    "pol": "pl",
    "rus": "ru",
    "zho": "zh",
    "jpn": "ja",
    "hin": "hi",
    "swe": "sv",
    "dan": "da",
}
"""Three letters of ISO 639-2 and the two of ISO 639-1, which folders are called by."""
