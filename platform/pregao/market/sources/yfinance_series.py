"""A series brought from Yahoo: the bars that the store lacks, if they go on from those that it has.

What is stored is asked for again at its end. If Yahoo has changed its list of splits, a daily series is brought anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.actions import Action
from pregao.core.bars import Bars, Floats, Ints
from pregao.core.errors import PregaoError, UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.grid import common_tick
from pregao.market.sources import BrokenOffError, Request, Series, Span
from pregao.market.sources.yfinance_client import Answer, Yahoo
from pregao.market.sources.yfinance_live import LONGEST_DELAY_NS, seen_ns
from pregao.market.sources.yfinance_rules import TICKS, class_of, instrument_of, key_of
from pregao.market.sources.yfinance_traded import (
    Traded,
    actions_of,
    applied,
    as_mapping,
    open_times,
    splits_of,
    traded,
)  # fmt: skip

BACK_DAYS: dict[str, int | None] = {"1m": 30, "5m": 60, "15m": 60, "30m": 60, "1h": 730, "1d": None}
"""The timeframes that Yahoo has, and for how many days it keeps their bars; None is for ever."""
REQUEST_DAYS = {"1m": 7}
"""How many days of bars it gives at once, where that is less than it keeps."""
OVERLAP = 10
"""Stored bars that are asked for again, to see that Yahoo still says the same."""
_DAY_S = 86_400
_MARGIN_S = 3_600
_UNLIKELY = 0.18
_SAME = 0.001
_CORRECTED = 3
_NOISE = 1e-6

T = TypeVar("T")


class _Known(NamedTuple):
    """What the store has of a series: its rules, its splits and dividends, its first bar's time and its last bars."""

    instrument: Instrument
    actions: tuple[Action, ...]
    first_ns: int
    tail: Bars


