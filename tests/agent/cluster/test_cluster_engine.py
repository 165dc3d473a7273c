"""`engine = "ray"` without Ray: an engine behind a line is as it is, and a lost process costs one reply."""

from __future__ import annotations

import itertools
import pickle
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import anyio
import numpy as np
import pytest
from behind_process import LocalLine, behind, processes
from hypothesis import given
from hypothesis import strategies as st

from agent.cluster import line
from agent.cluster.calls import OFFERS, differs
from agent.cluster.engine import engine_at
from agent.cluster.run import begin, build
from agent.config import load
from agent.engines.registry import load_one
from agent.errors import (
    Busy,
    ConfigError,
    ContextExceeded,
    EngineFault,
    EngineStalled,
    MissingExtra,
    RequestError,
)
from agent.messages import Message
from agent.order import Wish, wishing
from agent.protocols import CallsTools, CountsTokens, Delta, Finish, TakesSampling
from agent.runner import Runner
from agent.settings import Config
from audio.frame import Frame
from audio.stt import Choose, DetectsLanguage, Transcript, likeliest
from audio.tts import ChangesVoice, VariesSpeed
from scripted import ScriptedLLM, ScriptedSTT, ScriptedTTS

ASKED = [Message("user", "count")]
SOUND = Frame(np.zeros(160, np.float32), 16_000)


@dataclass
class Counting(ScriptedLLM):
    """Counts what is made, and closed."""

    made: int = 0
    closed: int = 0

    def stream(self, messages):
        try:
            for token in super().stream(messages):
                self.made += 1
                yield token
        finally:
            self.closed += 1


def test_an_answer_is_the_same_and_nothing_is_made_ahead_of_who_pulls() -> None:
    model = Counting(["one two three four"])
    with behind("llm", model) as (remote, _):
        assert isinstance(remote, CallsTools)
        assert not isinstance(remote, CountsTokens | TakesSampling | DetectsLanguage)
        stream = remote.with_tools([]).stream(ASKED)
        assert model.made == 0
        assert list(itertools.islice(stream, 2)) == ["one", " two"]
        time.sleep(0.05)
        assert model.made == 2
        stream.close()
        assert (model.made, model.closed, model.open) == (2, 1, 0)
        assert "".join(remote.stream(ASKED)) == "one two three four"
        assert model.asked[0] == ASKED


def test_an_error_comes_as_it_was_raised() -> None:
    class Full(ScriptedLLM):
        def stream(self, messages):
            yield "well"
            raise ContextExceeded.of(100, 50)

    with behind("llm", Full([])) as (remote, _):
        stream = remote.stream(ASKED)
        assert next(stream) == "well"
        with pytest.raises(ContextExceeded) as caught:
            next(stream)
        assert (caught.value.tokens, caught.value.context) == (100, 50)
        assert "100 tokens" in caught.value.public
    with behind("llm", ScriptedLLM(["one two"], fail_at={0: 1})) as (remote, _):
        with pytest.raises(EngineFault, match="out of paper"):
            list(remote.stream(ASKED))
        assert list(remote.stream(ASKED)) == ["one", " two"]


def test_what_passes_between_processes_is_the_same_there() -> None:
    errors = [
        ContextExceeded.of(100, 50, "shorten it"),
        MissingExtra("it needs a library", "vision"),
        RequestError("schema: no such type", 400, "invalid_schema", param="schema"),
        Busy("all places are taken", retry_after=7),
        EngineStalled("it gave nothing"),
    ]
    errors[-1].engine = "llm"
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.public, again.code) == (
            type(error),
            str(error),
            error.public,
            error.code,
        )
        assert vars(again) == vars(error)
    for item in (Finish(" so", "length", 12, 3), Delta("a", thought="b", end="stop"), Delta(end_of_turn=0.5)):
        again = pickle.loads(pickle.dumps(item))
        assert again == item
        assert type(again) is type(item)
        assert again.end == item.end
        assert again.tokens == item.tokens


def test_a_process_that_is_lost_costs_one_answer_and_between_two_none() -> None:
    one, other = ScriptedLLM(["one two three"]), ScriptedLLM(["four five six"])
    with behind("llm", one, other) as (remote, found):
        stream = remote.stream(ASKED)
        next(stream)
        found[0].lost = True
        with pytest.raises(EngineFault, match="has gone"):
            next(stream)
        assert "".join(remote.stream(ASKED)) == "four five six"
        found[0].again()
        found[1].lost = True
        assert "".join(remote.stream(ASKED)) == "one two three"
        found[0].lost = True
        with pytest.raises(EngineFault, match=r"gone|seat"):
            list(remote.stream(ASKED))


