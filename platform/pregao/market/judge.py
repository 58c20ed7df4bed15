"""Judging what a source brought, row by row, before anything is stored: alone, and against what is stored already."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pregao.core.actions import Split
from pregao.core.bars import COLUMNS, Bars, Ints
from pregao.core.errors import UsageError
from pregao.market.findings import EXAMPLES, QUARANTINE_MOST, BadRow, Finding, Level
from pregao.market.policies import Policies
from pregao.market.quality import REACH, flagged, inspect, joined, phrased
from pregao.market.sift import sift
from pregao.market.sources import Series
from pregao.market.store import Store

_FIELDS = ("timestamp", *COLUMNS, "volume")


@dataclass(frozen=True)
class Judged:
    """A series that may be stored.

    Attributes:
        series: as it came.
        bars: those of its rows that are to be stored.
        rows: for each of the bars, which row of the series it was.
        left_out: the rows that were put aside.
        findings: of the rows as they came.
    """

    series: Series
    bars: Bars
    rows: Ints
    left_out: tuple[BadRow, ...]
    findings: tuple[Finding, ...]

    def refuse(self, row: int, why: str, kind: str, more: int) -> UsageError:
        """The error that refuses the ingest for a row of the series."""
        return _refusal(self._bad(row, why), kind, more)

    def put_aside(self, which: NDArray[np.bool_], why: str, kind: str) -> Judged:
        """Without some of the bars, which go into quarantine."""
        if not which.any():
            return self
        aside = tuple(self._bad(int(row), why) for row in self.rows[which])
        found = _finding(kind, "error", f"Rows put into quarantine: each {why}.", [row.where for row in aside])
        keep = ~which
        columns = (getattr(self.bars, name)[keep] for name in ("open_ns", *COLUMNS, "volume"))
        bars = Bars(self.bars.instrument, self.bars.timeframe, *columns)
        left_out = (*self.left_out, *aside)
        _check_number(left_out, self.series)
        return replace(self, bars=bars, rows=self.rows[keep], left_out=left_out, findings=(*self.findings, found))

    def _bad(self, row: int, why: str) -> BadRow:
        content = ", ".join(f"{name}={self.series.frame[name].iloc[row]}" for name in _FIELDS)
        return BadRow(where=self.series.origin(row), why=why, content=content)


def judge(series: Series, policies: Policies, now_ns: Callable[[], int] = time.time_ns) -> Judged:
    """The bars of a source's rows, judged by themselves; bars that have not closed yet are left out.

    Raises `UsageError` for a flaw that the policies reject, naming the row.
    """
    sifted = sift(series.frame, series.instrument, series.timeframe, series.origin)
    for bad, kind in zip(sifted.bad, sifted.kinds, strict=True):
        if policies[kind] == "reject":
            raise _refusal(bad, "bad row", len(sifted.bad) - 1)
    _check_number(sifted.bad, series)
    for found in sifted.findings:
        if found.kind in ("order", "duplicate") and policies[found.kind] == "reject":
            raise UsageError(f"{found.text} {found.examples[0]} is one of {found.count:,}.", _mend(found.kind))
    findings = list(sifted.findings)
    for kind, text in series.remarks.items():
        findings.append(Finding(kind=kind, level="warning", count=1, text=text))
    bars = Bars.from_frame(sifted.frame, series.instrument, series.timeframe)
    closed = bars.between(None, now_ns() - series.timeframe.ns + 1)
    late = [series.origin(int(row)) for row in sifted.rows[len(closed) :]]
    if late:
        if policies["unfinished"] == "reject":
            raise UsageError(f"{late[0]} is of a bar that has not closed yet.", _mend("unfinished"))
        findings.append(_finding("unfinished", "info", "Bars that have not closed yet were left out.", late))
    return Judged(series, closed, sifted.rows[: len(closed)], tuple(sifted.bad), tuple(findings))


def weigh(one: Judged, store: Store, policies: Policies) -> Judged:
    """The bars judged beside what is stored; called with the store held, so that it stays so until they are written.

    Raises `UsageError` for a flaw that the policies reject, and for a history on another basis than the stored one.
    """
    if len(one.bars) and not one.series.whole:
        one = _overlap(one, store, policies)
    return _strange(one, store, policies) if len(one.bars) else one


def _overlap(one: Judged, store: Store, policies: Policies) -> Judged:
    bars, length = one.bars, one.bars.timeframe.ns
    near = store.held(
        bars.instrument, bars.timeframe, int(bars.open_ns[0]) - length + 1, int(bars.open_ns[-1]) + length
    )
    if not len(near):
        return one
    after = np.searchsorted(near.open_ns, bars.open_ns)
    known = near.open_ns[np.minimum(after, len(near) - 1)] == bars.open_ns
    since = bars.open_ns - near.open_ns[np.maximum(after - 1, 0)]
    until = near.open_ns[np.minimum(after, len(near) - 1)] - bars.open_ns
    close = ~known & (((since > 0) & (since < length)) | ((until > 0) & (until < length)))
    at = after[known]
    differs = np.zeros(len(bars), dtype=bool)
    for name in (*COLUMNS, "volume"):
        differs[known] |= getattr(near, name)[at] != getattr(bars, name)[known]
    factor = _factor(near, bars, at, known)
    if factor is not None:
        have = store.coverage(bars.instrument, bars.timeframe)
        text = f"The source's history is {factor:.6g} times the stored one: it was re-based, as for a split."
        if int(known.sum()) == have.count:
            found = Finding(kind="re-based", level="warning", count=1, text=f"{text} All of it was replaced.")
            return replace(one, findings=(*one.findings, found))
        if policies["re-based"] == "reject":
            raise UsageError(
                f"{bars.instrument.symbol} {bars.timeframe}: {text[0].lower()}{text[1:]} Nothing was stored.",
                "The two are never mixed: bring the whole history with --anew and a --since before its first bar.",
            )
        return one.put_aside(np.ones(len(bars), dtype=bool), "is of a history that was re-based", "re-based")
    one = _act(one, close, "too close", f"begins less than {bars.timeframe} before or after a stored bar", policies)
    revised = differs[~close] if len(one.bars) < len(bars) else differs
    return _act(one, revised, "revised", "differs from the stored bar of its time", policies)


def _factor(near: Bars, bars: Bars, at: Ints, known: NDArray[np.bool_]) -> float | None:
    """The number by which all prices of bars in common differ, at least two; None if there is no such number."""
    if len(at) < 2:
        return None
    old = np.concatenate([getattr(near, name)[at] for name in COLUMNS]).astype(np.float64)
    new = np.concatenate([getattr(bars, name)[known] for name in COLUMNS]).astype(np.float64)
    factor = float(np.median(new / old))
    # Each price is rounded to a tick on either side.
    error = 1.0 / np.minimum(old, new)
    if abs(factor - 1.0) <= 4 * float(error.max()) or (np.abs(new / old / factor - 1.0) > 2 * error).any():
        return None
    return factor


def _strange(one: Judged, store: Store, policies: Policies) -> Judged:
    """What the new bars look like after those before them; only looked at where something would be done about it."""
    kinds = {kind for kind in ("spike", "stale", "zero volume", "closed day") if policies[kind] != "keep"}
    series_kinds = {kind for kind in ("gap", "jump", "split-like jump") if policies[kind] == "reject"}
    if not kinds | series_kinds:
        return one
    bars = one.bars
    first, reach = int(bars.open_ns[0]), REACH * bars.timeframe.ns
    whole = bars[:0] if one.series.whole else store.held(bars.instrument, bars.timeframe, first - reach, first)
    context = joined([whole, bars])
    splits = [action.ts_ns for action in store.actions(bars.instrument) if isinstance(action, Split)]
    if series_kinds:
        # A gap begins before the first bar after it.
        since = int(whole.open_ns[-1]) if len(whole) else first
        found = inspect(context, (since, 2**63 - 1), splits)
        for finding in phrased(found, len(context), bars.instrument, bars.timeframe):
            if finding.kind in series_kinds:
                where = f" First: {finding.examples[0]}." if finding.examples else ""
                raise UsageError(
                    f"{bars.instrument.symbol} {bars.timeframe}: {finding.text}{where}", _mend(finding.kind)
                )
    rows = flagged(context, splits)
    times = bars.open_ns
    for kind in sorted(kinds & rows.keys()):
        which = np.isin(one.bars.open_ns, times[rows[kind][rows[kind] >= len(whole)] - len(whole)])
        one = _act(one, which, kind, _WHY[kind], policies)
    return one


_WHY = {
    "spike": "is far from the bars on both sides",
    "stale": "is one of many in a row at one single price",
    "zero volume": "has no volume",
    "closed day": "is of a day on which the exchange was closed",
}


def _act(one: Judged, which: NDArray[np.bool_], kind: str, why: str, policies: Policies) -> Judged:
    """Do with some of the bars what the policy for their kind says."""
    if not which.any():
        return one
    action = policies[kind]
    if action == "reject":
        raise one.refuse(int(one.rows[np.argmax(which)]), why, kind, int(which.sum()) - 1)
    if action == "quarantine":
        return one.put_aside(which, why, kind)
    where = [one.series.origin(int(row)) for row in one.rows[which][:EXAMPLES]]
    found = Finding(
        kind=kind, level="warning", count=int(which.sum()), text=f"Each {why}, and was kept.", examples=tuple(where)
    )
    return replace(one, findings=(*one.findings, found))


def _finding(kind: str, level: Level, text: str, where: list[str]) -> Finding:
    return Finding(kind=kind, level=level, count=len(where), text=text, examples=tuple(where[:EXAMPLES]))


def _refusal(bad: BadRow, kind: str, more: int) -> UsageError:
    others = f" ({more:,} more rows are bad.)" if more else ""
    if kind == "bad row":
        mend = "Mend the data, or give --bad-rows quarantine to leave such rows out."
    else:
        mend = f"{_mend(kind)} To leave such rows out: --policy {kind.replace(' ', '-')}=quarantine."
    return UsageError(f"{bad.where} {bad.why} ({bad.content}).{others}", mend)


def _mend(kind: str) -> str:
    return f"Mend the data, or change the policy for {kind!r}."


def _check_number(left_out: tuple[BadRow, ...] | list[BadRow], series: Series) -> None:
    if len(left_out) > QUARANTINE_MOST:
        first = left_out[0]
        raise UsageError(
            f"{len(left_out):,} of {len(series.frame):,} rows cannot be stored; the first: {first.where} {first.why}.",
            f"At most {QUARANTINE_MOST:,} are put into quarantine: this is the wrong data, or it is read wrongly.",
        )
