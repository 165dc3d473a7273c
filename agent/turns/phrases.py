"""What a few words mean for the turn: listening noises, "stop", "go on", an unfinished end. Knows no sound.

The words themselves are data, one file a language: `agent/languages/xx/turns.toml`. Pure, and without numpy.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, cast

from pydantic import Field, ValidationError

from agent import languages
from agent.errors import ConfigError
from agent.languages import scripts
from agent.settings import Section

Kind = Literal["nothing", "backchannel", "stop", "go_on", "repeat", "words"]
Phrase: TypeAlias = tuple[str, ...]
"""One phrase as bare words; a last element "?" says that it counts only in a question."""

FILE = "turns.toml"
"""What a language's folder calls the file that is read here."""
_ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|♪[^♪]*♪?")
"""What transcribers write for sounds: [BLANK_AUDIO], (coughing), *cough*."""
LONGEST = 1000
"""Characters that a command or a chain of back-channels has at most: 100 kB of typed words took a second."""


@dataclass(frozen=True)
class Command:
    """Phrases that ask one thing of the agent, and what may stand around them."""

    phrases: frozenset[Phrase]
    around: frozenset[Phrase]


class Speakers(Section):
    """What the language model is told where several people talk, and the name of who has none."""

    several: str = (
        "Several people talk; each message begins with the name of who says it. Answer without a name."
    )
    other: str = "another speaker"


@dataclass(frozen=True)
class Language:
    """The word lists of one language, as its file explains them, and what follows from them."""

    code: str
    name: str
    sorry: str
    only: str
    speakers: Speakers
    moment: str
    go_ahead: str
    agreements: Command
    switches: dict[str, Command]
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
    pointing: frozenset[str]
    exclaiming: frozenset[str]
    telling: frozenset[str]
    choosing: frozenset[str]
    dangling: frozenset[str]
    maybe_dangling: frozenset[str]
    halves: frozenset[Phrase]
    promising: dict[str, frozenset[str]]
    holding: frozenset[Phrase]
    question_words: frozenset[str]
    subjects: frozenset[str]
    openings: frozenset[str]
    closings: frozenset[Phrase]
    farewells: Command
    corrections: frozenset[Phrase]
    digits: frozenset[str]
    numbers: frozenset[str]
    announcing: frozenset[str]
    in_place: bool
    expects_answer: float
    known: frozenset[str]

    def words(self, text: str) -> Phrase:
        """The bare words of `text`: lower case, without punctuation, hyphens taken for blanks."""
        return scripts.words(text, self.known)

    def kind(self, text: str, *, doubtful: bool = False) -> Kind:
        """What a user's words are by themselves, whatever they follow.

        text: as transcribed. doubtful: the sound may have been no voice, so that words count as nothing which
        transcribers make up for noises. A command or a back-channel with anything else of content beside it
        is "words", and so is what is too long for one.
        """
        if len(text.strip()) > LONGEST:
            return "words"
        said = self.words(_ASIDE.sub(" ", text))
        if not said or (doubtful and said in self.hallucinations):
            return "nothing"
        asks = scripts.asks(text)
        whole = {said, (*said, "?")} if asks else {said}
        for name, command in self.commands.items():  # "then what?" is no "what?"
            if not whole.isdisjoint(command.phrases):
                return name
        if not whole.isdisjoint(self.backchannels):
            return "backchannel"
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
        """Says that the user was not understood, and which language would be, where only one is."""
        return (
            self.sorry
            if understood is None
            else f"{self.sorry} {self.only.replace('{language}', understood)}"
        )

    def wished(self, text: str) -> str:
        """The language that the words ask to be spoken, by ISO code; "" where they ask for none."""
        said = self.words(text[:LONGEST])
        forms = [each for each in (said, self._unsoftened(said)) if each]  # "sprich bitte Englisch"
        asked = (
            code
            for code, command in self.switches.items()
            if any(self.orders(each, command) for each in forms)
        )
        return next(asked, "")

    def agrees(self, text: str, question: str) -> bool:
        """Whether the words say yes to the question, and no more but what the question says itself."""
        said, asked = self.words(text), frozenset(self.words(question))
        new = tuple(word for word in said if word not in asked)
        return any(bool(each) and self.orders(each, self.agreements) for each in (said, new))

    def takes_leave(self, text: str) -> bool:
        """Whether the words end the talk, and say no more: "Okay, thank you, goodbye."."""
        said = self.words(text) if len(text) <= LONGEST else ()
        return bool(said) and self.orders(said, self.farewells)

    def is_answer(self, text: str) -> bool:
        """Whether the words begin with an answer to a question: yes, no, a number, "I don't know"."""
        said = self.words(text)
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
        longest = max(map(len, wanted | around), default=0)
        # reach[i]: can the first i words be laid out, and does a layout hold a wanted phrase?
        reach: list[set[bool]] = [{False}] + [set() for _ in said]
        for i in range(len(said)):
            for j in range(i + 1, min(i + longest, len(said)) + 1 if reach[i] else 0):
                part = said[i:j]
                sound = j == i + 1 and self._sounded(part[0])
                # Among back-channels, which have nothing around them, a sound is as good as a phrase.
                if part in wanted or (asks and (*part, "?") in wanted) or (sound and not around):
                    reach[j].add(True)
                elif part in around or sound:
                    reach[j] |= reach[i]
        return True in reach[-1]

    def _unsoftened(self, said: Phrase) -> Phrase:
        """The words without what softens a wish, wherever it stands."""
        longest, kept, at = max(map(len, self.softeners), default=0), list[str](), 0
        while at < len(said):
            size = next((n for n in range(longest, 0, -1) if said[at : at + n] in self.softeners), 0)
            kept += said[at : at + 1] if not size else ()
            at += size or 1
        return tuple(kept)

    def _sounded(self, word: str) -> bool:
        """Whether it is a sound, however drawn out ("hmmmm"), or laughter; "M" alone is a letter."""
        sound = len(word) > 1 and squeeze(word) in self.sounds
        return sound or self.laughter.fullmatch(word) is not None


