"""From TOML to validated settings. Knows files and error messages, and nothing of what the settings mean."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard, get_args

from pydantic import ValidationError

from agent import languages
from agent.errors import ConfigError
from agent.settings import Config, Section
from agent.text.cleaning import cleaned_data

FILE = "agent.toml"
"""What a language's folder calls the file that is read here."""

RENAMED = {
    "stt.partials": "stt.interim",
    "turns.mumbled": "turns.min_confidence",
    "turns.unintelligible": "turns.false_interruption_timeout",
    "reply.first_piece": "reply.first_chunk",
    "reply.longest_piece": "reply.longest_chunk",
    "costs.eye": "costs.vision",
    "costs.turn": "costs.endpointing",
    "limits.eye": "limits.vision",
    "server.patience": "server.client_timeout",
    "server.grace": "server.drain_timeout",
    "server.backlog": "server.max_buffer",
    "server.stun": "server.ice_servers",
}
"""Settings that had another name before; a file that has it is refused with the new one."""


class LanguageFile(Section):
    """What a language's file has; what each key is for is said in `languages/es/agent.toml`."""

    settings: dict[str, dict[str, Any]]
    sample: str
    caution: str = ""


def load(file: Path | None = None, settings: Sequence[str] = (), language: str | None = None) -> Config:
    """The configuration from a TOML file (or the defaults), then `section.key=value` settings over it.

    language: whose own settings stand below all of these; of several, as "en,es", any may be spoken, the
    first until another is heard. A value is read as TOML, and as a plain string where it is none. Raises
    ConfigError, naming the key, where it was set and the nearest valid name.
    """
    data: dict[str, Any] = {}
    if file is not None:
        try:
            data = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ConfigError(
                f"{file}: cannot be read ({error.strerror}); give the path of a TOML file"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: not valid TOML: {error}") from error
    _validate(data, str(file))
    data = _over(of_languages(language), data) if language is not None else data
    for setting in settings:
        path, equals, value = setting.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (equals and dot and key):
            raise ConfigError(
                f"--set {setting}: write it as section.key=value, for example llm.temperature=0.2"
            )
        _validate({section: {key: _value(value)}}, f"--set {setting}")
        data.setdefault(section, {})[key] = _value(value)
    return _validate(data, "the settings together")


def of_languages(names: str) -> dict[str, dict[str, Any]]:
    """The settings for the agent to hear and speak that language, or several: "en,es". Raises ConfigError."""
    codes = [name.strip() for name in names.split(",")]
    files = [of_language(code).settings for code in codes]
    if len(codes) == 1:
        return files[0]
    # What one of them brings along to hear, or to speak with, fits together: it is taken whole.
    whole = dict(files[0])
    for part in ("stt", "tts"):
        whole[part] = next((file[part] for file in files if part in file), dict[str, Any]())
    whole["stt"] = {**whole["stt"], "language": "auto", "languages": codes}
    whole["tts"] = {**whole["tts"], "language": codes[0]} if whole["tts"] else {}
    return whole


def of_language(name: str) -> LanguageFile:
    """What that language's file has, for the agent to hear and speak it. Raises ConfigError."""
    content = languages.data(name, FILE) if name in languages.folders() else None
    if content is None:
        raise ConfigError(f"--language {name}: no such language; known: {', '.join(languages.folders())}")
    return read_language(name, content)


def cautions(config: Config) -> list[str]:
    """What the files of its languages warn of, each for as long as the transcriber is the file's own."""
    codes = config.stt.languages if config.stt.language == "auto" else (config.stt.language,)
    files = (of_language(code) for code in codes if languages.data(code, FILE) is not None)
    return [
        file.caution
        for file in files
        if file.caution and file.settings.get("stt", {}).get("model") == config.stt.model
    ]


def read_language(name: str, content: bytes) -> LanguageFile:
    """A language's file. Raises ConfigError that names the file, the key and what is wrong."""
    where = f"languages/{name}/{FILE}"
    try:
        file = LanguageFile.model_validate(tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{where}: {key}: {first['msg']}; languages/es/{FILE} explains each key") from None
    _validate(file.settings, f"{where}: settings")
    return file


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """The settings of both; where both have one, that of `above`."""
    return {section: {**below.get(section, {}), **above.get(section, {})} for section in {**below, **above}}


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text  # several lines of TOML are no one value


def _validate(data: dict[str, Any], source: str) -> Config:
    try:
        return Config.model_validate_json(_json(data))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            if new := RENAMED.get(key):
                raise ConfigError(f"{source}: {key} is called {new} now") from None
            raise ConfigError(f"{source}: unknown key {key!r}{_nearest(first['loc'])}") from None
        raise ConfigError(f"{source}: {key}: {first['msg']}, not {first['input']!r}") from None


def _json(data: dict[str, Any]) -> str:
    """TOML data as JSON: in pydantic's strict mode only JSON input may give a list for a tuple."""
    import json

    return json.dumps(cleaned_data(data), default=str)


def _nearest(where: tuple[int | str, ...]) -> str:
    """A hint with the closest valid name, searched beside the unknown key first, then everywhere."""
    *above, wrong = (str(part) for part in where if isinstance(part, str))
    prefix = "".join(f"{part}." for part in above)
    names = dict(_names(Config)) if above else {section: section for section in Config.model_fields}
    beside = {full: k for full, k in names.items() if full == f"{prefix}{k}"}
    for pool in (beside, names):
        close = difflib.get_close_matches(wrong, list(pool.values()), 1, 0.5)
        if close:
            return f"; did you mean {next(full for full, k in pool.items() if k == close[0])!r}?"
    return f"; known here: {', '.join(sorted(beside.values()))}" if beside else ""


def _names(section: type[Section], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each setting below a section, however deep, with its own name."""
    for name, field in section.model_fields.items():
        inner = [each for each in (field.annotation, *get_args(field.annotation)) if _is_section(each)]
        if not inner:
            yield f"{prefix}{name}", name
        for each in inner:
            yield from _names(each, f"{prefix}{name}.")


def _is_section(annotation: Any) -> TypeGuard[type[Section]]:
    return isinstance(annotation, type) and issubclass(annotation, Section)
