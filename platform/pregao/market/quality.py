"""The quality of market data: every ingest is judged, nothing is mended silently.

A row that cannot be a bar is *bad* (`pregao.market.sift`): the ingest is refused, or, if the person wants so, the
row is left out and listed in the report. All else is kept as it came and flagged here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pregao.core.bars import Bars, Ints
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.calendars import closed_days, gaps
from pregao.market.findings import EXAMPLES, LISTED, Finding, Level, QualityReport
from pregao.market.sift import Sifted, sift

SPIKE_SIGMAS = 12.0
JUMP_SIGMAS = 15.0
JUMP_LEAST = 0.15
STALE_BARS = 10
_SPLITS = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 1.5)


def check_series(bars: Bars) -> list[Finding]:
    """What is remarkable in a series of valid bars: gaps, spikes, jumps, stale runs, bars without volume.

    A *gap* is missing bars by the instrument's calendar. A *spike* is a close more than `SPIKE_SIGMAS` away from
    the closes on both sides, to the same side; a *jump* a move of more than `JUMP_SIGMAS` and `JUMP_LEAST` that
    stays. A sigma is 1.4826 times the median absolute log return. A *stale* run is `STALE_BARS` or more bars in a
    row at one single price.
    """
    return [*_gaps(bars), *_moves(bars), *_stale(bars), *_silent(bars)]


def check(frame: pd.DataFrame, instrument: Instrument, timeframe: Timeframe) -> QualityReport:
    """The report on one frame of its own: bad rows and, in what remains, everything else."""
    sifted = sift(frame, instrument, timeframe)
    bars = Bars.from_frame(sifted.frame, instrument, timeframe)
    return report(sifted, len(frame), bars)


def report(sifted: Sifted, rows: int, series: Bars) -> QualityReport:
    """The report on rows that came in and on the whole series as it is with them."""
    rank = {"error": 0, "warning": 1, "info": 2}
    findings = sorted([*sifted.findings, *check_series(series)], key=lambda finding: rank[finding.level])
    return QualityReport(
        key=series.instrument.key,
        timeframe=series.timeframe.name,
        rows=rows,
        bars=len(series),
        first=_when(series.open_ns[0], series.timeframe) if len(series) else "",
        last=_when(series.open_ns[-1], series.timeframe) if len(series) else "",
        findings=tuple(findings),
        quarantined=tuple(sifted.bad[:LISTED]),
    )


def _gaps(bars: Bars) -> list[Finding]:
    found = gaps(bars.open_ns, bars.instrument.calendar, bars.timeframe)
    findings = []
    if found:
        missing = sum(gap.missing for gap in found)
        share = missing / (missing + len(bars))
        where = sorted(found, key=lambda gap: -gap.missing)[:EXAMPLES]
        findings.append(
            Finding(
                kind="gap",
                level="warning" if share > 0.001 else "info",
                count=missing,
                text=f"Missing bars: {missing:,} ({share:.2%}), in {len(found):,} places; the longest are listed.",
                examples=tuple(f"{_when(gap.start_ns, bars.timeframe)}: {gap.missing:,} missing" for gap in where),
            )
        )
    closed = closed_days(bars.open_ns, bars.instrument.calendar)
    if len(closed):
        findings.append(
            Finding(
                kind="closed day",
                level="warning",
                count=len(closed),
                text=f"There are bars on {len(closed)} days on which {bars.instrument.calendar} was closed.",
                examples=tuple(str(np.datetime64(int(day), "ns").astype("datetime64[D]")) for day in closed[:EXAMPLES]),
            )
        )
    return findings


def _moves(bars: Bars) -> list[Finding]:
    if len(bars) < 20:
        return []
    move = np.diff(np.log(bars.close))
    sigma = 1.4826 * float(np.median(np.abs(move))) or float(np.std(move))
    if sigma == 0.0:
        return []
    far = np.abs(move) > SPIKE_SIGMAS * sigma
    back = far[:-1] & far[1:] & (move[:-1] * move[1:] < 0)
    back &= np.abs(move[:-1] + move[1:]) < 0.5 * np.minimum(np.abs(move[:-1]), np.abs(move[1:]))
    spikes = np.flatnonzero(back) + 1
    stays = np.abs(move) > max(JUMP_SIGMAS * sigma, JUMP_LEAST)
    stays[:-1] &= ~back
    stays[1:] &= ~back
    jumps = np.flatnonzero(stays) + 1
    findings = []
    if len(spikes):
        findings.append(
            Finding(
                kind="spike",
                level="warning",
                count=len(spikes),
                text="Closes far from those on both sides.",
                examples=_at(bars, spikes),
            )
        )
    if len(jumps):
        ratios = np.exp(np.abs(move[jumps - 1]))
        splits = sum(bool(np.min(np.abs(ratio / np.array(_SPLITS) - 1.0)) < 0.02) for ratio in ratios)
        hint = f" {splits} look like unadjusted splits." if splits else ""
        findings.append(
            Finding(
                kind="jump",
                level="warning" if splits else "info",
                count=len(jumps),
                text=f"Moves of more than {JUMP_LEAST:.0%} within a bar that stayed.{hint}",
                examples=_at(bars, jumps),
            )
        )
    return findings


def _stale(bars: Bars) -> list[Finding]:
    still = (bars.high == bars.low) & (bars.close == np.r_[bars.close[:1], bars.close[:-1]])
    edges = np.flatnonzero(np.diff(np.r_[False, still, False]))
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= STALE_BARS
    if not long.any():
        return []
    return [
        Finding(
            kind="stale",
            level="warning",
            count=int((ends - starts)[long].sum()),
            text=f"Bars in {int(long.sum())} runs of {STALE_BARS} or more at one single price.",
            examples=_at(bars, starts[long]),
        )
    ]


def _silent(bars: Bars) -> list[Finding]:
    silent = np.flatnonzero(bars.volume == 0)
    if not len(silent):
        return []
    level: Level = "warning" if len(silent) > 0.05 * len(bars) else "info"
    return [
        Finding(
            kind="zero volume",
            level=level,
            count=len(silent),
            text=f"Bars without volume ({len(silent) / len(bars):.2%}).",
            examples=_at(bars, silent),
        )
    ]


def _at(bars: Bars, rows: Ints) -> tuple[str, ...]:
    return tuple(_when(bars.open_ns[i], bars.timeframe) for i in rows[:EXAMPLES])


def _when(ns: int, timeframe: Timeframe) -> str:
    unit = "m" if timeframe.intraday else "D"
    return str(np.datetime64(int(ns), "ns").astype(f"datetime64[{unit}]")).replace("T", " ")
