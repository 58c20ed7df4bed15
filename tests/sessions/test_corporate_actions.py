"""A session over a split and a dividend: held positions and resting exits change as they do in a backtest."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from live_session import Running, bars_of, rows, states
from probe_market import INSTRUMENT, a_spec, random_walk
from waiting import wait
from yahoo.fixtures import yahoo
from yahoo.market import Stock

from pregao.core.bars import Bars
from pregao.market.sources.yfinance_live import YahooWire
from pregao.market.store import Store
from pregao.sessions.assembly import assembled
from pregao.sessions.audit import audit
from pregao.sessions.control import spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.recovery import recover
from pregao.sessions.runtime import run
from pregao.strategies.backtest import backtest
from pregao.strategies.registry import configured

__all__ = ["yahoo"]
SPLIT, DIVIDEND = 150, 220


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ratio", [Fraction(3), Fraction(1, 5)])
def test_a_split_and_a_dividend_reach_a_session_that_follows_the_market(
    yahoo: Any, plugin: None, journal: Journal, monkeypatch: pytest.MonkeyPatch, ratio: Fraction
) -> None:
    """The market's own answer tells of them before the first price that is ex: nobody has ingested anything, no bar is
    held back, and a stop loss that lies far nearer than the fall of the price does not act."""
    days = Stock("OTHER", "Other Inc.", "2026-01-02", 50.0, 20).sessions
    first, second = (days.iloc[len(days[days["close"] < time.time()]) - back] for back in (3, 2))
    name = pd.Timestamp(int(second["day"]), unit="s").strftime("%Y-%m-%d")
    yahoo.stocks["SPLT"] = Stock(
        "SPLT", "Split Inc.", "2026-01-02", 90.0, 21, splits={name: ratio}, dividends={name: 0.25}
    )
    yahoo.now = float(first["close"] - 20 * 60)
    monkeypatch.setattr(YahooWire.__init__, "__defaults__", (lambda: int(yahoo.now * 1e9),))
    feed = {
        "kind": "live", "source": "yfinance", "symbol": "SPLT", "stale_s": 30, "poll_s": 0.2,
        "options": {"address": yahoo.address, "attempts": 1, "pause_s": 0.01},
    }  # fmt: skip
    spec = {
        "instrument": "yfinance/yahoo/SPLT", "timeframe": "1m", "strategy": "buy-and-hold", "feed": feed,
        "take_profit": 15, "stop_loss": 15, "risk": {"profile": "aggressive"},
    }  # fmt: skip
    session_id = start(spec_of(spec), journal)

    def pass_by(seconds: float, until: int) -> None:
        while bars_of(journal, session_id)[-1].close_ns < until * 10**9:
            bars = journal.session(session_id).bars
            yahoo.now += seconds
            wait(lambda: journal.session(session_id).bars > bars, 60)  # noqa: B023

    with Running(journal, session_id):
        wait(lambda: journal.session(session_id).status == "running")
        yahoo.now += 70
        wait(lambda: journal.session(session_id).bars)
        pass_by(60, int(first["close"]) - 60)
        held = journal.session(session_id).position_lots
        assert held
        last = rows(journal, session_id, "bar")[-1].body
    yahoo.now = float(second["open"] + 10)
    with Running(journal, session_id):  # its runner had gone for the night
        yahoo.now += 60
        wait(lambda: rows(journal, session_id, "actions"))
        bars = journal.session(session_id).bars
        yahoo.now += 60
        wait(lambda: journal.session(session_id).bars > bars)
        pass_by(60, int(second["open"]) + 5 * 60)

    told = [row for found in rows(journal, session_id, "actions") for row in found.body["actions"]]
    assert [row[1:] for row in told] == [["split", str(ratio)], ["dividend", "0.25"]]
    assert journal.session(session_id).position_lots == int(held * ratio)  # what is less than a share is paid out
    assert states(journal, session_id).count("held") == 0
    ex = next(r.body for r in rows(journal, session_id, "bar") if r.ts_ns > second["open"] * 10**9)
    assert abs(ex["tp"] - last["tp"] / ratio) <= 1
    assert abs(ex["sl"] - (last["sl"] / ratio - 25)) <= 1  # a resting sale below the market makes room for a dividend
    assert abs(ex["eq"] / last["eq"] - 1) < 0.05
    assert [r.body["role"] for r in rows(journal, session_id, "fill")] == ["entry"]
    happened = [r.body["state"] for r in rows(journal, session_id, "order")]
    assert happened.count("split") == happened.count("dividend") == 1
    assert audit(journal, session_id).identical


def halved() -> Bars:
    """A market whose prices halve at bar 150: two shares for one."""
    bars = random_walk(300)
    after = np.arange(len(bars)) >= SPLIT
    prices = [np.where(after, column // 2, column) for column in (bars.open, bars.high, bars.low, bars.close)]
    return Bars(bars.instrument, bars.timeframe, bars.open_ns, *prices, bars.volume)


def test_a_split_and_a_dividend_over_a_held_position_with_resting_exits(
    home: Any, plugin: None, journal: Journal
) -> None:
    bars = halved()
    store = Store()
    store.write(bars)
    times = pd.to_datetime([bars.open_ns[SPLIT], bars.open_ns[DIVIDEND]], utc=True)
    store.write_actions(INSTRUMENT, pd.DataFrame({"timestamp": times, "split": ["2:1", "0"], "dividend": [0, "1.5"]}))
    spec = a_spec(config={"every": 4, "leave": 1_000}, take_profit=60, stop_loss=60)
    calm, torn = start(spec, journal), start(spec, journal)
    assert run(calm, journal) == "finished"
    for share in (SPLIT - 10, SPLIT + 60):  # the second time its snapshot is from after the split
        run(torn, journal, stop=lambda: journal.session(torn).bars >= share)  # noqa: B023
    assert run(torn, journal) == "finished"

    row = journal.session(calm)
    part = assembled(row).first
    plan = replace(part.plan, terms=replace(part.plan.terms, actions=store.actions(INSTRUMENT)))
    result = backtest(configured("probe", row.spec.config), bars, plan, seed=7)
    for session_id in (calm, torn):
        lived = [r for r in journal.rows(session_id, limit=10**6) if r.kind == "bar"]
        assert [r.body["eq"] for r in lived] == result.equity.tolist()
        assert audit(journal, session_id).identical
    before, after = lived[SPLIT - 1].body, lived[SPLIT].body
    assert after["pos"] == 2 * before["pos"] != 0
    assert abs(2 * after["tp"] - before["tp"]) <= 1
    assert abs(2 * after["sl"] - before["sl"]) <= 1
    told = [
        r for r in journal.rows(calm, limit=10**6) if r.kind == "order" and r.body["state"] in ("split", "dividend")
    ]
    assert [r.body["state"] for r in told] == ["split", "dividend"]
    machine = recover(journal, torn, assembled(row).machine)
    assert machine.engine.account.dividends_quanta == told[1].body["amount"]
