"""What a venue charges: fee schedules, and dated presets of real venues in ``venues.toml``.

The fee of an order, all its fills together, is::

    fee   = clamp(sum(value * rate) + per_unit * quantity + flat, minimum, cap_ppm * value)   cap last
    total = fee * (1 - discount) + value of its sales * sell_ppm

``value`` is the traded value in the quote currency, ``rate`` the maker or taker rate of the tier in force at each fill.
A fill pays the difference to what the order has paid before it. Where the cap is below the minimum, the cap holds (a
small order of cheap shares). The discount holds where the fee is paid in ``currency``; a tax on sales is in neither
the minimum, the cap nor the discount.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any, Literal

from pregao.core.errors import UsageError, unknown
from pregao.core.money import PPM, decimal_of, percent_to_ppm

_HIGHEST_PPM = 100_000
_HIGHEST_REBATE_PPM = 10_000
_MOST = Decimal(10) ** 15
_MONEY = ("flat", "per_unit", "minimum")


@dataclass(frozen=True, slots=True)
class Tier:
    """The rates at and above a trading volume.

    Attributes:
        volume: traded value of the last 30 days, in the quote currency, at and above which the rates hold; positive.
        maker_ppm, taker_ppm: of the value of a fill. A negative maker rate is a rebate.

    Raises:
        UsageError: if a figure is out of range.
    """

    volume: Decimal
    maker_ppm: int
    taker_ppm: int

    def __post_init__(self) -> None:
        _check_rates(self.maker_ppm, self.taker_ppm)
        if not isinstance(self.volume, Decimal) or not self.volume.is_finite() or not 0 < self.volume < _MOST:
            raise UsageError(
                f"The volume of a fee tier must be a positive Decimal, not {self.volume!r}.",
                "The rates below the first tier are maker_ppm and taker_ppm of the schedule itself.",
            )


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """What one venue charges; see the module for the formula.

    Attributes:
        maker_ppm: of the value of a fill that added liquidity (-10,000 to 100,000; negative is a rebate).
        taker_ppm: of the value of a fill that took liquidity (0 to 100,000).
        tiers: lower rates at higher trailing volumes, ascending by volume.
        flat: quote currency an order, due with its first fill.
        per_unit: quote currency for each base unit (each share).
        minimum: quote currency an order.
        cap_ppm: the most that an order pays, of its value; 0 is no cap.
        sell_ppm: tax on the value of sales, on top of all else.
        currency: the fee is paid in this currency if there is enough of it, else in the quote currency; None is
            always the quote currency.
        discount_ppm: taken off the fee where it is paid in ``currency``.

    Raises:
        UsageError: if a figure is out of range, or the tiers are not ascending.
    """

    maker_ppm: int = 0
    taker_ppm: int = 0
    tiers: tuple[Tier, ...] = ()
    flat: Decimal = Decimal(0)
    per_unit: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    cap_ppm: int = 0
    sell_ppm: int = 0
    currency: str | None = None
    discount_ppm: int = 0

    def __post_init__(self) -> None:
        _check_rates(self.maker_ppm, self.taker_ppm)
        if list(self.tiers) != sorted(self.tiers, key=lambda tier: tier.volume) or len(
            {tier.volume for tier in self.tiers}
        ) < len(self.tiers):
            raise UsageError("The fee tiers must be in ascending order of their volumes, each volume once.")
        for name in _MONEY:
            amount = getattr(self, name)
            if not isinstance(amount, Decimal) or not amount.is_finite() or not 0 <= amount < _MOST:
                raise UsageError(f"The fee's {name} must be a Decimal of at least 0, not {amount!r}.")
        _check_ppm("cap_ppm", self.cap_ppm, 0, PPM)
        _check_ppm("sell_ppm", self.sell_ppm, 0, _HIGHEST_PPM)
        _check_ppm("discount_ppm", self.discount_ppm, 0, PPM)
        if self.currency is not None and not self.currency.strip():
            raise UsageError("The currency of the fee must have a name.", "Use None for the quote currency.")
        if self.discount_ppm and self.currency is None:
            raise UsageError(
                "A discount on the fee needs the currency in which the fee is then paid.", "Set currency, as in 'BNB'."
            )

    @classmethod
    def flat_rate(cls, ppm: int) -> FeeSchedule:
        """The same rate for makers and takers and nothing else, in parts per million of the value."""
        return cls(maker_ppm=ppm, taker_ppm=ppm)

    def tier(self, volume: Decimal) -> int:
        """The tier in force at a trailing 30-day volume: 0 is below the first, ``k`` is ``tiers[k - 1]``."""
        return sum(volume >= tier.volume for tier in self.tiers)

    def rates(self, volume: Decimal) -> tuple[int, int]:
        """``(maker_ppm, taker_ppm)`` at a trailing 30-day volume in the quote currency."""
        at = self.tier(volume)
        return (self.tiers[at - 1].maker_ppm, self.tiers[at - 1].taker_ppm) if at else (self.maker_ppm, self.taker_ppm)


@dataclass(frozen=True, slots=True)
class Preset:
    """A venue's fee schedule as it was published.

    Attributes:
        name: as `preset` knows it.
        title: for people.
        date: the day, month or year (ISO 8601) for which the source holds.
        source: the document, and where it is published.
        notes: what is in the schedule and what is not.
        money: the currency of the schedule's amounts; use it with instruments quoted in it.
        schedule: the fees.
        calendar: ``"24/7"`` or a name of exchange_calendars.
        contract: ``"cash"``, or ``"margin"`` for perpetuals.
        allow_short: whether a private trader can sell short there.
    """

    name: str
    title: str
    date: str
    source: str
    notes: str
    money: str
    schedule: FeeSchedule
    calendar: str = "24/7"
    contract: Literal["cash", "margin"] = "cash"
    allow_short: bool = False


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        NotFoundError: if there is none, with the names nearest to it.
    """
    found = presets()
    if name in found:
        return found[name]
    import difflib

    near = difflib.get_close_matches(name, found, n=3, cutoff=0.3)
    raise unknown("venue", name, near or list(found), "Or give the fee as a rate in per cent." if near else "")


