"""Whose voice it is: who is enrolled, and whom a voice is like. Knows no conversation.

What is kept of a voice is an embedding, from which nobody's words can be had, but by which somebody is known:
it is made by enrolment alone, lies in files of its owner's in one folder, and goes nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast

import numpy as np

from agent.errors import ConfigError, ModelError
from agent.settings import SpeakersConfig
from audio.frame import Frame
from audio.private import replacing
from audio.speaker import Bounds, Embedding, SpeakerEmbedding, spoken, voiced

NAME = re.compile(r"[^\W_][\w -]{0,31}")
"""What a speaker may be called: it is a file's name, and is said to the language model."""
EVERYBODY = "*"
"""In a list of names: all that are enrolled."""

STRETCH, LEAST = 2.0, 5.0
"""Seconds of speech that one embedding is made of at enrolment, and that there must be in all."""

Verdict = Literal["known", "stranger", "doubt"]

Treatment: TypeAlias = Literal["answered", "overheard", "ignored"]
"""What becomes of what somebody says: it is for the agent; it is noted, with who has said it; nothing."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whom a voice is taken for. name: of who is enrolled; "" unless `known`. score: how alike, to 1."""

    verdict: Verdict
    name: str = ""
    score: float = 0.0


def check_lists(config: SpeakersConfig) -> None:
    """Raise ConfigError where the lists of `[speakers]` contradict each other."""
    if not config.only and (config.interrupt or config.overhears or config.strangers != "ignore"):
        raise ConfigError("speakers.only: says who is answered; without it nobody's voice is looked at")
    if both := [name for name in config.overheard if name in config.only]:
        raise ConfigError(
            f"speakers.overheard: {both[0]!r} is answered (speakers.only); name them in one list"
        )
    among = (*config.only, EVERYBODY)
    if other := [name for name in config.interrupt if name not in among and EVERYBODY not in config.only]:
        raise ConfigError(
            f"speakers.interrupt: {other[0]!r} is not in speakers.only; name them there as well"
        )


def amid(who: Speaker | None, *, stranger: bool) -> Speaker | None:
    """Whose voice it is that was heard while it was known to be a stranger who speaks: in doubt, theirs."""
    return Speaker("stranger") if stranger and who is not None and who.verdict == "doubt" else who


@dataclass(frozen=True, slots=True)
class Manners:
    """What whoever speaks may do, by `[speakers]`. In doubt it is the user."""

    config: SpeakersConfig

    def treatment(self, who: Speaker | None) -> Treatment:
        """What becomes of what they say. None: nobody was looked at."""
        if who is None or who.verdict == "doubt":
            return "answered"
        if who.verdict == "known":
            return "overheard" if self._overheard(who.name) else "answered"
        told: dict[str, Treatment] = {"ignore": "ignored", "overhear": "overheard", "answer": "answered"}
        return told[self.config.strangers]

    def may_interrupt(self, who: Speaker | None) -> bool:
        """Whether a reply gives way to their words."""
        if self.treatment(who) != "answered":
            return False
        among = self.config.interrupt
        return not among or EVERYBODY in among or who is None or who.verdict == "doubt" or who.name in among

    def _overheard(self, name: str) -> bool:
        listed = self.config.overheard
        return name in listed or (EVERYBODY in listed and name not in self.config.only)


class SpeakerRecognition(Protocol):
    """Tells whose voice is heard. A plain blocking object.

    bounds: how alike two embeddings are that are of one voice.
    """

    bounds: Bounds

    def who(self, audio: Frame) -> Speaker:
        """Whose voice is in `audio` (mono, any rate). Too little of it is a doubt. Raises EngineFault."""
        ...


