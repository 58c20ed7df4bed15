"""The fill rules as candle tables that a trader can check: market, limit and stop orders, gaps, signals and rejections.

How a table is read is told in `tests/support/scenarios.py`. Prices are in units of 1 with tick 1, one lot is one unit,
and nothing costs anything unless the scenario says so. Each scenario is also played for the other side.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from candles import MINUTE, ONE, PLAN, candles
from scenarios import Scenario, both_sides, moments, one_side, play

from pregao.core.bars import Bars
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.engine import Engine
from pregao.simulation.plan import simple_terms

ORDERS = both_sides(
    Scenario(
        "a market order fills at the next open, wherever that is",
        """100 101  99 100 | buy 10
           102 103 101 102
           > buy 10 at 102 open taker ref 102 slip 0 position 10 realised 0
           = equity 1000000""",
    ),
    Scenario(
        "a market order does not fill in the candle at whose close it is decided",
        """100 110  90 105 | buy 10
           = position 0 orders 1
           105 105 105 105
           > buy 10 at 105 open""",
    ),
    Scenario(
        "market orders of one candle fill in the order in which they were placed",
        """100 100 100 100 | a: buy 10; b: sell 4; c: buy 1
           101 101 101 101
           > a: buy 10 at 101 open
           > b: sell 4 at 101 open realised 0
           > c: buy 1 at 101 open position 7""",
    ),
    Scenario(
        "a limit must be traded through: touching it is not enough",
        """100 100 100 100 | buy 10 limit 95
           100 101  95  99
           99  100  94  99
           > buy 10 at 95 path maker ref 95 slip 0""",
    ),
    Scenario(
        "a limit is touched, where that is enough",
        """100 100 100 100 | buy 10 limit 95
           100 101  95  99
           > buy 10 at 95 path maker""",
        {"touch_ppm": 1_000_000},
    ),
    Scenario(
        "a limit that the open has jumped over fills at the open, which is better; it takes what is there",
        """100 100 100 100 | buy 10 limit 95
            90 101  89  99
           > buy 10 at 90 gap taker""",
    ),
    Scenario(
        "a limit that has rested makes, also where a later open jumps over it",
        """100 100 100 100 | buy 10 limit 95
           100 101  96  99
            90 101  89  99
           > buy 10 at 90 gap maker""",
    ),
    Scenario(
        "an open at the limit itself does not fill it",
        """100 100 100 100 | buy 10 limit 95
            95 101  95  99
           = orders 1 position 0""",
    ),
    Scenario(
        "an open at the limit itself fills it, where a touch is enough",
        """100 100 100 100 | buy 10 limit 95
            95 101  95  99
           > buy 10 at 95 gap taker""",
        {"touch_ppm": 1_000_000},
    ),
    Scenario(
        "a limit on the wrong side of the market fills at the open, not at its limit",
        """100 100 100 100 | buy 10 limit 120
           100 101  99 100
           > buy 10 at 100 gap taker""",
    ),
    Scenario(
        "of several limits in reach the oldest fills first",
        """100 100 100 100 | a: buy 10 limit 95; b: buy 10 limit 97
           100 101  94  99
           > a: buy 10 at 95 path
           > b: buy 10 at 97 path""",
    ),
    Scenario(
        "a stop fills at its trigger when it is touched",
        """100 100 100 100 | buy 10 stop 105
           100 104  99 103
           103 105 102 104
           > buy 10 at 105 path taker""",
    ),
    Scenario(
        "a stop that the open has jumped over fills at the open, which is worse",
        """100 100 100 100 | buy 10 stop 105
           110 111 109 110
           > buy 10 at 110 gap taker""",
    ),
    Scenario(
        "an open at the trigger itself sets the stop off",
        """100 100 100 100 | buy 10 stop 105
           105 111 104 110
           > buy 10 at 105 gap taker""",
    ),
    Scenario(
        "a stop on the wrong side of the market fills at once",
        """100 100 100 100 | buy 10 stop 95
           100 101  99 100
           > buy 10 at 100 gap""",
    ),
    Scenario(
        "what the open fills comes before what the path fills, whichever is older",
        """100 100 100 100 | a: sell 10 stop 95; b: buy 10
           100 101  94  99
           > b: buy 10 at 100 open
           > a: sell 10 at 95 path""",
    ),
    Scenario(
        "both a buy stop above and a sell stop below are in reach: the older one first",
        """100 100 100 100 | a: sell 10 stop 95; b: buy 20 stop 105
           100 106  94 100
           > a: sell 10 at 95 path
           > b: buy 20 at 105 path position 10 realised -100""",
    ),
    Scenario(
        "a candle of one price fills what stands beyond it",
        """100 100 100 100 | buy 1 limit 101; buy 1 limit 100; buy 1 stop 100; buy 1 stop 101
           100 100 100 100
           > buy 1 at 100 gap
           > buy 1 at 100 gap
           = orders 2""",
    ),
)  # fmt: skip

MONEY = one_side(
    Scenario(
        "a buy is paid, and what is held is worth the close",
        """100 100 100 100 | buy 10
           100 101  98  98
           > buy 10 at 100 open cash 0 fee 0
           = cash 0 position 10 cost 1000 equity 980""",
        plan={"cash_quanta": 1000 * 10**8},
    ),
    Scenario(
        "half is sold: half of the cost goes, the difference is realised",
        """100 100 100 100 | buy 10
           100 100 100 100 | sell 5
           > buy 10 at 100 open
           110 110 110 110
           > sell 5 at 110 open realised 50 position 5
           = cost 500 realised 50 equity 1000100""",
    ),
    Scenario(
        "parts bought at different prices share one cost",
        """100 100 100 100 | buy 1
           101 101 101 101 | buy 2
           > buy 1 at 101 open
           103 103 103 103 | sell 1; sell 2
           > buy 2 at 103 open position 3
           = cost 307
           104 104 104 104
           > sell 1 at 104 open realised 1.66666667    # 104 less a third of 307, rounded down to a quantum
           > sell 2 at 104 open realised 3.33333333
           = cost 0 realised 5""",
    ),
    Scenario(
        "an order turns the position round: what is closed is realised, the rest opens at the new price",
        """100 100 100 100 | buy 10
           100 100 100 100 | sell 15
           > buy 10 at 100 open
           110 110 110 110
           > sell 15 at 110 open realised 100 position -5
           = cost -550 equity 1000100""",
    ),
    Scenario(
        "an entry by value spends no more than the value",
        """100 100 100 100 | buy 1000$
           150 150 150 150
           > buy 6 at 150 open    # 900; seven would cost 1,050
           = equity 1000000""",
    ),
    Scenario(
        "an entry by value spends no more than the cash, with its fee",
        """100 100 100 100 | buy 1000$
           100 100 100 100
           > buy 9 at 100 open fee 0.9 cash 99.1    # ten would cost 1,001""",
        {"fees": simple_terms(1_000).fees},
        {"cash_quanta": 1000 * 10**8},
    ),
    Scenario(
        "the price has risen beyond the cash: an order by quantity is not filled in part",
        """100 100 100 100 | buy 10
           101 101 101 101
           > rejected (no funds)
           = cash 1000 position 0 locked 0""",
        plan={"cash_quanta": 1000 * 10**8},
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*ORDERS, *MONEY])
def test_orders(scenario: Scenario) -> None:
    play(scenario)


