"""On a GPU, with random weights of real sizes: chat models alone and sixteen at once, Whisper twice, a voice.

Needs nothing but this checkout, torch, transformers, numpy, pydantic and trio; CTranslate2 where it is there.
Each part runs in a process of its own: what fails leaves one line, and the others run. Figures are kept after
each part. With `--tiny` all of it runs on a processor, to see that it runs.
"""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from benchmarks import random_models
from benchmarks.results import Results

LIMIT = 450.0
"""Seconds for all parts together; what has not begun by then is left out."""
SESSIONS = (1, 16)
PROMPTS = (200, 3000)
"""Tokens."""
TOKENS = 32
"""Tokens of each answer."""
SPOKEN = 3.6
"""Seconds of sound that are transcribed."""
SENTENCE = (
    "The keeper of the lighthouse lit the lamp, and the ships came home safely through the long dark night."
)
WAYS = ("as chosen", "together", "one after the other")
"""How slots are computed: as `Batch.prepare` finds best; in company without graphs; and as before there was
`agent.llm.batch`, which is measured with short prompts only.
"""
OPTIONS = (
    click.Option(["--tiny"], is_flag=True, help="Tiny models, on a processor."),
    click.Option(["--only"], default="", help="Only the parts whose names begin so."),
    click.Option(["--limit"], default=LIMIT, help="Seconds for all parts together."),
    click.Option(["--keep"], type=click.Path(path_type=Path), help="Keep the figures here after each part."),
)

CUBLAS = "backchat-cublas-"
"""How the folder is called that has cuBLAS under another name."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Some rows of the table. limit: seconds after which it is given up."""

    name: str
    work: Callable[[], Iterable[Row]]
    limit: float


def parts(tiny: bool) -> list[Part]:
    """The most telling first."""
    device = "cpu" if tiny else "cuda"
    if tiny:
        llms = [("tiny", {1: WAYS[:1], 3: WAYS}, (60, 200))]
        heard, compiled = ["tiny"], "tiny"
    else:
        llms = [
            ("Qwen2.5-0.5B", {SESSIONS[1]: WAYS, 1: (WAYS[0], WAYS[2])}, PROMPTS),
            ("Qwen2.5-7B", {SESSIONS[1]: WAYS[:1], 1: WAYS[:1]}, PROMPTS),
            ("Qwen2.5-1.5B", {SESSIONS[1]: WAYS[:1], 1: WAYS[:1]}, PROMPTS),
        ]
        heard, compiled = ["tiny.en", "base", "large-v3"], "Qwen2.5-0.5B"
    chosen = [Part(f"llm {name}", partial(chat, name, device, *rest), 110.0) for name, *rest in llms]
    for engine in ("whisper-torch", "whisper"):
        chosen += [Part(f"{engine} {name}", partial(hear, engine, name, device), 60.0) for name in heard]
    chosen.append(Part("mms", partial(speak, device, tiny), 60.0))
    chosen.append(Part("torch.compile", partial(library, compiled, device), 100.0))
    return chosen


# Each part, in a process of its own.


def chat(name: str, device: str, ways: Mapping[int, Sequence[str]], prompts: Sequence[int]) -> Iterator[Row]:
    """The transformers engine through the runner, as a server uses it. ways: by number of sessions."""
    import torch

    import agent.llm.transformers as engine

    number = torch.bfloat16 if device == "cuda" else torch.float32
    with tempfile.TemporaryDirectory() as folder:
        pair = random_models.chat(name, device, number, Path(folder))
    engine.load = lambda *_: pair
    context = max(prompts) + 6 * TOKENS
    for count, way in ((number, way) for number in ways for way in ways[number]):
        llm = engine.Transformers(Path(), context=context, max_tokens=TOKENS, slots=count, device=device)
        ready = timed(partial(warmed, llm, way))
        row = {"engine": "transformers", "model": name, "sessions": count, "how": way, "ready (s)": ready}
        asked(llm, min(prompts))  # what a thread's first use takes is not what is asked here
        for prompt in prompts[:1] if way == WAYS[2] else prompts:
            yield {**row, "prompt": prompt, **asked(llm, prompt), **passed(llm)}


def passed(llm: Any) -> Row:
    """What one pass for a token of all slots takes, without the threads, and the choice of a token."""
    import torch

    from agent.llm.batch import _Wanted
    from agent.llm.decoding.sampling import Sampler

    batch = llm._batch
    wanted = [_Wanted(row, [5]) for row in batch.rows]
    if batch._pass is None:
        return {}
    with torch.inference_mode():
        one = statistics.median(timed(lambda: batch._pass(wanted)) for _ in range(20))
        scores = batch._pass(wanted)[0]
        sampler = Sampler(**llm._sampling)
        choice = statistics.median(timed(lambda: sampler.choose(scores, list(range(9)))) for _ in range(20))
    return {"pass (ms)": 1000 * one, "choice (ms)": 1000 * choice}


def warmed(llm: Any, way: str) -> None:
    """Warm, and held to one way of computing slots together."""
    from agent.messages import Message

    if way == WAYS[0]:
        llm.warm()
        return
    llm.prefill([Message("user", "Hello.")])
    if way == WAYS[1]:
        llm._batch._pass = llm._batch._span


