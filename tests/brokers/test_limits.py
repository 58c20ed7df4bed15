"""No order leaves that breaks a limit, whatever is asked for and whatever the account looks like."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.core.instrument import Instrument
from pregao.sessions.brokers.contract import Filters, RefusedError, Request
from pregao.sessions.brokers.limits import Exposure, Limits, check

BTC = Instrument(
    symbol="BTC/USDT", source="test", venue="test", asset_class="crypto", base="BTC", quote="USDT",
    tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"),
)  # fmt: skip
FILTERS = Filters(1, 900_000_000, 1, 100_000_000, Decimal(5))
LIMITS = Limits(Decimal(1_000), Decimal(2_500), waiting=3, orders_a_minute=5)
NOBODY = Exposure(0, 0, 0, 0, 0)
PRICE = 3_000_000  # ticks: 30,000.00
whole = st.integers(-10, 200_000)


def value(lots: int, ticks: int) -> Decimal:
    return Decimal(lots * ticks).scaleb(-7)


requests = st.builds(
    Request,
    role=st.sampled_from(["entry", "exit"]), side=st.sampled_from([-1, 0, 1, 7]),
    kind=st.sampled_from(["market", "limit"]), qty_lots=whole,
    price_ticks=st.one_of(st.just(0), st.integers(-5, 10_000_000)), tif=st.sampled_from(["GTC", "IOC", "FOK"]),
    post_only=st.booleans(),
)  # fmt: skip
seen = st.builds(
    Exposure, held_lots=st.integers(0, 20_000), buying_lots=st.integers(0, 20_000),
    selling_lots=st.integers(0, 20_000), waiting=st.integers(0, 5), last_minute=st.integers(0, 7),
)  # fmt: skip


@given(requests, seen, st.integers(1, 5_000_000))
def test_what_passes_keeps_every_limit(request, exposure, last):
    try:
        check(request, LIMITS, FILTERS, exposure, BTC, last)
    except RefusedError:
        return
    assert request.qty_lots > 0
    assert exposure.last_minute < 5
    assert value(request.qty_lots, request.price_ticks or last) >= 5
    if request.role == "exit":
        assert request.side == -1
        assert request.qty_lots + exposure.selling_lots <= exposure.held_lots
    else:
        worth = max(request.price_ticks, last)
        assert request.side == 1
        assert exposure.waiting < 3
        assert value(request.qty_lots, worth) <= 1_000
        assert value(request.qty_lots + exposure.held_lots + exposure.buying_lots, worth) <= 2_500


@given(st.integers(20, 200_000), st.integers(0, 200_000), st.integers(0, 30))
def test_an_exit_of_what_is_held_is_never_stopped_by_size(lots, more, waiting):
    held = Exposure(lots + more, 10**9, 0, waiting, 4)
    check(Request("exit", -1, "market", lots), LIMITS, FILTERS, held, BTC, PRICE)


@pytest.mark.parametrize(
    ("lots", "price", "exposure", "reason"),
    [
        (3_333, 0, NOBODY, None),  # 999.90
        (3_334, 0, NOBODY, "order too large"),  # 1,000.20
        (3_333, PRICE + 10_000, NOBODY, "order too large"),  # valued at its limit
        (3_400, PRICE - 200_000, NOBODY, "order too large"),  # or at the last price, if that is higher
        (1_000, 0, NOBODY._replace(held_lots=7_333), None),
        (1_001, 0, NOBODY._replace(held_lots=7_333), "position too large"),
        (1_001, 0, NOBODY._replace(held_lots=333, buying_lots=7_000), "position too large"),  # if all of it fills
        (1_000, 0, NOBODY._replace(waiting=3), "too many orders"),
        (1_000, 0, NOBODY._replace(last_minute=5), "too many orders"),
        (16, 0, NOBODY, "below the minimum notional"),  # 4.80
        (17, 0, NOBODY, None),  # 5.10
    ],
)
def test_at_the_limits(lots, price, exposure, reason):
    request = Request("entry", 1, "limit" if price else "market", lots, price)
    if reason is None:
        check(request, LIMITS, FILTERS, exposure, BTC, PRICE)
        return
    with pytest.raises(RefusedError) as error:
        check(request, LIMITS, FILTERS, exposure, BTC, PRICE)
    assert error.value.reason == reason
