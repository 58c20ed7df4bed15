"""backtrader: bracket orders (market parent, stop and limit children), data preloaded, ``runonce``."""

from __future__ import annotations

import time

began = time.perf_counter()
from datetime import UTC, datetime  # noqa: E402

import backtrader as bt  # noqa: E402
from backtrader.feed import DataBase  # noqa: E402

took = time.perf_counter() - began

from benchmarks.peers.runners.timed import Timed, report, rows, task  # noqa: E402


class Arrays(DataBase):
    """A feed straight from lists, cheaper than its own from pandas."""

    params = (("columns", None), ("start_s", 0))

    def start(self):
        super().start()
        first = bt.date2num(datetime.fromtimestamp(self.p.start_s, UTC).replace(tzinfo=None))
        self.at, self.first = 0, first

    def _load(self):
        i, columns = self.at, self.p.columns
        if i == len(columns[0]):
            return False
        lines = self.lines
        lines.datetime[0] = self.first + i / 1440.0
        lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = (c[i] for c in columns)
        lines.openinterest[0] = 0.0
        self.at = i + 1
        return True


class Follow(bt.Strategy):
    """Enters on the job's signals and writes down what was executed."""

    params = (("works", None),)

    def __init__(self):
        self.filled = [[] for _ in self.datas]
        self.refused = 0
        self.number = {id(data): s for s, data in enumerate(self.datas)}

    def notify_order(self, order):
        if order.status == order.Completed:
            s = self.number[id(order.data)]
            self.filled[s].append((len(order.data) - 1, order.executed.price, order.executed.size, order.executed.comm))
        elif order.status in (order.Margin, order.Rejected):
            self.refused += 1

    def next(self):
        for s, data in enumerate(self.datas):
            signal, units, take, stop = self.p.works[s]
            i = len(data) - 1
            if signal[i] and not self.getposition(data).size:
                order = self.buy_bracket if signal[i] > 0 else self.sell_bracket
                order(data=data, size=units[i], exectype=bt.Order.Market, stopprice=stop[i], limitprice=take[i])


def main() -> None:
    """Run the job and report."""
    given = task()
    job = given.job
    take, stop = job.levels()
    columns = [
        [job.prices(k)[s].tolist() for k in ("open", "high", "low", "close")] + [job.volume[s].tolist()]
        for s in range(job.instruments)
    ]
    works = [
        (job.signal[s].tolist(), job.size[s].tolist(), take[s].tolist(), stop[s].tolist())
        for s in range(job.instruments)
    ]

    def setup():
        cerebro = bt.Cerebro(stdstats=False)
        for c in columns:
            cerebro.adddata(Arrays(columns=c, start_s=int(job.time_s[0]), timeframe=bt.TimeFrame.Minutes))
        cerebro.addstrategy(Follow, works=works)
        cerebro.broker.setcash(job.cash)
        cerebro.broker.setcommission(commission=job.fee)
        return cerebro

    timed = Timed()
    cerebro_and_strategy = timed.repeat(given.repeats, setup, lambda cerebro: (cerebro, cerebro.run()[0]))
    cerebro, strategy = cerebro_and_strategy
    found = []
    for s, fills in enumerate(strategy.filled):
        for (entry, price, size, fee), (leave, out, _, fee_out) in zip(fills[::2], fills[1::2], strict=False):
            found.append((s, entry, leave, price, out, size, size * (out - price) - fee - fee_out))
        if len(fills) % 2:
            entry, price, size, fee = fills[-1]
            last = job.prices("close")[s, -1]
            found.append((s, entry, -1, price, last, size, size * (last - price) - fee))
    report(
        given, "backtrader", bt.__version__, timed, rows(found), cerebro.broker.getvalue(),
        import_s=took, refused=strategy.refused,
    )  # fmt: skip


if __name__ == "__main__":
    main()
