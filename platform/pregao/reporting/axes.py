"""Ticks that a person would choose, of numbers and of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MINUTES = (1, 5, 15, 30)
_HOURS = (1, 3, 6, 12)
_DAYS = (1, 2, 7)
_MONTHS = (1, 3, 6)


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A tick of a time axis.

    Attributes:
        ns: where, UTC.
        form: what its label shows: ``year``, ``month``, ``day`` or ``hour``.
    """

    ns: int
    form: str


def step(span: float, about: int) -> float:
    """1, 2 or 5 times a power of ten, so that ``span`` holds ``about`` of them; 1 for a span that is not positive."""
    if not span > 0 or not math.isfinite(span):
        return 1.0
    rough = span / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(m for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9)) * power)


def ticks(low: float, high: float, about: int = 4) -> tuple[list[float], int]:
    """The multiples of `step` within ``[low, high]``, and how many decimals tell them apart."""
    each = step(high - low, about)
    first, last = math.ceil(low / each - 1e-9), math.floor(high / each + 1e-9)
    return [i * each for i in range(first, last + 1)], max(0, -math.floor(math.log10(each) + 1e-9))


def time_ticks(first_ns: int, last_ns: int, most: int = 10) -> list[TimeTick]:
    """At most ``most`` ticks at round minutes, hours, days, months or years (UTC) within ``[first_ns, last_ns]``.

    The first tick of a year, month or day is labelled as that, so that the others can be short.
    """
    for unit, sizes in (("m", _MINUTES), ("h", _HOURS), ("D", _DAYS), ("M", _MONTHS), ("Y", _years())):
        for size in sizes:
            if (last_ns - first_ns) / (_SPANS[unit] * size) > most:
                continue
            found = _multiples(first_ns, last_ns, unit, size)
            if 2 <= len(found) <= most:
                return [TimeTick(int(ns), _form(ns, unit)) for ns in found]
    return [TimeTick(first_ns, "day")]


_SPANS = {"m": 6e10, "h": 3.6e12, "D": 8.64e13, "M": 30.4 * 8.64e13, "Y": 365 * 8.64e13}


def _years() -> Sequence[int]:
    return [m * 10**k for k in range(3) for m in (1, 2, 5)]


def _multiples(first_ns: int, last_ns: int, unit: str, size: int) -> list[int]:
    first, last = (np.datetime64(ns, "ns").astype(f"datetime64[{unit}]") for ns in (first_ns, last_ns))
    every = np.arange(first, last + 1)
    count = every.astype(np.int64)
    if unit == "D" and size >= 7:
        count = count + 3  # weeks begin on Monday; day 0 was a Thursday
    elif unit == "Y":
        count = count + 1970
    elif unit == "D":
        count = (every - every.astype("datetime64[M]")).astype(np.int64)  # the 1st, 3rd, 5th… of each month
    kept = every[count % size == 0].astype("datetime64[ns]").astype(np.int64)
    return [int(ns) for ns in kept if first_ns <= ns <= last_ns]


def _form(ns: int, unit: str) -> str:
    moment = np.datetime64(ns, "ns")
    if unit == "Y" or (unit == "M" and moment == moment.astype("datetime64[Y]")):
        return "year"
    if unit in "mh" and moment != moment.astype("datetime64[D]"):
        return "hour"
    return "month" if unit == "M" else "day"
