"""The order ticket, without the page: what a form's values come to, in errors by field or in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from pregao.core.errors import NotFoundError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.sessions.spec import Replay, SessionSpec
from pregao.strategies.contract import Model
from pregao.strategies.registry import load
from pregao_ui.numbers import day, money, number, parse_day, signed_money, span
from pregao_ui.schemas.market import InstrumentOut
from pregao_ui.services import Services, Span
from pregao_ui.texts import text

UNSEEN, BEGINNING, DATE = "unseen", "beginning", "date"
_LIMITS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_NUMBERS = ("decimal_type", "decimal_parsing", "float_type", "float_parsing", "finite_number")
_INTEGERS = ("int_type", "int_parsing", "int_from_float")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A form's values as they come from the page: nothing about them is sure."""

    asset_class: Any = None
    instrument: Any = None
    timeframe: Any = None
    strategy: Any = None
    mode: Any = "auto"
    cash: Any = None
    entry_value: Any = None
    take_profit: Any = None
    stop_loss: Any = None
    horizon: Any = None
    fee: Any = None
    slippage: Any = None
    start: Any = BEGINNING
    date: Any = ""
    speed: Any = 2.0
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Review:
    """What a ticket comes to.

    Attributes:
        errors: by field; a strategy's own setting is ``settings-<name>``.
        summary: sentences, figures marked ``**so**``; empty while there are errors.
        warnings: what a person should know and may do nevertheless.
        spec: the session to start; None while there are errors.
        market: the instrument and timeframe of the ticket, for the preview; None if they are not known.
        empty: there is no market data at all.
        dated: the replay begins at a date, so the form asks for it.
    """

    errors: dict[str, str] = field(default_factory=dict)
    summary: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    spec: SessionSpec | None = None
    market: dict[str, Any] | None = None
    empty: bool = False
    dated: bool = False


def field_errors(errors: Sequence[Any], language: str, *, skip: int = 0, prefix: str = "") -> dict[str, str]:
    """Pydantic's errors as texts by field, the first of each; ``skip`` leading parts of the place are left out."""
    found: dict[str, str] = {}
    for error in errors:
        # Which of the two feeds it is stands in the place, too, and is no field.
        name = prefix + "-".join(str(part) for part in error["loc"][skip:] if part not in ("replay", "live"))
        found.setdefault(name, _told(error, language))
    return found


def _told(error: Mapping[str, Any], language: str) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if error.get("input", 0) is None or error.get("input") == "" or kind == "missing":
        return text(language, "err_required")
    if kind in _LIMITS:
        name = _LIMITS[kind]
        return text(language, f"err_{name}", limit=number(language, context[name], None))
    if kind == "decimal_max_places":
        return text(language, "err_decimals", limit=context["decimal_places"])
    if kind in ("decimal_max_digits", "decimal_whole_digits"):
        return text(language, "err_digits")
    if kind in _INTEGERS:
        return text(language, "err_integer")
    if kind in _NUMBERS:
        return text(language, "err_number")
    if kind in ("literal_error", "enum"):
        return text(language, "err_choice", limit=context["expected"])
    if kind == "string_too_long":
        return text(language, "err_long", limit=context["max_length"])
    if kind == "string_type":
        return text(language, "err_text")
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].upper() + message[1:]


def review(ticket: Ticket, services: Services, language: str) -> Review:
    """Check a ticket and say what it would risk. Nothing is changed."""
    told = Review(empty=not services.store.instruments(), dated=ticket.start == DATE)
    instrument, timeframe = _market(ticket, services, language, told)
    strategy = services.strategies.usable(ticket.strategy)
    if strategy is None:
        told.errors["strategy"] = text(language, "no_strategies" if not services.strategies.all else "err_gone")
    else:
        _check_settings(ticket, language, told)
    if instrument is None or timeframe is None:
        return told
    champion = services.models.champion(instrument, timeframe)
    if strategy is not None and strategy.needs_model and champion is None:
        told.errors["strategy"] = text(
            language, "warn_no_model", symbol=instrument.symbol, timeframe=timeframe, key=instrument.key
        )
    played = _span(ticket, services, instrument, timeframe, champion, language, told)
    spec = _spec(ticket, instrument, played, language, told)
    if spec is None or played is None or told.errors:
        return told
    _check_size(spec, instrument, played, language, told)
    if told.errors:
        return told
    told.spec = spec
    model = champion if strategy is not None and strategy.needs_model else None
    _summarise(spec, instrument, timeframe, model, played, language, told)
    return told


def _market(
    ticket: Ticket, services: Services, language: str, told: Review
) -> tuple[Instrument | None, Timeframe | None]:
    if not ticket.instrument:
        told.errors["instrument"] = _no_instrument(ticket, services, language)
        return None, None
    try:
        instrument = services.store.instrument(str(ticket.instrument))
    except NotFoundError:
        told.errors["instrument"] = text(language, "err_gone")
        return None, None
    timeframe = next((t for t in services.store.timeframes(instrument) if t.name == ticket.timeframe), None)
    if timeframe is None:
        told.errors["timeframe"] = text(language, "err_gone" if ticket.timeframe else "err_required")
        return instrument, None
    told.market = {"instrument": InstrumentOut.of(instrument).model_dump(), "timeframe": timeframe.name}
    return instrument, timeframe


def _no_instrument(ticket: Ticket, services: Services, language: str) -> str:
    every = services.store.instruments()
    if any(ticket.asset_class in (None, instrument.asset_class) for instrument in every):
        return text(language, "err_no_instrument")
    if not every:
        return text(language, "no_data_title")
    return text(language, "no_data_class", asset=text(language, str(ticket.asset_class)).lower())


