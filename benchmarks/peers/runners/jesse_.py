"""jesse ``research.backtest`` (no database): enters at the close, stop loss and take profit set along with the entry.

Futures, leverage 1, cross: its spot accounts refuse shorts. Variants: ``step`` (its usual simulator) and ``fast``.
"""

from __future__ import annotations

import os
import tempfile
import time

began = time.perf_counter()
HERE = os.getcwd()
os.chdir(tempfile.mkdtemp(prefix="peers_jesse_"))  # it wants a folder of its own to write into
os.makedirs("storage", exist_ok=True)
from importlib.metadata import version  # noqa: E402

import jesse.helpers as jh  # noqa: E402
import numpy as np  # noqa: E402
from jesse.research import backtest  # noqa: E402
from jesse.strategies import Strategy  # noqa: E402

took = time.perf_counter() - began
os.chdir(HERE)

from benchmarks.peers.runners.timed import Timed, report, rows, task  # noqa: E402

VENUE = "Binance Perpetual Futures"
WORK: dict[str, tuple[list, ...]] = {}


class Follow(Strategy):
    """Enters on the job's signals."""

    def before(self):
        self.vars["at"] = self.vars.get("at", -1) + 1

    def wanted(self):
        return WORK[self.symbol][0][self.vars["at"]]

    def should_long(self):
        return self.wanted() > 0

    def should_short(self):
        return self.wanted() < 0

    def should_cancel_entry(self):
        return False

    def bracket(self):
        _, units, take, stop = WORK[self.symbol]
        i = self.vars["at"]
        self.stop_loss = units[i], stop[i]
        self.take_profit = units[i], take[i]
        return units[i], self.price

    def go_long(self):
        self.buy = self.bracket()

    def go_short(self):
        self.sell = self.bracket()


def main() -> None:
    """Run the job and report."""
    given = task(("step", "fast"))
    job = given.job
    take, stop = job.levels()
    names = [f"S{s}-USDT" for s in range(job.instruments)]
    for s, name in enumerate(names):
        WORK[name] = (job.signal[s].tolist(), job.size[s].tolist(), take[s].tolist(), stop[s].tolist())
    config = {
        "starting_balance": job.cash, "fee": job.fee, "type": "futures", "futures_leverage": 1,
        "futures_leverage_mode": "cross", "exchange": VENUE, "warm_up_candles": 0,
    }  # fmt: skip
    routes = [{"exchange": VENUE, "strategy": Follow, "symbol": name, "timeframe": "1m"} for name in names]
    candles = {
        jh.key(VENUE, name): {
            "exchange": VENUE,
            "symbol": name,
            "candles": np.column_stack(
                [job.time_s * 1000.0, *(job.prices(k)[s] for k in ("open", "close", "high", "low")), job.volume[s]]
            ),
        }
        for s, name in enumerate(names)
    }
    os.chdir(tempfile.mkdtemp(prefix="peers_jesse_"))
    os.makedirs("storage", exist_ok=True)

    timed = Timed()
    result = timed.repeat(
        given.repeats,
        lambda: None,
        lambda _: backtest(config, routes, [], candles, fast_mode=given.variant == "fast"),
    )
    first, end = int(job.time_s[0]) * 1000, (int(job.time_s[-1]) + 60) * 1000
    found = []
    equity = result["metrics"]["finishing_balance"]
    for t in result["trades"]:
        s = names.index(t["symbol"])
        entry, leave = ((int(t[k]) - first) // 60_000 - 1 for k in ("opened_at", "closed_at"))
        size = t["qty"] if t["type"] == "long" else -t["qty"]
        if t["closed_at"] >= end and t["orders"][-1]["type"] == "MARKET":
            # sold at the last close because the run ends: give the fee of that back
            last = job.prices("close")[s, -1]
            fee = job.fee * t["qty"] * last
            equity += fee
            found.append((s, entry, -1, t["entry_price"], last, size, t["PNL"] + fee))
        else:
            found.append((s, entry, leave, t["entry_price"], t["exit_price"], size, t["PNL"]))
    name = "jesse" + (", fast mode" if given.variant == "fast" else "")
    report(given, name, version("jesse"), timed, rows(found), equity, import_s=took)


if __name__ == "__main__":
    main()
