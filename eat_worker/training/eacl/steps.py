"""The five steps from an English data set to training chats, each from file to file, streaming.

What a step reads and writes, and the figures it ends with. How a pair is found, judged or turned into a chat is said in
the modules beside this one. A step writes its files whole or not at all, so that it can be run again at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from eat_worker.corpora.writing import new_records
from eat_worker.errors import ConfigurationError, CorpusError
from eat_worker.method.config import MethodConfig
from eat_worker.method.prompts import prompt_set
from eat_worker.training.eacl.chats import Conversation, conversations, dataset_info, sharegpt
from eat_worker.training.eacl.filtering import RULES, filtered
from eat_worker.training.eacl.pairs import EaclPair, Refused, read_pairs
from eat_worker.training.eacl.splitting import leakage, sentences_of, split

Figures = dict[str, Any]
"""What a step has done, for people and programs."""

Progress = Callable[[int], None]
"""Hears how many records are done."""


def keep(
    results: Iterable[EaclPair | Refused], output: Path, rejects: Path | None, progress: Progress = lambda _: None
) -> Figures:
    """Write pairs to `output` and, where wanted, refusals to `rejects`: pairs, pages and refusals by reason."""
    reasons: Counter[str] = Counter()
    pages: set[str] = set()
    with ExitStack() as stack:
        kept = stack.enter_context(new_records(output))
        refused = stack.enter_context(new_records(rejects)) if rejects else None
        for number, result in enumerate(results, start=1):
            if isinstance(result, Refused):
                reasons[result.reason] += 1
                if refused:
                    refused.write(result.to_json())
            else:
                pages.add(result.page)
                kept.write(result.to_json())
            progress(number)
    return {"pairs": kept.count, "pages": len(pages), "rejected": dict(reasons.most_common()), "output": str(output)}


def filter_file(path: Path, rule: str, output: Path, rejects: Path | None, lang: str | None) -> Figures:
    """Keep the pairs of a file that a rule of RULES accepts, without duplicates."""
    return keep(filtered(read_pairs(path, lang), RULES[rule]), output, rejects)


def split_file(path: Path, folder: Path, *, share: float, seed: int, lang: str | None) -> Figures:
    """Part a file by page into `train.jsonl` and `held_out.jsonl`; the leakage told is counted in what was written."""
    names = {side: folder / f"{side}.jsonl" for side in ("train", "held_out")}
    trained_on = sentences_of(read_pairs(path, lang), share=share, seed=seed)
    counts: Counter[str] = Counter()
    pages: dict[str, set[str]] = {side: set() for side in names}
    with ExitStack() as stack:
        files = {side: stack.enter_context(new_records(name)) for side, name in names.items()}
        for side, pair in split(read_pairs(path, lang), share=share, seed=seed, trained_on=trained_on):
            counts[side] += 1
            if side in files:
                files[side].write(pair.to_json())
                pages[side].add(pair.page)
    sides = {side: {"pairs": counts[side], "pages": len(pages[side]), "output": str(names[side])} for side in names}
    leaked = leakage(_written(names["train"]), _written(names["held_out"]))
    return {**sides, "left_out": counts["neither"], "leakage": leaked, "seed": seed}


def _written(path: Path) -> Iterator[EaclPair]:
    # One side of a small corpus may be empty, which a corpus to be read may not.
    return read_pairs(path) if path.stat().st_size else iter(())


def export_file(path: Path, folder: Path, *, name: str, config: MethodConfig, lang: str | None) -> Figures:
    """Write the chats of a file's pairs as `NAME.jsonl` (ShareGPT), and the entry that names it in dataset_info.json.

    Raises CorpusError when no pair of the file makes a chat, ConfigurationError when dataset_info.json is there and
    is not what LLaMA-Factory writes.
    """
    output = folder / f"{name}.jsonl"
    index = folder / "dataset_info.json"
    entries = _entries(index) | dataset_info(name, output.name)
    counts: Counter[str] = Counter()
    with new_records(output) as written:
        for record in sharegpt(_counted(conversations(read_pairs(path, lang), **_asking(config)), counts)):
            written.write(record)
        if not written.count:
            raise CorpusError(f"{path}: no pair makes a chat; filter them first: eat eacl filter {path} -o FILE")
    index.write_bytes(orjson.dumps(entries, option=orjson.OPT_INDENT_2))
    return {"chats": written.count, **counts, "prompts": config.prompts, "output": str(output), "index": str(index)}


def _asking(config: MethodConfig) -> dict[str, Any]:
    return {"prompts": prompt_set(config.prompts), "config": config}


def _counted(chats: Iterable[Conversation], counts: Counter[str]) -> Iterator[Conversation]:
    for chat in chats:
        counts["answers"] += len(chat.turns)
        counts["spans"] += sum(turn.final for turn in chat.turns)
        yield chat


def _entries(index: Path) -> dict[str, Any]:
    """The data sets that dataset_info.json already names; ours is put beside them."""
    try:
        entries = orjson.loads(index.read_bytes())
    except FileNotFoundError:
        return {}
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"{index} is not JSON: {error}; move it away, or export elsewhere") from None
    if not isinstance(entries, dict):
        raise ConfigurationError(f"{index} is not an object of data sets; move it away, or export elsewhere")
    return entries
