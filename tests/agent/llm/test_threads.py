"""How many threads llama.cpp gets: no more than pay, and such as sleep while they wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import EngineFault
from agent.llm import llamacpp
from agent.llm.llamacpp import PER_THREAD, threads_for


class Weights(type(Path())):
    """A file of a size that no disk need hold."""

    size: int

    def stat(self, **_: object) -> os.stat_result:
        return os.stat_result((0,) * 6 + (self.size, 0, 0, 0))


def weights(size: int) -> Path:
    file = Weights("model.gguf")
    file.size = size
    return file


@pytest.mark.parametrize(
    ("gigabytes", "cores", "counts"),
    [
        (0.1, 2, (1, 2)),  # SmolLM2: its steps are too short for two to meet
        (0.4, 2, (2, 2)),  # the default model
        (0.4, 16, (2, 16)),
        (1.1, 4, (3, 4)),  # the rest of the program keeps a core
        (4.7, 2, (2, 2)),
        (40.0, 8, (7, 8)),
        (0.4, 1, (1, 1)),
    ],
)
def test_a_token_gets_as_many_threads_as_pay_and_a_prompt_all(
    monkeypatch: pytest.MonkeyPatch, gigabytes: float, cores: int, counts: tuple[int, int]
) -> None:
    monkeypatch.setattr(llamacpp, "physical_cores", lambda: cores)
    assert threads_for(weights(int(gigabytes * 1e9))) == counts


@given(st.integers(1, 10**12), st.integers(1, 128), st.integers(0, 64), st.integers(0, 64))
def test_what_is_asked_for_is_given_and_never_more_than_there_is_chosen(
    size: int, cores: int, writing: int, reading: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llamacpp, "physical_cores", lambda: cores)
        chosen = threads_for(weights(size), writing, reading)
        if writing:
            assert chosen[0] == writing
        else:
            assert 1 <= chosen[0] <= max(min(cores, 2), cores - 1)
            assert (chosen[0] - 1) * PER_THREAD < size
        assert chosen[1] == (reading or cores)


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP")
@pytest.mark.parametrize("own", [{}, {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "7"}])
def test_its_threads_sleep_while_they_wait_unless_they_are_told_otherwise(own: dict[str, str]) -> None:
    """OpenMP itself tells what it has read; what this program's other libraries read stays as it was."""
    program = (
        "import os; from agent.llm.llamacpp import _sleeping_threads\n"
        "with _sleeping_threads():\n"
        "    import xllamacpp\n"
        "assert all(os.environ.get(name) == value for name, value in OWN.items())\n"
        "assert OWN or 'OMP_WAIT_POLICY' not in os.environ and 'GOMP_SPINCOUNT' not in os.environ\n"
    ).replace("OWN", repr(own))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment = clean | own | {"OMP_DISPLAY_ENV": "verbose"}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert f"OMP_WAIT_POLICY = '{'ACTIVE' if own else 'PASSIVE'}'" in told.stderr
    assert f"GOMP_SPINCOUNT = '{own.get('GOMP_SPINCOUNT', '30')}'" in told.stderr


def test_a_system_without_openmp_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its wheel takes libgomp from the system, and slim images have none."""

    class Without:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "xllamacpp":
                raise ImportError("libgomp.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Without(), *sys.meta_path])
    with pytest.raises(EngineFault, match=r"\(libgomp\.so\.1: .*\); .* sudo apt-get install libgomp1$"):
        llamacpp.load_server(tmp_path / "a.gguf", 512, 1, (1, 1), "key")


@pytest.mark.parametrize(("kinds", "fitted"), [([0], False), ([0, 1], True), ([0, 2], True)])
def test_a_model_is_fitted_to_the_memory_of_a_card_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kinds: list[int], fitted: bool
) -> None:
    """Elsewhere the trial made loading the 0.5B take 1.3 s of CPU instead of 0.8 s."""
    import xllamacpp

    asked: list[xllamacpp.CommonParams] = []
    kind = xllamacpp.ggml_backend_dev_type
    assert llamacpp.CPU == kind.GGML_BACKEND_DEVICE_TYPE_CPU
    monkeypatch.setattr(xllamacpp, "get_device_info", lambda: [{"type": kind(each)} for each in kinds])
    monkeypatch.setattr(xllamacpp, "Server", asked.append)
    llamacpp.load_server(tmp_path / "a.gguf", 512, 1, (1, 1), "key")
    assert asked[0].fit_params is fitted
