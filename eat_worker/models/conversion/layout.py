"""How the two formats name the same tensors of a Qwen2. Knows names only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

# Of a layer: its matrices, all of which an adapter may change, and its norms.
PROJECTIONS: Final[Mapping[str, str]] = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_BIASED: Final = ("attn_q", "attn_k", "attn_v")
_NORMS: Final = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_OF_LAYER: Final = {gguf: name for name, gguf in PROJECTIONS.items()} | _NORMS
_OUTSIDE: Final = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_GGUF = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
_IN_FOLDER = re.compile(r"model\.layers\.(\d+)\.([\w.]+)\.(weight|bias)")


def from_gguf(name: str) -> str | None:
    """The name that transformers has for a tensor of a GGUF file; None for one that Qwen2 does not have."""
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    found = _IN_GGUF.fullmatch(name)
    if found is None or found[2] not in _OF_LAYER:
        return None
    return f"model.layers.{found[1]}.{_OF_LAYER[found[2]]}.{found[3]}"


def to_gguf(name: str) -> str | None:
    """The name that a GGUF file has for a matrix of a layer or its bias; None for any other tensor."""
    found = _IN_FOLDER.fullmatch(name)
    if found is None or found[2] not in PROJECTIONS:
        return None
    return f"blk.{found[1]}.{PROJECTIONS[found[2]]}.{found[3]}"


def required(layers: int) -> Iterator[str]:
    """The GGUF names without which a Qwen2 of that many layers is not whole; `output.weight` may be shared."""
    yield from ("token_embd.weight", "output_norm.weight")
    for layer in range(layers):
        yield from (f"blk.{layer}.{part}.weight" for part in _OF_LAYER)
        yield from (f"blk.{layer}.{part}.bias" for part in _BIASED)