class YahooSeries:
    """One series to bring: a symbol's bars of one timeframe, and its splits and dividends."""

    def __init__(self, symbol: str, timeframe: Timeframe, request: Request, yahoo: Yahoo) -> None:
        self.symbol = symbol
        self.timeframe = timeframe
        self.request = request
        self.yahoo = yahoo
        self.now_ns = time.time_ns()
        self.rules = request.known.get(key_of(symbol))
        self.known = self._known()
        # Whether all that is asked for is to be brought, also what is stored.
        self.fresh = self.known is None or request.stored(self.known.instrument, timeframe) is None

    def bring(self) -> Iterator[Series]:
        """What is to be added to the store, or the whole anew; errors as of `YFinance.fetch`."""
        facts = _ask(lambda: self.yahoo.facts(self.symbol))
        self._instrument(facts, Decimal("0.01"))  # what cannot be traded is refused before its bars are fetched
        ticks = TICKS[class_of(self.symbol, facts)]
        self.ticks = ticks if self.rules is None else (self.rules.tick_size, *ticks)
        first_traded = facts.get("firstTradeDate")
        listed_ns = pd.Timestamp(first_traded).value if first_traded is not None else -(2**62)
        spans = self._spans(listed_ns)
        since_ns = min((start for start, _ in spans), default=self.now_ns)
        daily = _ask(lambda: self.yahoo.bars(self.symbol, "1d", _midnight(since_ns), _seconds(self.now_ns)))
        listed = splits_of(daily.frame, _zone(daily))
        stored = self.known.actions if self.known else ()
        undo = applied(as_mapping(stored) | listed, open_times(daily.frame.index, True), daily.frame)
        answers = [self._part(daily, start, end) for start, end in spans]
        frame = pd.concat([answer.frame for answer in answers])
        open_ns = open_times(frame.index, not self.timeframe.intraday)
        bars = self._traded(frame, open_ns, undo)
        reason = self._disagreement(bars)
        everything = self.fresh and self.request.start_ns is None and self.request.end_ns is None
        if not reason:
            actions = actions_of(daily.frame, _zone(daily), listed, undo, stored)
            whole = everything and not self.timeframe.intraday
            yield self._made(facts, bars, actions, whole=whole)
        elif everything:
            undo = applied(listed, open_times(daily.frame.index, True), daily.frame)
            actions = actions_of(daily.frame, _zone(daily), listed, undo)
            told = {"re-based": f"{reason}. The whole series was brought anew, as was asked."}
            yield self._made(facts, self._traded(frame, open_ns, undo), actions, whole=True, remarks=told)
        else:
            yield self._anew(facts, listed_ns, reason)

    def _known(self) -> _Known | None:
        """The stored series; None if there is none."""
        store, rules = self.request.store, self.rules
        have = store.covered(rules, self.timeframe) if store is not None and rules is not None else None
        if store is None or rules is None or have is None:
            return None
        reach = max(self.timeframe.ns, _DAY_S * 1_000_000_000) * 2 * OVERLAP
        tail = store.bars(rules, self.timeframe, have.last_ns - reach)[-OVERLAP:]
        return _Known(rules, store.actions(rules), have.first_ns, tail)

    def _spans(self, listed_ns: int) -> list[tuple[int, int]]:
        """What to bring: open times, ns, of Yahoo's first bar or later. Raises `UsageError` beyond what it keeps."""
        missing: list[Span] = [(self.request.start_ns, self.request.end_ns)]
        if self.known is not None and not self.fresh:
            missing = self.request.missing(self.known.instrument, self.timeframe) or self._last_of(missing[0])
        spans = []
        days = BACK_DAYS[self.timeframe.name]
        kept_ns = -(2**62) if days is None else self.now_ns - (days * _DAY_S - _MARGIN_S) * 1_000_000_000
        for start, end in missing:
            if start is not None and self.known is not None and not self.fresh and start > self.known.first_ns:
                # A few bars more than the store's own overlap; but not before what is asked for.
                start = max(min(start, int(self.known.tail.open_ns[0])), self.request.start_ns or -(2**62), kept_ns)
            elif start is not None and start < kept_ns - 2 * _MARGIN_S * 1_000_000_000:
                raise UsageError(
                    f"Yahoo keeps bars of {self.timeframe} for {days} days: it has none from {_date(start)}.",
                    f"Give --since {_date(kept_ns + _DAY_S * 1_000_000_000)} or later, or a longer --timeframe "
                    "(1h: 730 days, 1d: all).",
                )
            least = max(kept_ns, listed_ns // 86_400_000_000_000 * 86_400_000_000_000)
            start = least if start is None else max(start, least)
            until = self.now_ns if end is None else min(end, self.now_ns)
            if start < until:
                spans.append((start, until))
        if not spans:
            since = f"Of {self.timeframe}, it has those since {_date(max(kept_ns, listed_ns))}."
            raise UsageError(f"Yahoo has no bars of {self.symbol} in that span.", since)
        if len(spans) == 2 and spans[0][1] >= spans[1][0]:
            return [(spans[0][0], spans[1][1])]
        return spans

    def _last_of(self, span: Span) -> list[Span]:
        """The stored bars at the end of a span that is stored already: enough to see that Yahoo still says the same."""
        start, end = span
        assert self.known is not None
        tail = int(self.known.tail.open_ns[0])
        return [(max(tail, start) if start is not None else tail, end)] if end is None or tail < end else [span]

    def _part(self, daily: Answer, start_ns: int, end_ns: int) -> Answer:
        """The bars of a span: out of the daily ones, or asked for in as many requests as Yahoo wants."""
        if not self.timeframe.intraday:
            times = open_times(daily.frame.index, True)
            return Answer(daily.frame[(times >= start_ns) & (times < end_ns)], daily.meta)
        step = REQUEST_DAYS.get(self.timeframe.name, 10_000) * _DAY_S
        edges = [*range(_seconds(start_ns), _seconds(end_ns) + 1, step), _seconds(end_ns) + 1]
        parts = [_ask(partial(self.yahoo.bars, self.symbol, self.timeframe.name, lo, hi)) for lo, hi in pairwise(edges)]
        frame = pd.concat([part.frame for part in parts if len(part.frame)] or [parts[0].frame])
        times = open_times(frame.index, False)
        return Answer(frame[(times >= start_ns) & (times < end_ns)], parts[-1].meta)

    def _traded(self, frame: pd.DataFrame, open_ns: Ints, undo: Mapping[int, Fraction]) -> Traded:
        """As they were traded; of bars that the store has alike, the stored volume, which a split may have rounded."""
        untraded = frame[["Open", "High", "Low", "Close"]].isna().all(axis=1).to_numpy()
        frame, open_ns = frame[~untraded], open_ns[~untraded]
        bars = traded(frame, open_ns, undo, self.ticks)
        if self.known is not None:
            mine, theirs = _common(bars, self.known.tail)
            stored = self.known.tail.volume[theirs]
            volume = bars.frame["volume"].to_numpy().copy()
            near = np.abs(volume[mine] - stored) <= bars.rounding[mine]
            volume[mine[near]] = stored[near]
            bars = bars._replace(frame=bars.frame.assign(volume=volume))
        return bars

    def _disagreement(self, bars: Traded) -> str:
        """Why what Yahoo says does not belong to the stored series; empty if it does."""
        if self.known is None:
            return ""
        tail = self.known.tail
        mine, theirs = _common(bars, tail)
        told = bars.frame["close"].to_numpy()[mine]
        usable = told > 0  # a close that is missing is refused by its row's name, not here
        if not usable.any():
            return ""
        theirs = theirs[usable]
        ratio = told[usable] / tail.frame()["close"].to_numpy()[theirs]
        move = np.log(ratio)
        factor = abs(np.median(move)) > _SAME and np.ptp(move) < _SAME
        if not factor and (np.abs(move) <= _UNLIKELY).all() and np.count_nonzero(np.abs(move) > _NOISE) <= _CORRECTED:
            return ""
        times = tail.open_ns[theirs]
        return (
            f"Yahoo's prices of {self.symbol} no longer agree with the stored ones: from {_date(int(times[0]))} to "
            f"{_date(int(times[-1]))} they are {_range(ratio)} times those"
        )

    def _anew(self, facts: Mapping[str, Any], listed_ns: int, reason: str) -> Series:
        """The whole daily series, if Yahoo has changed its splits and its prices agree with them now; else refused."""
        assert self.known is not None
        refused = PregaoError(
            f"{reason}, and no split that it lists explains it. The stored series was left as it is.",
            "Yahoo often lists a split a day late: run the same command again then. If they still differ, bring the "
            "series anew with --anew.",
        )
        if self.timeframe.intraday:
            raise refused
        start_ns = max(self.known.first_ns, listed_ns // 86_400_000_000_000 * 86_400_000_000_000)
        daily = _ask(lambda: self.yahoo.bars(self.symbol, "1d", _midnight(start_ns), _seconds(self.now_ns)))
        times = open_times(daily.frame.index, True)
        listed = splits_of(daily.frame, _zone(daily))
        stored = {ts_ns: ratio for ts_ns, ratio in as_mapping(self.known.actions).items() if ts_ns > start_ns}
        if listed == stored or applied(listed, times, daily.frame) != listed:
            raise refused
        bars = self._traded(daily.frame, times, listed)
        changed = sorted(set(listed.items()) ^ set(stored.items()))
        names = ", ".join(
            f"{ratio.numerator}:{ratio.denominator} on {_date(ts_ns)} is {'new' if ts_ns in listed else 'gone'}"
            for ts_ns, ratio in changed
        )
        actions = actions_of(daily.frame, _zone(daily), listed, listed)
        told = f"{reason}. It has changed its list of splits ({names}); the whole series was brought anew."
        return self._made(facts, bars, actions, whole=True, remarks={"re-based": told})

    def _made(
        self,
        facts: Mapping[str, Any],
        bars: Traded,
        actions: pd.DataFrame,
        *,
        whole: bool,
        remarks: Mapping[str, str] | None = None,
    ) -> Series:
        tick = bars.tick_size
        if self.rules is not None:
            tick = common_tick(tick, self.rules.tick_size)
        frame = bars.frame[self._closed(bars.frame, facts)]
        said = dict(remarks or {})
        latest = facts.get("regularMarketTime")
        if latest is not None and self.request.end_ns is None:
            quiet_days = (self.now_ns - pd.Timestamp(latest).value) / (_DAY_S * 1e9)
            if quiet_days > 30:
                said["not traded"] = (
                    f"{self.symbol} has not been traded since {_date(pd.Timestamp(latest).value)}: it may be delisted."
                )
        return Series(
            self._instrument(facts, tick),
            self.timeframe,
            frame.reset_index(drop=True),
            lambda i: f"Yahoo's bar {i + 1} of {self.symbol}",
            whole=whole,
            actions=actions,
            remarks=said,
        )

    def _closed(self, frame: pd.DataFrame, facts: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Which bars are over, also for an exchange whose prices come late: Yahoo's last trade is after their end."""
        opens = _times(frame)
        closes = opens + self.timeframe.ns
        if not self.timeframe.intraday:
            return np.asarray(closes <= self.now_ns)
        # A row at an odd second is no bar, but the last price.
        on_grid = opens % 60_000_000_000 == 0
        over_ns = max(self.now_ns - LONGEST_DELAY_NS, seen_ns(facts, self.now_ns))
        return np.asarray(on_grid & (closes <= over_ns))

    def _instrument(self, facts: Mapping[str, Any], tick: Decimal) -> Instrument:
        return instrument_of(self.symbol, facts, tick, self.rules, self.request.options.model_dump())


def _ask(ask: Callable[[], T]) -> T:
    """What Yahoo answers; its failures break the ingest off rather than refuse it."""
    try:
        return ask()
    except UsageError:
        raise
    except PregaoError as error:
        raise BrokenOffError(error.message, error.mend) from error


def _common(bars: Traded, tail: Bars) -> tuple[Ints, Ints]:
    """The rows of bars and of the tail that have the same open times."""
    _, mine, theirs = np.intersect1d(_times(bars.frame), tail.open_ns, return_indices=True)
    return mine, theirs


def _times(frame: pd.DataFrame) -> Ints:
    times: Ints = frame["timestamp"].dt.as_unit("ns").astype("int64").to_numpy()
    return times


def _zone(answer: Answer) -> str:
    return str(answer.meta["exchangeTimezoneName"])


def _midnight(ns: int) -> int:
    """A day earlier than the time, in seconds: wherever the exchange is, its session of that UTC day is not before."""
    return ns // 86_400_000_000_000 * _DAY_S - _DAY_S


def _seconds(ns: int) -> int:
    return -(-ns // 1_000_000_000)


def _range(ratio: Floats) -> str:
    low, high = float(ratio.min()), float(ratio.max())
    return f"{low:.4g}" if high - low < 0.001 * low else f"{low:.4g} to {high:.4g}"


def _date(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d")
