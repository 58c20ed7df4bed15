"""The tables of a tear sheet as text: rows of cells in the reader's language."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pregao.reporting.sheet import COSTS, Sheet
from pregao.reporting.wording import Words
from pregao.simulation.report import drawdowns, monthly_returns

Show = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and the sign that colours it (1 gained, -1 lost, 0 neither)."""

    text: str
    sign: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of key figures: the strategy's and, where it has one, that of buy and hold."""

    title: str
    own: Cell
    held: Cell


@dataclass(frozen=True, slots=True)
class Group:
    """Figures under one heading; ``compared`` if buy and hold has any of them."""

    title: str
    figures: list[Figure]
    compared: bool


@dataclass(frozen=True, slots=True)
class Month:
    """A cell of the heat map: a return, and from 0 to 1 how strong its colour is."""

    text: str
    sign: int = 0
    strength: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """A row of what trading cost; ``share`` of the largest one, 0 to 1."""

    title: str
    amount: str
    of_cash: str
    share: float


@dataclass(frozen=True, slots=True)
class Fill:
    """Why a trade was entered or left: how it filled, from which price, and whether only the path could tell."""

    how: str
    price: str
    doubt: str


@dataclass(frozen=True, slots=True)
class Trade:
    """A row of the trades."""

    number: str
    instrument: str
    side: str
    opened: str
    closed: str
    quantity: str
    entry: str
    exit: str
    why_in: Fill
    why_out: Fill
    pnl: Cell
    net_return: Cell


_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("of_return", ("net_return", "annual_return", "pnl", "final_equity", "best_trade", "worst_trade")),
    (
        "of_risk",
        (
            "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "longest_drawdown_days", "value_at_risk",
            "expected_shortfall", "tail_ratio", "skew", "kurtosis",
        ),
    ),
    (
        "of_trading",
        (
            "trades", "hit_rate", "profit_factor", "payoff_ratio", "expectancy", "mean_trade", "losing_streak",
            "mean_bars_held", "exposure", "turnover", "fees",
        ),
    ),
    ("of_evidence", ("probabilistic_sharpe", "minimum_track_record", "deflated_sharpe", "random_p")),
)  # fmt: skip
_HELD = frozenset({
    "net_return", "annual_return", "pnl", "final_equity", "volatility", "sharpe", "sortino", "calmar", "max_drawdown",
    "longest_drawdown_days", "value_at_risk", "expected_shortfall", "tail_ratio", "skew", "kurtosis", "exposure",
})  # fmt: skip
"""Figures that mean something of a purchase that is never sold."""


_LATE = ("path", "finer", "close")


def shows(words: Words, currency: str) -> dict[str, Show]:
    """How each figure is written."""

    def ratio(value: float) -> str:
        return words.number(value)

    def count(value: float) -> str:
        return words.number(value, 0)

    def percent(value: float) -> str:
        return words.percent(value)

    def gain(value: float) -> str:
        return words.percent(value, sign=True)

    def money(value: float) -> str:
        return words.money(value, currency)

    def profit(value: float) -> str:
        return words.money(value, currency, sign=True)

    def chance(value: float) -> str:
        return words.percent(value, 1)

    return {
        **dict.fromkeys(("net_return", "annual_return", "mean_trade", "best_trade", "worst_trade"), gain),
        **dict.fromkeys(("volatility", "max_drawdown", "value_at_risk", "expected_shortfall"), percent),
        **dict.fromkeys(("sharpe", "sortino", "calmar", "tail_ratio", "skew", "kurtosis", "profit_factor"), ratio),
        **dict.fromkeys(("payoff_ratio", "turnover"), ratio),
        **dict.fromkeys(("trades", "losing_streak", "minimum_track_record"), count),
        **dict.fromkeys(("probabilistic_sharpe", "deflated_sharpe", "random_p", "hit_rate", "exposure"), chance),
        "longest_drawdown_days": lambda days: span(words, days),
        "mean_bars_held": lambda v: words.number(v, 1),
        **dict.fromkeys(("final_equity", "fees"), money),
        **dict.fromkeys(("pnl", "expectancy"), profit),
    }


