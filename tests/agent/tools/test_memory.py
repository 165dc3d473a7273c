"""Notes: remembered in one process, known the next day in another, and forgotten everywhere."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.conversation.history import History
from agent.errors import ToolError
from agent.messages import Message, ToolCall
from agent.settings import ToolsConfig
from agent.tools.memory import meaning
from agent.tools.memory.keeping import InFile
from agent.tools.memory.notes import TOLD, Notes, about_any, known
from agent.tools.nowhere import Nowhere
from agent.tools.registry import loaded
from agent.tools.tool import Tool, ToolContext

PROGRAM = """
import json, sys
from agent import events, runner, testing
from agent.config import load
from agent.settings import ToolsConfig
from agent.testing import call
from agent.tools.registry import loaded

folder, day, hears, replies = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4])
runner.VIRTUAL_START += 86400 * day
made = lambda part: call(part.pop("name"), **part) if isinstance(part, dict) else part
written = [[made(part) for part in reply] for reply in replies]
llm = testing.ScriptedLLM(written)

async def talk():
    tools = loaded(ToolsConfig(use=("notes",), folder=folder))
    async with testing.session(hears, [], load(None, ["turns.meaning=off"]), tools=tools, llm=llm) as session:
        for _ in hears:
            await session.push_audio(*testing.loud(1.0))
            await session.push_audio(*testing.quiet(6.0))
        session.close()
        return [event async for event in session.events()], [m.content for m in session.history]

seen, history = testing.run(talk)
results = [event.result for event in seen if isinstance(event, events.ToolReturned)]
texts = lambda asked: [m.content + " ".join(c.arguments for c in m.calls) for m in asked]
prompts = [" ".join(texts(asked)) for asked in llm.asked]
print(json.dumps({"results": results, "prompts": prompts, "history": history}))
"""


def process(folder: Path, day: int, hears: list[str], replies: list[list[Any]]) -> dict[str, list[str]]:
    """One day's conversation in a process of its own; what it knew and was asked with."""
    given = [str(folder), str(day), json.dumps(hears), json.dumps(replies)]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *given], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_remembered_is_known_the_next_day_and_what_is_forgotten_is_nowhere(tmp_path: Path) -> None:
    note = {"name": "remember", "note": "The user is allergic to peanuts."}
    told = process(tmp_path, 0, ["Remember that I am allergic to peanuts."], [[note], ["I will."]])
    assert told["results"] == ["Remembered: The user is allergic to peanuts."]
    assert (tmp_path / "notes.md").read_text() == "- The user is allergic to peanuts. (2026-01-01)\n"

    hears = ["What can't I eat?", "Forget that.", "What can't I eat?"]
    recall = {"name": "recall", "about": "what the user cannot eat, allergic"}
    replies = [[recall], ["No peanuts."], [{"name": "forget"}], ["It is gone."], [recall], ["I do not know."]]
    told = process(tmp_path, 1, hears, replies)
    assert told["results"] == [
        "The user is allergic to peanuts. (2026-01-01)",
        "Forgotten: 1 note.",
        "Nothing has been remembered.",
    ]
    known = ["peanut" in prompt.lower() for prompt in told["prompts"]]
    assert known == [True, True, True, False, False, False], "from the moment that it is forgotten"
    assert "peanut" not in " ".join(told["history"]).lower()
    found = [
        path for path in tmp_path.rglob("*") if path.is_file() and b"peanut" in path.read_bytes().lower()
    ]
    assert not found


def turn(user: str, reply: str, *calls: str, result: str = "") -> list[Message]:
    made = tuple(ToolCall(str(n), "x", arguments) for n, arguments in enumerate(calls))
    done = [Message("assistant", "", calls=made), *(Message("tool", result, call=c.id) for c in made)]
    return [Message("user", user), *(done if calls else []), Message("assistant", reply)]


TURNS = [
    turn("I cannot eat peanuts.", "I see."),
    turn("Note that.", "I will.", '{"note": "no Peanuts"}'),
    turn("Which?", "Those.", "{}", result="- peanuts"),
    turn("A cake?", "One without peanuts."),
]
OTHERS = [turn("It rains.", "It does."), turn("And now?", "Noon.", "{}", result="12:00")]


def said_in(history: History) -> list[str]:
    return [part.message.content for part in history.parts if not part.message.empty]


