"""The one compiled step: how the bars of a moment meet the working orders, and what that does to the account.

A moment is all bars that open at the same time, at most one an instrument. The order of things in `step`:

1. **Before the open**: splits, dividends, funding and interest that are due; orders whose time is over.
2. **Open**: the working orders of each instrument, oldest first, meet its open. A stop or a limit that the open has
   jumped over fills at the open (``gap``).
3. **Path**: the orders meet the rest of the bar by the path rule, see `walking`.
4. **Close**: the account is marked; a position older than the horizon gets a market exit for the next open.

Money that a fill frees in a moment can be used only after it, so no instrument profits from what another one does
later in the same bar. What a strategy decides at a close acts at the next open: `orders` takes it. What a fill does is
in `ledger`.

A bar that can fill nothing is *quiet*: `orders.wake` keeps, for each instrument, the prices and the time until which
bars are quiet, and `arrive` and `mark` take in such bars without looking at orders. It gives the same bytes as `step`.
"""

from __future__ import annotations

from typing import Any

from pregao.core.compiled import inner
from pregao.core.money import FLOOR, mul_div, mul_ppm
from pregao.simulation.brackets import levels
from pregao.simulation.estimators import observe
from pregao.simulation.flows import before_open, expire
from pregao.simulation.layout import (
    CONVERTED,
    ENTER_LONG,
    ENTER_SHORT,
    ENTRY,
    HORIZON,
    LEAVE,
    MARKET,
    REQUEST,
    REQUESTED,
    ZERO,
)
from pregao.simulation.matching import meet_price
from pregao.simulation.orders import leave, submit, wake
from pregao.simulation.walking import meet_path
from pregao.simulation.working import announce, copy_order, free

Record = Any


@inner
def arrive(
    w: Record, b: int, opened: int, high: int, low: int, close: int, volume: float, live: int, row: int
) -> None:  # fmt: skip
    """An instrument has a bar in the moment that comes next; prices in ticks, volume in base units.

    Numbers one by one, here and in `step`: handing arrays from one compiled function to the next counts references.
    """
    book = w["books"][b]
    book["bar_open"] = opened
    book["bar_high"] = high
    book["bar_low"] = low
    book["bar_close"] = close
    book["bar_volume"] = volume
    book["used_lots"] = 0
    book["live"] = live
    book["row"] = row
    book["here"] = 1


@inner
def mark(w: Record, b: int, close_ns: int, count: int) -> None:
    """Take in ``count`` bars of an instrument, of which the last has arrived: what a quiet bar does, and no more."""
    book = w["books"][b]
    book["last_ticks"] = book["bar_close"]
    book["now_ns"] = close_ns
    book["here"] = 0
    book["row"] = 0  # so that the state does not tell by which driver it came about
    if book["position_lots"] != 0:
        book["bars_held"] += count


@inner
def step(
    w: Record, s: Record, log: Record, open_ns: int, close_ns: int, actions: Any, fine: Any, fine_bars: Any
) -> None:
    """A moment whose bars have arrived passes: see the module's docstring.

    Args:
        w: one record of `layout.WORLD`, changed in place.
        log: one record of `layout.LOG` with `layout.ROOM` free rows.
        open_ns, close_ns: of the moment's bars.
        actions, fine, fine_bars: as in `tape.Tape`.
    """
    account, books = w["account"], w["books"]
    count = account["books"]
    account["open_ns"] = open_ns
    account["closing_ns"] = close_ns
    for b in range(count):
        if books[b]["here"] == 1:
            before_open(w, s, log, b, actions)
    if account["orders"] > 0:
        for b in range(count):
            if books[b]["here"] == 1 and books[b]["live"] == 1:
                meet_price(w, s, log, b, books[b]["bar_open"], open_ns, True)
        for b in range(count):
            if books[b]["here"] == 1 and books[b]["live"] == 1:
                meet_path(w, s, log, b, fine, fine_bars, books[b]["row"])
    account["now_ns"] = close_ns
    account["bars"] += 1
    for b in range(count):
        book = books[b]
        if book["here"] == 1:
            mark(w, b, close_ns, 1)
            book["here"] = 1
            expire(w, s, log, b, close_ns)
    for m in range(account["moneys"]):
        w["money"][m]["freed"] = 0
    for b in range(count):
        book, rules = books[b], s["rules"][b]
        if book["here"] == 0:
            continue
        book["here"] = 0
        if book["live"] == 1 and (rules["spread_method"] > 0 or rules["impact_k"] > 0.0):
            observe(
                w["estimates"][b], book["bar_high"], book["bar_low"], book["bar_close"], book["bar_volume"],
                rules["spread_method"], rules["spread_window"], rules["impact_window"],
            )  # fmt: skip
        if rules["horizon_bars"] > 0 and book["position_lots"] != 0 and book["bars_held"] >= rules["horizon_bars"]:
            leave(w, s, log, b, HORIZON)
        wake(w, s, b)


