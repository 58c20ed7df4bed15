"""The quality of a stored series, file by file: what has not changed since the last report is not read again.

The flaws of a file's bars are a function of that file, of `quality.REACH` bars of the files beside it, of the calendar
and of the known splits. A digest of these is kept with them (`PeriodReport.made_from`); a report is therefore the same
whether it was made at once or grew with the ingests, and whatever was interrupted in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from pregao.core.actions import Split
from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market import parquet
from pregao.market.findings import LISTED, BadRow, Finding, PeriodReport, QualityReport, stored, worst_first
from pregao.market.parquet import PeriodFile
from pregao.market.quality import CHECKS, REACH, inspect, joined, merged, phrased, when
from pregao.market.store import Store

_FIRST, _LAST = -(2**63), 2**63 - 1


def current(store: Store, instrument: Instrument, timeframe: Timeframe) -> QualityReport:
    """The last report of a series, brought up to date with the bars as they are; nothing is stored.

    Raises `NotFoundError` if there are no bars.
    """
    last = stored(store, instrument, timeframe)
    if last is None:
        return made(store, instrument, timeframe, 0)
    return made(store, instrument, timeframe, last.rows, last.arrived, last.quarantined, last.periods)


def made(
    store: Store,
    instrument: Instrument,
    timeframe: Timeframe,
    rows: int,
    arrived: Sequence[Finding] = (),
    quarantined: Sequence[BadRow] = (),
    known: Mapping[str, PeriodReport] | None = None,
) -> QualityReport:
    """The report on a stored series.

    Args:
        store, instrument, timeframe: which series.
        rows, arrived, quarantined: what came in, and what was found in it.
        known: the flaws of its files as of an earlier report.
    """
    files = store.files(instrument, timeframe)
    splits = [action.ts_ns for action in store.actions(instrument) if isinstance(action, Split)]
    periods = _periods(files, instrument, timeframe, splits, known or {})
    bars = sum(file.bars for file in files)
    flaws = merged([periods[file.path.stem].flaws for file in files])
    return QualityReport(
        key=instrument.key,
        timeframe=timeframe.name,
        rows=rows,
        bars=bars,
        first=when(files[0].first_ns, timeframe),
        last=when(files[-1].last_ns, timeframe),
        findings=worst_first([*arrived, *phrased(flaws, bars, instrument, timeframe)]),
        quarantined=tuple(quarantined[:LISTED]),
        arrived=tuple(arrived),
        periods=periods,
    )


def _periods(
    files: Sequence[PeriodFile],
    instrument: Instrument,
    timeframe: Timeframe,
    splits: list[int],
    known: Mapping[str, PeriodReport],
) -> dict[str, PeriodReport]:
    """The flaws of each file; those are read whose report is not `known` to be of the same."""
    rules = f"{CHECKS} {REACH} {instrument.calendar} {instrument.tick_size} {timeframe} {splits}"
    read: dict[int, Bars] = {}

    def bars(i: int) -> Bars:
        if not 0 <= i < len(files):
            return _empty(instrument, timeframe)
        if i not in read:
            read[i] = parquet.load([files[i].path], instrument, timeframe)
        return read[i]

    found = {}
    for i, file in enumerate(files):
        digests = [files[k].digest if 0 <= k < len(files) else "" for k in (i - 1, i, i + 1)]
        # Where the next file begins is where this one's gaps end, of whatever length.
        made_from = hashlib.blake2b(f"{rules} {digests}".encode(), digest_size=8).hexdigest()
        last = known.get(file.path.stem)
        if last is not None and last.made_from == made_from:
            found[file.path.stem] = last
            continue
        before, after = bars(i - 1)[-REACH:], bars(i + 1)[:REACH]
        own = bars(i)
        read.pop(i - 1, None)
        span = (
            parquet.period_start(file.path.stem) if i else _FIRST,
            parquet.period_start(files[i + 1].path.stem) if i + 1 < len(files) else _LAST,
        )
        flaws = inspect(joined([before, own, after]), span, splits)
        found[file.path.stem] = PeriodReport(made_from=made_from, bars=len(own), flaws=flaws)
    return found


def _empty(instrument: Instrument, timeframe: Timeframe) -> Bars:
    none = np.empty(0, dtype=np.int64)
    return Bars(instrument, timeframe, none, none, none, none, none, np.empty(0))
