"""Short sales with borrowed shares, and perpetuals on margin: what is locked, what is paid, and when it is liquidated.

How a table is read is told in `tests/support/scenarios.py`. The figures are worked out by hand beside each line.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from candles import MINUTE, ONE
from scenarios import Scenario, both_sides, one_side, play

from pregao.core.bars import Bar
from pregao.core.timeframe import Timeframe
from pregao.simulation.actions import Funding
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.slippage import FixedSlippage
from pregao.simulation.terms import Terms

DAY, HOUR = Timeframe.parse("1d"), Timeframe.parse("1h")
TEN_THOUSAND = {"cash_quanta": 10_000 * 10**8}
A_TENTH_A_DAY = 365_000  # ppm a year: a thousandth of the value a day

SHORTS = one_side(
    Scenario(
        "what a short sale brings in stays as security, and as much again is locked",
        """100 100 100 100 | sell 10
           = locked 1000
           100 100 100 100
           > sell 10 at 100 open cash 11000
           = cash 11000 locked 2000 free 9000 margin 2000 cost -1000 equity 10000
            90  90  90  90 | buy 10
           = equity 10100
            90  90  90  90
           > buy 10 at 90 open realised 100
           = cash 10100 locked 0 equity 10100""",
        plan=TEN_THOUSAND,
    ),
    Scenario(
        "a short that goes wrong",
        """100 100 100 100 | sell 10
           100 100 100 100 | buy 4
           > sell 10 at 100 open
           130 130 130 130
           > buy 4 at 130 open realised -120
           = cash 10480 locked 1200 margin 1200 equity 9700""",
        plan=TEN_THOUSAND,
    ),
    Scenario(
        "half of its value as security",
        """100 100 100 100 | sell 10
           = locked 500
           100 100 100 100
           > sell 10 at 100 open
           = cash 11000 locked 1500 free 9500""",
        {"initial_margin_ppm": 500_000},
        TEN_THOUSAND,
    ),
    Scenario(
        "with a maintenance margin it is bought back where its security is nearly used up",
        """100 100 100 100 | sell 10
           100 100 100 100
           > sell 10 at 100 open
           110 119 110 115
           115 125 115 115                         # 1,500 - 10 p <= 25 % of 10 p at 120
           > liquidation buy 10 at 120 path realised -200
           = cash 9800 locked 0""",
        {"initial_margin_ppm": 500_000, "maintenance_margin_ppm": 250_000},
        TEN_THOUSAND,
    ),
    Scenario(
        "a long that is paid in cash is never liquidated",
        """100 100 100 100 | buy 10
           100 100 100 100
           > buy 10 at 100 open
             1   1   1   1
           = position 10 equity 9010 locked 0""",
        {"initial_margin_ppm": 500_000, "maintenance_margin_ppm": 250_000},
        TEN_THOUSAND,
    ),
    Scenario(
        "borrowed shares: a thousandth of their value for each day that begins",
        """100 100 100 100 | sell 10
           100 100 100 100
           > sell 10 at 100 open
           110 120 110 120
           > interest -1                           # of 1,000, the value at the last close
           120 120 120 120 | buy 10
           > interest -1.2
           120 120 120 120
           > interest -1.2                         # it was held over the night
           > buy 10 at 120 open realised -200
           120 120 120 120
           = interest 3.4 equity 9796.6""",
        {"borrow_ppm": A_TENTH_A_DAY},
        {"timeframe": DAY, **TEN_THOUSAND},
    ),
    Scenario(
        "days without bars cost as well",
        """100 100 100 100 | sell 10
           100 100 100 100
           > sell 10 at 100 open
           -
           -
           100 100 100 100
           > interest -3""",
        {"borrow_ppm": A_TENTH_A_DAY},
        {"timeframe": DAY},
    ),
    Scenario(
        "within a day it costs nothing, and longs never pay",
        """100 100 100 100 | sell 10
           100 100 100 100 | buy 20
           > sell 10 at 100 open
           100 100 100 100                         # 22:00
           > buy 20 at 100 open
           100 100 100 100
           100 100 100 100                         # midnight
           = interest 0""",
        {"borrow_ppm": A_TENTH_A_DAY},
        {"timeframe": HOUR},
        start_ns=20 * HOUR.ns,
    ),
    Scenario(
        "sold in the last hour before midnight: one night",
        """100 100 100 100 | sell 10 limit 101
           100 102 100 100                         # 23:00
           > sell 10 at 101 path
           100 100 100 100
           > interest -1
           100 100 100 100
           = interest 1""",
        {"borrow_ppm": A_TENTH_A_DAY},
        {"timeframe": HOUR},
        start_ns=22 * HOUR.ns,
    ),
    Scenario(
        "interest is rounded up to a quantum",
        """1.01 1.01 1.01 1.01 | sell 0.001
           1.01 1.01 1.01 1.01
           > sell 0.001 at 1.01 open
           1.01 1.01 1.01 1.01
           > interest -0.00000003                  # 10,000 ppm a year of 0.00101 are 0.0000000277 a day""",
        plan={
            "instrument": ONE.model_copy(update={"tick_size": Decimal("0.01"), "lot_size": Decimal("0.001")}),
            "timeframe": DAY,
            "terms": Terms(borrow_ppm=10_000),
        },
    ),
)  # fmt: skip