def groups(sheet: Sheet, words: Words) -> list[Group]:
    """The key figures, beside those of buy and hold."""
    show = shows(words, sheet.currency)
    own, held = _all(sheet, sheet.figures), None
    if sheet.held is not None and sheet.held_figures is not None:
        ending = float(sheet.held[-1])
        held = {**sheet.held_figures, "final_equity": ending, "pnl": ending - sheet.cash}
    coloured = {"net_return", "annual_return", "pnl"}

    def cell(figures: Mapping[str, float] | None, name: str) -> Cell:
        if figures is None or name not in figures:
            return Cell("")
        value = figures[name]
        return Cell(show[name](value), sign_of(value) if name in coloured else 0)

    def figure(name: str) -> Figure:
        title = words(name, trials=words.number(sheet.trials, 0))
        return Figure(title, cell(own, name), cell(held if name in _HELD else None, name))

    found = [(title, [figure(name) for name in names if name in own]) for title, names in _GROUPS]
    return [Group(words(title), rows, any(f.held.text for f in rows)) for title, rows in found if rows]


def _all(sheet: Sheet, figures: Mapping[str, float]) -> dict[str, float]:
    more = {"final_equity": float(sheet.equity[-1]), "pnl": sheet.pnl, "fees": sheet.costs.get("fees", math.nan)}
    if sheet.luck is not None:
        more["random_p"] = sheet.luck.p
    return {**figures, **more}


def months(sheet: Sheet, words: Words) -> list[tuple[str, list[Month]]]:
    """The heat map: for each year, newest first, twelve months and the whole."""
    table = monthly_returns(sheet.equity, sheet.close_ns)
    values = table.to_numpy()
    strongest = float(np.nanquantile(np.abs(values[:, :12]), 0.95))  # one wild month would fade the rest

    def month(value: float, whole: bool) -> Month:
        if math.isnan(value):
            return Month("")
        strength = 0.0 if whole or not strongest > 0 else min(1.0, abs(value) / strongest)
        return Month(words.number(100 * value, 1, sign=True), sign_of(value), strength)

    rows = [
        (str(year), [month(float(v), i == 12) for i, v in enumerate(row)])
        for year, row in zip(table.index, values, strict=True)
    ]
    return rows[::-1]


def falls(sheet: Sheet, words: Words) -> list[tuple[str, str, str, str, str, str]]:
    """The deepest drawdowns: depth, peak, trough, recovery, days, bars."""
    when = words.moment if sheet.intraday else _last_day(words)
    return [
        (
            words.percent(row.depth), when(row.start.value), when(row.trough.value),
            words("not_recovered") if pd.isna(row.recovery) else when(row.recovery.value),
            span(words, row.days), words.number(row.bars, 0),
        )
        for row in rows_of(drawdowns(sheet.equity, sheet.close_ns))
    ]  # fmt: skip


def costs(sheet: Sheet, words: Words) -> list[Cost]:
    """What each cost took; those that were nothing are left out, but fees and slippage."""
    largest = max((abs(sheet.costs.get(name, 0.0)) for name in COSTS), default=0.0)
    rows = []
    for name in COSTS:
        amount = sheet.costs.get(name, 0.0)
        if amount or name in ("fees", "slippage"):
            title = words(f"cost_{name}") + (f" ({words('received')})" if amount < 0 else "")
            share = abs(amount) / largest if largest > 0 else 0.0
            rows.append(Cost(title, words.money(amount, sheet.currency), words.percent(amount / sheet.cash), share))
    return rows


def instruments(sheet: Sheet, words: Words) -> list[tuple[str, str, Cell, str, str, str, str, Cell]]:
    """A row for each instrument: name, trades, result, hit rate, profit factor, fees, exposure, the market's return."""
    show = shows(words, sheet.currency)
    return [
        (
            row.instrument, show["trades"](row.trades), Cell(show["pnl"](row.pnl), sign_of(row.pnl)),
            show["hit_rate"](row.hit_rate), show["profit_factor"](row.profit_factor), show["fees"](row.fees),
            show["exposure"](row.exposure), Cell(show["net_return"](row.market_return), sign_of(row.market_return)),
        )
        for row in rows_of(sheet.per_instrument)
    ]  # fmt: skip


def trades(sheet: Sheet, words: Words, head: int, tail: int) -> tuple[list[Trade], list[Trade]]:
    """The first ``head`` and the last ``tail`` trades; all of them in the first list if they are no more than that."""
    frame = sheet.trades
    if len(frame) <= head + tail:
        return _trades(frame, 1, sheet, words), []
    return (
        _trades(frame.iloc[:head], 1, sheet, words),
        _trades(frame.iloc[len(frame) - tail :], len(frame) - tail + 1, sheet, words),
    )


