"""What the settings that make llama.cpp repeat itself cost: tokens per second with and without them. Prints JSON.

    python benchmarks/llamacpp_settings.py [--model qwen2.5-coder-1.5b-instruct-q4_k_m] [--threads 2] [--repeats 5]

Three servers with one slot each, in one process, take turns, so that a busy machine slows all of them. `eat` is set up
as by the engine, without and with the probability of each token, which the engine asks for; `repacked` has the weights
in the CPU's own layout; `repacked, flash attention` is what llama.cpp starts by itself. Each reads 600 tokens, then
80 behind them, then writes 24; the tokens are random (seed 0).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
from pathlib import Path
from typing import Any

import xllamacpp

from eat_worker.settings import load_settings

FLASH = xllamacpp.llama_flash_attn_type
LONG, SHORT, WRITTEN = 600, 80, 24  # tokens
TOKENS = range(1_000, 30_000)  # ordinary tokens of every model in the catalog


def serve(model: Path, threads: int, *, repacked: bool, flash: bool) -> Any:
    """A llama.cpp server with one slot."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_parallel, params.n_ctx = 1, 1024
    params.no_extra_bufts = not repacked
    params.flash_attn_type = FLASH.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else FLASH.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.slot_prompt_similarity = 0.0
    params.cache_ram_mib = 0
    params.ui = False
    params.verbosity = 1
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads, cpu.poll = threads, 0
    return xllamacpp.Server(params)


def take_turn(server: Any, chance: random.Random, more: dict[str, int]) -> dict[str, float]:
    """Tokens per second of a long prompt, of a short one behind it, and of the answer."""
    prompt = [chance.choice(TOKENS) for _ in range(LONG + SHORT)]
    body = {"id_slot": 0, "cache_prompt": True, "temperature": 0, "ignore_eos": True}
    long = server.handle_completions({**body, "prompt": prompt[:LONG], "max_tokens": 0})["timings"]
    short = server.handle_completions({**body, "prompt": prompt, "max_tokens": WRITTEN, **more})["timings"]
    return {
        f"read {LONG}": 1000 * long["prompt_n"] / long["prompt_ms"],
        f"read {SHORT} more": 1000 * short["prompt_n"] / short["prompt_ms"],
        f"write {WRITTEN}": 1000 * short["predicted_n"] / short["predicted_ms"],
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct-q4_k_m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    models = load_settings({}, directory=Path.cwd(), environ=os.environ).models_dir
    model = models / f"{options.model}.gguf"
    plain = serve(model, options.threads, repacked=False, flash=False)
    kinds: dict[str, tuple[Any, dict[str, int]]] = {
        "eat": (plain, {}),
        "eat, probabilities": (plain, {"logprobs": 1}),
        "repacked": (serve(model, options.threads, repacked=True, flash=False), {}),
        "repacked, flash attention": (serve(model, options.threads, repacked=True, flash=True), {}),
    }
    chance = random.Random(0)
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
    for _ in range(options.repeats):
        for name, (server, more) in kinds.items():
            turns[name].append(take_turn(server, chance, more))
    speeds = {
        name: {what: [round(turn[what], 1) for turn in found] for what in found[0]} for name, found in turns.items()
    }
    medians = {
        name: {what: statistics.median(values) for what, values in found.items()} for name, found in speeds.items()
    }
    print(
        json.dumps(
            {
                "model": options.model,
                "median_tokens_per_second": medians,
                "tokens_per_second": speeds,
                "load": os.getloadavg()[0],
                "machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}",
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