SIGNALS = both_sides(
    Scenario(
        "a signal's entry fills at the next open and brings its exits along",
        """100 101  99 100 | long
           100 103  96 102
           > entry buy 10 at 100 open
           = orders 2""",
    ),
    Scenario(
        "take profit inside the candle fills at its limit",
        """100 100 100 100 | long
           100 105  99 104
           > entry buy 10 at 100 open
           104 112 103 111
           > profit sell 10 at 110 path maker realised 100
           = orders 0""",
    ),
    Scenario(
        "a target is a limit: touching it is not enough",
        """100 100 100 100 | long
           100 110  99 104
           > entry buy 10 at 100 open
           104 111 103 105
           > profit sell 10 at 110 path""",
    ),
    Scenario(
        "stop loss inside the candle fills at its trigger, and touching it is enough",
        """100 100 100 100 | long
           100 101  95 100
           > entry buy 10 at 100 open
           > stop sell 10 at 95 path taker realised -50""",
    ),
    Scenario(
        "the open gaps beyond the stop: it fills at the open",
        """100 100 100 100 | long
           100 101  99 100
           > entry buy 10 at 100 open
            80  85  79  84
           > stop sell 10 at 80 gap realised -200""",
    ),
    Scenario(
        "the open gaps beyond the target: it fills at the open, which is better",
        """100 100 100 100 | long
           100 101  99 100
           > entry buy 10 at 100 open
           130 131 120 125
           > profit sell 10 at 130 gap maker realised 300""",
    ),
    Scenario(
        "both exits in one candle: the stop counts, and the candle is counted",
        """100 100 100 100 | long
           100 101  99 100
           > entry buy 10 at 100 open
           100 115  90 112
           > stop sell 10 at 95 path ambiguous
           = ambiguous 1 best 150 worst 0 equity 999950""",
    ),
    Scenario(
        "the candle of the entry can reach the target after its open",
        """100 100 100 100 | long
           100 112  99 111
           > entry buy 10 at 100 open
           > profit sell 10 at 110 path""",
    ),
    Scenario(
        "an open beyond the target is no ambiguity although the candle later falls to the stop",
        """100 100 100 100 | long
           100 101  99 100
           > entry buy 10 at 100 open
           120 121  90  91
           > profit sell 10 at 120 gap
           = ambiguous 0""",
    ),
    Scenario(
        "an exit signal closes at the next open and cancels the bracket",
        """100 100 100 100 | long
           100 101  99 100 | leave
           > entry buy 10 at 100 open
           102 130  80 100
           > exit sell 10 at 102 open
           > profit cancelled (the position is closed)
           > stop cancelled (the position is closed)
           100 130  80 100""",
    ),
    Scenario(
        "a stop jumped over by the open goes before the exit that waits for the same open",
        """100 100 100 100 | long
           100 101  99 100 | leave
           > entry buy 10 at 100 open
            90  91  89  90
           > stop sell 10 at 90 gap
           = orders 0 position 0""",
    ),
    Scenario(
        "an exit signal takes back an entry that has not filled",
        """100 100 100 100 | long; leave
           > entry cancelled (requested)
           101 101 101 101
           = position 0 orders 0""",
    ),
    Scenario(
        "entries are ignored while a position is open",
        """100 100 100 100 | long
           100 101  99 100 | long
           > entry buy 10 at 100 open
           100 101  99 100 | short
           100 101  99 100
           = position 10""",
    ),
    Scenario(
        "after two candles the horizon closes at the next open",
        """100 100 100 100 | long
           100 101  99 100
           > entry buy 10 at 100 open
           100 101  99 100
           103 104 102 103
           > exit sell 10 at 103 open""",
        plan={"horizon_bars": 2},
    ),
)  # fmt: skip

