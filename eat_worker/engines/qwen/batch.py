"""The sequences that run together: prefill of those that join, one step of all, and their places in the KV cache.

Sequences without the adapter have the first slots, those with it the last, so that each kind is one piece of memory and
a pass never mixes them. The last of its kind takes the slot of a sequence that leaves. Knows tensors and sequences;
decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from eat_worker.engines.qwen.kv_cache import KVCache, PrefixCache, shared_tokens
from eat_worker.engines.qwen.token_sequence import TokenSequence, packed
from eat_worker.engines.qwen.weights import Weights

PREFILL = 2048  # padded tokens computed in one pass: sequences that run wait for those that join only so long
_ALIGNED = 16  # columns read are a multiple of this: kernels want aligned masks


class Batch:
    """Up to `slots` sequences of up to `columns` tokens."""

    def __init__(self, weights: Weights, slots: int, columns: int) -> None:
        self._weights = weights
        self._kv_cache = KVCache(weights.shape, slots, columns)
        self.sequences: dict[bool, list[TokenSequence]] = {False: [], True: []}

    @property
    def columns(self) -> int:
        """How many tokens a sequence may come to have."""
        return self._kv_cache.columns

    @property
    def slots(self) -> int:
        """How many sequences there is room for."""
        return self._kv_cache.slots

    def all(self) -> list[TokenSequence]:
        """Every sequence."""
        return [*self.sequences[False], *self.sequences[True]]

    def resize(self, slots: int, columns: int) -> None:
        """Another number of slots and columns, with the sequences kept."""
        kept = max((sequence.prefilled for sequence in self.all()), default=0)
        self._kv_cache.resize(slots, columns, len(self.sequences[False]), len(self.sequences[True]), kept)

    def prefix_match(self, ids: bytes, adapter: bool) -> tuple[int, int]:
        """(slot, tokens) of the running sequence that has most of the beginning of `ids`; (0, 0) when none has any."""
        sequences = enumerate(self.sequences[adapter])
        found = ((min(shared_tokens(ids, sequence.packed), sequence.prefilled), at) for at, sequence in sequences)
        length, at = max(found, default=(0, 0))
        return (self._slot(adapter, at), length) if length else (0, 0)

    def add(self, sequence: TokenSequence, prefix_cache: PrefixCache | None) -> None:
        """Give the sequence a slot, with as much of its beginning as a kept or running chat has."""
        slot = self._slot(sequence.adapter, len(self.sequences[sequence.adapter]))
        cached = 0
        if prefix_cache is not None:
            ids = packed(sequence.ids)
            states, kept = prefix_cache.longest(ids, sequence.adapter)
            origin, running = self.prefix_match(ids, sequence.adapter)
            # The last token is always computed anew: what follows it is the question.
            cached = min(max(kept, running), len(sequence.ids) - 1)
            if cached and states is not None and kept >= running:
                self._kv_cache.fill(slot, states, cached)
            elif cached:
                self._kv_cache.copy(origin, slot, cached)
        self.sequences[sequence.adapter].append(sequence)
        sequence.enter(cached)

    def prefill(self, sequences: Sequence[TokenSequence]) -> torch.Tensor:
        """Compute the rest of the `sequences` added last, of one kind; their logits, (sequences, tokens) float32."""
        return torch.cat([self._prefill_one_group(group) for group in _groups(sequences)])

    def _prefill_one_group(self, group: Sequence[TokenSequence]) -> torch.Tensor:
        """Several sequences in one pass, or one that is too long for that in several."""
        while len(group) == 1 and _ahead(group[0]) > PREFILL:
            self._forward(group, PREFILL)
        return self._forward(group, max(map(_ahead, group)))

    def step(self, adapter: bool) -> torch.Tensor:
        """Compute the last token of every sequence of a kind; their logits, (sequences, tokens) float32."""
        return self._forward(self.sequences[adapter], 1)

    def leave(self, sequence: TokenSequence, prefix_cache: PrefixCache | None, *, wipe: bool = False) -> None:
        """Free the sequence's slot; its chat goes into the prefix cache. `wipe`: the slot may hold NaN."""
        kind = self.sequences[sequence.adapter]
        at, last = kind.index(sequence), len(kind) - 1
        slot = self._slot(sequence.adapter, at)
        if prefix_cache is not None:
            states = self._kv_cache.taken(slot, sequence.prefilled)
            prefix_cache.keep(
                packed(sequence.ids[: sequence.prefilled]), sequence.adapter, states, last=sequence.request.last
            )
        if wipe:
            self._kv_cache.wipe(slot)
        if at != last:
            self._kv_cache.copy(self._slot(sequence.adapter, last), slot, kind[last].prefilled)
            kind[at] = kind[last]
        kind.pop()

    def _slot(self, adapter: bool, at: int) -> int:
        return self._kv_cache.slots - 1 - at if adapter else at

    def _forward(self, sequences: Sequence[TokenSequence], queries: int) -> torch.Tensor:
        """One pass over at most `queries` tokens that each of the sequences, which lie side by side, has not computed.

        A sequence that has fewer is padded behind, where its own next tokens will overwrite the padding.
        """
        adapter = sequences[0].adapter
        ordered = list(reversed(sequences)) if adapter else list(sequences)
        first = self._slot(adapter, self.sequences[adapter].index(ordered[0]))
        fresh = [sequence.ids[sequence.prefilled : sequence.prefilled + queries] for sequence in ordered]
        ids = self._matrix([*tokens, *[0] * (queries - len(tokens))] for tokens in fresh)
        begins = torch.tensor([sequence.prefilled for sequence in ordered], device=self._weights.device)
        positions = begins[:, None] + torch.arange(queries, device=self._weights.device)
        positions.clamp_(max=self._kv_cache.columns - 1)
        longest = max(sequence.prefilled + len(tokens) for sequence, tokens in zip(ordered, fresh, strict=True))
        width = min(-(-longest // _ALIGNED) * _ALIGNED, self._kv_cache.columns)
        last = torch.tensor([max(0, len(tokens) - 1) for tokens in fresh], device=self._weights.device)
        self._weights.use_adapter(adapter)
        window = self._kv_cache.window(first, positions, width)
        logits = self._weights.logits(ids, last, window)
        for sequence, tokens in zip(ordered, fresh, strict=True):
            sequence.prefilled += len(tokens)
            sequence.widest = max(sequence.widest, len(sequences))
        return logits.flip(0) if adapter else logits

    def _matrix(self, sequences: Iterable[list[int]]) -> torch.Tensor:
        return torch.tensor(list(sequences), dtype=torch.int64, device=self._weights.device)


def _ahead(sequence: TokenSequence) -> int:
    return len(sequence.ids) - sequence.prefilled


def _groups(sequences: Sequence[TokenSequence]) -> Iterator[list[TokenSequence]]:
    """The sequences in their order, in groups padded to at most PREFILL tokens; a longer sequence is a group alone."""
    group: list[TokenSequence] = []
    for sequence in sequences:
        if group and (len(group) + 1) * max(map(_ahead, [*group, sequence])) > PREFILL:
            yield group
            group = []
        group.append(sequence)
    yield group
