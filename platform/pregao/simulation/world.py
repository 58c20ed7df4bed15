"""Building the compiled functions' world from plans: instruments, currencies, rules, and their tables."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.money import MAX_QUANTA, PPM
from pregao.simulation import layout
from pregao.simulation.actions import ACTION
from pregao.simulation.actions import encode as encode_actions
from pregao.simulation.plan import Plan
from pregao.simulation.slippage import encode as encode_slippage

_MOST = MAX_QUANTA // 4


def quanta(amount: Decimal, quantum: Decimal, what: str) -> int:
    """Money as whole quanta, rounded down; raises `UsageError` if it is negative or absurdly large."""
    whole = int((amount / quantum).to_integral_value(ROUND_FLOOR))
    if not 0 <= whole < _MOST:
        raise UsageError(f"The {what} must not be negative nor absurd, not {amount}.")
    return whole


class Currencies:
    """The currencies of an account: the reporting one first, each with its quantum.

    Args:
        plans: what is traded.
        cash: at the start, by currency.
        reporting: the currency of the equity; by default that of the first plan.
    """

    def __init__(self, plans: Sequence[Plan], cash: Mapping[str, Decimal], reporting: str | None) -> None:
        home = reporting or plans[0].instrument.quote
        fees = [p.terms.fees.currency for p in plans if p.terms.fees.currency in cash]
        names = [home, *(p.instrument.quote for p in plans), *fees, *cash]
        self.names: list[str] = list(dict.fromkeys(n for n in names if n is not None))
        if len(self.names) > layout.MONEYS:
            raise UsageError(f"An account holds at most {layout.MONEYS} currencies, not {len(self.names)}.")
        self.quantum = {n: Decimal("0.00000001") for n in self.names}
        for plan in plans:
            instrument = plan.instrument
            self.quantum[instrument.quote] = min(self.quantum[instrument.quote], instrument.quantum)

    def index(self, name: str) -> int:
        """Place of a currency in the account."""
        return self.names.index(name)

    def rate(self, name: str, plans: Sequence[Plan]) -> tuple[int, int, int]:
        """Instrument whose price values a currency in the reporting one, and the factor ``num / den`` of its ticks."""
        home = self.names[0]
        if name == home:
            return -1, 1, 1
        for b, plan in enumerate(plans):
            if plan.instrument.base == name and plan.instrument.quote == home:
                tick = Fraction(plan.instrument.tick_size)
                factor = tick * Fraction(self.quantum[name]) / Fraction(self.quantum[home])
                return b, factor.numerator, factor.denominator
        raise UsageError(
            f"Nothing in the account tells what {name} is worth in {home}.",
            f"Add an instrument {name}/{home} to it, or keep to one currency.",
        )


def tick_quanta(instrument: Instrument, quantum: Decimal) -> int:
    """Quanta of the account's currency in one tick of one lot."""
    return int(instrument.tick_size * instrument.lot_size / quantum)


class Built(NamedTuple):
    """What the compiled functions need: `layout.WORLD` and `layout.SETTING`, shape ``(1,)``, and the actions."""

    world: NDArray[Any]
    setting: NDArray[Any]
    actions: NDArray[Any]
    currencies: Currencies


