"""Golden logits of a tiny decoder with seeded weights (see seeded.py), from Hugging Face's Llama.

    pip install torch transformers safetensors numpy
    python tests/goldens/generate_decoder.py

It runs in float64 on the float32 weights, except where Hugging Face insists on
float32: in its norms, its softmax and its rotary embedding. So the logits are
off by about 5e-7 of the largest.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

import seeded

BATCH, LENGTH = 2, 12


def build():
    """The decoder with seeded weights, in float64 and eval mode."""
    config = LlamaConfig(
        vocab_size=17,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).double()
    state = {
        key: torch.from_numpy(seeded.tensor(key, tuple(value.shape))).double()
        for key, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model.eval()


def main():
    torch.set_num_threads(1)
    tokens = (torch.arange(BATCH * LENGTH) * 5 % 17).view(BATCH, LENGTH)  # all of them, out of order
    with torch.no_grad():
        logits = build()(tokens).logits
    assert logits.dtype == torch.float64 and logits.isfinite().all()
    print(f"largest |logit| {logits.abs().max():.6g}")
    goldens = {"tokens": tokens.int(), "logits": logits.float()}
    save_file(goldens, Path(__file__).with_name("decoder.safetensors"))


if __name__ == "__main__":
    main()
