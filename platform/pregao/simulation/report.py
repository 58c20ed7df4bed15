"""The figures of a backtest, each by its usual definition; what has no value is NaN."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

YEAR_SECONDS = 365.25 * 86_400
_DAY_NS = 86_400 * 10**9
_TAIL = 0.05
_LEAST_DAYS = 20
"""Below this a share of 5 % is less than one day."""


def periods_per_year(bars: Bars) -> float:
    """Bars in a year, counted from the bars themselves, so that a stock's closed hours are not counted."""
    if len(bars) < 2:
        return YEAR_SECONDS / bars.timeframe.seconds
    span = (int(bars.open_ns[-1]) - int(bars.open_ns[0])) / 1e9
    return (len(bars) - 1) * YEAR_SECONDS / span


def metrics(equity: Floats, bars: Bars, trades: pd.DataFrame, exposed: NDArray[np.bool_]) -> dict[str, float]:
    """Return, risk and trade figures.

    Args:
        equity: at each close, in the quote currency, shape ``(n,)``.
        bars: the bars traded over.
        trades: round trips as `trades.trades_of` makes them.
        exposed: whether a position was held at each close, shape ``(n,)``.

    Returns:
        All of the following; what has no value is NaN.

        *Return and risk, of simple returns per bar:* ``net_return`` (of the first equity), ``annual_return``
        (compounded), ``volatility`` and ``sharpe`` (annualised, no risk-free rate), ``sortino`` (downside deviation
        about 0), ``skew`` and ``kurtosis`` (standardised moments; 0 and 3 for a normal distribution).

        *Drawdown:* ``max_drawdown`` (positive fraction of the peak), ``calmar`` (annual return over maximum drawdown),
        ``longest_drawdown_bars`` and ``longest_drawdown_days`` (from a peak to its recovery, or to the last close).

        *Tails, of returns per UTC day (per bar where bars are longer), from 20 of them on:* ``value_at_risk`` (the loss
        that one day in twenty reached or exceeded), ``expected_shortfall`` (mean loss of the worst twentieth), both
        positive for a loss, and ``tail_ratio`` (95 % quantile over the size of the 5 % quantile).

        *Activity:* ``exposure`` (fraction of bars), ``turnover`` (traded notional over mean equity),
        ``mean_bars_held`` (closes with a position, for each position taken).

        *Trades, net of fees:* ``trades``, ``hit_rate``, ``profit_factor`` (gross gains over gross losses; infinite
        without a loss), ``mean_trade``, ``best_trade`` and ``worst_trade`` (return of the money put in), ``expectancy``
        (mean profit, quote currency), ``payoff_ratio`` (mean gain over mean loss), ``losing_streak`` (most losses in a
        row), ``fees``.
    """
    per_year = periods_per_year(bars)
    close_ns = bars.close_ns
    net, mean, m2, m3, m4, falls, deepest, bars_below, ns_below = curve(equity, close_ns)
    n = len(equity) - 1
    years = n / per_year
    spread = math.sqrt(m2 * n / (n - 1)) if n > 1 else math.nan
    with np.errstate(over="ignore"):  # a few minutes' gain, compounded over a year, can be infinite
        annual = float(np.float64(1 + net) ** (1 / years)) - 1 if years > 0 and net > -1 else math.nan
    return {
        "net_return": net,
        "annual_return": annual,
        "volatility": spread * per_year**0.5,
        "sharpe": mean / spread * per_year**0.5 if spread > 0 else math.nan,
        "sortino": mean / math.sqrt(falls) * per_year**0.5 if falls > 0 else math.nan,
        "skew": m3 / m2**1.5 if m2 > 0 else math.nan,
        "kurtosis": m4 / m2**2 if m2 > 0 else math.nan,
        "max_drawdown": deepest,
        "calmar": annual / deepest if deepest > 0 else math.nan,
        "longest_drawdown_bars": float(bars_below),
        "longest_drawdown_days": ns_below / _DAY_NS,
        **_tails(_daily(equity, close_ns, bars.timeframe.intraday)),
        "exposure": float(np.mean(exposed)),
        **_of_trades(trades, equity, exposed),
    }


