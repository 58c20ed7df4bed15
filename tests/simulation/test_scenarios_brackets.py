"""Brackets as candle tables: an entry with its take profit and stop loss, in parts, changed, cancelled, and ambiguous.

How a table is read is told in `tests/support/scenarios.py`; each scenario is also played for the other side.
"""

from __future__ import annotations

import pytest
from scenarios import Scenario, both_sides, one_side, play

from pregao.simulation.plan import simple_terms

TENTH = {"participation_ppm": 100_000}

ENTRIES = both_sides(
    Scenario(
        "a limit entry can be stopped out in its candle",
        """100 100 100 100 | buy 10 limit 95 profit 105 loss 90
           100 106  89 100
           > entry buy 10 at 95 path
           > stop sell 10 at 90 path""",
    ),
    Scenario(
        "a limit entry cannot take its profit in its candle: the high may have come before",
        """100 100 100 100 | buy 10 limit 95 profit 105 loss 90
           100 106  94 104
           > entry buy 10 at 95 path
           104 107 103 105
           > profit sell 10 at 105 path""",
    ),
    Scenario(
        "where its next open has passed the target, it fills there",
        """100 100 100 100 | buy 10 limit 95 profit 98 loss 90
           100 106  94 100
           > entry buy 10 at 95 path
           100 101  99 100
           > profit sell 10 at 100 gap maker""",
    ),
    Scenario(
        "on the optimistic path it takes its profit in its candle",
        """100 100 100 100 | buy 10 limit 95 profit 105 loss 90
           100 106  89 100
           > entry buy 10 at 95 path
           > profit sell 10 at 105 path ambiguous""",
        {"path": "optimistic"},
    ),
    Scenario(
        "on a walked path it takes its profit if the high comes after the entry",
        """100 100 100 100 | buy 10 limit 95 profit 105 loss 90
           100 106  94 104                              # rising: 100-94-106-104
           > entry buy 10 at 95 path
           > profit sell 10 at 105 path""",
        {"path": "shortest"},
    ),
    Scenario(
        "on a walked path it does not if the high comes first",
        """100 100 100 100 | buy 10 limit 95 profit 105 loss 90
           100 106  94  98                              # falling: 100-106-94-98
           > entry buy 10 at 95 path
           = orders 2""",
        {"path": "shortest"},
    ),
    Scenario(
        "a stop entry, stopped out in its candle",
        """100 100 100 100 | buy 10 stop 103 profit 110 loss 98
           100 104  98 103
           > entry buy 10 at 103 path
           > stop sell 10 at 98 path""",
    ),
    Scenario(
        "an entry at a gap: its exits are live from the open on",
        """100 100 100 100 | buy 10 limit 95 profit 105 loss 80
            90 106  89 100
           > entry buy 10 at 90 gap
           > profit sell 10 at 105 path""",
    ),
    Scenario(
        "exits as prices stay where they are, wherever the entry fills",
        """100 100 100 100 | buy 10 profit 110 loss 95
           104 111 103 105
           > entry buy 10 at 104 open
           > profit sell 10 at 110 path realised 60""",
    ),
    Scenario(
        "an entry that opens beyond its target takes it at once, at that open",
        """100 100 100 100 | buy 10 profit 105 loss 95
           107 108 106 107
           > entry buy 10 at 107 open
           > profit sell 10 at 107 gap realised 0""",
    ),
    Scenario(
        "only a target",
        """100 100 100 100 | buy 10 profit 105
           100 104  50 100
           > entry buy 10 at 100 open
           = orders 1
           100 106 100 100
           > profit sell 10 at 105 path""",
    ),
    Scenario(
        "only a stop",
        """100 100 100 100 | buy 10 loss 95
           100 150  96 100
           > entry buy 10 at 100 open
           = orders 1
           100 106  95 100
           > stop sell 10 at 95 path""",
    ),
)  # fmt: skip

