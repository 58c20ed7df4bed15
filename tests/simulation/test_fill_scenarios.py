"""The fill rules as candle tables that a trader can check.

Prices are in units of 1 with tick 1, one lot is one unit, no costs unless the scenario says so. The signal of a bar is
decided at its close. Each expected fill is (bar, what, price, rule).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from candles import MINUTE, ONE, PLAN, candles

from pregao.core.bars import Bars
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.engine import Engine
from pregao.simulation.plan import simple_terms


@dataclass(frozen=True)
class Scenario:
    name: str
    table: str
    fills: list[tuple[int, str, int, str]]
    plan: dict[str, Any] = field(default_factory=dict)
    ambiguous: int = 0


SCENARIOS = [
    Scenario(
        "a decision at the close fills at the next open",
        """100 101 99 100 buy
           102 103 101 102""",
        [(1, "entry", 102, "open")],
    ),
    Scenario(
        "take profit inside the bar fills at its limit",
        """100 100 100 100 buy
           100 105 99 104
           104 112 103 111""",
        [(1, "entry", 100, "open"), (2, "take_profit", 110, "path")],
    ),
    Scenario(
        "a limit must be traded through: touching it is not enough",
        """100 100 100 100 buy
           100 110 99 104
           104 111 103 105""",
        [(1, "entry", 100, "open"), (2, "take_profit", 110, "path")],
    ),
    Scenario(
        "stop loss inside the bar fills at its trigger",
        """100 100 100 100 buy
           100 101 99 100
           100 101 94 96""",
        [(1, "entry", 100, "open"), (2, "stop_loss", 95, "path")],
    ),
    Scenario(
        "a stop needs only to be touched",
        """100 100 100 100 buy
           100 101 95 100""",
        [(1, "entry", 100, "open"), (1, "stop_loss", 95, "path")],
    ),
    Scenario(
        "the open gaps below the stop: it fills at the open, not at the stop",
        """100 100 100 100 buy
           100 101 99 100
           80 85 79 84""",
        [(1, "entry", 100, "open"), (2, "stop_loss", 80, "gap")],
    ),
    Scenario(
        "the open gaps above the target: it fills at the open, which is better",
        """100 100 100 100 buy
           100 101 99 100
           130 131 120 125""",
        [(1, "entry", 100, "open"), (2, "take_profit", 130, "gap")],
    ),
    Scenario(
        "both exits in one bar: the stop counts, and the bar is counted as ambiguous",
        """100 100 100 100 buy
           100 101 99 100
           100 115 90 112""",
        [(1, "entry", 100, "open"), (2, "stop_loss", 95, "path")],
        ambiguous=1,
    ),
    Scenario(
        "the bar of the entry can reach the target after its open",
        """100 100 100 100 buy
           100 112 99 111""",
        [(1, "entry", 100, "open"), (1, "take_profit", 110, "path")],
    ),
    Scenario(
        "an open beyond the target is no ambiguity although the bar later falls to the stop",
        """100 100 100 100 buy
           100 101 99 100
           120 121 90 91""",
        [(1, "entry", 100, "open"), (2, "take_profit", 120, "gap")],
    ),
    Scenario(
        "the exits are measured from the fill, not from the signal's close",
        """100 100 100 100 buy
           120 125 115 120
           120 133 118 130""",
        [(1, "entry", 120, "open"), (2, "take_profit", 132, "path")],
    ),
    Scenario(
        "an exit signal closes at the next open and cancels the bracket",
        """100 100 100 100 buy
           100 101 99 100 exit
           102 130 80 100
           100 130 80 100""",
        [(1, "entry", 100, "open"), (2, "exit", 102, "open")],
    ),
    Scenario(
        "a stop jumped over by the open goes before the exit that waits for the same open",
        """100 100 100 100 buy
           100 101 99 100 exit
           90 91 89 90""",
        [(1, "entry", 100, "open"), (2, "stop_loss", 90, "gap")],
    ),
    Scenario(
        "entries are ignored while a position is open",
        """100 100 100 100 buy
           100 101 99 100 buy
           100 101 99 100 buy
           100 101 99 100""",
        [(1, "entry", 100, "open")],
    ),
    Scenario(
        "after two bars the horizon closes at the next open",
        """100 100 100 100 buy
           100 101 99 100
           100 101 99 100
           103 104 102 103""",
        [(1, "entry", 100, "open"), (3, "exit", 103, "open")],
        plan={"horizon_bars": 2},
    ),
    Scenario(
        "market and stop orders slip against the trader, a limit does not",
        """1000 1000 1000 1000 buy
           1000 1010 990 1000
           1000 1200 990 1000 buy
           1000 1010 990 1000
           1000 1010 900 1000""",
        [(1, "entry", 1010, "open"), (2, "take_profit", 1111, "path"), (3, "entry", 1010, "open"),
         (4, "stop_loss", 949, "path")],
        plan={"terms": simple_terms(0, 10_000), "entry_quanta": 5000 * 10**8},
    ),
    Scenario(
        "short: target below, stop above",
        """100 100 100 100 sell
           100 101 99 100
           100 101 89 92""",
        [(1, "entry", 100, "open"), (2, "take_profit", 90, "path")],
    ),
    Scenario(
        "short: the open gaps above the stop",
        """100 100 100 100 sell
           100 101 99 100
           120 121 119 120""",
        [(1, "entry", 100, "open"), (2, "stop_loss", 120, "gap")],
    ),
    Scenario(
        "short: both exits in one bar",
        """100 100 100 100 sell
           100 101 99 100
           100 106 85 90""",
        [(1, "entry", 100, "open"), (2, "stop_loss", 105, "path")],
        ambiguous=1,
    ),
]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_fills(scenario: Scenario) -> None:
    bars, signals = candles(scenario.table)
    result = run_signals(bars, replace(PLAN, **scenario.plan), signals)
    found = [
        ((e.ts_ns - (MINUTE.ns if e.rule == "path" else 0)) // MINUTE.ns, e.role, e.price_ticks, e.rule)
        for e in result.history()
        if e.kind == "fill"
    ]
    assert found == scenario.fills
    assert result.engine.account.ambiguous == scenario.ambiguous


def fills(engine: Engine, bars: Bars, row: int) -> list[tuple[str, int, str]]:
    return [(e.order_kind, e.price_ticks, e.rule) for e in engine.step(bars.bar(row)) if e.kind == "fill"]


def test_a_limit_entry_can_be_stopped_out_in_its_bar_but_cannot_take_its_profit_there() -> None:
    bars, _ = candles(
        """100 100 100 100
           100 120 80 100"""
    )
    engine = Engine(PLAN)
    engine.step(bars.bar(0))
    engine.submit(layout.LIMIT, 1, qty_lots=5, price_ticks=90, role=layout.ENTRY)
    assert fills(engine, bars, 1) == [("limit", 90, "path"), ("stop", 85, "path")]

    bars, _ = candles(
        """100 100 100 100
           100 120 88 100
           100 101 95 100"""
    )
    engine = Engine(PLAN)
    engine.step(bars.bar(0))
    engine.submit(layout.LIMIT, 1, qty_lots=5, price_ticks=90, role=layout.ENTRY)
    assert fills(engine, bars, 1) == [("limit", 90, "path")]
    assert fills(engine, bars, 2) == [("limit", 100, "gap")], "its target of 99 is met at the next open"


def test_a_buy_stop_fills_at_its_trigger_or_at_a_gap() -> None:
    bars, _ = candles(
        """100 100 100 100
           100 106 99 105
           110 111 109 110"""
    )
    for trigger, row, expected in ((105, 1, ("stop", 105, "path")), (108, 2, ("stop", 110, "gap"))):
        engine = Engine(PLAN)
        engine.step(bars.bar(0))
        engine.submit(layout.STOP, 1, qty_lots=1, price_ticks=trigger)
        seen = [f for r in (1, 2) for f in fills(engine, bars, r)]
        assert seen == [expected], row


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"kind": layout.MARKET, "side": 1}, "quantity is not positive"),
        ({"kind": layout.MARKET, "side": 1, "qty_lots": -1}, "quantity is not positive"),
        ({"kind": layout.LIMIT, "side": 1, "qty_lots": 1}, "price is not positive"),
        ({"kind": layout.MARKET, "side": 1, "qty_lots": 2**40}, "amount too large"),
        ({"kind": layout.MARKET, "side": 1, "qty_lots": 20_000}, "no funds"),
        ({"kind": layout.MARKET, "side": 1, "qty_lots": 1, "reduce_only": True}, "reduce-only order would open"),
        ({"kind": layout.MARKET, "side": 1, "qty_lots": 1}, "below the minimum notional"),
        ({"kind": layout.MARKET, "side": -1, "qty_lots": 9}, "the instrument cannot be sold short"),
    ],
)  # fmt: skip
def test_reject_reasons(order: dict[str, int], reason: str) -> None:
    instrument = ONE.model_copy(update={"allow_short": False, "min_notional": Decimal(500)})
    bars, _ = candles("100 100 100 100")
    engine = Engine(replace(PLAN, instrument=instrument))
    engine.step(bars.bar(0))
    before = engine.account
    [event] = engine.submit(order.pop("kind"), order.pop("side"), **order)
    assert event.kind == "rejected"
    assert event.reason.startswith(reason)
    assert engine.account == before
    assert engine.open_orders() == []


def test_an_entry_by_value_spends_no_more_than_the_value_or_the_cash_with_its_fee() -> None:
    bars, signals = candles(
        """100 100 100 100 buy
           150 150 150 150"""
    )
    result = run_signals(bars, replace(PLAN, terms=simple_terms(1_000), cash_quanta=1000 * 10**8), signals)
    [fill] = [e for e in result.history() if e.kind == "fill"]
    assert fill.qty_lots == 6  # 6 * 150 = 900; 7 would be 1,050
    assert fill.fee_quanta == 90_000_000  # 0.1 % of 900
    assert fill.cash_quanta == (1000 - 900) * 10**8 - 90_000_000


def test_cancel_takes_an_order_out_once() -> None:
    bars, _ = candles("100 100 100 100")
    engine = Engine(PLAN)
    engine.step(bars.bar(0))
    [accepted] = engine.submit(layout.LIMIT, 1, qty_lots=1, price_ticks=90)
    [cancelled] = engine.cancel(accepted.order_id)
    assert (cancelled.kind, cancelled.reason) == ("cancelled", "requested")
    assert engine.cancel(accepted.order_id) == []