def test_an_engine_that_hangs_costs_one_answer_and_the_next_is_asked_elsewhere() -> None:
    over = threading.Event()

    class Hanging(ScriptedLLM):
        def stream(self, messages):
            yield from itertools.islice(super().stream(messages), 2)
            over.wait(20)

    with behind("llm", Hanging(["one two three"]), ScriptedLLM(["four five six"])) as (remote, _):
        stream = remote.stream(ASKED)
        with wishing(Wish(limit=0.2)):
            assert [next(stream), next(stream)] == ["one", " two"]
            with pytest.raises(EngineStalled):
                next(stream)
        assert "".join(remote.stream(ASKED)) == "four five six"
        over.set()


def test_a_replica_that_comes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when Serve replaces the only one; behind the seat that was lost nothing is asked."""
    with behind("llm", ScriptedLLM(["one", "two"])) as (remote, (process,)):
        assert list(remote.stream(ASKED)) == ["one"]
        monkeypatch.setattr(LocalLine, "patience", 20.0)
        monkeypatch.setattr(line, "time", Tries(process.again))
        process.lost = True
        assert list(remote.stream(ASKED)) == ["two"]


class Tries:
    """A clock that stands; after the third try something happens."""

    def __init__(self, happens) -> None:
        self.happens, self.tried = happens, 0

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.tried += 1
        if self.tried == 3:
            self.happens()


def test_a_seat_that_was_given_up_there_is_taken_anew() -> None:
    with behind("stt", ScriptedSTT(["hello"])) as (remote, (process,)):
        assert remote.transcribe(SOUND).text == "hello"
        (seat,) = process.worker._seats
        process.ask("leave", seat)
        assert remote.transcribe(SOUND).text == "hello"
        assert seat not in process.worker._seats


def test_who_leaves_has_closed_what_it_began_and_its_seat_is_free() -> None:
    model = Counting(["one two three"])
    with processes("llm", model, seats=1) as found:
        lines = [LocalLine("llm", found) for _ in range(2)]
        one, other = (engine_at("llm", line, found[0].ask("facts")) for line in lines)
        stream = one.stream(ASKED)
        next(stream)
        with pytest.raises(EngineFault, match="every seat"):
            next(other.stream(ASKED))
        found[0].ask("leave", lines[0]._seat.name)
        assert (model.closed, model.open) == (1, 0)
        assert "".join(other.stream(ASKED)) == "one two three"
        stream.close()


def test_a_voice_is_the_same_with_what_it_makes_of_itself() -> None:
    voice = ScriptedTTS()
    with behind("tts", voice) as (remote, _):
        assert (remote.rate, remote.language) == (voice.rate, voice.language)
        assert isinstance(remote, VariesSpeed)
        assert not isinstance(remote, ChangesVoice)
        (mine,), (theirs,) = list(voice.faster(2).stream("hello")), list(remote.faster(2).stream("hello"))
        np.testing.assert_array_equal(mine.samples, theirs.samples)
        assert mine.words == theirs.words


@dataclass
class Polyglot(ScriptedTTS):
    """Two voices of two languages."""

    voice: str = "ann"
    loaded_voices: Mapping[str, str] = field(default_factory=lambda: {"ann": "en-gb", "eva": "de"})
    language: str = "en-gb"

    def gender(self, voice: str) -> str:
        return {"ann": "female"}.get(voice, "")

    def with_voice(self, voice: str = "", language: str = "") -> Polyglot:
        name = voice or self.voice
        if language.partition("-")[0] not in ("", self.loaded_voices[name].partition("-")[0]):
            name = next(n for n, spoken in self.loaded_voices.items() if spoken.startswith(language))
        return Polyglot(voice=name, language=self.loaded_voices[name])


def test_another_voice_is_chosen_without_asking_anybody() -> None:
    with behind("tts", Polyglot()) as (remote, (process,)):
        asked = list(process.asked)
        other = remote.with_voice("", "de")
        assert (other.voice, other.language) == ("eva", "de")
        assert (other.gender("ann"), other.gender("eva")) == ("female", "")
        assert (other.with_voice("ann").voice, remote.voice) == ("ann", "ann")
        with pytest.raises(ConfigError, match="nobody"):
            remote.with_voice("nobody")
        assert process.asked == asked
        assert list(other.stream("ja"))


@dataclass
class Listening(ScriptedSTT):
    """Understands stretches, each in the language that is chosen."""

    likely: list[dict[str, float]] = field(default_factory=list)
    detects: bool = True
    heard: int = 0

    def transcribe_in(self, audio: Frame, choose: Choose, *, final: bool = True) -> Transcript:
        self.heard += 1
        return Transcript(" ".join(choose(each) for each in self.likely))


LIKELY = st.lists(st.fixed_dictionaries({"de": st.floats(0, 1), "en": st.floats(0, 1)}), max_size=4)


@given(LIKELY, st.lists(st.sampled_from(["de", "en", None]), min_size=4, max_size=4))
def test_a_language_is_chosen_here_for_what_is_heard_there(likely, wanted) -> None:
    def choosing():
        wishes = iter(wanted)
        return lambda heard: next(wishes) or likeliest(heard)

    seen: list[dict[str, float]] = []
    choose = choosing()
    answers: dict[str, str] = {}

    def stable(heard):  # what is chosen depends on what is heard alone, as in a conversation
        seen.append(dict(heard))
        return answers.setdefault(str(heard), choose(heard))

    chosen: tuple[str, ...] | None = ()
    while chosen is not None:
        asked, last = likely, chosen
        chosen = differs(asked, last, stable)
    made = [*last, *(likeliest(each) for each in likely[len(last) :])]
    assert made == [answers[str(each)] for each in likely]


def test_who_takes_the_likeliest_has_it_heard_once() -> None:
    ear = Listening([], likely=[{"de": 0.9, "en": 0.1}, {"de": 0.2, "en": 0.8}])
    with behind("stt", ear) as (remote, _):
        assert isinstance(remote, DetectsLanguage)
        assert remote.transcribe_in(SOUND, likeliest).text == "de en"
        assert ear.heard == 1
        assert remote.transcribe_in(SOUND, lambda likely: "en").text == "en en"
        assert ear.heard == 3


@dataclass
class Slow(ScriptedSTT):
    """Says who was next."""

    order: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        self.gate.wait(5)
        self.order.append(len(audio.samples))
        return Transcript("so")


def test_who_falls_silent_soonest_goes_first_wherever_its_session_is() -> None:
    ear = Slow([])
    with processes("stt", ear, seats=5) as found:

        def ask(length: int, wish: Wish) -> None:
            line = LocalLine("stt", found)
            with wishing(wish):
                engine_at("stt", line, found[0].ask("facts")).transcribe(
                    Frame(np.zeros(length, np.float32), 16_000)
                )

        wishes = [Wish(), Wish("spare"), Wish(due=3.0), Wish(due=0.5), Wish("background")]
        threads = list[threading.Thread]()
        for length, wish in enumerate(wishes, 1):
            threads.append(threading.Thread(target=ask, args=(length, wish)))
            threads[-1].start()
            time.sleep(0.05)
        ear.gate.set()
        for each in threads:
            each.join()
        assert ear.order == [1, 4, 5, 3, 2]


def test_how_an_item_is_waited_for_is_known_where_it_is_made() -> None:
    from agent.order import wished

    seen = list[Wish]()

    async def main() -> None:
        runner = Runner()
        await runner.call("stt", lambda: seen.append(wished()), 7, lambda: runner.now() + 2)
        await runner.spare("stt", lambda: seen.append(wished()), 5, runner.now() + 9)

        def items() -> Iterator[int]:
            seen.append(wished())
            yield 1

        async with Runner(background=True).stream("llm", items, 3, 4) as stream:
            async for _ in stream:
                pass

    anyio.run(main)
    assert [each.kind for each in seen] == ["needed", "spare", "background"]
    assert [each.limit for each in seen] == [7, 5, 3]
    assert seen[0].due == pytest.approx(2, abs=0.5)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for use in (lambda: begin(Config()), lambda: load_one("llm", load(None, ["llm.engine=ray"]))):
        with pytest.raises(MissingExtra, match=r"needs Ray; type: .*cluster") as caught:
            use()
        assert "\n" not in str(caught.value)


def test_without_a_cluster_its_engines_say_how_to_start_one() -> None:
    pytest.importorskip("ray")
    with pytest.raises(EngineFault, match="backchat serve --cluster"):
        load_one("tts", load(None, ["tts.engine=ray"]))


@pytest.mark.parametrize("wrong", ["nothing", "sets"])
def test_what_a_deployment_file_says_wrongly_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        build({wrong: 1})
    with pytest.raises(ConfigError, match=r"known: .*llamacpp"):
        build({"set": ["llm.engine=nobody"]})


def test_each_protocol_that_an_engine_may_offer_is_offered_behind_a_line_or_said_not_to_be() -> None:
    from agent import protocols
    from audio import stt, tts

    known = {
        name
        for module in (protocols, stt, tts)
        for name, each in vars(module).items()
        if getattr(each, "_is_runtime_protocol", False) and each.__module__ == module.__name__
    }
    of_classes = {"HasDefaultModel", "HasVoices", "ListsVoices", "FetchesModels", "KnowsItsWeights"}
    done_there = {"WarmsUp", "HasSlots", "WritesInTurn"}
    of_vision = {"PassesPictures"}
    assert known - of_classes - done_there - of_vision - {"CountsTokens"} == set(OFFERS)
