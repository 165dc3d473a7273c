"""Tokens to text: every character at once and whole, for real tokenizers of both kinds, and stop strings."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as some
import pytest
from hypothesis import given, settings

from agent.llm.decoding.textstream import StopStrings, TextStream, TokenBytes
from audio.stt.tokens import BYTE_LEVEL

CORPUS = [
    "The keeper of the lighthouse lit the lamp, and the ships came home safely through the night.",
    "Der Wärter zündete die Lampe an. Où est le phare? Это маяк. 灯台守は毎晩灯をともす。 😀👍🏽",
]
LETTERS = "ab the lamp ,.éßя灯台😀👨‍👩‍👧\u0301\ufffd\u2581\n\t<>|0x41"


def byte_level() -> Any:
    """A byte-level BPE as GPT-2, Llama 3 and Qwen have one, so small that most characters fall apart."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=340, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def sentencepiece(strip: bool) -> Any:
    """A BPE as SentencePiece makes it: a mark for the space, bytes for what it does not know.

    strip: with the space before every text that Llama 2 has, and Gemma has not.
    """
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {"<unk>": 0} | {f"<0x{byte:02X}>": 1 + byte for byte in range(256)}
    for piece in [*"▁abthelmp,.é", "▁t", "th", "he", "▁th", "▁the", "la"]:
        vocabulary.setdefault(piece, len(vocabulary))
    merges = [("▁", "t"), ("t", "h"), ("h", "e"), ("▁t", "h"), ("▁th", "e"), ("l", "a")]
    bpe = tokenizers.models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    tokenizer = tokenizers.Tokenizer(bpe)
    before, steps = [tokenizers.normalizers.Replace(" ", "▁")], []
    if strip:
        before.insert(0, tokenizers.normalizers.Prepend("▁"))
        steps.append(tokenizers.decoders.Strip(" ", 1, 0))
    tokenizer.normalizer = tokenizers.normalizers.Sequence(before)
    tokenizer.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            *steps,
        ]
    )
    return tokenizer


KINDS = {
    "byte-level": byte_level,
    "SentencePiece": lambda: sentencepiece(True),
    "SentencePiece without prefix": lambda: sentencepiece(False),
}


@pytest.fixture(scope="module", params=list(KINDS))
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]()


def stream_of(tokenizer: Any, stop: tuple[str, ...] = ()) -> TextStream:
    read = TokenBytes(json.loads(tokenizer.to_str())["decoder"])
    return TextStream(lambda token: read(tokenizer.id_to_token(token)), stop, read.leading)


@settings(deadline=None)
@given(text=some.text(some.sampled_from(LETTERS) | some.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_real_tokenizer_streams_what_it_decodes(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text).ids
    stream = stream_of(tokenizer)
    said = [stream.push(token) for token in ids]
    whole = tokenizer.decode(ids)
    assert "".join(said) == whole
    for count in range(len(ids)):
        # No token late: nothing is missing that the tokenizer itself makes of the tokens so far. (It shows
        # bytes of an unfinished character as broken ones, with SentencePiece also whole ones before it.)
        so_far = tokenizer.decode(ids[: count + 1]).rstrip("\ufffd")
        assert "".join(said[: count + 1]).startswith(so_far)
        assert whole.startswith("".join(said[: count + 1]))


@given(text=some.text(max_size=30), cuts=some.lists(some.integers(1, 5), max_size=60))
def test_no_split_of_the_bytes_breaks_or_delays_a_character(text: str, cuts: list[int]) -> None:
    data = text.encode()
    parts: list[bytes] = []
    while data:
        size = cuts[len(parts)] if len(parts) < len(cuts) else 1
        parts.append(data[:size])
        data = data[size:]
    stream = TextStream(parts.__getitem__)
    said = ""
    for number in range(len(parts)):
        said += stream.push(number)
        assert said == b"".join(parts[: number + 1]).decode(errors="ignore")
    assert said + stream.rest() == text


@given(some.binary(max_size=40))
def test_noise_never_becomes_a_broken_character(data: bytes) -> None:
    stream = TextStream(lambda byte: bytes([byte]))
    said = "".join(map(stream.push, data)) + stream.rest()
    assert said == data.decode(errors="ignore")
    assert ("\ufffd" in said) == ("\ufffd".encode() in data)


def test_a_token_with_the_end_of_one_character_and_the_start_of_the_next_gives_the_first() -> None:
    parts = ["é".encode()[:1], "é".encode()[1:] + "😀".encode()[:3], "😀".encode()[3:]]
    stream = TextStream(parts.__getitem__)
    assert [stream.push(number) for number in range(3)] == ["", "é", "😀"]


def test_the_byte_level_table_is_the_libraries_own() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    assert set(BYTE_LEVEL) == set(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    assert sorted(BYTE_LEVEL.values()) == list(range(256))
    assert BYTE_LEVEL["Ġ"] == ord(" ")


def test_a_text_loses_the_space_that_its_tokenizer_adds_and_no_other() -> None:
    read = TokenBytes({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True})
    stream = TextStream(lambda n: read(["▁", "▁Hello", "▁there"][n]), (), read.leading)
    assert [stream.push(number) for number in range(3)] == ["", " Hello", " there"]


@pytest.mark.parametrize("decoder", [None, {"type": "WordPiece"}, {"type": "Sequence", "decoders": []}])
def test_a_decoder_that_cannot_be_streamed_is_refused(decoder: dict[str, Any] | None) -> None:
    with pytest.raises(ValueError, match="decoder"):
        TokenBytes(decoder)


@given(
    text=some.text(some.sampled_from("ab<|é "), max_size=30),
    stop=some.sampled_from([(), ("ab", "b<"), ("<|b",), ("aab", "")]),
    size=some.integers(1, 4),
)
def test_nothing_of_a_stop_string_comes_out_and_nothing_else_is_lost(
    text: str, stop: tuple[str, ...], size: int
) -> None:
    stops = StopStrings(stop)
    said = ""
    for part in (text[at : at + size] for at in range(0, len(text), size)):
        said += stops.push(part)
        if stops.stopped:
            break
    said += stops.rest()
    ends = [s for s in stop if s]
    found = [text.find(s) for s in ends if s in text]
    if not stops.stopped:
        assert said == text
        assert not found
    else:
        # Of two that overlap the one that is whole first ends the text.
        assert any(text.startswith(said + s) for s in ends)
        assert not any(s in said for s in ends)


def test_only_the_possible_beginning_of_a_stop_string_is_held_back() -> None:
    stops = StopStrings(["Stop it"])
    assert [stops.push(part) for part in ("one. ", "St", "op", "! two", " Sto")] == [
        "one. ",
        "",
        "",
        "Stop! two",
        " ",
    ]
    assert stops.rest() == "Sto"
