"""Splits and dividends through positions, brackets and resting orders: as tables, and on Apple's shares of 2014.

On the ex-date, before the open: a split changes quantities and prices so that all is worth what it was, and pays out
what is not a whole lot; a dividend is paid to the long and by the short, and lowers resting bids and sell stops (FINRA
rule 5330). How a table is read is told in `tests/support/scenarios.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import pandas as pd
import pytest
from candles import MINUTE
from scenarios import Scenario, one_side, play

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.actions import Action, Dividend, Split, adjusted_already, from_frame
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.plan import Plan
from pregao.simulation.terms import Terms

TEN_THOUSAND = {"cash_quanta": 10_000 * 10**8}
THIRD = 2 * MINUTE.ns
"""When the third candle opens."""


def split(new: int, old: int = 1) -> dict[str, tuple[Action, ...]]:
    return {"actions": (Split(THIRD, Fraction(new, old)),)}


def dividend(amount: str) -> dict[str, tuple[Action, ...]]:
    return {"actions": (Dividend(THIRD, Decimal(amount)),)}


SPLITS = one_side(
    Scenario(
        "two for one: the position, its stop, its target and a bid below",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 5 limit 120; b: sell 5 stop 80; c: buy 3 limit 90
           > buy 10 at 100 open
            50  50  50  50
           > split 0
           = position 20 cost 1000 cash 9000 equity 10000 orders 3
            50  61  50  60
           > a: sell 10 at 60 path realised 100
            60  60  39  40
           > b: sell 10 at 40 path realised -100 position 0
           > c: buy 6 at 45 path position 6""",
        split(2),
        TEN_THOUSAND,
    ),
    Scenario(
        "seven for one through a bracket",
        """700 700 700 700 | buy 3 profit 770 loss 630
           700 700 700 700
           > entry buy 3 at 700 open
           100 105  95 100
           > split 0
           = position 21 cost 2100 orders 2
           100 111 100 110
           > profit sell 21 at 110 path realised 210 position 0
           = orders 0""",
        split(7),
    ),
    Scenario(
        "seven for one through the bracket of a short",
        """700 700 700 700 | sell 3 profit 630 loss 770
           700 700 700 700
           > entry sell 3 at 700 open
           100 105  95 100
           > split 0
           = position -21 cost -2100 orders 2
           100 111 100 110
           > stop buy 21 at 110 path realised -210 position 0
           = orders 0""",
        split(7),
    ),
    Scenario(
        "an entry that waits brings its bracket over: limit bids down to a tick, offers up, stops to the nearest",
        """100 100 100 100 | a: buy 4 limit 81 profit 101 loss 71
           100 100 100 100
            50  50  39  45
           > split 0
           > a: entry buy 8 at 40 path    # 81 / 2 = 40.5
            45  51  45  51                # 101 / 2 = 50.5: the offer is at 51, which is only touched
            40  40  36  40                # 71 / 2 = 35.5: the stop is at 36
           > stop sell 8 at 36 path""",
        split(2),
    ),
    Scenario(
        "a stop-limit order",
        """100 100 100 100 | a: buy 5 stop 110 limit 115
           100 100 100 100
            50  60  50  58
           > split 0
           > a: triggered
           > a: buy 10 at 55 path taker""",
        split(2),
    ),
    Scenario(
        "a trailing stop, by distance",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 10 trail 20
           > buy 10 at 100 open
            50  50  41  45
           > split 0
            45  45  40  41
           > a: sell 20 at 40 path position 0""",
        split(2),
    ),
    Scenario(
        "a trailing stop, by a part of the price",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 10 trail 10%
           > buy 10 at 100 open
            50  50  46  48
           > split 0
            48  48  44  45
           > a: sell 20 at 45 path position 0""",
        split(2),
    ),
    Scenario(
        "an order by value buys for as much as before",
        """100 100 100 100
           100 100 100 100 | buy 1000$
            50  50  50  50
           > split 0
           > buy 20 at 50 open""",
        split(2),
    ),
    Scenario(
        "three for two: half a share is paid out at the last close",
        """100 100 100 100 | buy 5
           100 120 100 120 | a: sell 5 limit 150
           > buy 5 at 100 open
            80  80  80  80
           > split 40                   # 7.5 shares are 7 and 40 in cash, which had cost 33.33333333
           = position 7 cost 466.66666667 realised 6.66666667 cash 9540 equity 10100
            80 101  80 101
           > a: sell 7 at 100 path position 0""",
        split(3, 2),
        TEN_THOUSAND,
    ),
    Scenario(
        "one for ten: what is not a whole share is paid out; an order for less than one goes",
        """100 100 100 100 | buy 25
           100 110 100 110 | a: sell 25 limit 120; b: sell 5 stop 80
           > buy 25 at 100 open
           1100 1100 1100 1100
           > split 550                  # half a new share, at 1100
           > b: cancelled (a split left less than a lot)
           = position 2 cost 2000 realised 50 cash 8050 equity 10250 orders 1
           1100 1201 1100 1200
           > a: sell 2 at 1200 path realised 400 position 0""",
        split(1, 10),
        TEN_THOUSAND,
    ),
    Scenario(
        "one for ten for a short: the rest is bought back at the last close",
        """100 100 100 100 | sell 25
           100 110 100 110
           > sell 25 at 100 open
           = margin 5000 cash 12500
           1100 1100 1100 1100
           > split -550
           = position -2 cost -2000 realised -50 margin 4000 cash 11950 equity 9750""",
        split(1, 10),
        TEN_THOUSAND,
    ),
    Scenario(
        "nothing is left of the position, so nothing is left of its bracket",
        """100 100 100 100 | buy 10 profit 120 loss 90
           100 100 100 100
           > entry buy 10 at 100 open
           2000 2000 2000 2000
           > split 1000
           > profit cancelled (a split left less than a lot)
           > stop cancelled (a split left less than a lot)
           = position 0 cost 0 realised 0 cash 10000 locked 0 orders 0""",
        split(1, 20),
        TEN_THOUSAND,
    ),
    Scenario(
        "what an order had locked is free when a split takes it away",
        """100 100 100 100 | a: buy 5 limit 90
           = locked 450
           100 100 100 100
           1000 1000 1000 1000
           > split 0
           > a: cancelled (a split left less than a lot)
           = locked 0 free 10000""",
        split(1, 10),
        TEN_THOUSAND,
    ),
    Scenario(
        "who buys on the ex-date buys new shares",
        """100 100 100 100
           100 100 100 100 | a: buy 10
            50  50  50  50
           > split 0                    # an order for 10 old shares is one for 20
           > a: buy 20 at 50 open
           = position 20 cost 1000""",
        split(2),
    ),
)  # fmt: skip

