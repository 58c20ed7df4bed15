"""What an execution costs and how much of it there is: slippage, fees, a bar's volume, latency; and the why of a fill.

How a table is read is told in `tests/support/scenarios.py`. The figures are worked out by hand beside each line.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from candles import MINUTE, ONE, PLAN, candles
from scenarios import Scenario, both_sides, one_side, play

from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.engine import Engine
from pregao.simulation.fees import FeeSchedule, Tier
from pregao.simulation.plan import Plan
from pregao.simulation.slippage import EstimatedSpread, FixedSlippage, HalfSpread, SquareRootImpact, VolumeShare
from pregao.simulation.terms import Terms

SLIPPAGE = one_side(
    Scenario(
        "fixed: 1 % of the price, against buyer and seller",
        """1000 1000 1000 1000 | buy 10
           1000 1000 1000 1000 | sell 10
           > buy 10 at 1010 open ref 1000 slip 10 spread 0 impact 0
           1005 1005 1005 1005
           > sell 10 at 994 open ref 1005 slip 11     # 10.05 is rounded up: against the trader
           = realised -160""",
        {"slippage": (FixedSlippage(10_000),)},
    ),
    Scenario(
        "the least slippage is a tick",
        """1000 1000 1000 1000 | buy 10
           1000 1000 1000 1000
           > buy 10 at 1001 open slip 1""",
        {"slippage": (FixedSlippage(1),)},
    ),
    Scenario(
        "half a spread that is known: 0.5 % each way",
        """1000 1000 1000 1000 | buy 10; sell 20
           1000 1000 1000 1000
           > buy 10 at 1005 open slip 5 spread 5 impact 0
           > sell 20 at 995 open slip 5 spread 5""",
        {"slippage": (HalfSpread(5_000),)},
    ),
    Scenario(
        "share of volume: 0.25 times the square of 50 out of 100",
        """1000 1000 1000 1000 100 | buy 50
           1000 1000 1000 1000 100 | sell 10
           > buy 50 at 1063 open slip 63 spread 0 impact 63    # 0.25 * 0.5 * 0.5 = 0.0625
           1000 1000 1000 1000 100
           > sell 10 at 997 open slip 3 impact 3               # 0.25 * 0.1 * 0.1 = 0.0025""",
        {"slippage": (VolumeShare(0.25),)},
    ),
    Scenario(
        "share of volume: a whole number of ticks is that number, whatever floats make of it",
        """200 200 200 200 100 | buy 20
           200 200 200 200 100
           > buy 20 at 202 open impact 2                       # 0.25 * 0.2 * 0.2 * 200 = 2""",
        {"slippage": (VolumeShare(0.25),)},
    ),
    Scenario(
        "share of volume: more than the bar has counts as all of it, and so does any order in a bar without volume",
        """1000 1000 1000 1000 100 | buy 250
           1000 1000 1000 1000 100 | buy 1
           > buy 250 at 1125 open impact 125
           1000 1000 1000 1000   0
           > buy 1 at 1125 open impact 125""",
        {"slippage": (VolumeShare(0.125),)},
    ),
    Scenario(
        "share of volume: of what fills in this bar, not of the whole order",
        """1000 1000 1000 1000 100 | buy 100
           1000 1000 1000 1000 100
           > buy 50 at 1250 open impact 250                    # 0.5 ** 2
           1000 1000 1000 1000 200
           > buy 50 at 1063 open impact 63                     # 0.25 ** 2""",
        {"slippage": (VolumeShare(1.0),), "participation_ppm": 500_000},
    ),
    Scenario(
        "square root: the volatility of a bar times the root of the order's share of the mean volume",
        """1000 1000 1000 1000 100 | buy 25
           1000 1100 1000 1100 300 | sell 25
           > buy 25 at 1000 open slip 0                        # one bar tells no volatility
           1100 1100 1100 1100 200
           > sell 25 at 1062 open slip 38 impact 38            # ln 1.1 = 0.0953; 25 of 200 on average, root 0.354
           = position 0""",
        {"slippage": (SquareRootImpact(1.0, 60),)},
    ),
    Scenario(
        "an estimated spread by Corwin and Schultz: 990 to 1010 twice is a spread of 2 %",
        """1000 1010  990 1000 | buy 10
           1000 1010  990  990 | buy 10
           > buy 10 at 1000 open slip 0                        # one bar tells nothing
            990  990  990  990
           > buy 10 at 1000 open slip 10 spread 10             # half of 2 % of 990 is 9.9""",
        {"slippage": (EstimatedSpread("corwin_schultz", 60),)},
    ),
    Scenario(
        "an estimated spread by Abdi and Ranaldo: a close at both highs is half a spread off the middle",
        """1000 1010  990 1010
           1010 1010  990 1000 | buy 10
           1000 1000 1000 1000
           > buy 10 at 1011 open slip 11 spread 11             # half of ln(1010 / 990), 1.00003 %, is 10.0003""",
        {"slippage": (EstimatedSpread("abdi_ranaldo", 60),)},
    ),
    Scenario(
        "models add up, each rounded up by itself",
        """1000 1000 1000 1000 100 | buy 10
           1001 1001 1001 1001 100
           > buy 10 at 1021 open ref 1001 slip 20 spread 6 impact 3    # 11, 6 and 3: 10.01, 5.005 and 2.5025""",
        {"slippage": (FixedSlippage(10_000), HalfSpread(5_000), VolumeShare(0.25))},
    ),
    Scenario(
        "stops slip from their trigger, or from the gap; limits never slip",
        """1000 1000 1000 1000 | buy 10 stop 1020; buy 10 limit 980; buy 10 stop 1040
           1000 1020  970 1000
           > buy 10 at 1031 path ref 1020 slip 11
           > buy 10 at 980 path ref 980 slip 0
           1050 1050 1050 1050
           > buy 10 at 1061 gap ref 1050 slip 11""",
        {"slippage": (FixedSlippage(10_000),)},
    ),
    Scenario(
        "a trailing stop slips",
        """1000 1000 1000 1000 | buy 10
           1000 1000 1000 1000 | sell 10 trail 100
           > buy 10 at 1010 open
           1000 1000  890  950
           > sell 10 at 891 path ref 900 slip 9""",
        {"slippage": (FixedSlippage(10_000),)},
    ),
)  # fmt: skip

