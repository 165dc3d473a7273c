"""What a Realtime client is told of the user's turns, and may choose of them: on the virtual clock."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_client import STATEMENT, Client, LateSTT, held

from agent import events as ev
from agent.errors import EngineFault

STORY = "Once upon a time there was a keeper who lived alone on a rock in the sea and lit the lamp."
"""Five seconds of speech."""
VAD = {"type": "server_vad", "silence_duration_ms": 300}
TURNS = (
    "speech_started",
    "speech_stopped",
    "buffer.committed",
    "item.added",
    "completed",
    "response.created",
)


def paired(client: Client) -> None:
    """Each beginning of speech has its end, and the item that comes of it is the one that was named."""
    told = [e for e in client.told if e["type"].startswith("input_audio_buffer.speech")]
    kinds = [e["type"].split("_")[-1] for e in told]
    assert kinds == ["started", "stopped"] * (len(kinds) // 2), kinds
    for began, ended in zip(told[::2], told[1::2], strict=True):
        assert began["item_id"] == ended["item_id"]
        assert began["audio_start_ms"] <= ended["audio_end_ms"]
    named = {e["item_id"] for e in told}
    assert {e["item_id"] for e in client.of("buffer.committed")} <= named


def asked(client: Client) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in client.llm.asked[-1][1:]]


def test_without_create_response_the_user_is_heard_and_answered_when_asked() -> None:
    async def main(client: Client) -> None:
        client.choose({**VAD, "create_response": False})
        for _ in range(2):
            await client.hear(1.0, 1.0)
            await client.hear(1.0)
        turn = ["speech_started", "speech_stopped", "committed", "added", "completed"]
        assert client.kinds(*TURNS) == turn * 2
        assert client.llm.asked == []
        client.ask()
        await client.hear(1.0)
        assert asked(client) == [("user", f"{STATEMENT} {STATEMENT}")]
        client.choose(VAD)
        await client.hear(1.0, 1.0)
        await client.hear(1.0)
        assert client.kinds("response.created") == ["created"] * 2
        paired(client)

    held(main)


@pytest.mark.parametrize("detection", [VAD, {"type": "semantic_vad"}])
def test_without_interrupt_response_a_reply_is_said_to_its_end_and_then_the_user_is_answered(
    detection: dict,
) -> None:
    async def main(client: Client) -> None:
        client.choose({**detection, "interrupt_response": False})
        await client.hear(1.0, 1.0)
        await client.hear(2.0)
        assert client.kinds("response.created", "response.done") == ["created"]
        await client.hear(1.0, 1.0)
        await client.hear(0.5)
        assert client.kinds(*TURNS)[-2:] == ["speech_started", "speech_stopped"]
        assert client.kinds("response.done") == []
        await client.hear(8.0)
        assert [e["response"]["status"] for e in client.of("response.done")] == ["completed"] * 2
        assert [e.heard for e in client.events if isinstance(e, ev.TurnEnded)] == [STORY, "Noon."]
        assert asked(client)[-1] == ("user", "What time is it now?")
        paired(client)

    held(main, said=["Tell me a story.", "What time is it now?"], reply=[STORY, "Noon."])


@pytest.mark.parametrize("interim", ["0", "0.3"])
@pytest.mark.parametrize(
    ("words", "interrupts"),
    [("Uh-huh.", False), ("", False), ("Wait, what time is it now?", True), ("What time is it?", True)],
)
def test_over_a_reply_speech_is_told_of_once_its_words_have_decided(
    words: str, interrupts: bool, interim: str
) -> None:
    """Clients stop playing and cut the reply when they are told that the user speaks."""

    async def main(client: Client) -> None:
        client.choose(VAD)
        await client.hear(1.0, 1.0)
        await client.hear(2.0)
        client.told.clear()
        onset = client._at
        await client.hear(0.8, 1.0)
        await client.hear(9.0)
        told = client.kinds("speech_started", "speech_stopped", "buffer.committed", "response.done")
        if not interrupts:
            assert told == ["done"]
            assert client.of("response.done")[0]["response"]["status"] == "completed"
            return
        assert sorted(told) == sorted(["speech_started", "done", "speech_stopped", "committed", "done"])
        (began,) = client.of("speech_started")
        assert began["audio_start_ms"] == pytest.approx(1000 * onset, abs=60)
        assert began["item_id"] == client.of("buffer.committed")[0]["item_id"]
        assert [e["response"]["status"] for e in client.of("response.done")] == ["cancelled", "completed"]
        paired(client)

    stt = LateSTT("Tell me a story.", words)
    held(main, f"stt.interim={interim}", stt=stt, reply=[STORY, "Noon."])


@pytest.mark.parametrize(
    ("words", "says"),
    [("Uh-huh.", "rest"), ("", "rest"), ("Stop.", "nothing"), ("What time is it?", "answer")],
)
def test_a_client_that_cuts_the_reply_while_the_user_speaks_is_never_left_in_silence(
    words: str, says: str
) -> None:
    async def main(client: Client) -> None:
        client.choose(VAD)
        await client.hear(1.0, 1.0)
        await client.hear(2.0)
        await client.hear(0.4, 1.0)
        client.session.cancel("client")
        await client.hear(0.4, 1.0)
        await client.hear(9.0)
        first, *rest = [e for e in client.events if isinstance(e, ev.TurnEnded)]
        assert first.reason == "interrupted"
        assert first.unheard
        expected = {"rest": [first.unheard.strip()], "answer": ["Noon."], "nothing": []}[says]
        assert [each.heard.strip() for each in rest] == expected
        paired(client)

    held(main, said=["Tell me a story.", words], reply=[STORY, "Noon."])


def test_a_commit_ends_the_turn_where_the_user_is_and_waits_to_be_asked() -> None:
    async def main(client: Client) -> None:
        client.choose({"type": "semantic_vad"})
        await client.hear(0.1)
        assert not client.session.controller.commit()
        await client.hear(0.7, 1.0)
        assert client.session.controller.commit()
        await client.hear(0.04)
        (released,) = [e for e in client.events if isinstance(e, ev.TurnCommitted)]
        assert (released.text, released.answered) == (STATEMENT, False)
        assert client.llm.asked == []
        assert not client.session.controller.commit()
        client.ask()
        await client.hear(2.0)
        assert asked(client) == [("user", STATEMENT)]
        assert await client.waited(3.0) is not None
        paired(client)

    stt = held(main)
    assert stt.calls == 2


def test_what_cannot_be_transcribed_is_an_item_that_failed() -> None:
    async def main(client: Client) -> None:
        client.choose(VAD)
        await client.hear(1.0, 1.0)
        await client.hear(2.0)
        (failed,) = client.of("transcription.failed")
        assert failed["error"]["message"]
        assert failed["item_id"] == client.of("buffer.committed")[0]["item_id"]
        assert failed["item_id"] in client.narrator.items
        assert client.of("response.created") == []
        paired(client)

    class Broken:
        calls = 0

        def transcribe(self, audio, *, final=True):
            raise EngineFault("out of paper")

    held(main, stt=Broken())


def test_an_item_has_its_words_by_the_transcription_and_its_length_and_sound() -> None:
    async def main(client: Client) -> None:
        client.choose(VAD)
        await client.hear(1.0)
        await client.hear(1.0, 1.0)
        await client.hear(1.0)
        for kind in ("item.added", "item.done"):
            content = client.of(kind)[0]["item"]["content"]
            assert content == [{"type": "input_audio", "audio": None, "transcript": None}]
        (completed,) = client.of("transcription.completed")
        assert completed["transcript"] == STATEMENT
        assert completed["usage"]["seconds"] == pytest.approx(1.0 + 0.5 + 0.1, abs=0.2)
        kept = client.narrator.sounds[completed["item_id"]]
        assert len(kept) == pytest.approx(2 * 16_000 * completed["usage"]["seconds"], abs=400)
        assert client.narrator.items[completed["item_id"]]["content"][0]["transcript"] == STATEMENT

    held(main)


def test_words_that_stay_are_told_while_they_are_said() -> None:
    async def main(client: Client) -> None:
        client.choose(VAD)
        await client.hear(2.0, 1.0)
        before = "".join(e["delta"] for e in client.of("transcription.delta"))
        assert before
        assert STATEMENT.startswith(before)
        await client.hear(1.0)
        assert "".join(e["delta"] for e in client.of("transcription.delta")) == STATEMENT

    held(main, "stt.interim=0.3")


@pytest.mark.parametrize(("limit", "status"), [(3, "incomplete"), (50, "completed"), ("inf", "completed")])
def test_a_response_has_no_more_tokens_than_are_allowed(limit: int | str, status: str) -> None:
    async def main(client: Client) -> None:
        client.choose(VAD, max_output_tokens=limit)
        await client.hear(1.0, 1.0)
        await client.hear(9.0)
        (done,) = client.of("response.done")
        assert done["response"]["status"] == status
        assert done["response"]["max_output_tokens"] == limit
        said = done["response"]["output"][0]["content"][0]["transcript"]
        assert said == ("Once upon a" if limit == 3 else STORY)
        if limit == 3:
            assert done["response"]["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}

    held(main, reply=STORY)


DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("speak"), st.sampled_from([0.05, 0.3, 0.8, 1.5])),
        st.tuples(st.just("hush"), st.sampled_from([0.1, 0.4, 1.0, 3.0])),
        st.tuples(st.sampled_from(["cancel", "commit", "type", "deafen"]), st.just(0.0)),
        st.tuples(st.just("choose"), st.sampled_from([0.0, 1.0, 2.0, 3.0])),
    ),
    min_size=3,
    max_size=8,
)
CHOICES = [
    VAD,
    {"type": "semantic_vad"},
    {**VAD, "create_response": False},
    {**VAD, "interrupt_response": False},
]
WORDS = ["Tell me a story.", "Uh-huh.", "Wait, what time is it?", "", "Stop.", STATEMENT]


@settings(max_examples=10, deadline=None)
@given(doings=DOINGS, said=st.lists(st.sampled_from(WORDS), min_size=1, max_size=6))
def test_whatever_happens_each_speech_that_began_has_ended(doings: list, said: list[str]) -> None:
    async def main(client: Client) -> None:
        client.choose(VAD)
        await client.hear(0.1)
        for what, amount in doings:
            match what:
                case "speak":
                    await client.hear(amount, 1.0)
                case "hush":
                    await client.hear(amount)
                case "cancel":
                    client.session.cancel("client")
                case "commit":
                    client.session.controller.commit()
                case "type":
                    client.ask("Hello.")
                case "deafen":
                    client.choose(None)
                    client.choose(VAD)
                case _:
                    client.choose(CHOICES[int(amount)])
        await client.hear(20.0)
        paired(client)
        opened = client.of("response.created")
        assert len(opened) == len(client.of("response.done"))
        kinds = client.kinds("response.created", "response.done")
        assert all(a != b for a, b in pairwise(kinds)), "one at a time"

    held(main, said=said, reply=[STORY, "Noon."])
