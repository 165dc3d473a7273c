"""That the rules in conftest.py hold: the order of kinds, and that CI forbids to skip for a missing piece."""

from __future__ import annotations

import ast
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts" / "benchmarks").glob("*.py")])

SUITE = """
import pytest

@pytest.mark.net
def test_net(): pass

@pytest.mark.model
def test_model_without_weights(): pytest.skip("no weights")

@pytest.mark.model
def test_model_without_a_clip(): pytest.skip("optional: no clip")

@pytest.mark.device
@pytest.mark.xfail(reason="known", strict=True)
def test_device_known_to_fail(): assert False

def test_plain_skip(): pytest.skip("not on this system")

def test_plain(): pass
"""

SELF_SKIPPING_MODULE = "import pytest\npytest.skip('no library', allow_module_level=True)\n"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What pytest says of two modules under our conftest.py, at home ("") and in CI ("true")."""
    folder = tmp_path_factory.mktemp("suite")
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_alone.py").write_text(SELF_SKIPPING_MODULE)
    (folder / "test_suite.py").write_text(SUITE)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = model\n device\n browser\n net\n")
    command = [sys.executable, "-m", "pytest", "-v", "-ra", "-p", "no:cacheprovider"]
    command += ["--continue-on-collection-errors"]
    surroundings = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return {
        ci: subprocess.run(
            command, cwd=folder, env=surroundings | {"CI": ci}, capture_output=True, text=True
        ).stdout
        for ci in ("", "true")
    }


def test_kinds_run_in_order(said: dict[str, str]):
    lines = [line.split()[0] for line in said[""].splitlines() if line.startswith("test_suite.py::")]
    assert [line.removeprefix("test_suite.py::test_") for line in lines] == [
        "plain_skip",
        "plain",
        "model_without_weights",
        "model_without_a_clip",
        "device_known_to_fail",
        "net",
    ]


def test_missing_piece_may_be_skipped_at_home(said: dict[str, str]):
    assert "2 passed, 4 skipped, 1 xfailed" in said[""]


def test_missing_piece_fails_in_ci(said: dict[str, str]):
    assert "1 failed, 2 passed, 2 skipped, 1 xfailed, 1 error" in said["true"]
    assert "test_model_without_weights must not be skipped in CI: no weights" in said["true"]
    assert "test_alone.py must not be skipped in CI: no library" in said["true"]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_what_is_replaced_by_its_name_is_there(file: Path) -> None:
    """A name in a string is not seen by whoever renames, and a bench is seldom run."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            target = node.args[0]
            if node.func.attr in ("setattr", "patch", "import_module") and isinstance(target, ast.Constant):
                name = str(target.value)
                if name.partition(".")[0] in ("agent", "audio") and "." in name:
                    assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_clients_are_closed_by_the_test_that_opened_them(file: Path) -> None:
    """A client that is dropped open fails whichever test runs when it is collected."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    held = {id(item.context_expr) for node in nodes if isinstance(node, ast.AsyncWith) for item in node.items}
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("AsyncOpenAI", "AsyncClient")):
            assert id(node) in held or file.name == "serving.py", f"line {node.lineno}: async with"
