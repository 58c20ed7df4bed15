"""What the ticket's fields are filled with: at the beginning, and in others when one is changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from decimal import Decimal
from typing import Any, NamedTuple

from pregao.core.errors import NotFoundError, PregaoError
from pregao.core.timeframe import Timeframe
from pregao.strategies.contract import Model
from pregao_ui.fast_gradio import gr
from pregao_ui.schemas.market import StoredInstrument
from pregao_ui.services import Services
from pregao_ui.texts import of_plugin, text
from pregao_ui.ticket import LIVE, PRICE, REPLAY, UNSEEN, Ticket, exits_of
from pregao_ui.ticket.cloning import left_out as not_in_the_form
from pregao_ui.ticket.cloning import ticket_of
from pregao_ui.ticket.market import begins_at
from pregao_ui.ticket.venues import Venue, symbols, venue, venues

ASSET_CLASSES = ("crypto", "stock", "index")
_MARKET = ("venue", "instrument", "also", "timeframe", "take_profit", "stop_loss", "horizon")
FOLLOWS: dict[str, tuple[str, ...]] = {
    "feed": _MARKET,
    "asset_class": _MARKET,
    "venue": _MARKET,
    "instrument": ("also", "timeframe", "take_profit", "stop_loss", "horizon"),
    "timeframe": ("also", "take_profit", "stop_loss", "horizon"),
    "strategy": ("take_profit", "stop_loss", "horizon"),
    "exits": ("take_profit", "stop_loss"),
}
"""Which fields may change with which."""
TYPED = (
    "mode", "cash", "entry_value", "exits", "take_profit", "stop_loss", "trailing", "horizon", "risk", "start", "date",
    "speed", "fee", "slippage", "meta", "shadow",
)  # fmt: skip
_PATIENCE_S = 4.0
"""For a registry that is just starting, or away: the form must not wait for it."""


class Offer(NamedTuple):
    """A list to choose from, ``(shown, value)`` or values, and what is chosen: one, or ``many``."""

    choices: Sequence[Any]
    value: Any
    many: bool = False

    def update(self) -> Any:
        """For its component."""
        many = {"multiselect": True, "allow_custom_value": True} if self.many else {}
        return gr.Dropdown(choices=list(self.choices), value=self.value, **many)

    @classmethod
    def first(cls, choices: Sequence[Any]) -> Offer:
        """With the first one chosen, if there is one."""
        value = next(iter(choices), None)
        return cls(choices, value[1] if isinstance(value, tuple) else value)


_asking = ThreadPoolExecutor(2, thread_name_prefix="registry")


def after(name: str, ticket: Ticket, services: Services) -> dict[str, Any]:
    """What the other fields become after a change of one."""
    if name == "exits":
        return _converted(ticket, services)
    offers: dict[str, Offer] = {}
    key, timeframe = ticket.instrument, ticket.timeframe
    if name in ("feed", "asset_class", "venue"):
        offers = market(ticket.live, str(ticket.asset_class), ticket.venue, services)
        key, timeframe = offers["instrument"].value, offers["timeframe"].value
    elif name == "instrument":
        offered = _timeframes(ticket.live, ticket.venue, key, services)
        offers["timeframe"] = Offer(offered, timeframe) if timeframe in offered else Offer.first(offered)
        timeframe = offers["timeframe"].value
    if name in ("feed", "asset_class", "venue", "instrument", "timeframe"):
        offers["also"] = _also(name, ticket, key, timeframe, offers, services)
    place = venue(ticket.venue) if ticket.live else None
    if place is not None and key:
        key = place.instrument(str(key))
    found = {each: offer.update() for each, offer in offers.items()}
    trained = None if ticket.exits == PRICE else _trained_exits(services, key, timeframe, ticket.strategy)
    return found | (trained or {})


def market(live: bool, asset_class: str, place: Any, services: Services) -> dict[str, Offer]:
    """The lists of venues, instruments and timeframes, with something chosen in each."""
    stored = _stored(services)
    if not live:
        names = Offer.first(_instruments(stored, asset_class))
        return {"instrument": names, "timeframe": Offer.first(_timeframes(False, place, names.value, services))}
    offered = [(v.title, v.key) for v in venues(asset_class)]
    known = Offer(offered, place) if place in [key for _, key in offered] else Offer.first(offered)
    chosen = venue(known.value)
    return {
        "venue": known,
        "instrument": Offer.first(_followed(chosen, asset_class, stored, services) if chosen else []),
        "timeframe": Offer.first(chosen.timeframes if chosen else []),
    }


def first(remembered: Mapping[str, Any], services: Services, language: str) -> dict[str, Any]:
    """The form as this browser left it, as another session had it (``clone``), or sensible values: a market with a
    champion, the exits it was trained for."""
    cloned = _cloned(remembered.get("clone"), services)
    remembered = {**remembered, **cloned}
    stored = _stored(services)
    known = {i.key: i for i in stored}
    usable = [s for s in services.strategies.all if s.state != "broken"]
    live = remembered.get("feed") == LIVE
    key = remembered.get("instrument")
    if not live and key not in known:
        key = next(iter(_with_champion(services, known)), None) or next(iter(known), None)
    asset_class = remembered.get("asset_class")
    if not live:
        asset_class = known[key].asset_class if key else "crypto"
    elif asset_class not in ASSET_CLASSES:
        asset_class = "crypto"
    offers = market(live, str(asset_class), remembered.get("venue"), services)
    if live and not key:
        key = offers["instrument"].value
    offers["instrument"] = offers["instrument"]._replace(value=key)
    timeframes = _timeframes(live, offers["venue"].value if live else None, key, services)
    timeframe = remembered.get("timeframe")
    if timeframe not in timeframes:
        timeframe = next(iter(timeframes), None)
    offers["timeframe"] = Offer(timeframes, timeframe)
    beside = _beside(live, offers["venue"].value if live else None, asset_class, key, timeframe, services)
    chosen = remembered.get("also")
    kept = [each for each in chosen if each != key] if isinstance(chosen, list) else []
    offers["also"] = Offer(beside, kept, many=True)
    strategy = remembered.get("strategy")
    if strategy not in [s.name for s in usable]:
        judged = _trained(services, key, timeframe) is not None
        strategy = next((s.name for s in sorted(usable, key=lambda s: s.needs_model != judged)), None)
    values = {name: remembered[name] for name in TYPED if name in remembered}
    if "take_profit" not in values:
        values |= _trained_exits(services, key, timeframe, strategy) or {}
    titles = [
        (of_plugin(language, s.title) if s.state == "ok" else text(language, "ambiguous", name=s.name), s.name)
        for s in usable
    ]
    updates: dict[str, Any] = {name: offer.update() for name, offer in offers.items()}
    updates |= {
        "feed": LIVE if live else REPLAY,
        "asset_class": asset_class,
        "strategy": gr.Dropdown(choices=titles, value=strategy, info=_broken(services, language)),
    }
    if "settings" in cloned:
        updates["settings"] = cloned["settings"]
    return updates | values


def left_out(remembered: Mapping[str, Any], services: Services, language: str) -> str:
    """Of a ``clone``, what the session was asked that the form has no field for, as a sentence; empty if nothing."""
    try:
        session_id = remembered.get("clone")
        names = not_in_the_form(services.journal.session(str(session_id)).spec) if session_id else []
    except NotFoundError:
        names = []
    listed = ", ".join(text(language, f"left_{name}") for name in names)
    return text(language, "clone_left_out", names=listed) if names else ""


def _cloned(session_id: Any, services: Services) -> dict[str, Any]:
    if not session_id:
        return {}
    try:
        return ticket_of(services.journal.session(str(session_id)))
    except NotFoundError:
        return {}


def _converted(ticket: Ticket, services: Services) -> dict[str, Any]:
    """The exits in the other unit, from where the market stands at the start; empty fields if that is not known."""
    model = _trained(services, ticket.instrument, ticket.timeframe) if ticket.start == UNSEEN else None
    begins = begins_at(ticket, services, model)
    if begins is None:
        return {"take_profit": None, "stop_loss": None}
    price, tick = begins
    found: dict[str, Any] = {}
    for name, sign in (("take_profit", 1), ("stop_loss", -1)):
        value = getattr(ticket, name)
        if not isinstance(value, int | float) or not math.isfinite(value):
            continue
        given = Decimal(str(value))
        if ticket.exits == PRICE:
            found[name] = float(round(price * (1 + sign * given / 100) / tick) * tick)
        else:
            found[name] = max(round(float(sign * (given / price - 1) * 100), 2), 0.01)
    return found


def ask(ticket: Ticket, services: Services) -> None:
    """Ask a live market's venue what it trades, which may take a while."""
    place = _lists(ticket)
    if place is not None:
        services.listings.ask(place.source, place.options)