@cache
def language(code: str) -> Language:
    """The language with that ISO code. Raises ConfigError, with the nearest codes, where there is none."""
    known_code = code in languages.folders()
    content = languages.data(code, FILE) if known_code else None
    if known_code and content is None:
        raise ConfigError(
            f"the language {code!r} has no {FILE}; `backchat languages check {code}` says what else is wrong"
        )
    if content is None:
        known = list(languages.folders())
        near = difflib.get_close_matches(code.lower(), known, 3, 0.6)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(known)}"
        raise ConfigError(
            f"stt.language: no turn-taking words for the language {code!r}; {hint} "
            '("auto" goes by those of each language that is spoken)'
        )
    return read(code, content)


def words_of(code: str) -> Language:
    """The words by which turns are taken in a language that was heard; English ones where it has none."""
    return language(code if code in languages.folders() else "en")


def squeeze(word: str) -> str:
    """The word with every run of one letter made a single one: "hmmm" and "hm" are the same sound."""
    return re.sub(r"(.)\1+", r"\1", word)


class _Command(Section):
    phrases: tuple[str, ...]
    around: tuple[str, ...]


class _Stop(_Command):
    ends: tuple[str, ...]
    declines: tuple[str, ...]


class _Asking(Section):
    open_words: tuple[str, ...]
    addressing: tuple[str, ...]
    pointing: tuple[str, ...]
    exclaiming: tuple[str, ...]
    telling: tuple[str, ...]
    choosing: tuple[str, ...]
    requests: tuple[str, ...]
    agreeable: tuple[str, ...]


class _Apology(Section):
    sorry: str
    only: str


class _Tools(Section):
    moment: str
    go_ahead: str
    agreements: tuple[str, ...]


class _Switch(Section):
    phrases: tuple[str, ...] = ()
    around: tuple[str, ...] = ()
    languages: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])


class _File(Section):
    """What a language's file has; what each list is for is said in `languages/en/turns.toml`."""

    name: str
    hallucinations: tuple[str, ...]
    backchannels: tuple[str, ...]
    sounds: tuple[str, ...]
    laughter: tuple[str, ...]
    answers: tuple[str, ...]
    softeners: tuple[str, ...]
    dangling: tuple[str, ...]
    maybe_dangling: tuple[str, ...]
    halves: tuple[str, ...]
    holding: tuple[str, ...]
    question_words: tuple[str, ...]
    subjects: tuple[str, ...]
    openings: tuple[str, ...]
    closings: tuple[str, ...]
    farewells: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    digits: tuple[str, ...]
    numbers: tuple[str, ...]
    announcing: tuple[str, ...]
    in_place: bool = False
    expects_answer: float = Field(default=0.3, gt=0.0, le=1.0)
    promising: dict[str, tuple[str, ...]]
    asking: _Asking
    stop: _Stop
    go_on: _Command
    repeat: _Command
    apology: _Apology
    speakers: Speakers = Speakers()
    tools: _Tools
    switch: _Switch = _Switch()


