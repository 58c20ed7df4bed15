"""Random programs of orders and bars, and the two that run them: the engine in integers, the oracle in fractions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from random import Random
from typing import Any

import numpy as np
import oracle
from hypothesis import strategies as st

from pregao.core.bars import Bar, Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation import actions, layout
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.simulation.fees import FeeSchedule, Tier
from pregao.simulation.plan import Plan
from pregao.simulation.slippage import (
    EstimatedSpread,
    FixedSlippage,
    HalfSpread,
    Slippage,
    SquareRootImpact,
    VolumeShare,
)
from pregao.simulation.terms import Terms

HOUR = Timeframe.parse("1h")
QUARTER = Timeframe.parse("15m")
PPM = 1_000_000
START = 20 * HOUR.ns  # four hours before a day begins


def instrument(name: str, tick: str, lot: str, least: str = "0", short: bool = True) -> Instrument:
    return Instrument(
        symbol=name, source="test", venue="test", asset_class="crypto", base=name, quote="USD",
        tick_size=Decimal(tick), lot_size=Decimal(lot), min_notional=Decimal(least), allow_short=short,
    )  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """A request after a close: a new order, a signal, a change of the nth order that works, or its cancellation."""

    what: str
    book: int = 0
    kind: int = 0
    side: int = 1
    nth: int = 0
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    bars: dict[int, Bar]
    finer: dict[int, list[Bar]]
    asks: list[Ask]
    in_session: bool = True


@dataclass(frozen=True, repr=False)
class Program:
    plans: list[Plan]
    cash_quanta: int
    moments: list[Moment]

    def __repr__(self) -> str:
        """What a person needs to see of a program that failed: terms other than the usual, bars, requests."""
        lines = [f"cash {self.cash_quanta}"]
        for plan in self.plans:
            usual, terms, grid = Terms(), plan.terms, plan.instrument
            other = {k: getattr(terms, k) for k in terms.__slots__ if getattr(terms, k) != getattr(usual, k)}
            lines.append(f"{grid.tick_size} {grid.lot_size} {grid.min_notional} {plan.horizon_bars} {other}")
        for moment in self.moments:
            for book, bar in moment.bars.items():
                parts = [tuple(part[2:]) for part in moment.finer.get(book, [])]
                closed = "" if moment.in_session else " closed"
                lines.append(f"bar {bar.open_ns} of {book}: {tuple(bar[2:])} {parts or ''}{closed}")
            for a in moment.asks:
                lines.append(f"  {a.what} {a.book} {layout.ORDER_KINDS[a.kind]} {a.side} {a.nth} {a.more}")
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # what hypothesis shows
        printer.text(repr(self))

    @cached_property
    def units(self) -> list[tuple[Fraction, Fraction, Fraction]]:
        """Tick, lot and quantum of each instrument."""
        return [
            (Fraction(p.instrument.tick_size), Fraction(p.instrument.lot_size), Fraction(p.instrument.quantum))
            for p in self.plans
        ]


# Chance -------------------------------------------------------------------------------------------------------------


class Dice:
    """Choices read from bytes, so that hypothesis draws once for a whole program, and shrinks it by lesser bytes."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def below(self, n: int) -> int:
        """0 to n - 1, for n up to 256; 0 when the bytes are used up."""
        self.at += 1
        return self.raw[self.at - 1] % n if self.at <= len(self.raw) else 0

    def between(self, least: int, most: int) -> int:
        """The number nearest to 0 is the simplest."""
        simple = min(max(0, least), most)
        return (simple - least + self.below(most - least + 1)) % (most - least + 1) + least

    def one_of(self, *choices: Any) -> Any:
        return choices[self.below(len(choices))]

    def once_in(self, n: int) -> bool:
        return self.below(n) == n - 1


