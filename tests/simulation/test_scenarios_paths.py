"""What a candle does not tell: each path rule on the same candles, touches, and finer bars.

How a table is read is told in `tests/support/scenarios.py`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from candles import MINUTE, PLAN, candles
from scenarios import Scenario, both_sides, one_side, play

from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.engine import Engine
from pregao.simulation.terms import Terms

# Bought at 100 with a target of 110 and a stop of 95; sold with 90 and 105. Which exit does each rule take?
SAME_CANDLES = """
    candle          side   pessimistic optimistic ohlc    nearest shortest
    100 115  89 112 long   stop        profit     profit  stop    stop        rises, the low is nearer
    100 115  89 112 short  stop        profit     stop    profit  profit
    100 112  85  89 long   stop        profit     profit  profit  profit      falls, the high is nearer
    100 112  85  89 short  stop        profit     stop    stop    stop
    100 115  89  97 long   stop        profit     profit  stop    profit      falls, the low is nearer
    100 115  89  97 short  stop        profit     stop    profit  stop
    100 112  85 104 long   stop        profit     profit  profit  stop        rises, the high is nearer
    100 112  85 104 short  stop        profit     stop    stop    profit
    100 115  85 100 long   stop        profit     profit  profit  stop        neither: high first, low first
    100 115  85 100 short  stop        profit     stop    stop    profit
