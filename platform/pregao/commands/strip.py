"""A series' coverage as a strip of marks: a heat map one line high on a terminal, a figure when piped."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import pairwise

MARKS = "░▒▓█"
ABSENT, WHOLE = "·", 0.999
WIDTH = 24
"""Marks at most; a longer history is shown by so many equal parts of its span."""


def strip(periods: Mapping[str, Mapping[str, int]]) -> str:
    """The coverage of a series by its calendar.

    Args:
        periods: month or year -> ``bars`` there, and ``missing`` between them; in order of time, those without bars
            left out.

    Returns:
        For a terminal, a mark for each period: ``·`` nothing there, ``░▒▓`` a part, ``█`` at least 99.9 %; and the
        share of the whole. Else the share alone.
    """
    have, missing = (sum(of[name] for of in periods.values()) for name in ("bars", "missing"))
    share = f"{_floored(have, missing):.1%}"
    return f"{marks(periods)} {share}" if sys.stdout.isatty() else share


def marks(periods: Mapping[str, Mapping[str, int]]) -> str:
    """The marks of `strip`."""
    names = _between(min(periods), max(periods)) if periods else []
    shares = [_share(periods.get(name)) for name in names]
    parts = min(WIDTH, len(shares))
    bounds = [len(shares) * i // parts for i in range(parts + 1)] if parts else []
    return "".join(_mark(min(shares[a:b])) for a, b in pairwise(bounds))


def _share(of: Mapping[str, int] | None) -> float:
    return of["bars"] / (of["bars"] + of["missing"]) if of else 0.0


def _mark(share: float) -> str:
    if share >= WHOLE:
        return MARKS[-1]
    return MARKS[int(share * 3)] if share > 0 else ABSENT


def _floored(have: int, missing: int) -> float:
    """The share, rounded down to a tenth of a per cent: 100 % is said only of what is whole."""
    return have * 1_000 // max(have + missing, 1) / 1_000


def _between(first: str, last: str) -> list[str]:
    """The names of all periods of a span: ``2024-01``, ``2024-02``… or ``2023``, ``2024``…"""
    if "-" not in first:
        return [f"{year:04}" for year in range(int(first), int(last) + 1)]
    start, end = (int(name[:4]) * 12 + int(name[5:7]) - 1 for name in (first, last))
    return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(start, end + 1)]