@compiled
def curve(
    equity: NDArray[np.generic], close_ns: Ints
) -> tuple[float, float, float, float, float, float, float, int, int]:
    """What an equity curve alone tells.

    Args:
        equity: at each close, in any unit, shape ``(n,)``, ``n >= 1``.
        close_ns: close times, shape ``(n,)``, or empty if the time under water is not asked for.

    Returns:
        Net return; mean, second, third and fourth central moment of the simple returns per bar, and mean square of
        the negative ones (NaN without returns, or where the equity was used up); maximum drawdown, a positive fraction;
        bars and ns of the longest drawdown, from a peak to its recovery or to the last bar.
    """
    n = len(equity) - 1
    first = float(equity[0])
    peak, deepest, before, total = first, 0.0, first, 0.0
    top, bars_below, ns_below = 0, 0, 0
    returns = np.empty(max(n, 0), np.float64)
    for i in range(n):
        now = float(equity[i + 1])
        returns[i] = (now - before) / before if before > 0 else np.nan
        total += returns[i]
        before = now
        if now >= peak:
            if i > top:  # the bar before was below the peak
                bars_below = max(bars_below, i + 1 - top)
                if len(close_ns):
                    ns_below = max(ns_below, close_ns[i + 1] - close_ns[top])
            peak, top = now, i + 1
        elif peak - now > deepest * peak:
            deepest = (peak - now) / peak
    if n > top:
        bars_below = max(bars_below, n - top)
        if len(close_ns):
            ns_below = max(ns_below, close_ns[n] - close_ns[top])
    mean = total / n if n > 0 else np.nan
    m2, m3, m4, falls = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        off = returns[i] - mean
        square = off * off
        m2 += square
        m3 += square * off
        m4 += square * square
        falls += min(returns[i], 0.0) ** 2
    if n > 0:
        m2, m3, m4, falls = m2 / n, m3 / n, m4 / n, falls / n
    else:
        m2, m3, m4, falls = np.nan, np.nan, np.nan, np.nan
    return before / first - 1, mean, m2, m3, m4, falls, deepest, bars_below, ns_below


def monthly_returns(equity: Floats, close_ns: Ints) -> pd.DataFrame:
    """Return of each calendar month (UTC) and year.

    A month's return is its last equity over the last of the month before, less 1; the first month counts from the first
    close. A bar belongs to the month in which it traded: one that closes at midnight, to the day that then ended. So
    the months of a year, and the years, compound to the net return.

    Args:
        equity: at each close, shape ``(n,)``.
        close_ns: close times, ns UTC, ascending, shape ``(n,)``.

    Returns:
        A row for each year from the first to the last (index ``year``), columns 1 to 12 and ``"year"``; NaN for a month
        or year without bars.
    """
    first, last_one = (np.datetime64(int(close_ns[i]) - 1, "ns").astype("datetime64[M]") for i in (0, -1))
    months = np.arange(first, last_one + 1)
    ends = _ends(close_ns, (months + 1).astype("datetime64[ns]").astype(np.int64))
    traded = np.diff(ends, prepend=-1) > 0
    months, ends = months[traded].astype(np.int64), ends[traded]
    last = equity[ends]
    base = np.concatenate([equity[:1], last[:-1]])
    each = last / np.where(base > 0, base, np.nan) - 1
    year, month = months // 12 + 1970, months % 12 + 1
    years = np.arange(year[0], year[-1] + 1)
    values = np.full((len(years), 13), np.nan)
    values[year - year[0], month - 1] = each
    known = ~np.isnan(values[:, :12])
    whole = np.prod(np.where(known, 1 + values[:, :12], 1.0), axis=1) - 1
    values[:, 12] = np.where(known.any(axis=1), whole, np.nan)
    return pd.DataFrame(values, index=pd.Index(years, name="year"), columns=[*range(1, 13), "year"])


def drawdowns(equity: Floats, close_ns: Ints, worst: int = 5) -> pd.DataFrame:
    """The deepest drawdowns, deepest first.

    A drawdown lasts from a peak (the last close at the highest equity so far) to the first close at that height again.

    Args:
        equity: at each close, shape ``(n,)``.
        close_ns: close times, ns UTC, shape ``(n,)``.
        worst: at most so many rows.

    Returns:
        Columns ``depth`` (positive fraction of the peak), ``start`` (the peak), ``trough`` and ``recovery`` (close
        times, UTC; NaT if it has not recovered), ``bars`` and ``days`` (from the peak to the recovery or, without one,
        to the last close).
    """
    peak = np.maximum.accumulate(equity)
    starts, ends, recovered = _spells(equity, peak)
    under = 1 - equity / peak
    depth = np.maximum.reduceat(under, starts) if len(starts) else np.empty(0)  # 0 from a recovery to the next peak
    kept = np.argsort(-depth, kind="stable")[:worst]
    begin, end = starts[kept], ends[kept]
    trough = np.array([b + int(np.argmax(under[b : e + 1])) for b, e in zip(begin, end, strict=True)], np.int64)
    return pd.DataFrame({
        "depth": depth[kept],
        "start": _utc(close_ns[begin]),
        "trough": _utc(close_ns[trough]),
        "recovery": pd.Series(_utc(close_ns[end])).where(recovered[kept]),
        "bars": end - begin,
        "days": (close_ns[end] - close_ns[begin]) / _DAY_NS,
    })  # fmt: skip


