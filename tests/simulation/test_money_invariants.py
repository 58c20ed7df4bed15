"""What no program of orders and bars may break, looked at on the engine alone, after every event.

``PREGAO_ORACLE_EXAMPLES=20`` tries twenty times as many.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import (
    GRIDS,
    HOUR,
    PPM,
    START,
    Ask,
    EngineRun,
    Moment,
    Program,
    instrument,
    programs,
    seeded_program,
)

from pregao.core.bars import Bar
from pregao.simulation import layout
from pregao.simulation.events import Event
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.plan import Plan
from pregao.simulation.terms import Terms

TIMES = int(os.environ.get("PREGAO_ORACLE_EXAMPLES", "1"))
FLOWS = ("funding", "dividend", "interest", "split")


@dataclass(frozen=True)
class Stage:
    """What one call of the engine answered: of a moment, or of what was asked after it."""

    moment: Moment
    asked: Ask | None
    events: list[Event]
    run: EngineRun


def stages(program: Program) -> Iterator[Stage]:
    run = EngineRun(program)
    for moment in program.moments:
        yield Stage(moment, None, run.moment(moment), run)
        for asked in moment.asks:
            yield Stage(moment, asked, run.ask(asked), run)


class Ledger:
    """A second bookkeeping, from the events of one instrument alone."""

    def __init__(self, tick_quanta: int, margined: bool) -> None:
        self.tick_quanta, self.margined = tick_quanta, margined
        self.position = self.cost = self.cash = self.realised = self.fees = self.flows = 0

    def book(self, e: Event) -> None:
        if e.kind in FLOWS:
            if e.kind == "split":
                # What a split pays out is a sale: it takes its part of the cost with it.
                self.cost -= e.amount_quanta - e.realised_quanta
                self.position = e.position_lots
                self.realised += e.realised_quanta
            else:
                self.flows += e.amount_quanta
            self.cash += e.amount_quanta
        elif e.kind == "fill":
            notional = e.qty_lots * e.price_ticks * self.tick_quanta
            closed = min(e.qty_lots, abs(self.position)) if self.position * e.side < 0 else 0
            opened = e.qty_lots - closed
            part = closed * e.price_ticks * self.tick_quanta
            taken = -e.side * part - e.realised_quanta
            if closed:
                exact = self.cost * closed
                assert abs(taken * abs(self.position) - exact) < abs(self.position), "a part closed takes its part"
            else:
                assert e.realised_quanta == 0, "nothing is realised but by closing"
            self.cost += e.side * opened * e.price_ticks * self.tick_quanta - taken
            self.position += e.side * e.qty_lots
            self.realised += e.realised_quanta
            self.fees += e.fee_quanta
            self.cash += (e.realised_quanta if self.margined else -e.side * notional) - e.fee_quanta
        assert e.position_lots == self.position, "the position is the sum of the fills"
        if self.position == 0:
            assert self.cost == 0, "flat means that nothing is at stake"

    def equity(self, mark: int) -> int:
        value = self.position * mark * self.tick_quanta
        return self.cash + value - (self.cost if self.margined else 0)

    def gains(self, mark: int) -> int:
        unrealised = self.position * mark * self.tick_quanta - self.cost
        return self.realised + unrealised - self.fees + self.flows


@settings(max_examples=400 * TIMES)
@given(programs(books=2, most=10) | programs(books=2, most=10, unusual=True))
def test_money_adds_up_after_every_event(program: Program) -> None:
    ledgers = [Ledger(p.instrument.tick_quanta, p.terms.contract == "margin") for p in program.plans]
    for stage in stages(program):
        for e in stage.events:
            ledger = ledgers[e.book]
            ledger.book(e)
            for mark in (1, e.price_ticks, 777):  # at any price
                assert ledger.equity(mark) == ledger.gains(mark), "equity is what was won, lost, paid and received"
            assert e.cash_quanta == program.cash_quanta + sum(each.cash for each in ledgers)
        marks = [stage.run.engine.account_of(b) for b in range(len(ledgers))]
        for ledger, ours in zip(ledgers, marks, strict=True):
            assert (ours.position_lots, ours.cost_quanta) == (ledger.position, ledger.cost)
            assert (ours.realised_quanta, ours.fees_quanta) == (ledger.realised, ledger.fees)
            assert ours.dividends_quanta - ours.funding_quanta - ours.interest_quanta == ledger.flows
            assert ours.cash_quanta == program.cash_quanta + sum(each.cash for each in ledgers)
        gains = sum(ledger.gains(ours.last_ticks) for ledger, ours in zip(ledgers, marks, strict=True))
        assert marks[0].equity_quanta == program.cash_quanta + gains


@settings(max_examples=300 * TIMES)
@given(programs())
def test_no_order_fills_more_than_it_asked_for_or_worse_than_its_limit(program: Program) -> None:
    run = EngineRun(program)
    most: dict[int, int] = {}
    limit: dict[int, int] = {}
    value: dict[int, int] = {}
    filled: dict[int, int] = {}
    by_dates = any(not hasattr(a, "rate") for a in program.plans[0].terms.actions)
    for moment in program.moments:
        working = {o.order_id: o for o in run.engine.open_orders()}
        for o in working.values():
            most[o.order_id] = 0 if o.value_quanta else o.filled_lots + o.qty_lots
            value[o.order_id] = o.value_quanta
            limit[o.order_id] = o.limit_ticks if o.kind == "stop_limit" else o.price_ticks
        events = run.moment(moment)
        if by_dates:  # splits and dividends change the orders that work
            events = []
        for e in events:
            if e.kind == "accepted":
                most[e.order_id], limit[e.order_id], value[e.order_id] = e.qty_lots, e.price_ticks, 0
            if e.kind != "fill" or e.role == "liquidation":
                continue
            filled[e.order_id] = filled.get(e.order_id, 0) + e.qty_lots
            if e.role not in ("take_profit", "stop_loss") and most[e.order_id]:
                assert filled[e.order_id] <= most[e.order_id]
            if value[e.order_id]:
                spent = e.qty_lots * e.price_ticks * program.plans[0].instrument.tick_quanta
                assert spent <= value[e.order_id]
            if e.order_kind in ("limit", "stop_limit"):
                assert (limit[e.order_id] - e.price_ticks) * e.side >= 0, "a limit never fills worse than its limit"
        for asked in moment.asks:
            run.ask(asked)
        exits = [o for o in run.engine.open_orders() if o.role in ("take_profit", "stop_loss")]
        held = run.engine.account.position_lots
        assert all(o.qty_lots > 0 for o in run.engine.open_orders() if not o.value_quanta)
        if held == 0:
            assert not exits, "a flat position has no exits"


@settings(max_examples=300 * TIMES)
@given(programs())
def test_fills_lie_in_their_bar_and_after_their_order(program: Program) -> None:
    latency = sum(program.plans[0].terms.latency_ns)
    asked_at: dict[int, int] = {}
    for stage in stages(program):
        bar = stage.moment.bars[0]
        opens = {bar.open, *(part.open for part in stage.moment.finer.get(0, []))}
        for e in stage.events:
            if e.kind in ("accepted", "amended") and e.role in ("", "entry", "exit"):
                asked_at[e.order_id] = e.ts_ns
            if e.kind != "fill":
                continue
            if e.rule == "open":
                assert e.reference_ticks == bar.open
            elif e.rule == "gap":
                assert e.reference_ticks in opens or e.role == "liquidation"
            else:
                assert bar.low <= e.reference_ticks <= bar.high
            if e.role != "liquidation":  # which is kept from falling beyond bankruptcy
                assert (e.price_ticks - e.reference_ticks) * e.side == e.slippage_ticks >= 0, "slippage is never a gift"
            if e.order_kind == "limit" and e.liquidity == "maker":
                assert e.slippage_ticks == 0
            assert bar.open_ns <= e.ts_ns <= bar.close_ns
            if e.order_id in asked_at:
                since = asked_at[e.order_id] + latency
                assert since <= e.ts_ns
                if e.rule in ("open", "gap") and e.ts_ns == bar.open_ns:
                    assert since <= bar.open_ns


@settings(max_examples=300 * TIMES)
@given(programs(books=2, most=10))
def test_a_bar_gives_no_more_than_its_share(program: Program) -> None:
    """All orders together, liquidations excepted."""
    for stage in stages(program):
        for book, bar in stage.moment.bars.items():
            share = program.plans[book].terms.participation_ppm
            if share and stage.asked is None:
                lots = round(bar.volume / float(program.plans[book].instrument.lot_size)) * share // PPM
                taken = [e for e in stage.events if e.kind == "fill" and e.book == book and e.role != "liquidation"]
                assert sum(e.qty_lots for e in taken) <= lots


def long_only(program: Program) -> Program:
    """The same without shorts, margins and dates: nothing but buying with cash and selling what was bought."""
    plans = [
        replace(
            p,
            instrument=p.instrument.model_copy(update={"allow_short": False}),
            terms=replace(
                p.terms, contract="cash", initial_margin_ppm=PPM, maintenance_margin_ppm=0, borrow_ppm=0, actions=()
            ),
        )
        for p in program.plans
    ]
    return replace(program, plans=plans)


@settings(max_examples=300 * TIMES)
@given(programs(books=3, most=8), st.integers(1, 40))
def test_cash_is_free_or_locked_and_none_is_used_twice(program: Program, wealth: int) -> None:
    """In a moment all purchases together cost no more than the cash there was when it began."""
    program = long_only(program)
    program = replace(program, cash_quanta=wealth * 300 * max(p.instrument.tick_quanta for p in program.plans))
    before = program.cash_quanta
    for stage in stages(program):
        account = stage.run.engine.account
        locked = sum(o.reserved_quanta for o in stage.run.engine.open_orders())
        assert account.locked_quanta == locked, "what is locked, is locked by an order"
        assert 0 <= locked <= account.cash_quanta, "free cash is never negative"
        spent = sum(
            e.qty_lots * e.price_ticks * program.plans[e.book].instrument.tick_quanta + e.fee_quanta
            for e in stage.events
            if e.kind == "fill" and e.side > 0
        )
        assert spent <= before, "money that was freed in a moment was used in it"
        before = account.cash_quanta


@settings(max_examples=300 * TIMES)
@given(programs())
def test_an_accepted_order_leaves_free_cash(program: Program) -> None:
    """Also with shorts and margins, whose losses may eat up what is free: no order is accepted beyond it."""
    for stage in stages(program):
        account = stage.run.engine.account
        if stage.asked is not None and any(e.kind == "accepted" for e in stage.events):
            opened = [o for o in stage.run.engine.open_orders() if o.order_id == stage.events[0].order_id]
            if opened and opened[0].reserved_quanta > 0:
                assert account.cash_quanta >= account.locked_quanta


# The same market in other words ---------------------------------------------------------------------------------------


def free_of_costs(path: str, **more: Any) -> dict[str, Any]:
    fixed = {
        "fees": FeeSchedule(), "slippage": (), "path": path, "participation_ppm": 0, "contract": "cash",
        "initial_margin_ppm": PPM, "maintenance_margin_ppm": 0, "liquidation_fee_ppm": 0, "borrow_ppm": 0,
        "actions": (),
    }  # fmt: skip
    return fixed | more


def changed(program: Program, bar: Callable[[Bar], Bar], ask: Callable[[Ask], Ask]) -> Program:
    moments = [
        Moment(
            {b: bar(each) for b, each in m.bars.items()},
            {b: [bar(part) for part in parts] for b, parts in m.finer.items()},
            [ask(asked) for asked in m.asks],
            m.in_session,
        )
        for m in program.moments
    ]
    return replace(program, moments=moments)


PRICES = ("price_ticks", "limit_ticks", "take_profit_ticks", "stop_loss_ticks")


FAR = 500


def rich(program: Program) -> Program:
    """Quantities only, exits at prices only, no minimum, plenty of money, and prices far from 0, where they end."""

    def lift(bar: Bar) -> Bar:
        return bar._replace(open=bar.open + FAR, high=bar.high + FAR, low=bar.low + FAR, close=bar.close + FAR)

    def plain(asked: Ask) -> Ask:
        more = {k: v for k, v in asked.more.items() if k not in ("take_profit_ppm", "stop_loss_ppm", "trail_ppm")}
        if "value_quanta" in more:
            more["qty_lots"] = 7
            del more["value_quanta"]
        if asked.kind == layout.TRAILING:
            more["trail_ticks"] = more.get("trail_ticks", 5)
        if asked.what == "amend" and more["price_ticks"] == 0:
            more["price_ticks"] = 100
        return replace(asked, more={k: v + FAR if k in PRICES else v for k, v in more.items()})

    plans = [
        replace(p, instrument=p.instrument.model_copy(update={"allow_short": True, "min_notional": 0}))
        for p in program.plans
    ]
    ample = 10**4 * 300 * 40 * max(p.instrument.tick_quanta for p in plans)
    return replace(changed(program, lift, plain), plans=plans, cash_quanta=ample)


def story(program: Program) -> list[tuple[Any, ...]]:
    """What happened, without money."""
    return [
        (e.kind, e.order_id, e.ts_ns, e.order_kind, e.role, e.side, e.qty_lots, e.price_ticks, e.reference_ticks,
         e.position_lots, e.rule, e.reason, e.ambiguous, e.liquidity)
        for stage in stages(program) for e in stage.events
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["pessimistic", "optimistic", "shortest"])
def test_the_mirrored_market_makes_the_mirrored_trades(path: str) -> None:
    """Buyers and sellers swapped, prices reflected: only the signs change."""
    about = 2_000

    def reflected(price: int) -> int:
        return 2 * about - price if price else 0

    def mirror_bar(bar: Bar) -> Bar:
        turned = {"open": bar.open, "high": bar.low, "low": bar.high, "close": bar.close}
        return bar._replace(**{name: reflected(price) for name, price in turned.items()})

    def mirror_ask(asked: Ask) -> Ask:
        more = {k: reflected(v) if k in PRICES else v for k, v in asked.more.items()}
        return replace(asked, side=-asked.side, more=more)

    def slope(bar: Bar) -> Bar:  # a bar that ends where it began has no mirror image by the shortest path
        return bar if bar.close != bar.open else bar._replace(close=bar.open + 1, high=max(bar.high, bar.open + 1))

    @settings(max_examples=120 * TIMES)
    @given(programs(**free_of_costs(path)))
    def check(program: Program) -> None:
        program = changed(rich(program), slope, lambda asked: asked)
        expected = [
            (*e[:5], -e[5], e[6], reflected(e[7]), reflected(e[8]), -e[9], *e[10:]) for e in story(program)
        ]  # fmt: skip
        assert story(changed(program, mirror_bar, mirror_ask)) == expected

    check()


@pytest.mark.parametrize("path", ["pessimistic", "ohlc", "finer"])
def test_the_scaled_market_makes_the_scaled_trades(path: str) -> None:
    """Prices and quantities times three, where a touch is enough: money is nine times as much."""

    def scale_bar(bar: Bar) -> Bar:
        return bar._replace(open=3 * bar.open, high=3 * bar.high, low=3 * bar.low, close=3 * bar.close)

    def scale_ask(asked: Ask) -> Ask:
        scaled = (*PRICES, "qty_lots", "trail_ticks")
        return replace(asked, more={k: 3 * v if k in scaled else v for k, v in asked.more.items()})

    @settings(max_examples=120 * TIMES)
    @given(programs(**free_of_costs(path, touch_ppm=PPM, latency_ns=())))  # an arrival between two ticks is rounded
    def check(program: Program) -> None:
        program = rich(program)
        large = changed(program, scale_bar, scale_ask)
        assert story(large) == [
            (*e[:6], 3 * e[6], 3 * e[7], 3 * e[8], 3 * e[9], *e[10:]) for e in story(program)
        ]  # fmt: skip
        small_end, large_end = (list(stages(each))[-1].run.engine.account for each in (program, large))
        gain = small_end.equity_quanta - program.cash_quanta
        assert large_end.equity_quanta - program.cash_quanta == 9 * gain
        assert abs(large_end.cost_quanta - 9 * small_end.cost_quanta) <= 9 * small_end.fills, "but for the rounding"

    check()


def alone(program: Program, book: int) -> Program:
    """Of several instruments, one."""
    moments = [
        Moment(
            {0: m.bars[book]},
            {0: m.finer[book]} if book in m.finer else {},
            [replace(asked, book=0) for asked in m.asks if asked.book == book],
            m.in_session,
        )
        for m in program.moments
        if book in m.bars
    ]
    return replace(program, plans=[program.plans[book]], moments=moments)


def by_book(program: Program, book: int) -> list[tuple[Any, ...]]:
    """What happened to one instrument, without ids and cash, which are the account's."""
    return [
        (e.kind, e.ts_ns, e.order_kind, e.role, e.side, e.qty_lots, e.price_ticks, e.fee_quanta, e.realised_quanta,
         e.position_lots, e.rule, e.reason, e.ambiguous, e.liquidity, e.amount_quanta)
        for stage in stages(program) for e in stage.events if e.book == book
    ]  # fmt: skip


