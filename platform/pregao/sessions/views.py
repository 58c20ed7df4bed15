"""Journal rows as the panel, the API and `trade watch` show them: floats in the quote currency, JSON-ready.

Every view has ``s`` (seq), ``ts`` (the market's time, unix seconds) and ``k`` (kind). ``t`` is the open time of the
bar that the row belongs to, unix seconds: where a chart puts it. In a session of several instruments a row of one of
them has its ``symbol`` (its key where two share one), and its place ``b`` unless that is the first. By kind:

- ``bar``: ``o h l c v``; what is held after it: ``pos`` signed quantity, ``ent`` mean entry price, ``tp`` and ``sl``
  prices (null without), ``upnl`` of the open position before fees, ``held`` bars; and the account: ``eq`` equity,
  ``pnl`` since the start, ``dd`` drawdown from the highest equity (fraction, 0 or less), ``cash``, ``fees`` so far. Of
  bars that closed together only the first has the account.
- ``fill``: ``id order role side qty price ref`` (price before slippage) ``slip fee pnl`` (realised, gross of fees)
  ``pos cash rule amb`` (both exits in reach of one bar).
- ``order``: ``id order role side qty price state`` (accepted, cancelled, rejected) ``reason``.
- ``intent``: ``action`` (enter, exit, note, wait), ``reason``; enter and note also ``p ev top``; enter
  ``side fraction``; wait ``bars until_ns event signal``, see `contract.Wait`;
  ``acted`` and ``why`` not: observe, approval (became a proposal), waiting (one is open), ignored, note, risk, meta;
  where a meta-model was asked, its chance ``meta``, its digest ``by`` and its ``veto``;
  ``limit`` which bound an entry, and the part ``left`` of the entry value.
- ``risk``: ``rule`` (daily loss, drawdown), its ``limit`` and what was ``reached``, as parts.
- ``proposal``: ``id state`` (open, approved, rejected, expired, withdrawn) ``side fraction p ev reason top``,
  ``bars`` left, ``expires`` (unix seconds of the market).
- ``command``: ``command body outcome`` (done, or why it was refused).
- ``started``: what is known of the session's parts. ``paused resumed``: ``by``. ``stopped finished``: ``status bars eq
  pnl fees pos trades wins digest``. ``error``: ``where message traceback``. ``snapshot``: ``bars sha256 state``.
- ``bar`` has ``late`` where it came too late to be traded on; ``missed`` tells how many such ``bars`` there were,
  ``from`` and ``to`` (unix seconds), once one is in time again.
- ``feed``: ``state`` (stale, recovered, held, gap, revised, skewed, ended) and, as it has them, ``reason``, ``t``,
  ``from``, ``to``, ``bars``, ``ms``.
- ``model``: the registry has a new champion, ``version``; ``was`` the one before, and the ``reason`` if it is refused.
- ``broker``: ``state`` of the exchange that has the session's orders: joined (and its account's ``name``), away (and
  the ``reason``), back, told: what it said of ``orders``, from which the rows after it follow.
- ``actions``: splits and dividends to come, each the time (ns), ``split`` or ``dividend``, and the ratio or amount.
- ``cut``: the journal was damaged at ``row`` because of ``why``; ``rows`` rows, ``from`` to ``to``, are in quarantine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from pregao.core.instrument import Instrument, names_of
from pregao.core.money import PPM
from pregao.sessions.records import Body, JournalRow, SessionRow, Trade
from pregao.sessions.spec import ExchangeBroker, SessionSpec

View = dict[str, Any]
_NS = 1e9
_UNITS = {
    **dict.fromkeys(("o", "h", "l", "c", "price", "ref", "slip", "spread", "impact", "tp", "sl"), 0),
    **dict.fromkeys(("pos", "qty"), 1),
    **dict.fromkeys(("eq", "pnl", "cash", "fee", "fees", "amount"), 2),
}
"""Which of `Instrument.ratios` a figure is in."""
_PLAIN = ("started", "command", "error", "snapshot", "paused", "resumed", "cut", "model", "broker", "actions")
"""Kinds whose bodies are shown as they are."""
_SILENT = ("memory", "warmed")
"""Kinds that only recovery reads."""
_OF_THE_ACCOUNT = (
    "started",
    "stopped",
    "finished",
    "paused",
    "resumed",
    "command",
    "risk",
    "missed",
    "snapshot",
    "cut",
)
"""Kinds that are of no one instrument."""


def view(row: JournalRow, *instruments: Instrument) -> View:
    """One journal row for the screen, of a session that trades these; see the module."""
    return views([row], *instruments)[0]


def views(rows: Iterable[JournalRow], *instruments: Instrument) -> list[View]:
    """Journal rows for the screen; a page asks for thousands of them at once."""
    ratios = [_ratios(instrument) for instrument in instruments]
    names = names_of(instruments)
    return [_view(row, instruments, names, ratios) for row in rows]


def shown_body(body: Body, *instruments: Instrument) -> View:
    """A body's integers and exact texts as floats; also for `SessionRow.proposal`."""
    instrument = instruments[body.get("b", 0)]
    return _named(body, names_of(instruments)) | _body(body, instrument, _ratios(instrument))


