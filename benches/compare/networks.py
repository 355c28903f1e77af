"""The networks in PyTorch, with seeded weights; what they take and give; the files that peers read.

`networks.py NAME FORMS BATCH...` writes those files under target/compare.
"""

import subprocess
import sys
import warnings
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "target" / "compare"

# The decoder's two tasks share weights: a prompt at once, and one token after it.
PROMPT = 128
DECODER = {"vocab": 512, "width": 256, "blocks": 4, "heads": 8, "kv_heads": 2, "hidden": 704, "eps": 1e-5, "theta": 1e4}
NETWORKS = ["resnet18", "resnet50", "mobilenet_v2", "vgg16", "vit_ti_16", "decoder_prefill", "decoder_decode"]


def is_decoder(name):
    return name.startswith("decoder")


def weights(name):
    return FOLDER / f"{'decoder' if is_decoder(name) else name}.safetensors"


def unit(name):
    """What a batch has so many of."""
    return {"decoder_prefill": "prompts", "decoder_decode": "tokens"}.get(name, "images")


def input_of(name, batch):
    """Seeded: images, or tokens of which the prompt comes first."""
    import torch

    torch.manual_seed(batch)
    if is_decoder(name):
        return torch.randint(DECODER["vocab"], (batch, PROMPT + 1), dtype=torch.int32)
    return torch.randn(batch, 3, 224, 224)


def taken(name, x):
    """The part of the input that a frame takes: of a text the prompt, or what follows it."""
    return {"decoder_prefill": x[:, :PROMPT], "decoder_decode": x[:, PROMPT:]}.get(name, x)


