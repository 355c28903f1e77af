"""Golden cases of operations that ONNX defines and PyTorch lacks or has otherwise, for the tests' reference loops.

    pip install torch torchvision onnx ml_dtypes safetensors numpy
    python tests/goldens/generate_onnx.py

Writes onnx.safetensors and onnx.json, in the form of generate_ops.py. What
PyTorch lacks is computed by onnx's reference implementation.
"""

import ml_dtypes
import numpy as np
import torch
from generate_ops import case, save

FORMATS = {
    "F16": np.float16,
    "Bf16": ml_dtypes.bfloat16,
    "Float8E4M3Fn": ml_dtypes.float8_e4m3fn,
    "Float8E4M3Fnuz": ml_dtypes.float8_e4m3fnuz,
    "Float8E5M2": ml_dtypes.float8_e5m2,
    "Float8E5M2Fnuz": ml_dtypes.float8_e5m2fnuz,
    "Float4E2M1": ml_dtypes.float4_e2m1fn,
}


def round_to(x, *, format, saturate):
    dtype = FORMATS[format]
    x = x.float().numpy()
    if saturate:
        largest = ml_dtypes.finfo(dtype).max
        x = np.clip(x, -np.float32(largest), np.float32(largest))
    with np.errstate(over="ignore"):
        return torch.from_numpy(x.astype(dtype).astype(np.float32))


def power_of_two(x, *, format, saturate):
    # E8M0 rounds up, which ml_dtypes doesn't; its NaN is what is no power of two.
    mantissa, exponent = np.frexp(x.numpy())
    return torch.from_numpy(np.exp2(np.where(mantissa == 0.5, exponent - 1, exponent)))


def roundings():
    x = torch.cat((torch.randn(12), 100 * torch.randn(8), 1e-2 * torch.randn(8), 1e-6 * torch.randn(4)))
    # Ties, what overflows, subnormal numbers of the smaller formats.
    x = torch.cat((x, torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, 17.0, 19.0, 1.0625, 1.1875])))
    x = torch.cat((x, torch.tensor([448.0, 463.9, 464.0, 464.1, 480.0, 247.9, 248.0, 61439.0, 61440.0, 65519.0, 65520.0, 1e30])))
    x = torch.cat((x, torch.tensor([torch.inf, -torch.inf, 2.0**-9, 2.0**-10, 3 * 2.0**-11, 2.0**-17, 3 * 2.0**-18])))
    for format in FORMATS:
        for saturate in (False, True):
            case(f"round_to_{format}_{saturate}", "round_to", round_to, {"format": format, "saturate": saturate}, input=x)
    x = torch.tensor([1.0, 1.01, 2.0, 3.0, 0.5, 0.1, 1e-30, 1e30])
    case("round_to_Float8E8M0", "round_to", power_of_two, {"format": "Float8E8M0", "saturate": True}, input=x)


def main():
    torch.manual_seed(0)
    roundings()
    save("onnx")


if __name__ == "__main__":
    main()
