"""Where a Coqui model lies: its folder, its config, its weights. Knows files; builds no network."""

from __future__ import annotations

import contextlib
import io
import logging
import pickle
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

from audio.errors import ConfigError, MissingExtra, ModelError, first_line
from audio.offline import demand_network, offline


def fetched(name: str) -> Path:
    """The folder of one of Coqui's own models, which Coqui fetches. Raises ModelError, MissingExtra."""
    _available()
    from TTS.utils.manage import ModelManager

    library: Any = ModelManager
    try:
        manager = library(progress_bar=False)
        manager.ask_tos = _unasked  # it would wait at a terminal that shows a progress bar, or at none
        if offline():
            kept = Path(manager.output_prefix) / name.replace("/", "--")
            if kept.is_dir():
                return kept
            demand_network(name)
        model, _, _ = manager.download_model(name)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"Coqui cannot fetch {name!r} ({first_line(error)}); check the name and the network"
        ) from error
    found = Path(model)
    return found if found.is_dir() else found.parent


def _unasked(folder: Path) -> bool:
    """In place of Coqui's question for a licence, of which it has made the folder already."""
    folder.rmdir()
    raise ModelError(
        f"{folder.name}: these weights are for non-commercial use (https://tts-hub.github.io/cpml); "
        "set COQUI_TOS_AGREED=1 if you agree to that"
    )


def config_of(folder: Path, kind: str) -> Any:
    """The config.json of a model, read by Coqui. kind: "vits" or "xtts". Raises ModelError, ConfigError."""
    _available()
    from TTS.config import load_config

    file = (folder if folder.is_dir() else folder.parent) / "config.json"
    if not file.is_file():
        raise ModelError(f"{folder} is no Coqui model: name a folder with a config.json and a .pth in it")
    try:
        config: Any = load_config(str(file))
    except (OSError, ValueError, KeyError, TypeError, ModuleNotFoundError, AttributeError) as error:
        raise ModelError(f"{file} is not a Coqui model's ({error})") from error
    if config.model != kind:
        use = {"vits": "coqui", "xtts": "xtts"}.get(config.model)
        told = f"use tts.engine={use}" if use else "only VITS and XTTS are supported"
        raise ConfigError(f"tts.model: {folder} is a model of the kind {config.model}; {told}")
    return config


def weights_in(torch: Any, folder: Path) -> dict[str, Any]:
    """The state of the model in `folder`, or of a .pth file itself, on the CPU. Raises ModelError."""
    choices = sorted(folder.glob("*.pth")) if folder.is_dir() else [folder]
    named = [path for path in choices if path.name in ("model_file.pth", "best_model.pth", "model.pth")]
    choices = named[:1] or [path for path in choices if "speaker" not in path.name]
    if len(choices) != 1:
        raise ModelError(f"{folder} should hold one model_file.pth; it has {len(choices)}")
    try:
        state: Any = torch.load(str(choices[0]), map_location="cpu", weights_only=True)
        return dict(state["model"])
    except pickle.UnpicklingError as error:
        raise ModelError(f"{choices[0]} holds more than weights, and is not opened") from error
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
        raise ModelError(f"{choices[0]} is not a Coqui model's weights ({error})") from error


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Coqui tells of its building by prints, warnings and log lines: none of it is for the user."""
    logger = logging.getLogger("TTS")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _available() -> None:
    try:
        import TTS  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise MissingExtra("Coqui's voices need coqui-tts", "coqui") from error
