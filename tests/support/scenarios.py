"""Candle tables: a market as a trader would write it down, the orders beside it, and what must come of them.

Of a `Scenario` each line is one of these; whatever follows ``#`` is a comment::

    100 102 98 101 60          a candle: open high low close, and the volume if it matters
    100 102 98 101 | ORDERS    what is asked for at its close, several with ``;`` between them
                   | ORDERS    more of it
    . 100 101 98 100           a finer bar of the candle above
    > EVENT                    what must happen in that candle, or at its close because of the orders
    = equity 990 position 10   how the account must stand then

Several instruments stand side by side: ``100 100 100 100 / 50 51 49 50``, with ``-`` for one that has no candle then.

Orders (prices in the quote currency, sizes in units)::

    buy 10            sell 10 limit 95         buy 10 stop 105         buy 10 stop 105 limit 107
    buy 1000$         sell 10 trail 5          sell 10 trail 10%       buy 10 B        (of instrument B)
    ioc  fok  day 3  gtd 3  post-only  reduce-only                     (3: until the third candle's open)
    profit 110  loss 95  profit 10%  loss 5%                           (an entry with its bracket)
    a: buy 10 limit 95        cancel a        amend a qty 5 price 94 limit 96
    long  short  leave                                                 (the signals of a plan)
    feed stale  feed fresh  exchange closed  exchange open  convert 100 EUR fee 1%

Events, all of them but what is accepted or amended and the ends of a bracket's other orders (name one: all count)::

    > buy 10 at 95 path            > a: buy 10 at 95 gap maker fee 0.95     > stop sell 10 at 90 path ambiguous
    > a: rejected (no funds)       > entry cancelled (expired)    > a: triggered    > dividend 3.33    > funding -1

A fill has its role (``entry profit stop exit liquidation``), side, size, price and rule, and ``ambiguous`` where one
candle reached both exits of a bracket; then what it likes of ``maker``, ``taker`` and ``ref slip spread impact fee tier
cash position realised`` with their values. An account tells the amounts of `AccountState`, ``position`` and ``orders``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from candles import PLAN

from pregao.core.bars import Bar, Bars
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.simulation.plan import Plan
from pregao.simulation.terms import Terms


@dataclass(frozen=True)
class Scenario:
    """A table, and the terms under which it holds.

    Attributes:
        table: see the module.
        terms: of the only instrument, by the names of `Terms`.
        plan: what differs from `PLAN`, by the names of `Plan`.
        plans: several instruments, called A, B, C in the table; ``cash`` and ``reporting`` are the engine's.
        mirror: prices ``p`` become ``mirror - p`` where the scenario is played for the other side too; 0 is never.
        finer: the timeframe of the finer bars.
        start_ns: when the first candle opens.
        fault: what is wrong in the engine, where it does not do yet what the table says.
    """

    name: str
    table: str
    terms: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    plans: tuple[Plan, ...] = ()
    cash: Mapping[str, Decimal] | None = None
    reporting: str | None = None
    mirror: int = 200
    finer: str = "5m"
    start_ns: int = 0
    fault: str = ""
    mirrored: bool = False

    def engine(self) -> Engine:
        """A fresh engine on these terms."""
        plans = self.plans or (replace(PLAN, **({"terms": Terms(**self.terms)} if self.terms else {}) | self.plan),)
        return Engine(plans, self.cash, self.reporting)


def one_side(*scenarios: Scenario) -> list[Any]:
    """The scenarios as pytest's parameters."""
    return [_parameter(each, each.name) for each in scenarios]


def both_sides(*scenarios: Scenario) -> list[Any]:
    """The scenarios as pytest's parameters, each also with buys and sells changed and prices reflected."""
    sides = []
    for each in scenarios:
        sides.append(_parameter(each, each.name))
        if each.mirror:
            sides.append(_parameter(replace(each, mirrored=True), f"{each.name} (mirrored)"))
    return sides


def _parameter(scenario: Scenario, name: str) -> Any:
    marks = (pytest.mark.xfail(strict=True, reason=scenario.fault),) if scenario.fault else ()
    return pytest.param(scenario, id=name, marks=marks)


# Reading ------------------------------------------------------------------------------------------------------------


@dataclass
class Moment:
    """The candles of one time, what is asked for at their close, and what must come of both."""

    candles: list[str]
    finer: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)


