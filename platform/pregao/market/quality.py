"""The quality of market data: every ingest is judged, nothing is mended silently.

A row that cannot be a bar is *bad* (`pregao.market.sift`). Everything else that a person should know about is *flagged*
here; what is then done with it is the person's choice (`pregao.market.policies`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pregao.core.bars import COLUMNS, Bars, Ints
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.calendars import closed_days, gaps
from pregao.market.findings import EXAMPLES, LISTED, Finding, Flaws, Level, QualityReport, worst_first
from pregao.market.sift import Sifted, sift

CHECKS = 1
"""Raised when the checks below change: reports made by others are then made anew."""
SPIKE_SIGMAS = 12.0
JUMP_SIGMAS = 15.0
JUMP_LEAST = 0.15
STALE_BARS = 10
REACH = 1_500
"""Bars on both sides that the checks of a file look at: more than a day of minutes."""
GAPS_MANY = 0.001
SILENT_MANY = 0.05
_SPLITS = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 1.5)
_DAY_NS = 86_400_000_000_000
_ALL = (-(2**63), 2**63 - 1)


class _Places(NamedTuple):
    """Where a flaw is: open times, and how many bars each concerns."""

    at_ns: Ints
    bars: Ints


def inspect(bars: Bars, span: tuple[int, int] = _ALL, splits_ns: Sequence[int] = ()) -> dict[str, Flaws]:
    """What is remarkable in a series of valid bars, by kind.

    - ``gap``: missing bars by the instrument's calendar.
    - ``closed day``: days with bars on which the exchange was closed.
    - ``spike``: a close more than `SPIKE_SIGMAS` away from the closes on both sides, to the same side. A sigma is
      1.4826 times the median absolute log return of the bars given (where that is zero, of those that moved).
    - ``jump``: a move of more than `JUMP_SIGMAS` sigmas and `JUMP_LEAST` that stays, and that no known split explains;
      ``split-like jump`` if its ratio is within 2 % of that of a usual split.
    - ``stale``: `STALE_BARS` or more bars in a row at one single price.
    - ``zero volume``: bars without volume.

    Args:
        bars: the series, or a part with `REACH` bars on both sides of what is asked for.
        span: flaws with ``span[0] <= time < span[1]`` count.
        splits_ns: ex-dates of known splits.
    """
    every = {"gap": _gaps(bars), "closed day": _closed(bars)}
    every |= {kind: _each(bars, rows) for kind, rows in _moves(bars, splits_ns).items()}
    every |= {"zero volume": _each(bars, np.flatnonzero(bars.volume == 0))}
    found = {}
    for kind, places in every.items():
        inside = (places.at_ns >= span[0]) & (places.at_ns < span[1])
        if inside.any():
            found[kind] = _flaws(places.at_ns[inside], places.bars[inside], longest=kind == "gap")
    stale = _stale(bars, span)
    return found | ({"stale": stale} if stale is not None else {})


def flagged(bars: Bars, splits_ns: Sequence[int] = ()) -> dict[str, Ints]:
    """The rows of a series that have a flaw which one bar can have, by kind: all of `inspect` but gaps and jumps."""
    moves = _moves(bars, splits_ns)
    rows = {"spike": moves["spike"], "zero volume": np.flatnonzero(bars.volume == 0)}
    rows["closed day"] = np.flatnonzero(np.isin(bars.open_ns // _DAY_NS * _DAY_NS, _closed(bars).at_ns))
    starts, ends = _still(bars)
    rows["stale"] = np.concatenate([np.arange(a, b) for a, b in zip(starts, ends, strict=True)] or [np.empty(0, int)])
    return {kind: found for kind, found in rows.items() if len(found)}


def phrased(flaws: Mapping[str, Flaws], bars: int, instrument: Instrument, timeframe: Timeframe) -> list[Finding]:
    """Flaws of a series of so many bars as findings for a person."""
    findings = []
    for kind, of in flaws.items():
        level, text = _sentence(kind, of, bars, instrument)
        where = tuple(
            when(at, timeframe) + (f": {concerned:,} missing" if kind == "gap" else "") for at, concerned in of.examples
        )
        findings.append(Finding(kind=kind, level=level, count=of.count, text=text, examples=where))
    return findings


def when(ns: int, timeframe: Timeframe) -> str:
    """A time for a person: the day, or the minute of bars shorter than a day."""
    unit = "m" if timeframe.intraday else "D"
    return str(np.datetime64(int(ns), "ns").astype(f"datetime64[{unit}]")).replace("T", " ")


def check_series(bars: Bars) -> list[Finding]:
    """`inspect` as findings."""
    return phrased(inspect(bars), len(bars), bars.instrument, bars.timeframe)


def check(frame: pd.DataFrame, instrument: Instrument, timeframe: Timeframe) -> QualityReport:
    """The report on one frame of its own: bad rows and, in what remains, everything else."""
    sifted = sift(frame, instrument, timeframe)
    bars = Bars.from_frame(sifted.frame, instrument, timeframe)
    return report(sifted, len(frame), bars)


def report(sifted: Sifted, rows: int, series: Bars) -> QualityReport:
    """The report on rows that came in and on the whole series as it is with them."""
    return QualityReport(
        key=series.instrument.key,
        timeframe=series.timeframe.name,
        rows=rows,
        bars=len(series),
        first=when(series.open_ns[0], series.timeframe) if len(series) else "",
        last=when(series.open_ns[-1], series.timeframe) if len(series) else "",
        findings=worst_first([*sifted.findings, *check_series(series)]),
        quarantined=tuple(sifted.bad[:LISTED]),
        arrived=tuple(sifted.findings),
    )


def joined(parts: Sequence[Bars]) -> Bars:
    """Parts of one series, in order of time, as one."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ("open_ns", *COLUMNS, "volume")
    }
    return Bars(parts[0].instrument, parts[0].timeframe, **columns)