PARTS = both_sides(
    Scenario(
        "an entry in parts: the levels come from the first fill, the quantities grow",
        """100 100 100 100     | buy 10 profit 10% loss 5%
           100 100 100 100  40
           > entry buy 4 at 100 open
           104 104 104 104  60
           > entry buy 6 at 104 open position 10
           > profit amended
           > stop amended
           104 111 104 110 200
           > profit sell 10 at 110 path realised 76""",
        TENTH,
    ),
    Scenario(
        "an exit in parts: its sibling shrinks by as much",
        """100 100 100 100     | buy 10 profit 110 loss 95
           100 100 100 100 100
           > entry buy 10 at 100 open
           100 111  96 104  60
           > profit sell 6 at 110 path position 4
           > stop amended
           104 104  94  95 200
           > stop sell 4 at 95 path position 0
           = orders 0 realised 40""",
        TENTH,
    ),
    Scenario(
        "an exit that fills while the entry still works takes back the rest of the entry",
        """100 100 100 100     | buy 10 limit 100 profit 110 loss 95
            99 100  98  99  60
           > entry buy 6 at 99 gap
           101 101  94  96  50
           > stop sell 5 at 95 path position 1
           > entry cancelled (the other exit filled)
            97  97  94  95 100
           > stop sell 1 at 97 open position 0
           > profit cancelled (the other exit filled)
           = orders 0""",
        TENTH,
    ),
    Scenario(
        "the whole exit fills while the entry still works",
        """100 100 100 100     | buy 10 limit 100 profit 110 loss 95
            99 100  98  99  60
           > entry buy 6 at 99 gap
           101 111 101 110  90
           > profit sell 6 at 110 path position 0
           > entry cancelled (the other exit filled)
           > stop cancelled (the other exit filled)
           = orders 0 locked 0""",
        TENTH,
    ),
    Scenario(
        "the rest of an entry is cancelled by a person: what has filled keeps its exits",
        """100 100 100 100     | a: buy 10 profit 110 loss 95
           100 100 100 100  40 | cancel a
           > a: entry buy 4 at 100 open
           > a: entry cancelled (requested)
           100 111 100 110 100
           > profit sell 4 at 110 path position 0""",
        TENTH,
    ),
    Scenario(
        "an entry that is filled at once or not: what has filled gets its exits",
        """100 100 100 100     | a: buy 10 ioc profit 110 loss 95
           100 100 100 100  40
           > a: entry buy 4 at 100 open
           > a: entry cancelled (not filled at once)
           100 101  94 100 100
           > stop sell 4 at 95 path position 0""",
        TENTH,
    ),
    Scenario(
        "the horizon counts from the first part, and takes back the rest of the entry",
        """100 100 100 100     | a: buy 10 limit 100 profit 120 loss 80
            99 100  98  99  60
           > a: entry buy 6 at 99 gap
           101 101 101 101  60
           > a: entry cancelled (horizon reached)
           102 102 102 102  60
           > exit sell 6 at 102 open position 0
           = orders 0""",
        TENTH,
        {"horizon_bars": 2},
    ),
    Scenario(
        "a stop loss that finds no volume, and what is left of one, goes at the market's next opens",
        """100 100 100 100     | buy 10 profit 110 loss 95
           100 100 100 100 100
           > entry buy 10 at 100 open
           100 101  94  94   0
           > stop triggered
            93  96  92  95  70
           > stop sell 7 at 93 open
            97  97  96  97  70
           > stop sell 3 at 97 open""",
        TENTH,
    ),
    Scenario(
        "an exit signal in parts: the bracket guards what is left",
        """100 100 100 100     | buy 10 profit 110 loss 95
           100 100 100 100 100 | leave
           > entry buy 10 at 100 open
           100 100  96 100  60
           > exit sell 6 at 100 open position 4
            90  90  90  90 100
           > stop sell 4 at 90 gap position 0            # it is older than the exit
           = orders 0""",
        TENTH,
    ),
)  # fmt: skip

