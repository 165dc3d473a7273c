"""Loads torch, for whoever computes on it, and finds its devices. Knows no model."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from audio.errors import ConfigError, MissingExtra, first_line
from audio.offline import offline


def library(extra: str) -> Any:
    """The module torch. Raises MissingExtra, naming the extra that brings it.

    To be called before anything that comes with torch is imported: all of it reads its settings once.
    """
    # Threads that spin while they wait for each other slow everything down when the cores are busy: there a
    # language model's token took 2.5 times as long. Those that never spin make a voice alone take 1.7 times
    # as long. So: a short spin. GNU's OpenMP, which torch comes with on Linux, reads this as torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    # The model hubs' library tells its hub of each start, even of one that only reads what is here already.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if offline():
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("this engine needs torch", extra) from error
    return torch


@contextmanager
def threads_kept() -> Generator[None]:
    """Torch computes with as many threads afterwards as before, whatever else is loaded in here.

    CTranslate2 tells OpenMP how many threads it wants, in the thread that loads it. A torch that is loaded
    later sets its own; one that was there would use no more, and speak 1.7 times slower on two cores.
    """
    torch = sys.modules.get("torch")
    threads: int = torch.get_num_threads() if torch else 0
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(threads)


def device(torch: Any, name: str, setting: str) -> Any:
    """The device called `name`; "auto" is a GPU where there is one. Raises ConfigError, naming `setting`."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(name)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"{setting}: {name!r} cannot be used here ({first_line(error)}); try cpu"
        ) from error
    return chosen
