"""The oracle itself, on candles worked out by hand, so that it and the engine are not wrong together.

Prices are in units of 1 with a tick of 1; one lot is one unit. Each fill is (bar, side, quantity, price, rule).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from oracle import Bracket, Candle, Dividend, Event, Exchange, Fees, Funding, Market, Split, Terms

F = Fraction
MINUTE = 60 * 10**9
BUY, SELL = 1, -1


def market(**terms: Any) -> Market:
    return Market(F(1), F(1), F(1, 100), Terms(**terms))


def candle(number: int, line: str) -> Candle:
    figures = [F(word) for word in line.split()]
    return Candle(number * MINUTE, (number + 1) * MINUTE, *figures)


@dataclass(frozen=True)
class Table:
    """Candles, and what is submitted after the close of which of them."""

    name: str
    candles: str
    orders: list[tuple[int, str, int, dict[str, Any]]]
    fills: list[tuple[int, int, int, int, str]]
    terms: dict[str, Any] = field(default_factory=dict)


FLAT = "100 100 100 100"
TABLES = [
    Table("a market order fills at the next open", f"{FLAT}\n102 103 99 100", [(0, "market", BUY, {})],
          [(1, BUY, 10, 102, "open")]),
    Table("a limit is traded through", f"{FLAT}\n100 101 95 99\n99 100 94 99", [(0, "limit", BUY, {"limit": F(95)})],
          [(2, BUY, 10, 95, "path")]),
    Table("a limit is touched, where that is enough", f"{FLAT}\n100 101 95 99", [(0, "limit", BUY, {"limit": F(95)})],
          [(1, BUY, 10, 95, "path")], {"touch": True}),
    Table("a limit that the open jumped over gets the better open", f"{FLAT}\n90 101 89 99",
          [(0, "limit", BUY, {"limit": F(95)})], [(1, BUY, 10, 90, "gap")]),
    Table("a stop fills at its trigger, or at the open that jumped over it", f"{FLAT}\n100 105 99 103\n120 121 119 120",
          [(0, "stop", BUY, {"trigger": F(105)}), (0, "stop", BUY, {"trigger": F(110)})],
          [(1, BUY, 10, 105, "path"), (2, BUY, 10, 120, "gap")]),
    Table("a stop slips, a limit does not", f"{FLAT}\n100 110 90 100",
          [(0, "stop", BUY, {"trigger": F(105)}), (0, "limit", BUY, {"limit": F(95)})],
          [(1, BUY, 10, 107, "path"), (1, BUY, 10, 95, "path")], {"fixed": F(1, 100)}),
    Table("a stop-limit fills at its trigger within its limit", f"{FLAT}\n100 110 99 103",
          [(0, "stop_limit", BUY, {"trigger": F(105), "limit": F(106)})], [(1, BUY, 10, 106, "path")],
          {"fixed": F(5, 100)}),
    Table("a stop-limit below its trigger rests in its bar", f"{FLAT}\n100 110 90 103\n103 104 99 100",
          [(0, "stop_limit", BUY, {"trigger": F(105), "limit": F(100)})], [(2, BUY, 10, 100, "path")]),
    Table("a stop-limit beyond whose limit the market opens waits", f"{FLAT}\n112 115 111 112\n112 113 107 108",
          [(0, "stop_limit", BUY, {"trigger": F(105), "limit": F(108)})], [(2, BUY, 10, 108, "path")]),
    Table("a trailing stop follows the highs of past bars only", f"{FLAT}\n100 120 96 119\n119 119 112 113",
          [(0, "market", BUY, {}), (0, "trailing", SELL, {"trail": F(5), "reduce_only": False})],
          [(1, BUY, 10, 100, "open"), (2, SELL, 10, 115, "path")]),
    Table("a trailing stop whose new level the close has reached fills at it", f"{FLAT}\n100 120 96 104",
          [(0, "market", BUY, {}), (0, "trailing", SELL, {"trail": F(5)})],
          [(1, BUY, 10, 100, "open"), (1, SELL, 10, 115, "path")]),
    Table("a trailing stop by rate", f"{FLAT}\n100 120 99 119\n119 119 107 113",
          [(0, "market", BUY, {}), (0, "trailing", SELL, {"trail_rate": F(1, 10)})],
          [(1, BUY, 10, 100, "open"), (2, SELL, 10, 108, "path")]),
    Table("a limit entry can be stopped out in its bar but not take its profit there",
          f"{FLAT}\n100 120 80 100\n100 120 88 100",
          [(0, "limit", BUY, {"limit": F(90), "role": "entry", "bracket": Bracket(F(1, 10), F(5, 100))})],
          [(1, BUY, 10, 90, "path"), (1, SELL, 10, 85, "path")]),  # 5 % of 90 is 4.5, to the nearest upper tick 5
    Table("on the optimistic path it takes its profit", f"{FLAT}\n100 120 80 100",
          [(0, "limit", BUY, {"limit": F(90), "role": "entry", "bracket": Bracket(F(1, 10), F(5, 100))})],
          [(1, BUY, 10, 90, "path"), (1, SELL, 10, 99, "path")], {"path": "optimistic"}),
    Table("open high low close: the high comes before the entry", f"{FLAT}\n100 120 88 98\n98 100 97 100",
          [(0, "limit", BUY, {"limit": F(90), "role": "entry", "bracket": Bracket(F(1, 10), F(5, 100))})],
          [(1, BUY, 10, 90, "path"), (2, SELL, 10, 99, "path")], {"path": "ohlc"}),
    Table("shortest: a rising bar goes to its low first", f"{FLAT}\n100 120 88 101",
          [(0, "limit", BUY, {"limit": F(90), "role": "entry", "bracket": Bracket(F(1, 10), F(5, 100))})],
          [(1, BUY, 10, 90, "path"), (1, SELL, 10, 99, "path")], {"path": "shortest"}),
    Table("nearest: equally near, the high first", f"{FLAT}\n100 110 90 101",
          [(0, "market", BUY, {"role": "entry", "bracket": Bracket(F(5, 100), F(5, 100))})],
          [(1, BUY, 10, 100, "open"), (1, SELL, 10, 105, "path")], {"path": "nearest"}),
    Table("a bar fills a part of its volume, the rest waits", f"{FLAT} 0\n100 100 100 100 60\n101 101 101 101 99",
          [(0, "market", BUY, {})], [(1, BUY, 6, 100, "open"), (2, BUY, 4, 101, "open")], {"participation": F(1, 10)}),
    Table("immediate or cancel: what the volume fills", f"{FLAT} 0\n100 100 100 100 60\n101 101 101 101 99",
          [(0, "market", BUY, {"tif": "IOC"})], [(1, BUY, 6, 100, "open")], {"participation": F(1, 10)}),
    Table("fill or kill: all or nothing", f"{FLAT} 0\n100 100 100 100 60\n101 101 101 101 999",
          [(0, "market", BUY, {"tif": "FOK"})], [], {"participation": F(1, 10)}),
    Table("post-only does not take", f"{FLAT}\n95 100 90 100", [(0, "limit", BUY, {"limit": F(98), "post_only": True})],
          []),
    Table("post-only makes", f"{FLAT}\n99 100 90 100", [(0, "limit", BUY, {"limit": F(98), "post_only": True})],
          [(1, BUY, 10, 98, "path")]),
    Table("an order acts its latency later", f"{FLAT}\n101 101 101 101\n102 102 102 102", [(0, "market", BUY, {})],
          [(2, BUY, 10, 102, "open")], {"latency": MINUTE}),
    # Half a bar later, of 100-110-90-95 and 100-90-110-95 (35 and 45 ticks), it is at 103 or 102.
    Table("a late order gets the worse price of that time", f"{FLAT}\n100 110 90 95", [(0, "market", BUY, {})],
          [(1, BUY, 10, 103, "path")], {"latency": MINUTE // 2}),
    Table("reduce-only never turns a position round", f"{FLAT}\n{FLAT}\n{FLAT}",
          [(0, "market", BUY, {}), (1, "market", SELL, {"quantity": F(25), "reduce_only": True})],
          [(1, BUY, 10, 100, "open"), (2, SELL, 10, 100, "open")]),
    Table("a split doubles what is held and halves prices", f"{FLAT}\n{FLAT}\n50 50 49 50\n50 56 50 50",
          [(0, "market", BUY, {}), (1, "limit", SELL, {"limit": F(111)})],
          [(1, BUY, 10, 100, "open")], {"actions": (Split(2 * MINUTE, 2, 1),)}),  # 55.5 is rounded up to 56
    Table("a long perpetual is liquidated where its margin is used up", f"{FLAT}\n100 100 100 100\n100 100 80 85",
          [(0, "market", BUY, {})], [(1, BUY, 10, 100, "open"), (2, SELL, 10, 94, "path")],
          # 100 + 10 p - 1000 <= 0.05 * 10 p at p = 94.7, the first tick there is 94
          {"margined": True, "initial_margin": F(1, 10), "maintenance_margin": F(5, 100)}),
    Table("a gap liquidates at the open, but not beyond bankruptcy", f"{FLAT}\n100 100 100 100\n80 82 70 80",
          [(0, "market", BUY, {})], [(1, BUY, 10, 100, "open"), (2, SELL, 10, 90, "gap")],
          {"margined": True, "initial_margin": F(1, 10), "maintenance_margin": F(5, 100)}),
]  # fmt: skip


def run(table: Table, cash: int = 100_000) -> tuple[Exchange, list[tuple[int, Event]]]:
    exchange = Exchange([market(**table.terms)], F(cash))
    events: list[tuple[int, Event]] = []
    for i, line in enumerate(table.candles.splitlines()):
        events += [(i, e) for e in exchange.moment({0: candle(i, line)})]
        for at, kind, side, more in table.orders:
            if at == i:
                events += [(i, e) for e in exchange.submit(kind, side, **{"quantity": F(10)} | more)]
    return exchange, events


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_fills(table: Table) -> None:
    _, events = run(table)
    found = [(i, e.side, int(e.quantity), int(e.price), e.rule) for i, e in events if e.kind == "fill"]
    assert found == table.fills


def test_the_money_of_a_round_trip() -> None:
    orders = [(0, "market", BUY, {"quantity": F(3)}), (1, "market", SELL, {"quantity": F(1)})]
    table = Table("", "100 100 100 100\n101 101 101 101\n111 111 111 111", orders, [], {"fees": Fees(taker=F(1, 1000))})
    exchange, events = run(table, 1_000)
    bought, sold = (e for _, e in events if e.kind == "fill")
    assert (bought.fee, bought.cash) == (F("0.31"), F("696.69"))  # 0.303 rounded up to a cent
    assert (sold.fee, sold.realised, sold.cash) == (F("0.12"), 10, F("807.57"))
    held = exchange.account.positions[0]
    assert (held.quantity, held.cost) == (2, 202)


def test_an_order_locks_what_it_may_need_and_the_next_finds_less() -> None:
    exchange = Exchange([market(fees=Fees(taker=F(1, 100)))], F(1_000))
    exchange.moment({0: candle(0, FLAT)})
    assert exchange.submit("limit", BUY, quantity=F(6), limit=F(100))[0].kind == "accepted"
    assert (exchange.account.locked, exchange.account.free) == (606, 394)
    assert exchange.submit("limit", BUY, quantity=F(4), limit=F(100))[0].reason == "no funds"
    exchange.cancel(1)
    assert exchange.account.free == 1_000


def test_money_freed_in_a_moment_waits_for_the_next() -> None:
    exchange = Exchange([market(), market()], F(1_000))
    exchange.moment({0: candle(0, FLAT), 1: candle(0, FLAT)})
    exchange.submit("market", BUY, quantity=F(9))
    exchange.moment({0: candle(1, FLAT), 1: candle(1, FLAT)})
    exchange.submit("market", SELL, quantity=F(9))
    exchange.submit("market", BUY, quantity=F(1), book=1)
    events = exchange.moment({0: candle(2, FLAT), 1: candle(2, "200 200 200 200")})
    assert [(e.kind, e.reason) for e in events] == [("fill", ""), ("rejected", "no funds")]


def test_fees_of_an_order_in_parts_are_the_fees_of_the_whole() -> None:
    fees = Fees(taker=F(1, 1000), flat=F(1), minimum=F(5), cap=F(1, 10))
    orders = [(0, "market", BUY, {"quantity": F(50)})]
    table = Table("", f"{FLAT} 0\n100 100 100 100 10\n100 100 100 100 900", orders, [],
                  {"participation": F(1, 10), "fees": fees})  # fmt: skip
    _, events = run(table)
    paid = [e.fee for _, e in events if e.kind == "fill"]
    assert paid == [5, 1], "5 at least; 5,000 at a thousandth and 1 in all"


def test_funding_interest_and_dividends() -> None:
    actions = (Funding(2 * MINUTE, F(1, 1000)), Dividend(2 * MINUTE, F(1, 3)))
    for side, funded, paid in ((BUY, F(-1), F("3.33")), (SELL, F(1), F("-3.34"))):
        table = Table("", "\n".join([FLAT] * 3), [(0, "market", side, {})], [], {"actions": actions})
        _, events = run(table)
        assert [(e.kind, e.amount) for _, e in events if e.order_id == 0] == [("funding", funded), ("dividend", paid)]


def test_a_short_pays_interest_for_each_day_that_begins() -> None:
    day = 24 * 60 * MINUTE
    exchange = Exchange([market(borrow=F(365, 1000))], F(100_000))
    exchange.moment({0: candle(0, FLAT)})
    exchange.submit("market", SELL, quantity=F(10))
    exchange.moment({0: candle(1, FLAT)})
    flat = [F(100)] * 4
    paid = exchange.moment({0: Candle(3 * day, 3 * day + MINUTE, *flat)})
    assert [(e.kind, e.amount) for e in paid] == [("interest", F(-3))]  # 1,000 a day at a thousandth


def test_a_split_pays_out_what_is_less_than_a_lot() -> None:
    table = Table("", f"{FLAT}\n{FLAT}\n250 250 250 250", [(0, "market", BUY, {"quantity": F(7)})], [],
                  {"actions": (Split(2 * MINUTE, 2, 5),)})  # fmt: skip
    exchange, events = run(table)
    [split] = [e for _, e in events if e.kind == "split"]
    # 7 * 2 / 5 = 2.8: two are kept, and 0.8 at 250 is paid out, which had cost 200 of the 700.
    assert (split.position, split.amount) == (2, 200)
    assert exchange.account.positions[0].cost == 500


def test_both_exits_in_one_bar_are_counted_with_what_the_other_would_have_made() -> None:
    bracket = Bracket(F(1, 10), F(5, 100))
    orders = [(0, "market", BUY, {"role": "entry", "bracket": bracket})]
    for path, best, worst in (("pessimistic", 150, 0), ("optimistic", 0, 150)):
        exchange, events = run(Table("", f"{FLAT}\n{FLAT}\n100 115 90 112", orders, [], {"path": path}))
        held = exchange.account.positions[0]
        assert (exchange.account.ambiguous, held.best, held.worst) == (1, best, worst)
        assert [e.ambiguous for _, e in events if e.kind == "fill"] == [False, True]


def test_orders_expire() -> None:
    exchange = Exchange([market()], F(100_000))
    exchange.moment({0: candle(0, FLAT)})
    exchange.submit("limit", BUY, quantity=F(1), limit=F(90), tif="DAY", expires=2 * MINUTE)
    [expired] = exchange.moment({0: candle(1, FLAT)})
    assert (expired.kind, expired.reason, expired.at) == ("cancelled", "expired", 2 * MINUTE)