CHANGES = both_sides(
    Scenario(
        "a cancelled target leaves the stop, which then closes the trade",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 100 100 100 | cancel profit
           > entry buy 10 at 100 open
           > profit cancelled (requested)
           100 120  95 100
           > stop sell 10 at 95 path""",
    ),
    Scenario(
        "a stop that is drawn up to the entry's price",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 106  99 105 | amend stop price 100
           > entry buy 10 at 100 open
           105 105  99 101
           > stop sell 10 at 100 path realised 0""",
    ),
    Scenario(
        "two brackets side by side: each closes its own",
        """100 100 100 100 | buy 10 profit 110 loss 95; buy 5 profit 120 loss 98
           100 101  99 100
           > entry buy 10 at 100 open
           > entry buy 5 at 100 open
           100 101  97 100
           > stop sell 5 at 98 path position 10
           100 111 100 110
           > profit sell 10 at 110 path position 0
           = orders 0""",
    ),
    Scenario(
        "the position is sold by hand: both exits go",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 100 100 100 | sell 10
           > entry buy 10 at 100 open
           101 120  80 100
           > sell 10 at 101 open position 0
           > profit cancelled (the position is closed)
           > stop cancelled (the position is closed)""",
    ),
    Scenario(
        "half of the position is sold by hand: the exits close the rest and no more",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 100 100 100 | sell 4
           > entry buy 10 at 100 open
           100 100 100 100
           > sell 4 at 100 open position 6
           100 111 100 110
           > profit sell 6 at 110 path position 0
           = orders 0""",
    ),
)  # fmt: skip

AMBIGUOUS = both_sides(
    Scenario(
        "pessimistic: the stop; the better way would have made 150 more",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 101  99 100
           > entry buy 10 at 100 open
           100 115  90 112
           > stop sell 10 at 95 path ambiguous realised -50
           = ambiguous 1 best 150 worst 0""",
    ),
    Scenario(
        "optimistic: the profit; the worse way would have made 150 less",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 101  99 100
           > entry buy 10 at 100 open
           100 115  90 112
           > profit sell 10 at 110 path ambiguous realised 100
           = ambiguous 1 best 0 worst 150""",
        {"path": "optimistic"},
    ),
    Scenario(
        "the candle of the entry at its open counts as well",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 115  90 112
           > entry buy 10 at 100 open
           > stop sell 10 at 95 path ambiguous
           = ambiguous 1 best 150""",
    ),
    Scenario(
        "a target that is only touched was not in reach",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 110  90 109
           > entry buy 10 at 100 open
           > stop sell 10 at 95 path
           = ambiguous 0 best 0""",
    ),
    Scenario(
        "a gap is certain",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 101  99 100
           > entry buy 10 at 100 open
            94 115  90 112
           > stop sell 10 at 94 gap
           = ambiguous 0 best 0 worst 0""",
    ),
    Scenario(
        "two such candles add up",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 115  90 100 | buy 20 profit 110 loss 95
           > entry buy 10 at 100 open
           > stop sell 10 at 95 path ambiguous
           100 115  90 100
           > entry buy 20 at 100 open
           > stop sell 20 at 95 path ambiguous
           = ambiguous 2 best 450 worst 0""",
    ),
)  # fmt: skip

COSTS_OF_AMBIGUITY = one_side(
    Scenario(
        "the other way's costs are in the interval: the stop slips and takes, the target does neither",
        """1000 1000 1000 1000 | buy 10 profit 1100 loss 950
           1000 1000 1000 1000
           > entry buy 10 at 1010 open
           1000 1150  900 1100
           > stop sell 10 at 940 path ambiguous ref 950 slip 10 fee 9.4
           = ambiguous 1 best 1598.4         # 11,000 - 11 is that much more than 9,400 - 9.40""",
        plan={"terms": simple_terms(1_000, 10_000)},
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*ENTRIES, *PARTS, *CHANGES, *AMBIGUOUS, *COSTS_OF_AMBIGUITY])
def test_brackets(scenario: Scenario) -> None:
    play(scenario)
