"""What becomes of the candles that are heard: a pure step, no clock and no network.

The bars of a feed come one after another without a hole. A candle that the venue itself marks as closed, and that is
the next, is delivered at once. Everything else (a candle missed, one that nobody marked, one that is hard to believe)
is a reason to ask the venue for what has closed, and its answer decides. Bars delivered as heard are part of the
next question: where the venue has changed them since, the reader is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from pregao.core.bars import MAX_TICKS, Bar
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.calendars import Gap
from pregao.market.feeds.events import Closed, Event, Forming, Held, Revised

KEPT = 100
"""So many delivered bars are remembered, to notice when they change."""
REFERENCES = 3
"""With the closes of so many bars before it a bar is compared."""
JUMP = 0.4
"""A bar further away from those before (in logarithms) is hard to believe, unless told otherwise."""
_EARLY_NS = 1_000_000_000
"""A candle may be marked as closed so much before its end by our measure of the venue's clock; earlier it is not."""


class Candle(NamedTuple):
    """A candle as it was heard: open time in ns since 1970 UTC, prices and volume in decimal units (float).

    Attributes:
        marked: the venue itself says that it is closed.
        said_ns: the venue's time on the message; 0 if it has none.
    """

    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    marked: bool = False
    said_ns: int = 0


@dataclass
class _Doubt:
    """The next bar, not believed: how often the venue has said it, and whether the reader knows."""

    open_ns: int
    asked: int = 0
    told: bool = False


@dataclass
class Step:
    """What to do now.

    Attributes:
        events: to deliver, in order.
        ask: the venue must be asked for what has closed since `Sequence.wanted_ns`.
    """

    events: list[Event] = field(default_factory=list)
    ask: bool = False


