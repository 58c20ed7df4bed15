"""The exchange: it takes orders, lets moments pass over them, and keeps the account."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from oracle import calendar, matching
from oracle.book import ZERO, Account, Event, Order, Position
from oracle.rules import NO_BRACKET, SELL, Bracket, Candle, Market, down, nearest, up


class Exchange:
    """One account and the instruments that it trades, by number."""

    def __init__(self, markets: list[Market], cash: Fraction) -> None:
        self.markets = markets
        self.account = Account(cash, positions=[Position() for _ in markets])
        self.bars: dict[int, Candle] = {}
        self.events: list[Event] = []
        self.in_moment = False

    # A moment -------------------------------------------------------------------------------------------------

    def moment(self, bars: Mapping[int, Candle]) -> list[Event]:
        """A *moment* is all bars with one open time. Each phase goes through the instruments, one by one."""
        self.events, self.in_moment = [], True
        self.bars = dict(sorted(bars.items()))
        for book, bar in self.bars.items():
            calendar.before_the_open(self, book, bar)
        for book, bar in self.bars.items():
            if bar.in_session:  # a bar outside the sessions only marks prices
                matching.meet_open(self, book, bar)
        for book, bar in self.bars.items():
            if bar.in_session:
                matching.follow_path(self, book, bar)
        for book, bar in self.bars.items():
            calendar.at_the_close(self, book, bar)
        for book, bar in self.bars.items():
            calendar.look_at_the_horizon(self, book, bar)
        self.account.freed, self.in_moment = ZERO, False
        self.account.now = max(self.account.now, *(bar.closes for bar in self.bars.values()))
        return self.events

    # What a person asks for ------------------------------------------------------------------------------------

    def submit(
        self,
        kind: str,
        side: int,
        *,
        quantity: Fraction = ZERO,
        value: Fraction = ZERO,
        limit: Fraction = ZERO,
        trigger: Fraction = ZERO,
        trail: Fraction = ZERO,
        trail_rate: Fraction = ZERO,
        role: str = "",
        reduce_only: bool = False,
        post_only: bool = False,
        tif: str = "GTC",
        expires: int = 0,
        bracket: Bracket = NO_BRACKET,
        book: int = 0,
    ) -> list[Event]:
        """An order comes after a close; it can fill from ``now + latency`` on."""
        self.events = []
        position, terms = self.account.positions[book], self.markets[book].terms
        order = Order(
            0, book, kind, side, quantity, value, limit, trigger, trail, trail_rate, position.last, role,
            reduce_only, post_only, tif, expires, self.account.now + terms.latency,
            bracket if role == "entry" else NO_BRACKET,
        )  # fmt: skip
        reason = self._fault(order)
        if not reason:
            order.reserve = self.needed(order)
            reason = self._without_funds(order, self.account.free)
        if reason:
            self.tell("rejected", order, self.account.now, reason)
            return self.events
        if kind == "trailing":
            order.trigger = self.trailing_level(order)
        self.place(order)
        self.tell("accepted", order, self.account.now, price=order.trigger if kind == "trailing" else ZERO)
        return self.events

    def _fault(self, order: Order) -> str:
        """Why an order is refused before it is known what it costs."""
        market, position = self.markets[order.book], self.account.positions[order.book]
        shortable = market.allow_short or market.terms.margined  # a perpetual can always be sold
        priced = {"limit": [order.limit], "stop": [order.trigger], "stop_limit": [order.trigger, order.limit]}
        if (order.quantity <= 0) == (order.value <= 0) or order.quantity < 0 or order.value < 0:
            return "quantity is not positive"
        if any(price <= 0 for price in priced.get(order.kind, [])):
            return "price is not positive"
        if order.kind == "trailing" and (order.trail > 0) == (order.trail_rate > 0):
            return "price is not positive"
        if order.tif in ("IOC", "FOK") and order.kind not in ("market", "limit"):
            return "time in force does not suit the order"
        if order.tif in ("DAY", "GTD") and order.expires <= self.account.now:
            return "time in force does not suit the order"
        if order.post_only and order.kind != "limit":
            return "time in force does not suit the order"
        if order.post_only and order.tif in ("IOC", "FOK"):
            return "time in force does not suit the order"
        if self._crosses(order):
            return "post-only order would cross"
        if order.reduce_only and position.quantity * order.side >= 0:
            return "reduce-only order would open a position"
        if order.side == SELL and not order.reduce_only and position.quantity <= 0 and not shortable:
            return "the instrument cannot be sold short"
        if not order.reduce_only:
            price = max(order.limit, self.expected_price(order))
            worth = order.value or order.quantity * price
            if worth < market.least_value or (order.by_value and worth < price * market.lot):
                return "below the minimum notional"
        return ""

    def _without_funds(self, order: Order, free: Fraction) -> str:
        """What only closes needs nothing. By value an order may spend all there is: it is cut down for its fees."""
        if order.reserve <= max(free, ZERO):
            return ""
        if order.by_value and self.needed(order, with_fees=False) <= free:
            order.reserve = free
            return ""
        return "no funds"

    def _crosses(self, order: Order) -> bool:
        """Whether a post-only order would take at the last close."""
        better = (order.limit - self.account.positions[order.book].last) * order.side
        crosses = better > 0 or (better == 0 and self.markets[order.book].terms.touch)
        return order.post_only and crosses

    def amend(
        self, order_id: int, *, quantity: Fraction = ZERO, limit: Fraction = ZERO, trigger: Fraction = ZERO
    ) -> list[Event]:
        """Other figures for a working order: it keeps its id and loses its time priority. 0 leaves as it is."""
        self.events = []
        order = self.find(order_id)
        if order is None or order.role == "liquidation":
            held, cash = self.account.positions[0].quantity, self.account.cash
            why = "there is no such working order"
            self.events.append(Event("rejected", order_id, self.account.now, reason=why, position=held, cash=cash))
            return self.events
        changed = replace(order, limit=limit or order.limit, trigger=trigger or order.trigger)
        if quantity:
            changed.quantity, changed.value = quantity, ZERO
        if trigger and order.kind in ("market", "trailing"):
            self.tell("rejected", changed, self.account.now, "price is not positive", trigger)
            return self.events
        reason = self._fault(changed)
        if reason:
            self.tell("rejected", changed, self.account.now, reason)
            return self.events
        changed.reserve = self.needed(changed)
        if self._without_funds(changed, self.account.free + order.reserve):
            self.tell("rejected", changed, self.account.now, "no funds")
            return self.events
        changed.met, changed.found = False, ZERO
        changed.since = self.account.now + self.markets[order.book].terms.latency
        self.account.orders.remove(order)
        self.account.orders.append(changed)
        self.tell("amended", changed, self.account.now, "requested")
        return self.events

    def cancel(self, order_id: int) -> list[Event]:
        """Take a working order out; nothing happens if there is none."""
        self.events = []
        order = self.find(order_id)
        if order is not None and order.role != "liquidation":
            self.drop(order, self.account.now, "requested")
        return self.events

    # Orders ----------------------------------------------------------------------------------------------------

    def place(self, order: Order) -> None:
        """Give it the next id and the last place in the queue."""
        self.account.last_id += 1
        order.id = self.account.last_id
        self.account.orders.append(order)

    def find(self, order_id: int) -> Order | None:
        return next((o for o in self.account.orders if o.id == order_id), None)

    def drop(self, order: Order, at: int, reason: str, kind: str = "cancelled") -> None:
        """Take an order out; what it had locked is free, but in a moment only after it."""
        self.account.orders.remove(order)
        if self.in_moment:
            self.account.freed += order.reserve
        self.tell(kind, order, at, reason)

    def tell(self, kind: str, order: Order, at: int, reason: str = "", price: Fraction = ZERO) -> None:
        position = self.account.positions[order.book]
        price = price or order.price
        self.events.append(
            Event(
                kind, order.id, at, order.kind, order.role, order.side, order.quantity, price, reason=reason,
                position=position.quantity, cash=self.account.cash, book=order.book,
            )
        )  # fmt: skip

    def trailing_level(self, order: Order) -> Fraction:
        """The distance from the best price seen, to the nearest tick and at least one."""
        tick = self.markets[order.book].tick
        distance = order.trail or max(nearest(order.mark * order.trail_rate, tick), tick)
        return max(order.mark + order.side * distance, tick)

    # Money -----------------------------------------------------------------------------------------------------

    def expected_price(self, order: Order) -> Fraction:
        """The price at which an order locks money."""
        if order.kind == "limit":
            return order.limit
        if order.kind == "stop_limit":
            return max(order.limit, order.trigger)
        if order.kind in ("market", "trailing"):
            return max(self.account.positions[order.book].last, self.markets[order.book].tick)
        return order.trigger

    def fee_of(self, order: Order, value: Fraction, quantity: Fraction, rate: Fraction) -> Fraction:
        """What the next fill pays.

        ``fee = clamp(sum(value * rate) + per_unit * quantity + flat, minimum, cap * value)``, the cap last;
        ``total = fee + value of its sales * sale``; a fill pays the difference to what was paid before.
        """
        fees, quantum = self.markets[order.book].terms.fees, self.markets[order.book].quantum
        by_rate = order.rate_fees + up(value * rate, quantum)
        total = by_rate + up(fees.per_unit * (order.filled + quantity), quantum) + fees.flat
        if fees.minimum:
            total = max(total, fees.minimum)
        if fees.cap:
            total = min(total, down(fees.cap * (order.turnover + value), quantum))
        if order.side == SELL:
            total += order.sale_fees + up(value * fees.sale, quantum)
        return total - order.fees_paid

    def opening(self, order: Order, quantity: Fraction) -> Fraction:
        """How much of a fill opens or adds to a position."""
        held = self.account.positions[order.book].quantity
        return quantity if held * order.side >= 0 else max(quantity - abs(held), ZERO)

    def share_locked(self, order: Order) -> Fraction:
        """The part of a notional that opening takes: all of it, or the initial margin of a short or a perpetual."""
        terms = self.markets[order.book].terms
        return terms.initial_margin if terms.margined or order.side == SELL else Fraction(1)

    def needed(self, order: Order, with_fees: bool = True) -> Fraction:
        """An order that opens locks price * quantity (or its value) times the margin, and the taker fee."""
        if order.reduce_only:
            return ZERO
        market = self.markets[order.book]
        worth, quantity = self._worth(order)
        stake = up(worth * self.share_locked(order), market.quantum)
        if worth == 0 or not with_fees:
            return stake
        unpaid = replace(order, filled=ZERO, turnover=ZERO, rate_fees=ZERO, sale_fees=ZERO, fees_paid=ZERO)
        return stake + self.fee_of(unpaid, worth, quantity, market.terms.fees.taker)

    def _worth(self, order: Order) -> tuple[Fraction, Fraction]:
        """Value and quantity of what an order opens at the price that is expected."""
        market, price = self.markets[order.book], self.expected_price(order)
        held = self.account.positions[order.book].quantity
        closing = abs(held) if held * order.side < 0 else ZERO
        worth = max(order.value - closing * price, ZERO) or self.opening(order, order.quantity) * price
        return worth, down(worth / price, market.lot)

    def takes(self, order: Order, price: Fraction, quantity: Fraction, rate: Fraction) -> Fraction:
        """What opening a quantity takes, with its fee; a rebate is not counted upon. Closing takes nothing."""
        worth, quantum = price * quantity, self.markets[order.book].quantum
        return up(worth * self.share_locked(order), quantum) + max(self.fee_of(order, worth, quantity, rate), ZERO)

    def affordable(self, order: Order, price: Fraction, rate: Fraction, money: Fraction) -> Fraction:
        """The most that an amount of money opens at this price with the fee."""
        lot = self.markets[order.book].lot

        def fits(lots: int) -> bool:
            return self.takes(order, price, lots * lot, rate) <= money

        most = 0 if money <= 0 else math.floor(order.value / price / lot)
        least = 0  # the most that fits is searched between the two, by halves
        while least < most:
            middle = (least + most + 1) // 2
            least, most = (middle, most) if fits(middle) else (least, middle - 1)
        return least * lot

    def equity(self) -> Fraction:
        """Cash, and what the positions are worth at the last close; of a perpetual, what it has won or lost."""
        worth = ZERO
        for market, held in zip(self.markets, self.account.positions, strict=True):
            worth += held.quantity * held.last - (held.cost if market.terms.margined else ZERO)
        return self.account.cash + worth

    # A fill ----------------------------------------------------------------------------------------------------

    def liquidity(self, book: int) -> Fraction | None:
        """What this bar still fills: a share of its volume, in whole lots; None is without end."""
        market = self.markets[book]
        if market.terms.participation is None:
            return None
        lots = down(self.bars[book].volume, market.lot) / market.lot
        return down(lots * market.terms.participation, Fraction(1)) * market.lot - self.account.positions[book].used

    def slippage(self, order: Order, reference: Fraction, quantity: Fraction) -> Fraction:
        """Summed over the models, each rounded up to a tick; market and stop orders only."""
        market, volume = self.markets[order.book], self.bars[order.book].volume
        terms, tick = market.terms, market.tick
        # The share of the volume is at most 1, and 1 in a bar without volume.
        share = min(quantity / volume, Fraction(1)) if volume > 0 else Fraction(1)
        models = (terms.fixed, terms.half_spread, terms.impact * share**2)
        return sum((up(reference * part, tick) for part in models), ZERO)

    def fill(
        self,
        order: Order,
        reference: Fraction,
        rule: str,
        at: int,
        *,
        taker: bool,
        live_from: tuple[int, int],
        rival: Order | None = None,
        slips: bool = False,
    ) -> bool:
        """Execute as much of an order as there is liquidity and money for; say whether anything happened.

        ``live_from`` are the times from which the take profit and the stop loss of an entry can fill.
        ``slips``: a stop-limit order that fills as it is triggered, at a slipped price within its limit.
        ``rival`` is the other exit, if the bar reached it too.
        """
        book, side = order.book, order.side
        market, position, account = self.markets[book], self.account.positions[book], self.account
        terms = market.terms
        liquidity = None if order.role == "liquidation" else self.liquidity(book)
        if liquidity is not None and liquidity <= 0:
            if self._set_off(order):
                self.tell("triggered", order, at)
            return False

        # Price: the reference and the slippage, which needs the size; size by value needs the price.
        closing = abs(position.quantity) if position.quantity * side < 0 else ZERO
        if order.reduce_only and closing == 0:
            self.drop(order, at, "the position is closed")
            return True
        wanted = order.quantity or down(order.value / reference, market.lot)
        wanted = min(wanted, closing) if order.reduce_only else wanted
        possible = wanted if liquidity is None else min(wanted, liquidity)
        slippage = self.slippage(order, reference, possible) if slips or order.kind != "limit" else ZERO
        price = max(reference + side * slippage, market.tick)
        worst = None
        if slips:
            worst = order.limit
        elif order.role == "liquidation":
            worst = matching.bankruptcy(self, book)
        if worst is not None:
            price = min(price, worst) if side > 0 else max(price, worst)
        rate = terms.fees.taker if taker else terms.fees.maker

        # Size: not more than the money affords with the fee, but closing needs none.
        free = account.free + order.reserve - account.freed
        if order.by_value:
            wanted = down(order.value / price, market.lot)
            if wanted == 0:
                if order.filled > 0:
                    self.drop(order, at, "what is left is less than a lot")
                else:
                    self.drop(order, at, "below the minimum notional", "rejected")
                return True
            wanted = min(wanted, closing) if order.reduce_only else wanted
        quantity = wanted if liquidity is None else min(wanted, liquidity)
        if order.by_value and quantity > closing:
            quantity = closing + min(quantity - closing, self.affordable(order, price, rate, free))
        if order.tif == "FOK" and quantity < wanted:
            self.drop(order, at, "not filled at once")
            return True
        opened = self.opening(order, quantity)
        closed = quantity - opened
        notional = quantity * price

        # What the account cannot take is refused.
        fee = self.fee_of(order, notional, quantity, rate)
        if order.role == "liquidation":
            # The venue's own fee on top; a liquidation loses no more than the margin, fees included.
            loss = position.cost * quantity / abs(position.quantity) + side * notional
            fee += up(notional * terms.liquidation_fee, market.quantum)
            tax = up(notional * terms.fees.sale, market.quantum) if side == SELL else ZERO
            fee = max(min(fee - tax, position.margin - loss), ZERO) + tax  # taxes are due in any case
        reason = ""
        if quantity <= 0:
            reason = "no funds"
        elif not order.reduce_only and order.filled == 0 and wanted * price < market.least_value:
            reason = "below the minimum notional"
        elif opened > 0 and side == SELL and not (market.allow_short or terms.margined):
            reason = "the instrument cannot be sold short"
        elif opened > 0 and self.takes(order, price, opened, rate) > free:
            reason = "no funds"
        if reason:
            self.drop(order, at, reason, "rejected")
            return True

        # The position and the money.
        before = account.free
        realised = ZERO
        if closed > 0:
            part = closed / abs(position.quantity)
            cost = down(position.cost * part, market.quantum)  # a partial close removes cost * closed // position
            realised = -side * closed * price - cost
            position.cost -= cost
            position.realised += realised
            position.margin -= down(position.margin * part, market.quantum)
        if opened > 0 and (closed > 0 or position.quantity == 0):
            position.bars_held = 0
        position.quantity += side * quantity
        position.cost += side * opened * price
        if terms.margined:
            position.margin += up(opened * price * terms.initial_margin, market.quantum)
            account.cash += realised - fee
        else:
            if side == SELL:
                position.margin += opened * price + up(opened * price * terms.initial_margin, market.quantum)
            account.cash -= side * notional + fee
        position.fees += fee
        position.used += quantity  # a liquidation is not limited by the volume, but it uses it up

        # The order.
        order.filled += quantity
        order.turnover += notional
        order.rate_fees += up(notional * rate, market.quantum)
        if side == SELL:
            order.sale_fees += up(notional * terms.fees.sale, market.quantum)
        order.fees_paid += fee
        if order.by_value:
            left = order.value - notional
            most = wanted if liquidity is None else min(wanted, liquidity)
            done = left < price * market.lot or quantity < most  # for want of money it does not wait
            order.value = ZERO if done else left
        else:
            done = quantity == wanted
            order.quantity -= quantity
        if order.role in ("take_profit", "stop_loss", "exit") and position.quantity == 0:
            done = True
        if done:
            account.orders.remove(order)
            order.reserve = ZERO
        else:
            order.met = True
            wanted_for_rest, order.reserve = min(order.reserve, self.needed(order)), ZERO
            order.reserve = max(min(wanted_for_rest, account.free), ZERO)  # it locks no more than there is
        if account.free > before:  # money that a fill frees cannot be used in the same moment
            account.freed += account.free - before

        if rival is not None:
            self._note_ambiguity(order, rival, quantity, price, rate)
        self.events.append(
            Event(
                "fill", order.id, at, order.kind, order.role, side, quantity, price, reference, fee, realised,
                position.quantity, account.cash, rule, "", rival is not None, "taker" if taker else "maker",
                ZERO, book,
            )
        )  # fmt: skip
        if not done:
            self._set_off(order)
        self._after_a_fill(order, quantity, opened, price, reference, at, done, live_from)
        matching.guard(self, book, reference)
        if not done and order in account.orders and order.tif in ("IOC", "FOK"):
            self.drop(order, at, "not filled at once")
        return True

    def _set_off(self, order: Order) -> bool:
        """What a stop has set off and could not fill works as a market order from then on."""
        if order.kind not in ("stop", "trailing") or order.role == "liquidation":
            return False
        order.kind, order.met = "market", True
        order.trigger = order.trail = order.trail_rate = order.mark = order.found = ZERO
        return True

    def _note_ambiguity(self, taken: Order, rival: Order, quantity: Fraction, price: Fraction, rate: Fraction) -> None:
        """By how much the other exit would have ended better or worse, with its slippage and both fees by rate."""
        market, position = self.markets[taken.book], self.account.positions[taken.book]
        fees, quantum = market.terms.fees, market.quantum
        level, other_rate = rival.limit, fees.maker
        if rival.kind != "limit":
            level = max(rival.trigger + taken.side * self.slippage(rival, rival.trigger, quantity), market.tick)
            other_rate = fees.taker
        value, other_value = quantity * price, quantity * level
        costs = up(value * rate, quantum) - up(other_value * other_rate, quantum)
        gain = -taken.side * (other_value - value) + costs
        self.account.ambiguous += 1
        if gain > 0:
            position.best += gain
        else:
            position.worst -= gain

    def _after_a_fill(
        self,
        order: Order,
        quantity: Fraction,
        opened: Fraction,
        price: Fraction,
        here: Fraction,
        at: int,
        done: bool,
        live_from: tuple[int, int],
    ) -> None:
        """One exit cancels the other; a flat position has no exits; an entry gets its bracket."""
        account, position = self.account, self.account.positions[order.book]
        if order.group:
            for other in [o for o in account.orders if order.group in (o.group, o.id) and o is not order]:
                # When an exit fills while the entry still works, the rest of the entry is cancelled.
                if done or other.id == order.group or other.quantity <= quantity:
                    self.drop(other, at, "the other exit filled")
                else:  # a partial fill of an exit reduces its sibling by the same
                    other.quantity -= quantity
                    self.tell("amended", other, at, "the other exit filled")
        if position.quantity == 0:
            position.bars_held = 0
            waiting = [o for o in account.orders if o.book == order.book and o.reduce_only]
            for other in [o for o in waiting if o.role != "liquidation"]:
                self.drop(other, at, "the position is closed")
        elif order.role == "entry" and opened > 0:
            self._attach_bracket(order, opened, price, here, at, live_from)

    def _attach_bracket(
        self, entry: Order, opened: Fraction, price: Fraction, here: Fraction, at: int, live_from: tuple[int, int]
    ) -> None:
        """Levels from the first fill; quantities grow with each fill. ``here`` is where the market is."""
        working = [o for o in self.account.orders if o.group == entry.id]
        if working:
            for exit_ in working:
                exit_.quantity += opened
                self.tell("amended", exit_, at)
            return
        tick, bracket, side = self.markets[entry.book].tick, entry.bracket, entry.side
        profit, loss = bracket.profit_price, bracket.loss_price
        if not profit and bracket.profit:
            profit = max(price + side * max(nearest(price * bracket.profit, tick), tick), tick)
        if not loss and bracket.loss:
            loss = max(price - side * max(nearest(price * bracket.loss, tick), tick), tick)
        if profit:
            order = Order(0, entry.book, "limit", -side, opened, limit=profit, role="take_profit", found=here)
            self._place_exit(order, entry, at, live_from[0])
        if loss:
            order = Order(0, entry.book, "stop", -side, opened, trigger=loss, role="stop_loss", found=here)
            self._place_exit(order, entry, at, live_from[1])

    def _place_exit(self, order: Order, entry: Order, at: int, since: int) -> None:
        order.reduce_only, order.group, order.since = True, entry.id, since
        self.place(order)
        self.tell("accepted", order, at)

    # What the plan does by itself --------------------------------------------------------------------------------

    def leave(self, book: int, reason: str, at: int) -> None:
        """Close at the market at the next open; waiting entries are cancelled."""
        position = self.account.positions[book]
        for order in [o for o in self.account.orders if o.book == book and o.role == "entry"]:
            self.drop(order, at, reason)
        waiting = any(o.book == book and o.role == "exit" for o in self.account.orders)
        if position.quantity == 0 or waiting:
            return
        side = -1 if position.quantity > 0 else 1
        order = Order(0, book, "market", side, abs(position.quantity), role="exit", reduce_only=True)
        order.since = at + self.markets[book].terms.latency
        self.place(order)
        self.tell("accepted", order, at, reason)
