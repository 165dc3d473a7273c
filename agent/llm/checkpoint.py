"""Where a torch chat model comes from: a folder, a GGUF file or a model hub. Knows nothing of how it is run.

A GGUF file is unpacked once, in the number format that the model will run in, into a folder of the cache
(`<cache_dir>/torch/<file>-<path>/<format>-<version of the file>`), which then loads by memory map.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import logging
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import ConfigError, MissingExtra, ModelError, first_line
from agent.weights.catalogue import cache_dir, catalogue
from audio.offline import demand_network, offline

if TYPE_CHECKING:
    import torch

_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model"]
"""No pickles: a checkpoint of that kind can hold a program."""

_CURE = "give a GGUF file, a folder in the hub's format, or a name from `backchat models list`"
_ABANDONED = 3600.0
"""Seconds after which a folder that some process was unpacking into is taken for dead."""

_log = logging.getLogger(__name__)


def on_hub(name: str) -> bool:
    """Whether `name` reads as `owner/name` on a model hub, and nothing here is called so."""
    known = name in catalogue() or Path(name).expanduser().exists()
    return not known and _HUB_NAME.fullmatch(name) is not None


def from_hub(name: str) -> Path:
    """The folder of a hub's model, kept in the hub's own cache and found there offline."""
    import huggingface_hub

    hub: Any = huggingface_hub
    here = offline() is not None
    try:
        return Path(hub.snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=here))
    except (OSError, ValueError) as error:
        demand_network(name)
        raise ModelError(
            f"{name} is nothing on this machine and cannot be had from the model hub "
            f"({type(error).__name__}); check the name and the network, or {_CURE}"
        ) from error


def require(*packages: str) -> None:
    """Raise MissingExtra unless all these packages are installed."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingExtra(f"the transformers engine needs {' and '.join(missing)}", "torch")


def choose_device(device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    """The device and number format for the settings of those names; "auto" leaves the choice here.

    On its own it takes a CUDA card with bfloat16, else the CPU with float32: there bfloat16 was measured
    to be half as fast. Raises ConfigError for a device that is not there.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"llm.device: there is no {device!r} for torch here; use auto or cpu") from error
    if dtype == "auto":
        dtype = "bfloat16" if place.type == "cuda" else "float32"
    return place, getattr(torch, dtype)


def load(weights: Path, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model, on its device and ready to be asked, and its tokenizer.

    weights: a folder in the hub's format, a GGUF file, or what is `on_hub`. Raises ModelError, one line,
    for anything else.
    """
    import transformers

    library: Any = transformers
    library.utils.logging.disable_progress_bar()
    library.utils.logging.set_verbosity_error()
    if on_hub(weights.as_posix()):
        weights = from_hub(weights.as_posix())
    if weights.is_dir():
        if not (weights / "config.json").is_file():
            raise ModelError(f"{weights}: no model in the hub's format, it has no config.json; {_CURE}")
        return _from_folder(library, weights, device, dtype)
    return _from_folder(library, _unpacked(library, weights, dtype), device, dtype)


def faults() -> tuple[type[Exception], ...]:
    """What transformers and safetensors raise for files that are not what they should be."""
    from safetensors import SafetensorError

    return (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        ImportError,
        SafetensorError,
    )


def _from_folder(library: Any, folder: Path, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = library.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=dtype)
        model = model.to(device).eval()
    except faults() as error:
        raise ModelError(f"{folder}: transformers cannot load it ({first_line(error)}); {_CURE}") from error
    if not tokenizer.chat_template:
        raise ModelError(
            f"{folder}: the model has no chat template, so it was not taught to answer; take its instruct "
            "variant"
        )
    return model, tokenizer


def _unpacked(library: Any, file: Path, dtype: torch.dtype) -> Path:
    """The folder with the unpacked contents of a GGUF file; made if it is not there."""
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
        stat = file.stat()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror}); {_CURE}") from error
    if magic != b"GGUF":
        raise ModelError(f"{file}: not a GGUF file; {_CURE}")
    form = str(dtype).removeprefix("torch.")
    home = cache_dir() / "torch" / f"{file.stem}-{_digest(str(file.resolve()))}"
    folder = home / f"{form}-{_digest(f'{stat.st_size} {stat.st_mtime_ns} {library.__version__}')}"
    if folder.is_dir():
        return folder
    require("gguf", "accelerate")
    _log.warning("%s: unpacking it for torch; this is done once and takes a minute or two", file.name)
    scratch: Path | None = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        _tidy(home, form)
        # Unpacked beside its place and renamed: whoever sees the folder sees all of it. Two processes may
        # do the work twice; the second finds its place taken and drops its own.
        scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=home))
        _unpack(library, file, dtype, scratch)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except OSError as error:
        raise ModelError(
            f"{home} cannot be written ({error.strerror or error}); free some room, or set BACKCHAT_CACHE to "
            "a folder that can"
        ) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _unpack(library: Any, file: Path, dtype: torch.dtype, folder: Path) -> None:
    given = {"gguf_file": file.name, "local_files_only": True}
    # Its progress bar cannot be switched off and goes to standard error.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            tokenizer = library.AutoTokenizer.from_pretrained(file.parent, **given)
            model = library.AutoModelForCausalLM.from_pretrained(
                file.parent, **given, dtype=dtype, quantization_config=library.GgufConfig(dequantize=True)
            )
        except faults() as error:
            raise ModelError(
                f"{file}: transformers cannot unpack it ({first_line(error)}); it is damaged or of a kind "
                "that only llama.cpp knows: use --set llm.engine=llamacpp"
            ) from error
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _tidy(home: Path, form: str) -> None:
    """Remove what was unpacked from an older state of the file, and what a killed process left."""
    for folder in home.iterdir():
        abandoned = folder.name.startswith(".") and time.time() - folder.stat().st_mtime > _ABANDONED
        if abandoned or folder.name.startswith(f"{form}-"):
            shutil.rmtree(folder, ignore_errors=True)


def decoder_of(tokenizer: Any) -> dict[str, Any] | None:
    """The "decoder" of the tokenizer's `tokenizer.json`; None where it is not one of that kind."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return None if backend is None else json.loads(backend.to_str())["decoder"]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