VOLUME = both_sides(
    Scenario(
        "a tenth of a bar's volume fills, the rest waits for the next opens",
        """100 100 100 100     | a: buy 10
           100 100 100 100  65
           > a: buy 6 at 100 open
           101 101 101 101   9
           102 102 102 102  39
           > a: buy 3 at 102 open
           103 103 103 103 999
           > a: buy 1 at 103 open position 10
           = orders 0""",
        {"participation_ppm": 100_000},
    ),
    Scenario(
        "one bar's volume is used once, by all orders together, buys and sells",
        """100 100 100 100     | a: buy 6; b: sell 3; c: buy 6; d: buy 1
           100 100 100 100 100
           > a: buy 6 at 100 open
           > b: sell 3 at 100 open
           > c: buy 1 at 100 open
           100 100 100 100  50
           > c: buy 5 at 100 open
           100 100 100 100  50
           > d: buy 1 at 100 open""",
        {"participation_ppm": 100_000},
    ),
    Scenario(
        "what filled at the open is missing in the path",
        """100 100 100 100     | a: buy 6; b: buy 6 limit 95; c: sell 6 stop 94
           100 100  90 100 100
           > a: buy 6 at 100 open
           > c: sell 4 at 94 path
           100 100  96 100 100
           > c: sell 2 at 100 open       # the stop was set off
           100 100  90 100 100
           > b: buy 6 at 95 path""",
        {"participation_ppm": 100_000},
    ),
    Scenario(
        "a limit's rest keeps its limit and its place",
        """100 100 100 100    | a: buy 10 limit 95; b: buy 10 limit 95
           100 100  90 100 70
           > a: buy 7 at 95 path maker
           100 100  90 100 70
           > a: buy 3 at 95 path maker
           > b: buy 4 at 95 path maker
           = orders 1 position 14""",
        {"participation_ppm": 100_000},
    ),
    Scenario(
        "a stop that was set off without volume is a market order from then on, although the price comes back",
        """100 100 100 100     | a: buy 10 stop 105
           100 106 100 106   0
           > a: triggered
           103 104 102 103 100
           > a: buy 10 at 103 open""",
        {"participation_ppm": 100_000},
    ),
    Scenario(
        "without a limit on participation a bar fills anything, whatever its volume",
        """100 100 100 100     | a: buy 1000
           100 100 100 100   0
           > a: buy 1000 at 100 open""",
    ),
)  # fmt: skip


