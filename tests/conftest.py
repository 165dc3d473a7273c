"""What tests share: their order, what may skip in CI, a virtual sound card. Knows no code of ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("random", deadline=None)  # a busy machine makes no property untrue
settings.register_profile("backchat", deadline=None, derandomize=True)  # the same examples for everybody
settings.load_profile("backchat")  # --hypothesis-profile random looks for others

KINDS = ("model", "device", "browser", "net")
"""Markers of tests that need more than this repository, in the order in which they run after the rest."""

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def pytest_configure() -> None:
    """Ctrl-C works in what the tests start, too when a shell has started them in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """`backchat`'s `main` leaves signals to the system until the process ends, which here is ours."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(each) for each in names]
    yield
    for each, handler in zip(names, before, strict=True):
        signal.signal(each, handler)


def _rank(item: pytest.Item) -> int:
    """0 for a plain test, else the place of its last kind: the slowest need decides."""
    return max((KINDS.index(m.name) + 1 for m in item.iter_markers() if m.name in KINDS), default=0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, so that a plain mistake shows at once. The sort keeps the order within a kind."""
    items.sort(key=_rank)


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI a missing piece is a failure: a skip there means that nobody looked.

    Only a reason that begins with "optional:" may skip, for material that the project does not ship.
    """
    if not (IN_CI and report.skipped) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith("optional:"):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} must not be skipped in CI: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if _rank(item):
        _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    _forbid_skip(report)
    return report


@dataclass(frozen=True)
class SoundCard:
    """A PulseAudio server of our own: one speaker, and one microphone that hears what is played to it.

    env: the whole environment of a process that should see this card and no other. PortAudio reads
        its surroundings once, so such a process must be a fresh one.
    speaker: the sink that is the default output; what it plays can be recorded from its monitor.
    microphone: the source that is the default input. `fake_mouth`: the sink that feeds it.
    """

    env: dict[str, str]
    speaker: str = "spk"
    microphone: str = "mic"
    fake_mouth: str = "micsink"

    def play(self, wav: Path) -> subprocess.Popen[bytes]:
        """Start to play `wav` into the microphone; `.wait()` on the result for its end."""
        return subprocess.Popen(["paplay", f"--device={self.fake_mouth}", str(wav)], env=self.env)

    @contextmanager
    def record(self, wav: Path) -> Iterator[None]:
        """Record into `wav` (48 kHz, stereo, 16 bit) what the speaker plays in the `with` block."""
        command = ["parec", f"--device={self.speaker}.monitor", "--file-format=wav", "--latency-msec=20"]
        command += ["--rate=48000", "--channels=2", "--format=s16le", str(wav)]
        with subprocess.Popen(command, env=self.env) as recorder:
            try:
                _until(lambda: wav.exists() and wav.stat().st_size > 1000, recorder, "parec recorded nothing")
                yield
                time.sleep(0.1)
            finally:
                recorder.send_signal(signal.SIGINT)


def _until(ready, process: subprocess.Popen[bytes], complaint: str) -> None:
    """Wait until `ready()`; fail when `process` ends before, or after 10 s."""
    deadline = time.monotonic() + 10
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{complaint} (exit status {process.poll()})")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def sound_card() -> Iterator[SoundCard]:
    """A virtual sound card on a private server: a user's own PulseAudio is neither seen nor touched."""
    missing = [tool for tool in ("pulseaudio", "pactl", "paplay", "parec") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: run `scripts/setup dev --sound`")
    with virtual_card() as card:
        yield card


@contextmanager
def virtual_card() -> Iterator[SoundCard]:
    """The card and its server, which ends with the block."""
    # A unix socket's path may have 107 characters at most: not below pytest's own long folders.
    with tempfile.TemporaryDirectory(prefix="backchat-card-") as folder:
        home = Path(folder)
        card = SoundCard(_private_environment(home))
        modules = [
            f"module-native-protocol-unix auth-anonymous=1 socket={home}/native",
            f"module-null-sink sink_name={card.speaker} rate=48000 channels=2 norewinds=1",
            f"module-null-sink sink_name={card.fake_mouth} rate=48000 channels=1",
            f"module-remap-source master={card.fake_mouth}.monitor source_name={card.microphone}",
        ]
        command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]
        command += ["--realtime=no", "--high-priority=no", "--log-target=stderr"]
        command += [part for module in modules for part in ("-L", module)]
        with (home / "log").open("wb") as log, subprocess.Popen(command, env=card.env, stderr=log) as server:
            try:
                _until((home / "native").exists, server, "PulseAudio did not start")
                _pactl(card, "set-default-sink", card.speaker)
                _pactl(card, "set-default-source", card.microphone)
                yield card
            finally:
                server.terminate()


def _private_environment(home: Path) -> dict[str, str]:
    """This process's environment, with every path to PulseAudio and ALSA led into `home`."""
    alsa = home / "asound.conf"
    alsa.write_text(
        "".join(
            f"{kind}.{name} {{ type pulse }}\n" for kind in ("pcm", "ctl") for name in ("pulse", "default")
        )
    )
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULSE_")}
    return inherited | {
        "PULSE_SERVER": f"unix:{home}/native",
        "PULSE_RUNTIME_PATH": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "XDG_CONFIG_HOME": str(home),
        "ALSA_CONFIG_PATH": str(alsa),
    }


def _pactl(card: SoundCard, *words: str) -> None:
    subprocess.run(["pactl", *words], env=card.env, check=True, stdout=subprocess.DEVNULL, timeout=10)