def _trades(frame: pd.DataFrame, first: int, sheet: Sheet, words: Words) -> list[Trade]:
    def when(time: pd.Timestamp, rule: str) -> str:
        if pd.isna(time):
            return ""
        if sheet.intraday:
            return words.moment(time.value)
        # What fills after the open is told at the close of its bar, which is midnight: it was the day before.
        return words.day(time.value - (not pd.isna(rule) and rule in _LATE))

    price_of, quantity_of = _digits(sheet.trades, words)
    rows = []
    for i, row in enumerate(rows_of(frame), first):
        price, quantity = price_of(row.instrument), quantity_of(row.instrument)
        rows.append(Trade(
            str(i), row.instrument, words.named("", row.side),
            when(row.entry_time, row.entry_rule), when(row.exit_time, row.exit_rule),
            quantity(row.quantity), price(row.entry_price), price(row.exit_price),
            _why(words, price, row, "entry"), _why(words, price, row, "exit"),
            Cell(words.money(row.pnl, sign=True), sign_of(row.pnl)),
            Cell(words.percent(row.net_return, sign=True), sign_of(row.net_return)),
        ))  # fmt: skip
    return rows


def _digits(trades: pd.DataFrame, words: Words) -> tuple[Callable[[str], Show], Callable[[str], Show]]:
    """How an instrument's prices and quantities are written: with the decimals of its grid, as far as trades show it.

    References and quantities lie on the grid; mean prices of several fills need not.
    """

    def shows_for(columns: tuple[str, ...], least: int) -> Callable[[str], Show]:
        needed = {
            str(name): max(least, *(words.decimals(value) for column in columns for value in group[column]))
            for name, group in trades.groupby("instrument")
        }
        return lambda instrument: lambda value: words.number(value, needed[instrument])

    return shows_for(("entry_reference", "exit_reference"), 2), shows_for(("quantity",), 0)


def _why(words: Words, price: Show, row: Any, which: str) -> Fill:
    """Why a trade was entered (``which`` is entry) or left (exit); what is missing (NA, empty, NaN) is not told."""
    reference, slippage = (float(getattr(row, f"{which}_{name}")) for name in ("reference", "slippage"))
    order, rule, liquidity = (getattr(row, f"{which}_{name}") for name in ("order", "rule", "liquidity"))
    role = row.exit_role if which == "exit" else ""

    def told(prefix: str, name: str) -> list[str]:
        return [words.named(prefix, name)] if not pd.isna(name) and name else []

    prices = [] if math.isnan(reference) else [words("reference", price=price(reference))]
    if prices and slippage and not math.isnan(slippage):
        prices.append(words("slipped", price=price(slippage)))
    how = told("role_", role) + told("kind_", order) + told("rule_", rule)
    doubt = words("ambiguous") if which == "exit" and row.ambiguous else ""
    return Fill(", ".join(how), ", ".join(prices + told("", liquidity)), doubt)


def _last_day(words: Words) -> Callable[[int], str]:
    """The day in which a bar of days traded, from its close at midnight."""
    return lambda ns: words.day(ns - 1)


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows as tuples with names, whose types only the frame's columns know."""
    return iter(frame.itertuples(index=False))


def span(words: Words, days: float) -> str:
    """A number of days: to a tenth below ten, unless it is whole."""
    return words.number(days, 1 if days < 10 and days % 1 else 0)


def sign_of(value: float) -> int:
    """1 for a gain, -1 for a loss, 0 for neither."""
    return 0 if math.isnan(value) or value == 0 else 1 if value > 0 else -1


def settings(sheet: Sheet, words: Words) -> list[tuple[str, str]]:
    """Everything that was set, named in the reader's language where the texts know it."""
    return [(words("set_" + k) if _known(words, k) else k, v) for k, v in sheet.settings.items()]


def _known(words: Words, name: str) -> bool:
    return words.named("set_", name) != name


def fees_and_slippage(sheet: Sheet, words: Words) -> str:
    """The costs in one line."""
    if sheet.fee_ppm is None:
        fees = words("fees_of", value=words("fee_more"))
    elif any(sheet.fee_ppm):
        maker, taker = (words.percent(ppm / 1e6, 4 if ppm % 100 else 2) for ppm in sheet.fee_ppm)
        both = words("fee_rate", taker=taker) if maker == taker else words("fee_rates", maker=maker, taker=taker)
        fees = words("fees_of", value=both)
    else:
        fees = ""
    models = [_slips(model, words) for model in sheet.slippage]
    slips = words("slips", value=" + ".join(models)) if models else ""
    return ", ".join(part for part in (fees, slips) if part) or words("no_costs")


def _slips(model: str, words: Words) -> str:
    """A model as a command line names it; a mere rate as other rates are written."""
    try:
        return words.percent(float(model.removesuffix("%")) / 100)
    except ValueError:
        return model
