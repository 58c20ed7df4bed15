"""Our engine under a rival's profile agrees with that rival's rules, written in plain Python, trade by trade."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.peers.differences import compare
from benchmarks.peers.job import TRADE, Job, make
from benchmarks.peers.rules import RULES, trades, variant
from benchmarks.peers.runners.pregao_ import market, plan_for, signals_for, trades_of

from pregao.simulation.backtest import run_signals


def ours(job: Job, name: str) -> tuple[np.ndarray, float]:
    """Our trades on the job under a profile, and the equity at the end."""
    found, equity = [], job.cash
    for s in range(job.instruments):
        bars = market(job, s)
        result = run_signals(bars, plan_for(job, bars, name), signals_for(job, s, name))
        found += trades_of(job, s, bars, result.events)
        equity += result.final_equity - job.cash
    return np.array(found, TRADE), equity


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("sides", ["long", "short", "both"])
@pytest.mark.parametrize("bars", ["5k-wide", "5k-shaven", "5k-ties", "50k"])
def test_trade_by_trade(name: str, bars: str, sides: str) -> None:
    job = make(bars, sides)
    theirs, equity = trades(job, variant(name, back_in_time=False))
    mine, my_equity = ours(job, name)
    met = compare(theirs, mine)
    assert met.equal, met.first
    assert met.trades[0] > 300
    assert met.pnl < 1e-4
    assert my_equity == pytest.approx(equity, abs=0.005)


def test_several_instruments() -> None:
    job = make("10x50k")
    met = compare(trades(job, RULES["backtrader"])[0], ours(job, "backtrader")[0])
    assert met.equal, met.first
    assert met.trades[0] > 3_000
