"""Where a torch model comes from: folders, GGUF files unpacked once, hubs out of reach, what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_chat_model import save_model, save_tokenizer

from agent.errors import ConfigError, MissingExtra, ModelError
from agent.llm import checkpoint
from agent.llm.transformers import Transformers
from agent.weights import catalogue as models

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("tiny"), "Llama")


@pytest.fixture
def gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """A file with the beginning of a GGUF file, which unpacks into the tiny model, and a cache of its own."""
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path / "cache"))

    def unpack(library: Any, file: Path, dtype: Any, place: Path) -> None:
        shutil.copytree(folder, place, dirs_exist_ok=True)

    monkeypatch.setattr(checkpoint, "_unpack", unpack)
    file = tmp_path / "own.gguf"
    file.write_bytes(b"GGUF and so on")
    return file


def unpacked(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "cache" / "torch").glob("own-*/*")}


def refuse(*_: Any) -> None:
    raise AssertionError("unpacked again")


def test_a_gguf_file_is_unpacked_once(gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = checkpoint.load(gguf, torch.device("cpu"), torch.float32)
    assert model.dtype == torch.float32
    assert tokenizer.chat_template
    (name,) = unpacked(tmp_path)
    assert name.startswith("float32-")
    monkeypatch.setattr(checkpoint, "_unpack", refuse)
    checkpoint.load(gguf, torch.device("cpu"), torch.float32)


def test_a_changed_file_is_unpacked_again_in_place_of_the_old(gguf: Path, tmp_path: Path) -> None:
    checkpoint.load(gguf, torch.device("cpu"), torch.float32)
    before = unpacked(tmp_path)
    os.utime(gguf, (1, 1))
    checkpoint.load(gguf, torch.device("cpu"), torch.float32)
    after = unpacked(tmp_path)
    assert len(after) == 1
    assert after != before


def test_each_number_format_is_kept(gguf: Path, tmp_path: Path) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        assert checkpoint.load(gguf, torch.device("cpu"), dtype)[0].dtype == dtype
    assert sorted(name.partition("-")[0] for name in unpacked(tmp_path)) == ["bfloat16", "float32"]


def test_of_two_that_unpack_at_once_the_second_takes_what_the_first_made(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack: Any = checkpoint._unpack

    def and_somebody_else(library: Any, file: Path, dtype: Any, place: Path) -> None:
        monkeypatch.setattr(checkpoint, "_unpack", unpack)
        checkpoint.load(gguf, torch.device("cpu"), torch.float32)
        unpack(library, file, dtype, place)

    monkeypatch.setattr(checkpoint, "_unpack", and_somebody_else)
    checkpoint.load(gguf, torch.device("cpu"), torch.float32)
    assert len(unpacked(tmp_path)) == 1


def test_a_broken_off_unpacking_leaves_nothing_that_is_taken_for_whole(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(library: Any, file: Path, dtype: Any, place: Path) -> None:
        (place / "config.json").write_text("{}")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_unpack", interrupted)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.load(gguf, torch.device("cpu"), torch.float32)
    assert unpacked(tmp_path) == set()
    dead = tmp_path / "cache" / "torch" / next((tmp_path / "cache" / "torch").iterdir()).name / ".unpacking-x"
    dead.mkdir()
    os.utime(dead, (1, 1))
    checkpoint.load(gguf, torch.device("cpu"), torch.float32)
    assert not dead.exists()


def test_a_cache_that_cannot_be_written_is_one_clear_line(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot be written .*set BACKCHAT_CACHE"):
        checkpoint.load(gguf, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "cannot be read"),
        (lambda path: path.write_text("hello"), "not a GGUF file"),
        (lambda path: path.mkdir(), "no config.json"),
        (lambda path: (path.mkdir(), (path / "config.json").write_text("{}")), "cannot load it"),
        (lambda path: (path.mkdir(), (path / "config.json").write_text("no JSON")), "cannot load it"),
        (lambda path: path.write_bytes(b"GGUF\x03\0\0\0" + bytes(1000)), "llm.engine=llamacpp"),
    ],
)
def test_what_is_no_model_is_one_clear_line(
    make: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path / "cache"))
    make(tmp_path / "own")
    with pytest.raises(ModelError) as caught:
        Transformers(tmp_path / "own", device="cpu")
    assert says in str(caught.value)
    assert str(tmp_path / "own") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err


def test_damaged_weights_in_a_folder_are_one_clear_line(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match="cannot load it"):
        Transformers(copy, device="cpu")


def test_a_model_that_was_not_taught_to_chat_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no chat template"):
        Transformers(save_model(tmp_path, "Llama", template=None), device="cpu")


def test_a_tokenizer_that_cannot_be_streamed_is_refused(folder: Path, tmp_path: Path) -> None:
    import json

    copy = shutil.copytree(folder, tmp_path / "copy")
    save_tokenizer(copy)
    file = copy / "tokenizer.json"
    content = json.loads(file.read_text())
    content["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}
    file.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"cannot be streamed: .*WordPiece"):
        Transformers(copy, device="cpu")


def test_a_device_that_is_not_there_is_refused(folder: Path) -> None:
    for device in ("cuda:97", "abacus"):
        with pytest.raises(ConfigError, match=rf"llm\.device: there is no '{device}'"):
            Transformers(folder, device=device)


def test_the_choice_of_device_and_numbers() -> None:
    device, dtype = checkpoint.choose_device("auto", "auto")
    card = torch.cuda.is_available()
    assert (device.type, dtype) == (("cuda", torch.bfloat16) if card else ("cpu", torch.float32))
    assert checkpoint.choose_device("cpu", "bfloat16") == (torch.device("cpu"), torch.bfloat16)


def test_what_reads_as_a_name_on_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own").mkdir()
    assert Transformers.fetches("HuggingFaceTB/SmolLM2-135M-Instruct")
    for name in ("smollm2", "mine/own", "/mine/other", "./mine/other", "a/b/c", "../b", "mine"):
        assert not Transformers.fetches(name)


@pytest.mark.parametrize("variable", ["BACKCHAT_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT"])
def test_a_hub_out_of_reach_is_one_clear_line(variable: str, tmp_path: Path) -> None:
    """In a process of its own, because the hub's library reads its surroundings once."""
    code = (
        "from pathlib import Path; from agent.errors import ModelError\n"
        "from agent.llm.transformers import Transformers\n"
        "try: Transformers(Path('nobody/nothing'), device='cpu')\n"
        "except ModelError as error: print(error)\n"
    )
    value = "http://127.0.0.1:9" if variable == "HF_ENDPOINT" else "1"
    env = os.environ | {variable: value, "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    if variable == "HF_ENDPOINT":
        told = "nobody/nothing is nothing on this machine and cannot be had"
    else:
        told = f"nobody/nothing is not on this machine and {variable} is set; unset it"
    assert done.stdout.startswith(told), done.stderr
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("missing", "weights"), [("torch", "folder"), ("transformers", "folder"), ("gguf", "file")]
)
def test_a_missing_library_names_the_extra(
    missing: str, weights: str, folder: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == missing else found(name, *more)
    )
    with pytest.raises(MissingExtra, match=rf"needs {missing}; type: .*scripts/setup torch"):
        Transformers(gguf if weights == "file" else folder, device="cpu")


@pytest.mark.model
def test_a_real_gguf_file_is_kept_unpacked(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = models.resolve("smollm2")
    checkpoint.load(file, torch.device("cpu"), torch.float32)
    monkeypatch.setattr(checkpoint, "_unpack", refuse)
    model, _ = checkpoint.load(file, torch.device("cpu"), torch.float32)
    assert sum(weights.numel() for weights in model.parameters()) == 134_515_008
    assert capfd.readouterr().out == ""
    assert "it/s]" not in capfd.readouterr().err
