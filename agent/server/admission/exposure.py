"""What must be so before others may reach the server: a token, kept to itself, and TLS. Knows no wire."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from agent.errors import ConfigError
from agent.server.admission.guard import is_loopback
from agent.settings import Config, ServerConfig

SHORTEST = 16
"""Characters of a token, which nobody can guess then."""
LONGEST = 4096
"""Bytes of a file with a token: a header has room for no longer one."""
VISIBLE = re.compile(r"[!-~]+")
"""What a header can carry without quoting: ASCII without spaces."""
MAKE = "(umask 077; openssl rand -hex 24 >token)"
"""What to type for a token in a file."""


def checked_token(config: Config, environ: Mapping[str, str] = os.environ) -> str | None:
    """The token that clients must show, from the environment or a file; None where none is needed.

    A file is named by `server.token_file` or by the environment (`server.token_env` and "_FILE", as container
    images have it). Raises ConfigError where one is missing, given twice, too short, or where others may read
    its file.
    """
    server = config.server
    inline, named = server.token_env, f"{server.token_env}_FILE"
    ways = {inline: environ.get(inline), named: environ.get(named), "server.token_file": server.token_file}
    given = {way: value for way, value in ways.items() if value}
    if len(given) > 1:
        raise ConfigError(f"the token is given more than once, by {' and '.join(given)}; leave one")
    token = None
    for way, value in given.items():
        token = value if way == inline else _read(Path(value).expanduser(), way)
        if len(token) < SHORTEST:
            raise ConfigError(f"{way}: {SHORTEST} characters at least: openssl rand -hex 24")
        if not VISIBLE.fullmatch(token):
            raise ConfigError(f"{way}: letters, digits and signs in one line only: openssl rand -hex 24")
    check_exposure(server, token)
    return token


def check_exposure(config: ServerConfig, token: str | None) -> None:
    """Raises ConfigError where strangers could reach a server without a token."""
    if not token and not is_loopback(config.host):
        raise ConfigError(
            f"server.host: {config.host} can be reached by others, so a token is needed: {MAKE}, then "
            "--token-file token; or take server.host=127.0.0.1"
        )
    if token or config.wyoming_clients or not config.wyoming:
        return
    if not is_loopback(host := host_and_port(config.wyoming)[0]):
        raise ConfigError(
            f"server.wyoming: {host} can be reached by others, so say who may come: "
            'server.wyoming_clients=["192.168.1.20"], or a token; or take tcp://127.0.0.1:10700'
        )


def authority(host: str, port: int) -> str:
    """An address and a port as they stand in a URI: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_and_port(address: str) -> tuple[str, int]:
    """The two of "tcp://HOST:PORT", an IPv6 address without its brackets."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)


def checked_tls(config: ServerConfig) -> tuple[Path | None, Path | None]:
    """The files of the certificate chain and its key (PEM); the key is None where the first holds both.

    Raises ConfigError for a file that is missing, and for a key that others may read.
    """
    certificate, key = (
        Path(path).expanduser() if path else None for path in (config.certificate, config.key)
    )
    if key is not None and certificate is None:
        raise ConfigError("server.key: give server.certificate too")
    for name, path in (("server.certificate", certificate), ("server.key", key)):
        if path is not None and not path.is_file():
            raise ConfigError(f"{name}: {path}: no such file; give a PEM file")
    if secret := key or certificate:
        with _opened(secret, "server.key" if key else "server.certificate"):
            pass
    return certificate, key


def clear_text(config: ServerConfig, tls: bool) -> str:
    """Why others can overhear it, and what to do; empty where they cannot, or where there is a proxy."""
    told = list[str]()
    if not (tls or config.proxies or is_loopback(config.host)):
        told.append(
            f"server.host: {config.host} can be reached by others, and without TLS whoever is on the way "
            "hears what is said and reads the token: give server.certificate and server.key, or put it "
            "behind a proxy (docs/server.md)"
        )
    if config.wyoming and not is_loopback(host := host_and_port(config.wyoming)[0]):
        told.append(
            f"server.wyoming: {host} can be reached by others, and the protocol has no TLS: whoever is on "
            "the way hears what is said"
        )
    return "; ".join(told)


def _read(path: Path, way: str) -> str:
    with _opened(path, way) as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise ConfigError(f"{way}: {path}: more than a token; give a file that holds nothing else")
    return data.decode("utf-8", errors="replace").strip()


def _opened(path: Path, way: str) -> IO[bytes]:
    """A file with a secret. Raises ConfigError where others may read or write it, or we may not.

    PostgreSQL's rule for keys: what is ours must be ours alone; what another user owns, as root does what
    systemd or Kubernetes hands over, may be shared with a group that we are in. The open file is asked, not
    the path, behind which another one may lie by then.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"{way}: {path}: cannot be read ({error.strerror})") from error
    found = os.fstat(file.fileno())
    ours = os.name == "posix" and found.st_uid == os.geteuid()
    shared = stat.S_IRWXO | (stat.S_IRWXG if ours else stat.S_IWGRP | stat.S_IXGRP)
    if os.name == "posix" and found.st_mode & shared:
        file.close()
        raise ConfigError(f"{way}: {path}: others may read it: chmod {400 if ours else 440} {path}")
    return file