DIVIDENDS = one_side(
    Scenario(
        "paid to the long; bids and sell stops are lowered by it, up to a tick, offers and buy stops are not",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: buy 5 limit 90; b: sell 10 stop 80; c: sell 5 limit 110; d: buy 5 stop 120
           > buy 10 at 100 open
            97  97  86  90              # 90 is 86 now, which must be traded through
           > dividend 33.3
           = cash 9033.3 equity 9933.3
            90  90  85  90
           > a: buy 5 at 86 path
            90  90  76  80
           > b: sell 10 at 76 path
            80 111  80 110
           > c: sell 5 at 110 path position 0
           110 121 110 120
           > d: buy 5 at 120 path""",
        dividend("3.33"),
        TEN_THOUSAND,
    ),
    Scenario(
        "charged to the short, whose target is lowered and whose stop is not",
        """100 100 100 100 | sell 10 profit 90 loss 110
           100 100 100 100
           > entry sell 10 at 100 open
            97  97  86  90
           > dividend -33.3
           = cash 10966.7
            90  90  85  90
           > profit buy 10 at 86 path realised 140 position 0
           = cash 10106.7""",
        dividend("3.33"),
        TEN_THOUSAND,
    ),
    Scenario(
        "a long's stop loss is lowered, its target stays",
        """100 100 100 100 | buy 10 profit 110 loss 90
           100 100 100 100
           > entry buy 10 at 100 open
            96  96  87  90
           > dividend 40
            90  90  86  86
           > stop sell 10 at 86 path realised -140 position 0""",
        dividend("4"),
    ),
    Scenario(
        "a trailing stop that sells is lowered with the price",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 10 trail 10
           > buy 10 at 100 open
            96  96  87  90
           > dividend 40
            90  90  86  86
           > a: sell 10 at 86 path""",
        dividend("4"),
    ),
    Scenario(
        "a stop-limit order that sells is lowered, trigger and limit",
        """100 100 100 100 | buy 10
           100 100 100 100 | a: sell 10 stop 90 limit 90
           > buy 10 at 100 open
            96  96  87  90
           > dividend 40
            90  90  85  85
           > a: triggered
           > a: sell 10 at 86 path""",
        dividend("4"),
    ),
    Scenario(
        "a part of a quantum is not paid to the long",
        """100 100 100 100 | buy 3
           100 100 100 100
           > buy 3 at 100 open
           100 100 100 100
           > dividend 0.99999999""",
        dividend("0.333333333333"),
    ),
    Scenario(
        "and is charged to the short",
        """100 100 100 100 | sell 3
           100 100 100 100
           > sell 3 at 100 open
           100 100 100 100
           > dividend -1""",
        dividend("0.333333333333"),
    ),
    Scenario(
        "who buys on the ex-date gets none",
        """100 100 100 100
           100 100 100 100 | buy 10
            97  97  97  97
           > buy 10 at 97 open
           = equity 10000""",
        dividend("3"),
        TEN_THOUSAND,
    ),
    Scenario(
        "who sells on the ex-date gets it",
        """100 100 100 100 | buy 10
           100 100 100 100 | sell 10
           > buy 10 at 100 open
            97  97  97  97
           > dividend 30
           > sell 10 at 97 open realised -30 position 0
           = cash 10000 equity 10000""",
        dividend("3"),
        TEN_THOUSAND,
    ),
    Scenario(
        "a bid never falls below a tick",
        """100 100 100 100 | a: buy 1 limit 2
           100 100 100 100
            95  95   1  95
            95  95   1  95              # its limit is at 1, through which nothing trades
           = orders 1""",
        dividend("5"),
    ),
    Scenario(
        "a dividend on the day of a split is for an old share if it comes first",
        """100 100 100 100 | buy 10
           100 100 100 100
           > buy 10 at 100 open
            49  49  49  49
           > dividend 20
           > split 0
           = position 20 cost 1000 cash 9020 equity 10000""",
        {"actions": (Dividend(THIRD, Decimal(2)), Split(THIRD, Fraction(2)))},
        TEN_THOUSAND,
    ),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [*SPLITS, *DIVIDENDS])