def rolling_sharpe(equity: Floats, per_year: float, window: int) -> Floats:
    """Annualised Sharpe ratio of the last ``window`` returns at each close, as `metrics` defines it.

    Args:
        equity: at each close, shape ``(n,)``.
        per_year: bars in a year, see `periods_per_year`.
        window: returns in it, at least 2.

    Returns:
        Shape ``(n,)``: NaN until ``window`` returns are there, and where they do not vary.
    """
    before = equity[:-1]
    returns = np.diff(equity) / np.where(before > 0, before, np.nan)
    found = np.full(len(equity), np.nan)
    if len(returns) < window:
        return found
    total, squares = (np.cumsum(np.concatenate([[0.0], x])) for x in (returns, returns * returns))
    mean = (total[window:] - total[:-window]) / window
    variance = (squares[window:] - squares[:-window]) / window - mean * mean
    noise = 1e-12 * squares[-1] / len(returns)  # what is left of the sums where the returns do not vary
    spread = np.sqrt(np.where(variance > noise, variance, np.nan) * window / (window - 1))
    found[window:] = mean / spread * per_year**0.5
    return found


def _daily(equity: Floats, close_ns: Ints, intraday: bool) -> Floats:
    if intraday:
        first, last = (int(close_ns[i] - 1) // _DAY_NS for i in (0, -1))
        ends = _ends(close_ns, np.arange(first + 1, last + 2, dtype=np.int64) * _DAY_NS)
        equity = np.concatenate([equity[:1], equity[np.unique(ends)]])
    before = equity[:-1]
    return np.asarray(np.diff(equity) / np.where(before > 0, before, np.nan), np.float64)


def _ends(close_ns: Ints, bounds_ns: Ints) -> Ints:
    """The last bar that closes at or before each bound."""
    return np.searchsorted(close_ns, bounds_ns, side="right") - 1


def _utc(ns: Ints) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(ns.astype("datetime64[ns]"), tz="UTC")


def _spells(equity: Floats, peak: Floats) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Where each drawdown starts (its peak) and ends (recovery or last bar), and whether it recovered."""
    tops = np.flatnonzero(equity >= peak)
    gaps = np.flatnonzero(np.diff(tops) > 1)
    starts, ends = tops[gaps], tops[gaps + 1]
    recovered = np.ones(len(starts), np.bool_)
    if tops[-1] < len(equity) - 1:
        starts, ends = np.append(starts, tops[-1]), np.append(ends, len(equity) - 1)
        recovered = np.append(recovered, False)
    return starts, ends, recovered


def _tails(days: Floats) -> dict[str, float]:
    """Historical value at risk and expected shortfall (Acerbi and Tasche's, coherent) at 95 %, and the tail ratio.

    Of ``n`` sorted returns the value at risk is the ``ceil(0.05 n)``-th, the shortfall the mean of the lowest ``0.05
    n``, the last of them in part.
    """
    days = np.sort(days)
    n = len(days)
    if n < _LEAST_DAYS or math.isnan(days[-1]):
        return dict.fromkeys(("value_at_risk", "expected_shortfall", "tail_ratio"), math.nan)
    whole = n // _LEAST_DAYS
    in_part = _TAIL * n - whole
    shortfall = (float(days[:whole].sum()) + in_part * float(days[whole])) / (_TAIL * n)
    low, high = np.quantile(days, [_TAIL, 1 - _TAIL])
    return {
        "value_at_risk": -float(days[-(-n // _LEAST_DAYS) - 1]),
        "expected_shortfall": -shortfall,
        "tail_ratio": float(high / -low) if low < 0 else math.nan,
    }


def _of_trades(trades: pd.DataFrame, equity: Floats, exposed: NDArray[np.bool_]) -> dict[str, float]:
    pnl = trades["pnl"].to_numpy(dtype=np.float64)
    net = trades["net_return"].to_numpy(dtype=np.float64)
    some = len(pnl) > 0
    won, lost = pnl[pnl > 0], pnl[pnl < 0]
    gains, losses = float(won.sum()), float(-lost.sum())
    traded = float((trades["quantity"] * (trades["entry_price"] + trades["exit_price"])).sum())
    taken = len(pnl) + int(exposed[-1])  # what is still open is no round trip yet
    return {
        "turnover": traded / float(equity.mean()),
        "mean_bars_held": float(np.count_nonzero(exposed)) / taken if taken else math.nan,
        "trades": float(len(pnl)),
        "hit_rate": float(np.mean(pnl > 0)) if some else math.nan,
        "profit_factor": gains / losses if losses > 0 else (math.inf if gains > 0 else math.nan),
        "mean_trade": float(net.mean()) if some else math.nan,
        "best_trade": float(net.max()) if some else math.nan,
        "worst_trade": float(net.min()) if some else math.nan,
        "expectancy": float(pnl.mean()) if some else math.nan,
        "payoff_ratio": float(won.mean() / -lost.mean()) if len(won) and len(lost) else math.nan,
        "losing_streak": float(_streak(pnl < 0)),
        "fees": float(trades["fees"].sum()),
    }


def _streak(flags: NDArray[np.bool_]) -> int:
    """The longest run of true."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