def paid(*rates: str) -> tuple[Funding, ...]:
    """Funding at the opens of the candles 2, 3, …"""
    return tuple(Funding((i + 2) * MINUTE.ns, Decimal(rate)) for i, rate in enumerate(rates))


PERPETUAL: dict[str, Any] = {"contract": "margin", "initial_margin_ppm": 100_000, "maintenance_margin_ppm": 50_000}
PERPETUALS = one_side(
    Scenario(
        "no notional is paid: a tenth of it is locked, and the difference is paid at the end",
        """100 100 100 100 | buy 10
           = locked 100
           100 100 100 100
           > buy 10 at 100 open cash 10000
           = cash 10000 locked 100 margin 100 cost 1000 equity 10000
           110 110 110 110 | sell 10
           = equity 10100 free 9900                # what is not realised cannot be spent
           110 110 110 110
           > sell 10 at 110 open realised 100
           = cash 10100 locked 0 equity 10100""",
        PERPETUAL,
        TEN_THOUSAND,
    ),
    Scenario(
        "short",
        """100 100 100 100 | sell 10
           100 100 100 100 | buy 5
           > sell 10 at 100 open cash 10000
           = locked 100
            90  90  90  90
           > buy 5 at 90 open realised 50 cash 10050
           = locked 50 margin 50 equity 10100""",
        PERPETUAL,
        TEN_THOUSAND,
    ),
    Scenario(
        "it needs no permission to sell short",
        """100 100 100 100 | sell 10
           100 100 100 100
           > sell 10 at 100 open""",
        plan={"instrument": ONE.model_copy(update={"allow_short": False}), "terms": Terms(**PERPETUAL)},
    ),
    Scenario(
        "the margin and the fee must be there",
        """100 100 100 100 | a: buy 1000; b: buy 990
           > rejected (no funds)                   # 10,000 and a fee of 100
           = locked 9999 orders 1                  # 9,900 and 99""",
        PERPETUAL | {"fees": FeeSchedule.flat_rate(1_000)},
        TEN_THOUSAND,
    ),
    Scenario(
        "funding: the long pays the short at its time, of the value at the last close",
        """100 100 100 100 | buy 10
           100 100 100 100
           > buy 10 at 100 open
           105 110 105 110
           > funding -0.1                          # 0.01 % of 1,000
           110 110 110 110 | sell 20
           > funding -0.11
           110 110 110 110
           > funding 0.22                          # -0.02 % of 1,100: the payer receives; the sale comes after it
           > sell 20 at 110 open
           110 110 110 110
           > funding 0.33                          # 0.03 %, now short
           = funding -0.34""",
        PERPETUAL | {"actions": paid("0.0001", "0.0001", "-0.0002", "0.0003")},
        TEN_THOUSAND,
    ),
    Scenario(
        "funding falls due inside a candle: it is paid before the next open, by who holds it then",
        """100 100 100 100 | buy 10
           100 100 100 100                         # due at half of it
           > buy 10 at 100 open
           100 100 100 100
           > funding -1""",
        PERPETUAL | {"actions": (Funding(MINUTE.ns + MINUTE.ns // 2, Decimal("0.001")),)},
    ),
    Scenario(
        "who comes at the open at which it is due does not pay, who leaves there does",
        """100 100 100 100
           100 100 100 100 | buy 10
           100 100 100 100 | sell 10
           > buy 10 at 100 open
           100 100 100 100
           > funding -1
           > sell 10 at 100 open""",
        PERPETUAL | {"actions": paid("0.001", "0.001")},
    ),
    Scenario(
        "liquidation: 100 of margin and a loss, down to 5 % of the value",
        """100 100 100 100 | buy 10
           100 100  95 100
           > buy 10 at 100 open
           100 100  80  85                         # 100 + 10 p - 1,000 <= 0.5 p at 94.7: the first tick is 94
           > liquidation sell 10 at 94 path taker fee 9.4 realised -60 position 0
           = cash 9930.6 locked 0""",
        PERPETUAL | {"liquidation_fee_ppm": 10_000},
        TEN_THOUSAND,
    ),
    Scenario(
        "liquidation of a short",
        """100 100 100 100 | sell 10
           100 104 100 100
           > sell 10 at 100 open
           100 120 100 115                         # 100 + 1,000 - 10 p <= 0.5 p at 104.8: the first tick is 105
           > liquidation buy 10 at 105 path taker fee 10.5 realised -50
           = cash 9939.5 locked 0""",
        PERPETUAL | {"liquidation_fee_ppm": 10_000},
        TEN_THOUSAND,
    ),
    Scenario(
        "liquidation at a gap, within the margin: at the open; the fee is what is left of the margin at most",
        """100 100 100 100 | buy 10
           100 100 100 100
           > buy 10 at 100 open
            91  91  91  91
           > liquidation sell 10 at 91 gap fee 9.1 realised -90
           = cash 9900.9""",
        PERPETUAL | {"liquidation_fee_ppm": 10_000},
        TEN_THOUSAND,
    ),
    Scenario(
        "a gap beyond the margin: the loss is the margin and never more",
        """100 100 100 100 | buy 10
           100 100 100 100
           > buy 10 at 100 open
            70  71  60  70
           > liquidation sell 10 at 90 gap fee 0 realised -100
           = cash 9900 locked 0""",
        PERPETUAL | {"liquidation_fee_ppm": 10_000},
        TEN_THOUSAND,
    ),
    Scenario(
        "a gap beyond the margin of a short",
        """100 100 100 100 | sell 10
           100 100 100 100
           > sell 10 at 100 open
           150 150 150 150
           > liquidation buy 10 at 110 gap fee 0 realised -100
           = cash 9900 locked 0""",
        PERPETUAL | {"liquidation_fee_ppm": 10_000},
        TEN_THOUSAND,
    ),
    Scenario(
        "a liquidation slips, within the margin",
        """100 100 100 100 | buy 10
           100 100 100 100
           > buy 10 at 101 open                    # margin 101: 101 + 10 p - 1,010 <= 0.5 p at 95.7
           100 100  90  92
           > liquidation sell 10 at 94 path ref 95 slip 1
           = realised -70""",
        PERPETUAL | {"slippage": (FixedSlippage(10_000),)},
    ),
    Scenario(
        "a liquidation waits for no volume",
        """100 100 100 100     | buy 10
           100 100 100 100 100
           > buy 10 at 100 open
           100 100  90  92  10
           > liquidation sell 10 at 94 path position 0""",
        PERPETUAL | {"participation_ppm": 100_000},
    ),
    Scenario(
        "more at another price: one margin, one level",
        """100 100 100 100 | buy 10
           100 100 100 100 | buy 10
           > buy 10 at 100 open
           110 110 110 110
           > buy 10 at 110 open
           = margin 210 cost 2100
           110 110 100 105
           105 105  99 100                         # 210 + 20 p - 2,100 <= p at 99.5
           > liquidation sell 20 at 99 path""",
        PERPETUAL,
    ),
    Scenario(
        "half is sold, half of the margin is free: the level stays",
        """100 100 100 100 | buy 10
           100 100 100 100 | sell 5
           > buy 10 at 100 open
           100 100  95 100
           > sell 5 at 100 open
           = margin 50
           100 100  94 100
           > liquidation sell 5 at 94 path""",
        PERPETUAL,
    ),
    Scenario(
        "funding that free cash cannot pay comes out of the margin, and the level moves",
        """100 100 100 100 | buy 10
           100 100 100 100
           > buy 10 at 100 open
           = free 0
           100 100  96 100
           > funding -10
           = margin 90 cash 90
           100 100  95 100                         # 90 + 10 p - 1,000 <= 0.5 p at 95.8
           > liquidation sell 10 at 95 path""",
        PERPETUAL | {"actions": paid("0.01")},
        {"cash_quanta": 100 * 10**8},
    ),
    Scenario(
        "where funding takes all of the margin, the loss is the margin",
        """100 100 100 100 | buy 10
           100 100 100 100
           > buy 10 at 100 open
           100 100 100 100
           > funding -500
           > liquidation sell 10 at 100 gap
           = position 0""",
        PERPETUAL | {"actions": paid("0.5")},
        {"cash_quanta": 100 * 10**8},
    ),
    Scenario(
        "the stop loss of a bracket is nearer than the liquidation; at a gap beyond both the older one fills",
        """100 100 100 100 | buy 10 profit 110 loss 97
           100 100 100 100
           > entry buy 10 at 100 open
            93  93  93  93
           > stop sell 10 at 93 gap realised -70
           = orders 0 locked 0""",
        PERPETUAL,
    ),
    Scenario(
        "a liquidation ends the bracket",
        """100 100 100 100 | buy 10 profit 110 loss 92
           100 100 100 100
           > entry buy 10 at 100 open
           100 100  93  93
           > liquidation sell 10 at 94 path
           > profit cancelled (the position is closed)
           > stop cancelled (the position is closed)
           = orders 0""",
        PERPETUAL,
    ),
    Scenario(
        "after a liquidation one can trade again, with what is left",
        """100 100 100 100 | buy 10
           100 100 100 100
           > buy 10 at 100 open
           100 100  80  80 | buy 10
           > liquidation sell 10 at 94 path
            80  80  80  80
           > buy 10 at 80 open
           = margin 80 cash 9940""",
        PERPETUAL,
        TEN_THOUSAND,
    ),
)  # fmt: skip

EITHER = both_sides(
    Scenario(
        "what is earned on margin is the price move, on either side",
        """100 100 100 100 | buy 10 profit 110 loss 96
           100 111  99 110
           > entry buy 10 at 100 open
           > profit sell 10 at 110 path realised 100
           = equity 1000100""",
        PERPETUAL,
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*SHORTS, *PERPETUALS, *EITHER])
def test_margin(scenario: Scenario) -> None:
    play(scenario)


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("initial", [40_000, 100_000, 333_333, 1_000_000])
@pytest.mark.parametrize("gap", [1, 50, 97, 99, 101, 103, 150, 1_000])
def test_the_loss_is_never_more_than_the_margin(side: str, initial: int, gap: int) -> None:
    """Whatever the gap, slippage and fees included: only the fee of the entry came on top, and was paid before."""
    terms = Terms(
        contract="margin", initial_margin_ppm=initial, maintenance_margin_ppm=10_000, liquidation_fee_ppm=50_000,
        fees=FeeSchedule.flat_rate(1_000), slippage=(FixedSlippage(10_000),),
    )  # fmt: skip
    engine = play(
        Scenario(
            "",
            f"""100 100 100 100 | {side} 10
                100 100 100 100
                > {side} 10 at {101 if side == "buy" else 99} open""",
            plan={"terms": terms},
        )
    ).engine
    before = engine.account
    engine.step(Bar(2 * MINUTE.ns, 3 * MINUTE.ns, gap, gap, gap, gap, 1.0))
    after = engine.account
    assert after.cash_quanta >= before.cash_quanta - before.margin_quanta
    left = after.margin_quanta + after.position_lots * gap * 10**8 - after.cost_quanta
    assert left > 0 or after.position_lots == 0, "what is still open is worth something"