def test_splits_and_dividends(scenario: Scenario) -> None:
    play(scenario)


# Apple's shares, 2014 ------------------------------------------------------------------------------------------------

SHARED = Path(__file__).parents[3] / "shared" / "data" / "stocks" / "AAPL_1d_with_actions.parquet"
DAY = Timeframe.parse("1d")
AAPL = Instrument(
    symbol="AAPL", source="test", venue="test", asset_class="stock", base="AAPL", quote="USD", calendar="XNYS",
    tick_size=Decimal("0.01"), lot_size=Decimal(1), allow_short=True,
)  # fmt: skip
SPLIT_DAY = pd.Timestamp("2014-06-09", tz="UTC")
BID_DAY = pd.Timestamp("2014-06-05", tz="UTC")
CENT = Fraction(1, 100)


def apple() -> tuple[pd.DataFrame, Bars, tuple[Action, ...]]:
    """Apple's days of 2014 as they were traded.

    The file says that it is unadjusted, and `adjusted_already` says that it is not: prices and dividends before the
    split are a seventh of what they were. They are multiplied with seven and rounded to cents again.
    """
    frame = pd.read_parquet(SHARED)
    prices = ["open", "high", "low", "close"]
    fine = AAPL.model_copy(update={"tick_size": Decimal("0.000001")})
    given = Bars.from_frame(frame.round(dict.fromkeys(prices, 6)), fine, DAY)
    assert [s.ratio for s in adjusted_already(given, from_frame(frame))] == [7]
    before = frame["timestamp"] < SPLIT_DAY
    frame.loc[before, [*prices, "dividend"]] *= 7
    frame = frame[frame["timestamp"] >= "2014-01-01"].reset_index(drop=True)
    frame[[*prices, "dividend"]] = frame[[*prices, "dividend"]].round(2)
    frame["high"], frame["low"] = frame[prices].max(axis=1), frame[prices].min(axis=1)
    actions = from_frame(frame)
    assert [str(a.amount) for a in actions if isinstance(a, Dividend)] == ["3.05", "3.29", "0.47", "0.47"]
    bars = Bars.from_frame(frame, AAPL, DAY)
    assert adjusted_already(bars, actions) == ()
    return frame, bars, actions


@dataclass
class Resting:
    """An order of the calculation on paper: a stop or a limit."""

    stop: bool
    side: int
    shares: int
    level: Fraction

    def price(self, opened: Fraction, high: Fraction, low: Fraction) -> Fraction | None:
        """At what it fills on a day, if it does: a stop that is reached, a limit that is traded through."""
        worse = (opened - self.level) * self.side  # by how much the open is above a bid's level, below an offer's
        if self.stop:
            reached = high >= self.level if self.side > 0 else low <= self.level
            return (opened if worse >= 0 else self.level) if reached else None
        through = low < self.level if self.side > 0 else high > self.level
        return (opened if worse < 0 else self.level) if through else None


