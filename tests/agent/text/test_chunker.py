"""Tokens to pieces: nothing lost, sentences right, and no token waited for in vain."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

import pytest
from golden_rules import GOLDEN_RULES
from hypothesis import example, given
from hypothesis import strategies as st

from agent.text.chunker import Chunker, TextChunk, joined

PLENTY = 30.0


def llm_tokens(text: str) -> list[str]:
    """` word` and punctuation as tokens of their own, digits one by one, as common tokenizers do."""
    return re.findall(r" ?[^\W\d]+|\d| ?[^\w\s]+|\s", text)


def random_tokens(text: str, seed: int = 0) -> list[str]:
    rng, at, tokens = random.Random(seed), 0, []
    while at < len(text):
        size = rng.randint(1, 6)
        tokens.append(text[at : at + size])
        at += size
    return tokens


SPLITS: dict[str, Callable[[str], list[str]]] = {
    "whole": lambda text: [text],
    "characters": list,
    "llm": llm_tokens,
    "random": random_tokens,
}


def stream(tokens: list[str], ahead: float = 0.0, **limits: int) -> list[TextChunk]:
    chunker = Chunker(**limits)
    pieces = [piece for token in tokens for piece in chunker.feed(token, ahead)]
    return pieces + chunker.flush()


def spoken_sentences(pieces: list[TextChunk]) -> list[str]:
    found, sentence = [], ""
    for piece in pieces:
        sentence += piece.text
        if piece.final:
            found.append(sentence.strip())
            sentence = ""
    return [sentence for sentence in found if sentence]


def golden_score(split: Callable[[str], list[str]], ahead: float) -> int:
    return sum(spoken_sentences(stream(split(text), ahead)) == right for text, right in GOLDEN_RULES)


def test_there_are_48_golden_rules():
    assert len(GOLDEN_RULES) == 48


@pytest.mark.parametrize("split", SPLITS)
def test_golden_rules_with_speech_ahead(split):
    assert golden_score(SPLITS[split], PLENTY) == 48


@pytest.mark.parametrize(("split", "least"), [("whole", 48), ("characters", 48), ("llm", 46)])
def test_golden_rules_in_a_hurry(split, least):
    assert golden_score(SPLITS[split], 0.5) >= least


@pytest.mark.parametrize(("split", "least"), [("whole", 48), ("characters", 47), ("llm", 45)])
def test_golden_rules_with_silence_near(split, least):
    """Phrases are cut off as they come; what lies before them no longer helps to read what follows."""
    assert golden_score(SPLITS[split], 0.0) >= least


SENTENCES = [
    "Dr. Brown paid $3.50 for 2.5 kg of rice. | He was happy.",
    "The fee is $3. | That is all.",
    "It is 98.6 degrees, or 22,1 in that scale. | Fine!",
    "We met on Jan. 5 at 5:30 p.m. in St. Louis. | It rained.",
    "Some birds, e.g. Swifts, i.e. Apus apus, vs. Swallows, sleep in flight. | Really?",
    "Use Python 3.11.2 or v2. | Then open https://example.com/a.b?c=d.e and mail me@example.com. | Done.",
    "J. R. R. Tolkien wrote it. | He lived in Oxford.",
    "No. | That is wrong.",
    "See No. 5 on p. 7.",
    "Wait... | What was that?",
    "Well... I think so.",
    "He said “Stop. Now.” and left. | She stayed.",
    "“Stop!” he cried. | Nobody moved.",
    "It works (see the notes. They help.) as well. | Good.",
    "**It is done.** | Next *one.* | Bye.",
    "It was over by 1945. | Then came peace.",
    "i think so. | but maybe not.",
    "Great! | 😊 Next one. | Done 🎉! | Bye.",
    "Run `a.b()? c! d.` now. | Then stop.",
    "你好！你叫什么名字？我叫小明。",
    "Das ist gut. | Это хорошо. | Ça va ?",
    "यह अच्छा है। | वह आया।",
    "هل أنت بخير؟ | نعم.",
]


@pytest.mark.parametrize("ahead", [0.0, PLENTY])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("case", SENTENCES)
def test_sentences(case, split, ahead):
    right = re.sub(r"([！？])(?=\w)", r"\1 | ", case) if "你" in case else case
    text = case.replace(" | ", " ")
    assert spoken_sentences(stream(SPLITS[split](text), ahead)) == right.split(" | ")


def test_japanese_quotes_stay_whole():
    text = "彼は「はい。そうです。」と言った。次の文。"
    right = ["彼は「はい。そうです。」と言った。", "次の文。"]
    assert spoken_sentences(stream(list(text), 0.0)) == right


@pytest.mark.parametrize("ahead", [0.0, PLENTY])
@pytest.mark.parametrize("split", SPLITS)
def test_lines_are_sentences(split, ahead):
    text = "# A plan\n\nFirst:\n- one\n- two e.g. three\n\n| a. Bee. Yes. | B |\n|---|---|\n| 1 | 2 |\n\n"
    text += "And so\non it goes.\nEnd"
    lines = [
        "# A plan",
        "First:",
        "- one",
        "- two e.g. three",
        "| a. Bee. Yes. | B |",
        "|---|---|",
        "| 1 | 2 |",
    ]
    assert spoken_sentences(stream(SPLITS[split](text), ahead)) == [*lines, "And so\non it goes.", "End"]


@pytest.mark.parametrize("split", SPLITS)
def test_a_fence_is_one_sentence_cut_at_line_ends_only(split):
    code = (
        "```python\n# Why. Because, well, and so on, this is a comment. It is long.\nprint('``` a. B')\n```\n"
    )
    pieces = stream(SPLITS[split](f"Look at this.\n\n{code}\nThat was it."))
    assert spoken_sentences(pieces) == ["Look at this.", code.strip(), "That was it."]
    inside = [piece for piece in pieces if "print" in piece.text or "comment" in piece.text]
    assert all(piece.text.endswith("\n") for piece in inside)
    assert len(inside) == 2


def test_an_unclosed_backtick_does_not_swallow_the_reply():
    assert len(stream(llm_tokens("A ` alone. " + "It goes on and on. " * 30))) > 10


def test_first_clause_comes_early_and_whole_sentences_later():
    text = "Of course, the capital of France is Paris, and it lies on the river Seine, in the north. Bye."
    hurried = [piece.text for piece in stream(llm_tokens(text), 0.5)]
    assert hurried[:2] == ["Of course,", " the capital of France is Paris,"]
    relaxed = [piece.text for piece in stream(llm_tokens(text), PLENTY)]
    assert relaxed == [text[:-5], " Bye."]


def test_a_reply_opens_with_its_first_phrase():
    """The verb's own token is enough: nothing waits to see that the word is whole."""
    chunker = Chunker()
    assert [chunker.feed(token) for token in ("The", " nearest", " planet")] == [[], [], []]
    assert chunker.feed(" is") == [TextChunk("The nearest planet", 0, 18, False)]
    assert Chunker().feed("It is") == []