def seeded(name):
    """The network with batch norm statistics that do something."""
    import torch
    from torchvision.models import VisionTransformer, get_model

    torch.manual_seed(0)
    if is_decoder(name):
        return decoder().eval()
    if name == "vit_ti_16":
        model = VisionTransformer(224, 16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768)
        # torchvision begins with zeros, which would hide errors.
        torch.nn.init.normal_(model.heads.head.weight, std=0.05)
        torch.nn.init.normal_(model.class_token, std=0.5)
    else:
        model = get_model(name, weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def load(name):
    """The network with the weights of its file."""
    from safetensors.torch import load_file

    model = seeded(name)
    model.load_state_dict(load_file(weights(name)))
    return model


def decoder():
    """Llama's shape and names: RMS norm, rotary embedding, grouped-query attention, SwiGLU."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    vocab, width, blocks, heads, kv_heads, hidden, eps, theta = DECODER.values()
    head = width // heads

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(width).uniform_(0.5, 1.5))

        def forward(self, x):
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * self.weight

    def split(x, heads):
        return x.reshape(x.shape[0], -1, heads, head).transpose(1, 2)

    def share(x):
        # For exporters that lack repeat_interleave.
        return x.unsqueeze(2).expand(-1, -1, heads // kv_heads, -1, -1).reshape(x.shape[0], heads, -1, head)

    def project(inputs, outputs):
        return nn.Linear(inputs, outputs, bias=False)

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.q_proj, self.o_proj = project(width, width), project(width, width)
            self.k_proj, self.v_proj = project(width, kv_heads * head), project(width, kv_heads * head)

        def forward(self, x, turn, cache):
            q, k = turn(split(self.q_proj(x), heads)), turn(split(self.k_proj(x), kv_heads))
            v = split(self.v_proj(x), kv_heads)
            if cache is not None:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            # ncnn knows masks only.
            traced = cache is None and torch.jit.is_tracing()
            causal = {"attn_mask": torch.full([PROMPT] * 2, -1e9).triu(1)} if traced else {"is_causal": cache is None}
            y = F.scaled_dot_product_attention(q, share(k), share(v), **causal)
            return self.o_proj(y.transpose(1, 2).reshape(x.shape)), (k, v)

    class Mlp(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate_proj, self.up_proj = project(width, hidden), project(width, hidden)
            self.down_proj = project(hidden, width)

        def forward(self, x):
            return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.self_attn, self.mlp = Attention(), Mlp()
            self.input_layernorm, self.post_attention_layernorm = Norm(), Norm()

        def forward(self, x, turn, cache):
            y, cache = self.self_attn(self.input_layernorm(x), turn, cache)
            x = x + y
            return x + self.mlp(self.post_attention_layernorm(x)), cache

    class Decoder(nn.Module):
        """Tokens to the logits of what follows each. With a cache they come after those in it."""

        def __init__(self):
            super().__init__()
            self.model = nn.Module()
            self.model.embed_tokens = nn.Embedding(vocab, width)
            self.model.layers = nn.ModuleList(Block() for _ in range(blocks))
            self.model.norm = Norm()
            self.lm_head = project(width, vocab)
            angles = torch.arange(PROMPT + 1)[:, None] / theta ** (torch.arange(0, head, 2).double() / head)
            angles = torch.cat([angles, angles], -1)
            self.register_buffer("cos", angles.cos().float(), persistent=False)
            self.register_buffer("sin", angles.sin().float(), persistent=False)
            self.cache = None

        def forward(self, tokens):
            return self.logits_and_cache(tokens)[0]

        def logits_and_cache(self, tokens):
            before = PROMPT if self.cache is not None else 0
            cos, sin = (table[before : before + tokens.shape[1]] for table in (self.cos, self.sin))

            def turn(x):
                a, b = x.chunk(2, -1)
                return x * cos + torch.cat([-b, a], -1) * sin

            x, caches = self.model.embed_tokens(tokens), []
            for i, block in enumerate(self.model.layers):
                x, cache = block(x, turn, self.cache[i] if self.cache is not None else None)
                caches.append(cache)
            return self.lm_head(self.model.norm(x)), caches

        def feed(self, tokens):
            """Keeps the keys and values of a prompt: what follows comes after it."""
            self.cache = None
            self.cache = self.logits_and_cache(tokens)[1]
            return self

    return Decoder()


def ready(name, model, x):
    """The network that takes what `taken` says of the input."""
    import torch

    if name == "decoder_decode":
        with torch.inference_mode():
            # Tensors of their own, which exporters take for constants.
            model.feed(x[:, :PROMPT])
        model.cache = [tuple(part.clone() for part in cache) for cache in model.cache]
    return model


def prepare(name, forms, batches):
    """Weights, inputs, PyTorch's outputs, and the forms that peers want."""
    import torch
    from safetensors.torch import save_file

    # PyTorch is about to drop the exporters of the forms that peers read.
    warnings.simplefilter("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    model = seeded(name)
    save_file(model.state_dict(), weights(name))
    for batch in batches:
        x = input_of(name, batch)
        save_file({"x": x}, FOLDER / f"{name}.x{batch}.safetensors")
        with torch.no_grad():
            y = ready(name, model, x)(taken(name, x))
            save_file({"y": y.contiguous()}, FOLDER / f"{name}.y{batch}.safetensors")
            for form in forms:
                try:
                    FORMS[form](name, model, taken(name, x).contiguous(), batch)
                except Exception as error:
                    print(f"{name}, batch {batch}: can't be written for {form}: {error}", file=sys.stderr)


def onnx(name, model, x, batch):
    import torch

    path = str(FOLDER / f"{name}.{batch}.onnx")
    torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["y"], opset_version=17, dynamo=False)


def onnx_for_wonnx(name, model, x, batch):
    """The same as wonnx wants it: the shape of every value written in, matrices the way round that it knows."""
    import numpy
    import onnx as format
    from onnx import numpy_helper

    onnx(name, model, x, batch)
    file = format.load(FOLDER / f"{name}.{batch}.onnx")
    constants = {tensor.name: tensor for tensor in file.graph.initializer}
    for node in file.graph.node:
        turned = [attribute for attribute in node.attribute if attribute.name == "transB" and attribute.i]
        if node.op_type == "Gemm" and turned:
            tensor = constants[node.input[1]]
            matrix = numpy.ascontiguousarray(numpy_helper.to_array(tensor).T)
            tensor.CopyFrom(numpy_helper.from_array(matrix, tensor.name))
            node.attribute.remove(turned[0])
    format.save(format.shape_inference.infer_shapes(file, data_prop=True), FOLDER / f"{name}.{batch}.wonnx.onnx")


def ncnn(name, model, x, batch):
    """ncnn takes one image at a time: a network of batch 1 serves all batches."""
    import pnnx
    import torch

    if batch > 1:
        return
    path = FOLDER / f"{name}.pt"
    torch.jit.trace(model, x, check_trace=False).save(path)
    # pnnx prints much and writes to the current folder. pnnx.convert() forgets about fp16=False.
    shape = f"inputshape=[{','.join(map(str, x.shape))}]{'i32' if is_decoder(name) else 'f32'}"
    subprocess.run([pnnx.EXEC_PATH, path.name, shape, "fp16=0"], cwd=FOLDER, capture_output=True)


FORMS = {"onnx": onnx, "wonnx": onnx_for_wonnx, "ncnn": ncnn}


if __name__ == "__main__":
    prepare(sys.argv[1], [form for form in sys.argv[2].split(",") if form], [int(batch) for batch in sys.argv[3:]])
