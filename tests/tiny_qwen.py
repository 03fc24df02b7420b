"""A Qwen2 of half a million random weights with Qwen's kind of tokenizer and chat template, an adapter, a GGUF file.

Written with numpy alone: the same bytes for the same seed, without loading torch. It says nothing sensible; its logits
are far apart, so that greedy answers survive a little numeric noise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from eat_worker.models.adapter import AdapterCard, write_card
from eat_worker.models.conversion.layout import to_gguf
from eat_worker.models.fingerprint import file_sha256
from eat_worker.models.folder import folder_parts

LAYERS, HIDDEN, FEED_FORWARD, HEADS, KV_HEADS, HEAD_SIZE = 2, 128, 256, 4, 2, 32
# As Qwen has them: tokens that decoding skips, and tokens that are single but ordinary.
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>")
ADDED = ("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|file_sep|>")
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LESSONS = (
    "Translate the sentence into English. What is the translation of the sentence? Think step by step.",
    "The sentence names a person, a location and an organization: (PER, Ann) (LOC, Oslo) (ORG, the United Nations)",
    "Find the words of the sentence that the entity was translated from. The answer is in the sentence itself.",
    "Angela Merkel besuchte Volkswagen in Wolfsburg. Lionel Messi jugó en Barcelona. Владимир Путин в Москве",
    "김연아는 서울에서 열린 대회에서 금메달을 받았다. 高明在北京大学学习计算机科学。 東京大学は日本の大学である。",
    "زار أحمد القاهرة أمس واجتمع مع الوزير. दिल्ली भारत की राजधानी है। თბილისი საქართველოს დედაქალაქია",
    "system user assistant You are a helpful assistant. You are Qwen, created by Alibaba Cloud.",
)
CHAT_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}"
    "{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}\n"
)


def tiny_qwen(folder: Path, *, seed: int = 0) -> Path:
    """Write the model into `folder` as a hub has it (config, tokenizer, safetensors in float32); gives `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL}
    # Qwen's table of embeddings is longer than its vocabulary, too.
    vocabulary = (tokenizer.get_vocab_size() // 64 + 1) * 64
    _write(folder / "config.json", _config(vocabulary, ids))
    _write(
        folder / "generation_config.json",
        {"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]], "pad_token_id": ids["<|endoftext|>"]},
    )
    _write(folder / "tokenizer_config.json", _tokenizer_config(tokenizer))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    save_file(_weights(vocabulary, seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def tiny_adapter(base: Path, folder: Path, *, r: int = 64, alpha: int = 16, seed: int = 0) -> Path:
    """Write a LoRA adapter of `base` for all seven projections, as peft has it, with its card; B is not zero."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed + 1000)
    tensors = {}
    for layer in range(LAYERS):
        for module, (out, into) in projections().items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            tensors[f"{name}.lora_A.weight"] = _normal(chance, (r, into), into**-0.5)
            tensors[f"{name}.lora_B.weight"] = _normal(chance, (out, r), 1.0)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    _write(
        folder / "adapter_config.json",
        {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": str(base),
            "r": r,
            "lora_alpha": alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "inference_mode": True,
            "target_modules": _targets(),
        },
    )
    write_card(folder, _card(base, folder, r, alpha))
    return folder


def tiny_gguf(folder: Path, file: Path) -> Path:
    """Write the model of `tiny_qwen` as a GGUF file in float32, as llama.cpp has it; gives `file`."""
    import gguf

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _add_vocabulary(writer, tokenizer, config["vocab_size"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))
    outside = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    norms = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    for name, tensor in load_file(folder / "model.safetensors").items():
        matrix, _, kind = name.rpartition(".")
        parts = matrix.split(".")
        written_as = to_gguf(name) or f"{outside.get(matrix) or f'blk.{parts[2]}.{norms[parts[3]]}'}.{kind}"
        writer.add_tensor(written_as, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_vocabulary(writer: Any, tokenizer: Tokenizer, rows: int) -> None:
    tokens = [tokenizer.id_to_token(at) or f"[PAD{at}]" for at in range(rows)]
    # Qwen's GGUF files call <|fim_prefix|> and its like control tokens; its own folders do not.
    unlike_words = {token: 4 if "tool_call" in token else 3 for token in (*SPECIAL, *ADDED)}
    kinds = [5 if token.startswith("[PAD") else unlike_words.get(token, 1) for token in tokens]
    merges = [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)


def _card(base: Path, folder: Path, r: int, alpha: int) -> AdapterCard:
    return AdapterCard(
        base="tiny-qwen",
        base_weights=folder_parts(base, folder.parent)["weights"],
        base_revision="",
        r=r,
        alpha=alpha,
        targets=tuple(_targets()),
        weights=file_sha256(folder / "adapter_model.safetensors", folder.parent),
    )


def _targets() -> list[str]:
    return sorted(module.partition(".")[2] for module in projections())


def projections() -> dict[str, tuple[int, int]]:
    """The seven matrices of a layer by name, with their shapes (out, in)."""
    return {
        "self_attn.q_proj": (HEADS * HEAD_SIZE, HIDDEN),
        "self_attn.k_proj": (KV_HEADS * HEAD_SIZE, HIDDEN),
        "self_attn.v_proj": (KV_HEADS * HEAD_SIZE, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HEADS * HEAD_SIZE),
        "mlp.gate_proj": (FEED_FORWARD, HIDDEN),
        "mlp.up_proj": (FEED_FORWARD, HIDDEN),
        "mlp.down_proj": (HIDDEN, FEED_FORWARD),
    }


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=600, min_frequency=1, show_progress=False, initial_alphabet=alphabet, special_tokens=[]
    )
    tokenizer.train_from_iterator(_LESSONS, trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in ADDED])
    return tokenizer


def _tokenizer_config(tokenizer: Tokenizer) -> dict[str, Any]:
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token)): {"content": token, **plain, "special": token in SPECIAL}
            for token in (*SPECIAL, *ADDED)
        },
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "model_max_length": 8192,
    }


def _config(vocabulary: int, ids: dict[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "dtype": "float32",
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "attention_dropout": 0.0,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }


def _weights(vocabulary: int, seed: int) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(seed)
    ones = np.ones(HIDDEN, np.float32)
    tensors = {
        "model.embed_tokens.weight": _normal(chance, (vocabulary, HIDDEN), 1.0),
        "lm_head.weight": _normal(chance, (vocabulary, HIDDEN), 0.5),
        "model.norm.weight": ones,
    }
    for layer in range(LAYERS):
        name = f"model.layers.{layer}"
        tensors[f"{name}.input_layernorm.weight"] = ones.copy()
        tensors[f"{name}.post_attention_layernorm.weight"] = ones.copy()
        for module, (out, into) in projections().items():
            tensors[f"{name}.{module}.weight"] = _normal(chance, (out, into), into**-0.5)
            if module[-6:-5] in "qkv" and module.startswith("self_attn"):  # only these three have a bias in Qwen2
                tensors[f"{name}.{module}.bias"] = _normal(chance, (out,), 0.1)
    return tensors


def _normal(chance: np.random.Generator, shape: tuple[int, ...], deviation: float) -> np.ndarray:
    return (chance.standard_normal(shape) * deviation).astype(np.float32)


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
