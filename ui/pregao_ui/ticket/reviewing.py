"""A ticket is checked: every value, each problem told at its field, and what would be risked."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from pregao.core.errors import PregaoError, UsageError
from pregao.core.rules import RULE
from pregao.sessions.spec import Replay, SessionSpec
from pregao.strategies.contract import Model
from pregao.strategies.registry import load
from pregao_ui.numbers import money, number
from pregao_ui.refusals import refusal
from pregao_ui.services import Services, Span
from pregao_ui.texts import text
from pregao_ui.ticket.errors import field_errors
from pregao_ui.ticket.form import BEGINNING, DATE, PRICE, Review, Ticket
from pregao_ui.ticket.market import Market, live_market, played, stored_market
from pregao_ui.ticket.several import further
from pregao_ui.ticket.telling import tell
from pregao_ui.ticket.venues import venue

_PLAIN = ("cash", "entry_value", "take_profit", "stop_loss", "fee", "slippage")
_LEAST, _MOST = Decimal("0.0001"), Decimal("99.9999")


def review(ticket: Ticket, services: Services, language: str) -> Review:
    """Check a ticket and say what it would risk. Nothing is changed, and no venue is asked."""
    told = Review(empty=not ticket.live and not services.store.instruments(), shape=_shape(ticket))
    find = live_market if ticket.live else stored_market
    market = find(ticket, services, language, told)
    strategy = services.strategies.usable(ticket.strategy)
    if strategy is None:
        told.errors["strategy"] = text(language, "err_gone" if services.strategies.all else "no_strategies")
    else:
        _check_settings(ticket, language, told)
    if market is None:
        return told
    markets = (market, *further(ticket, market, services, language, told))
    models = _models(services, markets, language, told) if strategy is not None and strategy.needs_model else ()
    span = None
    if not ticket.live:
        span = played(ticket, services, markets, models, language, told)
        if span is not None:
            markets = tuple(_beginning(each, ticks) for each, ticks in zip(markets, span.opens, strict=True))
    spec = _spec(ticket, markets, span, language, told)
    if spec is not None:
        _check_size(spec, markets, language, told)
        _check_prices(spec, markets[0], language, told)
        tell(spec, markets, span, models, language, told)
    if told.errors:
        told.summary, told.warnings = [], []
    else:
        told.spec = spec
    return told


def _shape(ticket: Ticket) -> dict[str, str]:
    """Only known words: they become attributes of the page."""
    place = venue(ticket.venue) if ticket.live else None
    return {
        "feed": "live" if ticket.live else "replay",
        "exits": "price" if ticket.exits == PRICE else "percent",
        "start": DATE if ticket.start == DATE else BEGINNING,
        "search": "" if place is None or place.listed else place.source,
        "asset": str(ticket.asset_class) if place is not None and ticket.asset_class in place.symbols else "",
    }


def _check_settings(ticket: Ticket, language: str, told: Review) -> None:
    try:
        load(str(ticket.strategy)).Config.model_validate(dict(ticket.settings))
    except ValidationError as error:
        told.errors |= field_errors(error.errors(), language, within="settings")


def _beginning(market: Market, ticks: int) -> Market:
    """A market as it stands where a replay begins."""
    return market if market.instrument is None else market._replace(price=market.instrument.price(ticks))


def _models(services: Services, markets: Sequence[Market], language: str, told: Review) -> tuple[Model, ...]:
    """The champion of each market; those before the first that there is not."""
    found: list[Model] = []
    for market in markets:
        model = _model(services, market, language, told)
        if model is None:
            break
        found.append(model)
    return tuple(found)


def _model(services: Services, market: Market, language: str, told: Review) -> Model | None:
    """The champion that would trade; told at the strategy's field if there is none, or the registry is away."""
    champion = None
    if market.instrument is not None:
        try:
            champion = services.models.champion(market.instrument, market.timeframe)
        except UsageError as error:
            told.errors["strategy"] = refusal(language, str(error))
            return None
        except PregaoError:
            told.errors["strategy"] = text(language, "err_registry_away")
            return None
    if champion is None:
        told.errors["strategy"] = text(
            language, "warn_no_model", symbol=market.symbol, key=market.key, timeframe=market.timeframe
        )
    return champion