class Sequence:
    """The bars of one feed.

    Args:
        instrument, timeframe: whose bars.
        next_ns: open time of the first bar to deliver.
        jump: a bar is hard to believe if its high or low is further than this (in logarithms) from the closes before.
        late_ns: a missing bar is given up, when the venue lacks it twice, so much market time after its close.
        closed: whether the market is closed in all of a span: no bar is missing there.
    """

    def __init__(
        self,
        instrument: Instrument,
        timeframe: Timeframe,
        next_ns: int,
        *,
        jump: float = JUMP,
        late_ns: int = 30_000_000_000,
        closed: Callable[[int, int], bool] = lambda start_ns, end_ns: False,
    ) -> None:
        self.next_ns = next_ns
        self._tick = float(instrument.tick_size)
        self._tick_name = str(instrument.tick_size)
        self._length = timeframe.ns
        self._jump = jump
        self._late_ns = late_ns
        self._closed = closed
        self._delivered: dict[int, Bar] = {}
        self._forming: Bar | None = None
        self._doubt: _Doubt | None = None
        self._check_ns: int | None = None
        """The oldest bar that was delivered fresh, and that the venue has not been asked about since."""
        self._splits: list[tuple[int, float]] = []
        self._holes: set[tuple[int, int]] = set()
        """The holes in the venue's last answer."""

    def remember(self, before: Iterable[Bar]) -> None:
        """Closed bars before the first, with which its prices are compared."""
        self._delivered |= {bar.open_ns: bar for bar in before}

    def split(self, ts_ns: int, ratio: float) -> None:
        """Shares have been split: prices from a time on are compared with those before divided by the ratio."""
        self._splits.append((ts_ns, ratio))

    @property
    def wanted_ns(self) -> int:
        """From which open time on the venue is to be asked."""
        return self.next_ns if self._check_ns is None else min(self._check_ns, self.next_ns)

    @property
    def unchecked(self) -> bool:
        """Whether bars were delivered as heard, or as soon as they closed, and not compared with the record since."""
        return self._check_ns is not None

    @property
    def holding(self) -> bool:
        """Whether bars are held back: one is not believed, or missing although a later one exists."""
        return bool(self._doubt or self._holes)

    def heard(self, candle: Candle, now_ns: int) -> Step:
        """A candle came over the stream, in any order, perhaps again, perhaps wrong.

        Args:
            candle: what was heard.
            now_ns: the venue's time.
        """
        at = candle.open_ns
        if at > now_ns + self._length:
            return Step(ask=True)
        bar = self.bar(candle)
        if at < self.next_ns:
            was = self._delivered.get(at)
            if candle.marked and was is not None and bar != was:
                self._check(at)
                return Step(ask=True)
            return Step()
        if isinstance(bar, str) or self._far(bar):
            return Step(ask=candle.marked or at > self.next_ns)
        if at > self.next_ns:
            return Step(self._show(bar), ask=True)
        over = bar.close_ns <= now_ns + _EARLY_NS
        if candle.marked and over and self._doubt is None:
            self._check(at)
            return Step([self._deliver(bar, "live")])
        return Step(self._show(bar), ask=candle.marked)

    def answered(self, candles: Iterable[Candle], now_ns: int) -> Step:
        """The venue was asked, and this is all it has from `wanted_ns` on.

        Args:
            candles: in order of time; the last may still be forming.
            now_ns: the venue's time, measured before it was asked: what is over by then is closed.
        """
        step = Step()
        if self._check_ns is not None:  # a bar that closed while the question was under way is not in its answer
            fresh = (at for at in self._delivered if at >= self._check_ns and at + self._length > now_ns)
            self._check_ns = next(fresh, None)
        rows = [candle for candle in candles if candle.open_ns + self._length <= now_ns]
        ends = [self.next_ns, *(max(self.next_ns, candle.open_ns + self._length) for candle in rows)]
        holes = {(end, row.open_ns) for end, row in zip(ends, rows, strict=False) if row.open_ns > end}
        seen, self._holes = self._holes, holes
        for i, candle in enumerate(rows):
            at = candle.open_ns
            bar = self.bar(candle)
            if at < self.next_ns:
                was = self._delivered.get(at)
                if was is not None and isinstance(bar, Bar) and bar != was:
                    self._delivered[at] = bar
                    step.events.append(Revised(bar, was))
                continue
            if at > self.next_ns and self._closed(self.next_ns, at):
                self.next_ns, self._doubt = at, None
            if at > self.next_ns:
                if (self.next_ns, at) not in seen:
                    step.ask = True
                    return step
                if now_ns - at < self._late_ns:
                    return step
                step.events.append(self._skip(at))
            if not self._believed(bar, at, successor=i + 1 < len(rows), step=step):
                return step
            if now_ns - at - self._length < self._late_ns:
                self._check(at)  # so fresh that it may still change
        return step

    def shown(self, candle: Candle) -> list[Event]:
        """The forming candle of an answer, for those who watch it; nothing if it is hard to believe."""
        bar = self.bar(candle)
        return [] if isinstance(bar, str) or bar.open_ns < self.next_ns or self._far(bar) else self._show(bar)

    def bar(self, candle: Candle) -> Bar | str:
        """The exact bar, or why there can be none."""
        ticks = []
        for name, price in zip(("open", "high", "low", "close"), candle[1:5], strict=True):
            if not (isinstance(price, int | float) and math.isfinite(price)):
                return f"its {name} is no number"
            if price <= 0:
                return f"its {name} is {price:g}"
            raw = price / self._tick
            whole = round(raw)
            if whole >= MAX_TICKS:
                return f"its {name} {price:g} is too large"
            if abs(raw - whole) > max(1e-12 * whole, 1e-6):
                return f"its {name} {price!r} is no multiple of the tick size {self._tick_name}"
            ticks.append(whole)
        opened, high, low, close = ticks
        if high < max(opened, close) or low > min(opened, close):
            return "its high and low do not enclose its open and close"
        volume = candle.volume
        if not (isinstance(volume, int | float) and math.isfinite(volume) and volume >= 0):
            return "its volume is missing or negative"
        return Bar(candle.open_ns, candle.open_ns + self._length, opened, high, low, close, float(volume))

    def _believed(self, bar: Bar | str, at: int, successor: bool, step: Step) -> bool:
        """Deliver what the venue says of the next bar, or hold it back; False where the sequence stops here."""
        reason = bar if isinstance(bar, str) else self._far(bar)
        if not reason:
            assert isinstance(bar, Bar)
            step.events.append(self._deliver(bar, "backfill"))
            return True
        if self._doubt is None or self._doubt.open_ns != at:
            self._doubt = _Doubt(at)
        self._doubt.asked += 1
        if self._doubt.asked == 1:
            step.ask = True
            return False
        if not self._doubt.told:
            self._doubt.told = True
            step.events.append(Held(at, reason))
        if not successor:
            return False
        if isinstance(bar, Bar):
            step.events.append(self._deliver(bar, "backfill"))
        else:
            step.events.append(self._skip(at + self._length))
        return True

    def _check(self, at: int) -> None:
        self._check_ns = at if self._check_ns is None else min(at, self._check_ns)

    def _skip(self, to_ns: int) -> Gap:
        gap = Gap(self.next_ns, to_ns, (to_ns - self.next_ns) // self._length)
        self.next_ns, self._doubt = to_ns, None
        return gap

    def _deliver(self, bar: Bar, origin: str) -> Closed:
        self._delivered[bar.open_ns] = bar
        if len(self._delivered) > KEPT:
            del self._delivered[next(iter(self._delivered))]
        self.next_ns = bar.close_ns
        self._doubt = None
        return Closed(bar, "live" if origin == "live" else "backfill")

    def _show(self, bar: Bar) -> list[Event]:
        """The forming bar, unless what is shown already is later: a candle only grows."""
        old = self._forming
        if old is not None and (bar.open_ns, bar.volume) <= (old.open_ns, old.volume):
            return []
        self._forming = bar
        return [Forming(bar)]

    def _far(self, bar: Bar) -> str:
        """Why a bar's prices are hard to believe after those before; empty if they are not."""
        before = [self._ex(earlier, bar) for earlier in islice(reversed(self._delivered.values()), REFERENCES)]
        return far(bar, before, self._jump)

    def _ex(self, earlier: Bar, bar: Bar) -> int:
        """An earlier close in the shares of a bar."""
        close = earlier.close
        for ts_ns, ratio in self._splits:
            if earlier.open_ns < ts_ns <= bar.open_ns:
                close = max(round(close / ratio), 1)
        return close


def far(bar: Bar, before: Collection[int], jump: float = JUMP) -> str:
    """Why a bar's prices are hard to believe after the closes before it, in ticks; empty if they are not.

    They are, if the high or the low is further than ``jump`` (in logarithms) from every one of these closes.
    """
    near = math.exp(jump) * (1.0 - 1e-12)
    if not before or any(bar.high <= near * close and close <= near * bar.low for close in before):
        return ""  # as almost always, and without a logarithm
    least = min(max(abs(math.log(price / close)) for price in (bar.high, bar.low)) for close in before)
    return f"its price is {math.exp(least) - 1:.0%} away from the bars before" if least > jump else ""
