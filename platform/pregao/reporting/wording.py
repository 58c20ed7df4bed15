"""Numbers, dates and texts in the language of the reader."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from pregao.core.errors import unknown
from pregao.reporting.axes import TimeTick
from pregao.reporting.texts import LANGUAGES, MONTHS, TEXTS

MINUS, THIN = "\u2212", "\u202f"
_SWAP = str.maketrans(",.", ".,")


@dataclass(frozen=True)
class Words:
    """One of `LANGUAGES`.

    Raises:
        NotFoundError: for another language.
    """

    language: str = "en"

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise unknown("language", self.language, list(LANGUAGES))

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of a key with its ``{names}`` filled in; `KeyError` for a key that is not there."""
        return TEXTS[key][LANGUAGES.index(self.language)].format(**values)

    def named(self, prefix: str, name: str) -> str:
        """The text of ``prefix + name``, or the name itself where there is no such text."""
        return self(prefix + name) if prefix + name in TEXTS else name

    def number(self, value: float, decimals: int = 2, sign: bool = False) -> str:
        """``-1234.5`` as −1,234.50 or −1.234,50; – for NaN and ∞ for infinity."""
        if math.isnan(value):
            return self("unknown")
        shown = "∞" if math.isinf(value) else f"{abs(value):,.{decimals}f}"
        zero = not any(c in shown for c in "123456789∞")
        mark = "" if zero else MINUS if value < 0 else "+" if sign else ""
        return mark + (shown.translate(_SWAP) if self.language == "pt-BR" else shown)

    def percent(self, value: float, decimals: int = 2, sign: bool = False) -> str:
        """A fraction in per cent: 0.0712 as 7.12 %."""
        shown = self.number(100 * value, decimals, sign)
        return shown if math.isnan(value) else f"{shown}{THIN}%"

    def decimals(self, value: float) -> int:
        """How many decimals a number has, at most eight: 3 for 0.125, 0 for what is not finite."""
        return len(f"{value:.8f}".rstrip("0").partition(".")[2]) if math.isfinite(value) else 0

    def money(self, value: float, currency: str = "", sign: bool = False) -> str:
        """An amount with two decimals, more if it is small, and its currency."""
        small = 0 < abs(value) < 1
        decimals = min(8, 2 - math.floor(math.log10(abs(value)))) if small else 2
        shown = self.number(value, decimals, sign)
        return f"{shown}{THIN}{currency}" if currency else shown

    def day(self, ns: int) -> str:
        """A date: 2024-05-31 or 31/05/2024."""
        return _utc(ns).strftime("%d/%m/%Y" if self.language == "pt-BR" else "%Y-%m-%d")

    def moment(self, ns: int) -> str:
        """A date and time, UTC, to the minute."""
        return f"{self.day(ns)} {_utc(ns):%H:%M}"

    def month(self, month: int) -> str:
        """The short name of a month, 1 to 12."""
        return MONTHS[month - 1][LANGUAGES.index(self.language)]

    def tick(self, tick: TimeTick) -> str:
        """The label of a tick on a time axis."""
        at = _utc(tick.ns)
        if tick.form == "year":
            return f"{at:%Y}"
        if tick.form == "month":
            return self.month(at.month)
        return f"{at.day} {self.month(at.month)}" if tick.form == "day" else f"{at:%H:%M}"


def _utc(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 10**9, UTC)
