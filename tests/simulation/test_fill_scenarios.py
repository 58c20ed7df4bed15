"""The fill rules as candle tables that a trader can check: market, limit and stop orders, gaps, signals and rejections.

How a table is read is told in `tests/support/scenarios.py`. Prices are in units of 1 with tick 1, one lot is one unit,
and nothing costs anything unless the scenario says so. Each scenario is also played for the other side.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

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
        "an order by value ends when what is left of it buys no lot",
        """100 100 100 100    | a: buy 1000$
           100 100 100 100 60
           > a: buy 6 at 100 open
           450 450 450 450 60
           > a: cancelled (what is left is less than a lot)""",
        {"participation_ppm": 100_000},
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


SHY = ONE.model_copy(update={"allow_short": False, "min_notional": Decimal(500)})
REJECTED = one_side(
    Scenario(
        "no funds: what is left after the waiting orders does not pay for another one and its fee",
        """100 100 100 100 | a: buy 9 limit 100; b: buy 1 limit 91; c: buy 1 limit 90
           > b: rejected (no funds)              # 909 are locked; 91 and 1 % of it are 91.91, of which 91 are free
           = locked 999.9 free 0.1 orders 2""",
        {"fees": simple_terms(10_000).fees},
        {"cash_quanta": 1000 * 10**8},
    ),
    Scenario(
        "no funds: a short needs its whole value as security",
        """100 100 100 100 | sell 11; sell 10
           > rejected (no funds)
           = locked 1000""",
        plan={"cash_quanta": 1000 * 10**8},
    ),
    Scenario(
        "below the minimum notional, by quantity and by value; at it is enough",
        """100 100 100 100 | buy 4; buy 499$; buy 5 limit 99; buy 5; buy 500$
           > rejected (below the minimum notional)
           > rejected (below the minimum notional)
           > rejected (below the minimum notional)
           = orders 2""",
        plan={"instrument": SHY},
    ),
    Scenario(
        "less than the price of one lot",
        """100 100 100 100 | buy 99$
           > rejected (below the minimum notional)""",
    ),
    Scenario(
        "the instrument cannot be sold short; what is held can be sold",
        """100 100 100 100 | sell 10; buy 10
           > rejected (the instrument cannot be sold short)
           100 100 100 100 | sell 10 limit 100
           > buy 10 at 100 open
           = orders 1""",
        plan={"instrument": SHY},
    ),
    Scenario(
        "more than is held would open a short: at the fill it is rejected as a whole",
        """100 100 100 100 | buy 10
           100 100 100 100 | sell 11
           > buy 10 at 100 open
           100 100 100 100
           > rejected (the instrument cannot be sold short)
           = position 10""",
        plan={"instrument": SHY},
    ),
    Scenario(
        "reduce-only without a position, and in its direction",
        """100 100 100 100 | buy 1 reduce-only; buy 10
           > rejected (reduce-only order would open a position)
           100 100 100 100 | buy 1 reduce-only; sell 1 reduce-only
           > buy 10 at 100 open
           > rejected (reduce-only order would open a position)
           = orders 1""",
    ),
    Scenario(
        "amounts beyond what is counted exactly",
        """100 100 100 100 | buy 2147483648; buy 1 limit 4503599627370496; buy 46116860185$
           > rejected (amount too large)
           > rejected (amount too large)
           > rejected (amount too large)""",
    ),
    Scenario(
        "a post-only order that would take liquidity at once",
        """100 100 100 100 | buy 1 limit 101 post-only; sell 1 limit 99 post-only; buy 1 limit 100 post-only
           > rejected (post-only order would cross)
           > rejected (post-only order would cross)
           = orders 1""",
    ),
    Scenario(
        "post-only is for limit orders",
        """100 100 100 100 | buy 1 post-only; buy 1 stop 101 post-only
           > rejected (no such kind of order)
           > rejected (no such kind of order)""",
    ),
    Scenario(
        "on a closed exchange nothing fills at once; other orders wait for the open",
        """100 100 100 100 | exchange closed; buy 1 ioc; buy 1 limit 101 fok; buy 1; exchange open; buy 1 ioc
           > rejected (the market is closed)
           > rejected (the market is closed)
           100 100 100 100
           > buy 1 at 100 open
           > buy 1 at 100 open""",
    ),
    Scenario(
        "while the feed is stale no order is taken, and none is changed; it can be cancelled",
        """100 100 100 100 | a: buy 1 limit 90; feed stale; buy 1; amend a price 91; cancel a; feed fresh; buy 1
           > rejected (the feed is stale)
           > a: rejected (the feed is stale)
           > a: cancelled (requested)
           = orders 1""",
    ),
    Scenario(
        "times in force that do not suit the order: at once for what waits, or a time that is over",
        """100 100 100 100 | buy 1 stop 105 ioc; buy 1 limit 100 ioc post-only; buy 1 trail 5 fok
                           | buy 1 day 1; buy 1 gtd 0; buy 1 gtd 2
           > rejected (time in force does not suit the order)
           > rejected (time in force does not suit the order)
           > rejected (time in force does not suit the order)
           > rejected (time in force does not suit the order)
           > rejected (time in force does not suit the order)
           = orders 1""",
    ),
    Scenario(
        "there is no such working order to change",
        """100 100 100 100 | amend 7 price 90
           > rejected (there is no such working order)""",
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", REJECTED)
def test_rejected(scenario: Scenario) -> None:
    play(scenario)


UNREADABLE: list[tuple[str, dict[str, int]]] = [
    ("quantity is not positive", {}),
    ("quantity is not positive", {"qty_lots": -1}),
    ("quantity is not positive", {"qty_lots": 1, "value_quanta": 10**10}),
    ("price is not positive", {"qty_lots": 1, "kind": layout.LIMIT}),
    ("price is not positive", {"qty_lots": 1, "kind": layout.LIMIT, "price_ticks": -5}),
    ("price is not positive", {"qty_lots": 1, "price_ticks": 5}),
    ("price is not positive", {"qty_lots": 1, "kind": layout.STOP_LIMIT, "price_ticks": 5}),
    ("price is not positive", {"qty_lots": 1, "kind": layout.TRAILING}),
    ("price is not positive", {"qty_lots": 1, "kind": layout.TRAILING, "trail_ticks": 5, "trail_ppm": 5}),
    ("price is not positive", {"qty_lots": 1, "role": layout.ENTRY, "stop_loss_ppm": 1_000_000}),
    ("no such kind of order", {"qty_lots": 1, "side": 0}),
    ("no such kind of order", {"qty_lots": 1, "side": -7}),
    ("no such kind of order", {"qty_lots": 1, "kind": 6}),
    ("no such kind of order", {"qty_lots": 1, "kind": -(2**70)}),
    ("no such kind of order", {"qty_lots": 1, "role": 99}),
    ("no such kind of order", {"qty_lots": 1, "role": layout.LIQUIDATION}),
    ("the account does not trade this instrument", {"qty_lots": 1, "book": 1}),
    ("the account does not trade this instrument", {"qty_lots": 1, "book": -1}),
    ("the account does not trade this instrument", {"qty_lots": 1, "book": 2**70}),
    ("amount too large", {"qty_lots": 2**70}),
    ("time in force does not suit the order", {"qty_lots": 1, "tif": 9}),
]


@pytest.mark.parametrize(("reason", "order"), UNREADABLE)
def test_a_rejected_order_leaves_no_trace(reason: str, order: dict[str, int]) -> None:
    engine = Engine(PLAN)
    bars, _ = candles("100 100 100 100")
    engine.step(bars.bar(0))
    before = engine.digest()
    [event] = engine.submit(**{"kind": layout.MARKET, "side": 1} | order)
    assert (event.kind, event.reason) == ("rejected", reason)
    assert engine.digest() == before


def test_no_more_orders_than_there_is_room_for() -> None:
    bars, _ = candles("100 100 100 100\n100 100 50 100")
    engine = Engine(PLAN)
    engine.step(bars.bar(0))
    answers = [engine.submit(layout.LIMIT, 1, qty_lots=1, price_ticks=90)[0] for _ in range(layout.CAPACITY)]
    refused = [a.reason for a in answers if a.kind == "rejected"]
    assert set(refused) == {"too many working orders"}
    assert len(refused) < 10
    filled = [e for e in engine.step(bars.bar(1)) if e.kind == "fill"]
    assert len(filled) == layout.CAPACITY - len(refused)
    assert engine.submit(layout.LIMIT, 1, qty_lots=1, price_ticks=90)[0].kind == "accepted"


@pytest.mark.parametrize("reason", [layout.OFF_TICK, layout.OFF_LOT])
def test_an_order_off_the_grid_is_refused_before_it_is_put_into_integers(reason: int) -> None:
    engine = Engine(PLAN)
    [event] = engine.refuse(reason, layout.LIMIT, 1)
    assert (event.kind, event.reason, event.order_kind) == ("rejected", layout.REASONS[reason], "limit")
    assert engine.open_orders() == []


def test_every_reason_is_told_in_a_scenario() -> None:
    """So that a new reason comes with a table. What an exchange says is its own, see tests/brokers."""
    here = Path(__file__)
    files = [*here.parent.glob("test_*scenarios*.py"), here.with_name("test_splits_and_dividends.py")]
    tables = "".join(path.read_text(encoding="utf-8") for path in files)
    untold = [words for code, words in layout.REASONS.items() if code and words not in tables]
    assert untold == [layout.REASONS[code] for code in (layout.OFF_TICK, layout.OFF_LOT, layout.VENUE_SAID)]