"""


def same_candles() -> list[object]:
    heading, *lines = (line.split() for line in SAME_CANDLES.strip().splitlines())
    return [
        pytest.param(" ".join(line[:4]), line[4], path, result, id=f"{' '.join(line[:5])}: {path}")
        for line in lines
        for path, result in zip(heading[2:], line[5:], strict=False)
    ]


@pytest.mark.parametrize(("candle", "side", "path", "result"), same_candles())
def test_both_exits_in_one_candle(candle: str, side: str, path: str, result: str) -> None:
    long = side == "long"
    way_in, way_out, profit, stop = ("buy", "sell", 110, 95) if long else ("sell", "buy", 90, 105)
    play(
        Scenario(
            "",
            f"""100 100 100 100 | {way_in} 10 profit {profit} loss {stop}
                {candle}
                > entry {way_in} 10 at 100 open
                > {result} {way_out} 10 at {profit if result == "profit" else stop} path ambiguous
                = ambiguous 1""",
            {"path": path},
        )
    )


WALKED = both_sides(
    Scenario(
        "what the price meets first fills first, whichever is older",
        """100 100 100 100 | a: buy 1 limit 93; b: buy 1 limit 97; c: sell 2 stop 95
           100 101  90 100
           > b: buy 1 at 97 path
           > c: sell 2 at 95 path
           > a: buy 1 at 93 path""",
        {"path": "shortest"},
    ),
    Scenario(
        "at the same price the older one is first",
        """100 100 100 100 | a: sell 1 stop 94; b: buy 1 limit 95; c: sell 1 stop 94    # 95 is traded through at 94
           100 101  90 100
           > a: sell 1 at 94 path
           > b: buy 1 at 95 path
           > c: sell 1 at 94 path""",
        {"path": "shortest"},
    ),
    Scenario(
        "what a fill brings along is live from there on: entry and stop on the way down",
        """100 100 100 100 | buy 10 limit 97 profit 105 loss 93
           100 106  90 104
           > entry buy 10 at 97 path
           > stop sell 10 at 93 path ambiguous""",
        {"path": "shortest"},
    ),
    Scenario(
        "what a fill brings along is live from there on: entry on the way down, target on the way up",
        """100 100 100 100 | buy 10 limit 97 profit 105 loss 89
           100 106  90 104
           > entry buy 10 at 97 path
           > profit sell 10 at 105 path""",
        {"path": "shortest"},
    ),
    Scenario(
        "a price that is reached three times fills at the first",
        """100 100 100 100 | a: buy 1 stop 102; b: sell 1 limit 102; c: sell 1 stop 98
           100 105  95 104                                          # 100-95-105-104
           > c: sell 1 at 98 path
           > a: buy 1 at 102 path
           > b: sell 1 at 102 path""",
        {"path": "shortest"},
    ),
    Scenario(
        "pessimistic: every stop in reach comes before any limit",
        """100 100 100 100 | a: buy 1 limit 97; b: buy 1 stop 103; c: sell 1 stop 96
           100 105  95 104
           > b: buy 1 at 103 path
           > c: sell 1 at 96 path
           > a: buy 1 at 97 path""",
    ),
    Scenario(
        "optimistic: every limit in reach comes before any stop",
        """100 100 100 100 | a: sell 1 stop 96; b: buy 1 stop 103; c: buy 1 limit 97
           100 105  95 104
           > c: buy 1 at 97 path
           > a: sell 1 at 96 path
           > b: buy 1 at 103 path""",
        {"path": "optimistic"},
    ),
)  # fmt: skip

QUARTER = {"timeframe": Timeframe.parse("15m")}
FINER = both_sides(
    Scenario(
        "finer bars tell which exit came first, and nothing is ambiguous",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 115  90 112
           . 100 101  99 100
           . 100 115 100 104
           . 104 112  90 112
           > entry buy 10 at 100 open
           > profit sell 10 at 110 finer
           = ambiguous 0""",
        {"path": "finer"},
        QUARTER,
    ),
    Scenario(
        "a finer bar that reached both is ambiguous; it falls, so its high is first",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 115  90 112
           . 100 101  99 100
           . 100 115  90  92
           .  92 112  92 112
           > entry buy 10 at 100 open
           > profit sell 10 at 110 finer ambiguous
           = ambiguous 1 worst 150""",
        {"path": "finer"},
        QUARTER,
    ),
    Scenario(
        "a jump between two finer bars is a gap: the stop fills where the price is then",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 101  92  94
           . 100 101  99 100
           .  93  95  92  94
           .  94  94  94  94
           > entry buy 10 at 100 open
           > stop sell 10 at 93 gap
           = ambiguous 0""",
        {"path": "finer"},
        QUARTER,
    ),
    Scenario(
        "a jump over a target: it fills where the price is then",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 114 100 113
           . 100 101 100 101
           . 112 113 111 113
           . 113 114 113 113
           > entry buy 10 at 100 open
           > profit sell 10 at 112 gap maker""",
        {"path": "finer"},
        QUARTER,
    ),
    Scenario(
        "an entry in one finer bar, its target in a later one",
        """100 100 100 100 | buy 10 limit 97 profit 105 loss 90
           100 106  96 104
           . 100 106  99 100
           . 100 100  96  98
           .  98 106  98 104
           > entry buy 10 at 97 finer
           > profit sell 10 at 105 finer""",
        {"path": "finer"},
        QUARTER,
    ),
    Scenario(
        "a target that was passed before the entry is not taken",
        """100 100 100 100 | buy 10 limit 97 profit 105 loss 90
           100 106  96  98
           . 100 106  99 100
           . 100 100  96  98
           .  98  98  97  98
           > entry buy 10 at 97 finer
           = orders 2""",
        {"path": "finer"},
        QUARTER,
    ),
    Scenario(
        "a trailing stop follows the finer bars",
        """100 100 100 100 | a: sell 10 trail 5
           100 112  99 111
           . 100 108 100 107
           . 107 107 103 105
           . 105 112  99 111
           > a: sell 10 at 103 finer""",
        {"path": "finer"},
        QUARTER,
    ),
)  # fmt: skip
WITHOUT = one_side(
    Scenario(
        "without finer bars the shortest way is taken: this one rises, so its low is first",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 115  90 112
           > entry buy 10 at 100 open
           > stop sell 10 at 95 path ambiguous""",
        {"path": "finer"},
        QUARTER,
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*WALKED, *FINER, *WITHOUT])
def test_paths(scenario: Scenario) -> None:
    play(scenario)