def _spec(
    ticket: Ticket, markets: Sequence[Market], span: Span | None, language: str, told: Review
) -> SessionSpec | None:
    market, others = markets[0], markets[1:]
    values: dict[str, Any] = {
        "instrument": market.key,
        "also": tuple(each.key for each in others),
        "timeframe": market.timeframe.name,
        "strategy": ticket.strategy or "?",
        "config": dict(ticket.settings),
        "mode": ticket.mode,
        "horizon": ticket.horizon,
        "trailing": bool(ticket.trailing) and ticket.exits != PRICE,
        "risk": {"profile": ticket.risk},
        "meta": "veto" if ticket.meta else "off",
        "shadow": bool(ticket.shadow),
    }
    for name in _PLAIN:
        value = getattr(ticket, name)
        values[name] = str(value) if isinstance(value, float) else value  # 0.1 is 0.1
    if ticket.exits == PRICE:
        values |= _prices(values, market)
    if market.feed is not None:
        feed: Any = market.feed.model_copy(
            update={"also": tuple(each.feed.symbol for each in others if each.feed is not None)}
        )
    else:
        try:
            feed = Replay(start=span.first_ns if span else None, speed=ticket.speed)
        except ValidationError as error:
            told.errors |= field_errors(error.errors(), language)
            feed = Replay()
    try:
        return SessionSpec.model_validate({**values, "feed": feed})
    except ValidationError as error:
        for name, said in field_errors(error.errors(), language).items():
            told.errors[name.removesuffix("_price").replace("risk-profile", "risk")] = said
        if error.errors()[0]["type"] == RULE and "entry_value" in told.errors:
            limit = money(language, Decimal(str(ticket.cash)), market.quote)
            told.errors["entry_value"] = text(language, "err_entry_over_cash", cash=limit)
        return None


def _prices(values: dict[str, Any], market: Market) -> dict[str, Any]:
    """Exits as prices; their distances from where the market stands now are what the limits of risk reckon with."""
    found: dict[str, Any] = {}
    for name, sign in (("take_profit", 1), ("stop_loss", -1)):
        found[f"{name}_price"] = "" if values[name] is None else values[name]
        found[name] = 2 if sign > 0 else 1
        try:
            price = Decimal(str(values[name]))
            if market.price and price.is_finite():
                away = sign * (price / market.price - 1) * 100
                found[name] = str(min(max(away, _LEAST), _MOST).quantize(_LEAST, ROUND_HALF_EVEN))
        except (InvalidOperation, ValueError):  # told at its field
            continue
    return found


def _check_size(spec: SessionSpec, markets: Sequence[Market], language: str, told: Review) -> None:
    """What an entry must be worth in each of the markets; of several the one that takes most is named."""
    leasts: list[tuple[Decimal, str, Market]] = []
    for market in markets:
        if market.instrument is None or "entry_value" in told.errors:
            return  # the venue says at the start
        leasts.append((market.instrument.min_notional, "err_entry_min", market))
        if market.price is not None:
            leasts.append((market.price * market.instrument.lot_size, "err_entry_lot", market))
    least, key, market = max(leasts, key=lambda each: each[0])
    if spec.entry_value < least:
        several = {"symbol": market.symbol} if len(markets) > 1 else {}
        minimum = money(language, least, market.quote)
        told.errors["entry_value"] = text(language, f"{key}_of" if several else key, minimum=minimum, **several)


def _check_prices(spec: SessionSpec, market: Market, language: str, told: Review) -> None:
    """Exits that are prices: on the grid, and the take profit above the stop loss."""
    profit, stop = spec.take_profit_price, spec.stop_loss_price
    if profit is None or stop is None:
        return
    for name, price in (("take_profit", profit), ("stop_loss", stop)):
        if market.instrument is not None and price % market.instrument.tick_size:
            tick = number(language, market.instrument.tick_size.normalize(), None)
            told.errors[name] = text(language, "err_tick", tick=tick)
    if profit <= stop:
        told.errors["take_profit"] = text(language, "err_exits_crossed")