@settings(max_examples=150 * TIMES)
@given(programs(books=3, most=8), st.permutations(range(3)))
def test_independent_instruments_do_not_touch_each_other(program: Program, order: list[int]) -> None:
    """With money for all, an instrument trades the same alone, beside others, and in any order of them."""
    ample = 10**4 * 300 * 40 * max(p.instrument.tick_quanta for p in program.plans)

    def only_new(asked: Ask) -> bool:  # the nth working order is another one in another company
        return asked.what == "submit"

    moments = [replace(m, asks=[asked for asked in m.asks if only_new(asked)]) for m in program.moments]
    program = replace(program, cash_quanta=ample, moments=moments)
    place = {book: i for i, book in enumerate(order)}
    permuted = replace(
        program,
        plans=[program.plans[book] for book in order],
        moments=[
            Moment(
                {place[b]: bar for b, bar in m.bars.items()},
                {place[b]: parts for b, parts in m.finer.items()},
                [replace(asked, book=place[asked.book]) for asked in m.asks],
                m.in_session,
            )
            for m in program.moments
        ],
    )
    for book in range(3):
        together = by_book(program, book)
        assert by_book(permuted, place[book]) == together
        if any(book in m.bars for m in program.moments):
            assert by_book(alone(program, book), 0) == together


