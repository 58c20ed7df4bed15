"""The trading rules of an instrument, from the exchange's own list of markets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import NAMES, Timeframe


def instrument_of(client: Any, market: Any, tick_size: str | None, known: Instrument | None) -> Instrument:
    """An exchange's market as an `Instrument`.

    Args:
        client, market: of ccxt, loaded.
        tick_size: a finer price grid that the person asks for, or None.
        known: what the store has under this key. Where its price grid is finer, it stays: older prices lie on it.

    Raises:
        UsageError: for a contract that cannot be accounted for, a market without a grid, or a wrong ``tick_size``.
    """
    symbol, swap = market["symbol"], bool(market.get("swap"))
    if swap and (market.get("inverse") or Decimal(repr(market.get("contractSize") or 1)) != 1):
        raise UsageError(
            f"{symbol} is an inverse contract or one of {market.get('contractSize')} {market['base']}.",
            "Only linear contracts of one unit are accounted for: use another instrument or exchange.",
        )
    tick = _grid(client, market, "price")
    if tick_size is not None:
        tick = _finer(tick, tick_size, symbol)
    elif known is not None and known.tick_size < tick and not tick % known.tick_size:
        tick = known.tick_size
    limits = market.get("limits") or {}
    return Instrument(
        symbol=symbol,
        source="ccxt",
        venue=client.id,
        asset_class="crypto",
        base=market["base"],
        quote=market["quote"],
        tick_size=tick,
        lot_size=_grid(client, market, "amount"),
        min_notional=_exact((limits.get("cost") or {}).get("min") or 0),
        maker_fee_ppm=round((market.get("maker") or 0) * 1_000_000),
        taker_fee_ppm=round((market.get("taker") or 0) * 1_000_000),
        allow_short=swap,
    )


def check_timeframe(client: Any, timeframe: Timeframe) -> str:
    """ccxt's name of a timeframe. Raises `UsageError` with the nearest ones if the exchange lacks it."""
    offered = client.timeframes or {}
    if timeframe.name in offered:
        return timeframe.name
    ours = [Timeframe.parse(name) for name in NAMES if name in offered]
    near = sorted(ours, key=lambda other: abs(other.seconds - timeframe.seconds))[:3]
    listed = ", ".join(str(other) for other in sorted(near, key=lambda other: other.seconds))
    raise UsageError(f"{client.id} has no {timeframe} bars.", f"The nearest it has: {listed}." if listed else "")


def _grid(client: Any, market: Any, what: str) -> Decimal:
    """The step of prices or amounts, exact."""
    step = (market.get("precision") or {}).get(what)
    if step is None or client.precisionMode == ccxt.SIGNIFICANT_DIGITS:
        raise UsageError(f"{client.id} does not say on which grid the {what} of {market['symbol']} lies.")
    return Decimal(1).scaleb(-int(step)) if client.precisionMode == ccxt.DECIMAL_PLACES else _exact(step)


def _exact(number: Any) -> Decimal:
    """A float as the decimal that it was written as: 1e-05 is 0.00001."""
    return Decimal(f"{Decimal(repr(number)):f}")


def _finer(tick: Decimal, asked: str, symbol: str) -> Decimal:
    try:
        finer = Decimal(asked)
    except ArithmeticError:
        finer = Decimal(0)
    if not 0 < finer <= tick or tick % finer:
        raise UsageError(
            f"The tick size {asked!r} does not divide that of {symbol}, {tick}.",
            f"Use {tick} divided by a whole number.",
        )
    return finer
