"""Stop-limit and trailing orders, time in force, post-only, reduce-only, changes and cancellations, as candle tables.

How a table is read is told in `tests/support/scenarios.py`; each scenario is also played for the other side.
"""

from __future__ import annotations

import pytest
from scenarios import Scenario, both_sides, one_side, play

from pregao.simulation.slippage import FixedSlippage

STOP_LIMIT = both_sides(
    Scenario(
        "triggered and marketable: it fills at its trigger",
        """100 100 100 100 | a: buy 10 stop 105 limit 107
           100 106  99 103
           > a: triggered
           > a: buy 10 at 105 path taker""",
    ),
    Scenario(
        "it slips, but not beyond its limit",
        """100 100 100 100 | a: buy 10 stop 105 limit 106
           100 106  99 103
           > a: triggered
           > a: buy 10 at 106 path taker ref 105 slip 1""",
        {"slippage": (FixedSlippage(50_000),)},
    ),
    Scenario(
        "triggered and resting: a limit short of the trigger cannot fill in the same candle",
        """100 100 100 100 | a: buy 10 stop 105 limit 101
           100 106  98 103
           > a: triggered
           103 104 100 102
           > a: buy 10 at 101 path maker""",
    ),
    Scenario(
        "the open has jumped over the trigger, not over the limit: it fills at the open",
        """100 100 100 100 | a: buy 10 stop 105 limit 107
           106 108 105 107
           > a: triggered
           > a: buy 10 at 106 gap taker""",
    ),
    Scenario(
        "the open has jumped over both: it waits for the price to come back",
        """100 100 100 100 | a: buy 10 stop 105 limit 108
           112 115 111 112
           > a: triggered
           112 113 107 108
           > a: buy 10 at 108 path maker""",
    ),
    Scenario(
        "the open has jumped over both, and the price comes back in the same candle",
        """100 100 100 100 | a: buy 10 stop 105 limit 108
           112 115 107 112
           > a: triggered
           > a: buy 10 at 108 path maker""",
    ),
    Scenario(
        "not triggered: the limit alone does not fill",
        """100 100 100 100 | a: buy 10 stop 105 limit 107
           100 104  90 100
           = orders 1 position 0""",
    ),
    Scenario(
        "on a walked path it fills at its limit on the way back, in the same candle",
        """100 100 100 100 | a: buy 10 stop 105 limit 101
           100 106  98  99
           > a: triggered
           > a: buy 10 at 101 path maker""",
        {"path": "shortest"},
    ),
)  # fmt: skip

TRAILING = both_sides(
    Scenario(
        "it follows the highs of past candles, and never goes back",
        """100 100 100 100 | a: sell 10 trail 5      # 95
           100 104  96 103                           # 99
           103 103 100 101                           # still 99
           101 102  98 100
           > a: sell 10 at 99 path taker""",
    ),
    Scenario(
        "it does not follow a candle's high before its low: that would be to know which came first",
        """100 100 100 100 | a: sell 10 trail 5
           100 108  96 107                           # 103 from now on; 96 may have come first
           107 107 102 106
           > a: sell 10 at 103 path""",
    ),
    Scenario(
        "but the close certainly came after the high",
        """100 100 100 100 | a: sell 10 trail 5
           100 110  96 104
           > a: sell 10 at 105 path""",
    ),
    Scenario(
        "it follows the open",
        """100 100 100 100 | a: sell 10 trail 5
           110 111 104 110
           > a: sell 10 at 105 path""",
    ),
    Scenario(
        "the open has jumped over it: it fills at the open",
        """100 100 100 100 | a: sell 10 trail 5
           100 110  99 109                           # 105
           101 102  99 100
           > a: sell 10 at 101 gap taker""",
    ),
    Scenario(
        "on a walked path it follows every move: here over the low to the high and back to the close",
        """100 100 100 100 | a: sell 10 trail 5
           100 110  96 104                           # the way is 100-96-110-104: stopped at 105
           > a: sell 10 at 105 path""",
        {"path": "shortest"},
    ),
    Scenario(
        "on a walked path it can be stopped out before the high",
        """100 100 100 100 | a: sell 10 trail 5
           100 110  94 109                           # 100-94-110: at 95 on the way down
           > a: sell 10 at 95 path""",
        {"path": "shortest"},
    ),
)  # fmt: skip