LEVELS = one_side(
    Scenario(
        "the exits are measured from the fill, not from the signal's close",
        """100 100 100 100 | long
           120 125 115 120
           > entry buy 8 at 120 open     # 960 of 1,000
           120 133 118 130
           > profit sell 8 at 132 path""",
    ),
    Scenario(
        "an exit between two ticks: the target and the stop are half a tick away from where they were asked for",
        """105 105 105 105 | long
           105 105 105 105
           > entry buy 9 at 105 open
           105 116  99 100              # +10.5 is 11: 116 is touched only; -5.25 is 5
           > stop sell 9 at 100 path""",
    ),
    Scenario(
        "short: measured the other way",
        """100 100 100 100 | short
           105 105 105 105
           > entry sell 9 at 105 open
           105 110  93  94              # -10.5 is 11: 94; +5.25 is 5: 110
           > stop buy 9 at 110 path ambiguous""",
    ),
    Scenario(
        "market and stop orders slip against the trader, a limit does not",
        """1000 1000 1000 1000 | long
           1000 1010  990 1000
           > entry buy 4 at 1010 open ref 1000 slip 10
           1000 1200  990 1000 | long
           > profit sell 4 at 1111 path slip 0
           1000 1010  990 1000
           > entry buy 4 at 1010 open
           1000 1010  900 1000
           > stop sell 4 at 949 path ref 959 slip 10     # 5 % below 1,010 is 959.5; 1 % of it is rounded up""",
        plan={"terms": simple_terms(0, 10_000), "entry_quanta": 5000 * 10**8},
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*SIGNALS, *LEVELS])
def test_signals(scenario: Scenario) -> None:
    """Bar by bar; and, where each close has one signal at most, over the whole history in one go."""
    run = play(scenario)
    table = moments(scenario.table)
    if all(len(moment.orders) <= 1 for moment in table):
        n = len(table)
        rows = [run.bar(moment.candles[0], 0, i * MINUTE.ns, MINUTE.ns) for i, moment in enumerate(table)]
        columns = list(zip(*rows, strict=True))
        ints = (np.array(columns[i], np.int64) for i in (0, 2, 3, 4, 5))
        side = -1 if scenario.mirrored else 1
        codes = {"long": side, "short": -side, "leave": layout.LEAVE}
        signals = np.array([codes[m.orders[0]] if m.orders else 0 for m in table], np.int8)
        result = run_signals(Bars(ONE, MINUTE, *ints, np.ones(n)), run.engine.plan, signals)
        assert result.history() == run.events
        assert result.engine.digest() == run.engine.digest()


def test_a_signal_of_zero_waits() -> None:
    bars, signals = candles("100 100 100 100\n100 110 90 100")
    assert len(run_signals(bars, PLAN, signals).events) == 0


REJECTED = one_side(
    Scenario(
        "no funds: the order, its fee included, needs more than is free",
        """100 100 100 100 | buy 10; a: buy 9 limit 100; b: buy 1 limit 99; c: buy 1 limit 1
           > rejected (no funds)
           > b: rejected (no funds)       # 100 are left, 99 and 1 % of it are needed
           = locked 910.01 free 89.99""".replace("910.01 free 89.99", "910.01 free 89.99"),
        {"fees": simple_terms(10_000).fees},
        {"cash_quanta": 1000 * 10**8},
    ),
)


@pytest.mark.parametrize("scenario", REJECTED)
def test_rejected(scenario: Scenario) -> None:
    play(scenario)
