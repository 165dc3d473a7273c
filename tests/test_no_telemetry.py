"""No library that a conversation loads counts its user: onnxruntime writes nothing that it could send."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

SESSION = """
import {first}
import numpy as np, onnxruntime
from onnx import TensorProto, helper
inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])]
outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", inputs, outputs)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnxruntime.InferenceSession(model.SerializeToString()).run(None, {{"x": np.zeros(1, np.float32)}})
"""


def left_by(first: str, home: Path) -> list[str]:
    """The files that a process leaves in the home of its user which loads `first`, and then computes."""
    home.mkdir()
    told = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    kept = {name: value for name, value in os.environ.items() if name not in told}
    code = SESSION.format(first=first)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=kept | {"HOME": str(home)})
    return [path.name for path in home.rglob("*") if path.is_file()]


def test_onnxruntime_keeps_nothing_of_who_uses_it(tmp_path: Path):
    assert left_by("agent.errors", tmp_path / "ours") == []
    assert left_by("audio", tmp_path / "samples") == []
