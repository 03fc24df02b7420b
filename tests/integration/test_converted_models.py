"""Converted weights against llama.cpp itself: the same ids, the same answers, the same adapter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from eat_worker.engines.llamacpp import LlamaCpp
from eat_worker.errors import ModelMissing
from eat_worker.method.document import Stage
from eat_worker.method.rounds import Limits, Message, Request
from eat_worker.models.conversion.convert import convert
from eat_worker.models.conversion.gguf_lora import export_gguf_lora
from eat_worker.models.conversion.vocabulary import write_tokenizer
from eat_worker.models.installed import locate

# peft 0.21 asks transformers 5.23 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

HALF_BILLION = "qwen2.5-coder-0.5b-instruct-q4_k_m"
QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart.jsonl"
CONTROL = "<|im_end|>\n<|im_start|>system\n<tool_call>{}</tool_call><|endoftext|><|fim_prefix|>"


def sentences() -> list[str]:
    """Korean, Japanese, Chinese, Russian, Arabic and German."""
    return [json.loads(line)["text"] for line in QUICKSTART.read_text(encoding="utf-8").splitlines()]


def open_engine(model: Path, adapter: Path | None = None) -> LlamaCpp:
    return LlamaCpp(model, adapter=adapter, threads=1, slots=1, context=512)


def ask(engine: LlamaCpp, text: str, tokens: int, *, adapter: bool) -> str:
    message = Message("user", text)
    return engine.ask(Request("chat", Stage.FORWARD, (message,), {}, Limits(tokens), adapter=adapter, last=True)).text


def read_by_llama_cpp(engine: LlamaCpp, text: str, *, control: bool) -> list[int]:
    body = {"content": text, "add_special": False, "parse_special": control}
    return list(engine._post("/tokenize", body)["tokens"])


def assert_same_ids(engine: LlamaCpp, folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in [*sentences(), CONTROL, "  tabs\tand\r\n\r\nlines  ", "I'll 1,234.5 🎉"]:
        assert tokenizer(text)["input_ids"] == read_by_llama_cpp(engine, text, control=True), text
        plain = tokenizer(text, split_special_tokens=True)["input_ids"]
        assert plain == read_by_llama_cpp(engine, text, control=False), text
    chat = [{"role": "user", "content": sentences()[0]}]
    ours = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    prompt = engine._post("/apply-template", {"messages": chat, "add_generation_prompt": True})["prompt"]
    assert ours == read_by_llama_cpp(engine, prompt, control=True)


@pytest.fixture(scope="module")
def tiny_lora(tiny_adapter_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    return export_gguf_lora(tiny_adapter_folder, folder / "lora.gguf", models_dir=folder)


@pytest.fixture(scope="module")
def tiny_engine(tiny_gguf_file: Path, tiny_lora: Path) -> Iterator[LlamaCpp]:
    engine = open_engine(tiny_gguf_file, tiny_lora)
    yield engine
    engine.close()


def test_a_converted_tokenizer_reads_as_llama_cpp_does(
    tiny_engine: LlamaCpp, tiny_gguf_file: Path, tmp_path: Path
) -> None:
    assert_same_ids(tiny_engine, convert(tiny_gguf_file, tmp_path / "tiny-hf", models_dir=tmp_path))


@pytest.mark.parametrize("adapter", [False, True])
def test_llama_cpp_says_what_transformers_says_with_the_adapter_and_without(
    tiny_engine: LlamaCpp, tiny_qwen_folder: Path, tiny_adapter_folder: Path, adapter: bool
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_qwen_folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_qwen_folder)
    if adapter:
        model = PeftModel.from_pretrained(model, tiny_adapter_folder).eval()
    for text in ("서울에 갔다", "Ann lives in Oslo."):
        chat = [{"role": "user", "content": text}]
        prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        said = model.generate(**prompt, max_new_tokens=24, do_sample=False)[0, prompt["input_ids"].shape[1] :]
        expected = tokenizer.decode(said, skip_special_tokens=True)
        assert ask(tiny_engine, text, 24, adapter=adapter).rstrip("\ufffd") == expected.rstrip("\ufffd")


# --- the real 0.5B, where it is installed


@pytest.fixture(scope="module")
def half_billion() -> Path:
    folder = os.environ.get("EAT_MODELS_DIR") or os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/eat_worker/models"
    try:
        return locate(HALF_BILLION, Path(folder).expanduser())
    except ModelMissing:
        pytest.skip(f"no weights to test with; run: eat model pull {HALF_BILLION}")


@pytest.mark.model
def test_qwens_own_vocabulary_reads_as_llama_cpp_does(half_billion: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    write_tokenizer({name: field.contents() for name, field in GGUFReader(half_billion).fields.items()}, tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    engine = open_engine(half_billion)
    try:
        assert_same_ids(engine, tmp_path)
    finally:
        engine.close()


@pytest.mark.model
def test_an_adapter_changes_what_qwen_says_only_when_it_is_on(
    half_billion: Path, tiny_models: ModuleType, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    random_adapter(half_billion, adapter)
    lora = export_gguf_lora(adapter, tmp_path / "lora.gguf", models_dir=tmp_path)
    text = "Translate into English: Angela Merkel besuchte Wolfsburg."
    said = []
    for file, on in ((None, False), (lora, False), (lora, True)):
        engine = open_engine(half_billion, file)
        said.append(ask(engine, text, 12, adapter=on))
        engine.close()
    assert said[0] == said[1]
    assert said[0] != said[2]
    assert "Merkel" in said[0]


def random_adapter(gguf_file: Path, folder: Path) -> None:
    """A LoRA of rank 4 for the queries and values of a GGUF model, strong enough to be heard."""
    from gguf import GGUFReader
    from safetensors.numpy import save_file

    chance, lora = np.random.default_rng(0), {}
    for tensor in GGUFReader(gguf_file).tensors:
        _, layer, part, kind = [*tensor.name.split("."), "", "", ""][:4]
        if kind == "weight" and part in ("attn_q", "attn_v"):
            into, out = (int(size) for size in tensor.shape)
            name = f"base_model.model.model.layers.{layer}.self_attn.{part[-1]}_proj"
            lora[f"{name}.lora_A.weight"] = chance.standard_normal((4, into)).astype(np.float32)
            lora[f"{name}.lora_B.weight"] = chance.standard_normal((out, 4)).astype(np.float32)
    folder.mkdir()
    save_file(lora, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
