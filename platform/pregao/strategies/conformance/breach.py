"""What the conformance kit found: one outcome a check, told so that the author knows where to look and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from pregao.core.bars import Bars


class Breach(AssertionError):  # noqa: N818  # pytest shows it as a failed assertion, not as an error
    """A strategy does not keep what it is held to.

    Attributes:
        seen: what was seen.
        mend: what to do about it.
        bar: at which bar, counted from 0; None where it is not about a bar.
        at: the bar's time; empty without one.
    """

    def __init__(self, seen: str, mend: str, bar: int | None = None, bars: Bars | None = None) -> None:
        self.seen, self.mend, self.bar = seen, mend, bar
        self.at = str(pd.Timestamp(int(bars.close_ns[bar]), tz="UTC")) if bars is not None and bar is not None else ""
        super().__init__(self.told)

    @property
    def told(self) -> str:
        """Where, what and the mend, in two lines."""
        where = "" if self.bar is None else f"At bar {self.bar}" + (f" (closed {self.at})" if self.at else "") + ": "
        return f"{where}{self.seen}\n  Mend: {self.mend}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check came out.

    Attributes:
        check: what the strategy was held to.
        breach: what was found; None if it keeps it.
    """

    check: str
    breach: Breach | None = None

    @property
    def passed(self) -> bool:
        """Whether the strategy keeps it."""
        return self.breach is None


def report(outcomes: Iterable[Outcome]) -> str:
    """The outcomes as text, a line each, and what was found below those that failed."""
    lines = []
    for outcome in outcomes:
        lines.append(f"{'ok  ' if outcome.passed else 'FAIL'}  {outcome.check}")
        if outcome.breach is not None:
            lines += [f"      {line}" for line in outcome.breach.told.splitlines()]
    return "\n".join(lines)
