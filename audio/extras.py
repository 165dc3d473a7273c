"""How the libraries of an extra are installed: it depends on how backchat itself was. Knows no library."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
"""The clone, where this is one."""


def how_to_install(extra: str) -> str:
    """What to type for the libraries of that extra of pyproject.toml.

    In a clone its own script; beside a wheel that wheel, which the installer has noted (PEP 610); else
    the package's name, as from an index.
    """
    if (ROOT / "pyproject.toml").is_file() and (ROOT / "scripts" / "setup").is_file():
        here = Path.cwd() == ROOT
        return f"scripts/setup {extra}" if here else f"{ROOT / 'scripts' / 'setup'} {extra}"
    wheel = _wheel()
    return f"pip install '{wheel or 'backchat'}[{extra}]'"


def _wheel() -> str | None:
    """The path of the wheel that backchat was installed from; None where it was none on this machine."""
    try:
        noted = distribution("backchat").read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    url = urlsplit(str(json.loads(noted)["url"]) if noted else "")
    path = unquote(url.path)
    return path if url.scheme == "file" and path.endswith(".whl") else None
