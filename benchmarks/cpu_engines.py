"""Three ways to run the same sentences through the same real model on a CPU. Prints a Markdown table; writes JSON.

    python benchmarks/cpu_engines.py --model-gguf FILE --model-folder FOLDER [--limit 24] [--tokens 512] [--out FILE]

(a) a loop shaped like the released code: one chat at a time, transformers' `generate` in bf16, every round computed
from its first token on; (b) the llamacpp engine over the GGUF file, eight sentences at once; (c) the qwen engine in NF4
over the same weights as a folder, eight at once. All three: official prompts, three rounds, no constraint, 512 tokens a
round, greedy (the released code samples), the extractor `chat`, no back-translation. Each answers in its own
arithmetic, so that answers differ in length: read tokens per second beside sentences per hour.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from qwen_rounds import Ask, plain_loop, summary, table

from eat_worker.method.annotate import annotate
from eat_worker.method.config import MethodConfig
from eat_worker.method.document import Document
from eat_worker.method.rounds import Request, RoundResult

AT_ONCE = 8
CONTEXT = 4096


def main() -> None:
    """Measure the three in turn, each with the machine to itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-gguf", type=Path, required=True)
    parser.add_argument("--model-folder", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, default=Path("examples/quickstart.jsonl"))
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=512, help="longest answer of every round")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="abc", help="which of a, b, c")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    lines = chosen.corpus.read_text(encoding="utf-8").splitlines()[: chosen.limit]
    documents = [Document(row["text"], row["lang"], ext_id=row["id"]) for row in map(json.loads, lines)]
    runs = {"a": loop_a, "b": engine_b, "c": engine_c}
    rows = {}
    for letter in chosen.only:
        name, row = runs[letter](documents, chosen)
        rows[name] = row
        print(json.dumps({name: row}), flush=True)
    first = next(iter(rows.values()))
    print(table(list(rows.items()), first))
    if chosen.out:
        record = {
            "limit": chosen.limit,
            "tokens": chosen.tokens,
            "threads": chosen.threads,
            "load_before": os.getloadavg(),
            "runs": rows,
        }
        chosen.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def loop_a(documents: list[Document], chosen: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """One chat at a time by `generate`."""
    import torch

    from eat_worker.engines.qwen.chat_ids import ChatIds
    from eat_worker.engines.qwen.weights import load_weights

    torch.set_num_threads(chosen.threads)
    chat = ChatIds(chosen.model_folder)
    weights = load_weights(
        chosen.model_folder,
        None,
        vocabulary=len(chat.vocabulary),
        device="cpu",
        quantisation="none",
        dtype="bfloat16",
    )
    ask = plain_loop(weights.causal, chat, sorted(weights.ends))
    return "(a) plain loop, bf16", measured(documents, ask, chosen.tokens, at_once=1)


def engine_b(documents: list[Document], chosen: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The embedded engine."""
    from eat_worker.engines.llamacpp import LlamaCpp

    engine = LlamaCpp(chosen.model_gguf, adapter=None, threads=chosen.threads, slots=AT_ONCE, context=CONTEXT)
    try:
        return "(b) llamacpp, GGUF", measured(documents, engine.ask, chosen.tokens, at_once=AT_ONCE)
    finally:
        engine.close()


def engine_c(documents: list[Document], chosen: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The engine of GPU workers, on the CPU."""
    import torch

    from eat_worker.engines.qwen.engine import Qwen

    torch.set_num_threads(chosen.threads)
    engine = Qwen(chosen.model_folder, adapter=None, device="cpu", slots=AT_ONCE, context=CONTEXT)
    try:
        return "(c) qwen, NF4", measured(documents, engine.ask, chosen.tokens, at_once=AT_ONCE)
    finally:
        engine.close()


def measured(documents: list[Document], ask: Ask, tokens: int, *, at_once: int) -> dict[str, Any]:
    """All documents, `at_once` at a time, by the method as it is without queue and database."""
    limits = ("think_tokens", "translate_tokens", "extract_tokens", "locate_tokens", "final_tokens")
    config = MethodConfig(
        prompts="official",
        forward="free",
        alignment="free",
        matcher="official",
        back_translation=False,
        adapter_stages=(),
        **dict.fromkeys(limits, tokens),
    )
    results: list[RoundResult] = []

    def counted(request: Request) -> RoundResult:
        result = ask(request)
        results.append(result)
        return result

    def one(document: Document) -> None:
        annotate(document, counted, config, session=str(document.ext_id))

    started, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, documents))
    row = summary(results, len(documents), time.perf_counter() - started)
    cut = sum(result.finish_reason == "length" for result in results)
    loops = sum("loop" in result.flags for result in results)
    return row | {"cpu_seconds": round(time.process_time() - cpu, 1), "cut": cut, "loops": loops}


if __name__ == "__main__":
    main()
