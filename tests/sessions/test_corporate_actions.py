"""A session over a split and a dividend: held positions and resting exits change as they do in a backtest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from probe_market import INSTRUMENT, a_spec, random_walk

from pregao.core.bars import Bars
from pregao.market.store import Store
from pregao.sessions.assembly import assemble
from pregao.sessions.audit import audit
from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.sessions.recovery import recover
from pregao.sessions.runtime import run
from pregao.strategies.backtest import backtest
from pregao.strategies.registry import configured

SPLIT, DIVIDEND = 150, 220


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
    parts = assemble(row.spec, row.model_version, row.instrument)
    plan = replace(parts.plan, terms=replace(parts.plan.terms, actions=store.actions(INSTRUMENT)))
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
    machine = recover(journal, torn, parts.machine)
    assert machine.desk.engine.account.dividends_quanta == told[1].body["amount"]
