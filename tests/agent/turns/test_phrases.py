"""What a few words mean for the turn: every kind, in the spelling that Whisper gives it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agent.turns.elicitation
from agent import languages
from agent.errors import ConfigError
from agent.languages.scripts import words
from agent.settings import Section
from agent.turns.elicitation import Elicitation
from agent.turns.phrases import _File, language, read, squeeze

EN = language("en")

NOTHING = ["", " ", ".", "...", "?!", "[BLANK_AUDIO]", "(coughing)"]
NOTHING += ["*cough*", "[ Silence ]", "♪ ♪", "(door closes) [MUSIC]", "*clears throat*."]
BACKCHANNELS = [
    "uh-huh",
    "Mm-hmm.",
    "Uh-huh.",
    "Hmm.",
    "Hmmmm",
    "Oh.",
    "Oooh!",
    "Right.",
    "Okay, okay.",
    "Mhm.",
    "mm",
]
BACKCHANNELS += [
    "Yeah, right.",
    "Oh, I see.",
    "Yes.",
    "Sure.",
    "Got it.",
    "Really?",
    "Wow!",
    "I see. Uh-huh.",
]
BACKCHANNELS += ["Ha ha ha.", "Hahaha!", "hehe", "Okay, got it, thanks.", "Thank you.", "Mmm, yeah. (laughs)"]
STOPS = [
    "Stop.",
    "Please stop.",
    "Okay, stop.",
    "Wait, wait.",
    "Wait.",
    "Hold on a second.",
    "Be quiet, please.",
]
STOPS += [
    "Shut up!",
    "Enough.",
    "That's enough.",
    "That’s enough, thanks.",
    "Never mind.",
    "No, stop.",
    "Pause",
]
STOPS += ["Can you stop talking please?", "Um, stop.", "Stop. Stop. Stop."]
GO_ONS = ["Go on.", "Please go on.", "Continue.", "Okay, keep going.", "Carry on, please.", "And then?"]
GO_ONS += ["Sorry, go on.", "Don't stop."]
REPEATS = [
    "What did you say?",
    "Say that again.",
    "Pardon?",
    "Sorry?",
    "Can you repeat that?",
    "Repeat that please.",
]
REPEATS += ["Sorry, what did you say?", "Huh?", "I'm sorry, I didn't catch that."]
WORDS = [
    "Wait, how many days are there?",
    "Okay, but what about Paris?",
    "Stop the timer in the kitchen.",
    "No.",
]
WORDS += [
    "What is the capital of Spain?",
    "Right now.",
    "And then we went home.",
    "Yes, but not today.",
    "He",
    "M.",
    "M, I, M.",
]
WORDS += [
    "How do I go on a diet?",
    "Sure, tell me about stop signs.",
    "Thank you for the story about the dragon.",
]

CASES = {
    "nothing": NOTHING,
    "backchannel": BACKCHANNELS,
    "stop": STOPS,
    "go_on": GO_ONS,
    "repeat": REPEATS,
    "words": WORDS,
}


@pytest.mark.parametrize(("text", "kind"), [(text, kind) for kind, texts in CASES.items() for text in texts])
def test_kind(text: str, kind: str):
    assert EN.kind(text) == kind


@pytest.mark.parametrize("text", ["you", "You.", "A.", "Thanks for watching!", "Music", "Bye."])
def test_what_is_made_up_for_noises_is_nothing_only_where_there_may_have_been_no_voice(text: str):
    assert (EN.kind(text, doubtful=True), EN.kind(text)) == ("nothing", "words")


def test_huh_asks_for_a_repeat_only_as_a_question():
    assert (EN.kind("Huh?"), EN.kind("Huh.")) == ("repeat", "backchannel")


_LISTENING = st.sampled_from(
    ["okay", "Right", "uh-huh", "Mm-hmm", "yeah", "Oh", "I see", "hahaha", "hmmm", "Sure"]
)


@given(st.lists(_LISTENING, min_size=1, max_size=8), st.sampled_from([" ", ", ", ". ", "... "]))
def test_back_channels_in_any_number_are_one(parts: list[str], between: str):
    assert EN.kind(between.join(parts) + ".") == "backchannel"


@given(
    st.lists(_LISTENING, max_size=4),
    st.lists(_LISTENING, max_size=4),
    st.sampled_from(["Stop", "wait", "Hold on"]),
)
def test_a_stop_among_back_channels_is_a_stop(before: list[str], after: list[str], stop: str):
    assert EN.kind(", ".join([*before, stop, *after])) == "stop"


@given(
    st.lists(_LISTENING, max_size=4), st.sampled_from(["elephant", "Tuesday", "how many days"]), st.booleans()
)
def test_any_word_of_content_makes_it_words(parts: list[str], content: str, doubtful: bool):
    assert EN.kind(", ".join([*parts, "stop", content]), doubtful=doubtful) == "words"


@given(st.text(max_size=60))
def test_any_text_has_a_kind_whatever_its_case(text: str):
    assert EN.kind(text) == EN.kind(text + " ") in CASES


def test_an_unknown_language_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"'eng'.*did you mean 'en'"):
        language("eng")
    with pytest.raises(ConfigError, match=r"'zz'.*known: .*en"):
        language("zz")


FILE = languages.data("en", "turns.toml") or b""


def keys(section: type[Section], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Every key that the loader knows, and whether it must be there."""
    for key, known in section.model_fields.items():
        yield (*before, key), known.is_required()
        if isinstance(known.annotation, type) and issubclass(known.annotation, Section):
            yield from keys(known.annotation, (*before, key))


