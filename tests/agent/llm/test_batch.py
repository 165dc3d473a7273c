"""Several conversations on one torch model: computed together they are what each is alone."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_chat_model import save_model

from agent.llm import batch as batches
from agent.llm.batch import Batch

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

ROWS = 4
TEXT = [5, 40, 17, 99, 201, 8, 63]
MORE = st.lists(st.integers(3, 250), min_size=1, max_size=12)
TURN = st.dictionaries(st.integers(0, ROWS - 1), st.tuples(st.integers(0, 20), MORE), min_size=1)


@cache
def model(kind: str) -> Any:
    import tempfile

    import transformers

    with tempfile.TemporaryDirectory() as folder:
        saved = save_model(Path(folder), kind)
        return transformers.AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32).eval()


def made(kind: str = "Llama", rows: int = ROWS) -> Batch:
    batch = Batch(model(kind), torch.device("cpu"), rows, 512)
    batch.prepare(TEXT)
    return batch


@cache
def made_once() -> Batch:
    return made()


def expected(kind: str, tokens: Sequence[int]) -> Any:
    """The scores of the model itself, which remembers nothing."""
    with torch.inference_mode():
        return model(kind)(input_ids=torch.tensor([list(tokens)])).logits[0, -1]


@contextmanager
def passes(kind: str = "Llama") -> Iterator[list[tuple[int, int]]]:
    """(rows, tokens) of each pass through the model."""
    shapes: list[tuple[int, int]] = []
    hook = model(kind).register_forward_pre_hook(
        lambda _, __, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    try:
        yield shapes
    finally:
        hook.remove()


def at_once(
    batch: Batch, asked: Mapping[int, Sequence[int]], begun: dict[int, Future[Any]] | None = None
) -> dict[int, Any]:
    """Scores for some rows, all of which are wanted before the first is computed; or what was raised.

    begun: gets them before they are there.
    """

    def one(number: int) -> Any:
        try:
            return batch.scores(batch.rows[number], asked[number])
        except RuntimeError as error:
            return error

    with ThreadPoolExecutor(len(asked)) as threads:
        batch._led = True  # somebody else computes, and then no more
        futures: dict[int, Future[Any]] = {}
        for number in asked:
            futures[number] = threads.submit(one, number)
            limit = time.monotonic() + 20
            while len(batch._wanted) < len(futures):
                assert time.monotonic() < limit
                time.sleep(0.001)
        if begun is not None:
            begun.update(futures)
        batch._wanted[0].woken.release()
        return {number: future.result(20) for number, future in futures.items()}


@pytest.mark.parametrize("kind", ["Llama", "Qwen2", "Mistral", "Gemma2", "Gemma3", "Lfm2"])
def test_rows_of_any_model_say_what_each_says_alone(kind: str) -> None:
    """Also where layers have a window or a state (Mistral, Gemma, Lfm2): those are computed one by one."""
    batch, draw = made(kind), random.Random(1)
    talks = {n: [draw.randrange(3, 250) for _ in range(5 + 9 * n)] for n in range(ROWS)}
    for _ in range(4):
        for number, scores in at_once(batch, talks).items():
            torch.testing.assert_close(scores, expected(kind, talks[number]), rtol=1e-3, atol=1e-3)
            talks[number].append(int(scores.argmax()))


@settings(deadline=None, max_examples=10)
@given(st.lists(TURN, max_size=4))
def test_rows_that_go_on_and_back_as_they_like(turns: list[dict[int, tuple[int, list[int]]]]) -> None:
    """Each turn some rows keep a beginning of what they have read and go on from there, all at once."""
    batch, talks = made_once(), {number: list(TEXT) for number in range(ROWS)}
    for turn in turns:
        for number, (kept, more) in turn.items():
            talks[number] = [*talks[number][:kept], *more]
        for number, scores in at_once(batch, {number: talks[number] for number in turn}).items():
            torch.testing.assert_close(scores, expected("Llama", talks[number]), rtol=1e-3, atol=1e-3)


def test_tokens_that_are_wanted_at_the_same_time_take_one_pass() -> None:
    batch = made()
    at_once(batch, dict.fromkeys(range(ROWS), TEXT))
    with passes() as shapes:
        at_once(batch, {number: [*TEXT, 30 + number] for number in range(ROWS)})
    assert shapes == [(ROWS, 1)]
    with passes() as shapes:
        at_once(batch, {1: [*TEXT, 31, 9], 2: [*TEXT, 32, 9]})
    assert shapes == [(2, 1)]


def test_a_long_prompt_is_read_in_parts_and_others_write_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = made()
    monkeypatch.setattr(batches, "CHUNK", 10)
    at_once(batch, {0: TEXT, 1: TEXT})
    long = [3 + n for n in range(35)]
    with passes() as shapes:
        found = at_once(batch, {0: [*TEXT, 30], 1: [*TEXT, 31], 2: long, 3: long[:12]})
    assert shapes == [(2, 1), *[(1, 10)] * 3, (1, 5), (1, 10), (1, 2)]  # who came first is read first
    torch.testing.assert_close(found[2], expected("Llama", long), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found[3], expected("Llama", long[:12]), rtol=1e-3, atol=1e-3)


def test_a_token_that_is_there_waits_for_nothing_that_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = made()
    monkeypatch.setattr(batches, "CHUNK", 10)
    at_once(batch, {0: TEXT, 1: TEXT})
    futures: dict[int, Future[Any]] = {}
    parts: list[int] = []

    def read(_: Any, __: Any, given: Any) -> None:
        parts.append(given["input_ids"].shape[1])
        if len(parts) == 4:  # the tokens, and three parts
            for number in (0, 1):
                futures[number].result(20)

    hook = model("Llama").register_forward_pre_hook(read, with_kwargs=True)
    at_once(batch, {2: [3 + n for n in range(35)], 0: [*TEXT, 30], 1: [*TEXT, 31]}, futures)
    hook.remove()
    assert parts == [1, 10, 10, 10, 5]


def test_who_stops_computing_in_the_middle_hands_the_rest_on() -> None:
    """As by Ctrl-C in its thread: what was in that pass fails, the others get theirs."""
    batch = made()
    at_once(batch, dict.fromkeys(range(3), TEXT))

    def stop(*_: Any) -> None:
        hook.remove()
        raise KeyboardInterrupt

    hook = model("Llama").model.layers[1].register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        at_once(batch, {0: [*TEXT, 30], 1: [3, 4, 5]})
    torch.testing.assert_close(
        at_once(batch, {1: [3, 4, 5]})[1], expected("Llama", [3, 4, 5]), rtol=1e-3, atol=1e-3
    )


def test_a_pass_that_fails_fails_for_all_in_it_and_the_next_one_is_whole() -> None:
    batch = made()
    at_once(batch, dict.fromkeys(range(3), TEXT))

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    hook = model("Llama").model.layers[1].register_forward_pre_hook(fail)
    found = at_once(batch, {0: [*TEXT, 30], 1: [*TEXT, 31]})
    hook.remove()
    assert [str(error) for error in found.values()] == ["out of memory"] * 2
    longer = [*TEXT, 30, 9]
    for scores in at_once(batch, {0: longer, 1: longer, 2: longer}).values():
        torch.testing.assert_close(scores, expected("Llama", longer), rtol=1e-3, atol=1e-3)


def test_a_model_that_says_something_else_in_company_is_computed_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one that makes its positions itself."""
    forward = model("Llama").forward
    with monkeypatch.context() as patch:
        patch.setattr(model("Llama"), "forward", lambda *_, position_ids=None, **given: forward(**given))
        batch = made()
        at_once(batch, {0: TEXT, 1: TEXT[:4]})
        with passes() as shapes:
            found = at_once(batch, {0: [*TEXT, 30], 1: [*TEXT[:4], 31]})
    assert shapes == [(1, 1), (1, 1)]
    torch.testing.assert_close(found[1], expected("Llama", [*TEXT[:4], 31]), rtol=1e-3, atol=1e-3)


def test_one_row_grows_beyond_the_room_it_has_at_first() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "_SMALLEST", 8)
        batch = Batch(model("Llama"), torch.device("cpu"), 2, 512)
        batch.prepare(TEXT)
        talk = [3 + n % 200 for n in range(100)]
        for end in (5, 9, 10, 40, 100):
            found = at_once(batch, {0: talk[:end], 1: talk[: end - 1]})
            torch.testing.assert_close(found[0], expected("Llama", talk[:end]), rtol=1e-3, atol=1e-3)
