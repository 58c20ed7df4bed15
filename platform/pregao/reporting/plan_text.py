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
        return f"volume-share:{model.k:.17g}"
    return f"sqrt-impact:{model.k:.17g}:{model.window}"


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


def _setting(name: str, value: Any) -> str:
    if name == "slippage":
        return " + ".join(named(model) for model in value) or "0"
    if name == "actions":
        return str(len(value))
    if isinstance(value, FeeSchedule):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        told = {k: v for k, v in fields.items() if v != getattr(FeeSchedule(), k)}
        return ", ".join(f"{k} {len(v) if isinstance(v, tuple) else v}" for k, v in told.items()) or "0"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:.10g} %"
