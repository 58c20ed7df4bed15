"""nautilus_trader ``BacktestEngine`` on bars: a market entry with its stop and its target as one order list.

Logging, the risk engine and the analysis after the run are off: its fast settings. The account is a margin account
where the job has shorts (its cash accounts refuse them), with all margins zero.
Variants: ``ohlc`` (its default path within a bar) and ``adaptive`` (``bar_adaptive_high_low_ordering``).
"""

from __future__ import annotations

import time

began = time.perf_counter()
from decimal import Decimal  # noqa: E402

import nautilus_trader  # noqa: E402
import pandas as pd  # noqa: E402
from nautilus_trader.backtest.config import BacktestEngineConfig  # noqa: E402
from nautilus_trader.backtest.engine import BacktestEngine  # noqa: E402
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig  # noqa: E402
from nautilus_trader.model.currencies import USDT  # noqa: E402
from nautilus_trader.model.data import BarType  # noqa: E402
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, OrderType, TimeInForce  # noqa: E402
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue  # noqa: E402
from nautilus_trader.model.instruments import CryptoPerpetual, Equity  # noqa: E402
from nautilus_trader.model.objects import Money, Price, Quantity  # noqa: E402
from nautilus_trader.persistence.wranglers import BarDataWrangler  # noqa: E402
from nautilus_trader.trading.strategy import Strategy  # noqa: E402

took = time.perf_counter() - began

from benchmarks.peers.job import START_S  # noqa: E402
from benchmarks.peers.runners.timed import Timed, report, rows, task  # noqa: E402

VENUE = Venue("SIM")
DECIMALS = 8
"""Of prices: enough for the exact levels."""


class Follow(Strategy):
    """Enters on the job's signals and writes down what was filled."""

    def __init__(self, work):
        super().__init__(StrategyConfig())
        self.work, self.fills, self.refused = work, {}, 0

    def on_start(self):
        self.at = {bar_type: [0, *rest] for bar_type, *rest in self.work}
        self.fills = {row[1]: [] for row in self.work}
        for bar_type in self.at:
            self.subscribe_bars(bar_type)

    def on_bar(self, bar):
        row = self.at[bar.bar_type]
        i, instrument, signal, units, take, stop = row
        row[0] = i + 1
        if signal[i] and self.portfolio.is_flat(instrument):
            self.submit_order_list(self.order_factory.bracket(
                instrument_id=instrument, order_side=OrderSide.BUY if signal[i] > 0 else OrderSide.SELL,
                quantity=Quantity(units[i], 0), entry_order_type=OrderType.MARKET,
                sl_trigger_price=Price(stop[i], DECIMALS), tp_price=Price(take[i], DECIMALS),
                time_in_force=TimeInForce.GTC,
            ))  # fmt: skip

    def on_order_filled(self, event):
        self.fills[event.instrument_id].append(event)

    def on_order_denied(self, event):
        self.refused += 1

    def on_order_rejected(self, event):
        self.refused += 1


def main() -> None:
    """Run the job and report."""
    given = task(("ohlc", "adaptive"))
    job = given.job
    margin = bool((job.signal < 0).any())
    take, stop = job.levels()
    index = pd.DatetimeIndex(pd.to_datetime(job.time_s + 60, unit="s"), tz="UTC", name="timestamp")
    frames = [
        pd.DataFrame(
            {k: job.prices(k)[s] for k in ("open", "high", "low", "close")} | {"volume": job.volume[s]}, index=index
        )
        for s in range(job.instruments)
    ]

    def instrument(name: str):
        shared = {
            "instrument_id": InstrumentId(Symbol(name), VENUE), "raw_symbol": Symbol(name), "price_precision": DECIMALS,
            "price_increment": Price(10**-DECIMALS, DECIMALS), "ts_event": 0, "ts_init": 0,
            "maker_fee": Decimal(str(job.fee)), "taker_fee": Decimal(str(job.fee)),
        }  # fmt: skip
        if not margin:
            return Equity(currency=USDT, lot_size=Quantity(1, 0), **shared)
        return CryptoPerpetual(
            base_currency=USDT, quote_currency=USDT, settlement_currency=USDT, is_inverse=False, size_precision=0,
            size_increment=Quantity(1, 0), margin_init=Decimal(0), margin_maint=Decimal(0), **shared,
        )  # fmt: skip

    def setup():
        engine = BacktestEngine(BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True), run_analysis=False,
        ))  # fmt: skip
        engine.add_venue(
            venue=VENUE, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN if margin else AccountType.CASH,
            base_currency=USDT, starting_balances=[Money(job.cash, USDT)], bar_execution=True,
            bar_adaptive_high_low_ordering=given.variant == "adaptive",
        )  # fmt: skip
        work = []
        for s, frame in enumerate(frames):
            made = instrument(f"S{s}")
            engine.add_instrument(made)
            bar_type = BarType.from_str(f"S{s}.SIM-1-MINUTE-LAST-EXTERNAL")
            engine.add_data(BarDataWrangler(bar_type, made).process(frame), sort=False)
            arrays = (job.signal[s], job.size[s].astype(int), take[s], stop[s])
            work.append((bar_type, made.id, *(a.tolist() for a in arrays)))
        engine.sort_data()
        strategy = Follow(work)
        engine.add_strategy(strategy)
        return engine, strategy

    last_state = []

    def run(state):
        engine, strategy = state
        engine.run()
        balance = engine.portfolio.account(VENUE).balance_total(USDT).as_double()
        last_state[:] = [strategy, balance]
        return state

    timed = Timed()
    for _ in range(given.repeats):
        engine, _strategy = timed.repeat(1, setup, run)
        engine.dispose()
    strategy, balance = last_state
    found, worth = [], 0.0
    for s, fills in enumerate(strategy.fills.values()):
        last = job.prices("close")[s, -1]
        for a, b in zip(fills[::2], [*fills[1::2], None], strict=False):
            bar = int((a.ts_event // 10**9 - START_S) // 60 - 1)
            size = a.last_qty.as_double() * (1 if a.order_side == OrderSide.BUY else -1)
            price, fee = a.last_px.as_double(), a.commission.as_double()
            if b is None:
                found.append((s, bar, -1, price, last, size, size * (last - price) - fee))
                # a cash account has paid for what it holds, a margin account has not
                worth += size * (last - price) if margin else size * last
                continue
            if a.last_qty != b.last_qty:
                raise RuntimeError(f"a fill in parts: {a} {b}")
            out = b.last_px.as_double()
            end = int((b.ts_event // 10**9 - START_S) // 60 - 1)
            found.append((s, bar, end, price, out, size, size * (out - price) - fee - b.commission.as_double()))
    name = "nautilus_trader" + (", adaptive path" if given.variant == "adaptive" else "")
    report(
        given, name, nautilus_trader.__version__, timed, rows(found), balance + worth, import_s=took,
        refused=strategy.refused,
    )  # fmt: skip


if __name__ == "__main__":
    main()
