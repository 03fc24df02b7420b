"""How rounds of many chats are best batched: the qwen engine's loop against the two that transformers brings.

    python benchmarks/batching_loops.py --model-folder FOLDER [--chats 16] [--quantisation nf4] [--share 0.25]

Same weights, same prompts, same limits, one process, one run: (1) the qwen engine, keys and values kept between rounds;
(2) the same without a store and without shared beginnings; (3) `generate` over left-padded static batches, every round
from its first token on; (4) transformers' continuous batching (`generate_batch`), with its sharing of blocks. In (3)
and (4) all chats go through their rounds together, which suits them. Prints JSON and a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from qwen_rounds import Sentence, read_sentences, rounds_of, run, summary, table

from eat_worker.engines.qwen import admission
from eat_worker.engines.qwen.admission import Plan
from eat_worker.engines.qwen.batch import Batch
from eat_worker.engines.qwen.chat_ids import ChatIds
from eat_worker.engines.qwen.scheduler import Scheduler
from eat_worker.engines.qwen.token_sequence import TokenSequence
from eat_worker.engines.qwen.weights import Weights, load_weights
from eat_worker.method.rounds import Request, RoundResult

Answers = Callable[[Sequence[Request]], list[RoundResult]]


def main() -> None:
    """Measure the four in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-folder", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, default=Path("examples/quickstart.jsonl"))
    parser.add_argument("--chats", type=int, default=16)
    parser.add_argument("--quantisation", default="nf4")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--share", type=float, default=0.25, help="of the answers' usual lengths")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    chat = ChatIds(chosen.model_folder)
    weights = load_weights(
        chosen.model_folder,
        None,
        vocabulary=len(chat.vocabulary),
        device="auto",
        quantisation=chosen.quantisation,
        dtype=chosen.dtype,
    )
    weights.probe(chat.plain_ids("Seoul is the capital of Korea."))
    sentences = read_sentences(chosen.corpus, chosen.chats)
    loops: dict[str, Callable[[], dict[str, Any]]] = {
        "(3) static batches, full re-prefill": lambda: in_step(sentences, static(weights, chat), chosen.share),
        "(2) qwen loop, nothing kept": lambda: by_engine(weights, chat, sentences, chosen.share, keep=False),
        "(1) qwen loop": lambda: by_engine(weights, chat, sentences, chosen.share, keep=True),
        "(4) continuous batching": lambda: in_step(sentences, continuous(weights, chat), chosen.share),
    }
    rows = {}
    for name, loop in loops.items():
        rows[name] = loop()
        print(json.dumps({name: rows[name]}), flush=True)
    print(table(list(rows.items()), rows["(3) static batches, full re-prefill"]))


def by_engine(weights: Weights, chat: ChatIds, sentences: Sequence[Sentence], share: float, *, keep: bool) -> Any:
    """The engine's own scheduler; without `keep`, it finds nothing that could be read again."""
    add, length = Batch.add, len(sentences)
    with ExitStack() as stack:
        if not keep:
            stack.enter_context(patch.object(admission, "WORTH", 1 << 30))
            stack.enter_context(patch.object(Batch, "add", lambda batch, sequence, _: add(batch, sequence, None)))
        scheduler = Scheduler(weights, chat, Plan(length, length * 4096, deterministic=False))
        stack.callback(scheduler.close)

        def ask(request: Request) -> RoundResult:
            sequence = TokenSequence(request, chat.encode(request.messages), False)
            scheduler.put(sequence)
            return sequence.future.result()

        return run(sentences, ask, at_once=length, adapter=False, share=share)


def in_step(sentences: Sequence[Sentence], answers: Answers, share: float) -> dict[str, Any]:
    """All chats through their rounds together."""
    chats: list[Any] = [rounds_of(sentence, adapter=False, share=share) for sentence in sentences]
    results: list[RoundResult] = []
    started = time.perf_counter()
    requests = [next(chat) for chat in chats]
    while requests:
        said = answers(requests)
        results += said
        following = []
        for chat, result in zip(chats, said, strict=True):
            try:
                following.append(chat.send(result))
            except StopIteration:
                continue
        requests = following
    return summary(results, len(sentences), time.perf_counter() - started)


def static(weights: Weights, chat: ChatIds) -> Answers:
    """`generate` over one left-padded batch."""
    ends = sorted(weights.ends)

    def answers(requests: Sequence[Request]) -> list[RoundResult]:
        prompts = [chat.encode(request.messages).ids for request in requests]
        width = max(map(len, prompts))
        ids = torch.tensor([[ends[0]] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        with torch.inference_mode():
            whole = weights.causal.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=requests[0].limits.max_new_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=ends,
                pad_token_id=ends[0],
            )[:, width:].tolist()
        return [_result(chat, prompt, said, ends, len(requests)) for prompt, said in zip(prompts, whole, strict=True)]

    return answers


def continuous(weights: Weights, chat: ChatIds) -> Answers:
    """transformers' continuous batching."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    ends = sorted(weights.ends)

    def answers(requests: Sequence[Request]) -> list[RoundResult]:
        prompts = [chat.encode(request.messages).ids for request in requests]
        config = GenerationConfig(
            max_new_tokens=requests[0].limits.max_new_tokens, do_sample=False, eos_token_id=ends, pad_token_id=ends[0]
        )
        batching = ContinuousBatchingConfig(page_size=32, num_blocks=1024, max_batch_tokens=2048)
        outputs = weights.causal.generate_batch(
            prompts,
            generation_config=config,
            continuous_batching_config=batching,
            progress_bar=False,
            persistent_manager=True,  # made once, as a worker would
        )
        by_prompt = {tuple(output.prompt_ids): list(output.generated_tokens) for output in outputs.values()}
        return [_result(chat, prompt, by_prompt[tuple(prompt)], ends, len(requests)) for prompt in prompts]

    return answers


def _result(chat: ChatIds, prompt: list[int], whole: list[int], ends: list[int], rows: int) -> RoundResult:
    end = next((at for at, token in enumerate(whole) if token in ends), len(whole))
    text = chat.vocabulary.text([token for token in whole[:end] if token < len(chat.vocabulary)], cut=True)
    return RoundResult(text, len(prompt), 0, min(end + 1, len(whole)), batch_size=rows)


if __name__ == "__main__":
    main()