def asked(llm: Any, prompt: int) -> Row:
    """Two turns of each slot, all at once: the first reads `prompt` tokens, the second a few more."""
    from agent.messages import Message
    from agent.protocols import Finish
    from agent.runner import Runner, SharedLock, run_real

    slots = llm.slots()
    talks = [[Message("system", f"{number} " + "lamp " * 8)] for number in range(len(slots))]
    for talk in talks:
        least = llm.count([*talk, Message("user", "")])
        each = llm.count([*talk, Message("user", "lamp " * 100)]) - least
        talk.append(Message("user", "lamp " * ((prompt - least) * 100 // each)))

    async def all_at_once() -> list[tuple[float, list[float]]]:
        import anyio

        found: list[tuple[float, list[float]]] = []

        async def one(slot: Any, talk: list[Message]) -> None:
            runner = Runner({"llm": SharedLock()})
            came = runner.now()
            moments: list[float] = []
            async with runner.stream("llm", lambda: slot.stream(talk), 120.0, 120.0) as items:
                async for item in items:
                    if not isinstance(item, Finish):
                        moments.append(runner.now())
            found.append((came, moments))

        async with anyio.create_task_group() as tasks:
            for slot, talk in zip(slots, talks, strict=True):
                tasks.start_soon(one, slot, talk)
        return found

    cold = run_real(all_at_once)
    for talk in talks:
        talk += [Message("assistant", "The lamp."), Message("user", "And then?")]
    warm = run_real(all_at_once)
    rates = [(len(moments) - 1) / (moments[-1] - moments[0]) for _, moments in warm if len(moments) > 1]
    gaps = sorted(b - a for _, moments in warm for a, b in pairwise(moments))
    return {
        "first token": percentile([moments[0] - came for came, moments in cold], 0.95),
        "second turn's": percentile([moments[0] - came for came, moments in warm], 0.95),
        "tokens/s each": statistics.median(rates),
        "tokens/s all": sum(rates),
        "p99 gap (ms)": 1000 * percentile(gaps, 0.99),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def hear(kind: str, name: str, device: str) -> Iterator[Row]:
    """One utterance, then sixteen at once, one after the other as a server does it."""
    import numpy as np

    from audio.frame import Frame

    with tempfile.TemporaryDirectory() as made:
        folder = random_models.whisper(name, Path(made) / "torch")
        if kind == "whisper":
            folder = converted(folder, Path(made) / "ct2")
        engine = whisper(kind, folder, device)
    noise = np.random.default_rng(0).normal(0, 0.1, round(SPOKEN * 16_000)).astype(np.float32)
    sound = Frame(noise, 16_000)
    engine.warm()
    took = [timed(lambda: engine.transcribe(sound, final=False)) for _ in range(6)][1:]
    row: Row = {"engine": kind, "model": name, "sessions": 1, "first token": statistics.median(took)}
    yield row | {"of real time": statistics.median(took) / SPOKEN}
    waits = shared("stt", SESSIONS[-1], lambda: engine.transcribe(sound, final=False))
    yield {**row, "sessions": SESSIONS[-1], "first token": percentile(waits, 0.95)}


def converted(source: Path, target: Path) -> Path:
    """The same model in CTranslate2's format."""
    import ctranslate2

    library: Any = ctranslate2
    copied = ["tokenizer.json"] if (source / "tokenizer.json").is_file() else []
    library.converters.TransformersConverter(str(source), copy_files=copied).convert(
        str(target), quantization="float16"
    )
    return target


def whisper(kind: str, folder: Path, device: Any) -> Any:
    """The engine of that kind."""
    if kind == "whisper-torch":
        from audio.stt.transformers import WhisperTorch

        return WhisperTorch(folder, device=device)
    from audio.stt.whisper import Whisper

    return Whisper(folder, device=device)


def speak(device: str, tiny: bool) -> Iterator[Row]:
    """A VITS voice: its first sound and its factor of real time, alone and sixteen at once."""
    from audio.tts.mms import MMS

    with tempfile.TemporaryDirectory() as made:
        engine = MMS(weights=random_models.voice(Path(made), tiny=tiny), device=device)
    engine.warm()
    text, firsts, whole, sound = SENTENCE if not tiny else "Hi.", [], 0.0, 0.0
    for _ in range(5):
        began = time.perf_counter()
        stream = engine.stream(text)
        first = next(stream)
        firsts.append(time.perf_counter() - began)
        seconds = [first.duration, *(speech.duration for speech in stream)]
        whole, sound = time.perf_counter() - began, sum(seconds)
    row: Row = {"engine": "mms", "model": "VITS", "sessions": 1, "first token": statistics.median(firsts)}
    yield row | {"of real time": whole / sound, "sound (s)": sound}
    waits = shared("tts", SESSIONS[-1], lambda: next(engine.stream(text)))
    yield {**row, "sessions": SESSIONS[-1], "first token": percentile(waits, 0.95)}


def library(name: str, device: str) -> Iterator[Row]:
    """The library's own loop for one conversation: a static cache, and with `torch.compile`."""
    import torch

    number = torch.bfloat16 if device == "cuda" else torch.float32
    with tempfile.TemporaryDirectory() as folder:
        model, _ = random_models.chat(name, device, number, Path(folder))
    ids = torch.randint(3, 2000, (1, PROMPTS[0]), device=device)
    how = {
        "do_sample": False,
        "min_new_tokens": TOKENS,
        "max_new_tokens": TOKENS,
        "cache_implementation": "static",
    }
    for compiled in (False, True):
        again = partial(
            model.generate, ids, attention_mask=torch.ones_like(ids), **how, disable_compile=not compiled
        )
        ready = sum(timed(again) for _ in range(3))
        took = [timed(again) for _ in range(3)]
        yield {
            "engine": "generate",
            "model": name,
            "sessions": 1,
            "how": "static cache, compiled" if compiled else "static cache",
            "prompt": PROMPTS[0],
            "tokens/s each": TOKENS / statistics.median(took),
            "ready (s)": ready,
        }


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes, its device's work included."""
    import torch

    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def shared(kind: Any, count: int, work: Callable[[], object]) -> list[float]:
    """Seconds that each of so many sessions waits for the same work of one engine."""
    import anyio

    from agent.runner import Runner, SharedLock, run_real

    async def all_at_once() -> list[float]:
        lock, waits = SharedLock(), list[float]()

        async def one() -> None:
            runner = Runner({kind: lock})
            began = runner.now()
            await runner.call(kind, work, 120.0)
            waits.append(runner.now() - began)

        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(one)
        return waits

    return run_real(all_at_once)


# All of them.


def begun_anew() -> None:
    """Start this process over with cuBLAS 13 under the name of 12, which CTranslate2 asks for, if it must.

    It looks functions up by name, and those that it uses have the same. Does nothing where 12 is there.
    """
    spec = importlib.util.find_spec("nvidia")
    places = [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
    files = {
        file.name: file
        for place in (*places, *Path("/usr/local").glob("cuda*"))
        for file in place.rglob("lib*.so.*")
    }
    there = os.environ.get("LD_LIBRARY_PATH", "")
    if "libcublas.so.12" in files or "libcublas.so.13" not in files or CUBLAS in there:
        return
    folder = Path(tempfile.mkdtemp(prefix=CUBLAS))
    for name in ("libcublas", "libcublasLt"):
        (folder / f"{name}.so.12").symlink_to(files[f"{name}.so.13"])
    found = [
        folder,
        files["libcublas.so.13"].parent,
        *(f.parent for n, f in files.items() if n == "libcudnn.so.9"),
    ]
    path = os.pathsep.join(filter(None, [*map(str, found), there]))
    os.execve(sys.executable, sys.orig_argv, os.environ | {"LD_LIBRARY_PATH": path})


def card() -> str:
    """The name of the GPU, asked for in a process that ends, since this one has children."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def told(work: Callable[[], Iterable[Row]], pipe: Any) -> None:
    """The child: each row as it comes, and one line where it fails."""
    logging.basicConfig(level=logging.INFO)
    try:
        for row in work():
            pipe.send(row)
    except Exception as error:
        import traceback

        traceback.print_exc()
        pipe.send({"failed": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"})
        os._exit(1)
    pipe.close()


def rows(part: Part, seconds: float) -> Iterator[Row]:
    """What a part gives in that time."""
    forked = multiprocessing.get_context("fork")
    here, there = forked.Pipe(duplex=False)
    process = forked.Process(target=told, args=(part.work, there))
    process.start()
    there.close()
    deadline = time.monotonic() + seconds
    try:
        while True:
            if not here.poll(max(0.0, deadline - time.monotonic())):
                yield {"engine": part.name, "failed": f"not done after {seconds:.0f} s"}
                return
            row = here.recv()
            yield {"engine": part.name} | row
    except EOFError:
        process.join(10)
        if process.exitcode not in (0, 1):
            yield {"engine": part.name, "failed": f"exit status {process.exitcode}"}
    finally:
        if process.is_alive():
            process.kill()
        process.join()


def run(tiny: bool = False, only: str = "", limit: float = LIMIT, keep: Path | None = None) -> Results:
    if not tiny:
        begun_anew()
    # Loaded once for all parts, which are forked from here: none of it touches the device.
    import torch
    import transformers

    results, began = Results("gpu"), time.monotonic()
    name = next(rows(Part("card", lambda: [{"card": card()}], 60.0), 60.0))
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    results.add({**name, **versions, "python": sys.version.split()[0], "cores": os.cpu_count()})
    failed = 0
    for part in parts(tiny):
        if not part.name.startswith(only):
            continue
        left = limit - (time.monotonic() - began)
        if left < 5.0:
            results.add({"engine": part.name, "failed": "no time was left for it"})
            continue
        for row in rows(part, min(part.limit, left)):
            results.add(row)
            failed += "failed" in row
            if keep is not None:
                results.save(keep)
    results.target("parts that failed", failed, "<=", 0)
    return results