def charged(name: str, table: str, **fees: object) -> Scenario:
    return Scenario(name, table, {"fees": FeeSchedule(**fees)})  # type: ignore[arg-type]


TENTH = {"participation_ppm": 100_000}
WEEKS = "\n".join(["-"] * 27)
FEES = one_side(
    charged(
        "makers and takers",
        """100 100 100 100 | buy 10; buy 10 limit 95
           100 100  90 100
           > buy 10 at 100 open taker fee 0.7
           > buy 10 at 95 path maker fee 0.19
           = fees 0.89 cash 998049.11""",
        maker_ppm=200,
        taker_ppm=700,
    ),
    charged(
        "a maker's rebate is money received",
        """100 100 100 100 | buy 10 limit 95
           100 100  90 100
           > buy 10 at 95 path maker fee -0.095
           = fees -0.095 cash 999050.095""",
        maker_ppm=-100,
        taker_ppm=700,
    ),
    charged(
        "per share: with a least fee, and a cap that wins over it",
        """100 100 100 100 | buy 100; buy 1000; buy 1
           100 100 100 100 | buy 1
           > buy 100 at 100 open fee 1                 # 0.50 for the shares, 1 at least
           > buy 1000 at 100 open fee 5
           > buy 1 at 100 open fee 1                   # exactly its cap of 1 % of 100
            50  50  50  50
           > buy 1 at 50 open fee 0.5                  # its cap""",
        per_unit=Decimal("0.005"),
        minimum=Decimal(1),
        cap_ppm=10_000,
    ),
    charged(
        "a flat fee an order, besides its rate",
        """100 100 100 100 | buy 10; sell 5
           100 100 100 100
           > buy 10 at 100 open fee 3
           > sell 5 at 100 open fee 2.5""",
        flat=Decimal(2),
        taker_ppm=1_000,
        maker_ppm=1_000,
    ),
    charged(
        "a tax on sales, on top of the least fee",
        """100 100 100 100 | buy 100; sell 100
           100 100 100 100
           > buy 100 at 100 open fee 1
           > sell 100 at 100 open fee 1.25             # 25 ppm of 10,000
           = fees 2.25 equity 999997.75""",
        minimum=Decimal(1),
        sell_ppm=25,
    ),
    Scenario(
        "an order in parts pays its flat fee and its least fee once: each part pays the difference",
        """100 100 100 100     | buy 30
           100 100 100 100 100
           > buy 10 at 100 open fee 2                  # 0.2 and 1, 2 at least
           100 100 100 100 100
           > buy 10 at 100 open fee 0                  # 0.4 and 1 in all
           100 100 100 100 100
           > buy 10 at 100 open fee 0                  # 0.6 and 1
           = fees 2 orders 0""",
        {"fees": FeeSchedule(taker_ppm=200, maker_ppm=200, flat=Decimal(1), minimum=Decimal(2))} | TENTH,
    ),
    Scenario(
        "an order in parts that outgrows its least fee",
        """100 100 100 100     | buy 30
           100 100 100 100 200
           > buy 20 at 100 open fee 5                  # 4
           100 100 100 100 200
           > buy 10 at 100 open fee 1                  # 6 in all""",
        {"fees": FeeSchedule(taker_ppm=2_000, maker_ppm=2_000, minimum=Decimal(5))} | TENTH,
    ),
    Scenario(
        "each fee is rounded up to a quantum",
        """1.01 1.01 1.01 1.01 | buy 0.001
           1.01 1.01 1.01 1.01
           > buy 0.001 at 1.01 open fee 0.00000079     # 777 ppm of 0.00101 are 0.00000078477""",
        plan={
            "instrument": ONE.model_copy(update={"tick_size": Decimal("0.01"), "lot_size": Decimal("0.001")}),
            "terms": Terms(fees=FeeSchedule(maker_ppm=777, taker_ppm=777)),
        },
    ),
    Scenario(
        "a rebate is rounded down to a quantum: always against the trader",
        """1.01 1.01 1.01 1.01 | buy 0.001 limit 1.01
           1.01 1.01 1.00 1.01
           > buy 0.001 at 1.01 path maker fee -0.00000078    # 777 ppm are 0.00000078477""",
        plan={
            "instrument": ONE.model_copy(update={"tick_size": Decimal("0.01"), "lot_size": Decimal("0.001")}),
            "terms": Terms(fees=FeeSchedule(maker_ppm=-777, taker_ppm=777)),
        },
    ),
    Scenario(
        "tiers by the volume of the 30 days before the day of the fill",
        f"""100 100 100 100 | buy 10                   # day 0
           100 100 100 100 | sell 10
           > buy 10 at 100 open fee 1 tier 0
           100 100 100 100 | buy 10
           > sell 10 at 100 open fee 1 tier 0         # 1,000 before this day
           100 100 100 100 | buy 90
           > buy 10 at 100 open fee 0.5 tier 1        # 2,000
           100 100 100 100 | buy 1
           > buy 90 at 100 open fee 4.5 tier 1        # 3,000: that of its own day does not count
           100 100 100 100
           > buy 1 at 100 open fee 0.02 tier 2        # 12,000
           {WEEKS}
           100 100 100 100 | buy 1                    # day 33
           100 100 100 100 | buy 1
           > buy 1 at 100 open fee 0.05 tier 1        # day 34: the days 4 to 33, 9,100
           100 100 100 100
           > buy 1 at 100 open fee 0.1 tier 0         # day 35: the days 5 to 34, 200""",
        {
            "fees": FeeSchedule(
                maker_ppm=1_000,
                taker_ppm=1_000,
                tiers=(Tier(Decimal(2_000), 800, 500), Tier(Decimal(10_000), 100, 200)),
            )
        },
        {"timeframe": Timeframe.parse("1d")},
    ),
    Scenario(
        "a fill inside a day's bar belongs to that day",
        """100 100 100 100 | buy 10; sell 20 limit 101
           100 102 100 102
           > buy 10 at 100 open fee 1 tier 0
           > sell 20 at 101 path fee 2.02 tier 0      # the 1,000 of its own day do not count
           100 100 100 100""",
        {"fees": FeeSchedule(maker_ppm=1_000, taker_ppm=1_000, tiers=(Tier(Decimal(1_000), 0, 0),))},
        {"timeframe": Timeframe.parse("1d")},
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*SLIPPAGE, *VOLUME, *FEES])
def test_costs(scenario: Scenario) -> None:
    play(scenario)


