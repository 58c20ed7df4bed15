"""What an order finds when it comes: a price that has passed its level, a bar that is on, no liquidity, no free cash.

How a table is read is told in `tests/support/scenarios.py`.
"""

from __future__ import annotations

import pytest
from candles import MINUTE
from scenarios import Scenario, both_sides, one_side, play

TENTH = {"participation_ppm": 100_000}
QUARTER = (MINUTE.ns // 4,)
AT_ONCE = (1,)
"""So little that an order comes just after the open."""

PASSED = both_sides(
    Scenario(
        "a stop loss above the market, placed at the open, goes at the open",
        """100 100 100 100 | buy 10 loss 103
           100 108  98 104
           > entry buy 10 at 100 open
           > stop sell 10 at 100 gap taker position 0""",
    ),
    Scenario(
        "placed within the bar, it goes where the market was then, not at a price that the bar had elsewhere",
        """100 100 100 100 | buy 10 stop 105 loss 107
           100 110  98 108
           > entry buy 10 at 105 path
           > stop sell 10 at 105 path taker position 0""",
    ),
    Scenario(
        "and so on a path that is walked",
        """100 100 100 100 | buy 10 stop 105 loss 107
           100 110  98 108
           > entry buy 10 at 105 path
           > stop sell 10 at 105 path taker position 0""",
        {"path": "ohlc"},
    ),
    Scenario(
        "a target below the market takes the better price that is there",
        """100 100 100 100 | buy 10 profit 95
           100 100 100 100
           > entry buy 10 at 100 open
           > profit sell 10 at 100 gap taker position 0""",
    ),
    Scenario(
        "a target that waits for the market makes liquidity, also when the next open is beyond it",
        """100 100 100 100 | buy 10 stop 105 profit 108
           100 107 100 107
           > entry buy 10 at 105 path
           110 110 110 110
           > profit sell 10 at 110 gap maker position 0""",
    ),
    Scenario(
        "a target that is changed to below the market takes",
        """100 100 100 100 | buy 10 profit 120
           100 100 100 100 | amend profit price 95
           > entry buy 10 at 100 open
           100 100 100 100
           > profit sell 10 at 100 gap taker position 0""",
    ),
)  # fmt: skip

LATE = both_sides(
    Scenario(
        "a trailing stop that comes while the bar is on follows the price that it finds",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 10 trail 5
           > buy 10 at 100 path
           100 110  90 100              # a quarter of 40 points is the high: it trails from 110
           > a: sell 10 at 105 path position 0""",
        {"path": "ohlc", "latency_ns": QUARTER},
        mirror=0,  # the path goes over the high first
    ),
    Scenario(
        "an order that must fill at once takes what the bar still gives; the rest is cancelled",
        """100 100 100 100    | a: buy 10 ioc
           100 104 100 104 50
           > a: buy 5 at 100 path
           > a: cancelled (not filled at once)
           = orders 0""",
        TENTH | {"latency_ns": AT_ONCE},
    ),
    Scenario(
        "one that finds that nothing is left is cancelled whole",
        """100 100 100 100    | a: buy 5; b: buy 1 ioc; c: buy 5 limit 101 post-only
           > c: rejected (post-only order would cross)
           100 104 100 104 50
           > a: buy 5 at 100 path
           > b: cancelled (not filled at once)
           = orders 0""",
        TENTH | {"latency_ns": AT_ONCE, "path": "ohlc"},
    ),
    Scenario(
        "a limit that finds its price but no volume rests, and makes liquidity from then on",
        """100 100 100 100    | a: buy 10 limit 101
           100 100 100 100 0
            99  99  99  99 100
           > a: buy 10 at 99 gap maker""",
        TENTH | {"latency_ns": AT_ONCE},
    ),
    Scenario(
        "so does a stop-limit order that was triggered where there was no volume",
        """100 100 100 100    | a: buy 10 stop 105 limit 110
           100 106 100 104 0
           > a: triggered
            99  99  99  99 100
           > a: buy 10 at 99 gap maker""",
        TENTH,
    ),
    Scenario(
        "the oldest comes first where several fill at the price at which one of them arrives",
        """100 100 100 100 | a: buy 10; b: buy 10 stop 105
           100 110 100 110
           > a: buy 10 at 105 path      # half of the way
           > b: buy 10 at 105 path""",
        {"path": "nearest", "latency_ns": (MINUTE.ns // 2,)},
    ),
    Scenario(
        "an exit that came while the bar was on is none of two that the bar reached by chance",
        """100 100 100 100 | buy 10 profit 105 loss 90
           100 100 100 100
           > entry buy 10 at 100 path
           100 100 100 100 | amend stop price 102
           100 106 100 106
           > stop sell 10 at 100 path position 0
           = ambiguous 0""",
        {"latency_ns": AT_ONCE},
    ),
)  # fmt: skip

SHORT_OF_CASH = one_side(
    Scenario(
        "closing needs no cash, when losses have eaten up all of it and more",
        """100 100 100 100 | sell 10
           100 100 100 100
           > sell 10 at 100 open
           = free 0
           500 500 500 500 | buy 4
           500 500 500 500 | a: buy 6; b: buy 6 reduce-only; c: buy 7
           > buy 4 at 500 open
           > c: rejected (no funds)
           = cash 0 free -1200
           500 500 500 500
           > a: buy 6 at 500 open position 0
           > b: cancelled (the position is closed)
           = cash -3000 locked 0""",
        plan={"cash_quanta": 1_000 * 10**8},
    ),
    Scenario(
        "an order by value that only closes, too",
        """100 100 100 100 | sell 10
           100 100 100 100
           > sell 10 at 100 open
           500 500 500 500 | buy 4
           500 500 500 500 | a: buy 1000$
           > buy 4 at 500 open
           500 500 500 500
           > a: buy 2 at 500 open position -4""",
        plan={"cash_quanta": 1_000 * 10**8},
    ),
    Scenario(
        "an order by value that buys back less than a lot is too small, not without a position",
        """100 100 100 100 | sell 10
           100 100 100 100 | a: buy 110$ stop 105 reduce-only
           > sell 10 at 100 open
           120 120 120 120
           > a: rejected (below the minimum notional)
           = position -10""",
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*PASSED, *LATE, *SHORT_OF_CASH])
def test_arrivals(scenario: Scenario) -> None:
    play(scenario)