def _named(body: Body, names: Sequence[str]) -> View:
    """Which of several instruments a row is of."""
    return {"symbol": names[body.get("b", 0)]} if len(names) > 1 else {}


_Ratios = dict[str, tuple[int, int]]


def _ratios(instrument: Instrument) -> _Ratios:
    ratios = instrument.ratios
    return {name: ratios[unit] for name, unit in _UNITS.items()}


def _view(row: JournalRow, instruments: Sequence[Instrument], names: Sequence[str], ratios: Sequence[_Ratios]) -> View:
    shown: View = {"s": row.seq, "ts": row.ts_ns / _NS, "k": row.kind}
    if row.kind in _SILENT:
        return shown
    body = row.body
    number = body.get("b", 0)
    if row.kind not in _OF_THE_ACCOUNT and "orders" not in body:
        shown |= _named(body, names)
    if row.kind in _PLAIN:
        return shown | body
    instrument = instruments[number]
    shown |= _body(body, instrument, ratios[number])
    if row.kind == "bar":
        shown |= _open_position(body, instrument)
    return shown


def _body(body: Body, instrument: Instrument, ratios: _Ratios) -> View:
    shown: View = {}
    for name, value in body.items():
        ratio = ratios.get(name)
        if value is None:
            shown[name] = None
        elif ratio is not None:
            shown[name] = value * ratio[0] / ratio[1]
        else:
            how = _SHOWN.get(name)
            shown[name] = value if how is None else how(value, instrument)
    return shown


def _finite(text: str, _instrument: Instrument | None = None) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_SHOWN: dict[str, Callable[[Any, Instrument], Any]] = {
    **dict.fromkeys(("p", "ev", "v", "fraction", "meta"), _finite),
    **dict.fromkeys(("t", "expires", "from", "to"), lambda ns, _: ns / _NS),
    **dict.fromkeys(("left", "reached"), lambda ppm, _: ppm / PPM),
    "limit": lambda limit, _: limit if isinstance(limit, str) else limit / PPM,
    **dict.fromkeys(("is", "was"), lambda ticks, instrument: [float(instrument.price(each)) for each in ticks[:4]]),
    "top": lambda top, _: [[feature, _finite(weight)] for feature, weight in top],
}
"""How what is no figure of an account is shown."""


def _open_position(body: Body, instrument: Instrument) -> View:
    """What a bar's account says about the open position."""
    lots, cost = body["pos"], body["cost"]
    n, d = instrument.ratios[2]
    shown: View = {"ent": None, "upnl": 0.0, "cost": cost * n / d}
    if "eq" in body:
        equity, peak = body["eq"], body["peak"]
        shown |= {"dd": (equity - peak) / peak if peak > 0 else 0.0, "peak": peak * n / d}
    if lots:
        shown["ent"] = float(instrument.tick_size) * cost / (lots * instrument.tick_quanta)
        shown["upnl"] = (lots * body["c"] * instrument.tick_quanta - cost) * n / d
    return shown


