"""From logits to the next token of every sequence: the most probable one that its constraint allows.

Greedy decoding needs the best allowed token and not the set of all, so candidates are tried from the best down: the
best is nearly always allowed, and no mask of 152,000 tokens is ever written. The log-probability of a token is that of
the model without a constraint, as llama.cpp reports it: it says how willing the model was. Equal logits: lowest id.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from eat_worker.engines.qwen.token_sequence import TokenSequence
from eat_worker.engines.qwen.vocabulary import Vocabulary

_FIRST_TRY = 256  # candidates looked at before the whole vocabulary is sorted

Choice = tuple[int, float]
"""(token, its log-probability)"""


class Sampler:
    """Chooses among the tokens of one vocabulary; `ends` are those that end an answer."""

    def __init__(self, vocabulary: Vocabulary, ends: frozenset[int]) -> None:
        self.vocabulary, self.ends = vocabulary, ends

    def sample(self, sequences: Sequence[TokenSequence], logits: torch.Tensor) -> list[Choice | None]:
        """Each sequence's next token, None where a logit is no number; `logits` are (sequences, tokens) float32."""
        values, tokens = logits.max(dim=-1)
        parts = (tokens, values, logits.logsumexp(dim=-1), logits.isfinite().all(dim=-1))
        # One transfer from the device; float64 holds every token id and every float32.
        numbers = torch.stack([part.double() for part in parts], dim=1).tolist()
        chosen: list[Choice | None] = []
        refused: list[int] = []
        for at, (sequence, (token, value, total, finite)) in enumerate(zip(sequences, numbers, strict=True)):
            chosen.append((int(token), value - total) if finite else None)
            if finite and not sequence.allows(int(token), self.vocabulary, self.ends):
                refused.append(at)
        if refused:
            self._reconsider(sequences, logits, refused, [number[2] for number in numbers], chosen)
        return chosen

    def _reconsider(
        self,
        sequences: Sequence[TokenSequence],
        logits: torch.Tensor,
        refused: Sequence[int],
        totals: Sequence[float],
        chosen: list[Choice | None],
    ) -> None:
        top = logits[list(refused)].topk(min(_FIRST_TRY, logits.shape[1]), dim=-1)
        for at, values, tokens in zip(refused, top.values.tolist(), top.indices.tolist(), strict=True):
            candidates = sorted(zip(values, tokens, strict=True), key=lambda pair: (-pair[0], pair[1]))
            # The smallest value may be had by tokens that are not among these.
            sure = (pair for pair in candidates if pair[0] > values[-1])
            found = next((pair for pair in sure if sequences[at].allows(pair[1], self.vocabulary, self.ends)), None)
            value, token = found or self._search(sequences[at], logits[at])
            chosen[at] = (token, value - totals[at])

    def _search(self, sequence: TokenSequence, logits: torch.Tensor) -> tuple[float, int]:
        """(logit, token) of the best allowed token of all. There is one: every byte is a token, and no answer is led
        to a state from which none can end.
        """
        assert sequence.automaton is not None
        assert sequence.state is not None
        begins = np.zeros(257, dtype=bool)  # by first byte; the last entry is for tokens without bytes
        begins[sequence.automaton.next_bytes(sequence.state)] = True
        usable = begins[self.vocabulary.first_bytes]
        usable[list(self.ends)] = sequence.state.accepts
        order = logits.argsort(descending=True, stable=True).cpu().numpy()
        token = next(
            int(token) for token in order[usable[order]] if sequence.allows(int(token), self.vocabulary, self.ends)
        )
        return float(logits[token]), token