def read(code: str, data: bytes) -> Language:
    """A language from its TOML file. Raises ConfigError that names the file, the key and what is wrong."""
    where = f"languages/{code}/{FILE}"
    try:
        # In pydantic's strict mode only JSON may give a list for a tuple.
        return _built(code, _File.model_validate_json(json.dumps(tomllib.loads(data.decode()), default=str)))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{where}: {key}: {first['msg']}; languages/en/turns.toml explains each key"
        ) from None


def _laughter(syllables: Iterable[str]) -> re.Pattern[str]:
    """Any of them twice or more, the longest first."""
    among = "|".join(map(re.escape, sorted(syllables, key=len, reverse=True)))
    return re.compile(f"(?:{among}){{2,}}")


def _built(code: str, file: _File) -> Language:
    stop, asking = file.stop, file.asking
    known = frozenset(text for text in _texts(file.model_dump()) if scripts.unspaced(text))

    def phrases_of(texts: Iterable[str]) -> frozenset[Phrase]:
        bare = ((scripts.words(text, known), scripts.asks(text)) for text in texts)
        return frozenset((*phrase, "?") if asks else phrase for phrase, asks in bare)

    softeners = phrases_of(file.softeners)
    ends, declines = phrases_of(stop.ends), phrases_of(stop.declines)
    around = phrases_of(stop.around) | softeners
    return Language(
        code=code,
        name=file.name,
        sorry=file.apology.sorry,
        only=file.apology.only,
        speakers=file.speakers,
        moment=file.tools.moment,
        go_ahead=file.tools.go_ahead,
        agreements=Command(phrases_of(file.tools.agreements), softeners),
        switches=_switches(file.switch, softeners, phrases_of),
        hallucinations=phrases_of(file.hallucinations),
        backchannels=phrases_of(file.backchannels),
        sounds=frozenset(squeeze(word) for word in file.sounds),
        laughter=_laughter(file.laughter),
        answers=phrases_of(file.answers),
        commands={
            "stop": Command(phrases_of(stop.phrases) | ends | declines, around),
            "repeat": Command(phrases_of(file.repeat.phrases), phrases_of(file.repeat.around) | softeners),
            "go_on": Command(phrases_of(file.go_on.phrases), phrases_of(file.go_on.around) | softeners),
        },
        refusals=Command(ends | declines, around),
        declines=Command(declines, around),
        softeners=softeners,
        requests=phrases_of(asking.requests),
        agreeable=phrases_of(asking.agreeable),
        open_words=frozenset(asking.open_words),
        addressing=frozenset(asking.addressing),
        pointing=frozenset(asking.pointing),
        exclaiming=frozenset(asking.exclaiming),
        telling=frozenset(asking.telling),
        choosing=frozenset(asking.choosing),
        closings=phrases_of(file.closings),
        farewells=Command(phrases_of(file.farewells), softeners),
        corrections=phrases_of(file.corrections),
        dangling=frozenset(file.dangling),
        maybe_dangling=frozenset(file.maybe_dangling),
        halves=phrases_of(file.halves),
        promising={word: frozenset(others) for word, others in file.promising.items()},
        holding=phrases_of(file.holding),
        question_words=frozenset(file.question_words),
        subjects=frozenset(file.subjects),
        openings=frozenset(file.openings),
        digits=frozenset(file.digits),
        numbers=frozenset(file.numbers),
        announcing=frozenset(file.announcing),
        in_place=file.in_place,
        expects_answer=file.expects_answer,
        known=known,
    )


def _switches(
    file: _Switch, softeners: frozenset[Phrase], phrases_of: Callable[[Iterable[str]], frozenset[Phrase]]
) -> dict[str, Command]:
    """What asks for each language: every phrase with each of its names."""
    around = phrases_of(file.around) | softeners
    return {
        code: Command(
            phrases_of(each.replace("{language}", name) for each in file.phrases for name in names), around
        )
        for code, names in file.languages.items()
    }


def _texts(value: object) -> Iterator[str]:
    """Every word and phrase of a file, without the mark of a question."""
    if isinstance(value, dict):
        for key, each in cast("dict[str, object]", value).items():
            yield key
            yield from _texts(each)
    elif isinstance(value, tuple | list):
        for each in cast("tuple[object, ...]", value):
            yield from _texts(each)
    elif isinstance(value, str):
        yield value.rstrip(scripts.QUESTION_MARKS)
