"""The qwen engine on a GPU against a loop shaped like the released code. Prints JSON and a Markdown table.

    python benchmarks/gpu_worker.py [--batches 1,16,32,64] [--sentences 4] [--tokenizer FOLDER] [--out FILE] [--tiny]

Makes Qwen2.5-14B-Instruct's shape with random weights on the spot, layer by layer straight into NF4, and a LoRA r=64 on
all seven projections; no download. Random weights say nothing sensible and take as long. `--tokenizer` is a folder of
Qwen's tokenizer: prompts then have the lengths of real ones; without it a small one cuts texts into more tokens.
`--tiny` runs the same code on a small shape and on the CPU, to see that it works.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from qwen_rounds import plain_loop, read_sentences, run, table

from eat_worker.engines.qwen.admission import Plan
from eat_worker.engines.qwen.batch import Batch
from eat_worker.engines.qwen.chat_ids import ChatIds, ChatPrompt
from eat_worker.engines.qwen.scheduler import Scheduler
from eat_worker.engines.qwen.token_sequence import TokenSequence
from eat_worker.engines.qwen.weights import Weights
from eat_worker.method.document import Stage
from eat_worker.method.rounds import Limits, Request, RoundResult

ROOT = Path(__file__).resolve().parent.parent
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
BIG = {
    "vocab_size": 152_064,
    "hidden_size": 5120,
    "intermediate_size": 13_824,
    "num_hidden_layers": 48,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
}
SMALL = {
    "vocab_size": 1024,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
# Sustained memory bandwidth (bytes/s) and bf16 arithmetic (FLOP/s) by a word of the device's name.
DEVICES = {"H200": (4.3e12, 790e12), "A100": (1.7e12, 250e12), "4090": (0.92e12, 160e12), "L4": (0.27e12, 100e12)}
STEP_BYTES = 8.9e9  # read per decode step: NF4 layers, bf16 head, LoRA
TOKEN_FLOP = 28.5e9
TOKEN_BYTES = 196_608  # keys and values
ROW_TOKENS = 700  # of a chat in the middle of its rounds


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--batches", default="1,16,32,64")
    parser.add_argument("--sentences", type=int, default=4, help="per row of a batch; loop (a) runs so many in all")
    parser.add_argument("--corpus", type=Path, default=ROOT / "examples" / "quickstart.jsonl")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    if not chosen.tiny and not torch.cuda.is_available():
        sys.exit("no CUDA device; with --tiny the same code runs on the CPU")
    device = torch.device("cpu" if chosen.tiny else "cuda")
    with tempfile.TemporaryDirectory() as folder:
        chat = ChatIds(chosen.tokenizer or small_tokenizer(Path(folder)))
    torch.manual_seed(chosen.seed)
    weights = random_weights(SMALL if chosen.tiny else BIG, device, chat)
    record = measured(weights, chat, chosen, device)
    print(json.dumps(record, indent=1))
    print(table([(name, row) for name, row in record["loops"].items()], record["loops"]["(a) plain loop"]))
    if chosen.out:
        chosen.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def measured(weights: Weights, chat: ChatIds, chosen: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """The whole record."""
    share = 0.1 if chosen.tiny else 1.0
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    record: dict[str, Any] = {
        "device": name,
        "seed": chosen.seed,
        "tokenizer": str(chosen.tokenizer.name) if chosen.tokenizer else "small",
        "resident_bytes": memory(device),
        "passes": {},
        "loops": {},
    }
    sentences = read_sentences(chosen.corpus, chosen.sentences)
    ask = plain_loop(weights.causal, chat, sorted(weights.ends))
    weights.use_adapter(True)
    record["loops"]["(a) plain loop"] = run(sentences, ask, at_once=1, adapter=True, share=share)
    for rows in map(int, chosen.batches.split(",")):
        record["passes"][str(rows)] = passes(weights, chat, rows, name)
        many = read_sentences(chosen.corpus, chosen.sentences * rows)
        scheduler = Scheduler(weights, chat, Plan(rows, rows * 2048, deterministic=False))
        reset_peak(device)
        found = run(many, asking(scheduler, chat), at_once=rows, adapter=True, share=share)
        scheduler.close()
        record["loops"][f"qwen, {rows} at once"] = found | {"peak_bytes": peak(device)}
    return record


def asking(scheduler: Scheduler, chat: ChatIds) -> Any:
    """What `Qwen.ask` does, over weights that lie in no folder."""

    def ask(request: Request) -> RoundResult:
        sequence = TokenSequence(request, chat.encode(request.messages), request.adapter)
        scheduler.put(sequence)
        return sequence.future.result()

    return ask


def passes(weights: Weights, chat: ChatIds, rows: int, device: str) -> dict[str, Any]:
    """Prefill and decode alone: `rows` chats of 640 random tokens, then 60 steps."""
    prompt, steps = (640, 60) if device != "cpu" else (64, 10)
    with torch.inference_mode():
        batch = Batch(weights, rows, prompt + steps + 2)
        waiting = [random_sequence(chat, prompt, steps) for _ in range(rows)]
        for sequence in waiting:
            batch.add(sequence, None)
        prefill, logits = timed(weights, lambda: batch.prefill(waiting))
        decode = 0.0
        for _ in range(steps):
            for sequence, token in zip(waiting, logits.argmax(-1).tolist(), strict=True):
                sequence.ids.append(token)
            seconds, logits = timed(weights, lambda: batch.step(True))
            decode += seconds
    found = {
        "prefill_tokens_per_second": round(rows * prompt / prefill, 1),
        "decode_tokens_per_second": round(rows * steps / decode, 1),
        "step_milliseconds": round(1000 * decode / steps, 2),
    }
    known = next((numbers for word, numbers in DEVICES.items() if word in device), None)
    if known is None:
        return found | {"roofline_decode": None, "roofline_prefill": None}
    bandwidth, flops = known
    best = rows / max((STEP_BYTES + rows * ROW_TOKENS * TOKEN_BYTES) / bandwidth, rows * TOKEN_FLOP / flops)
    return found | {
        "roofline_decode": round(found["decode_tokens_per_second"] / best, 4),
        "roofline_prefill": round(found["prefill_tokens_per_second"] / (flops / TOKEN_FLOP), 4),
    }


def random_sequence(chat: ChatIds, prompt: int, steps: int) -> TokenSequence:
    ids = torch.randint(len(chat.vocabulary), (prompt,)).tolist()
    request = Request("random", Stage.FORWARD, (), {}, Limits(steps + 2))
    return TokenSequence(request, ChatPrompt(ids, {}, False), True)  # type: ignore[arg-type]  # never checked here


def timed(weights: Weights, work: Any) -> tuple[float, Any]:
    if weights.device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    done = work()
    if weights.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, done


def random_weights(shape: dict[str, int], device: torch.device, chat: ChatIds) -> Weights:
    """A Qwen2 of this shape in NF4 with an adapter; one matrix at a time exists in bf16."""
    from accelerate import init_empty_weights
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer
    from transformers import Qwen2Config, Qwen2ForCausalLM

    ends = [min(chat.vocabulary.control)]
    config = Qwen2Config(**shape, max_position_embeddings=32_768, rope_theta=1e6, rms_norm_eps=1e-6, eos_token_id=ends)
    config._attn_implementation = "sdpa"
    with init_empty_weights():
        causal = Qwen2ForCausalLM(config)
    materialise(causal, device)
    causal.generation_config.eos_token_id = ends
    lora = LoraConfig(r=64, lora_alpha=16, target_modules=PROJECTIONS, task_type="CAUSAL_LM")
    get_peft_model(causal, lora, autocast_adapter_dtype=False)
    layers = [layer for layer in causal.modules() if isinstance(layer, LoraLayer)]
    for layer in layers:
        for name in layer.adapter_layer_names:
            getattr(layer, name).to(device, torch.bfloat16)
    return Weights(causal, layers, vocabulary=len(chat.vocabulary), dtype=torch.bfloat16)


def materialise(causal: Any, device: torch.device) -> None:
    """Random values for every parameter that is only a shape yet; the projections become NF4, double-quantised."""
    import bitsandbytes as bnb
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

    for name, module in list(causal.named_modules()):
        if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] in PROJECTIONS:
            quantised = bnb.nn.Linear4bit(
                module.in_features,
                module.out_features,
                bias=module.bias is not None,
                compute_dtype=torch.bfloat16,
                quant_type="nf4",
                compress_statistics=True,
                device="meta",
            )
            matrix = torch.randn(module.weight.shape, dtype=torch.bfloat16, device=device) * module.in_features**-0.5
            quantised.weight = bnb.nn.Params4bit(
                matrix.cpu() if device.type == "cpu" else matrix,
                requires_grad=False,
                quant_type="nf4",
                compress_statistics=True,
                module=quantised,
            ).to(device)
            if module.bias is not None:
                quantised.bias = torch.nn.Parameter(torch.zeros_like(module.bias, device=device, dtype=torch.bfloat16))
            parent = causal.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], quantised)
    for name, parameter in list(causal.named_parameters()):
        if parameter.is_meta:
            module, _, leaf = name.rpartition(".")
            make = torch.ones if "norm" in name else torch.randn
            value = make(parameter.shape, dtype=torch.bfloat16, device=device)
            setattr(causal.get_submodule(module), leaf, torch.nn.Parameter(value, requires_grad=False))
    causal.model.rotary_emb = Qwen2RotaryEmbedding(causal.config).to(device)


def small_tokenizer(folder: Path) -> Path:
    """The tokenizer of the tests."""
    spec = importlib.util.spec_from_file_location("tiny_qwen", ROOT / "tests" / "tiny_qwen.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Path = module.tiny_qwen(folder / "tiny")
    return made


def memory(device: torch.device) -> int | None:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else None


def peak(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


if __name__ == "__main__":
    main()
