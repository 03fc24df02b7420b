"""The best allowed token, against looking at every token there is."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import torch

from eat_worker.engines.qwen import sampler as sampler_module
from eat_worker.engines.qwen.chat_ids import ChatIds
from eat_worker.engines.qwen.constrained_decoding import ByteAutomaton
from eat_worker.engines.qwen.sampler import Sampler
from eat_worker.engines.qwen.token_sequence import TokenSequence
from eat_worker.method.constraint import list_of, span_of
from eat_worker.method.document import Stage
from eat_worker.method.rounds import Constraint, EnglishConstraint, Limits, Message, Request


@pytest.fixture(scope="module")
def chat(tiny_qwen_folder: Path) -> ChatIds:
    return ChatIds(tiny_qwen_folder)


@pytest.fixture
def sampler(chat: ChatIds) -> Sampler:
    ends = [chat._tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")]
    return Sampler(chat.vocabulary, frozenset(ends))


def sequence_of(chat: ChatIds, constraint: Constraint | None) -> TokenSequence:
    messages = (Message("user", "Where?"),)
    sequence = TokenSequence(
        Request("s", Stage.FORWARD, messages, {}, Limits(200)), chat.encode(messages), False, Future()
    )
    if constraint is not None:
        sequence.constrain(ByteAutomaton(constraint))
    return sequence


def exhaustive(sequence: TokenSequence, logits: torch.Tensor, sampler: Sampler) -> int:
    order: Any = logits.argsort(descending=True, stable=True).tolist()
    return next(token for token in order if sequence.allows(token, sampler.vocabulary, sampler.ends))


@pytest.mark.parametrize("first_try", [2, 256])
@pytest.mark.parametrize(
    "constraint",
    [
        None,
        span_of("김연아는 서울에서 열린", characters=True),
        list_of("Ann besuchte Köln", ("PER", "LOC"), characters=False),
        EnglishConstraint(),
    ],
    ids=["free", "span", "list", "english"],
)
def test_the_choice_is_the_best_of_all_allowed_tokens(
    constraint: Constraint | None, first_try: int, chat: ChatIds, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler_module, "_FIRST_TRY", first_try)
    chance = torch.Generator().manual_seed(1)
    sequence = sequence_of(chat, constraint)
    for _ in range(40):
        # Rounded, so that many are equal: the lowest id is chosen among these.
        logits = (torch.randn(1, len(chat.vocabulary), generator=chance) * 3).round()
        (choice,) = sampler.sample([sequence], logits)
        assert choice is not None
        assert choice[0] == exhaustive(sequence, logits[0], sampler)
        assert choice[1] == pytest.approx(float(logits[0].log_softmax(-1)[choice[0]]), abs=1e-4)
        if sequence.append_token(*choice, chat.vocabulary, sampler.ends) is not None:
            sequence = sequence_of(chat, constraint)


def test_each_sequence_is_judged_by_its_own_logits_and_constraint(chat: ChatIds, sampler: Sampler) -> None:
    free, bound = sequence_of(chat, None), sequence_of(chat, span_of("ab", characters=False))
    logits = torch.zeros(3, len(chat.vocabulary))
    (wanted,) = chat.plain_ids("Q")
    logits[:, wanted] = 9
    logits[2, 5] = float("-inf")
    choices = sampler.sample([free, bound, free], logits)
    assert choices[0] is not None
    assert choices[1] is not None
    assert choices[0][0] == wanted
    assert chat.vocabulary.token_bytes[choices[1][0]] in (b"a", b"N")
    assert choices[2] is None
