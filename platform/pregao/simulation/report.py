"""The figures of a backtest, each by its usual definition."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars

YEAR_SECONDS = 365.25 * 86_400


def periods_per_year(bars: Bars) -> float:
    """Bars in a year, counted from the bars themselves, so that a stock's closed hours are not counted."""
    if len(bars) < 2:
        return YEAR_SECONDS / bars.timeframe.seconds
    span = (int(bars.open_ns[-1]) - int(bars.open_ns[0])) / 1e9
    return (len(bars) - 1) * YEAR_SECONDS / span


def metrics(
    equity: NDArray[np.float64], bars: Bars, trades: pd.DataFrame, exposed: NDArray[np.bool_]
) -> dict[str, float]:
    """Return, risk and trade figures.

    Args:
        equity: at each close, in the quote currency, shape ``(n,)``.
        bars: the bars traded over.
        trades: round trips as `trades.trades_of` makes them.
        exposed: whether a position was held at each close, shape ``(n,)``.

    Returns:
        ``net_return`` (of the first equity), ``annual_return`` (compounded), ``volatility`` and ``sharpe`` (annualised,
        of simple returns per bar, no risk-free rate), ``sortino`` (downside deviation about 0), ``max_drawdown``
        (positive fraction), ``calmar`` (annual return over maximum drawdown), ``exposure`` (fraction of bars),
        ``turnover`` (traded notional over mean equity), ``trades``, ``hit_rate``, ``profit_factor`` (gross gains over
        gross losses; infinite without a loss), ``mean_trade`` (mean net return), ``fees``. What has no value is NaN.
    """
    per_year = periods_per_year(bars)
    returns = np.diff(equity) / equity[:-1]
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else float("nan")
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2))) if len(returns) else float("nan")
    growth = equity[-1] / equity[0]
    years = len(returns) / per_year
    with np.errstate(over="ignore"):  # a few minutes' gain, compounded over a year, can be infinite
        annual = growth ** (1 / years) - 1 if years > 0 and growth > 0 else float("nan")
    drawdown = float(np.max(1 - equity / np.maximum.accumulate(equity)))
    mean = float(returns.mean()) if len(returns) else float("nan")
    pnl = trades["pnl"].to_numpy(dtype=np.float64)
    gains, losses = float(pnl[pnl > 0].sum()), float(-pnl[pnl < 0].sum())
    traded = float((trades["quantity"] * (trades["entry_price"] + trades["exit_price"])).sum())
    return {
        "net_return": float(growth - 1),
        "annual_return": float(annual),
        "volatility": spread * per_year**0.5,
        "sharpe": mean / spread * per_year**0.5 if spread > 0 else float("nan"),
        "sortino": mean / downside * per_year**0.5 if downside > 0 else float("nan"),
        "max_drawdown": drawdown,
        "calmar": float(annual / drawdown) if drawdown > 0 else float("nan"),
        "exposure": float(np.mean(exposed)),
        "turnover": traded / float(equity.mean()),
        "trades": float(len(pnl)),
        "hit_rate": float(np.mean(pnl > 0)) if len(pnl) else float("nan"),
        "profit_factor": gains / losses if losses > 0 else (float("inf") if gains > 0 else float("nan")),
        "mean_trade": float(trades["net_return"].mean()) if len(pnl) else float("nan"),
        "fees": float(trades["fees"].sum()),
    }