def build(plans: Sequence[Plan], cash: Mapping[str, Decimal] | None, reporting: str | None) -> Built:
    """A fresh world and its setting.

    Args:
        plans: one an instrument, all with the same timeframe.
        cash: at the start, by currency; None is the first plan's cash in its quote currency.
        reporting: the currency of the equity; None is the first plan's quote currency.

    Raises:
        UsageError: if there are too many instruments or currencies, one instrument is there twice, timeframes differ,
            or a currency has no rate.
    """
    if not 0 < len(plans) <= layout.BOOKS:
        raise UsageError(f"An account trades 1 to {layout.BOOKS} instruments, not {len(plans)}.")
    if len({p.instrument.key for p in plans}) < len(plans):
        raise UsageError("An instrument is in the account twice.", "Name each one once.")
    if len({p.timeframe for p in plans}) > 1:
        raise UsageError("All instruments of an account need bars of one timeframe.")
    first = plans[0]
    if cash is None:
        cash = {first.instrument.quote: first.cash_quanta * first.instrument.quantum}
    currencies = Currencies(plans, cash, reporting)

    world = np.zeros(1, layout.WORLD)
    w = world[0]
    w["account"]["books"] = len(plans)
    w["account"]["moneys"] = len(currencies.names)
    for m, name in enumerate(currencies.names):
        money = w["money"][m]
        money["cash"] = quanta(cash.get(name, Decimal(0)), currencies.quantum[name], f"cash in {name}")
        money["rate_book"], money["rate_num"], money["rate_den"] = currencies.rate(name, plans)

    setting = np.zeros(1, layout.SETTING)
    rules = setting[0]["rules"]
    tiers: list[tuple[int, int, int]] = []
    latencies: list[int] = []
    actions: list[NDArray[Any]] = []
    row = 0
    for b, plan in enumerate(plans):
        instrument, terms, fees = plan.instrument, plan.terms, plan.terms.fees
        quantum = currencies.quantum[instrument.quote]
        finer = int(instrument.quantum / quantum)
        r = rules[b]
        r["money"] = currencies.index(instrument.quote)
        r["tick_quanta"] = tick_quanta(instrument, quantum)
        r["entry"] = plan.entry_quanta * finer
        r["take_profit_ppm"], r["stop_loss_ppm"] = plan.take_profit_ppm, plan.stop_loss_ppm
        r["horizon_bars"] = plan.horizon_bars
        r["min_notional"] = int(-(-instrument.min_notional // quantum))
        r["allow_short"] = int(instrument.allow_short or terms.contract == "margin")
        r["path"] = layout.PATHS[terms.path]
        r["margined"] = int(terms.contract == "margin")
        for name in (
            "touch_ppm", "participation_ppm", "initial_margin_ppm", "maintenance_margin_ppm", "liquidation_fee_ppm",
            "borrow_ppm", "fill_at_close", "children_next_bar", "levels_from_signal", "size_from_signal",
            "limit_gap_at_limit", "stop_gap_at_trigger", "stop_beats_gap", "profit_after_fees", "stop_rounds_up",
        ):  # fmt: skip
            r[name] = int(getattr(terms, name))
        r["seed"] = (zlib.crc32(instrument.key.encode()) ^ terms.seed) % 2**31
        r["maker_ppm"], r["taker_ppm"] = fees.maker_ppm, fees.taker_ppm
        r["flat_fee"] = quanta(fees.flat, quantum, "fee")
        r["unit_fee"] = quanta(fees.per_unit * instrument.lot_size * PPM, quantum, "fee")
        r["least_fee"] = quanta(fees.minimum, quantum, "fee")
        r["cap_ppm"], r["sell_ppm"] = fees.cap_ppm, fees.sell_ppm
        r["fee_money"] = -1
        if fees.currency in currencies.names and fees.currency != instrument.quote:
            if instrument.quote != currencies.names[0]:
                raise UsageError(f"Fees in {fees.currency} need instruments quoted in {currencies.names[0]}.")
            r["fee_money"], r["fee_discount_ppm"] = currencies.index(str(fees.currency)), fees.discount_ppm
        r["tiers"] = len(tiers)
        tiers += [(quanta(t.volume, quantum, "volume"), t.maker_ppm, t.taker_ppm) for t in fees.tiers]
        r["tiers_end"] = len(tiers)
        r["latencies"] = len(latencies)
        latencies += terms.latency_ns
        r["latencies_end"] = len(latencies)
        for name, value in encode_slippage(terms.slippage).items():
            r[{"half_spread_ppm": "spread_ppm"}.get(name, name)] = value
        r["lot_size"] = float(instrument.lot_size)
        table = encode_actions(terms.actions, instrument.counted(quantum))
        r["actions"] = row
        row += len(table)
        r["actions_end"] = row
        actions.append(table)
    if len(tiers) > layout.TIERS or len(latencies) > layout.LATENCIES:
        raise UsageError(
            f"An account has room for {layout.TIERS} fee tiers and {layout.LATENCIES:,} latencies, "
            f"not {len(tiers)} and {len(latencies):,}."
        )
    if tiers:
        setting[0]["tiers"][: len(tiers)] = np.array(tiers, layout.TIER)
    setting[0]["latencies"][: len(latencies)] = latencies
    table = np.concatenate(actions) if actions else np.zeros(0, ACTION)
    return Built(world, setting, table, currencies)
