"""From a backtest's result to the sheet of a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pregao.reporting.books import Book, books_of
from pregao.reporting.plan_text import account_settings, named, plan_settings
from pregao.reporting.sheet import COSTS, INSTRUMENT_COLUMNS, Floats, Interval, Luck, Sheet
from pregao.simulation import layout
from pregao.simulation.backtest import Result
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.portfolio import PortfolioResult
from pregao.simulation.report import periods_per_year
from pregao.simulation.significance import (
    Sample,
    Trials,
    deflated_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
)

if TYPE_CHECKING:
    from pregao.simulation.terms import Terms


def sheet_of(
    result: Result | PortfolioResult,
    strategy: str,
    *,
    held: Result | PortfolioResult | None = None,
    luck: Luck | None = None,
    trials: Trials | None = None,
    data_version: str = "",
    model: str = "",
    settings: Mapping[str, object] | None = None,
    command: str = "",
) -> Sheet:
    """The sheet of a backtest on one instrument or on several in one account.

    Args:
        result: of the backtest.
        strategy: its name.
        held: buy and hold over the same bars.
        luck: random entries with the same exits.
        trials: everything that was tried before this was chosen; adds the deflated Sharpe ratio.
        data_version, model, command: see `Sheet`.
        settings: of the strategy, after those of the plan.
    """
    held_money, held_figures = (None, None) if held is None else (held.money, held.metrics())
    del held  # its arrays are as large as the result's
    books = books_of(result)
    costs, trades = [book.costs() for book in books], _trades(books)
    plans = [book.plan for book in books]
    terms = [plan.terms for plan in plans]
    times: Any = result.bars if isinstance(result, Result) else result.moments
    timeframe, close_ns = times.timeframe, times.close_ns
    money, bounds = result.money, result.interval
    figures = result.metrics()
    ambiguous = sum(result.engine.account_of(b).ambiguous for b in range(len(books)))
    return Sheet(
        strategy=strategy,
        instruments=tuple(book.name for book in books),
        timeframe=timeframe.name,
        intraday=timeframe.intraday,
        currency=result.currency if isinstance(result, PortfolioResult) else plans[0].instrument.quote,
        synthetic=any(plan.instrument.synthetic for plan in plans),
        open_ns=int(times.open_ns[0]),
        close_ns=close_ns,
        per_year=periods_per_year(times),
        cash=_cash(result),
        equity=money,
        figures=figures | evidence(money, trials),
        costs={name: sum(each[name] for each in costs) for name in COSTS},
        exposure=_exposure(result, money),
        trades=trades,
        digest=result.digest,
        held=held_money,
        held_figures=held_figures,
        luck=luck,
        interval=Interval(bounds.worst, bounds.best, ambiguous),
        per_instrument=_per_instrument(result),
        dividends=sum(book.paid_in(layout.PAID_DIVIDEND) for book in books),
        fee_ppm=_plain_fees(terms),
        slippage=_shared([tuple(named(model) for model in each.slippage) for each in terms]),
        path=" / ".join(dict.fromkeys(each.path for each in terms)),
        data_version=data_version,
        model=model,
        settings=_settings(result) | {k: str(v) for k, v in (settings or {}).items()},
        command=command,
        trials=1 if trials is None else round(trials.count),
    )


def evidence(equity: Floats, trials: Trials | None = None) -> dict[str, float]:
    """Whether the Sharpe ratio is more than luck: ``probabilistic_sharpe`` (above 0), ``minimum_track_record`` (bars,
    to say so at 95 %) and, with trials, ``deflated_sharpe``; see `pregao.simulation.significance`."""
    sample = Sample.of(_returns(equity))
    found = {
        "probabilistic_sharpe": probabilistic_sharpe(sample).value,
        "minimum_track_record": minimum_track_record(sample).value,
    }
    return found if trials is None else found | {"deflated_sharpe": deflated_sharpe(sample, trials).value}


def _returns(equity: Floats) -> Floats:
    """Simple returns per bar; NaN after the equity was used up. In one array: there may be ten million."""
    before = equity[:-1]
    returns: Floats = np.diff(equity)
    np.divide(returns, before, out=returns, where=before > 0)
    returns[before <= 0] = np.nan
    return returns


def _cash(result: Result | PortfolioResult) -> float:
    if isinstance(result, PortfolioResult):
        return result.cash
    return float(result.plan.instrument.money(result.plan.cash_quanta))


def _settings(result: Result | PortfolioResult) -> dict[str, str]:
    if isinstance(result, PortfolioResult):
        return account_settings(result.plans, result.names, result.began_with)
    return plan_settings(result.plan)


def _exposure(result: Result | PortfolioResult, money: Floats) -> dict[str, Floats]:
    """Value of each position over the equity at each close."""
    if isinstance(result, PortfolioResult):
        return {name: result.exposure(b) for b, name in enumerate(result.names)}
    instrument = result.plan.instrument
    unit = float(instrument.tick_quanta * instrument.quantum)  # money in one tick of one lot
    exposure: Floats = np.multiply(result.positions, result.bars.close, dtype=np.float64)  # ten million: no copies
    exposure *= unit
    np.divide(exposure, money, out=exposure, where=money > 0)
    exposure[money <= 0] = np.nan
    return {instrument.symbol: exposure}


def _per_instrument(result: Result | PortfolioResult) -> pd.DataFrame:
    """A row for each of several instruments; none for one alone, whose row would say what the sheet says."""
    if isinstance(result, PortfolioResult) and len(result.plans) > 1:
        return result.per_instrument
    return pd.DataFrame(columns=list(INSTRUMENT_COLUMNS))


def _trades(books: list[Book]) -> pd.DataFrame:
    """The round trips of all instruments, by the time of their end."""
    every = [book.explained() for book in books]
    if len(every) == 1:
        return every[0]
    joined = pd.concat(every, ignore_index=True)
    return joined.sort_values("exit_time", kind="stable", ignore_index=True)


def _plain_fees(terms: list[Terms]) -> tuple[int, int] | None:
    """The maker's and the taker's rate, if that is all there is to the fees and all instruments share it."""
    first = terms[0].fees
    plain = dataclasses.replace(first, maker_ppm=0, taker_ppm=0) == FeeSchedule()
    return (first.maker_ppm, first.taker_ppm) if plain and all(each.fees == first for each in terms) else None


def _shared(models: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The models of slippage that any instrument has, each once."""
    return tuple(dict.fromkeys(model for each in models for model in each))
