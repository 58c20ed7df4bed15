"""The tear sheet: a backtest on one page that needs nothing but itself.

One HTML file without scripts, fonts or pictures from elsewhere (its own content policy forbids them), in light or dark
by the reader's system, for a screen of any width and for paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from pregao import __version__
from pregao.reporting import figures
from pregao.reporting.axes import step
from pregao.reporting.figures import Cell, sign_of
from pregao.reporting.plots import Frame, Line, histogram, over_time
from pregao.reporting.sheet import Floats, Sheet
from pregao.reporting.wording import Words
from pregao.simulation.report import rolling_sharpe


@dataclass(frozen=True, slots=True)
class Card:
    """A figure of the headline, a second one beside it, and what it is held against."""

    title: str
    main: Cell
    under: str
    beside: Cell | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """The result between its worst and its best path: the amounts, and where they are, from 0 to 100."""

    worst: Cell
    own: Cell
    best: Cell
    worst_at: float
    own_at: float
    best_at: float
    zero_at: float


@dataclass(frozen=True, slots=True)
class Rolling:
    """The rolling Sharpe ratio: its window, and the plot; empty without one."""

    note: str
    plot: Markup


_DAY_NS = 86_400 * 10**9
_STRIPS = 8
"""Instruments that get a strip of their own; more are drawn as their sum."""


def tearsheet(sheet: Sheet, language: str = "en", head: int = 20, tail: int = 20) -> str:
    """The page as HTML text; the same sheet gives the same text.

    Args:
        language: ``en`` or ``pt-BR``.
        head, tail: how many of the first and of the last trades are listed.

    Raises:
        NotFoundError: for another language.
    """
    words = Words(language)
    ambiguity, track = _interval(sheet, words)
    first, last = figures.trades(sheet, words, head, tail)
    return _template().render(
        sheet=sheet,
        words=words,
        style=Markup(_read("tearsheet.css")),
        version=__version__,
        period=_period(sheet, words),
        cards=_cards(sheet, words),
        costs_rule=figures.fees_and_slippage(sheet, words),
        groups=figures.groups(sheet, words),
        ambiguity=ambiguity,
        track=track,
        luck=_luck(sheet, words),
        equity=_equity(sheet, words),
        drawdown=_drawdown(sheet, words),
        strips=_exposure(sheet, words),
        rolling=_rolling(sheet, words),
        distribution=_distribution(sheet, words),
        months=figures.months(sheet, words),
        falls=figures.falls(sheet, words),
        instruments=figures.instruments(sheet, words),
        costs=figures.costs(sheet, words),
        trades=first,
        last_trades=last,
        settings=figures.settings(sheet, words),
    )


def write_tearsheet(sheet: Sheet, path: Path, language: str = "en", head: int = 20, tail: int = 20) -> None:
    """Write the page, UTF-8."""
    path.write_text(tearsheet(sheet, language, head, tail), encoding="utf-8")


@cache
def _template() -> Template:
    # Every value is escaped unless it is Markup, which only the plots and the style sheet are.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_read("tearsheet.html"))


def _read(name: str) -> str:
    return files("pregao.reporting").joinpath(name).read_text(encoding="utf-8")


def _period(sheet: Sheet, words: Words) -> str:
    last = int(sheet.close_ns[-1])
    when, end = (words.moment, last) if sheet.intraday else (words.day, last - 1)
    return words("range", first=when(sheet.open_ns), last=when(end))


def _cards(sheet: Sheet, words: Words) -> list[Card]:
    show = figures.shows(words, sheet.currency)
    own, held = sheet.figures, sheet.held_figures
    n = int(own["trades"])
    trades = words(("without_trades", "of_one_trade")[n]) if n < 2 else words("of_trades", n=words.number(n, 0))
    sign = sign_of(sheet.pnl)

    def against(name: str) -> str:
        return "" if held is None else words("holding_made", value=show[name](held[name]))

    paid = f"{words('fees')} {show['fees'](sheet.costs.get('fees', math.nan))}"
    return [
        Card(
            words("result"), Cell(show["pnl"](sheet.pnl), sign), against("net_return"),
            Cell(show["net_return"](own["net_return"]), sign),
        ),
        Card(words("sharpe"), Cell(show["sharpe"](own["sharpe"])), against("sharpe")),
        Card(words("max_drawdown"), Cell(show["max_drawdown"](own["max_drawdown"])), against("max_drawdown")),
        Card(words("hit_rate"), Cell(show["hit_rate"](own["hit_rate"])), trades),
        Card(words("profit_factor"), Cell(show["profit_factor"](own["profit_factor"])), paid),
    ]  # fmt: skip


def _interval(sheet: Sheet, words: Words) -> tuple[str, Track | None]:
    """What is to be said of the ambiguous bars, and the track if they matter; empty if nothing is known of them."""
    found = sheet.interval
    if found is None:
        return "", None
    if found.bars == 0:
        return words("interval_none"), None
    n = words.number(found.bars, 0)
    if not math.isfinite(found.worst + found.best):
        return words("interval_unknown", n=n), None
    low, high = min(found.worst, sheet.pnl, 0.0), max(found.best, sheet.pnl, 0.0)
    span = (high - low) or 1.0

    def cell(value: float) -> Cell:
        return Cell(words.money(value, sheet.currency, sign=True), sign_of(value))

    worst_at, own_at, best_at, zero_at = (100 * (v - low) / span for v in (found.worst, sheet.pnl, found.best, 0.0))
    said = words("interval_one") if found.bars == 1 else words("interval_some", n=n)
    return said, Track(cell(found.worst), cell(sheet.pnl), cell(found.best), worst_at, own_at, best_at, zero_at)


def _luck(sheet: Sheet, words: Words) -> str:
    found = sheet.luck
    if found is None:
        return ""
    mean, low, high = (words.percent(v, sign=True) for v in (found.mean, found.low, found.high))
    return words("luck", runs=words.number(found.runs, 0), mean=mean, low=low, high=high, p=words.percent(found.p, 1))


def _frame(words: Words, name: str, said: str, height: int, percent: bool = False, **more: Any) -> Frame:
    def label(value: float, decimals: int) -> str:
        return words.percent(value, max(0, decimals - 2)) if percent else words.number(value, decimals)

    return Frame(name, words(name), said, height, label, words.tick, **more)


def _equity(sheet: Sheet, words: Words) -> Markup:
    values = sheet.equity
    money = [words.money(float(v), sheet.currency) for v in (values[0], values[-1], values.min(), values.max())]
    said = words("equity_said", **dict(zip(("first", "last", "low", "high"), money, strict=True)))
    lines = [] if sheet.held is None else [Line(sheet.held, "held")]
    lines.append(Line(values, "own", filled=True))
    return over_time(_frame(words, "equity", said, 270, times=False, about=5), sheet.close_ns, lines, rule=sheet.cash)


def _drawdown(sheet: Sheet, words: Words) -> Markup:
    own = _under(sheet.equity)
    deepest = int(np.argmin(own))
    when = words.day(int(sheet.close_ns[deepest]) - 1)
    said = words("drawdown_said", depth=words.percent(-float(own[deepest])), when=when)
    lines = [] if sheet.held is None else [Line(_under(sheet.held), "held")]
    lines.append(Line(own, "fall", filled=True))
    frame = _frame(words, "drawdown", said, 110, percent=True, times=False, about=3)
    return over_time(frame, sheet.close_ns, lines, within=(None, 0.0))


def _under(equity: Floats) -> Floats:
    under: Floats = np.maximum.accumulate(equity)
    np.divide(equity, under, out=under)
    under -= 1
    return under


def _exposure(sheet: Sheet, words: Words) -> list[tuple[str, Markup]]:
    """A strip for each instrument, or one for their sum if they are many."""
    series = dict(sheet.exposure)
    if len(series) > _STRIPS:
        series = {"": np.sum(list(series.values()), axis=0)}
    strips = []
    for i, (name, values) in enumerate(series.items()):
        low, high = (words.percent(float(v), 0) for v in (values.min(), values.max()))
        exposure = words.percent(float(sheet.figures["exposure"]), 1)
        said = words("in_market_said", low=low, high=high, exposure=exposure)
        frame = Frame(
            f"in_market_{i}", f"{words('in_market')} {name}".strip(), said, 64 if len(series) == 1 else 44,
            lambda v, d: words.percent(v, max(0, d - 2)), words.tick, times=i == len(series) - 1, about=3,
        )  # fmt: skip
        line = Line(values, "held-position", filled=True, stepped=True)
        strips.append((name if len(series) > 1 else "", over_time(frame, sheet.close_ns, [line], within=(0.0, 0.0))))
    return strips


def _window(sheet: Sheet) -> tuple[int, int]:
    """Bars of the rolling window and its ns: a round time of at most a quarter of the range, and 20 bars at least."""
    n, span = len(sheet.equity), int(sheet.close_ns[-1]) - sheet.open_ns
    for days in (365, 182, 91, 30, 14, 7, 3, 1):
        if days * _DAY_NS <= span / 4:
            bars = round(n * days * _DAY_NS / span)
            return (bars, days * _DAY_NS) if bars >= 20 else (0, 0)
    return 0, 0


def _rolling(sheet: Sheet, words: Words) -> Rolling:
    window, ns = _window(sheet)
    values = rolling_sharpe(sheet.equity, sheet.per_year, window) if window else np.full(1, np.nan)
    known = values[np.isfinite(values)]
    if not len(known):
        return Rolling(words("rolling_short"), Markup(""))
    low, high, last = (words.number(float(v)) for v in (known.min(), known.max(), known[-1]))
    said = words("rolling_said", low=low, high=high, last=last)
    plot = over_time(_frame(words, "rolling_sharpe", said, 150), sheet.close_ns, [Line(values, "own")], rule=0.0)
    return Rolling(words("window_days", n=words.number(ns / _DAY_NS, 0)), plot)


def _distribution(sheet: Sheet, words: Words) -> Markup:
    """Trade returns in bins of a round width; what is far out is in the first and the last bin."""
    returns = sheet.trades["net_return"].to_numpy(dtype=np.float64)
    returns = returns[np.isfinite(returns)]
    if not len(returns):
        return Markup("")
    low, high = (float(v) for v in np.quantile(returns, [0.005, 0.995]))
    width = step(high - low, 30) if high > low else max(abs(high) / 10, 0.001)
    first, last = math.floor(low / width), math.floor(high / width) + 1
    edges: Floats = np.arange(first, last + 1, dtype=np.float64) * width
    counts, _ = np.histogram(np.clip(returns, edges[0], edges[-1]), edges)
    said = words(
        "distribution_said", n=words.number(len(returns), 0), low=words.percent(float(returns.min()), sign=True),
        high=words.percent(float(returns.max()), sign=True), median=words.percent(float(np.median(returns)), sign=True),
        won=words.number(int((returns > 0).sum()), 0), lost=words.number(int((returns < 0).sum()), 0),
    )  # fmt: skip
    frame = _frame(words, "distribution", said, 150)
    return histogram(frame, edges, counts, lambda v, d: words.percent(v, max(0, d - 2), sign=True))