@inner
def act(w: Record, s: Record, log: Record, b: int, signal: int, fraction_ppm: int) -> None:
    """Turn a strategy's signal into orders: an entry with the plan's bracket, or an exit.

    An entry is ignored while a position or another entry is there: one operation at a time.
    """
    if signal == LEAVE:
        leave(w, s, log, b, REQUESTED)
    elif signal == ENTER_LONG or signal == ENTER_SHORT:
        book, rules, orders = w["books"][b], s["rules"][b], w["orders"]
        if book["position_lots"] != 0:
            return
        for k in range(w["account"]["orders"]):
            if orders[k]["book"] == b and orders[k]["role"] == ENTRY:
                return
        copy_order(w, REQUEST, ZERO)
        request = orders[REQUEST]
        request["book"] = b
        request["kind"] = MARKET
        request["role"] = ENTRY
        request["side"] = signal
        request["value"] = mul_ppm(rules["entry"], fraction_ppm, FLOOR)
        request["take_profit_ppm"] = rules["take_profit_ppm"]
        request["stop_loss_ppm"] = rules["stop_loss_ppm"]
        last = book["last_ticks"]
        if rules["size_from_signal"] == 1:
            request["qty_lots"] = request["value"] // (last * rules["tick_quanta"])
            request["value"] = 0
        if rules["levels_from_signal"] == 1:
            profit, stop = levels(rules, signal, last, rules["take_profit_ppm"], rules["stop_loss_ppm"])
            request["take_profit_ticks"] = profit if rules["take_profit_ppm"] > 0 else 0
            request["stop_loss_ticks"] = stop if rules["stop_loss_ppm"] > 0 else 0
        submit(w, s, log)


@inner
def book_value(w: Record, s: Record, b: int) -> int:
    """What an instrument's position adds to the equity at its last close, in its quote currency."""
    book, rules = w["books"][b], s["rules"][b]
    value = book["position_lots"] * book["last_ticks"] * rules["tick_quanta"]
    return int(value - book["cost"] if rules["margined"] == 1 else value)


@inner
def equity(w: Record, s: Record) -> int:
    """Cash and positions at the last closes, in quanta of the reporting currency (other currencies rounded down)."""
    account = w["account"]
    if account["moneys"] == 1:
        total = w["money"][0]["cash"]
        for b in range(account["books"]):
            total += book_value(w, s, b)
        return int(total)
    total = 0
    for m in range(account["moneys"]):
        money = w["money"][m]
        amount = money["cash"]
        for b in range(account["books"]):
            if s["rules"][b]["money"] == m:
                amount += book_value(w, s, b)
        if money["rate_book"] >= 0:
            ticks = w["books"][money["rate_book"]]["last_ticks"]
            amount = mul_div(amount, ticks * money["rate_num"], money["rate_den"], FLOOR)
        total += amount
    return int(total)


@inner
def convert(w: Record, s: Record, log: Record, m: int, amount: int, fee_ppm: int) -> bool:
    """Change ``amount`` quanta of currency ``m`` into the reporting currency (negative: buy that much of it).

    At the last price of its rate's instrument, less a fee, each rounded against the trader.
    Returns False, and does nothing, if there is no rate yet or not enough free cash.
    """
    money, home = w["money"][m], w["money"][0]
    ticks = w["books"][money["rate_book"]]["last_ticks"] if money["rate_book"] >= 0 else 0
    if ticks <= 0 or amount == 0:
        return False
    size = abs(amount)
    if amount > 0:
        got = mul_div(size, ticks * money["rate_num"], money["rate_den"], FLOOR)
        got -= mul_ppm(got, fee_ppm, 1)
        if size > free(w, m):
            return False
        money["cash"] -= size
        home["cash"] += got
        value = got
    else:
        cost = mul_div(size, ticks * money["rate_num"], money["rate_den"], 1)
        cost += mul_ppm(cost, fee_ppm, 1)
        if cost > free(w, 0):
            return False
        money["cash"] += size
        home["cash"] -= cost
        value = -cost
    orders = w["orders"]
    copy_order(w, REQUEST, ZERO)
    orders[REQUEST]["book"] = money["rate_book"]
    event = announce(w, s, log, orders[REQUEST], CONVERTED, w["account"]["now_ns"], 0)
    event["amount"] = value
    event["price_ticks"] = ticks
    return True
