"""Networks on onnxruntime: how a session is opened, and what it may raise. Knows no network."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any


def session(model: Path | bytes, threads: int, *, alone: bool = True) -> Any:
    """An `InferenceSession` on the CPU over a file or its bytes; `threads` for one computation, 0: all cores.

    alone: False where sessions run in turn, each with threads of its own: spinning, those of one would keep
    the cores busy that the next one needs. Raises what `faults` names.
    """
    import onnxruntime

    library: Any = onnxruntime  # it ships no types
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised
    if not alone:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False  # for shapes that repeat, and no two sentences are equally long
    given = str(model) if isinstance(model, Path) else model
    return library.InferenceSession(given, options, providers=["CPUExecutionProvider"])


@cache
def faults() -> tuple[type[Exception], ...]:
    """What opening or running a network may raise: onnxruntime's errors share no base but Exception."""
    runtime: dict[str, Any] = vars(importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state"))
    own = (e for e in runtime.values() if isinstance(e, type) and issubclass(e, Exception))
    return (LookupError, ValueError, TypeError, ArithmeticError, RuntimeError, OSError, *own)