def trade_view(trade: Trade, *instruments: Instrument) -> View:
    """A round trip: times in unix seconds, prices are means, ``return`` is a fraction of the money put in."""
    instrument = instruments[trade.book]
    units = float(instrument.quantity(trade.lots))
    return {
        "number": trade.number,
        "symbol": names_of(instruments)[trade.book],
        "entry": trade.entry_ns / _NS,
        "exit": trade.exit_ns / _NS,
        "side": "long" if trade.side > 0 else "short",
        "qty": units,
        "entry_price": float(instrument.money(trade.paid_quanta)) / units,
        "exit_price": float(instrument.money(trade.received_quanta)) / units,
        "fees": float(instrument.money(trade.fees_quanta)),
        "pnl": float(instrument.money(trade.pnl_quanta)),
        "return": trade.pnl_quanta / trade.paid_quanta,
        "role": trade.exit_role,
        "rule": trade.exit_rule,
        "ambiguous": trade.ambiguous,
    }


def broker_of(spec: SessionSpec) -> str:
    """Who has a session's orders: ``paper``, or an exchange and whether it is its sandbox."""
    broker = spec.broker
    if not isinstance(broker, ExchangeBroker):
        return "paper"
    return f"{broker.exchange} sandbox" if broker.sandbox else broker.exchange


Money = Literal["simulated", "sandbox", "real"]


def money_of(spec: SessionSpec) -> Money:
    """Whose money a session trades with: of the simulation, of an exchange's sandbox, or a person's own."""
    broker = spec.broker
    if not isinstance(broker, ExchangeBroker):
        return "simulated"
    return "sandbox" if broker.sandbox else "real"


def standings(row: SessionRow) -> list[View]:
    """How each instrument stands, also between two bars; empty before the session began.

    ``pos`` is the signed quantity, ``ent`` the mean entry price, ``c`` the last price (null before the first), ``upnl``
    of the open position before fees, ``held`` its bars, ``tp`` and ``sl`` its exits, ``pnl`` of the closed round trips
    net of fees, ``fees`` paid.
    """
    shown = []
    for instrument, name, body in zip(row.instruments, row.names, row.details.get("books", ()), strict=False):
        figures = _open_position(body, instrument) | _body(body, instrument, _ratios(instrument))
        figures["c"] = figures["c"] or None
        shown.append({"instrument": instrument.key, "symbol": name, **figures})
    return shown


def session_view(row: SessionRow) -> View:
    """A session as it stands: money in the quote currency, times in unix seconds, rates in per cent."""
    spec, instrument = row.spec, row.instrument
    waiting = [shown_body(body, *row.instruments) for body in row.proposals]
    return {
        "id": row.id,
        "status": row.status,
        "error": row.error,
        "created": row.created_ns / _NS,
        "instrument": instrument.key,
        "symbol": instrument.symbol,
        "books": standings(row),
        "asset_class": instrument.asset_class,
        "quote": instrument.quote,
        "synthetic": instrument.synthetic,
        "timeframe": spec.timeframe,
        "strategy": spec.strategy,
        "mode": spec.mode,
        "broker": broker_of(spec),
        "model": row.model_name,
        "model_version": row.trading_version,
        "shadow_of": row.shadow_of,
        "equity": row.equity,
        "pnl": row.pnl,
        "pnl_percent": row.pnl_percent,
        "fees": row.fees,
        "position": row.position,
        "trades": row.trades_count,
        "wins": row.win_count,
        "bars": row.bars,
        "bars_total": row.bars_total,
        "bar": row.bar_ns / _NS if row.bars else None,
        "proposal": waiting[0] if waiting else None,
        "proposals": waiting,
        "notices": row.details.get("notices", {}),
        "last_seq": row.last_seq,
        "chain": row.chain,
        "epoch": row.epoch,
        "runner": row.runner,
        "heartbeat": row.heartbeat_ns / _NS if row.heartbeat_ns else None,
        "updated": row.updated_ns / _NS,
        "spec": spec.model_dump(mode="json"),
    }
