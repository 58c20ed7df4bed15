"""vectorbt ``Portfolio.from_signals``: entries moved on by one bar and filled at its open, stops as parts of the fill.

One portfolio, one column an instrument, all the cash in each column (it has no shared account that would change
anything here: no order lacks cash). Trades, profits and the final value are part of the timed run.
Variants: ``numba`` and ``rust`` (needs ``vectorbt[rust]``).
"""

from __future__ import annotations

import time

began = time.perf_counter()
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import vectorbt as vbt  # noqa: E402
from vectorbt.portfolio.enums import OppositeEntryMode, StopEntryPrice, StopExitPrice  # noqa: E402

took = time.perf_counter() - began

from benchmarks.peers.runners.timed import Timed, report, rows, task  # noqa: E402


def later(a: np.ndarray) -> np.ndarray:
    """Moved on by one bar, the first row empty; shape ``(n, m)`` as before."""
    out = np.zeros_like(a)
    out[1:] = a[:-1]
    return out


def main() -> None:
    """Run the job and report."""
    given = task(("numba", "rust"))
    job = given.job
    opens, highs, lows, closes = (job.prices(k).T.copy() for k in ("open", "high", "low", "close"))
    entries, shorts, size = (later(a.T.copy()) for a in (job.signal > 0, job.signal < 0, job.size))
    frame = pd.DataFrame(closes, index=pd.to_datetime(job.time_s, unit="s"))
    sides = {"short_entries": shorts, "short_exits": False} if shorts.any() else {"direction": "longonly"}

    def run(_):
        portfolio = vbt.Portfolio.from_signals(
            frame, entries=entries, exits=False, size=size, price=opens, open=opens, high=highs, low=lows,
            fees=job.fee, sl_stop=job.stop, tp_stop=job.take, stop_entry_price=StopEntryPrice.FillPrice,
            stop_exit_price=StopExitPrice.StopLimit, upon_opposite_entry=OppositeEntryMode.Ignore,
            init_cash=job.cash, freq="1min", engine=given.variant, **sides,
        )  # fmt: skip
        return portfolio.trades.records, np.atleast_1d(np.asarray(portfolio.final_value()))

    first, timed = Timed(), Timed()
    first.repeat(1, lambda: None, run)
    records, values = timed.repeat(given.repeats, lambda: None, run)
    found = []
    for t in records.itertuples():
        size = t.size if t.direction == 0 else -t.size
        entry_fee = t.entry_fees
        if t.status == 1:
            found.append((t.col, t.entry_idx, t.exit_idx, t.entry_price, t.exit_price, size, t.pnl))
        else:
            last = closes[-1, t.col]
            found.append((t.col, t.entry_idx, -1, t.entry_price, last, size, size * (last - t.entry_price) - entry_fee))
    name = "vectorbt" if given.variant == "numba" else "vectorbt, Rust engine"
    report(
        given, name, vbt.__version__, timed, rows(found), job.cash + float((values - job.cash).sum()),
        import_s=took, first_run_s=first.run_wall_s[0],
    )  # fmt: skip


if __name__ == "__main__":
    main()
