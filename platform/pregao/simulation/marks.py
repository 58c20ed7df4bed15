"""What an account was worth at each close: a few rows where it went straight along with the price."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pregao.core.bars import Ints

BAR, BASE, SLOPE, POSITION = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class Marks:
    """Equity and position at each of ``n`` closes.

    Between the bars in which something happens the equity is ``BASE + SLOPE * close``, so a run notes no more than
    that, and only who asks for a value at each bar pays for it.

    Attributes:
        rows: from which bar on (`BAR`) which `BASE` (quanta), `SLOPE` (quanta a tick) and `POSITION` (lots) hold,
            int64, shape ``(m, 4)``; the first is that of bar 0.
        close: in ticks, shape ``(n,)``.
    """

    rows: Ints
    close: Ints

    @cached_property
    def equity(self) -> Ints:
        """In quanta, shape ``(n,)``."""
        equity = self._each(SLOPE)
        equity *= self.close
        equity += self._each(BASE)
        return equity

    @cached_property
    def positions(self) -> Ints:
        """Signed lots, shape ``(n,)``."""
        return self._each(POSITION)

    def _each(self, column: int) -> Ints:
        return np.repeat(self.rows[:, column], np.diff(self.rows[:, BAR], append=len(self.close)))