GRIDS = (("1", "1"), ("0.05", "0.1"), ("0.01", "0.001"))
FEES = (
    FeeSchedule(),
    FeeSchedule.flat_rate(1_000),
    FeeSchedule(maker_ppm=-123, taker_ppm=777),
    FeeSchedule(
        maker_ppm=100, taker_ppm=300, flat=Decimal("0.01"), per_unit=Decimal("0.005"), minimum=Decimal("0.35"),
        cap_ppm=10_000, sell_ppm=25,
    ),
)  # fmt: skip
SLIPPAGES: tuple[tuple[Slippage, ...], ...] = (
    (), (), (FixedSlippage(7_000),), (HalfSpread(3_000), VolumeShare(0.25)), (FixedSlippage(5_000), VolumeShare(0.125)),
)  # fmt: skip
PATHS = ("pessimistic", "optimistic", "shortest", "nearest", "ohlc", "finer")
LATENCIES = (0, 0, 0, 1, QUARTER.ns + 1, HOUR.ns, HOUR.ns * 3 // 2)


def some_actions(dice: Dice, hours: int, margined: bool) -> tuple[actions.Action, ...]:
    table: list[actions.Action] = []
    for at in sorted(dice.below(4 * hours) for _ in range(1 + dice.below(3))):
        ts = START + at * QUARTER.ns
        if margined:
            table.append(actions.Funding(ts, Decimal(dice.one_of(10_000, 250_001, 0, -70_003)).scaleb(-8)))
        elif dice.below(2):
            table.append(actions.Split(ts, dice.one_of(Fraction(2), Fraction(3, 2), Fraction(1, 10), Fraction(7))))
        else:
            table.append(actions.Dividend(ts, Decimal(dice.one_of("2", "0.07", "0.333333"))))
    return tuple(table)


def some_terms(dice: Dice, hours: int, **fixed: Any) -> Terms:
    margined = dice.once_in(3)
    latency = dice.one_of(*LATENCIES)
    chosen: dict[str, Any] = {
        "fees": dice.one_of(*FEES),
        "slippage": dice.one_of(*SLIPPAGES),
        "path": dice.one_of(*PATHS),
        "touch_ppm": dice.one_of(0, PPM),
        "participation_ppm": dice.one_of(0, 0, 100_000, 500_000),
        "latency_ns": (latency,) if latency else (),
        "contract": "margin" if margined else "cash",
        "initial_margin_ppm": dice.one_of(100_000, 333_333) if margined else dice.one_of(PPM, PPM, 500_000),
        "maintenance_margin_ppm": dice.one_of(0, 50_000) if margined else dice.one_of(0, 0, 300_000),
        "liquidation_fee_ppm": dice.one_of(0, 5_000),
        "borrow_ppm": 0 if margined else dice.one_of(0, 80_000),
        "actions": some_actions(dice, hours, margined) if dice.once_in(3) else (),
    }
    return Terms(**chosen | fixed)


TIERED = FeeSchedule(
    maker_ppm=200, taker_ppm=1_000, tiers=(Tier(Decimal(500), 100, 800), Tier(Decimal(20_000), -50, 500)),
    minimum=Decimal("0.02"),
)  # fmt: skip
ESTIMATES: tuple[tuple[Slippage, ...], ...] = (
    (EstimatedSpread("corwin_schultz", 3),), (EstimatedSpread("abdi_ranaldo", 3), SquareRootImpact(1.0, 3)),
    (FixedSlippage(7_000), SquareRootImpact(0.5, 2), HalfSpread(1_000)),
)  # fmt: skip
SWITCHES = (
    "fill_at_close", "children_next_bar", "levels_from_signal", "size_from_signal", "limit_gap_at_limit",
    "stop_gap_at_trigger", "stop_beats_gap", "profit_after_fees", "stop_rounds_up",
)  # fmt: skip


def unusual_terms(dice: Dice, terms: Terms) -> Terms:
    """What the oracle does not know: chances, tiers, estimates, and the switches of the profiles."""
    return replace(
        terms,
        fees=dice.one_of(terms.fees, TIERED),
        slippage=dice.one_of(terms.slippage, *ESTIMATES),
        touch_ppm=dice.one_of(0, 300_000, PPM),
        latency_ns=dice.one_of((), (1, QUARTER.ns, HOUR.ns * 3 // 2)),
        seed=dice.below(5),
        **{name: dice.once_in(3) for name in SWITCHES},
    )


def a_walk(dice: Dice, grid: Instrument, hours: int, fine: bool) -> list[tuple[Bar, list[Bar]]]:
    """Bars one after another, with their four quarters if ``fine``."""
    price = 60 + dice.below(250)
    found = []
    for hour in range(hours):
        parts = []
        opens = START + hour * HOUR.ns
        for part in range(4 if fine else 1):
            opened = max(price + dice.between(-9, 9), 1)
            closed = max(opened + dice.between(-9, 9), 1)
            high = max(opened, closed) + dice.below(8)
            low = max(min(opened, closed) - dice.below(8), 1)
            span = QUARTER.ns if fine else HOUR.ns
            volume = float(dice.one_of(0, 3, 20, 20, 64, 1_000) * grid.lot_size)
            at = opens + part * span
            parts.append(Bar(at, at + span, opened, high, low, closed, volume))
            price = closed
        whole = Bar(
            opens, opens + HOUR.ns, parts[0].open, max(p.high for p in parts), min(p.low for p in parts), price,
            float(sum(Decimal(str(p.volume)) for p in parts)),
        )  # fmt: skip
        found.append((whole, parts if fine else []))
    return found


def a_submission(dice: Dice, book: int, last: int, now: int, unit: int) -> Ask:
    """An order near the last close; now and then an absurd one."""
    kind = 1 + dice.below(5)
    side = dice.one_of(1, -1)
    more: dict[str, Any] = {}
    if dice.once_in(5):
        more["value_quanta"] = (1 + dice.below(60)) * last * unit
    else:
        more["qty_lots"] = 0 if dice.once_in(30) else 1 + dice.below(40)
    if kind in (layout.LIMIT, layout.STOP, layout.STOP_LIMIT):
        more["price_ticks"] = max(last + dice.between(-14, 14), 1)
    if kind == layout.STOP_LIMIT:
        more["limit_ticks"] = max(last + dice.between(-14, 14), 1)
    if kind == layout.TRAILING:
        if dice.below(2):
            more["trail_ppm"] = dice.one_of(20_000, 55_555, 1)
        else:
            more["trail_ticks"] = 1 + dice.below(12)
    style = dice.below(10)
    if style > 5:
        more["role"] = layout.ENTRY
        more["take_profit_ppm"] = dice.one_of(0, 10_000, 44_444)
        more["stop_loss_ppm"] = dice.one_of(0, 10_000, 33_333)
        if dice.once_in(4):
            more["take_profit_ticks"] = max(last + side * (1 + dice.below(15)), 1)
            more["stop_loss_ticks"] = max(last - side * (1 + dice.below(15)), 1)
    elif style == 4:
        more["reduce_only"] = True
    elif style == 5 and kind == layout.LIMIT:
        more["post_only"] = True
    rush = dice.below(10)
    if rush > 7 and (kind in (layout.MARKET, layout.LIMIT) or dice.once_in(10)):
        more["tif"] = (layout.IOC, layout.FOK)[rush - 8]
    elif rush == 7:
        more["tif"] = dice.one_of(layout.DAY, layout.GTD)
        more["expires_ns"] = now + dice.between(-1, 9) * QUARTER.ns
    return Ask("submit", book, kind, side, 0, more)


def an_ask(dice: Dice, book: int, last: int, now: int, unit: int) -> Ask:
    what = dice.below(10)
    if what == 8:
        more = {"qty_lots": dice.below(30), "price_ticks": max(last + dice.between(-14, 14), 0)}
        return Ask("amend", book, nth=dice.below(4), more=more)
    if what == 9:
        return Ask("cancel", book, nth=dice.below(4))
    return a_submission(dice, book, last, now, unit)


def a_program(dice: Dice, hours: int, books: int, unusual: bool = False, **fixed: Any) -> Program:
    """``unusual``: with signals, and under terms that the oracle does not know."""
    plans, tapes = [], []
    for book in range(books):
        tick, lot = dice.one_of(*GRIDS)
        grid = instrument(f"I{book}", tick, lot, dice.one_of("0", "0", "0.5"), not dice.once_in(6))
        agreed = some_terms(dice, hours, **fixed)
        entry = profit = loss = 0
        if unusual:
            agreed = unusual_terms(dice, agreed)
            entry, profit, loss = 2_000 * grid.tick_quanta, dice.one_of(0, 44_444), dice.one_of(0, 33_333)
        plans.append(Plan(grid, HOUR, 0, entry, profit, loss, dice.one_of(0, 0, 0, 3), agreed))
        tapes.append(a_walk(dice, grid, hours, agreed.path == "finer" and not dice.once_in(4)))
    units = [p.instrument.tick_quanta for p in plans]
    cash = dice.one_of(100, 100, 3, 1) * 300 * 40 * max(units)
    moments = []
    for hour in range(hours):
        present = [book for book in range(books) if books == 1 or not dice.once_in(10)] or [0]
        bars = {book: tapes[book][hour][0] for book in present}
        finer = {book: tapes[book][hour][1] for book in present if tapes[book][hour][1]}
        now = START + (hour + 1) * HOUR.ns
        wanted = []
        for _ in range(dice.one_of(0, 1, 1, 2, 3)):
            book = dice.one_of(*present)
            if unusual and dice.below(2):
                wanted.append(Ask("signal", book, dice.one_of(layout.ENTER_LONG, layout.ENTER_SHORT, layout.LEAVE)))
                continue
            wanted.append(an_ask(dice, book, bars[book].close, now, units[book]))
        moments.append(Moment(bars, finer, wanted, not dice.once_in(20)))
    return Program(plans, cash, moments)


@st.composite
def programs(draw: st.DrawFn, books: int = 1, most: int = 14, unusual: bool = False, **fixed: Any) -> Program:
    """Programs of up to ``most`` bars; ``fixed`` are fields of the terms."""
    hours = draw(st.integers(2, most))
    size = books * (50 if unusual else 30) + hours * (books * 24 + 36)
    return a_program(Dice(draw(st.binary(min_size=size, max_size=size))), hours, books, unusual, **fixed)


def seeded_program(seed: int, books: int = 1, unusual: bool = False) -> Program:
    """A program by a number alone, the same in every process."""
    source = Random(seed)
    hours = source.randint(2, 10)
    return a_program(Dice(source.randbytes(books * 50 + hours * (books * 24 + 36))), hours, books, unusual)


# The two that run them ------------------------------------------------------------------------------------------------


def bars_of(grid: Instrument, parts: list[Bar]) -> Bars:
    table = np.array([(p.open_ns, p.open, p.high, p.low, p.close) for p in parts], np.int64)
    columns = [np.ascontiguousarray(table[:, i]) for i in range(5)]
    return Bars(grid, QUARTER, *columns, volume=np.array([p.volume for p in parts]))


class EngineRun:
    """The engine, asked step by step."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.engine = Engine(program.plans, cash=self.money, reporting="USD")

    @property
    def money(self) -> dict[str, Decimal]:
        return {"USD": self.program.cash_quanta * self.program.plans[0].instrument.quantum}

    def reload(self) -> None:
        """Go on from the bytes of the state."""
        self.engine = Engine.from_bytes(self.program.plans, self.engine.to_bytes(), self.money, "USD")

    def moment(self, moment: Moment) -> list[Event]:
        finer = {b: bars_of(self.program.plans[b].instrument, parts) for b, parts in moment.finer.items()}
        return self.engine.step_all(moment.bars, finer, moment.in_session)

    def ask(self, asked: Ask) -> list[Event]:
        if asked.what == "submit":
            return self.engine.submit(asked.kind, asked.side, book=asked.book, **asked.more)
        if asked.what == "signal":
            return self.engine.signal(asked.kind, book=asked.book)
        working = self.engine.open_orders()
        if asked.nth >= len(working):
            return []
        order = working[asked.nth].order_id
        return self.engine.cancel(order) if asked.what == "cancel" else self.engine.amend(order, **asked.more)


def rate(ppm: int) -> Fraction:
    return Fraction(ppm, PPM)


def oracle_terms(plan: Plan) -> oracle.Terms:
    agreed, fees = plan.terms, plan.terms.fees
    slips = {type(model): model for model in agreed.slippage}
    table: list[oracle.Funding | oracle.Split | oracle.Dividend] = []
    for action in agreed.actions:
        match action:
            case actions.Funding():
                table.append(oracle.Funding(action.ts_ns, Fraction(action.rate)))
            case actions.Split():
                table.append(oracle.Split(action.ts_ns, action.ratio.numerator, action.ratio.denominator))
            case actions.Dividend():
                table.append(oracle.Dividend(action.ts_ns, Fraction(action.amount)))
    return oracle.Terms(
        fees=oracle.Fees(
            rate(fees.maker_ppm), rate(fees.taker_ppm), Fraction(fees.flat), Fraction(fees.per_unit),
            Fraction(fees.minimum), rate(fees.cap_ppm), rate(fees.sell_ppm),
        ),
        fixed=rate(slips[FixedSlippage].ppm) if FixedSlippage in slips else Fraction(0),
        half_spread=rate(slips[HalfSpread].ppm) if HalfSpread in slips else Fraction(0),
        impact=Fraction(slips[VolumeShare].k) if VolumeShare in slips else Fraction(0),
        path=agreed.path,
        touch=agreed.touch_ppm == PPM,
        participation=rate(agreed.participation_ppm) if agreed.participation_ppm else None,
        latency=agreed.latency_ns[0] if agreed.latency_ns else 0,
        margined=agreed.contract == "margin",
        initial_margin=rate(agreed.initial_margin_ppm),
        maintenance_margin=rate(agreed.maintenance_margin_ppm),
        liquidation_fee=rate(agreed.liquidation_fee_ppm),
        borrow=rate(agreed.borrow_ppm),
        actions=tuple(table),
    )  # fmt: skip


class OracleRun:
    """The oracle, asked the same in real units."""

    def __init__(self, program: Program) -> None:
        self.program = program
        markets = [
            oracle.Market(
                *program.units[i], oracle_terms(p), Fraction(p.instrument.min_notional), p.instrument.allow_short,
                p.horizon_bars,
            )
            for i, p in enumerate(program.plans)
        ]  # fmt: skip
        self.exchange = oracle.Exchange(markets, program.cash_quanta * program.units[0][2])

    def candle(self, book: int, bar: Bar, parts: list[Bar], in_session: bool = True) -> oracle.Candle:
        tick = self.program.units[book][0]
        return oracle.Candle(
            bar.open_ns, bar.close_ns, bar.open * tick, bar.high * tick, bar.low * tick, bar.close * tick,
            Fraction(str(bar.volume)), tuple(self.candle(book, part, []) for part in parts),
            in_session,
        )  # fmt: skip

    def moment(self, moment: Moment) -> list[oracle.Event]:
        candles = {b: (bar, moment.finer.get(b, []), moment.in_session) for b, bar in moment.bars.items()}
        return self.exchange.moment({b: self.candle(b, *given) for b, given in candles.items()})

    def ask(self, asked: Ask) -> list[oracle.Event]:
        tick, lot, quantum = self.program.units[asked.book]
        more = asked.more
        if asked.what == "submit":
            price, kind = more.get("price_ticks", 0) * tick, layout.ORDER_KINDS[asked.kind]
            bracket = oracle.Bracket(
                rate(more.get("take_profit_ppm", 0)), rate(more.get("stop_loss_ppm", 0)),
                more.get("take_profit_ticks", 0) * tick, more.get("stop_loss_ticks", 0) * tick,
            )  # fmt: skip
            return self.exchange.submit(
                kind,
                asked.side,
                quantity=more.get("qty_lots", 0) * lot,
                value=more.get("value_quanta", 0) * quantum,
                limit=price if kind == "limit" else more.get("limit_ticks", 0) * tick,
                trigger=price if kind != "limit" else Fraction(0),
                trail=more.get("trail_ticks", 0) * tick,
                trail_rate=rate(more.get("trail_ppm", 0)),
                role=layout.ROLES[more.get("role", 0)],
                reduce_only=more.get("reduce_only", False),
                post_only=more.get("post_only", False),
                tif=layout.TIMES_IN_FORCE[more.get("tif", 0)],
                expires=more.get("expires_ns", 0),
                bracket=bracket,
                book=asked.book,
            )
        working = self.exchange.account.orders
        if asked.nth >= len(working):
            return []
        order = working[asked.nth]
        if asked.what == "cancel":
            return self.exchange.cancel(order.id)
        tick, lot, _ = self.program.units[order.book]
        price = more["price_ticks"] * tick
        changed = {"limit": price} if order.kind == "limit" else {"trigger": price}
        return self.exchange.amend(order.id, quantity=more["qty_lots"] * lot, **changed)


FIELDS = (
    "kind", "order_id", "at", "order_kind", "role", "side", "quantity", "price", "reference", "fee", "realised",
    "position", "cash", "rule", "reason", "ambiguous", "liquidity", "amount", "book",
)  # fmt: skip


def in_real_units(program: Program, e: Event) -> dict[str, Any]:
    """An event of the engine as the oracle tells it."""
    tick, lot, quantum = program.units[e.book]
    return dict(
        zip(
            FIELDS,
            (
                e.kind, e.order_id, e.ts_ns, e.order_kind, e.role, e.side, e.qty_lots * lot, e.price_ticks * tick,
                e.reference_ticks * tick, e.fee_quanta * quantum, e.realised_quanta * quantum, e.position_lots * lot,
                e.cash_quanta * quantum, e.rule, e.reason, e.ambiguous, e.liquidity, e.amount_quanta * quantum, e.book,
            ),
            strict=True,
        )
    )  # fmt: skip


def told(e: oracle.Event) -> dict[str, Any]:
    return {name: getattr(e, name) for name in FIELDS}