def test_a_clause_is_cut_at_its_last_phrase_only_when_silence_is_near():
    text = " the closest planet to the Sun from here in the summer"
    for ahead, cut in ((0.3, " the closest planet to the Sun from here"), (0.5, "")):
        chunker = Chunker()
        assert [piece.text for piece in chunker.feed("Mercury is,", 0.0)] == ["Mercury is,"]
        assert [piece.text for piece in chunker.feed(text, ahead)] == ([cut] if cut else [])


def test_short_sentence_is_given_at_once():
    chunker = Chunker()
    assert chunker.feed("Yes") == []
    assert chunker.feed(".") == [TextChunk("Yes.", 0, 4, True)]


def test_one_large_token_is_hurried_only_once():
    text = "This is the opening clause, you see, and that is its end, or nearly so, as they say. Bye."
    assert [len(piece.text) for piece in stream([text])] == [27, len(text) - 27 - 5, 5]


@pytest.mark.parametrize(
    "text", ["$3.", "98.", "Dr.", "22,", "e.g.", "U.S.", "v2.", "p.m.", "1.", "No.", "“Yes.", "(so it is."]
)
def test_uncertain_boundaries_wait(text):
    assert Chunker(first_chunk=1).feed(text) == []


PROSE = """The kettle was still warm when she came home. Nobody had seen the cat since breakfast. Had it
gone out through the window? She looked under the bed, behind the curtains and on top of the wardrobe.
There it was! It yawned, stretched both legs and went back to sleep. What a life. Later that evening the
rain began, and the whole street smelled of wet leaves. They made soup from the last of the carrots. Can
anything be better than that? I doubt it.""".replace("\n", " ")


