"""What an execution costs: slippage in ticks and fees in quanta, each rounded against the trader."""

from __future__ import annotations

import math
from typing import Any

from pregao.core.compiled import inner
from pregao.core.money import CEIL, FLOOR, PPM, mul_ppm
from pregao.simulation.estimators import half_spread, impact, volume_share
from pregao.simulation.layout import DAYS, LIQUIDATION, MAKER

Record = Any
UNLIMITED = 2**60
DAY_NS = 86_400_000_000_000


@inner
def liquidity(book: Record, rules: Record, role: int) -> int:
    """Lots of this bar that may still fill: its volume by the participation rate, less what has filled."""
    if rules["participation_ppm"] == 0 or role == LIQUIDATION:
        return UNLIMITED
    volume = min(book["bar_volume"] / rules["lot_size"], 2.0**60)
    lots = int(volume + 0.5)
    if lots - volume > volume * 1e-15:  # else it is a whole number of lots, but for the noise of the division
        lots -= 1
    return max(int(mul_ppm(lots, rules["participation_ppm"], FLOOR) - book["used_lots"]), 0)


@inner
def _whole(ticks: float) -> int:
    """Ticks rounded up, but for the noise of floating point above a whole number."""
    return math.ceil(ticks * (1.0 - 1e-12))


@inner
def slippage(w: Record, s: Record, b: int, reference: int, lots: int) -> tuple[int, int, int]:
    """Ticks by which a market or stop order fills worse than its reference: in all, of it spread, of it impact."""
    rules, book = s["rules"][b], w["books"][b]
    spread = mul_ppm(reference, rules["spread_ppm"], CEIL)
    if rules["spread_method"] > 0:
        spread += _whole(reference * half_spread(w["estimates"][b]))
    pressure = 0
    quantity = lots * rules["lot_size"]
    if rules["share_k"] > 0.0:
        pressure += _whole(reference * volume_share(rules["share_k"], quantity, book["bar_volume"]))
    if rules["impact_k"] > 0.0:
        pressure += _whole(reference * impact(w["estimates"][b], rules["impact_k"], quantity))
    return mul_ppm(reference, rules["fixed_ppm"], CEIL) + spread + pressure, spread, pressure


@inner
def roll_volume(w: Record, m: int, ts_ns: int) -> None:
    """Begin a new day in the record of traded volume; days without trades are zero."""
    today = ts_ns // DAY_NS
    money = w["money"][m]
    day = max(money["volume_day"], today - DAYS)
    while day < today:
        day += 1
        w["volumes"][m, day % DAYS] = 0
    money["volume_day"] = today


@inner
def fee_tier(w: Record, s: Record, b: int, ts_ns: int) -> int:
    """Row of the fee tier that holds: by the volume traded in the 30 UTC days before this one; 0 is the first."""
    rules = s["rules"][b]
    count = rules["tiers_end"] - rules["tiers"]
    if count == 0:
        return 0
    m = rules["money"]
    roll_volume(w, m, ts_ns)
    today = w["money"][m]["volume_day"]
    volume = 0
    for day in range(DAYS):
        if day != today % DAYS:
            volume += w["volumes"][m, day]
    tier = 0
    while tier < count and s["tiers"][rules["tiers"] + tier]["volume"] <= volume:
        tier += 1
    return int(tier)


@inner
def fee_rate(w: Record, s: Record, b: int, liquidity_kind: int, tier: int) -> int:
    """Fee in ppm of the notional for a maker or a taker in a tier (0: before the first)."""
    rules = s["rules"][b]
    if tier > 0:
        row = s["tiers"][rules["tiers"] + tier - 1]
        return int(row["maker_ppm"] if liquidity_kind == MAKER else row["taker_ppm"])
    return int(rules["maker_ppm"] if liquidity_kind == MAKER else rules["taker_ppm"])


@inner
def rate_fee(rules: Record, rate_ppm: int, lots: int, notional: int) -> int:
    """Fee by rate and by unit of a fill, before flat parts, minimum and cap."""
    return mul_ppm(notional, rate_ppm, CEIL) + mul_ppm(rules["unit_fee"], lots, CEIL)


@inner
def order_fee(rules: Record, by_rate: int, notional: int) -> int:
    """What an order pays in all: by rate and unit, plus flat, at least the minimum, at most the cap."""
    total = by_rate + rules["flat_fee"]
    if rules["least_fee"] > 0:
        total = max(total, rules["least_fee"])
    if rules["cap_ppm"] > 0:
        total = min(total, mul_ppm(notional, rules["cap_ppm"], CEIL))
    return int(total)


@inner
def sale_tax(rules: Record, side: int, notional: int) -> int:
    """Tax on a sale."""
    return mul_ppm(notional, rules["sell_ppm"], CEIL) if side < 0 else 0


@inner
def margin_ppm(rules: Record, side: int) -> int:
    """What opening locks of the notional: all of it where it is paid in cash, else the initial margin."""
    return int(rules["initial_margin_ppm"] if rules["margined"] == 1 or side < 0 else PPM)


@inner
def needed(rules: Record, order: Record, rate_ppm: int, lots: int, unit: int) -> int:
    """Quanta that opening ``lots`` more at ``unit`` quanta a lot takes, with their fees; ``lots * unit < 2**62``.

    An order pays the flat parts of its fee only once; a rebate is not counted upon.
    """
    notional = lots * unit
    due = order_fee(rules, order["fee_base"] + rate_fee(rules, rate_ppm, lots, notional), order["notional"] + notional)
    fee = due - order["fee_paid"] + sale_tax(rules, order["side"], notional)
    return int(mul_ppm(notional, margin_ppm(rules, order["side"]), CEIL) + max(fee, 0))


@inner
def affordable(rules: Record, order: Record, rate_ppm: int, funds: int, unit: int, most: int) -> int:
    """The most lots, up to ``most``, that ``funds`` open at ``unit`` quanta a lot with the fees."""
    if funds <= 0:
        return 0
    side = order["side"]
    margin = max(margin_ppm(rules, side), 1)
    lots = min(((funds // margin) * PPM + (funds % margin) * PPM // margin) // unit, most)
    taxed = margin + max(rate_ppm, 0) + (rules["sell_ppm"] if side < 0 else 0)
    each = mul_ppm(unit, taxed, CEIL) + rules["unit_fee"] // PPM + 1  # a lot less needs less by this at most
    while lots > 0:
        over = needed(rules, order, rate_ppm, lots, unit) - funds
        if over <= 0:
            return int(lots)
        lots -= max((over - 4) // each, 1)  # four roundings
    return 0
