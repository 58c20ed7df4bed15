"""The source ``ccxt``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.feeds.live import LiveFeed, Watch
from pregao.market.sources import BrokenOffError, Listed, Request, Series, by_time
from pregao.market.sources.ccxt.client import CcxtOptions, match, open_client, plain, traded
from pregao.market.sources.ccxt.history import History, Rows
from pregao.market.sources.ccxt.pages import Row
from pregao.market.sources.ccxt.patience import Patience
from pregao.market.sources.ccxt.rules import check_timeframe, instrument_of

DEFAULT_TIMEFRAME = "1h"
DEFAULT_DAYS = 365
"""Without a start and without stored bars, so much history is brought."""
OVERLAP = 10
"""The last so many stored bars are asked for again, in the same request: late and corrected candles are noticed."""
PART_PAGES = 10
"""So many pages make a part, which a run that is killed later does not lose."""
_MS = 1_000_000
_COLUMNS = ("open", "high", "low", "close", "volume")


class Ccxt:
    """History of an exchange's candles, from where the store ends, or begins.

    Args:
        patience: how failures are met.
    """

    name: ClassVar[str] = "ccxt"
    Options: ClassVar[type[CcxtOptions]] = CcxtOptions
    watch: ClassVar[Watch] = Watch()
    closes: ClassVar[bool] = False
    whole: ClassVar[bool] = True

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience if patience is not None else Patience()

    def fetch(self, request: Request) -> Iterable[Series]:
        """One series for each symbol: closed candles by the exchange's own clock, only those that the store lacks.

        Raises:
            NotFoundError: for a symbol that the exchange does not have; names those near it.
            UsageError: without a symbol, or for a timeframe that the exchange does not have.
            BrokenOffError: if the exchange failed after some candles had come; they have been yielded.
            PregaoError: if it could not be reached, refuses more requests, or failed, before any had.
        """
        options: CcxtOptions = request.options
        if not request.symbols:
            raise UsageError(f"{options.exchange} has thousands of symbols.", "Name those you want, such as BTC/USDT.")
        timeframe = request.timeframe or Timeframe.parse(DEFAULT_TIMEFRAME)
        client = open_client(options)
        try:
            self._load(client)
            spelled = check_timeframe(client, timeframe)
            markets = {market["symbol"]: market for market in (match(client, s, options.kind) for s in request.symbols)}
            instruments = [self._rules(client, market, request) for market in markets.values()]
            now_ms = self._now_ms(client)
            for done, instrument in enumerate(instruments):
                history = History(client, instrument.symbol, spelled, timeframe.seconds * 1_000, self.patience)
                yield from self._series(history, instrument, timeframe, request, now_ms, done)
        finally:
            client.session.close()

    def listed(self, options: CcxtOptions, words: str = "") -> list[Listed]:
        """The exchange's markets of a kind that are traded now, in alphabetical order; raises as `fetch`.

        Words are looked for in the symbols, in any spelling (``btc usdt``).
        """
        client = open_client(options)
        try:
            self._load(client)
            found = [Listed(symbol, asset_class="crypto") for symbol in sorted(traded(client, options.kind))]
            return [one for one in found if all(plain(word) in plain(one.symbol) for word in words.split())]
        finally:
            client.session.close()

    def resuming(self, instrument: Instrument) -> dict[str, Any]:
        """The options to go on with a stored instrument: its exchange, and the tick size that its prices have."""
        kind = "swap" if ":" in instrument.symbol else "spot"
        return {"exchange": instrument.venue, "kind": kind, "tick_size": str(instrument.tick_size)}

    def live(
        self,
        instrument: Instrument,
        timeframe: Timeframe,
        options: CcxtOptions,
        after_ns: int | None = None,
        watch: Watch | None = None,
        *,
        trades: bool = False,
    ) -> LiveFeed:
        """A feed of the market as it is traded, opened.

        Args:
            instrument, timeframe: whose bars.
            options: the exchange, as for `fetch`.
            after_ns: open time of the last bar known; see `LiveFeed`.
            watch: how closely to watch.
            trades: whether trades are told too.
        """
        from pregao.market.sources.ccxt.wire import CcxtWire

        return LiveFeed(CcxtWire(options, instrument, timeframe, trades), instrument, timeframe, after_ns, watch)

    def _load(self, client: Any) -> None:
        self.patience.call(client, client.load_markets)
        if client.has.get("fetchOHLCV") is not True:  # "emulated" is made of a few last trades
            raise UsageError(f"{client.id} offers no candles.", "Use another exchange.")

    def _rules(self, client: Any, market: Any, request: Request) -> Instrument:
        options: CcxtOptions = request.options
        found = instrument_of(client, market, options.tick_size, None)
        known = request.known.get(found.key)
        return found if known is None else instrument_of(client, market, options.tick_size, known)

    def _now_ms(self, client: Any) -> int:
        """The exchange's clock: which candles are closed is its to say."""
        if client.has.get("fetchTime"):
            return self.patience.call(client, lambda: int(client.fetch_time()))
        return int(client.milliseconds())

    def _series(
        self, history: History, instrument: Instrument, timeframe: Timeframe, request: Request, now_ms: int, done: int
    ) -> Iterator[Series]:
        """The series of one instrument; where it breaks off, what is complete first, and then the error."""
        rows: Rows = {}
        pages = came = 0
        broken: PregaoError | None = None
        try:
            for page in _pages(history, instrument, timeframe, request, now_ms):
                rows |= page
                pages += 1
                came += len(page)
                if pages % PART_PAGES == 0:
                    yield _part(instrument, timeframe, rows)
                    rows = {}
        except PregaoError as error:
            broken = error
        if broken is not None and not came and not done:
            raise broken
        if rows or (broken is None and not came):
            yield _part(instrument, timeframe, rows)
        if broken is not None:
            kept = f"{came:,} bars of {instrument.symbol} came before and are kept." if came else broken.mend
            message = f"{instrument.symbol} broke off. {broken.message}"
            if isinstance(broken, NotFoundError):
                raise BrokenOffError(message, f"{broken.mend} {kept}") from broken
            raise BrokenOffError(message, f"{kept} Run it again: it goes on from there.") from broken


