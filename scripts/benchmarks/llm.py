"""The torch engine against the usual way, `TextIteratorStreamer` around `generate`, on the same weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator, Iterator, Sequence
from threading import Thread
from typing import Any

from agent.llm.checkpoint import load
from agent.llm.deltas import deltas
from agent.llm.transformers import Transformers
from agent.messages import Message
from agent.protocols import Delta
from agent.settings import SYSTEM_PROMPT
from agent.weights import catalogue as models
from benchmarks.results import Results

MODEL = "smollm2"
GREEDY: dict[str, Any] = {"temperature": 0.0, "repeat_penalty": 1.0, "device": "cpu"}
QUESTIONS = [
    "What is the capital of France?",
    "Tell me a short story about a lighthouse keeper.",
    "How do I boil an egg?",
    "Why is the sky blue?",
    "Wie heißt die Hauptstadt von Österreich?",
    "Explain what a rainbow is to a child.",
    "How many days are there in a week?",
    "Écris une phrase sur le café.",
    "What is 17 times 3?",
    "Name three animals that live in the sea.",
    "Write a haiku about snow.",
    "What should I pack for a week in the mountains?",
    "日本の首都はどこですか。",
    "Which planet is the largest?",
    "Tell me a joke about a cat. 😀",
    "What does 'carpe diem' mean?",
    "How does a bicycle stay upright?",
    "Give me a tip for sleeping well.",
    "Who wrote Hamlet?",
    "Say good night to me in five words.",
]


def asked(question: str) -> list[Message]:
    return [Message("system", SYSTEM_PROMPT), Message("user", question)]


class Usual:
    """The field's own example: `generate` in a thread, its text through a queue."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        self.steps: list[float] = []
        self.thread: Thread | None = None
        model.register_forward_hook(lambda *_: self.steps.append(time.perf_counter()))

    def stream(self, messages: Sequence[Message], tokens: int) -> Generator[str]:
        from transformers import TextIteratorStreamer

        said = [{"role": message.role, "content": message.content} for message in messages]
        given = self._tokenizer.apply_chat_template(
            said, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        how = {**given, "streamer": streamer, "do_sample": False, "max_new_tokens": tokens}
        self.steps.clear()
        self.thread = Thread(target=self._model.generate, kwargs=how)
        self.thread.start()
        yield from streamer
        self.thread.join()


def texts(stream: Iterator[str | Delta] | Iterator[str]) -> Generator[str]:
    """The text of each step of a model; closed, it closes the model's stream."""
    yield from (delta.text for delta in deltas(stream))


def first_text(stream: Iterator[str]) -> float:
    """Seconds until there is text."""
    began = time.perf_counter()
    next(text for text in stream if text)
    return time.perf_counter() - began


def same_texts(ours: Transformers, usual: Usual, questions: Sequence[str], tokens: int) -> int:
    """Questions that both answer with the same greedy text."""
    short = ours.with_sampling(max_tokens=tokens, stop=(), seed=0)
    return sum(
        "".join(texts(short.stream(asked(question)))) == "".join(usual.stream(asked(question), tokens))
        for question in questions
    )


def third_turns(ours: Transformers, usual: Usual, talks: int, tokens: int) -> tuple[list[float], list[float]]:
    """Seconds to the first text of the third turn, after two that our engine has answered itself."""
    took: tuple[list[float], list[float]] = ([], [])
    answering = ours.with_sampling(max_tokens=tokens, stop=(), seed=0)
    for start in range(talks):
        talk = asked(QUESTIONS[start])
        for turn in (1, 2):
            talk.append(Message("assistant", "".join(texts(answering.stream(talk)))))
            talk.append(Message("user", QUESTIONS[(start + 5 * turn) % len(QUESTIONS)]))
        stream = texts(answering.stream(talk))
        took[0].append(first_text(stream))
        stream.close()
        took[1].append(first_text(usual.stream(talk, 4)))
        assert usual.thread is not None
        usual.thread.join()
    return took


def rates(ours: Transformers, usual: Usual, rounds: int, tokens: int) -> tuple[list[float], list[float]]:
    """Tokens a second after the first, in turns, because the load of a machine changes."""
    found: tuple[list[float], list[float]] = ([], [])
    story = asked("Tell me a very long bedtime story about a lighthouse keeper and her cat.")
    for _ in range(rounds):
        moments = [
            time.perf_counter() for _ in ours.with_sampling(max_tokens=tokens, stop=(), seed=0).stream(story)
        ]
        found[0].append((len(moments) - 1) / (moments[-1] - moments[0]))
        for _ in usual.stream(story, tokens):
            pass
        found[1].append((len(usual.steps) - 1) / (usual.steps[-1] - usual.steps[0]))
    return found


def cancelled(ours: Transformers, usual: Usual, tokens: int) -> tuple[tuple[int, float], tuple[int, float]]:
    """Steps and seconds from the wish to stop, after five texts, until the processor is free: ours, theirs.

    Ours is charged one whole step: the one that a worker thread may be in at that moment.
    """
    story = asked("Tell me a very long bedtime story about a lighthouse keeper and her cat.")
    stream = texts(ours.stream(story))
    for _ in range(5):
        next(stream)
    began = time.perf_counter()
    next(stream)
    stream.close()
    ours_idle = time.perf_counter() - began
    theirs = usual.stream(story, tokens)
    for _ in range(5):
        next(theirs)
    done, began = len(usual.steps), time.perf_counter()
    theirs.close()
    assert usual.thread is not None
    usual.thread.join()
    return (1, ours_idle), (len(usual.steps) - done, time.perf_counter() - began)


def run(questions: int = 20, talks: int = 7, rounds: int = 7, tokens: int = 60) -> Results:
    # The engine is loaded first, so that how it has torch's threads wait holds for both.
    with models.progress_bar() as progress:
        weights = models.resolve(MODEL, progress)
    ours = Transformers(weights, **GREEDY)
    ours.warm()
    import torch

    usual = Usual(*load(weights, torch.device("cpu"), torch.float32))
    same = same_texts(ours, usual, QUESTIONS[:questions], tokens // 2)
    third = third_turns(ours, usual, talks, tokens)
    rate = rates(ours, usual, rounds, tokens)
    stops = cancelled(ours, usual, 2 * tokens)
    results = Results("llm")
    names = ("backchat", "generate + TextIteratorStreamer")
    for name, turn, speed, (steps, idle) in zip(names, third, rate, stops, strict=True):
        row = {"": name, "third turn's first text (s)": statistics.median(turn)}
        row |= {"tokens/s": statistics.median(speed), "steps after cancel": steps, "until idle (s)": idle}
        results.add(row)
    sooner = statistics.median(b / a for a, b in zip(*third, strict=True))
    results.target("times sooner in the third turn (median of pairs)", sooner, ">=", 3.0)
    faster = statistics.median(a / b for a, b in zip(*rate, strict=True))
    results.target("tokens/s against generate's (median of pairs)", faster, ">=", 1.0)
    results.target("steps from cancel to idle", stops[0][0], "<=", 1)
    results.target(f"same greedy text of {questions} prompts", same, ">=", questions)
    return results
