"""What a backtest did with each of its instruments: its fills, what they cost, and why each trade filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import prices
from pregao.reporting.sheet import TRADE_COLUMNS, Floats, typed_trades
from pregao.simulation import layout
from pregao.simulation.backtest import Result
from pregao.simulation.plan import Plan
from pregao.simulation.portfolio import PortfolioResult
from pregao.simulation.trades import names


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """One instrument of an account.

    Attributes:
        name: what to call it: its symbol, or its key where two share a symbol.
        plan: gives the units.
        quantum: what one unit of money in the events is, in the quote currency.
        rate: what one unit of the quote currency is worth in the reporting currency at the last close.
        events: of this instrument, `layout.EVENT`.
        trades: its round trips, with money in the quote currency.
        exit_rates: what one unit of the quote currency was worth when each trade ended.
    """

    name: str
    plan: Plan
    quantum: float
    rate: float
    events: NDArray[Any]
    trades: pd.DataFrame
    exit_rates: Floats

    def costs(self) -> dict[str, float]:
        """What each of `sheet.COSTS` took, over all fills: those of a position that is still open too.

        In the reporting currency, at the last close's rate.
        """
        fills = self.events[self.events["kind"] == layout.FILLED]
        lots = fills["qty_lots"]
        instrument = self.plan.instrument
        tick = float(instrument.tick_quanta * instrument.quantum) * self.rate  # money in one tick of one lot
        other = fills["slippage_ticks"] - fills["spread_ticks"] - fills["impact_ticks"]
        return {
            "fees": float(fills["fee"].sum()) * self.quantum * self.rate,
            "slippage": float((other * lots).sum()) * tick,
            "spread": float((fills["spread_ticks"] * lots).sum()) * tick,
            "impact": float((fills["impact_ticks"] * lots).sum()) * tick,
            "funding": 0.0 - self.paid_in(layout.FUNDED),
            "borrow": 0.0 - self.paid_in(layout.PAID_INTEREST),
        }

    def paid_in(self, kind: int) -> float:
        """What events of a kind paid in, in the reporting currency at the last close's rate."""
        return float(self.events["amount"][self.events["kind"] == kind].sum()) * self.quantum * self.rate

    def explained(self) -> pd.DataFrame:
        """The round trips as `sheet.TRADE_COLUMNS`, with the why of the fill that opened and that closed each."""
        trades = self.trades
        sides = trades["side"].to_numpy(dtype=np.int64)
        frame = pd.DataFrame({
            "instrument": [self.name] * len(trades),
            "side": np.where(sides > 0, "long", "short"),
            "entry_time": _utc(trades["entry_ns"]),
            "exit_time": _utc(trades["exit_ns"]),
            "pnl": trades["pnl"].to_numpy(np.float64) * self.exit_rates,
            "fees": trades["fees"].to_numpy(np.float64) * self.exit_rates,
        })  # fmt: skip
        for name in ("quantity", "entry_price", "exit_price", "net_return", "exit_role", "ambiguous"):
            frame[name] = trades[name].to_numpy()
        fills = self.events[self.events["kind"] == layout.FILLED]
        before = fills["position_lots"] - fills["side"] * fills["qty_lots"]
        opens = (before * fills["side"] <= 0) & (fills["position_lots"] * fills["side"] > 0)
        closes = (before * fills["side"] < 0) & (fills["position_lots"] * fills["side"] >= 0)
        opened = self._why(trades["entry_ns"].to_numpy(np.int64), sides, fills[opens])
        closed = self._why(trades["exit_ns"].to_numpy(np.int64), -sides, fills[closes])
        for name in ("order", "rule", "reference", "slippage", "liquidity"):
            frame[f"entry_{name}"], frame[f"exit_{name}"] = opened[name].to_numpy(), closed[name].to_numpy()
        return typed_trades(frame[list(TRADE_COLUMNS)])

    def _why(self, ts_ns: NDArray[np.int64], sides: NDArray[np.int64], fills: NDArray[Any]) -> pd.DataFrame:
        """For each time and side its fill, the first for the first trade there and so on; missing if there is none."""
        tick = self.plan.instrument.tick_size
        wanted = pd.DataFrame({"ts_ns": ts_ns, "side": sides})
        found = pd.DataFrame({
            "ts_ns": fills["ts_ns"],
            "side": fills["side"],
            "order": names(layout.ORDER_KINDS, fills["order_kind"]),
            "rule": names(layout.RULE_NAMES, fills["rule"]),
            "reference": prices(fills["reference_ticks"], tick),
            "slippage": prices(fills["slippage_ticks"], tick),
            "liquidity": names(layout.LIQUIDITY, fills["liquidity"]),
        })  # fmt: skip
        for frame in (wanted, found):
            frame["nth"] = frame.groupby(["ts_ns", "side"]).cumcount()
        return wanted.merge(found, on=["ts_ns", "side", "nth"], how="left", validate="one_to_one")


def books_of(result: Result | PortfolioResult) -> list[Book]:
    """The instruments of a result, in the order of its plans."""
    if isinstance(result, Result):
        instrument, trades = result.plan.instrument, result.trades
        quantum, ones = float(instrument.quantum), np.ones(len(trades))
        return [Book(instrument.symbol, result.plan, quantum, 1.0, result.events, trades, ones)]
    books = []
    for b, (name, plan) in enumerate(zip(result.names, result.plans, strict=True)):
        quote, trades = plan.instrument.quote, result.trades_of(b)
        last = float(result.rate(quote, result.moments.close_ns[-1:])[0])
        rates = result.rate(quote, trades["exit_ns"].to_numpy(np.int64))
        books.append(Book(name, plan, float(result.quantum(quote)), last, result.events_of(b), trades, rates))
    return books


def _utc(ns: pd.Series[Any]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(ns.to_numpy(np.int64).astype("datetime64[ns]"), tz="UTC")