# The same program run in another way ---------------------------------------------------------------------------------


@settings(max_examples=200 * TIMES)
@given(programs(books=2, most=8, unusual=True), st.integers(0, 12))
def test_a_run_that_goes_on_from_its_bytes_is_the_same(program: Program, after: int) -> None:
    whole = EngineRun(program)
    broken = EngineRun(program)
    calls = 0
    for moment in program.moments:
        asks = [lambda run, a=asked: run.ask(a) for asked in moment.asks]
        for call in (lambda run, m=moment: run.moment(m), *asks):
            assert call(broken) == call(whole)
            calls += 1
            if calls % 7 == 0 or calls == after:
                broken.reload()
            assert broken.engine.to_bytes() == whole.engine.to_bytes()


INTERPRETED = [(seed, 1 + seed % 2, seed % 4 > 1) for seed in range(80)]
"""The programs that are also run without the compiler: seed, instruments, and whether they are unusual."""


def digests() -> str:
    """Of each program all events and the state after each call, hashed."""
    found = []
    for chosen in INTERPRETED:
        digest = hashlib.sha256()
        for stage in stages(seeded_program(*chosen)):
            digest.update(repr(stage.events).encode() + stage.run.engine.to_bytes())
        found.append(digest.hexdigest()[:16])
    return " ".join(found)


