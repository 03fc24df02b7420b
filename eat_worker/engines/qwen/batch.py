"""The rows that run together: prefill of those that join, one step of all, and their places in the buffer.

Rows without the adapter stand in the first slots, rows with it in the last, so that each kind is one piece of memory
and a pass never mixes them. A row that leaves is replaced by the last of its kind. Knows tensors and rows; decides
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from eat_worker.engines.qwen.key_values import Buffer, PrefixStore, shared_tokens
from eat_worker.engines.qwen.row import Row, packed
from eat_worker.engines.qwen.weights import Weights

PREFILL = 2048  # padded tokens computed in one pass: rows that run wait for those that join no longer than that takes
_ALIGNED = 16  # columns read are a multiple of this: kernels want aligned masks


class Batch:
    """Up to `slots` rows of up to `columns` tokens."""

    def __init__(self, weights: Weights, slots: int, columns: int) -> None:
        self._weights = weights
        self._buffer = Buffer(weights.shape, slots, columns)
        self.rows: dict[bool, list[Row]] = {False: [], True: []}

    @property
    def columns(self) -> int:
        """How many tokens a row may come to have."""
        return self._buffer.columns

    @property
    def slots(self) -> int:
        """How many rows there is room for."""
        return self._buffer.rows

    def all(self) -> list[Row]:
        """Every row."""
        return [*self.rows[False], *self.rows[True]]

    def resize(self, slots: int, columns: int) -> None:
        """Another number of slots and columns, with the rows kept."""
        kept = max((row.read for row in self.all()), default=0)
        self._buffer.resize(slots, columns, len(self.rows[False]), len(self.rows[True]), kept)

    def donor(self, ids: bytes, adapter: bool) -> tuple[int, int]:
        """(slot, tokens) of the running row that has most of the beginning of `ids`; (0, 0) when none has any."""
        rows = enumerate(self.rows[adapter])
        found = ((min(shared_tokens(ids, row.packed), row.read), at) for at, row in rows)
        length, at = max(found, default=(0, 0))
        return (self._slot(adapter, at), length) if length else (0, 0)

    def place(self, row: Row, store: PrefixStore | None) -> None:
        """Give the row a slot, with as much of its beginning as a kept or running chat has."""
        slot = self._slot(row.adapter, len(self.rows[row.adapter]))
        cached = 0
        if store is not None:
            ids = packed(row.ids)
            states, kept = store.longest(ids, row.adapter)
            origin, running = self.donor(ids, row.adapter)
            # The last token is always read anew: what follows it is the question.
            cached = min(max(kept, running), len(row.ids) - 1)
            if cached and states is not None and kept >= running:
                self._buffer.fill(slot, states, cached)
            elif cached:
                self._buffer.copy(origin, slot, cached)
        self.rows[row.adapter].append(row)
        row.enter(cached)

    def prefill(self, rows: Sequence[Row]) -> torch.Tensor:
        """Read what the last-placed `rows`, all of one kind, have not read; their logits, (rows, tokens) float32."""
        return torch.cat([self._prefill_one_group(group) for group in _groups(rows)])

    def _prefill_one_group(self, group: Sequence[Row]) -> torch.Tensor:
        """Several rows in one pass, or one that is too long for that in several."""
        while len(group) == 1 and _ahead(group[0]) > PREFILL:
            self._read(group, PREFILL)
        return self._read(group, max(map(_ahead, group)))

    def step(self, adapter: bool) -> torch.Tensor:
        """Read the last token of every row of a kind; their logits, (rows, tokens) float32."""
        return self._read(self.rows[adapter], 1)

    def leave(self, row: Row, store: PrefixStore | None, *, wipe: bool = False) -> None:
        """Free the row's slot; its chat goes into the store. `wipe`: what it holds may be no numbers."""
        kind = self.rows[row.adapter]
        at, last = kind.index(row), len(kind) - 1
        slot = self._slot(row.adapter, at)
        if store is not None:
            states = self._buffer.taken(slot, row.read)
            store.keep(packed(row.ids[: row.read]), row.adapter, states, last=row.request.last)
        if wipe:
            self._buffer.wipe(slot)
        if at != last:
            self._buffer.copy(self._slot(row.adapter, last), slot, kind[last].read)
            kind[at] = kind[last]
        kind.pop()

    def _slot(self, adapter: bool, at: int) -> int:
        return self._buffer.rows - 1 - at if adapter else at

    def _read(self, rows: Sequence[Row], queries: int) -> torch.Tensor:
        """One pass over at most `queries` unread tokens of each of the rows, which stand side by side; a row that has
        fewer is padded behind, where its own next tokens will overwrite it.
        """
        adapter = rows[0].adapter
        ordered = list(reversed(rows)) if adapter else list(rows)
        first = self._slot(adapter, self.rows[adapter].index(ordered[0]))
        fresh = [row.ids[row.read : row.read + queries] for row in ordered]
        ids = self._matrix([*tokens, *[0] * (queries - len(tokens))] for tokens in fresh)
        begins = torch.tensor([row.read for row in ordered], device=self._weights.device)
        positions = begins[:, None] + torch.arange(queries, device=self._weights.device)
        positions.clamp_(max=self._buffer.columns - 1)
        longest = max(row.read + len(tokens) for row, tokens in zip(ordered, fresh, strict=True))
        width = min(-(-longest // _ALIGNED) * _ALIGNED, self._buffer.columns)
        last = torch.tensor([max(0, len(tokens) - 1) for tokens in fresh], device=self._weights.device)
        self._weights.use_adapter(adapter)
        window = self._buffer.window(first, positions, width)
        logits = self._weights.logits(ids, last, window)
        for row, tokens in zip(ordered, fresh, strict=True):
            row.read += len(tokens)
            row.widest = max(row.widest, len(rows))
        return logits.flip(0) if adapter else logits

    def _matrix(self, rows: Iterable[list[int]]) -> torch.Tensor:
        return torch.tensor(list(rows), dtype=torch.int64, device=self._weights.device)


def _ahead(row: Row) -> int:
    return len(row.ids) - row.read


def _groups(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows in their order, cut so that no group is padded to more than PREFILL tokens unless it is one row."""
    group: list[Row] = []
    for row in rows:
        if group and (len(group) + 1) * max(map(_ahead, [*group, row])) > PREFILL:
            yield group
            group = []
        group.append(row)
    yield group