def listed(ticket: Ticket, services: Services) -> Any:
    """The instruments of a live market's venue, as far as it has said what it trades: what is chosen stays."""
    place = _lists(ticket)
    if place is None:
        return gr.skip()
    return gr.Dropdown(choices=_followed(place, str(ticket.asset_class), _stored(services), services))


def also_listed(ticket: Ticket, services: Services) -> Any:
    """The further ones, likewise."""
    if _lists(ticket) is None:
        return gr.skip()
    place, asset_class = ticket.venue, ticket.asset_class
    return gr.Dropdown(choices=_beside(True, place, asset_class, ticket.instrument, ticket.timeframe, services))


# ---- what the lists hold


def _lists(ticket: Ticket) -> Venue | None:
    """The venue of a live market, if it tells all that it trades."""
    place = venue(ticket.venue) if ticket.live else None
    return place if place is not None and place.listed else None


def _also(
    name: str, ticket: Ticket, key: Any, timeframe: Any, offers: Mapping[str, Offer], services: Services
) -> Offer:
    """The further instruments after a change. What is chosen stays as long as it can be traded beside the first;
    another feed or venue has others."""
    place = offers["venue"].value if "venue" in offers else ticket.venue
    choices = _beside(ticket.live, place, ticket.asset_class, key, timeframe, services)
    chosen = ticket.also if isinstance(ticket.also, list | tuple) else ()
    if name in ("feed", "venue") or (ticket.live and place != ticket.venue):
        kept = []
    elif ticket.live:  # any symbol may be typed
        kept = [each for each in chosen if each != key]
    else:
        kept = [each for each in chosen if each in [known for _, known in choices]]
    return Offer(choices, kept, many=True)