def test_random_programs_are_identical_with_the_compiler_off() -> None:
    kinds = {e.kind for chosen in INTERPRETED for s in stages(seeded_program(*chosen)) for e in s.events}
    assert kinds >= {"accepted", "fill", "cancelled", "rejected", "amended", "triggered", "split", "funding"}
    folders = [Path(__file__).parent, Path(__file__).parents[1] / "support"]
    path = os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])
    answer = subprocess.run(
        [sys.executable, "-c", "from test_money_invariants import digests; print(digests())"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert answer.stdout.strip() == digests(), answer.stderr[-2_000:]


def test_money_of_a_sale_waits_for_the_next_moment() -> None:
    """The exact case: what one instrument's sale brings in at an open does not buy another at that open."""
    plans = [Plan(instrument(name, *GRIDS[0]), HOUR, 0, 0, terms=Terms()) for name in ("A", "B")]
    flat = [Bar(START + i * HOUR.ns, START + (i + 1) * HOUR.ns, 100, 100, 100, 100, 1.0) for i in range(4)]
    buy, sell, one = {"qty_lots": 9}, {"qty_lots": 9}, {"qty_lots": 1, "price_ticks": 1}
    asks = [
        [Ask("submit", 0, layout.MARKET, 1, 0, buy)],
        [Ask("submit", 0, layout.MARKET, -1, 0, sell), Ask("submit", 1, layout.STOP, 1, 0, one)],
        [Ask("submit", 1, layout.MARKET, 1, 0, buy)],
        [],
    ]
    high = [bar._replace(open=200, high=200, low=200, close=200) for bar in flat]
    moments = [Moment({0: a, 1: b}, {}, wanted) for a, b, wanted in zip(flat, high, asks, strict=True)]
    quantum = plans[0].instrument.tick_quanta
    events = [e for stage in stages(Program(plans, 1_000 * quantum, moments)) for e in stage.events]
    told = [(e.kind, e.book, e.side, e.reason) for e in events if e.kind != "accepted"]
    assert told[:3] == [("fill", 0, 1, ""), ("fill", 0, -1, ""), ("rejected", 1, 1, "no funds")]