def parse(text: str) -> FeeSchedule:
    """Read fees from a command line.

    ================  ==================================================================
    ``binance-spot``  the schedule of that `preset`
    ``0.1``           per cent of the value, makers and takers alike (``0.1%`` too)
    ``0.02,0.05``     per cent for makers, then for takers; negative is a rebate for makers
    ``0``, ``none``   nothing
    ================  ==================================================================

    Raises:
        UsageError: if it is none of these, or a rate is out of range.
    """
    given = text.strip().lower()
    if given == "none":
        return FeeSchedule()
    if not given.startswith(tuple("0123456789.+-")):
        return preset(given).schedule
    rates = [percent_to_ppm(part.strip().removesuffix("%"), "The fee") for part in given.split(",")]
    if len(rates) > 2:
        raise UsageError(f"The fees {text!r} have {len(rates)} rates.", "Give one, or the maker's and the taker's.")
    maker, taker = rates[0], rates[-1]
    for rate, least in ((maker, 0 if len(rates) == 1 else -_HIGHEST_REBATE_PPM), (taker, 0)):
        if not least <= rate <= _HIGHEST_PPM:
            raise UsageError(
                f"The fee must be between {least / 10_000:g} and {_HIGHEST_PPM / 10_000:g} %, not {rate / 10_000:g} %."
            )
    return FeeSchedule(maker_ppm=maker, taker_ppm=taker)


@cache
def _read() -> tuple[Preset, ...]:
    text = resources.files("pregao.simulation").joinpath("venues.toml").read_text(encoding="utf-8")
    return tuple(_preset(name, row) for name, row in tomllib.loads(text).items())


def presets() -> dict[str, Preset]:
    """All presets by name, in the order of ``venues.toml``, which is part of the package."""
    return {each.name: each for each in _read()}


def _preset(name: str, row: dict[str, Any]) -> Preset:
    terms = {each.name for each in fields(FeeSchedule)}
    given: dict[str, Any] = {key: row.pop(key) for key in list(row) if key in terms}
    given |= {key: decimal_of(given[key], key) for key in _MONEY if key in given}
    given["tiers"] = tuple(
        Tier(decimal_of(tier["volume"], "volume"), tier["maker_ppm"], tier["taker_ppm"])
        for tier in given.get("tiers", [])
    )
    return Preset(name=name, schedule=FeeSchedule(**given), **row)


def _check_rates(maker_ppm: int, taker_ppm: int) -> None:
    _check_ppm("maker_ppm", maker_ppm, -_HIGHEST_REBATE_PPM, _HIGHEST_PPM)
    _check_ppm("taker_ppm", taker_ppm, 0, _HIGHEST_PPM)


def _check_ppm(name: str, ppm: int, least: int, most: int) -> None:
    if type(ppm) is not int or not least <= ppm <= most:
        raise UsageError(f"The fee's {name} must be a whole number from {least:,} to {most:,}, not {ppm!r}.")