def _pages(
    history: History, instrument: Instrument, timeframe: Timeframe, request: Request, now_ms: int
) -> Iterator[Rows]:
    """What the store lacks of the span asked for, in an order that leaves no hole in it wherever it breaks off."""
    step, stored = history.step_ms, request.stored(instrument, timeframe)
    end = now_ms - step + 1
    if request.end_ns is not None:
        end = min(end, -(-request.end_ns // _MS))
    start = None if request.start_ns is None else -(-request.start_ns // _MS)
    if stored is None:
        usual = (now_ms - DEFAULT_DAYS * 86_400_000) // step * step
        yield from history.forward(usual if start is None else start, end)
        return
    first, last = stored.first_ns // _MS, stored.last_ns // _MS
    yield from history.forward(max(first, last - (OVERLAP - 1) * step), end)
    if start is not None and start < first:
        yield from history.backward(start, min(first, end))


def _part(instrument: Instrument, timeframe: Timeframe, rows: Rows) -> Series:
    """Rows by open time as a part of a series; what is no number becomes NaN."""
    times = sorted(rows)
    values = np.array([[_number(rows[at], i) for i in range(1, 6)] for at in times], dtype=np.float64).reshape(-1, 5)
    columns = {name: values[:, i] for i, name in enumerate(_COLUMNS)}
    frame = pd.DataFrame({"timestamp": pd.to_datetime(times, unit="ms", utc=True), **columns})
    return Series(instrument, timeframe, frame, by_time(instrument, frame), part=True)


def _number(row: Row, i: int) -> float:
    value = row[i] if i < len(row) else None
    return float(value) if isinstance(value, int | float) else float("nan")