class Enrolled:
    """The enrolled voices that are listened to, and what tells them apart.

    names: of whom; `EVERYBODY`: all in the folder. Raises ConfigError for who is not enrolled, ModelError for
    a file that cannot be read.
    """

    def __init__(self, embedding: SpeakerEmbedding, config: SpeakersConfig) -> None:
        self._embedding, self._config, self.bounds = embedding, config, embedding.bounds
        store = SpeakerStore(Path(config.folder).expanduser())
        enrolled = store.names()
        lists = {"only": config.only, "interrupt": config.interrupt, "overheard": config.overheard}
        for setting, names in lists.items():
            if unknown := [name for name in names if name not in (*enrolled, EVERYBODY)]:
                raise ConfigError(
                    f"speakers.{setting}: nobody is enrolled as {unknown[0]!r}; {_enrol(unknown[0])}"
                )
        listed = [name for names in lists.values() for name in names]
        wanted = enrolled if EVERYBODY in listed else list(dict.fromkeys(listed))
        if not wanted:
            raise ConfigError(f"speakers.only: nobody is enrolled; {_enrol('NAME')}")
        self._voices = {name: store.voice(name, embedding.model) for name in wanted}

    def who(self, audio: Frame) -> Speaker:
        """The enrolled speaker whose voice is most like the one in `audio`. A whisper is a doubt."""
        speech = spoken(audio)
        if speech.duration < self.bounds.seconds[0]:
            return Speaker("doubt")
        heard = self._embedding.embed(speech)
        name, score = max(
            ((name, float(heard @ voice)) for name, voice in self._voices.items()), key=lambda found: found[1]
        )
        stranger, known = self.bounds.of(speech.duration)
        if score >= known + self._config.strictness:
            return Speaker("known", name, score)
        strange = score < stranger + self._config.strictness and voiced(speech)
        return Speaker("stranger" if strange else "doubt", "", score)


class SpeakerStore:
    """The embeddings of who is enrolled: a file each, which only its owner reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Who is enrolled, in the order of the alphabet."""
        return sorted(file.stem for file in self.folder.glob("*.json"))

    def voice(self, name: str, model: str) -> Embedding:
        """The embedding of an enrolled speaker, made by that model. Raises ModelError where there is none."""
        file = self._file(name)
        try:
            told = cast(dict[str, Any], json.loads(file.read_text(encoding="utf-8")))
            voice, made_by = np.asarray(told["embedding"], np.float32), told["model"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{file} holds no voice; {_enrol(name)} anew") from error
        if made_by != model:
            raise ModelError(f"{file} is of another model ({made_by}); {_enrol(name)} anew")
        if voice.ndim != 1 or not np.isfinite(voice).all() or not voice.any():
            raise ModelError(f"{file} holds no voice; {_enrol(name)} anew")
        return (voice / np.linalg.norm(voice)).astype(np.float32)

    def enroll(self, name: str, voice: Embedding, model: str) -> Path:
        """Keep this embedding, made by that model, as the speaker's; one of that name is replaced.

        name: as `NAME` has it. Raises ModelError where nothing can be written.
        """
        kept = {"name": name, "model": model, "embedding": [round(float(value), 6) for value in voice]}
        file = self._file(name)
        try:
            with replacing(file) as opened:
                opened.write(json.dumps(kept).encode())
        except OSError as error:
            raise ModelError(f"{file} cannot be written ({error.strerror})") from error
        return file

    def forget(self, name: str) -> None:
        """Delete what is kept of that speaker. Raises ConfigError where nobody is enrolled so."""
        if name not in self.names():
            known = ", ".join(self.names()) or "nobody"
            raise ConfigError(f"nobody is enrolled as {name!r}; enrolled: {known}")
        for file in self.folder.iterdir():  # and what an enrolment has left that was killed
            if file.name == f"{name}.json" or file.name.startswith(f".{name}.json."):
                file.unlink()

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def enrolment(embedding: SpeakerEmbedding, said: Sequence[Frame]) -> Embedding:
    """One speaker's voice from what they have said (mono, any rate): the mean over stretches of `STRETCH`.

    Raises ConfigError where there is too little of it, or where it is not one voice.
    """
    parts = [
        Frame(each.samples[begin : begin + round(STRETCH * each.rate)], each.rate)
        for each in map(spoken, said)
        for begin in range(0, len(each.samples), round(STRETCH * each.rate))
    ]
    if sum(part.duration for part in parts) < LEAST:
        raise ConfigError(f"that is too little to know a voice by; {LEAST:g} seconds of speech are needed")
    voices = [embedding.embed(part) for part in parts if part.duration >= STRETCH / 2]
    mean = np.mean(voices, axis=0)
    mean = (mean / np.linalg.norm(mean)).astype(np.float32)
    if min(float(voice @ mean) for voice in voices) < embedding.bounds.one_voice:
        raise ConfigError("that does not sound like one voice; speak alone, and where it is quiet")
    return mean


def _enrol(name: str) -> str:
    return f"type `backchat speakers enroll {name}`"
