"""What must hold for every program of orders and bars, tried on thousands of random ones."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregao.core.bars import Bar, Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.backtest import Result, run_signals
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.simulation.outcomes import bracket_outcomes
from pregao.simulation.plan import Plan, simple_terms

COIN = Instrument(
    symbol="COIN/USD", source="test", venue="test", asset_class="crypto", base="COIN", quote="USD",
    tick_size=Decimal("0.01"), lot_size=Decimal("0.001"), allow_short=True,
)  # fmt: skip
HOUR = Timeframe.parse("1h")


@st.composite
def bars_of(draw: st.DrawFn, least: int = 2, most: int = 30) -> Bars:
    n = draw(st.integers(least, most))
    rows = []
    price = draw(st.integers(50, 5_000))
    for _ in range(n):
        move = st.integers(-price // 8, price // 8)
        opened = max(price + draw(move), 1)
        closed = max(opened + draw(move), 1)
        high = max(opened, closed) + draw(st.integers(0, price // 8))
        low = max(min(opened, closed) - draw(st.integers(0, price // 8)), 1)
        rows.append((opened, high, low, closed))
        price = closed
    table = np.array(rows, np.int64)
    times = np.arange(n, dtype=np.int64) * HOUR.ns
    return Bars(COIN, HOUR, times, *(np.ascontiguousarray(table[:, i]) for i in range(4)), volume=np.ones(n))


plans = st.builds(
    lambda tp, sl, horizon, fee, slip, entry: Plan(COIN, HOUR, 10**12, entry, tp, sl, horizon, simple_terms(fee, slip)),
    st.sampled_from([0, 5_000, 30_000, 150_000]), st.sampled_from([0, 5_000, 30_000, 150_000]), st.integers(0, 6),
    st.sampled_from([0, 75, 1_000, 25_000]), st.sampled_from([0, 200, 5_000]), st.integers(10**8, 10**12),
)  # fmt: skip
orders = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([layout.MARKET, layout.LIMIT, layout.STOP]),
        "side": st.sampled_from([1, -1]),
        "qty_lots": st.integers(0, 3_000),
        "price_ticks": st.integers(0, 6_000),
        "role": st.sampled_from([layout.PLAIN, layout.ENTRY]),
        "reduce_only": st.booleans(),
    }
)
programs = st.lists(st.lists(orders, max_size=3), max_size=30)


def submit(engine: Engine, order: dict[str, Any]) -> list[Event]:
    order = dict(order)
    return engine.submit(order.pop("kind"), order.pop("side"), **order)


@settings(max_examples=600)
@given(bars_of(), plans, programs)
def test_the_account_adds_up_after_every_event(bars: Bars, plan: Plan, program: list[list[dict[str, Any]]]) -> None:
    engine = Engine(plan)
    position = cash = fees = realised = 0
    limits: dict[int, int] = {}
    submitted: dict[int, int] = {}
    for i in range(len(bars)):
        bar = bars.bar(i)
        events = engine.step(bar)
        events += [e for order in (program[i] if i < len(program) else []) for e in submit(engine, order)]
        for e in events:
            if e.kind == "accepted":
                limits[e.order_id] = e.price_ticks
                submitted[e.order_id] = e.ts_ns
            if e.kind != "fill":
                continue
            notional = e.qty_lots * e.price_ticks * COIN.tick_quanta
            position += e.side * e.qty_lots
            cash -= e.side * notional + e.fee_quanta
            fees += e.fee_quanta
            realised += e.realised_quanta
            assert e.position_lots == position, "the position is the sum of the fills"
            assert e.cash_quanta == plan.cash_quanta + cash
            assert submitted[e.order_id] <= e.ts_ns, "nothing fills before it was submitted"
            inside = bar.low <= e.reference_ticks <= bar.high
            assert inside if e.rule == "path" else e.reference_ticks == bar.open
            assert (e.price_ticks - e.reference_ticks) * e.side == e.slippage_ticks, "slippage is never a gift"
            if e.order_kind == "limit":
                assert (limits[e.order_id] - e.price_ticks) * e.side >= 0, "a limit never fills worse than its limit"
        a = engine.account
        assert a.position_lots == position
        assert a.cash_quanta == plan.cash_quanta + cash
        assert (a.fees_quanta, a.realised_quanta) == (fees, realised)
        value = position * bar.close * COIN.tick_quanta
        assert a.equity_quanta == a.cash_quanta + value
        unrealised = value - a.cost_quanta
        assert a.equity_quanta - plan.cash_quanta == realised + unrealised - fees
        if position == 0:
            assert a.cost_quanta == 0, "flat means nothing is at stake"
            assert not [o for o in engine.open_orders() if o.role in ("take_profit", "stop_loss")]


signal_arrays = st.lists(st.sampled_from([0, 0, 0, 1, -1, 2]), min_size=30, max_size=30)


def by_bar(bars: Bars, plan: Plan, signals: np.ndarray, reload_at: int | None = None) -> tuple[Engine, list[Event]]:
    """The live driver: one call an event, optionally saved and loaded between two bars."""
    engine = Engine(plan)
    events: list[Event] = []
    for i in range(len(bars)):
        events += engine.step(bars.bar(i))
        if signals[i]:
            events += engine.signal(int(signals[i]))
        if i == reload_at:
            engine = Engine.from_bytes(plan, engine.to_bytes())
    return engine, events


@settings(max_examples=300)
@given(bars_of(), plans, signal_arrays, st.integers(0, 29))
def test_history_and_live_drivers_agree_to_the_byte_also_across_a_save(
    bars: Bars, plan: Plan, signals: list[int], reload_at: int
) -> None:
    array = np.array(signals[: len(bars)], np.int8)
    result = run_signals(bars, plan, array)
    engine, events = by_bar(bars, plan, array, reload_at)
    assert result.history() == events
    assert result.engine.to_bytes() == engine.to_bytes()
    assert result.engine.digest() == engine.digest()


@settings(max_examples=200)
@given(bars_of(), plans, signal_arrays)
def test_a_longer_future_never_changes_the_past(bars: Bars, plan: Plan, signals: list[int]) -> None:
    array = np.array(signals[: len(bars)], np.int8)
    cut = len(bars) // 2 + 1
    whole, part = run_signals(bars, plan, array), run_signals(bars[:cut], plan, array[:cut])
    assert np.array_equal(whole.equity[:cut], part.equity)


@settings(max_examples=100)
@given(bars_of(least=4), plans)
def test_an_outcome_is_what_the_backtest_of_that_one_trade_makes(bars: Bars, plan: Plan) -> None:
    if not (plan.take_profit_ppm or plan.stop_loss_ppm or plan.horizon_bars):
        with pytest.raises(UsageError):
            bracket_outcomes(bars, plan)
        return
    outcomes = bracket_outcomes(bars, plan)
    for i in range(len(bars)):
        signals = np.zeros(len(bars), np.int8)
        signals[i] = layout.ENTER_LONG
        trades = run_signals(bars, plan, signals).trades
        if len(trades) == 0:
            assert np.isnan(outcomes.net[i])
        else:
            assert outcomes.net[i] == pytest.approx(trades["net_return"].iloc[0], abs=1e-12)
            assert layout.ROLES[int(outcomes.role[i])] == trades["exit_role"].iloc[0]


def fixed_run() -> Result:
    rng = np.random.default_rng(7)
    n = 400
    close = np.maximum(np.cumsum(rng.integers(-40, 41, n)) + 5_000, 100).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]]
    high = np.maximum(opened, close) + rng.integers(0, 30, n)
    low = np.minimum(opened, close) - rng.integers(0, 30, n)
    bars = Bars(COIN, HOUR, np.arange(n, dtype=np.int64) * HOUR.ns, opened, high, low, close, np.ones(n))
    signals = rng.choice(np.array([0, 0, 0, 0, 1, -1, 2], np.int8), n)
    return run_signals(bars, Plan(COIN, HOUR, 10**12, 10**11, 20_000, 10_000, 24, simple_terms(1_000, 200)), signals)


def test_the_compiled_step_is_identical_with_the_compiler_off() -> None:
    code = "from test_invariants import fixed_run; print(fixed_run().digest)"
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    result = fixed_run()
    assert len(result.trades) > 20
    assert answer.stdout.strip() == result.digest


def test_a_bar_from_the_past_is_refused() -> None:
    engine = Engine(fixed_run().plan)
    engine.step(Bar(HOUR.ns, 2 * HOUR.ns, 10, 10, 10, 10, 1.0))
    with pytest.raises(PregaoError, match="came after one"):
        engine.step(Bar(0, HOUR.ns, 10, 10, 10, 10, 1.0))


def test_foreign_bytes_are_no_state() -> None:
    plan = fixed_run().plan
    for raw in (b"", b"PRGE2", Engine(plan).to_bytes()[:-1]):
        with pytest.raises(PregaoError, match="not a saved state"):
            Engine.from_bytes(plan, raw)