def _beside(live: bool, place: Any, asset_class: Any, key: Any, timeframe: Any, services: Services) -> list[Any]:
    """What can be traded beside an instrument: of the store all of its currency and timeframe, of a venue all else."""
    stored = _stored(services)
    if live:
        followed = venue(place)
        every = _followed(followed, str(asset_class), stored, services) if followed else []
        return [each for each in every if each != key]
    quote = next((i.quote for i in stored if i.key == key), None)
    same = [i for i in stored if i.quote == quote and any(series.timeframe == timeframe for series in i.series)]
    return [each for each in _named(same) if each[1] != key]


def _followed(place: Venue, asset_class: str, stored: Sequence[StoredInstrument], services: Services) -> list[str]:
    """The markets of a venue to choose from, as far as they are known without asking."""
    known = services.listings.known(place.source, place.options) if place.listed else None
    return symbols(place, asset_class, stored, known.symbols if known else ())


def _stored(services: Services) -> list[StoredInstrument]:
    try:
        return services.market.instruments()
    except PregaoError:  # told by the check that follows
        return []


def _instruments(stored: Sequence[StoredInstrument], asset_class: str | None) -> list[tuple[str, str]]:
    return _named([i for i in stored if i.asset_class == asset_class])


def _named(every: Sequence[StoredInstrument]) -> list[tuple[str, str]]:
    twice = {i.symbol for i in every if sum(j.symbol == i.symbol for j in every) > 1}
    return [(f"{i.symbol} · {i.key}" if i.symbol in twice else i.symbol, i.key) for i in every]


def _timeframes(live: bool, place: Any, key: Any, services: Services) -> list[str]:
    if live:
        followed = venue(place)
        return list(followed.timeframes) if followed else []
    return [series.timeframe for i in _stored(services) if i.key == key for series in i.series]


def _trained_exits(services: Services, key: Any, timeframe: Any, strategy: Any) -> dict[str, Any] | None:
    """The exits that a strategy's model was trained for; None for a strategy without one."""
    chosen = services.strategies.usable(strategy)
    model = _trained(services, key, timeframe) if chosen is not None and chosen.needs_model else None
    if model is None:
        return None
    take_profit, stop_loss, horizon = exits_of(model)
    return {"take_profit": float(take_profit), "stop_loss": float(stop_loss), "horizon": horizon}


def _trained(services: Services, key: Any, timeframe: Any) -> Model | None:
    """The champion of a series; None if there is none, or it cannot be read soon."""
    if not key or not timeframe:
        return None

    def ask() -> Model | None:
        return services.models.champion(services.store.instrument(str(key)), Timeframe.parse(str(timeframe)))

    try:
        return _asking.submit(ask).result(_PATIENCE_S)
    except (PregaoError, TookTooLong):  # told by the review, beside its field
        return None


def _broken(services: Services, language: str) -> str | None:
    """What to say of plugins that cannot be used; None if there are none."""
    names = [s.name for s in services.strategies.all if s.state == "broken"]
    return text(language, "broken_plugins", names=", ".join(names)) if names else None


def _with_champion(services: Services, known: Mapping[str, StoredInstrument]) -> Iterator[str]:
    """The instruments whose model has passed the gate."""
    try:
        models = _asking.submit(services.models.all).result(_PATIENCE_S)
    except (PregaoError, TookTooLong):  # the registry cannot be read: the Models page says why
        return
    champions = {m.name for m in models if "champion" in m.aliases}
    for key in known:
        if any(name.startswith(f"pregao.{key.replace('/', '.')}.") for name in champions):
            yield key
