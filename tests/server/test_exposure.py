"""Before others may reach the server: where its token comes from, who may read it, and clear text."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path

import anyio
import click
import pytest
import serving
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.commands import backchat
from agent.cli.inventory import doctor
from agent.cli.serve import _draw
from agent.errors import ConfigError, ModelError
from agent.server.admission import exposure
from agent.server.run import run_server
from agent.settings import Config, ServerConfig

TOKEN = "0123456789abcdef0123"
posix = pytest.mark.skipif(os.name != "posix", reason="a mode means nothing there")


def settings(**server: str) -> Config:
    return Config.model_validate({"server": server})


def written(path: Path, text: str = f"{TOKEN}\n", mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_token_comes_from_a_setting_or_the_environment(tmp_path: Path) -> None:
    file = str(written(tmp_path / "token"))
    assert exposure.checked_token(settings(token_file=file), {}) == TOKEN
    assert exposure.checked_token(Config(), {"BACKCHAT_TOKEN_FILE": file}) == TOKEN
    assert exposure.checked_token(Config(), {"BACKCHAT_TOKEN": TOKEN}) == TOKEN
    named = settings(token_env="MINE")
    assert exposure.checked_token(named, {"MINE_FILE": file, "BACKCHAT_TOKEN": "x" * 20}) == TOKEN
    assert exposure.checked_token(Config(), {"BACKCHAT_TOKEN": "", "BACKCHAT_TOKEN_FILE": ""}) is None


def test_a_pipe_gives_a_token_too() -> None:
    read, write = os.pipe()
    os.write(write, f"{TOKEN}\n".encode())
    os.close(write)
    assert exposure.checked_token(settings(token_file=f"/dev/fd/{read}"), {}) == TOKEN
    os.close(read)


def test_a_token_that_is_given_twice_is_refused_by_both_names(tmp_path: Path) -> None:
    file = str(written(tmp_path / "token"))
    with pytest.raises(ConfigError, match=r"by BACKCHAT_TOKEN and server\.token_file; leave one$"):
        exposure.checked_token(settings(token_file=file), {"BACKCHAT_TOKEN": TOKEN})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "16 characters at least"),
        ("short\n", "16 characters at least"),
        ("0123456789 abcdef", "in one line only"),
        (f"{TOKEN}\n{TOKEN}\n", "in one line only"),
        ("äöüäöüäöüäöüäöüäöü", "in one line only"),
        ("\0" * 20, "in one line only"),
        ("x" * 5000, "more than a token"),
    ],
)
def test_what_is_no_token_is_one_line_without_it(tmp_path: Path, text: str, why: str) -> None:
    file = written(tmp_path / "token", text)
    with pytest.raises(ConfigError, match=why) as refused:
        exposure.checked_token(settings(token_file=str(file)), {})
    assert "\n" not in str(refused.value)
    assert not text.strip() or text.strip() not in str(refused.value)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"BACKCHAT_TOKEN_FILE: .* cannot be read \("):
        exposure.checked_token(Config(), {"BACKCHAT_TOKEN_FILE": str(tmp_path / name)})


@posix
@given(mode=st.integers(0, 0o777).map(lambda mode: mode | 0o400), ours=st.booleans())
def test_a_secret_that_others_may_read_or_write_is_refused(
    tmp_path_factory: pytest.TempPathFactory, mode: int, ours: bool
) -> None:
    """What is ours is for us alone; what root hands over may be read, but not written, by a group."""
    file = written(tmp_path_factory.mktemp("secret") / "token", mode=mode)
    with pytest.MonkeyPatch.context() as patch:
        if not ours:
            patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        config = settings(token_file=str(file), certificate=str(file), key=str(file))
        if mode & (0o077 if ours else 0o037):
            for check in (
                lambda: exposure.checked_token(config, {}),
                lambda: exposure.checked_tls(config.server),
            ):
                with pytest.raises(ConfigError, match=r"others may read it: chmod 4[04]0 /") as refused:
                    check()
                assert "\n" not in str(refused.value)
        else:
            assert exposure.checked_token(config, {}) == TOKEN
            assert exposure.checked_tls(config.server) == (file, file)


@posix
def test_the_mend_that_is_told_is_one(tmp_path: Path) -> None:
    file = written(tmp_path / "token", mode=0o666)
    with pytest.raises(ConfigError) as refused:
        exposure.checked_token(settings(token_file=str(file)), {})
    subprocess.run(["bash", "-c", str(refused.value).rpartition(": ")[2]], check=True)
    assert exposure.checked_token(settings(token_file=str(file)), {}) == TOKEN


def test_a_certificate_may_be_known_to_all_but_not_with_its_key(tmp_path: Path) -> None:
    chain, key = written(tmp_path / "chain.pem", mode=0o644), written(tmp_path / "key.pem")
    apart = settings(certificate=str(chain), key=str(key))
    assert exposure.checked_tls(apart.server) == (chain, key)
    with pytest.raises(ConfigError, match=r"^server\.certificate: .* others may read it"):
        exposure.checked_tls(settings(certificate=str(chain)).server)
    with pytest.raises(ConfigError, match=r"^server\.key: give server\.certificate too"):
        exposure.checked_tls(settings(key=str(key)).server)
    with pytest.raises(ConfigError, match="no such file; give a PEM file"):
        exposure.checked_tls(settings(certificate=str(tmp_path / "none.pem")).server)


@pytest.mark.parametrize(
    ("host", "tls", "told"),
    [
        ("127.0.0.1", False, False),
        ("localhost", False, False),
        ("::1", False, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("192.168.1.5", False, True),
        ("laptop.local", False, True),
        ("0.0.0.0", True, False),
    ],
)
def test_clear_text_that_others_can_overhear_is_told(host: str, tls: bool, told: bool) -> None:
    why = exposure.clear_text(settings(host=host).server, tls)
    assert bool(why) == told
    assert "\n" not in why


def test_behind_a_proxy_it_is_the_proxy_that_others_reach() -> None:
    server = ServerConfig(host="0.0.0.0", proxies=("10.0.0.0/8",))
    assert exposure.clear_text(server, tls=False) == ""


@pytest.mark.net
@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_the_log_says_that_it_is_clear_text(host: str, told: bool, caplog: pytest.LogCaptureFixture) -> None:
    pool = serving.pool(["x"], ["y"], f"server.host={host}")

    async def main() -> None:
        opened = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_server, pool, TOKEN, None, None, lambda addresses: opened.set())
            with anyio.fail_after(20):
                await opened.wait()
            tasks.cancel_scope.cancel()

    with caplog.at_level(logging.INFO):
        anyio.run(main, backend="asyncio")
    warned = [record for record in caplog.records if record.getMessage() == "clear text"]
    assert [record.levelname for record in warned] == ["WARNING"] * told
    assert TOKEN not in caplog.text


def test_serve_says_first_that_others_can_overhear_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKCHAT_OFFLINE", "1")
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path / "none"))
    monkeypatch.delenv("BACKCHAT_TOKEN", raising=False)
    file = str(written(tmp_path / "token"))
    done = CliRunner().invoke(backchat, ["serve", "--host", "0.0.0.0", "--token-file", file])
    assert isinstance(done.exception, ModelError), "it came as far as the weights, which are not there"
    assert done.stderr.startswith("backchat: server.host: 0.0.0.0 can be reached by others, and without TLS")
    assert TOKEN not in done.output


@pytest.mark.parametrize(
    ("server", "good", "text"),
    [
        ({}, True, "ok   server                 127.0.0.1, no TLS, no token"),
        (
            {"host": "0.0.0.0"},
            False,
            "bad  server                 server.host: 0.0.0.0 can be reached by",
        ),
        (
            {"host": "::", "token_file": "token"},
            True,
            "-    server                 server.host: :: can be",
        ),
        (
            {"host": "::", "token_file": "token", "certificate": "token"},
            True,
            "ok   server                 ::, TLS, a token",
        ),
    ],
)
def test_doctor_says_whether_it_would_be_served_and_overheard(
    server: dict[str, str],
    good: bool,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("BACKCHAT_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "token")
    assert doctor._server(settings(**server)) == good
    assert click.unstyle(capsys.readouterr().out).startswith(text)


def test_the_token_is_drawn_at_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    _draw(f"https://laptop.local/#token={TOKEN}")
    shown = capsys.readouterr()
    assert TOKEN not in shown.out + shown.err
    assert "at a terminal only" in shown.err