KEYS = dict(keys(_File))
MISSING = object()


def changed(path: tuple[str, ...], value: object) -> bytes:
    """The English file with that value there, or without the key."""
    data = tomllib.loads(FILE.decode())
    *above, key = path
    inner = data
    for name in above:
        inner = inner[name]
    inner.pop(key, None)
    if value is not MISSING:
        inner[key] = value
    return written(data).encode()


@pytest.mark.parametrize("path", KEYS, ids=".".join)
@pytest.mark.parametrize("value", [MISSING, 5, [5], {"a": 5}], ids=["missing", "number", "list", "table"])
def test_a_file_that_lacks_a_key_or_has_another_kind_of_value_is_one_line(
    path: tuple[str, ...], value: object
):
    content = changed(path, value)
    if value is MISSING and not KEYS[path]:
        assert read("xx", content).name == "English"
        return
    with pytest.raises(ConfigError) as caught:
        read("xx", content)
    assert re.match(rf"languages/xx/turns\.toml: {re.escape('.'.join(path))}[.:]", str(caught.value))
    assert "\n" not in str(caught.value)


def test_what_may_be_left_out_is_what_a_language_can_do_without():
    optional = {path[0] for path, needed in KEYS.items() if not needed}
    assert optional == {"corrections", "expects_answer", "farewells", "in_place", "speakers", "switch"}
    assert EN.corrections
    assert not read("xx", changed(("corrections",), MISSING)).corrections
    none = read("xx", changed(("farewells",), MISSING))
    assert EN.takes_leave("Goodbye.")
    assert not none.takes_leave("Goodbye.")
    unswitched = read("xx", changed(("switch",), MISSING))
    assert (EN.wished("Speak French."), unswitched.wished("Speak French.")) == ("fr", "")


def written(data: dict, head: str = "") -> str:
    """`data` as TOML."""
    here = [f"{key} = {json.dumps(value)}" for key, value in data.items() if not isinstance(value, dict)]
    tables = [written(each, f"{head}{key}.") for key, each in data.items() if isinstance(each, dict)]
    return "\n".join([f"[{head.rstrip('.')}]" if head else "", *here, *tables])


@pytest.mark.parametrize(
    "data", [b"name = ", b"\xff", FILE + b"[odd]\n", FILE.replace(b"sorry =", b"sory =")]
)
def test_a_file_that_is_no_language_is_one_line(data: bytes):
    with pytest.raises(ConfigError, match=r"^languages/xx/turns\.toml: ") as caught:
        read("xx", data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("only", ["{", "I only know {tongue}.", "{0}", "Only {language}."])
def test_an_apology_is_said_whatever_its_file_has(only: str):
    assert replace(EN, only=only).apology("English").startswith(EN.sorry)


def test_words_are_bare():
    assert words("Uh-huh, that’s  IT!") == ("uh", "huh", "that's", "it")
    assert squeeze("hmmmm") == squeeze("hm") == "hm"


def test_every_entry_of_the_file_can_match():
    """An entry in another spelling than that of `words` would be dead: "Ok", "all-right", a stray space."""
    data = tomllib.loads(FILE.decode())
    data["agreements"] = data["tools"]["agreements"]
    for key in ("name", "expects_answer", "apology", "tools"):
        del data[key]
    for name in ("asking", "stop", "go_on", "repeat"):
        data |= {f"{name}.{key}": texts for key, texts in data.pop(name).items()}
    for name, texts in data.items():
        assert len(texts) == len(set(texts)), f"{name}: {[t for t in texts if texts.count(t) > 1]}"
        for text in texts:
            assert " ".join(words(text)) == text.removesuffix("?"), f"{name}: {text!r}"


def test_what_is_too_long_for_a_command_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed words may be 200,000 characters, and who else talks would wait for it."""
    assert EN.kind("Stop. " * 100) == "stop"

    def counted(text: str, known: frozenset[str]) -> tuple[str, ...]:
        assert len(text) <= agent.turns.phrases.LONGEST
        return words(text, known)

    monkeypatch.setattr(agent.turns.phrases.scripts, "words", counted)
    for said in ("Stop. ", "Mhm. ", "word ", "[", "((("):
        assert EN.kind(said * 40_000) == "words"
        for asking in ("nothing", "yes_no", "open"):
            assert Elicitation(asking).kind(said * 40_000, EN) == "words"