def moments(table: str) -> list[Moment]:
    """The lines of a table, put together by time."""
    found: list[Moment] = []
    for raw in table.splitlines():
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        if line[0] == ">":
            found[-1].events.append(line[1:].strip())
        elif line[0] == "=":
            found[-1].accounts.append(line[1:].strip())
        elif line[0] == ".":
            found[-1].finer.append(line[1:].strip())
        else:
            prices, _, orders = line.partition("|")
            if prices.strip():
                found.append(Moment([part.strip() for part in prices.split("/")]))
            found[-1].orders += [order.strip() for order in orders.split(";") if order.strip()]
    return found


_ROLES = {"profit": "take_profit", "stop": "stop_loss", "entry": "entry", "exit": "exit", "liquidation": "liquidation"}
_ROLE_WORDS = {role: word for word, role in _ROLES.items()} | {"": ""}
_RULES = frozenset(layout.RULE_NAMES.values()) - {""}
_FIGURE = re.compile(r"-?\d+(\.\d+)?")
_FLOWS = ("funding", "dividend", "interest", "split", "converted")
_BRACKET_ENDS = (layout.REASONS[layout.SIBLING], layout.REASONS[layout.FLAT])
_OTHER_SIDE = {"buy": "sell", "sell": "buy", "long": "short", "short": "long"}
_SIGNALS = {"long": layout.ENTER_LONG, "short": layout.ENTER_SHORT, "leave": layout.LEAVE}
_MONEY_BY_PRICE = ("fee", "cash")
"""Depend on how high the prices are, so they are not compared in the mirror."""
_ACCOUNT_IN_THE_MIRROR = ("equity", "realised", "ambiguous", "best", "worst", "position", "orders")


def _number(value: Decimal | int) -> str:
    return f"{Decimal(value).normalize():f}" if value else "0"


def _is_book(word: str) -> bool:
    return len(word) == 1 and word in "ABCDEFGH"