@given(
    st.lists(st.sampled_from([*TURNS, *OTHERS]), min_size=1, max_size=8), st.sampled_from(["that", "peanuts"])
)
def test_of_what_is_forgotten_no_turn_is_left(turns: list[list[Message]], words: str) -> None:
    """Whoever said it, in words, in a call or in its result; and all else stays."""
    history = History("Be kind.")
    for said in turns:
        history.user(said[0].content)
        history.agent(said[-1].content, "", said[1:-1])
    history.user(f"Forget {words}.")
    history.forget(about_any(["The user is allergic to peanuts. (2026-01-01)"]))
    left = [message.content for said in turns if said in OTHERS for message in said]
    assert said_in(history) == [*left, f"Forget {words}."]
    history.agent("Gone.", "")
    again = [] if words == "peanuts" else [f"Forget {words}.", "Gone."]
    assert said_in(history) == [*left, *again]
    history.user("I like peanuts again.")
    history.agent("Good.", "")
    assert said_in(history)[-1] == "Good."


def test_what_was_left_to_say_is_forgotten_too() -> None:
    history = History("")
    history.user("What can't I eat?")
    history.agent("No", "peanuts, of course.")
    history.forget(about_any(["Allergic to peanuts. (2026-01-01)"]))
    assert history.unheard == ""


class Alike:
    """What is like what is said in a table."""

    def __init__(self, **likeness: float) -> None:
        self._likeness = likeness

    def likeness(self, text: str, others: Sequence[str]) -> list[float]:
        return [self._likeness.get(other.split()[0], -0.1) for other in others]


@pytest.mark.parametrize(
    ("similar", "found"),
    [(None, ["My dog is Rex"]), (Alike(Walks=0.4, My=0.1), ["Walks at six", "My dog is Rex"])],
)
def test_notes_are_found_by_words_or_by_what_they_mean(
    similar: Any, found: list[str], tmp_path: Path
) -> None:
    notes = Notes(InFile(tmp_path / "notes.md"), similar)
    for note in ("My dog is Rex", "Walks at six", "Tea without milk"):
        notes.add(f"{note} (2026-01-01)")
    assert [note.removesuffix(" (2026-01-01)") for note in notes.about("the dogs")] == found
    assert len(notes.about("that")) == 3