TRAILING_BY_RATE = one_side(
    Scenario(
        "10 % below the highest price, to the nearest tick",
        """100 100 100 100 | a: sell 10 trail 10%    # 90
           100 105  91 104                           # 10.5 is 11: 94
           104 104  95 100
           100 120  95 119                           # 108
           119 119 107 110
           > a: sell 10 at 108 path""",
    ),
    Scenario(
        "10 % above the lowest price",
        """100 100 100 100 | a: buy 10 trail 10%     # 110
           100 109  80  81                           # 88
            81  89  81  85
           > a: buy 10 at 88 path""",
    ),
    Scenario(
        "a rate below a tick is one tick",
        """100 100 100 100 | a: sell 10 trail 0.1%
           100 100 100 100
           100 103  99 103
           > a: sell 10 at 99 path""",
    ),
)  # fmt: skip

TIME_IN_FORCE = both_sides(
    Scenario(
        "good till cancelled: it waits as long as it takes",
        """100 100 100 100 | a: buy 10 limit 95
           100 100 100 100
           -
           -
           100 100 100 100
           100 100  94 100
           > a: buy 10 at 95 path""",
    ),
    Scenario(
        "immediate or cancel: what the first open does not fill is cancelled",
        """100 100 100 100 | a: buy 10 limit 99 ioc; b: buy 10 limit 101 ioc; c: buy 10 ioc
           100 100  90 100
           > a: cancelled (not filled at once)
           > b: buy 10 at 100 gap taker
           > c: buy 10 at 100 open
           = orders 0""",
    ),
    Scenario(
        "immediate or cancel: a part fills, the rest is cancelled",
        """100 100 100 100    | a: buy 10 ioc
           100 100  90 100 60
           > a: buy 6 at 100 open
           > a: cancelled (not filled at once)
           100 100  90 100 60
           = position 6""",
        {"participation_ppm": 100_000},
    ),
    Scenario(
        "fill or kill: all of it",
        """100 100 100 100     | a: buy 10 fok
           100 100  90 100 100
           > a: buy 10 at 100 open""",
        {"participation_ppm": 100_000},
    ),
    Scenario(
        "fill or kill: nothing if one is missing",
        """100 100 100 100    | a: buy 10 fok; b: buy 10 limit 101 fok; c: buy 10 limit 99 fok
           100 100  90 100 99
           > a: cancelled (not filled at once)
           > b: cancelled (not filled at once)
           > c: cancelled (not filled at once)
           = position 0""",
        {"participation_ppm": 100_000},
    ),
    Scenario(
        "for the day: it can fill until the close of its last candle, and is over then",
        """100 100 100 100 | a: buy 10 limit 95 day 2; b: buy 10 limit 90 day 2
           100 100  94 100
           > a: buy 10 at 95 path
           > b: cancelled (expired)
           100 100  89 100
           = position 10""",
    ),
    Scenario(
        "good till date: the time may lie in a candle, which can then still fill it",
        """100 100 100 100 | a: buy 10 stop 105 gtd 3
           100 100 100 100
           100 106 100 100
           > a: buy 10 at 105 path""",
    ),
    Scenario(
        "good till date: it ends although no candle comes, before the next one's open",
        """100 100 100 100 | a: buy 10 limit 95 gtd 2; b: buy 10 limit 95
           -
           -
            90  90  90  90
           > a: cancelled (expired)
           > b: buy 10 at 90 gap""",
    ),
    Scenario(
        "a market order for the day ends as well, where it could not fill",
        """100 100 100 100    | a: buy 10 day 2
           100 100 100 100 40
           > a: buy 4 at 100 open
           > a: cancelled (expired)
           100 100 100 100 99
           = position 4""",
        {"participation_ppm": 100_000},
    ),
)  # fmt: skip

POST_ONLY = both_sides(
    Scenario(
        "it rests and makes",
        """100 100 100 100 | a: buy 10 limit 98 post-only
           99  100  90 100
           > a: buy 10 at 98 path maker""",
    ),
    Scenario(
        "the first open it meets would fill it: it is cancelled",
        """100 100 100 100 | a: buy 10 limit 98 post-only
            95 100  90 100
           > a: cancelled (post-only order would cross)""",
    ),
    Scenario(
        "later opens find it in the book: it makes at the open that jumps over it",
        """100 100 100 100 | a: buy 10 limit 98 post-only
           100 100  99 100
            95 100  90 100
           > a: buy 10 at 95 gap maker""",
    ),
    Scenario(
        "where a touch is enough, an order at the last close would take",
        """100 100 100 100 | a: buy 10 limit 100 post-only; b: buy 10 limit 99 post-only
           > a: rejected (post-only order would cross)
            99 100  99 100
           > b: cancelled (post-only order would cross)""",
        {"touch_ppm": 1_000_000},
    ),
)  # fmt: skip

