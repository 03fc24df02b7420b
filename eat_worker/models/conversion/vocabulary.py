"""The tokenizer and chat template of a GGUF file as the files that transformers reads.

Gives the same ids as llama.cpp for text in NFC. Text in other forms is composed first, as by Qwen's own tokenizer;
llama.cpp reads it as it was typed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eat_worker.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5  # llama.cpp's kinds of tokens; others do not occur in Qwen's
# How Qwen's vocabulary was cut into words before its merges were learned; llama.cpp calls it "qwen2".
_WORDS: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write_tokenizer(values: Mapping[str, Any], folder: Path) -> None:
    """Write tokenizer and chat template from the values of a GGUF head.

    Raises ModelError when the vocabulary is not of Qwen2's kind, or there is no chat template.
    """
    kind = (values.get("tokenizer.ggml.model"), values.get("tokenizer.ggml.pre"))
    if kind != ("gpt2", "qwen2"):
        raise ModelError(f"its tokenizer is {kind[0]}/{kind[1]}; only Qwen2's (gpt2/qwen2) can be converted")
    template = values.get("tokenizer.chat_template")
    if not template:
        raise ModelError("it has no chat template; use an instruct model")
    tokens, kinds = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.token_type"]
    _tokenizer(tokens, kinds, values["tokenizer.ggml.merges"]).save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    described = _described(values, tokens, kinds)
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=1), encoding="utf-8")


def _tokenizer(tokens: Sequence[str], kinds: Sequence[int], merges: Sequence[str]) -> Tokenizer:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    strange = {int(kind) for kind in kinds} - {_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED}
    if strange:
        raise ModelError(f"its vocabulary has tokens of kind {sorted(strange)}, which Qwen2's does not have")
    words = {token: at for at, (token, kind) in enumerate(zip(tokens, kinds, strict=True)) if kind == _NORMAL}
    pairs = [_pair(merge) for merge in merges]
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=pairs, fuse_unk=False, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    added = _added(tokens, kinds)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=special) for token, special in added.values()])
    moved = [token for at, (token, _) in added.items() if tokenizer.token_to_id(token) != at]
    if moved:
        raise ModelError(f"its control tokens do not follow the other tokens: {', '.join(moved[:5])}")
    return tokenizer


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right


def _added(tokens: Sequence[str], kinds: Sequence[int]) -> dict[int, tuple[str, bool]]:
    """Tokens that are matched whole, by id, and whether they are control tokens (transformers: special)."""
    return {
        at: (token, kind == _CONTROL)
        for at, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in (_CONTROL, _USER_DEFINED)
    }


def _described(values: Mapping[str, Any], tokens: Sequence[str], kinds: Sequence[int]) -> dict[str, Any]:
    end, pad = values["tokenizer.ggml.eos_token_id"], values.get("tokenizer.ggml.padding_token_id")
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(at): {"content": token, **plain, "special": special}
            for at, (token, special) in _added(tokens, kinds).items()
        },
        "bos_token": None,
        "eos_token": tokens[end],
        "pad_token": None if pad is None else tokens[pad],
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "padding_side": "left",
        "model_max_length": values["qwen2.context_length"],
    }
