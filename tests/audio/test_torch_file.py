"""What torch has saved is read without torch, and nothing in such a file is run."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from audio.errors import ModelError
from audio.torch_file import tensors

torch = pytest.importorskip("torch")


def test_the_numbers_are_those_that_were_saved(tmp_path: Path):
    state = {
        "a.weight": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
        "a.half": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "a.count": torch.tensor(7),
        "a.part": torch.arange(10, dtype=torch.float32)[4:7],
    }
    torch.save(state, tmp_path / "net.pt")
    found = tensors(tmp_path / "net.pt")
    assert list(found) == list(state)
    for name, value in state.items():
        assert found[name].dtype == value.numpy().dtype
        assert np.array_equal(found[name], value.numpy())


def test_numbers_that_lie_across_are_refused_and_not_read_wrong(tmp_path: Path):
    torch.save({"across": torch.arange(6.0).reshape(2, 3).T}, tmp_path / "net.pt")
    with pytest.raises(ModelError, match="do not lie in a row"):
        tensors(tmp_path / "net.pt")


class Runs:
    """What a pickle can have called."""

    called: ClassVar[list[str]] = []

    def __reduce__(self):
        return self.called.append, ("it ran",)


@pytest.mark.parametrize("kind", ["a program", "no archive", "nothing", "a list", "cut", "no such file"])
def test_whatever_else_is_in_a_file_is_refused_in_one_line(kind: str, tmp_path: Path):
    file = tmp_path / "net.pt"
    if kind in ("a program", "nothing", "a list"):
        with zipfile.ZipFile(file, "w") as archive:
            if kind != "nothing":
                archive.writestr("net/data.pkl", pickle.dumps({"w": Runs()} if kind == "a program" else [1]))
    elif kind == "no archive":
        file.write_bytes(b"no network")
    elif kind == "cut":
        torch.save({"w": torch.zeros(1000)}, file)
        file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(ModelError, match="holds no network that torch has saved") as told:
        tensors(file)
    assert "\n" not in str(told.value)
    assert Runs.called == []
