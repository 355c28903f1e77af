"""How many of ONNX's node tests pass that are a runtime's for floating-point networks: those whose inputs or outputs hold
floating-point numbers, without training operators, sequences, optional values, maps and strings.

    python tests/onnx/goal.py    after `make test-onnx`, which writes target/onnx/report.txt; needs the package onnx
"""

from pathlib import Path

import onnx

FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}
ROOT = Path(__file__).resolve().parents[2] / "target" / "onnx"


def domains(graph):
    for node in graph.node:
        yield node.domain
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from domains(attribute.g)


def counts(folder):
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    ports = [port.type for port in (*model.graph.input, *model.graph.output)]
    if any(port.WhichOneof("value") != "tensor_type" for port in ports):
        return False
    elements = {port.tensor_type.elem_type for port in ports}
    training = any("training" in domain for domain in domains(model.graph))
    return bool(elements & FLOATS) and onnx.TensorProto.STRING not in elements and not training


def main():
    lines = (line.split(": ", 1) for line in (ROOT / "report.txt").read_text().splitlines())
    outcomes = {name: outcome for name, outcome in lines}
    names = [folder.name for folder in sorted((ROOT / "data" / "node").iterdir()) if counts(folder)]
    passed = sum(outcomes[f"node/{name}"].startswith("passed") for name in names)
    print(f"{passed} of {len(names)} pass, {100 * passed / len(names):.1f} %")


if __name__ == "__main__":
    main()