def on_paper(frame: pd.DataFrame, side: int, bid: Fraction | None, profit: Fraction, loss: Fraction) -> list[Fraction]:
    """Equity after each day in fractions: ten shares at the third day's open with a bracket, later 14 more at a bid."""

    def cents(value: float) -> Fraction:
        return Fraction(round(value * 100), 100)

    cash, shares = Fraction(100_000), 0
    bracket: list[Resting] = []
    others: list[Resting] = []
    found = []

    def trade(direction: int, count: int, price: Fraction) -> None:
        nonlocal cash, shares
        cash -= direction * count * price + max(count * CENT / 2, Fraction(1))
        shares += direction * count

    for i, row in frame.iterrows():
        opened, high, low, close = (cents(row[name]) for name in ("open", "high", "low", "close"))
        paid = cents(row["dividend"])
        cash += shares * paid
        for order in [*bracket, *others]:
            if order.stop == (order.side < 0):  # sell stops and bids
                order.level -= paid
        if row["split"] > 1:
            shares *= 7
            for order in [*bracket, *others]:
                exact = order.level / 7 / CENT
                resting = floor(exact) if order.side > 0 else ceil(exact)
                order.level = (floor(exact + Fraction(1, 2)) if order.stop else resting) * CENT
                order.shares *= 7
        if i == 2:
            trade(side, 10, opened)
            bracket = [Resting(True, -side, 10, loss), Resting(False, -side, 10, profit)]
        if bid and frame["timestamp"][i - 1 if i else 0] == BID_DAY:
            others = [Resting(False, 1, 14, bid)]
        for order in [*bracket, *others]:
            price = order.price(opened, high, low)
            if price is not None and (order in bracket or order in others):
                trade(order.side, order.shares, price)
                if order in bracket:
                    bracket = []
                else:
                    others = []
                    bracket = bracket if shares * side > 0 else []  # exits never open a position
        found.append(cash + shares * close)
    return found


ENTRY_DAY = "2014-01-06"
WAYS = [
    # side; bid, target and stop as they were asked for, before the split; what fills
    pytest.param(
        1, "633.50", "805.55", "460.00",
        [(ENTRY_DAY, 10, "537.45"), ("2014-06-24", 98, "90.50"), ("2014-11-17", -70, "115.08")],
        id="a long that reaches its target, beside a bid that waits over the split",
    ),
    pytest.param(
        1, "520.00", "1000.00", "480.00", [(ENTRY_DAY, 10, "537.45")],
        id="a long held to the end, beside a bid that is never met",
    ),
    pytest.param(
        -1, "637.00", "300.00", "701.75", [(ENTRY_DAY, -10, "537.45"), ("2014-06-13", 98, "91.00")],
        id="a short that pays dividends, turned long by a bid",
    ),
    pytest.param(
        -1, None, "300.00", "701.75", [(ENTRY_DAY, -10, "537.45"), ("2014-08-19", 70, "100.25")],
        id="a short that pays dividends and is stopped out after the split",
    ),
    pytest.param(-1, None, "300.00", "990.00", [(ENTRY_DAY, -10, "537.45")], id="a short held to the end"),
]  # fmt: skip


@pytest.mark.skipif(not SHARED.exists(), reason="the shared folder with real market data is not here")
@pytest.mark.parametrize(("side", "bid", "profit", "loss", "fills"), WAYS)
def test_a_split_and_dividends_leave_equity_right_to_the_cent(
    side: int, bid: str | None, profit: str, loss: str, fills: list[tuple[str, int, str]]
) -> None:
    """Bought or sold in January 2014, held with its resting orders through four dividends and seven for one."""
    frame, bars, actions = apple()
    fees = FeeSchedule(per_unit=Decimal("0.005"), minimum=Decimal(1))
    engine = Engine(Plan(AAPL, DAY, 100_000 * 10**8, 0, terms=Terms(fees=fees, actions=actions)))
    ticks = {name: int(Decimal(text) * 100) for name, text in (("profit", profit), ("loss", loss), ("bid", bid or "0"))}
    equity: list[Fraction] = []
    told: list[Event] = []
    for i in range(len(bars)):
        told += engine.step(bars.bar(i))
        if i == 1:
            engine.submit(
                layout.MARKET, side, qty_lots=10, role=layout.ENTRY,
                take_profit_ticks=ticks["profit"], stop_loss_ticks=ticks["loss"],
            )  # fmt: skip
        if bid and frame["timestamp"][i] == BID_DAY:
            engine.submit(layout.LIMIT, 1, qty_lots=14, price_ticks=ticks["bid"])
        equity.append(engine.account.equity_quanta * Fraction(AAPL.quantum))
    expected = on_paper(frame, side, Fraction(bid) if bid else None, Fraction(profit), Fraction(loss))
    days = frame["timestamp"].dt.strftime("%Y-%m-%d")
    assert [d for d, ours, theirs in zip(days, equity, expected, strict=True) if ours != theirs] == []
    traded = [
        (str(pd.Timestamp(e.ts_ns - (e.rule == "path")))[:10], e.side * e.qty_lots, str(AAPL.price(e.price_ticks)))
        for e in told if e.kind == "fill"
    ]  # fmt: skip
    assert traded == fills