def merged(parts: Sequence[Mapping[str, Flaws]]) -> dict[str, Flaws]:
    """The flaws of several parts of a series, in order, as those of the whole."""
    whole = {}
    for kind in dict.fromkeys(kind for part in parts for kind in part):
        every = [part[kind] for part in parts if kind in part]
        examples = [example for one in every for example in one.examples]
        if kind == "gap":
            examples.sort(key=lambda example: -example[1])
        whole[kind] = Flaws(
            count=sum(one.count for one in every),
            places=sum(one.places for one in every),
            examples=tuple(examples[:EXAMPLES]),
        )
    return whole


def _flaws(at_ns: Ints, bars: Ints, *, longest: bool = False) -> Flaws:
    shown = np.argsort(-bars, kind="stable")[:EXAMPLES] if longest else np.arange(min(EXAMPLES, len(at_ns)))
    examples = tuple((int(at_ns[i]), int(bars[i])) for i in shown)
    return Flaws(count=int(bars.sum()), places=len(at_ns), examples=examples)


def _each(bars: Bars, rows: Ints) -> _Places:
    return _Places(bars.open_ns[rows], np.ones(len(rows), dtype=np.int64))


def _gaps(bars: Bars) -> _Places:
    found = gaps(bars.open_ns, bars.instrument.calendar, bars.timeframe)
    starts = np.array([gap.start_ns for gap in found], dtype=np.int64)
    return _Places(starts, np.array([gap.missing for gap in found], dtype=np.int64))


def _closed(bars: Bars) -> _Places:
    days = closed_days(bars.open_ns, bars.instrument.calendar)
    return _Places(days, np.ones(len(days), dtype=np.int64))


def _moves(bars: Bars, splits_ns: Sequence[int]) -> dict[str, Ints]:
    """Rows of spikes, jumps and jumps like a split."""
    none = dict.fromkeys(("spike", "jump", "split-like jump"), np.empty(0, dtype=np.int64))
    if len(bars) < 20:
        return none
    move = np.diff(np.log(bars.close))
    size = np.abs(move)
    moved = size[size > 0]
    if not len(moved):
        return none
    # Where most bars do not move at all, those that do are the measure.
    sigma = 1.4826 * float(np.median(size) or np.median(moved))
    far = np.abs(move) > SPIKE_SIGMAS * sigma
    back = far[:-1] & far[1:] & (move[:-1] * move[1:] < 0)
    back &= np.abs(move[:-1] + move[1:]) < 0.5 * np.minimum(np.abs(move[:-1]), np.abs(move[1:]))
    stays = np.abs(move) > max(JUMP_SIGMAS * sigma, JUMP_LEAST)
    stays[:-1] &= ~back
    stays[1:] &= ~back
    jumps = np.flatnonzero(stays) + 1
    known = np.searchsorted(np.sort(np.asarray(splits_ns, dtype=np.int64)), bars.open_ns, side="right")
    jumps = jumps[known[jumps] == known[jumps - 1]]
    ratios = np.exp(np.abs(move[jumps - 1]))
    like = (np.abs(ratios[:, None] / np.array(_SPLITS) - 1.0) < 0.02).any(axis=1)
    return {"spike": np.flatnonzero(back) + 1, "jump": jumps[~like], "split-like jump": jumps[like]}


def _still(bars: Bars) -> tuple[Ints, Ints]:
    """First rows, and rows after the last, of the runs at one single price."""
    still = (bars.high == bars.low) & (bars.close == np.r_[bars.close[:1], bars.close[:-1]])
    edges = np.flatnonzero(np.diff(np.r_[False, still, False]))
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= STALE_BARS
    return starts[long], ends[long]


def _stale(bars: Bars, span: tuple[int, int]) -> Flaws | None:
    """A run counts where it begins, its bars where they are."""
    starts, ends = _still(bars)
    lo, hi = np.searchsorted(bars.open_ns, span)
    within = np.minimum(ends, hi) - np.maximum(starts, lo)
    if not (within > 0).any():
        return None
    begun = (starts >= lo) & (starts < hi)
    examples = tuple((int(bars.open_ns[a]), int(b - a)) for a, b in zip(starts[begun], ends[begun], strict=True))
    return Flaws(count=int(within[within > 0].sum()), places=int(begun.sum()), examples=examples[:EXAMPLES])


def _sentence(kind: str, flaws: Flaws, bars: int, instrument: Instrument) -> tuple[Level, str]:
    """How bad it is, and what to tell a person."""
    count, places = flaws.count, flaws.places
    if kind == "gap":
        share = count / (count + bars)
        text = f"Missing bars: {count:,} ({share:.2%}), in {places:,} places; the longest are listed."
        return "warning" if share > GAPS_MANY else "info", text
    if kind == "zero volume":
        share = count / max(bars, 1)
        return "warning" if share > SILENT_MANY else "info", f"Bars without volume ({share:.2%})."
    if kind == "jump":
        return "info", f"Moves of more than {JUMP_LEAST:.0%} within a bar that stayed."
    text = {
        "closed day": f"There are bars on days on which {instrument.calendar} was closed.",
        "spike": "Closes far from those on both sides.",
        "split-like jump": "Moves that stayed and look like splits which the prices are not adjusted for.",
        "stale": f"Bars in {places} runs of {STALE_BARS} or more at one single price.",
    }[kind]
    return "warning", text
