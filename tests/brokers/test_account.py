"""A session's part of an account, whatever is decided and whatever an exchange says: against a ledger kept beside."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.sessions.brokers.account import VenueAccount
from pregao.sessions.brokers.operation import Want
from pregao.simulation import layout
from pregao.simulation.plan import Plan

MINUTE = Timeframe.parse("1m")
CASH = 10_000
FEE = Decimal("0.001")


def coin(base: str, lot: str) -> Instrument:
    return Instrument(
        symbol=f"{base}/USDT", source="test", venue="test", asset_class="crypto", base=base, quote="USDT",
        tick_size=Decimal("0.01"), lot_size=Decimal(lot),
    )  # fmt: skip


COINS = (coin("BTC", "0.00001"), coin("ETH", "0.0001"), coin("SOL", "0.001"))
PLANS = [
    Plan.of(each.counted(Decimal("1e-9")), MINUTE, cash=CASH, entry_value=6_000, take_profit=2, stop_loss=1)
    for each in COINS
]


class Ledger:
    """An exchange that does what it is told to, and what the account should have by that."""

    def __init__(self, account: VenueAccount) -> None:
        self.account = account
        self.cash = Decimal(CASH)
        self.coins = [Decimal(0) for _ in PLANS]
        self.bars = 0
        self.fills = 0
        self.sent: dict[int, tuple[int, int]] = {}

    def bar(self, closes: dict[int, int]) -> None:
        self.bars += 1
        begins = self.bars * MINUTE.ns
        self.account.step_all(
            {book: Bar(begins, begins + MINUTE.ns, close, close, close, close, 1.0) for book, close in closes.items()}
        )

    def says(self, want: Want, book: int, part: int, state: str, leg: str) -> None:
        """So many hundredths of what is left of an order have filled, and this is how it stands."""
        operation = self.account.operations[book]
        instrument, price = operation.plan.instrument, operation.last
        wanted = want.lots
        if want.role == "entry":  # of a quantity and a price that are those of when it came
            lots = int(want.value_quanta * instrument.quantum / (price * instrument.tick_size * instrument.lot_size))
            wanted, price = self.sent.setdefault(want.number, (lots, price))
        lots = (wanted - want.filled_lots) * (100 if state == "filled" else part) // 100
        fills = []
        if lots:
            self.fills += 1
            side = 1 if want.role == "entry" else -1
            amount, value = lots * instrument.lot_size, lots * price * instrument.lot_size * instrument.tick_size
            fee = (amount if side > 0 else value) * FEE
            self.cash -= side * value + (0 if side > 0 else fee)
            self.coins[book] += side * amount - (fee if side > 0 else 0)
            fills = [{
                "n": self.fills, "ms": self.bars * 60_000, "role": leg if want.role == "bracket" else want.role,
                "side": side, "qty": lots, "price": price, "fee": str(fee), "maker": False,
                "fee_in": instrument.base if side > 0 else instrument.quote,
            }]  # fmt: skip
        self.account.hear([{"id": want.number, "state": state, "reason": "", "fills": fills}])


def same(account: VenueAccount, ledger: Ledger) -> None:
    assert account.purse.cash == ledger.cash >= 0
    worth = Decimal(0)
    numbers = []
    for book, operation in enumerate(account.operations):
        assert operation.held + operation.dust == ledger.coins[book] >= 0
        worth += operation.worth
        roles = [want.role for want in operation.wants]
        assert len(roles) == len(set(roles))
        numbers += [want.number for want in operation.wants]
        numbers += [want.number + 1 for want in operation.wants if want.role == "bracket"]
        assert all(order.book == book for order in operation.open_orders())
    assert len(numbers) == len(set(numbers))
    meant, fees = (sum(getattr(each, name) for each in account.operations) for name in ("entering", "fees"))
    assert meant <= account.purse.cash + fees  # no money is meant twice; what was charged in coins seems still to come
    for book in range(len(PLANS)):
        quantum = PLANS[0].instrument.quantum
        assert 0 <= ledger.cash + worth - account.account_of(book).equity_quanta * quantum < quantum
    again = VenueAccount.from_bytes(PLANS, account.to_bytes())
    assert again.to_bytes() == account.to_bytes()
    assert again.open_orders() == account.open_orders()


closes = st.tuples(st.integers(2_000_000, 4_000_000), st.integers(100_000, 300_000), st.integers(10_000, 20_000))
places = st.integers(0, len(PLANS) - 1)
steps = st.one_of(
    st.tuples(st.just("bar"), closes, st.sets(places, min_size=1)),
    st.tuples(st.just("enter"), places, st.sampled_from([1, 300_000, 1_000_000])),
    st.tuples(st.just("leave"), places, st.just(0)),
    st.tuples(
        st.just("say"), st.integers(0, 8),
        st.tuples(
            st.integers(0, 100), st.sampled_from(["open", "filled", "cancelled", "rejected"]),
            st.sampled_from(["take_profit", "stop_loss"]),
        ),
    ),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(steps, min_size=10, max_size=40))
def test_it_is_what_a_ledger_says_and_means_no_money_twice(done: list[tuple[str, Any, Any]]) -> None:
    account = VenueAccount(PLANS)
    ledger = Ledger(account)
    ledger.bar({0: 3_000_000, 1: 200_000, 2: 15_000})
    for what, first, second in done:
        if what == "bar":
            ledger.bar({book: first[book] for book in sorted(second)})
        elif what == "enter":
            account.signal(layout.ENTER_LONG, second, first)
        elif what == "leave":
            account.signal(layout.LEAVE, book=first)
        else:
            sent = [(w, each.book) for each in account.operations for w in each.wants if not w.waits]
            if sent:
                want, book = sent[first % len(sent)]
                ledger.says(want, book, *second)
        same(account, ledger)


def test_one_instrument_is_saved_as_ever_and_several_apart() -> None:
    one, several = VenueAccount(PLANS[0]), VenueAccount(PLANS)
    assert one.to_bytes() == (
        b'PRGV1\n{"_bars":0,"_bars_held":0,"_cash":"10000.000000000","_cost":"0","_count":0,'
        b'"_dust":"0","_exits":[20000,10000,0,0],"_fees":"0","_fills":0,"_held":"0","_last":0,"_now_ns":0,'
        b'"_realised":"0","_stuck":false,"away":"","leaving":"","name":"","other_fees":{},"wants":[]}'
    )  # journals have the hash of these bytes
    for account, other in ((one, PLANS), (several, PLANS[0])):
        with pytest.raises(PregaoError, match="not a saved account"):
            VenueAccount.from_bytes(other, account.to_bytes())


def test_an_entry_that_is_still_open_when_the_next_bar_closes_is_to_be_cancelled() -> None:
    account = VenueAccount(PLANS)
    ledger = Ledger(account)
    ledger.bar({0: 3_000_000, 1: 200_000, 2: 15_000})
    account.signal(layout.ENTER_LONG, book=1)
    ledger.bar({0: 3_000_000, 2: 15_000})  # its own market has not traded: nothing has been decided since
    assert not account.operations[1].wants[0].ending
    ledger.bar({1: 200_000})
    (want,) = account.operations[1].wants
    assert want.ending
    ledger.says(want, 1, 40, "cancelled", "")  # so much of it came in time, and is looked after
    assert [order.role for order in account.open_orders()] == ["take_profit", "stop_loss"]
    same(account, ledger)
