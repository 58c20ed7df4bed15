"""The market data that is stored: instruments, their series, their bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.store import Store
from pregao_ui.schemas.market import BarOut, InstrumentOut, SeriesOut, StoredInstrument

SPANS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Span:
    """What a replay plays.

    Attributes:
        first_ns: open time of its first bar.
        opens: of each instrument the opening price of its first bar, in ticks.
        count: moments at which one of them or more has a bar.
    """

    first_ns: int
    opens: tuple[int, ...]
    count: int


class Market:
    """The bars of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._spans: dict[tuple[Any, ...], Span] = {}

    def instruments(self) -> list[StoredInstrument]:
        """The store's instruments that have bars."""
        found = []
        for instrument in self.store.instruments():
            series = []
            for timeframe in self.store.timeframes(instrument):
                have = self.store.coverage(instrument, timeframe)
                series.append(
                    SeriesOut(
                        timeframe=timeframe.name, bars=have.count, first=have.first_ns / 1e9, last=have.last_ns / 1e9
                    )
                )
            if series:
                found.append(StoredInstrument(**InstrumentOut.of(instrument).model_dump(), series=series))
        return found

    def bars(self, key: str, timeframe: str, end: float | None, limit: int) -> list[BarOut]:
        """The last ``limit`` bars that open before ``end`` (seconds since 1970; None: all there are); may be none."""
        instrument, length = self.store.instrument(key), Timeframe.parse(timeframe)
        end_ns = None if end is None else int(end * 1e9)
        have = self.store.coverage(instrument, length)
        if end_ns is not None and end_ns <= have.first_ns:
            return []
        if end_ns is not None and end_ns > have.last_ns:  # perhaps beyond what the store can reckon with
            end_ns = None
        last_ns = have.last_ns if end_ns is None else end_ns
        # Twice the span, and two weeks: room for nights, weekends and holidays without reading all there is.
        start_ns = last_ns - 2 * limit * length.ns - 14 * 86_400 * 10**9
        bars = self.store.bars(instrument, length, start_ns, end_ns)
        bars = bars[max(0, len(bars) - limit) :]
        tick = float(instrument.tick_size)
        columns = [np.round(getattr(bars, name) * tick, 10).tolist() for name in ("open", "high", "low", "close")]
        times = (bars.open_ns // 10**9).tolist()
        return [
            BarOut(t=t, o=o, h=h, l=low, c=c, v=v)
            for t, o, h, low, c, v in zip(times, *columns, bars.volume.tolist(), strict=True)
        ]

    def span(self, instruments: Sequence[Instrument], timeframe: Timeframe, start_ns: int | None) -> Span:
        """What a replay of these from a time plays; ``start_ns=None`` is from the first bar. Each must have a bar then
        or later."""
        have = tuple(self.store.coverage(instrument, timeframe) for instrument in instruments)
        key = (tuple(instrument.key for instrument in instruments), timeframe.name, start_ns, have)
        if key not in self._spans:
            every = [self.store.bars(instrument, timeframe, start_ns) for instrument in instruments]
            moments = reduce(np.union1d, [bars.open_ns for bars in every])
            if len(self._spans) >= SPANS_KEPT:
                self._spans.clear()
            self._spans[key] = Span(int(moments[0]), tuple(int(bars.open[0]) for bars in every), len(moments))
        return self._spans[key]
