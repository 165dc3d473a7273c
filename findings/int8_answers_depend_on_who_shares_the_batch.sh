#!/usr/bin/env bash
# A model that onnxruntime has quantized dynamically (int8, the usual way to make a transcriber or an encoder small for
# a CPU) answers otherwise when somebody else is in the batch. The scale of the activations is taken anew from the
# whole tensor, all its rows: beside a row that is a hundred times louder the same row comes out with an error of half
# its largest value; beside zeros, or a row of its own size, it hardly moves. The model in float answers the
# same beside anybody. Hurt: servers that batch the requests of several users to save time: one loud or broken
# recording moves what the others get, and tests with one user never see it. (Padding costs nothing, which is why
# batches of one speaker look fine.) Normalize the rows before, or batch only the model in float.
#
# Seen: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, CPython 3.11, quantize_dynamic as it comes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

chance = np.random.default_rng(0)
weights = numpy_helper.from_array(chance.standard_normal((64, 16)).astype(np.float32), "w")
rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 64), ("y", 16))]
graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", rows[:1], rows[1:], [weights])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), "float.onnx")
quantize_dynamic("float.onnx", "int8.onnx")

user, other = (chance.standard_normal((1, 64)).astype(np.float32) for _ in range(2))
beside = {"zeros": 0 * other, "another": other, "one a hundred times louder": 100 * other}
print(f"onnxruntime {version('onnxruntime')}: how far a row moves, as a share of its largest value")
moved = {}
for model in ("float", "int8"):
    session = onnxruntime.InferenceSession(f"{model}.onnx")
    alone = session.run(None, {"x": user})[0][0]
    for name, row in beside.items():
        together = session.run(None, {"x": np.concatenate([user, row])})[0][0]
        moved[model, name] = float(np.abs(together - alone).max() / np.abs(alone).max())
        print(f"{model:6} beside {name:27} {moved[model, name]:.4f}")
assert all(share < 1e-5 for (model, _), share in moved.items() if model == "float")
assert moved["int8", "zeros"] < 1e-5 and moved["int8", "another"] < 0.05
assert moved["int8", "one a hundred times louder"] > 0.2
PY