def test_what_is_no_note_stays_in_the_users_file(tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("# Mine\n\n- One of mine\n  and its second line\n")
    notes = Notes(InFile(file))
    notes.add("Another")
    notes.drop(["One of mine"])
    assert file.read_text() == "# Mine\n\n  and its second line\n- Another\n"


@pytest.fixture(scope="module")
def vocabulary() -> dict[str, int]:
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789.,!?'-中"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, "the", "user", "peanut", "un", "aff", "able"]
    return {
        piece: n for n, piece in enumerate([*pieces, *(f"##{p}" for p in letters), "##s", "##aff", "##able"])
    }


ODD = ["Unaffable peanuts, the user's Ünäff?", "中a中", "a" * 101]


@given(st.text(st.characters(max_codepoint=0x24F), max_size=40) | st.sampled_from(ODD))
def test_text_is_taken_apart_as_berts_tokenizer_does(vocabulary: dict[str, int], text: str) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    from agent.tools.memory.meaning import WordPieces

    theirs = tokenizers.BertWordPieceTokenizer(dict(vocabulary), lowercase=True)
    assert WordPieces(vocabulary).ids(text)[:126] == theirs.encode(text).ids[:126]


NOTES = [
    "The user is allergic to peanuts.",
    "The user's sister is called Martha.",
    "The car is due for its inspection in March.",
    "The user takes their coffee without sugar.",
    "The wifi password is on the fridge.",
    "The user's dog is afraid of thunder.",
]
ASKED = [
    "What can't I eat?",
    "Who is in my family?",
    "When must I go to the garage?",
    "How do I like my hot drinks?",
    "How do guests get on the internet?",
    "Is a storm a problem for my pet?",
]


@pytest.mark.model
def test_notes_are_found_by_what_they_mean_with_the_real_network(tmp_path: Path) -> None:
    from agent.tools.memory.meaning import Meaning

    notes = Notes(InFile(tmp_path / "notes.md"), Meaning.fetched())
    for note in NOTES:
        notes.add(f"{note} (2026-01-01)")
    found = [notes.about(asked)[:1] for asked in ASKED]
    assert found == [[f"{note} (2026-01-01)"] for note in NOTES]
    assert notes.about("the boiling point of lead") == []


def test_what_is_only_near_in_meaning_is_asked_about_before_it_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "Forget that" of a model that had invented chocolate deleted the note about peanuts."""
    monkeypatch.setattr(meaning.Meaning, "fetched", lambda: Alike(The=0.3))
    config = ToolsConfig(use=("notes",), folder=str(tmp_path), recall="meaning")
    remember, recall, forget = loaded(config)
    here = Nowhere()
    work(remember, here, note="The user is allergic to peanuts.")
    assert "peanuts" in work(recall, here, about="chocolate")
    with pytest.raises(ToolError, match="Ask the user whether this is the one: The user is allergic to pea"):
        work(forget, here, about="chocolate")
    with pytest.raises(ToolError, match="Ask the user"):
        work(forget, here, about="the user likes it")
    assert "peanuts" in (tmp_path / "notes.md").read_text()
    assert work(forget, here, about="peanuts") == "Forgotten: 1 note."
    assert "peanuts" not in (tmp_path / "notes.md").read_text()


class Said(Nowhere):
    """A conversation in which the user has said this, and heard `last_said`."""

    def __init__(self, *said: str, heard: str = "") -> None:
        super().__init__()
        self.user_said, self.last_said = said, heard


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("Remember that I am allergic to peanuts.", "The user is allergic to peanuts."),
        ("Remember that I'm allergic to peanuts.", "The user has a peanut allergy."),
        ("Note that my sister is called Anna.", "The user's sister's name is Anna."),
        ("Remember that my flight leaves from gate seventeen.", "The user's flight departs at gate 17."),
        ("Bitte merk dir, dass ich keine Erdnüsse vertrage.", "Der Benutzer verträgt keine Erdnüsse."),
        ("记住我对花生过敏。", "用户对花生过敏。"),
    ],
)
def test_a_note_of_what_the_user_has_said_is_kept_in_a_models_words(
    said: str, note: str, tmp_path: Path
) -> None:
    remember, *_ = loaded(ToolsConfig(use=("notes",), folder=str(tmp_path)))
    assert work(remember, Said(said), note=note) == f"Remembered: {note}"
    assert work(remember, Said(said, "Please."), note=note) == f"Remembered: {note}"


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("What can't I eat?", "The user is allergic to chocolate."),
        ("I like my garden.", "The user likes pizza."),
        ("Remember my locker.", "The user's locker is number 8."),
        ("Remember that, please.", "The user lives in Boston."),
        ("记住这个。", "用户对花生过敏。"),
        ("", "The user has a dog."),
    ],
)
def test_a_note_that_a_model_has_made_up_is_not_written_down(said: str, note: str, tmp_path: Path) -> None:
    """Asked what they could not eat, the 1.5B noted an allergy that nobody had spoken of."""
    remember, *_ = loaded(ToolsConfig(use=("notes",), folder=str(tmp_path)))
    with pytest.raises(ToolError, match="did not say that"):
        work(remember, Said(said), note=note)
    assert not (tmp_path / "notes.md").exists()


@pytest.mark.parametrize(
    ("asked", "heard", "left"),
    [
        ("What can't I eat?", "You are allergic to peanuts.", "sister"),
        ("Who is Anna?", "Your sister is called Anna.", "peanuts"),
        ("I am allergic to what?", "I do not know.", "sister"),
        ("Good morning.", "Good morning!", "peanuts"),  # the newest one
    ],
)
def test_what_was_spoken_of_last_is_what_is_forgotten(
    asked: str, heard: str, left: str, tmp_path: Path
) -> None:
    """What is known without being recalled is meant by "that" all the same."""
    _, _, forget = loaded(ToolsConfig(use=("notes",), folder=str(tmp_path)))
    kept = ["The user is allergic to peanuts. (2026-01-01)", "The sister of the user is Anna. (2026-01-02)"]
    (tmp_path / "notes.md").write_text("".join(f"- {note}\n" for note in kept))
    work(forget, Said(asked, "Forget that.", heard=heard))
    assert [note for note in kept if note in (tmp_path / "notes.md").read_text()] == [
        note for note in kept if left in note
    ]


@given(st.lists(st.text("abc ", min_size=1, max_size=200), max_size=12))
def test_what_is_told_unasked_is_the_newest_and_has_an_end(notes: list[str]) -> None:
    told = known(notes)
    begins, ends = "What the user wanted remembered: ", "."
    shown = told[len(begins) : -len(ends)] if told else ""
    counts = [n for n in range(len(notes) + 1) if sum(map(len, notes[len(notes) - n :])) <= TOLD]
    assert shown == "; ".join(notes[len(notes) - max(counts) :])


def work(tool: Tool, conversation: ToolContext, **arguments: str) -> str:
    done = tool.begin(arguments, conversation)
    assert not inspect.isawaitable(done)
    return done()
