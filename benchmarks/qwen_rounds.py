"""What the benchmarks of the qwen engine have in common: EAT-shaped chats, and the loops they are compared with.

A chat is a list of rounds (messages are added, an answer of so many tokens is asked for), as the method asks them with
the official prompts: three forward rounds, the extraction, three backward rounds about one entity. The lengths of the
answers follow the paper's Table 15: 225 tokens per sentence.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eat_worker.method.document import Stage
from eat_worker.method.languages import language
from eat_worker.method.prompts import OFFICIAL
from eat_worker.method.rounds import Limits, Message, Request, RoundResult

# (stage, rounds with the tokens of their answers); 225 in all
SHAPE: tuple[tuple[Stage, tuple[tuple[str, int], ...]], ...] = (
    (Stage.FORWARD, (("think", 75), ("translate", 38), ("final", 38))),
    (Stage.EXTRACT, (("final", 20),)),
    (Stage.BACKWARD, (("locate", 24), ("verify", 18), ("final", 12))),
)
Ask = Callable[[Request], RoundResult]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One record of the corpus: its text, the name of its language, and the words of an entity."""

    number: int
    text: str
    language: str
    words: str


def read_sentences(path: Path, limit: int) -> list[Sentence]:
    """`limit` sentences of a JSON Lines file, from the beginning again when it has fewer."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = []
    for number in range(limit):
        row = rows[number % len(rows)]
        entities = row.get("entities") or [{"start": 0, "end": 4}]
        words = row["text"][entities[0]["start"] : entities[0]["end"]]
        # A repeated sentence must not be found in a cache.
        text = row["text"] if number < len(rows) else f"{number}. {row['text']}"
        found.append(Sentence(number, text, language(row["lang"]).name, words))
    return found


def rounds_of(sentence: Sentence, *, adapter: bool, share: float = 1.0) -> Iterator[Request]:
    """The rounds of one sentence, one after the other: send each answer back in. `share` shortens all answers."""
    for stage, rounds in SHAPE:
        messages = list(OFFICIAL.opening(stage, language=sentence.language))
        shared = len(messages)
        for at, (name, tokens) in enumerate(rounds):
            prompt = OFFICIAL.prompt(
                stage, name, language=sentence.language, text=sentence.text, english=sentence.text, words=sentence.words
            )
            messages.append(Message("user", prompt.text()))
            result: RoundResult = yield Request(
                session=f"{sentence.number}/{stage}",
                stage=stage,
                messages=tuple(messages),
                variables={},
                limits=Limits(max(1, round(tokens * share))),
                shared=shared,
                adapter=adapter,
                last=at == len(rounds) - 1,
            )
            messages.append(Message("assistant", result.text))


def run(sentences: Sequence[Sentence], ask: Ask, *, at_once: int, adapter: bool, share: float = 1.0) -> dict[str, Any]:
    """All rounds of all sentences, `at_once` sentences at a time; tokens, seconds and rates."""

    def one(sentence: Sentence) -> list[RoundResult]:
        chat, results = rounds_of(sentence, adapter=adapter, share=share), []
        request = next(chat)
        while True:
            results.append(ask(request))
            try:
                request = chat.send(results[-1])  # type: ignore[attr-defined]  # a generator that is sent answers
            except StopIteration:
                return results

    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        results = [result for found in pool.map(one, sentences) for result in found]
    return summary(results, len(sentences), time.perf_counter() - started)


def summary(results: Sequence[RoundResult], sentences: int, seconds: float) -> dict[str, Any]:
    """Rates over all rounds: what was asked, what was read anew, what was said."""
    generated = sum(result.generated_tokens for result in results)
    asked = sum(result.prompt_tokens for result in results)
    cached = sum(result.cached_tokens for result in results)
    return {
        "sentences": sentences,
        "rounds": len(results),
        "prompt_tokens": asked,
        "cached_tokens": cached,
        "computed_prompt_tokens": asked - cached,
        "generated_tokens": generated,
        "seconds": round(seconds, 3),
        "generated_tokens_per_second": round(generated / seconds, 2),
        "sentences_per_hour": round(sentences * 3600 / seconds, 1),
        "widest_batch": max((result.batch_size for result in results), default=0),
    }


def plain_loop(causal: Any, chat: Any, ends: Sequence[int]) -> Ask:
    """Loop (a), as the released code is built: one chat at a time, every round computed from its first token on by
    transformers' `generate`.
    """
    import torch

    device = causal.device

    def ask(request: Request) -> RoundResult:
        ids = chat.encode(request.messages).ids
        started = time.perf_counter()
        with torch.inference_mode():
            whole = causal.generate(
                torch.tensor([ids], device=device),
                attention_mask=torch.ones(1, len(ids), dtype=torch.int64, device=device),
                max_new_tokens=request.limits.max_new_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=list(ends),
                pad_token_id=ends[0],
            )[0].tolist()
        said = [token for token in whole[len(ids) :] if token not in ends]
        vocabulary = chat.vocabulary
        text = vocabulary.text([token for token in said if token < len(vocabulary)], cut=True)
        seconds = time.perf_counter() - started
        stopped = len(said) < len(whole) - len(ids)
        return RoundResult(
            text, len(ids), 0, len(whole) - len(ids), seconds, finish_reason="stop" if stopped else "length"
        )

    return ask


def table(rows: Sequence[tuple[str, dict[str, Any]]], base: dict[str, Any]) -> str:
    """Runs side by side as Markdown, with their ratio to `base`."""
    lines = [
        "| run | sentences/h | x (a) | generated tok/s | x (a) | prompt tokens computed | of | widest batch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows:
        hours = row["sentences_per_hour"] / base["sentences_per_hour"]
        tokens = row["generated_tokens_per_second"] / base["generated_tokens_per_second"]
        lines.append(
            f"| {name} | {row['sentences_per_hour']:,} | {hours:.2f} | {row['generated_tokens_per_second']:,} "
            f"| {tokens:.2f} | {row['computed_prompt_tokens']:,} | {row['prompt_tokens']:,} | {row['widest_batch']} |"
        )
    return "\n".join(lines)
