"""What no line of the log may hold: the server's secrets, and where things lie on this machine.

Words of conversations are taken out where an error is caught, by who knows them (`transports.disclosure`).
Knows no wire and no logger.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from agent.settings import Config

HIDDEN = "…"
SHORTEST = 8
"""Characters of a secret; a shorter value would be found in innocent words."""
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS|HEADERS)$")
"""How a variable of the environment ends that holds a secret."""
_FILES = ("token_file", "certificate", "key", "projector", "reference")
"""Settings that are files however short they are."""
_CREDENTIAL = re.compile(
    r"(?i)\b(bearer\s+|basic\s+|sk-|(?:api[-_ ]?key|token|secret|password)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;)]+"
)
"""A secret that somebody else's text shows, and we do not know."""
_PLACE = re.compile(
    r"""
    (?P<url>\b(?!file:)[a-z][a-z0-9+.-]*://[^\s"'<>]+)
    |(?P<quote>["'`])(?:file:|~|\.{1,2}|[a-z]:)?[/\\](?:(?!(?P=quote))[^\n])+(?P=quote)
    |(?<![\w.])(?:file:|~[\w-]*|\.{1,2}|[a-z]:)?(?:[/\\]+[^\s/\\"'`,;:()<>\[\]{}|]+)+[/\\]?
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""An address, which stays; a path in quotes, which may have blanks; a path without."""


class Concealment:
    """Hides what is known to be secret by its value, and paths by how they look.

    names: each value that is hidden, with the name of the setting or variable that stands there instead.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = dict(names or {})
        longest_first = sorted(self._names, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @classmethod
    def of(
        cls, config: Config, token: str | None = None, environ: Mapping[str, str] = os.environ
    ) -> Concealment:
        """What a server with these settings has to hide."""
        names = dict(_places(config.model_dump(), ""))
        named = {config.llm.api_key_env, *(each.credential_env for each in config.server.ice_servers)}
        names |= {
            value.strip(): name
            for name, value in environ.items()
            if _SECRET_NAME.search(name.upper()) or name in named
            if len(value.strip()) >= SHORTEST
        }
        if token:
            names[token] = config.server.token_env
        return cls(names)

    def known(self, text: str) -> str:
        """`text` without the values that are known."""
        return self._known.sub(lambda found: f"[{self._names[found[0]]}]", text)

    def __call__(self, text: str) -> str:
        """`text`, which may be anybody's, also without paths and other secrets."""
        return _PLACE.sub(_placeless, _CREDENTIAL.sub(rf"\1{HIDDEN}", self.known(text)))


def _placeless(found: re.Match[str]) -> str:
    if (url := found["url"]) is None:
        quote = found["quote"] or ""
        return f"{quote}{HIDDEN}{quote}"
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2].partition('?')[0]}{slash}{path.partition('?')[0]}"


def _places(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Each setting that is a path or an address, as it is given and as it is opened, with its name."""
    if isinstance(value, dict):
        for name, each in cast(dict[str, Any], value).items():
            yield from _places(each, f"{where}.{name}".strip("."))
    elif isinstance(value, str) and where != "session.system":
        file = where.rpartition(".")[2] in _FILES and len(value) >= SHORTEST
        if value and (file or "/" in value or os.sep in value):
            yield value, where
            if "://" not in value:
                path = Path(value).expanduser()
                yield from ((str(each), where) for each in (path, path.absolute()))
