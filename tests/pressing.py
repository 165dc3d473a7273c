"""Ctrl-C at a given moment of a command at a terminal, for tests: how it ended, and what it left there."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

SOON = 1.0
"""Seconds within which a command must be gone."""
LONGEST = 6.0
"""Seconds after which one that is not gone is killed."""
STARTING = 60.0
"""Seconds within which the words that a press waits for must have been printed."""
DEVICES = "sound: "
"""What `talk` begins the line with that it says of its devices at each end."""
TORN = ("Traceback", "Exception ignored", "Fatal", "Error:")


@dataclass(frozen=True)
class Pressed:
    """What a Ctrl-C at `moment` s did. over: the command had ended by itself, `ended` s after its start.

    status: as a shell says it, None where it had to be killed. took: seconds from the press to the end.
    said: what was printed from the press on. restored: whether the terminal is as it was, with its cursor.
    meant: the status that it should have.
    """

    moment: float
    over: bool
    ended: float
    status: int | None
    took: float
    said: str
    restored: bool
    meant: int = 130

    @property
    def fault(self) -> str:
        """What is not as it should be: gone within a second, as meant, in a line, the terminal restored."""
        if any(words in self.said for words in TORN):
            return "torn"
        if self.status is None:
            return "hangs"
        if self.status != self.meant:
            return f"status {self.status}"
        if self.took > SOON:
            return f"{self.took:.1f} s"
        below = self.said.rpartition("\x1b[?25h")[2]  # before it gave the cursor back, it drew its picture
        lines = [line for line in _ESCAPES.sub("", below).replace("^C", "").split("\n") if line.strip()]
        lines = [line for line in lines if not line.startswith(DEVICES)]
        if len(lines) > 1:
            return f"{len(lines)} lines"
        return "" if self.restored else "terminal not restored"


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def press(
    command: Sequence[str],
    env: Mapping[str, str],
    moment: float,
    *,
    after: str = "",
    then: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext(),
    twice: float = 0.0,
    meant: Callable[[str], int] = lambda _: 130,
) -> Pressed:
    """Start `command` at a terminal of its own, and press Ctrl-C there after `moment` seconds.

    after: words that it must have printed first; the seconds count from then. then: is entered with what it
    has printed so far, and left at the end: what goes on meanwhile. twice: press again after so many seconds,
    and judge that press. meant: the status that is right after what it has printed.
    """
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=_own_terminal
    )
    try:
        earlier = ""
        while after not in earlier and process.poll() is None and time.monotonic() < began + STARTING:
            earlier += _read(ours, process, time.monotonic() + 0.02)
        with then(earlier):
            began = time.monotonic()
            earlier += _read(ours, process, began + moment)
            if twice:
                os.write(ours, b"\x03")
                earlier += _read(ours, process, time.monotonic() + twice)
            over, ended = process.poll() is not None, time.monotonic() - began
            os.write(ours, b"\x03")
            pressed = time.monotonic()
            said = _read(ours, process, pressed + LONGEST)
            took, code = time.monotonic() - pressed, process.poll()
        hidden = (earlier + said).count("\x1b[?25l") > (earlier + said).count("\x1b[?25h")
        same = termios.tcgetattr(theirs)[3] == before[3]
        status = None if code is None else 128 - code if code < 0 else code
        return Pressed(moment, over, ended, status, took, said, same and not hidden, meant(earlier))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@contextmanager
def answering(printed: str) -> Iterator[None]:
    """The server writes a long answer, which a client reads."""
    port = re.findall(r"http://127\.0\.0\.1:(\d+)", printed)[-1]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
    connection.request("GET", "/v1/models")
    model, *_ = json.loads(connection.getresponse().read())["data"]
    asked = [{"role": "user", "content": "Count from one to a thousand in words."}]
    body = json.dumps({"model": model["id"], "messages": asked, "stream": True, "max_tokens": 2000})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    yield
    connection.close()


def _own_terminal() -> None:
    os.setsid()
    import fcntl

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read(terminal: int, process: subprocess.Popen[bytes], until: float) -> str:
    """What it prints until then, or until it has ended."""
    said = b""
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([terminal], [], [], min(left, 0.01))
        if ready:
            said += os.read(terminal, 65536)
        elif process.poll() is not None:
            break
    return said.decode(errors="replace")