def test_a_volume_in_lots_is_not_cut_by_floats() -> None:
    """87 lots of 0.001 are 0.087, of which floats make 86.99999999999999."""
    fine = ONE.model_copy(update={"lot_size": Decimal("0.001")})
    run = play(
        Scenario(
            "",
            """100 100 100 100       | buy 0.1
               100 100 100 100 0.087
               > buy 0.087 at 100 open
               100 100 100 100 0.087
               > buy 0.013 at 100 open""",
            plan={"instrument": fine, "terms": Terms(participation_ppm=1_000_000)},
        )
    )
    assert run.engine.account.position_lots == 100


COIN = ONE.model_copy(update={"symbol": "COIN", "base": "COIN"})


def in_coin(table: str, coins: str) -> Engine:
    """A pays fees of 0.1 % in COIN, a quarter less; B is COIN itself at 300."""
    fees = FeeSchedule(maker_ppm=1_000, taker_ppm=1_000, currency="COIN", discount_ppm=250_000)
    plans = (replace(PLAN, terms=Terms(fees=fees)), Plan(COIN, MINUTE, 0, 10**11))
    cash = {"USD": Decimal(10_000), "COIN": Decimal(coins)}
    return play(Scenario("", table, plans=plans, cash=cash)).engine


def test_a_fee_in_a_named_currency() -> None:
    engine = in_coin(
        """100 100 100 100 / 300 300 300 300 | buy 10 A
           100 100 100 100 / 300 300 300 300
           > buy 10 A at 100 open fee 0.75 cash 9000
           = equity 10299.25""",
        "1",
    )
    assert engine.cash() == {"USD": (9000, 0), "COIN": (Decimal("0.9975"), 0)}, "0.75 at 300 are 0.0025"


