"""What a cluster keeps of sessions is in its file before it counts, and out of it once it is forgotten."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cluster import store as stores
from agent.cluster.store import JournalStore, Shared
from agent.transports.resumption import TOUCH


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


OPS = st.lists(
    st.tuples(st.sampled_from(["open", "put", "claim", "drop", "wait", "tidy", "again"]), st.integers(0, 3)),
    max_size=30,
)


@given(ops=OPS)
def test_whatever_was_done_a_process_that_begins_anew_knows_it(tmp_path_factory, ops) -> None:
    file, clock = tmp_path_factory.mktemp("journal") / "folder" / "sessions.jsonl", Clock()

    async def main() -> None:
        store, tokens, words = JournalStore(file, 60, 3, clock), list[str](), 0
        for what, number in ops:
            token = tokens[number % len(tokens)] if tokens else ""
            match what:
                case "open":
                    tokens.append(await store.open("a"))
                case "put":
                    words += 1
                    await store.put(token, "a", {"session" if number % 2 else "reply": f'"word{words}"'})
                case "claim":
                    await store.claim(token, "a")
                case "drop":
                    await store.drop(token, "a")
                case "wait":
                    clock.time += 25
                case "tidy":
                    await store.tidy()
                case _:
                    store = JournalStore(file, 60, 3, clock)
        again = JournalStore(file, 60, 3, clock)
        assert again.kept == store.kept
        await again.tidy()
        kept = [text for each in again.kept.values() for text in each.parts.values()]
        assert file.read_text().count("word") == len(kept)
        assert not any(token in file.read_text() for token in tokens)

    anyio.run(main)


def test_a_line_that_was_not_written_to_its_end_costs_no_other(tmp_path: Path) -> None:
    file, clock = tmp_path / "sessions.jsonl", Clock()

    async def main() -> None:
        store = JournalStore(file, 60, 9, clock)
        token = await store.open("a")
        await store.put(token, "a", {"session": "heard"})
        whole = file.read_bytes()
        await store.put(token, "a", {"reply": "half"})
        file.write_bytes(file.read_bytes()[:-5])
        again = JournalStore(file, 60, 9, clock)
        assert await again.claim(token, "b") == {"session": "heard"}
        assert file.stat().st_mode & 0o077 == 0
        assert whole.count(b"\n") == 2

    anyio.run(main)


def test_the_figures_of_each_process_are_known_to_all_until_it_is_silent(tmp_path: Path) -> None:
    clock = Clock()

    async def main() -> None:
        store = Shared(tmp_path / "sessions.jsonl", 60, 9, clock)
        assert await store.pages("a", "1") == {"a": "1"}
        clock.time += 2 * TOUCH
        assert await store.pages("b", "2") == {"a": "1", "b": "2"}
        clock.time += 2 * TOUCH
        assert await store.pages("b", "3") == {"b": "3"}

    anyio.run(main)


def test_the_file_grows_no_longer_than_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "LINES", 10)
    file, clock = tmp_path / "sessions.jsonl", Clock()

    async def main() -> None:
        store = JournalStore(file, 60, 9, clock)
        token = await store.open("a")
        for word in range(30):
            await store.put(token, "a", {"reply": str(word)})
        await store.tidy()
        assert file.read_bytes().count(b"\n") == 1
        clock.time += 60 + TOUCH + 1
        await store.tidy()
        assert file.read_bytes() == b""
        assert await store.claim(token, "a") is None

    anyio.run(main)
