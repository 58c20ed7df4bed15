"""backtesting.py: market entry with absolute levels given along with the order. One ``Backtest`` an instrument.

Variants: ``signals`` (given beforehand, as to every engine) and ``callback`` (the strategy averages the closes itself,
bar after bar, and finds the same crosses).
"""

from __future__ import annotations

import time

began = time.perf_counter()
import warnings  # noqa: E402
from importlib.metadata import version  # noqa: E402

import backtesting.backtesting  # noqa: E402
import pandas as pd  # noqa: E402

took = time.perf_counter() - began

from benchmarks.peers.job import FAST, SLOW  # noqa: E402
from benchmarks.peers.runners.timed import Timed, report, rows, task  # noqa: E402

warnings.filterwarnings("ignore", message=".*remain open at the end.*")  # they are marked at the last close
backtesting.backtesting._tqdm = lambda items, **_: items  # without its progress bar it is the same and faster


class Follow(backtesting.Strategy):
    """Enters on the job's signals."""

    work = None

    def init(self):
        self.signal, self.units, self.take, self.stop = self.work

    def next(self):
        i = len(self.data) - 1
        if self.signal[i] and not self.position:
            order = self.buy if self.signal[i] > 0 else self.sell
            order(size=self.units[i], sl=self.stop[i], tp=self.take[i])


class Average(Follow):
    """Finds the crosses by itself, from each new close."""

    def init(self):
        super().init()
        self.fast = self.slow = float(self.data.Close[0])  # it is called from bar 1 on
        self.above = False

    def next(self):
        close = self.data.Close[-1]
        self.fast += 2 / (FAST + 1) * (close - self.fast)
        self.slow += 2 / (SLOW + 1) * (close - self.slow)
        was, self.above = self.above, self.fast > self.slow
        i = len(self.data) - 1
        if self.above and not was and i >= SLOW and not self.position:
            self.buy(size=self.units[i], sl=self.stop[i], tp=self.take[i])


def main() -> None:
    """Run the job and report."""
    given = task(("signals", "callback"))
    job = given.job
    take, stop = job.levels()
    frames = [
        pd.DataFrame(
            {k.capitalize(): job.prices(k)[s] for k in ("open", "high", "low", "close")} | {"Volume": job.volume[s]},
            index=pd.to_datetime(job.time_s, unit="s"),
        )
        for s in range(job.instruments)
    ]
    works = [
        (job.signal[s].tolist(), job.size[s].astype(int).tolist(), take[s].tolist(), stop[s].tolist())
        for s in range(job.instruments)
    ]

    def setup():
        return [
            backtesting.Backtest(
                f, Average if given.variant == "callback" else Follow, cash=job.cash, commission=job.fee
            )
            for f in frames
        ]

    def run(tests):
        return [test.run(work=work) for test, work in zip(tests, works, strict=True)]

    timed = Timed()
    results = timed.repeat(given.repeats, setup, run)
    found, equity = [], job.cash
    for s, result in enumerate(results):
        for t in result._trades.itertuples():
            # its PnL column is net of both commissions
            found.append((s, t.EntryBar, t.ExitBar, t.EntryPrice, t.ExitPrice, t.Size, t.PnL))
        for t in result._strategy.trades:  # still open
            last = job.prices("close")[s, -1]
            pnl = t.size * (last - t.entry_price) - abs(t.size) * t.entry_price * job.fee
            found.append((s, t.entry_bar, -1, t.entry_price, last, t.size, pnl))
        equity += result["Equity Final [$]"] - job.cash
    name = "backtesting.py" + (", callback" if given.variant == "callback" else "")
    report(given, name, version("backtesting"), timed, rows(found), equity, import_s=took)


if __name__ == "__main__":
    main()