def test_a_fill_is_dated_by_what_is_known_of_its_time() -> None:
    """At an open: that time. In a bar: its close, the first time at which it is known; likewise of a finer bar."""
    table = """100 100 100 100 | buy 1; buy 1 limit 97; buy 1 limit 94
               100 101  93 100
               . 100 101  99 100
               . 100 100  96  96
               .  95  99  93  99
               {fills}"""
    for path, fills, minutes in (
        ("finer", ["open", "finer", "finer"], [15, 25, 30]),
        ("pessimistic", ["open", "path", "path"], [15, 30, 30]),
    ):
        lines = "\n".join(f"> buy 1 at {p} {rule}" for p, rule in zip((100, 97, 94), fills, strict=True))
        run = play(Scenario("", table.format(fills=lines), {"path": path}, QUARTER))
        assert [e.ts_ns / MINUTE.ns for e in run.events if e.kind == "fill"] == minutes


TOUCHED = """100 100 100 100 | {order}
             100 105  95 100
             {fill}"""


@pytest.mark.parametrize(("touch", "filled"), [(0, False), (1_000_000, True)])
@pytest.mark.parametrize("path", ["pessimistic", "optimistic", "ohlc", "nearest", "shortest", "finer"])
@pytest.mark.parametrize(("side", "price"), [("buy", 95), ("sell", 105)])
def test_a_limit_that_is_only_touched(path: str, side: str, price: int, touch: int, filled: bool) -> None:
    fill = f"> {side} 10 at {price} path maker" if filled else ""
    table = TOUCHED.format(order=f"{side} 10 limit {price}", fill=fill)
    play(Scenario("", table, {"path": path, "touch_ppm": touch}))


@pytest.mark.parametrize(("side", "price"), [("buy", 95), ("sell", 105)])
def test_a_touch_that_fills_by_chance(side: str, price: int) -> None:
    """One fresh order a candle, each touched once: as often as asked for, and with the same seed always the same."""
    days = 2_000
    bars, _ = candles("100 100 100 100\n" + "100 105  95 100\n" * days)

    def filled(seed: int, chance: int) -> list[int]:
        engine = Engine(replace(PLAN, terms=Terms(touch_ppm=chance, seed=seed)))
        found = []
        for i in range(days + 1):
            found += [i for e in engine.step(bars.bar(i)) if e.kind == "fill"]
            for order in engine.open_orders():
                engine.cancel(order.order_id)
            engine.submit(layout.LIMIT, 1 if side == "buy" else -1, qty_lots=1, price_ticks=price)
        return found

    for chance in (100_000, 250_000, 500_000, 900_000):
        share, expected = len(filled(1, chance)) / days, chance / 1_000_000
        # four standard deviations of a share among so many
        assert abs(share - expected) < 4 * (expected * (1 - expected) / days) ** 0.5, chance
    assert filled(1, 500_000) == filled(1, 500_000)
    assert filled(1, 500_000) != filled(2, 500_000)
    assert set(filled(1, 250_000)) < set(filled(1, 500_000)), "a greater chance only adds fills"


def test_an_order_that_is_touched_often_enough_fills() -> None:
    """Each candle is another chance: a waiting order is touched for 7 candles on average at one in eight."""
    bars, _ = candles("100 100 100 100\n" + "100 105  95 100\n" * 400)
    waited = []
    for seed in range(200):
        engine = Engine(replace(PLAN, terms=Terms(touch_ppm=125_000, seed=seed)))
        engine.step(bars.bar(0))
        engine.submit(layout.LIMIT, 1, qty_lots=1, price_ticks=95)
        i = 1
        while engine.open_orders():
            engine.step(bars.bar(i))
            i += 1
        waited.append(i - 2)
    mean = sum(waited) / len(waited)
    assert 5 < mean < 9, "the mean of a geometric law is 7, its standard deviation here 0.53"