def boundary_delays(text: str) -> list[int]:
    """For each sentence of a stream the tokens between its last mark and the piece that ends it."""
    tokens = llm_tokens(text)
    arrival = [index for index, token in enumerate(tokens) for _ in token]
    chunker, delays = Chunker(), []
    for index, token in enumerate(tokens):
        delays += [index - arrival[piece.end - 1] for piece in chunker.feed(token) if piece.final]
    return delays


def test_certain_boundaries_cost_no_token():
    delays = boundary_delays(PROSE)
    print(f"boundary delay: mean {sum(delays) / len(delays):.2f} tokens over {len(delays)} sentences")
    assert delays == [0] * 11


def test_uncertain_boundaries_cost_two_tokens_at_most():
    delays = boundary_delays(
        "He came at 5 p.m. She left the U.S. in 1999. It cost $3. Then “so it goes.” Fine."
    )
    assert len(delays) == 5
    assert max(delays) <= 2


def test_long_text_is_cut_at_the_best_place():
    words = "word " * 200
    pieces = stream([words], PLENTY)
    assert all(len(piece.text) <= 240 for piece in pieces)
    assert all(piece.text.strip().replace("word", "").strip() == "" for piece in pieces)
    comma = "word " * 30 + "word, " + "word " * 30
    assert stream([comma], PLENTY)[0].text.endswith(",")


def test_scripts_without_spaces_are_cut_between_letters():
    thai = "ที่นี่อากาศดีมากวันนี้" * 40
    pieces = stream(list(thai), PLENTY)
    assert len(pieces) > 3
    assert all(len(piece.text) <= 240 for piece in pieces)
    assert not any(joined(thai, piece.end) for piece in pieces)


def test_wide_characters_count_three():
    text = "今天天气很好，" * 60
    assert max(len(piece.text) for piece in stream(list(text), PLENTY)) <= 80


GRAPHEMES = ["👩‍👩‍👧‍👦", "👍🏽", "🇫🇷", "e\u0301", "1️⃣", "❤️", "กำ", "한", "🏴\U000e0067\U000e0062\U000e007f"]
MARKS = [*".,?!…`()\"'“”*#|$。，「」।", "\n", "\n\n", "```\n", "**", "1.", "- ", "3.5", "e.g."]
PARTS = st.sampled_from([*GRAPHEMES, *MARKS, " ", " and ", "a", "word", "Word", "中", "ไ"])
TEXTS = st.lists(PARTS, max_size=60).map("".join)


@given(
    TEXTS | st.text(max_size=80),
    st.integers(0, 99),
    st.lists(st.floats(0, 12), min_size=1),
    st.integers(1, 60),
)
@example("```\n\n```", 0, [0.0], 10)
def test_pieces_are_the_text(text, seed, ahead, longest):
    chunker, pieces = Chunker(10, longest), []
    for index, token in enumerate(random_tokens(text, seed)):
        pieces += chunker.feed(token, ahead[index % len(ahead)])
    pieces += chunker.flush()
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text and piece.text == text[piece.start : piece.end] for piece in pieces)
    assert [piece.start for piece in pieces] == [0, *[piece.end for piece in pieces]][: len(pieces)]


@given(TEXTS, st.integers(0, 99), st.integers(20, 60))
def test_graphemes_stay_whole(text, seed, longest):
    for piece in stream(random_tokens(text, seed), PLENTY, longest_chunk=longest):
        assert not joined(text, piece.end)


@given(TEXTS)
def test_hurry_changes_pieces_but_not_how_a_whole_text_is_cut(text):
    whole = stream([text], PLENTY, longest_chunk=10_000)
    typed = stream(list(text), PLENTY, longest_chunk=10_000)
    assert spoken_sentences(typed) == spoken_sentences(whole)


def test_feed_costs_the_piece_not_the_reply():
    def seconds(copies: int) -> float:
        tokens = llm_tokens((PROSE + " ") * copies)
        begin = time.perf_counter()
        stream(tokens, PLENTY)
        return (time.perf_counter() - begin) / len(tokens)

    small, large = min(seconds(2) for _ in range(3)), seconds(60)
    assert large < 4 * small
    assert large < 0.002


def test_inline_code_is_never_cut():
    text = "Call the function `parse(a, b and c. D)` now, " * 20
    for ahead in (0.0, PLENTY):
        for piece in stream(llm_tokens(text), ahead, longest_chunk=60):
            assert piece.text.count("`") % 2 == 0