def test_a_fee_in_a_named_currency_of_which_there_is_not_enough() -> None:
    engine = in_coin(
        """100 100 100 100 / 300 300 300 300 | buy 10 A
           100 100 100 100 / 300 300 300 300
           > buy 10 A at 100 open fee 1 cash 8999""",
        "0.00249999",
    )
    assert engine.cash() == {"USD": (8999, 0), "COIN": (Decimal("0.00249999"), 0)}, "no discount then"


def test_a_fee_in_a_named_currency_is_rounded_against_the_trader() -> None:
    engine = in_coin(
        """100 100 100 100 / 700 700 700 700 | buy 1 A
           100 100 100 100 / 700 700 700 700
           > buy 1 A at 100 open fee 0.075""",
        "1",
    )
    assert engine.cash()["COIN"] == (Decimal("0.99989285"), 0), "0.075 / 700 = 0.000107142857…"


HALF, WHOLE = 30 * 10**9, 60 * 10**9
LATENCY = one_side(
    Scenario(
        "a whole bar late: the next open but one",
        """100 100 100 100 | buy 10
           101 101 101 101
           102 102 102 102
           > buy 10 at 102 open""",
        {"latency_ns": (WHOLE,)},
    ),
    Scenario(
        "late by a hair: not at the next open, but in its candle",
        """100 100 100 100 | buy 10
           101 101 101 101
           > buy 10 at 101 path taker""",
        {"latency_ns": (1,)},
    ),
    Scenario(
        "half a bar late: the worse of the two ways through the candle, half of each gone",
        """100 100 100 100 | buy 10; sell 10
           100 110  90  95
           > buy 10 at 103 path             # 100-110-90-95: 17 of 35 ticks on, at 103
           > sell 10 at 102 path            # 100-90-110-95: 22 of 45 ticks on, at 102""",
        {"latency_ns": (HALF,)},
    ),
    Scenario(
        "the optimistic path takes the better of the two",
        """100 100 100 100 | buy 10; sell 10
           100 110  90  95
           > buy 10 at 102 path
           > sell 10 at 103 path""",
        {"latency_ns": (HALF,), "path": "optimistic"},
    ),
    Scenario(
        "on a walked path: where the price is then",
        """100 100 100 100 | buy 10
           100 110  90 105
           > buy 10 at 98 path              # 100-90-110-105: 18 of 35 ticks on""",
        {"latency_ns": (HALF,), "path": "shortest"},
    ),
    Scenario(
        "on a walked path a late limit fills by what is left of the way",
        """100 100 100 100 | a: buy 1 limit 92; b: sell 1 limit 107; c: sell 1 stop 97; d: buy 1 limit 101
           100 110  90 105
           > d: buy 1 at 98 path taker      # joins at 98, on the way up: it is beaten there
           > b: sell 1 at 107 path maker
           = orders 2""",
        {"latency_ns": (HALF,), "path": "shortest"},
    ),
    Scenario(
        "where the path is not known, a late limit that is not beaten on arrival waits for the next bar",
        """100 100 100 100 | a: buy 1 limit 92; b: buy 1 limit 104
           100 110  90  95
           > b: buy 1 at 103 path taker
            95 100  90  95
           > a: buy 1 at 92 path maker""",
        {"latency_ns": (HALF,)},
    ),
    Scenario(
        "a stop that the price has passed when it arrives fills at the price it finds",
        """100 100 100 100 | buy 10 stop 101
           102 107 101 107
           > buy 10 at 104 path taker       # 102-107-101-107 or 102-101-107: the worse of 104 and 103""",
        {"latency_ns": (HALF,)},
    ),
    Scenario(
        "an exit on a signal is late as well",
        """100 100 100 100 | long
           100 100 100 100
           > entry buy 10 at 100 path
           101 101 101 101 | leave
           103 103 103 103
           > exit sell 10 at 103 path""",
        {"latency_ns": (HALF,)},
    ),
    Scenario(
        "an order at once is cancelled if it is not beaten when it arrives",
        """100 100 100 100 | a: buy 10 limit 99 ioc; b: buy 10 limit 104 ioc
           100 110  90  95
           > a: cancelled (not filled at once)
           > b: buy 10 at 103 path taker""",
        {"latency_ns": (HALF,)},
    ),
    Scenario(
        "the exits of a bracket are at the venue already: they are not late",
        """100 100 100 100 | buy 10 profit 110 loss 95
           100 100 100 100
           > entry buy 10 at 100 path
            94  94  94  94
           > stop sell 10 at 94 gap""",
        {"latency_ns": (HALF,)},
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", LATENCY)
def test_latency(scenario: Scenario) -> None:
    play(scenario)


def test_drawn_latencies() -> None:
    """Each order draws one of the samples: all of them about equally often, by the seed, always the same."""
    n = 1_200
    bars, _ = candles("100 100 100 100\n" * (n + 3))

    def waits(seed: int) -> list[int]:
        engine = Engine(replace(PLAN, terms=Terms(latency_ns=(0, WHOLE, 2 * WHOLE), seed=seed)))
        placed: dict[int, int] = {}
        found = []
        for i in range(n + 3):
            found += [i - placed[e.order_id] for e in engine.step(bars.bar(i)) if e.kind == "fill"]
            if i < n:
                placed[engine.submit(layout.MARKET, 1, qty_lots=1)[0].order_id] = i
        return found

    first = waits(1)
    assert sorted(set(first)) == [1, 2, 3]
    for bars_late in (1, 2, 3):
        # four standard deviations of a share of a third
        assert abs(first.count(bars_late) / n - 1 / 3) < 4 * (2 / 9 / n) ** 0.5
    assert waits(1) == first
    assert waits(2) != first


WHY = Scenario(
    "why a fill cost what it did: rule, reference, what slipped and for what, who took, fee and tier",
    """1000 1000 1000 1000 100 | buy 2
       1000 1000 1000 1000 100 | buy 10
       > buy 2 at 1016 open ref 1000 slip 16 spread 5 impact 1 taker tier 0 fee 2.032
       1001 1001 1001 1001 100 | buy 10 limit 1000
       > buy 10 at 1021 open ref 1001 slip 20 spread 6 impact 3 taker tier 1 fee 5.105
       1001 1001  990 1001 100
       > buy 10 at 1000 path ref 1000 slip 0 spread 0 impact 0 maker tier 2 fee 1
       = fees 8.137""",
    {
        "slippage": (FixedSlippage(10_000), HalfSpread(5_000), VolumeShare(0.25)),
        "fees": FeeSchedule(
            maker_ppm=800,
            taker_ppm=1_000,
            tiers=(Tier(Decimal(2_000), 500, 500), Tier(Decimal(12_000), 100, 300)),
        ),
    },
    {"timeframe": Timeframe.parse("1d")},
)


def test_why() -> None:
    play(WHY)
