"""What was set for a backtest, as short texts by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pregao.simulation.fees import FeeSchedule
from pregao.simulation.plan import Plan
from pregao.simulation.slippage import EstimatedSpread, FixedSlippage, HalfSpread, Slippage, VolumeShare
from pregao.simulation.terms import Terms

_TOLD = ("fees", "slippage", "path")
"""Fields of the terms that are told although they are as by default."""


def named(model: Slippage) -> str:
    """A model of slippage as a command line names it: `pregao.simulation.slippage.parse` reads it back."""
    if isinstance(model, FixedSlippage):
        return f"{model.ppm / 10_000:.10g}%"
    if isinstance(model, HalfSpread):
        return f"spread:{2 * model.ppm / 10_000:.10g}%"
    if isinstance(model, EstimatedSpread):
        return f"{model.method.replace('_', '-')}:{model.window}"
    if isinstance(model, VolumeShare):
        return f"volume-share:{float(model.k)!r}"
    return f"sqrt-impact:{float(model.k)!r}:{model.window}"


def plan_settings(plan: Plan) -> dict[str, str]:
    """What a plan sets, by name: what is as it is by default in the terms is left out."""
    instrument = plan.instrument
    settings = {
        "instrument": instrument.key,
        "cash": money(instrument.money(plan.cash_quanta), instrument.quote),
        "entry_value": money(instrument.money(plan.entry_quanta), instrument.quote),
        "take_profit": _percent(plan.take_profit_ppm),
        "stop_loss": _percent(plan.stop_loss_ppm),
        "horizon": str(plan.horizon_bars),
    }
    default = Terms()
    for field in dataclasses.fields(plan.terms):
        value = getattr(plan.terms, field.name)
        if value != getattr(default, field.name) or field.name in _TOLD:
            settings[field.name] = _setting(field.name, value)
    return settings


def account_settings(plans: Sequence[Plan], names: Sequence[str], cash: Mapping[str, Decimal]) -> dict[str, str]:
    """What several plans set in one account: what they share once, else for each instrument by its name."""
    each = [plan_settings(plan) for plan in plans]
    keys = dict.fromkeys(key for settings in each for key in settings)
    told = {
        "instrument": ", ".join(settings["instrument"] for settings in each),
        "cash": ", ".join(money(amount, name) for name, amount in cash.items()),
    }
    for key in keys:
        if key not in told:
            values = {name: settings[key] for name, settings in zip(names, each, strict=True) if key in settings}
            shared = len(values) == len(each) and len(set(values.values())) == 1
            told[key] = next(iter(values.values())) if shared else "; ".join(f"{n}: {v}" for n, v in values.items())
    return told


def money(amount: Decimal, currency: str) -> str:
    """An amount without the zeros after its decimal point: 10000.00000000 USD is 10000 USD."""
    number = f"{amount:f}"
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {currency}"


def fees_text(fees: FeeSchedule) -> str:
    """A schedule in one line; ``0`` if it charges nothing."""
    told = []
    if fees.maker_ppm or fees.taker_ppm or fees.tiers:
        told.append(f"maker {_percent(fees.maker_ppm)}, taker {_percent(fees.taker_ppm)}")
    if fees.tiers:
        told.append(f"tiers {len(fees.tiers)}")
    told += [
        f"{name.replace('_', ' ')} {v:f}" for name in ("flat", "per_unit", "minimum") if (v := getattr(fees, name))
    ]
    if fees.cap_ppm:
        told.append(f"at most {_percent(fees.cap_ppm)}")
    if fees.sell_ppm:
        told.append(f"on sales {_percent(fees.sell_ppm)}")
    if fees.currency:
        told.append(f"in {fees.currency} {_percent(fees.discount_ppm)} off")
    return ", ".join(told) or "0"


def _setting(name: str, value: Any) -> str:
    if name == "slippage":
        return " + ".join(named(model) for model in value) or "0"
    if name == "actions":
        return str(len(value))
    if isinstance(value, FeeSchedule):
        return fees_text(value)
    if name == "latency_ns":
        return ", ".join(f"{ns / 1e6:.10g} ms" for ns in value) or "0 ms"
    return _percent(value) if name.endswith("_ppm") else str(value)


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:.10g} %"