class Play:
    """A scenario on its way through an engine: the events as lines in the words of the table."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.engine = scenario.engine()
        self.names: dict[str, int] = {}
        self.events: list[Event] = []

    # What goes in

    def price(self, text: str, book: int = 0) -> int:
        """A price of the table in ticks."""
        return self._on_grid(Decimal(self._reflected(text)) / self.engine.plans[book].instrument.tick_size, text)

    def lots(self, text: str, book: int) -> int:
        """A size of the table in lots."""
        return self._on_grid(Decimal(text) / self.engine.plans[book].instrument.lot_size, text)

    @staticmethod
    def _on_grid(number: Decimal, text: str) -> int:
        assert number == int(number), f"{text} is off the grid"
        return int(number)

    def bar(self, text: str, book: int, open_ns: int, span_ns: int) -> Bar:
        """A candle of the table."""
        words = text.split()
        opened, high, low, close = (self.price(word, book) for word in words[:4])
        high, low = (low, high) if self.scenario.mirrored else (high, low)
        assert low <= min(opened, close) <= max(opened, close) <= high, f"{text!r} is no candle"
        return Bar(open_ns, open_ns + span_ns, opened, high, low, close, float(words[4]) if len(words) > 4 else 1.0)

    def step(self, at: int, moment: Moment) -> list[Event]:
        """Let the candles of a moment arrive."""
        span = self.engine.plan.timeframe.ns
        opened = self.scenario.start_ns + at * span
        bars = {b: self.bar(text, b, opened, span) for b, text in enumerate(moment.candles) if text != "-"}
        if not bars:
            return []
        finer = None
        if moment.finer:
            frame = Timeframe.parse(self.scenario.finer)
            parts = [self.bar(text, 0, opened + i * frame.ns, frame.ns) for i, text in enumerate(moment.finer)]
            columns = list(zip(*parts, strict=True))
            ints = (np.array(columns[i], np.int64) for i in (0, 2, 3, 4, 5))
            finer = {0: Bars(self.engine.plan.instrument, frame, *ints, np.array(columns[6]))}
        return self.engine.step_all(bars, finer)

    def ask(self, request: str) -> list[Event]:
        """Carry out one request of the table."""
        name, words = _named(request)
        book = next((ord(w) - ord("A") for w in words if _is_book(w)), 0)
        verb, *words = (w for w in words if not _is_book(w))
        verb = _OTHER_SIDE.get(verb, verb) if self.scenario.mirrored else verb
        engine = self.engine
        match verb:
            case "long" | "short" | "leave":
                return engine.signal(_SIGNALS[verb], book=book)
            case "cancel":
                return engine.cancel(self.find(words[0]))
            case "amend":
                given = dict(zip(words[1::2], words[2::2], strict=True))
                changes = {f"{k}_ticks": self.price(given[k], book) for k in ("price", "limit") if k in given}
                changes |= {"qty_lots": self.lots(given["qty"], book)} if "qty" in given else {}
                return engine.amend(self.find(words[0]), **changes)
            case "feed":
                engine.set_stale(words[0] == "stale")
                return []
            case "exchange":
                engine.set_closed(words[0] == "closed", book)
                return []
            case "convert":
                fee = int(Decimal(words[3].rstrip("%")) * 10_000) if len(words) > 3 else 0
                return engine.convert(words[1], Decimal(words[0]), fee)
        assert verb in ("buy", "sell"), f"what is {request!r}?"
        kind, order = self.order(words, book)
        events = engine.submit(kind, 1 if verb == "buy" else -1, book=book, **order)
        if name:
            self.names[name] = events[0].order_id
        return events

    def order(self, words: list[str], book: int) -> tuple[int, dict[str, Any]]:
        """Kind and fields of an order, from its size on."""
        instrument = self.engine.plans[book].instrument
        size, *words = words
        if size.endswith("$"):
            more: dict[str, Any] = {"value_quanta": int(Decimal(size[:-1]) / instrument.quantum)}
        else:
            more = {"qty_lots": self.lots(size, book)}
        kind = layout.MARKET
        while words:
            match words.pop(0):
                case "stop":
                    kind, more["price_ticks"] = layout.STOP, self.price(words.pop(0), book)
                case "limit" if kind == layout.STOP:
                    kind, more["limit_ticks"] = layout.STOP_LIMIT, self.price(words.pop(0), book)
                case "limit":
                    kind, more["price_ticks"] = layout.LIMIT, self.price(words.pop(0), book)
                case "trail":
                    kind, away = layout.TRAILING, words.pop(0)
                    more |= _away(away, "trail", lambda text: self._on_grid(Decimal(text) / instrument.tick_size, text))
                case "profit" | "loss" as which:
                    exit_name = "take_profit" if which == "profit" else "stop_loss"
                    more = {"role": layout.ENTRY, "take_profit_ppm": 0, "stop_loss_ppm": 0} | more
                    more |= _away(words.pop(0), exit_name, lambda text: self.price(text, book))
                case "post-only" | "reduce-only" as which:
                    more[which.replace("-", "_")] = True
                case "ioc" | "fok" as which:
                    more["tif"] = layout.IOC if which == "ioc" else layout.FOK
                case "day" | "gtd" as which:
                    more["tif"] = layout.DAY if which == "day" else layout.GTD
                    more["expires_ns"] = self.scenario.start_ns + int(words.pop(0)) * self.engine.plan.timeframe.ns
                case word:
                    raise AssertionError(f"what is {word!r}?")
        return kind, more

    def find(self, name: str) -> int:
        """The id of an order by its name, or by the role of an exit, or any number."""
        if name in _ROLES:
            [order] = [o for o in self.engine.open_orders() if o.role == _ROLES[name]]
            return order.order_id
        return self.names[name] if name in self.names else int(name)

    # What comes out

    def told(self, events: Iterable[Event], expected: list[str]) -> list[str]:
        """The events in the words of the table, each with the details that the expected line at its place asks for."""
        said = " ".join(expected)
        loud = [
            e for e in events
            if e.kind not in ("accepted", "amended", "cancelled")
            or (e.kind == "cancelled" and (e.reason not in _BRACKET_ENDS or e.reason in said))
            or (e.kind == "amended" and "amended" in said)
        ]  # fmt: skip
        return [self.line(event, expected[i] if i < len(expected) else "") for i, event in enumerate(loud)]

    def line(self, e: Event, asked: str) -> str:
        """One event in the words of the table."""
        name, words = _named(asked)
        instrument = self.engine.plans[e.book].instrument
        line = [f"{name}:"] if name and self.names.get(name) == e.order_id else []
        line += [_ROLE_WORDS[e.role]] if e.role else []
        book = [chr(ord("A") + e.book)] if len(self.engine.plans) > 1 else []
        if e.kind != "fill":
            line += [e.kind, *book]
            line += [f"({e.reason})"] if e.kind in ("rejected", "cancelled") else []
            line += [_number(instrument.money(e.amount_quanta))] if e.kind in _FLOWS else []
            return " ".join(line)
        line += ["buy" if e.side > 0 else "sell", _number(instrument.quantity(e.qty_lots)), *book]
        line += ["at", _number(instrument.price(e.price_ticks)), e.rule]
        line += ["ambiguous"] if e.ambiguous else []
        details: dict[str, Decimal | int] = {
            "ref": instrument.price(e.reference_ticks), "slip": instrument.price(e.slippage_ticks),
            "spread": instrument.price(e.spread_ticks), "impact": instrument.price(e.impact_ticks),
            "fee": instrument.money(e.fee_quanta), "tier": e.tier, "cash": instrument.money(e.cash_quanta),
            "position": instrument.quantity(e.position_lots), "realised": instrument.money(e.realised_quanta),
        }  # fmt: skip
        for word in words:
            if word in ("maker", "taker"):
                line.append(e.liquidity)
            elif word in details:
                line += [word, _number(details[word])]
        return " ".join(line)

    def expected(self, text: str) -> str:
        """A line of the table in canonical numbers, and reflected if the scenario is."""
        name, words = _named(text)
        line = [f"{name}:"] if name else []
        mirrored = self.scenario.mirrored
        if "at" not in words or "(" in text:
            return " ".join([*line, *(_number(Decimal(w)) if _FIGURE.fullmatch(w) else w for w in words)])
        while words:
            word = words.pop(0)
            if word in ("at", "ref"):
                line += [word, self._reflected(words.pop(0))]
            elif word == "position":
                line += [word, _number(Decimal(words.pop(0)) * (-1 if mirrored else 1))]
            elif word in _MONEY_BY_PRICE and mirrored:
                words.pop(0)
            elif _FIGURE.fullmatch(word):
                line.append(_number(Decimal(word)))
            else:
                line.append(_OTHER_SIDE.get(word, word) if mirrored else word)
        assert _RULES & set(line), f"{text!r} names no rule"
        return " ".join(line)

    def _reflected(self, text: str) -> str:
        price = Decimal(text)
        return _number(self.scenario.mirror - price if self.scenario.mirrored else price)

    def account(self, asked: str) -> tuple[str, str]:
        """How the account stands, and how it must stand, in the words of the table."""
        words = asked.split()
        book = ord(words.pop(0)) - ord("A") if _is_book(words[0]) else 0
        instrument = self.engine.plans[book].instrument
        state = self.engine.account_of(book)
        stands, must = [], []
        for key, value in zip(words[::2], words[1::2], strict=True):
            if self.scenario.mirrored and key not in _ACCOUNT_IN_THE_MIRROR:
                continue
            held: Decimal | int
            if key == "position":
                held = instrument.quantity(state.position_lots) * (-1 if self.scenario.mirrored else 1)
            elif key == "free":
                held = instrument.money(state.cash_quanta - state.locked_quanta)
            elif key == "orders":
                held = len(self.engine.open_orders())
            elif key == "ambiguous":
                held = state.ambiguous
            else:
                held = instrument.money(getattr(state, f"{key}_quanta"))
            stands.append(f"{key} {_number(held)}")
            must.append(f"{key} {_number(Decimal(value))}")
        return " ".join(["=", *stands]), " ".join(["=", *must])


def _named(text: str) -> tuple[str, list[str]]:
    name, colon, rest = text.partition(":")
    return (name.strip(), rest.split()) if colon else ("", text.split())


def _away(text: str, name: str, ticks: Callable[[str], int]) -> dict[str, int]:
    if text.endswith("%"):
        return {f"{name}_ppm": int(Decimal(text[:-1]) * 10_000)}
    return {f"{name}_ticks": ticks(text)}


def play(scenario: Scenario) -> Play:
    """Play a scenario and hold what happens against its table."""
    run = Play(scenario)
    found: list[str] = []
    wanted: list[str] = []
    for i, moment in enumerate(moments(scenario.table)):
        events = run.step(i, moment)
        for request in moment.orders:
            events += run.ask(request)
        run.events += events
        expected = [run.expected(line) for line in moment.events]
        heading = f"{i}: {' / '.join(moment.candles)}"
        found += [heading, *(f"> {line}" for line in run.told(events, expected))]
        wanted += [heading, *(f"> {line}" for line in expected)]
        for asked in moment.accounts:
            stands, must = run.account(asked)
            found.append(stands)
            wanted.append(must)
    if found != wanted:
        raise AssertionError("\n".join(["- must be, + is", *difflib.ndiff(wanted, found)]))
    return run
