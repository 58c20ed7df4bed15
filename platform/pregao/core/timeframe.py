"""Timeframes: the length of a bar, by its usual name (``1m``, ``4h``, ``1d``)."""

from __future__ import annotations

from dataclasses import dataclass

from pregao.core.errors import UsageError

_UNIT_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
NAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w")


@dataclass(frozen=True, slots=True)
class Timeframe:
    """The length of a bar. Build it with :meth:`parse`."""

    name: str
    seconds: int

    @classmethod
    def parse(cls, name: str) -> Timeframe:
        """Read ``"15m"``, ``"1h"``, ``"1d"``…; raises `UsageError` for a name not in `NAMES`."""
        text = name.strip()
        if text not in NAMES:
            raise UsageError(f"{name!r} is not a timeframe.", f"Use one of {', '.join(NAMES)}.")
        return cls(text, int(text[:-1]) * _UNIT_SECONDS[text[-1]])

    @property
    def ns(self) -> int:
        """Length in nanoseconds."""
        return self.seconds * 1_000_000_000

    @property
    def intraday(self) -> bool:
        """Whether the bar is shorter than a day."""
        return self.seconds < 86_400

    def __str__(self) -> str:
        return self.name