def _check_settings(ticket: Ticket, language: str, told: Review) -> None:
    try:
        load(str(ticket.strategy)).Config.model_validate(dict(ticket.settings))
    except ValidationError as error:
        told.errors |= field_errors(error.errors(), language, prefix="settings-")


def _span(
    ticket: Ticket,
    services: Services,
    instrument: Instrument,
    timeframe: Timeframe,
    champion: Model | None,
    language: str,
    told: Review,
) -> Span | None:
    """What the replay will play."""
    have = services.store.coverage(instrument, timeframe)
    start_ns: int | None = None
    if ticket.start == UNSEEN and champion is not None:
        start_ns = int(champion.meta["train_end_ns"])
        if start_ns > have.last_ns:
            told.errors["start"] = text(language, "err_short_unseen")
            return None
    elif ticket.start == DATE:
        start_ns = parse_day(str(ticket.date or ""))
        if start_ns is None:
            told.errors["date"] = text(language, "err_date", example=day(language, have.first_ns))
            return None
        if not have.first_ns - 86_400 * 10**9 < start_ns <= have.last_ns:
            first, last = day(language, have.first_ns), day(language, have.last_ns)
            told.errors["date"] = text(language, "err_date_range", first=first, last=last)
            return None
    return services.market.span(instrument, timeframe, start_ns)


def _spec(
    ticket: Ticket, instrument: Instrument, played: Span | None, language: str, told: Review
) -> SessionSpec | None:
    values = {
        "instrument": instrument.key,
        "timeframe": ticket.timeframe,
        "strategy": ticket.strategy or "?",
        "config": dict(ticket.settings),
        "mode": ticket.mode,
        "horizon": ticket.horizon,
    }
    for name in ("cash", "entry_value", "take_profit", "stop_loss", "fee", "slippage"):
        value = getattr(ticket, name)
        values[name] = str(value) if isinstance(value, float) else value  # 0.1 is 0.1
    try:
        replay = Replay(start=played.first_ns if played else None, speed=ticket.speed)
    except ValidationError as error:
        told.errors |= field_errors(error.errors(), language)
        return None
    try:
        return SessionSpec.model_validate({**values, "feed": replay})
    except ValidationError as error:
        own = [e for e in error.errors() if e["loc"]]
        told.errors |= field_errors(own, language)
        if len(own) < len(error.errors()):  # the one check over two fields
            limit = money(language, Decimal(str(ticket.cash)), instrument.quote)
            told.errors["entry_value"] = text(language, "err_entry_over_cash", cash=limit)
        return None


def _check_size(spec: SessionSpec, instrument: Instrument, played: Span, language: str, told: Review) -> None:
    if spec.entry_value < instrument.min_notional:
        least = money(language, instrument.min_notional, instrument.quote)
        told.errors["entry_value"] = text(language, "err_entry_min", minimum=least)
        return
    lot = instrument.price(played.open_ticks) * instrument.lot_size
    if spec.entry_value < lot:
        told.errors["entry_value"] = text(language, "err_entry_lot", minimum=money(language, lot, instrument.quote))


def _summarise(
    spec: SessionSpec,
    instrument: Instrument,
    timeframe: Timeframe,
    model: Model | None,
    played: Span,
    language: str,
    told: Review,
) -> None:
    quote = instrument.quote
    costs = 2 * (spec.fee + spec.slippage)  # per cent of the entry value, both sides
    gain = spec.entry_value * (spec.take_profit - costs) / 100
    loss = -spec.entry_value * (spec.stop_loss + costs) / 100

    def say(key: str, **values: object) -> None:
        told.summary.append(text(language, key, **values))

    if spec.mode == "observe":
        say("summary_size_observe", symbol=instrument.symbol)
    else:
        entry = f"**{number(language, spec.entry_value)}**"
        say("summary_size", entry=entry, cash=money(language, spec.cash, quote), symbol=instrument.symbol)
        shown = {
            name: f"**{signed_money(language, amount, quote)}**" for name, amount in (("gain", gain), ("loss", loss))
        }
        say("summary_exits", **shown)
        if spec.horizon:
            length = span(spec.horizon * timeframe.seconds)
            say("summary_horizon", bars=number(language, spec.horizon, 0), time=length)
    if model is not None:
        say("summary_model", version=model.version)
    say("summary_feed", count=number(language, played.count, 0), **{"from": day(language, played.first_ns)})
    say(f"{spec.mode}_long", who=text(language, "who_strategy" if model is None else "who_ai"))
    say("summary_money")
    if gain <= 0 and spec.mode != "observe":
        told.warnings.append(text(language, "warn_costs", costs=f"{number(language, costs, None)} %"))
    if model is not None:
        _warn_of_other_exits(spec, model, language, told)


def _warn_of_other_exits(spec: SessionSpec, model: Model, language: str, told: Review) -> None:
    """The model's odds are those of the exits it was trained for."""
    trained = exits_of(model)
    if (spec.take_profit, spec.stop_loss, spec.horizon) != trained:
        take_profit, stop_loss, horizon = trained
        shown = {"tp": number(language, take_profit, None), "sl": number(language, stop_loss, None)}
        told.warnings.append(text(language, "warn_model_other", bars=horizon, **shown))


def exits_of(model: Model) -> tuple[Decimal, Decimal, int]:
    """Take profit and stop loss (per cent) and horizon (bars) that a model was trained for."""
    meta = model.meta
    take_profit, stop_loss = (Decimal(int(meta[f"{name}_ppm"])) / 10_000 for name in ("take_profit", "stop_loss"))
    return take_profit, stop_loss, int(meta["horizon_bars"])