REDUCE_ONLY = both_sides(
    Scenario(
        "it never turns the position round",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 25 reduce-only
           > buy 10 at 100 open
           100 100 100 100
           > a: sell 10 at 100 open position 0
           = orders 0""",
    ),
    Scenario(
        "nor does one by value",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 2500$ reduce-only
           > buy 10 at 100 open
           100 100 100 100
           > a: sell 10 at 100 open position 0
           = orders 0""",
    ),
    Scenario(
        "two of them share what is held",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 6 reduce-only; b: sell 6 reduce-only
           > buy 10 at 100 open
           100 100 100 100
           > a: sell 6 at 100 open
           > b: sell 4 at 100 open position 0
           = orders 0""",
    ),
    Scenario(
        "it ends when the position is closed by something else",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 10 limit 120 reduce-only; b: sell 10
           > buy 10 at 100 open
           100 100 100 100
           > b: sell 10 at 100 open
           > a: cancelled (the position is closed)""",
    ),
    Scenario(
        "a position that was turned round leaves it nothing to reduce when it is met",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 10 stop 90 reduce-only; b: sell 20
           > buy 10 at 100 open
           100 100  89 100
           > b: sell 20 at 100 open position -10
           > a: cancelled (the position is closed)""",
    ),
)  # fmt: skip

CHANGES = both_sides(
    Scenario(
        "a new price",
        """100 100 100 100 | a: buy 10 limit 90; amend a price 95
           100 100  94 100
           > a: buy 10 at 95 path""",
    ),
    Scenario(
        "a new quantity, a new trigger, a new limit",
        """100 100 100 100 | a: buy 10 stop 105 limit 106; amend a qty 4 price 103 limit 104
           105 105 103 104
           > a: triggered
           > a: buy 4 at 104 path maker""",
    ),
    Scenario(
        "it keeps its id and loses its place",
        """100 100 100 100 | a: buy 1; b: buy 2; amend a qty 3
           > a: amended
           100 100 100 100
           > b: buy 2 at 100 open
           > a: buy 3 at 100 open""",
    ),
    Scenario(
        "a change that cannot be is rejected, and the order stays as it was, in its place",
        """100 100 100 100 | a: buy 1 limit 95; b: buy 1 limit 95; amend a price -5; amend a qty 99999
           > a: rejected (price is not positive)
           > a: rejected (no funds)
           100 100  94 100
           > a: buy 1 at 95 path
           > b: buy 1 at 95 path""",
        mirror=0,
    ),
    Scenario(
        "a change meets the next open anew: it takes there",
        """100 100 100 100 | a: buy 10 limit 90
           100 100 100 100 | amend a price 97
            95 100  94 100
           > a: buy 10 at 95 gap taker""",
    ),
    Scenario(
        "what has filled stays filled: a new quantity is what is left to do",
        """100 100 100 100    | a: buy 10
           100 100 100 100 40 | amend a qty 3
           > a: buy 4 at 100 open
           100 100 100 100 90
           > a: buy 3 at 100 open position 7
           = orders 0""",
        {"participation_ppm": 100_000},
    ),
    Scenario(
        "cancelled once, it is gone",
        """100 100 100 100 | a: buy 10 limit 95; cancel a; cancel a
           > a: cancelled (requested)
           100 100  94 100
           = orders 0 position 0""",
    ),
    Scenario(
        "a cancelled order gives its funds back at once",
        """100 100 100 100 | a: buy 10 limit 100
           = locked 1000
           100 100 100 100 | cancel a; b: buy 10 limit 100
           > a: cancelled (requested)
           = locked 1000 orders 1""",
        plan={"cash_quanta": 1000 * 10**8},
        mirror=0,
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    "scenario", [*STOP_LIMIT, *TRAILING, *TRAILING_BY_RATE, *TIME_IN_FORCE, *POST_ONLY, *REDUCE_ONLY, *CHANGES]
)
def test_orders(scenario: Scenario) -> None:
    play(scenario)
