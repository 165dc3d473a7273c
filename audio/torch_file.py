"""Reads the numbers of a file that torch has saved, without torch. Knows no network.

Such a file is a zip archive: a pickle says which tensors there are, and each one's numbers lie in a file
beside it. Of that pickle nothing is made but tensors: whatever else it asks for is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from audio.errors import ModelError, first_line

KINDS = {"FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4"}
"""What torch calls the kinds of numbers, and numpy."""


def tensors(file: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a network's state, by their names. Raises ModelError for any other file."""
    try:
        with zipfile.ZipFile(file) as archive:
            (told,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            folder = told.removesuffix("data.pkl")
            with archive.open(told) as stream:
                found = _Tensors(stream, lambda key: archive.read(f"{folder}data/{key}")).load()
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, LookupError, ValueError, TypeError) as error:
        raise ModelError(f"{file} holds no network that torch has saved ({first_line(error)})") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file} holds no network that torch has saved")
    state = cast(dict[str, Any], found)
    return {name: value for name, value in state.items() if isinstance(value, np.ndarray)}


class _Tensors(pickle.Unpickler):
    """Makes tensors, and nothing else. numbers: those of a tensor, by what the file calls them."""

    def __init__(self, stream: Any, numbers: Callable[[str], bytes]) -> None:
        super().__init__(stream)
        self._numbers = numbers

    def find_class(self, module: str, name: str) -> Any:
        """What the pickle may ask for."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in KINDS:
            return KINDS[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no tensor")

    def persistent_load(self, pid: Any) -> npt.NDArray[Any]:
        """The numbers of one storage. pid: "storage", their kind, their key, and more."""
        _, kind, key, *_ = pid
        return np.frombuffer(self._numbers(key), kind)


def _tensor(
    numbers: npt.NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> npt.NDArray[Any]:
    """As torch rebuilds one whose numbers lie in a row; `strides` in numbers."""
    count = prod(shape)
    part = numbers[offset : offset + count].reshape(shape)
    if any(
        size > 1 and each * part.itemsize != step
        for size, each, step in zip(shape, strides, part.strides, strict=True)
    ):
        raise ValueError("a tensor whose numbers do not lie in a row")
    return part
