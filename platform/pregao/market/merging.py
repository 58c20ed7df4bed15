"""New bars merged into stored ones of the same period, and what that changed, in bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pregao.core.bars import COLUMNS, Bars
from pregao.market.times import among


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did to the store, in bars."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0

    @property
    def changed(self) -> bool:
        """Whether the store differs from what it was."""
        return bool(self.added or self.replaced or self.removed)

    def __add__(self, other: WriteResult) -> WriteResult:
        return WriteResult(
            self.added + other.added,
            self.replaced + other.replaced,
            self.unchanged + other.unchanged,
            self.removed + other.removed,
        )


def merge(old: Bars | None, new: Bars, replace: bool) -> tuple[Bars, WriteResult]:
    """The bars of one period with new ones merged in; with ``replace``, the new ones only."""
    if old is None:
        return new, WriteResult(added=len(new))
    known = among(new.open_ns, old.open_ns)
    at = np.searchsorted(old.open_ns, new.open_ns[known])
    differs = np.zeros(len(at), dtype=bool)
    for name in (*COLUMNS, "volume"):
        differs |= getattr(old, name)[at] != getattr(new, name)[known]
    kept = ~among(old.open_ns, new.open_ns)
    removed = int(kept.sum()) if replace else 0
    result = WriteResult(int((~known).sum()), int(differs.sum()), int((~differs).sum()), removed)
    if replace or not kept.any():
        return new, result
    columns = {
        name: np.concatenate([getattr(old, name)[kept], getattr(new, name)]) for name in ("open_ns", *COLUMNS, "volume")
    }
    order = np.argsort(columns["open_ns"], kind="stable")
    return Bars(new.instrument, new.timeframe, **{name: column[order] for name, column in columns.items()}), result
