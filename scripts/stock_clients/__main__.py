"""Installs the newest clients, runs each judge against our server, and prints what works as a table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import serving

FOLDER = Path(__file__).parent / "judges"
OUT = Path(__file__).parents[2] / "out" / "clients"
LONGEST = 400
"""Seconds that one judge may take."""


@dataclass(frozen=True)
class Judge:
    """A file of `judges`, and the packages that it is installed with: by pip, or by npm for `node`.

    One in Python with packages of npm drives a browser, and runs in our own environment.
    """

    file: str
    packages: Sequence[str]
    node: bool = False


JUDGES = {
    "openai": Judge("openai_clients.py", ["openai[realtime]"]),
    "agents": Judge("agents_client.py", ["openai-agents[voice]"]),
    "http": Judge(
        "http_clients.py", ["langchain-openai", "litellm", "instructor", "pydantic-ai-slim[openai]", "llm"]
    ),
    "pipecat": Judge("pipecat_client.py", ["pipecat-ai[openai,websocket]"]),
    "livekit": Judge("livekit_client.py", ["livekit-agents", "livekit-plugins-openai"]),
    "homeassistant": Judge("home_assistant.py", ["homeassistant"]),
    "satellite": Judge("satellite_client.py", ["wyoming-satellite"]),
    "frameworks": Judge(
        "framework_clients.py",
        [
            "haystack-ai",
            "smolagents[openai]",
            "dspy",
            "llama-index-llms-openai-like",
            "autogen-ext[openai]",
            "autogen-agentchat",
        ],
    ),
    "kernel": Judge("kernel_client.py", ["semantic-kernel"]),
    "assistants": Judge(
        "assistant_clients.py",
        [
            "griptape",
            "magentic",
            "mirascope[openai]",
            "SpeechRecognition[openai]",
            "agent-framework-openai",
        ],
    ),
    "agentkits": Judge("agent_clients.py", ["agno", "strands-agents[openai]"]),
    "chatlas": Judge("chatlas_client.py", ["chatlas", "openai"]),
    "vision": Judge("vision_client.py", ["vision-agents[openai]"]),
    "node2": Judge(
        "more_node_clients.mjs",
        [
            "@langchain/openai",
            "@langchain/core",
            "ai",
            "@ai-sdk/openai",
            "@mastra/core",
            "@mastra/voice-openai",
            "@mastra/voice-openai-realtime",
            "llamaindex",
            "@llamaindex/openai",
            "ws",
            "zod",
        ],
        node=True,
    ),
    "browser": Judge("browser_client.py", ["@openai/agents-realtime", "zod"], node=True),
    "node": Judge(
        "node_clients.mjs",
        [
            "openai",
            "@openai/agents-realtime",
            "ai",
            "@ai-sdk/openai",
            "@ai-sdk/openai-compatible",
            "ws",
            "zod",
        ],
        node=True,
    ),
}


def installed(name: str, judge: Judge) -> list[str]:
    """The command that runs a judge, in an environment with the newest of its packages."""
    folder = OUT / name
    if judge.node:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        latest = [f"{package}@latest" for package in judge.packages]
        subprocess.run(["npm", "install", "--silent", *latest], cwd=folder, check=True)
        if judge.file.endswith(".py"):
            return [sys.executable, str(FOLDER / judge.file)]
        (folder / judge.file).write_bytes((FOLDER / judge.file).read_bytes())
        return ["node", str(folder / judge.file)]
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", *judge.packages], check=True)
    return [python, str(FOLDER / judge.file)]


@contextmanager
def server(*settings: str) -> Iterator[tuple[str, str]]:
    """A server in a process of its own: the address of its API, and where it speaks Wyoming."""
    command = [sys.executable, "-m", "stock_clients.server", *settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            http, wyoming = process.stdout.readline().split()
            yield f"{http}/v1", wyoming
        finally:
            process.terminate()


def judged(
    command: Sequence[str], certificate: Path, wyoming: str, *addresses: str
) -> list[dict[str, str | None]]:
    """What a judge found, line by line."""
    env = {**os.environ, "NODE_EXTRA_CA_CERTS": str(certificate), "WYOMING": wyoming}
    words = [*command, *addresses]
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=LONGEST, check=False)
        said, status = done.stdout, f"it ended with {done.returncode}: {done.stderr[-300:]!r}"
        whole = done.returncode == 0
    except subprocess.TimeoutExpired as late:
        said, status, whole = str(late.stdout or b"", "utf-8"), f"it took more than {LONGEST} s", False
    told = [json.loads(line) for line in said.splitlines() if line.startswith('{"client"')]
    return told if told and whole else [*told, {"client": command[-1], "what": "the rest", "why": status}]


def main(names: Sequence[str]) -> int:
    """Run the judges of these names, or all; 1 where something fails."""
    found: list[dict[str, str | None]] = []
    with tempfile.TemporaryDirectory() as folder:
        pair = serving.certificate(Path(folder))
        with server() as (plain, wyoming), server("--tls", *map(str, pair)) as (secure, _):
            for name in names or JUDGES:
                command = installed(name, JUDGES[name])
                found += judged(command, pair[0], wyoming, plain, secure)
    print("| client | what | works unmodified |\n|---|---|---|")
    for one in found:
        print(f"| {one['client']} | {one['what']} | {'yes' if one['why'] is None else one['why']} |")
    return int(any(one["why"] is not None for one in found))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
