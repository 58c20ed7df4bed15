"""Fee schedules and the presets of real venues, against figures that a trader can look up."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from pregao.core.errors import NotFoundError, UsageError
from pregao.simulation.fees import FeeSchedule, Tier, preset, presets

RATES = [  # venue, 30-day volume, tier, maker %, taker %
    ("binance-spot", "0", 0, "0.1", "0.1"),
    ("binance-spot", "999999.99", 0, "0.1", "0.1"),
    ("binance-spot", "1000000", 1, "0.09", "0.1"),
    ("binance-spot", "5000000", 2, "0.08", "0.1"),
    ("binance-usdm-futures", "0", 0, "0.02", "0.05"),
    ("kraken-spot", "0", 0, "0.25", "0.40"),
    ("kraken-spot", "9999.99", 0, "0.25", "0.40"),
    ("kraken-spot", "10000", 1, "0.20", "0.35"),
    ("kraken-spot", "75000", 2, "0.14", "0.24"),
    ("kraken-spot", "100000", 3, "0.12", "0.22"),
    ("b3-stocks", "0", 0, "0.03", "0.03"),
    ("us-zero-commission", "0", 0, "0", "0"),
]


@pytest.mark.parametrize(("venue", "volume", "tier", "maker", "taker"), RATES)
def test_the_rates_of_the_venues(venue: str, volume: str, tier: int, maker: str, taker: str) -> None:
    schedule = preset(venue).schedule
    assert schedule.tier(Decimal(volume)) == tier
    assert schedule.rates(Decimal(volume)) == (Decimal(maker) * 10_000, Decimal(taker) * 10_000)


def test_a_fee_in_bnb_is_a_quarter_lower_on_binance_spot_and_a_tenth_on_its_futures() -> None:
    for venue, discount in (("binance-spot", 250_000), ("binance-usdm-futures", 100_000)):
        assert (preset(venue).schedule.currency, preset(venue).schedule.discount_ppm) == ("BNB", discount)


def test_interactive_brokers_charges_a_share_with_a_minimum_and_a_cap() -> None:
    fixed, tiered = preset("ibkr-us-fixed").schedule, preset("ibkr-us-tiered").schedule
    assert (fixed.per_unit, fixed.minimum, fixed.cap_ppm) == (Decimal("0.005"), Decimal(1), 10_000)
    assert (tiered.per_unit, tiered.minimum, tiered.cap_ppm) == (Decimal("0.0035"), Decimal("0.35"), 10_000)
    assert fixed.sell_ppm == tiered.sell_ppm == preset("us-zero-commission").schedule.sell_ppm == 28


def test_each_preset_is_dated_sourced_and_explained() -> None:
    assert list(presets()) == [each.name for each in presets().values()]
    assert len(presets()) == 7
    for each in presets().values():
        assert re.fullmatch(r"20\d\d(-\d\d(-\d\d)?)?", each.date)
        assert len(each.source) > 40
        assert len(each.notes) > 40
        assert re.fullmatch("[A-Z]{3,4}", each.money)
        assert each.contract == ("margin" if "futures" in each.name else "cash")
    assert {each.calendar for each in presets().values()} == {"24/7", "XNYS", "BVMF"}


def test_an_unknown_venue_is_answered_with_the_names_nearest_to_it() -> None:
    with pytest.raises(NotFoundError) as error:
        preset("binance")
    assert "no venue named 'binance'" in str(error.value)
    assert "binance-spot" in str(error.value)
    with pytest.raises(NotFoundError, match="kraken-spot"):
        preset("zzzzzz")


def test_changing_the_presets_one_got_changes_nothing() -> None:
    presets().clear()
    assert preset("kraken-spot") is preset("kraken-spot")


def test_a_flat_rate() -> None:
    assert FeeSchedule.flat_rate(1_000) == FeeSchedule(maker_ppm=1_000, taker_ppm=1_000)
    assert FeeSchedule() == FeeSchedule.flat_rate(0)
    assert FeeSchedule(maker_ppm=-100, taker_ppm=300).rates(Decimal(0)) == (-100, 300)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"maker_ppm": -10_001}, "maker_ppm"),
        ({"taker_ppm": -1}, "taker_ppm"),
        ({"taker_ppm": 100_001}, "taker_ppm"),
        ({"taker_ppm": 0.001}, "taker_ppm"),
        ({"taker_ppm": True}, "taker_ppm"),
        ({"flat": Decimal(-1)}, "flat"),
        ({"per_unit": Decimal("NaN")}, "per_unit"),
        ({"minimum": 1.0}, "minimum"),
        ({"cap_ppm": 1_000_001}, "cap_ppm"),
        ({"sell_ppm": -1}, "sell_ppm"),
        ({"discount_ppm": 250_000}, "needs the currency"),
        ({"currency": " "}, "must have a name"),
        ({"tiers": (Tier(Decimal(2), 1, 1), Tier(Decimal(1), 1, 1))}, "ascending"),
        ({"tiers": (Tier(Decimal(1), 1, 1), Tier(Decimal(1), 1, 1))}, "ascending"),
    ],
)
def test_what_is_no_fee_schedule(given: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        replace(FeeSchedule(), **given)


@pytest.mark.parametrize("volume", [Decimal(0), Decimal(-1), Decimal("Infinity"), 1_000])
def test_a_tier_begins_above_zero(volume: Decimal) -> None:
    with pytest.raises(UsageError, match="positive Decimal"):
        Tier(volume, 1, 1)
