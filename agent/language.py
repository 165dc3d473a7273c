"""What a few words mean for the turn: listening noises, "stop", "go on", an unfinished end. Knows no sound.

The words themselves are data, one file a language in `agent/languages`. Pure, and without numpy.
"""

from __future__ import annotations

import difflib
import importlib.resources
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from agent.errors import ConfigError

Kind = Literal["nothing", "backchannel", "stop", "go_on", "repeat", "words"]
Phrase: TypeAlias = tuple[str, ...]
"""One phrase as bare words; a last element "?" says that it counts only in a question."""

_ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|♪[^♪]*♪?")
"""What transcribers write for sounds: [BLANK_AUDIO], (coughing), *cough*."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class Command:
    """Phrases that ask one thing of the agent, and what may stand around them."""

    phrases: frozenset[Phrase]
    around: frozenset[Phrase]


@dataclass(frozen=True)
class Language:
    """The word lists of one language, as its file explains them, and what follows from them."""

    code: str
    name: str
    sorry: str
    only: str
    hallucinations: frozenset[Phrase]
    backchannels: frozenset[Phrase]
    sounds: frozenset[str]
    laughter: re.Pattern[str]
    answers: frozenset[Phrase]
    commands: dict[Literal["stop", "repeat", "go_on"], Command]
    refusals: Command
    declines: Command
    softeners: frozenset[Phrase]
    requests: frozenset[Phrase]
    agreeable: frozenset[Phrase]
    open_words: frozenset[str]
    addressing: frozenset[str]
    dangling: frozenset[str]
    maybe_dangling: frozenset[str]
    halves: frozenset[str]
    promising: dict[str, frozenset[str]]
    holding: frozenset[Phrase]
    question_words: frozenset[str]
    subjects: frozenset[str]
    openings: frozenset[str]
    closings: frozenset[Phrase]
    digits: frozenset[str]
    numbers: frozenset[str]
    announcing: frozenset[str]

    def kind(self, text: str, *, doubtful: bool = False) -> Kind:
        """What a person's words are by themselves, whatever they follow.

        text: as transcribed. doubtful: the sound may have been no voice, so that words count as nothing which
        transcribers make up for noises. A command or a back-channel with anything else of content beside it
        is "words".
        """
        said = words(_ASIDE.sub(" ", text))
        if not said or (doubtful and said in self.hallucinations):
            return "nothing"
        asks = text.rstrip(" \"'”’").endswith("?")
        for name, command in self.commands.items():
            if self.orders(said, command, asks):
                return name
        if self._tiled(said, self.backchannels, frozenset(), asks):
            return "backchannel"
        return "words"

    def orders(self, said: Phrase, command: Command, asks: bool = False) -> bool:
        """Whether the words are that command and no more. asks: they end in a question mark."""
        return self._tiled(said, command.phrases, command.around | self.backchannels, asks)

    def apology(self, understood: str | None) -> str:
        """Says that the person was not understood, and which language would be, where only one is."""
        return self.sorry if understood is None else f"{self.sorry} {self.only.format(language=understood)}"

    def is_answer(self, text: str) -> bool:
        """Whether the words begin with an answer to a question: yes, no, a number, "I don't know"."""
        said = words(text)
        return bool(said) and (
            any(said[:n] in self.answers for n in range(1, 5))
            or said[0].isdigit()
            or said[0] in self.digits | self.numbers
        )

    def answers_within(self, said: Phrase) -> bool:
        """Whether any part of a chain of back-channels is an answer."""
        spans = ((i, j) for i in range(len(said)) for j in range(i + 1, min(i + 4, len(said)) + 1))
        return any(said[i:j] in self.answers for i, j in spans)

    def _tiled(self, said: Phrase, wanted: frozenset[Phrase], around: frozenset[Phrase], asks: bool) -> bool:
        """Whether `said` is a chain of phrases, at least one wanted, the others wanted, around or sounds."""
        # reach[i]: can the first i words be laid out, and does a layout hold a wanted phrase?
        reach: list[set[bool]] = [{False}] + [set() for _ in said]
        for i in range(len(said)):
            for j in range(i + 1, min(i + 7, len(said)) + 1 if reach[i] else 0):
                part = said[i:j]
                sound = j == i + 1 and self._sounded(part[0])
                # Among back-channels, which have nothing around them, a sound is as good as a phrase.
                if part in wanted or (asks and (*part, "?") in wanted) or (sound and not around):
                    reach[j].add(True)
                elif part in around or sound:
                    reach[j] |= reach[i]
        return True in reach[-1]

    def _sounded(self, word: str) -> bool:
        """Whether it is a sound, however drawn out ("hmmmm"), or laughter; "M" alone is a letter."""
        sound = len(word) > 1 and squeeze(word) in self.sounds
        return sound or self.laughter.fullmatch(word) is not None


@cache
def language(code: str) -> Language:
    """The language with that ISO code. Raises ConfigError, with the nearest codes, where there is none."""
    folder = importlib.resources.files("agent").joinpath("languages")
    known = sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))
    if code not in known:
        near = difflib.get_close_matches(code.lower(), known, 3, 0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(known)}"
        raise ConfigError(f"no turn-taking words for the language {code!r}; {hint}")
    return _read(code, tomllib.loads(folder.joinpath(f"{code}.toml").read_text(encoding="utf-8")))


def words(text: str) -> Phrase:
    """The bare words of `text`: lower case, without punctuation, hyphens taken for spaces."""
    return tuple(_WORD.findall(text.lower().replace("’", "'")))


def squeeze(word: str) -> str:
    """The word with every run of one letter made a single one: "hmmm" and "hm" are the same sound."""
    return re.sub(r"(.)\1+", r"\1", word)


def _read(code: str, data: dict[str, Any]) -> Language:
    softeners = _phrases(data["softeners"])
    syllables = "|".join(map(re.escape, sorted(data["laughter"], key=len, reverse=True)))
    stop, asking = data["stop"], data["asking"]
    ends, declines = _phrases(stop["ends"]), _phrases(stop["declines"])
    around = _phrases(stop["around"]) | softeners
    return Language(
        code=code,
        name=data["name"],
        sorry=data["apology"]["sorry"],
        only=data["apology"]["only"],
        hallucinations=_phrases(data["hallucinations"]),
        backchannels=_phrases(data["backchannels"]),
        sounds=frozenset(squeeze(word) for word in data["sounds"]),
        laughter=re.compile(f"(?:{syllables}){{2,}}"),
        answers=_phrases(data["answers"]),
        commands={
            "stop": Command(_phrases(stop["phrases"]) | ends | declines, around),
            **{
                name: Command(_phrases(data[name]["phrases"]), _phrases(data[name]["around"]) | softeners)
                for name in ("repeat", "go_on")
            },
        },
        refusals=Command(ends | declines, around),
        declines=Command(declines, around),
        softeners=softeners,
        requests=_phrases(asking["requests"]),
        agreeable=_phrases(asking["agreeable"]),
        open_words=frozenset(asking["open_words"]),
        addressing=frozenset(asking["addressing"]),
        closings=_phrases(data["closings"]),
        dangling=frozenset(data["dangling"]),
        maybe_dangling=frozenset(data["maybe_dangling"]),
        halves=frozenset(data["halves"]),
        promising={word: frozenset(others) for word, others in data["promising"].items()},
        holding=_phrases(data["holding"]),
        question_words=frozenset(data["question_words"]),
        subjects=frozenset(data["subjects"]),
        openings=frozenset(data["openings"]),
        digits=frozenset(data["digits"]),
        numbers=frozenset(data["numbers"]),
        announcing=frozenset(data["announcing"]),
    )


def _phrases(texts: list[str]) -> frozenset[Phrase]:
    return frozenset((*words(text), "?") if text.endswith("?") else words(text) for text in texts)
