"""From a backtest's result to the sheet of a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pregao.core.bars import prices
from pregao.reporting.sheet import TRADE_COLUMNS, Floats, Interval, Luck, Sheet, typed_trades
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.report import periods_per_year
from pregao.simulation.significance import (
    Sample,
    Trials,
    deflated_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
)
from pregao.simulation.slippage import EstimatedSpread, FixedSlippage, HalfSpread, Slippage, VolumeShare
from pregao.simulation.terms import Terms

if TYPE_CHECKING:
    from pregao.simulation.backtest import Result
    from pregao.simulation.plan import Plan


def sheet_of(
    result: Result,
    strategy: str,
    *,
    held: Result | None = None,
    luck: Luck | None = None,
    trials: Trials | None = None,
    data_version: str = "",
    model: str = "",
    settings: Mapping[str, object] | None = None,
    command: str = "",
) -> Sheet:
    """The sheet of a backtest on one instrument.

    Args:
        result: of the backtest.
        strategy: its name.
        held: buy and hold over the same bars.
        luck: random entries with the same exits.
        trials: everything that was tried before this was chosen; adds the deflated Sharpe ratio.
        data_version, model, command: see `Sheet`.
        settings: of the strategy, after those of the plan.
    """
    bars, plan = result.bars, result.plan
    instrument = plan.instrument
    quantum = float(instrument.quantum)
    equity = np.asarray(result.equity * quantum, np.float64)
    events = pd.DataFrame(result.history(), columns=list(_event_fields()))
    fills = _fills(events)
    unit = float(instrument.tick_quanta * instrument.quantum)  # money in one tick of one lot
    position = result.positions * bars.close * unit
    bounds = result.interval
    terms = plan.terms
    fees = terms.fees
    plain_fees = dataclasses.replace(fees, maker_ppm=0, taker_ppm=0) == FeeSchedule()
    return Sheet(
        strategy=strategy,
        instruments=(instrument.symbol,),
        timeframe=bars.timeframe.name,
        intraday=bars.timeframe.intraday,
        currency=instrument.quote,
        synthetic=instrument.synthetic,
        open_ns=int(bars.open_ns[0]),
        close_ns=bars.close_ns,
        per_year=periods_per_year(bars),
        cash=float(instrument.money(plan.cash_quanta)),
        equity=equity,
        figures=result.metrics() | evidence(equity, trials),
        costs=_costs(events, fills, quantum, unit),
        exposure={instrument.symbol: position / np.where(equity > 0, equity, np.nan)},
        trades=_trades(result.trades, fills, plan),
        digest=result.digest,
        held=None if held is None else np.asarray(held.equity * quantum, np.float64),
        held_figures=None if held is None else held.metrics(),
        luck=luck,
        interval=Interval(bounds.worst, bounds.best, int(result.engine.account.ambiguous)),
        dividends=_flows(events, "dividend") * quantum,
        fee_ppm=(fees.maker_ppm, fees.taker_ppm) if plain_fees else None,
        slippage=tuple(named(model) for model in terms.slippage),
        path=terms.path,
        data_version=data_version,
        model=model,
        settings=plan_settings(plan) | {k: str(v) for k, v in (settings or {}).items()},
        command=command,
        trials=1 if trials is None else round(trials.count),
    )


def evidence(equity: Floats, trials: Trials | None = None) -> dict[str, float]:
    """Whether the Sharpe ratio is more than luck: ``probabilistic_sharpe`` (above 0), ``minimum_track_record`` (bars,
    to say so at 95 %) and, with trials, ``deflated_sharpe``; see `pregao.simulation.significance`."""
    before = equity[:-1]
    sample = Sample.of(np.diff(equity) / np.where(before > 0, before, np.nan))
    found = {
        "probabilistic_sharpe": probabilistic_sharpe(sample).value,
        "minimum_track_record": minimum_track_record(sample).value,
    }
    return found if trials is None else found | {"deflated_sharpe": deflated_sharpe(sample, trials).value}


def named(model: Slippage) -> str:
    """A model of slippage as a command line names it: `pregao.simulation.slippage.parse` reads it back."""
    if isinstance(model, FixedSlippage):
        return f"{model.ppm / 10_000:.10g}%"
    if isinstance(model, HalfSpread):
        return f"spread:{2 * model.ppm / 10_000:.10g}%"
    if isinstance(model, EstimatedSpread):
        return f"{model.method.replace('_', '-')}:{model.window}"
    if isinstance(model, VolumeShare):
        return f"volume-share:{model.k:.17g}"
    return f"sqrt-impact:{model.k:.17g}:{model.window}"


def plan_settings(plan: Plan) -> dict[str, str]:
    """What a plan sets, by name: what is as it is by default in the terms is left out."""
    instrument = plan.instrument
    settings = {
        "instrument": instrument.key,
        "cash": f"{instrument.money(plan.cash_quanta):f} {instrument.quote}",
        "entry_value": f"{instrument.money(plan.entry_quanta):f} {instrument.quote}",
        "take_profit": _percent(plan.take_profit_ppm),
        "stop_loss": _percent(plan.stop_loss_ppm),
        "horizon": str(plan.horizon_bars),
    }
    settings = {k: _short(v) for k, v in settings.items()}
    default = Terms()
    for field in dataclasses.fields(plan.terms):
        value = getattr(plan.terms, field.name)
        if value != getattr(default, field.name) or field.name in ("fees", "slippage", "path"):
            settings[field.name] = _setting(field.name, value)
    return settings


def _setting(name: str, value: Any) -> str:
    if name == "slippage":
        return " + ".join(named(model) for model in value) or "0"
    if name == "actions":
        return str(len(value))
    if isinstance(value, FeeSchedule):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        told = {k: v for k, v in fields.items() if v != getattr(FeeSchedule(), k)}
        return ", ".join(f"{k} {len(v) if isinstance(v, tuple) else v}" for k, v in told.items()) or "0"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:.10g} %"


def _short(amount: str) -> str:
    """Without the zeros after a decimal point: 10000.00000000 USD is 10000 USD."""
    number, _, rest = amount.partition(" ")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"{number} {rest}".strip()


def _event_fields() -> tuple[str, ...]:
    from pregao.simulation.engine import Event

    return Event._fields


def _fills(events: pd.DataFrame) -> pd.DataFrame:
    """The fills, with the position before each and whether it opened or closed one."""
    fills = events[events["kind"] == "fill"].copy()
    before = fills["position_lots"] - fills["side"] * fills["qty_lots"]
    fills["opens"] = (before * fills["side"] <= 0) & (fills["position_lots"] * fills["side"] > 0)
    fills["closes"] = (before * fills["side"] < 0) & (fills["position_lots"] * fills["side"] >= 0)
    return fills


def _costs(events: pd.DataFrame, fills: pd.DataFrame, quantum: float, unit: float) -> dict[str, float]:
    """What each of `COSTS` took, over all fills: those of a position that is still open too."""
    lots = fills["qty_lots"]
    other = fills["slippage_ticks"] - fills["spread_ticks"] - fills["impact_ticks"]
    return {
        "fees": float(fills["fee_quanta"].sum()) * quantum,
        "slippage": float((other * lots).sum()) * unit,
        "spread": float((fills["spread_ticks"] * lots).sum()) * unit,
        "impact": float((fills["impact_ticks"] * lots).sum()) * unit,
        "funding": 0.0 - _flows(events, "funding") * quantum,
        "borrow": 0.0 - _flows(events, "interest") * quantum,
    }


def _flows(events: pd.DataFrame, kind: str) -> float:
    """What events of a kind paid in, in quanta."""
    return float(events.loc[events["kind"] == kind, "amount_quanta"].sum())


def _trades(trades: pd.DataFrame, fills: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """The round trips with the why of the fill that opened and of the one that closed each."""
    instrument = plan.instrument
    sides = trades["side"].to_numpy(dtype=np.int64)
    frame = pd.DataFrame({
        "instrument": [instrument.symbol] * len(trades),
        "side": np.where(sides > 0, "long", "short"),
        "entry_time": pd.DatetimeIndex(trades["entry_ns"].to_numpy("datetime64[ns]"), tz="UTC"),
        "exit_time": pd.DatetimeIndex(trades["exit_ns"].to_numpy("datetime64[ns]"), tz="UTC"),
    })  # fmt: skip
    same = ("quantity", "entry_price", "exit_price", "pnl", "net_return", "fees", "exit_role", "ambiguous")
    for name in same:
        frame[name] = trades[name].to_numpy()
    opened = _why(trades["entry_ns"].to_numpy(), sides, fills[fills["opens"]], plan)
    closed = _why(trades["exit_ns"].to_numpy(), -sides, fills[fills["closes"]], plan)
    for name in ("order", "rule", "reference", "slippage", "liquidity"):
        frame[f"entry_{name}"], frame[f"exit_{name}"] = opened[name].to_numpy(), closed[name].to_numpy()
    return typed_trades(frame[list(TRADE_COLUMNS)])


def _why(ts_ns: Any, sides: Any, fills: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """For each time and side its fill, the first for the first trade there and so on; missing where there is none."""
    tick = plan.instrument.tick_size
    wanted = pd.DataFrame({"ts_ns": np.asarray(ts_ns, np.int64), "side": sides})
    found = pd.DataFrame({
        "ts_ns": fills["ts_ns"], "side": fills["side"], "order": fills["order_kind"], "rule": fills["rule"],
        "reference": prices(fills["reference_ticks"].to_numpy(np.int64), tick),
        "slippage": prices(fills["slippage_ticks"].to_numpy(np.int64), tick), "liquidity": fills["liquidity"],
    })  # fmt: skip
    for frame in (wanted, found):
        frame["nth"] = frame.groupby(["ts_ns", "side"]).cumcount()
    return wanted.merge(found, on=["ts_ns", "side", "nth"], how="left", validate="one_to_one")
