"""A strategy over history is asked at the bars at which a session's desk asks it, sees the same, and gets the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_account import Trader, run_moments

from pregao.core.bars import Bar, Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.features.sets import feature_set
from pregao.simulation.actions import Dividend, Split
from pregao.simulation.backtest import run_signals
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.plan import Plan
from pregao.simulation.portfolio import run_portfolio
from pregao.simulation.slippage import parse
from pregao.simulation.terms import Terms
from pregao.strategies.answers import StrategyError
from pregao.strategies.backtest import backtest, backtest_many, desk_for, signals_of
from pregao.strategies.contract import Context, Enter, Exit, Intent, Note, StrategyConfig, Wait
from pregao.strategies.desk import Desk
from pregao.strategies.registry import configured

HOUR = Timeframe.parse("1h")
START_NS = 1_709_683_200 * 10**9


class Whim:
    """Answers by chance, from the time of the bar alone, and keeps a record of what it sees."""

    api, title, Config = 1, "Whim", StrategyConfig
    feature_set = "core25"

    def __init__(self, seed: int, warmup: int, idle: float = 0.5) -> None:
        self.seed, self._warmup, self.idle = seed, warmup, idle
        self.record: list[Any] = []

    def warmup(self) -> int:
        return self._warmup

    def signals(self, history: Bars) -> np.ndarray:
        """The third of a close's ticks: it depends on one bar."""
        return np.where(history.close % 7 == 0, history.close // 7 % 3 - 1, 0).astype(np.int8)

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        chance = np.random.default_rng((self.seed, bar.open_ns // 10**9))
        self.record.append((bar, ctx.now_ns, ctx.signal))
        if chance.random() < 0.7:  # and not at every bar, so that the account is also looked at after a pause
            self.record.append((ctx.account, ctx.closes.tobytes(), ctx.features.tobytes()))
        answer: list[Intent] = []
        if chance.random() > self.idle:
            orders = [Enter(), Enter("short"), Enter(fraction=0.3), Enter(fraction=1e-6), Exit(), Note("hm")]
            answer.append(orders[chance.integers(6)])
        if chance.random() < 0.4:
            at = bar.close_ns + int(chance.integers(-2, 9)) * HOUR.ns // 2
            waits = [
                Wait(), Wait(signal=True), Wait(signal=True, event=False), Wait(bars=int(chance.integers(1, 9))),
                Wait(bars=3, event=False), Wait(until_ns=at), Wait(until_ns=at, signal=True, bars=40),
            ]  # fmt: skip
            answer.insert(int(chance.integers(2)), waits[chance.integers(7)])
        return [(), answer, tuple(answer), iter(answer)][chance.integers(1, 4) if answer else 0]

    def save(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        pass


def instrument(name: str, quote: str = "USD", calendar: str = "24/7") -> Instrument:
    return Instrument(
        symbol=name, source="test", venue="test", asset_class="crypto", base=name.split("/")[0], quote=quote,
        tick_size=Decimal("0.01"), lot_size=Decimal("0.001"), allow_short=True, calendar=calendar,
    )  # fmt: skip


def walk(what: Instrument, n: int, seed: int, keep: float = 1.0) -> Bars:
    rng = np.random.default_rng(seed)
    close = np.maximum(10_000 * np.exp(np.cumsum(rng.normal(0, 0.006, n))), 500).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]] + rng.integers(-9, 10, n)
    high = np.maximum(opened, close) + rng.integers(0, 90, n)
    low = np.minimum(opened, close) - rng.integers(0, 90, n)
    times = START_NS + np.arange(n, dtype=np.int64) * HOUR.ns
    rows = rng.random(n) < keep
    rows[0] = True
    columns = (c[rows] for c in (times, opened, high, low, close, rng.random(n).round(3) * 40))
    return Bars(what, HOUR, *columns)


ACTIONS = (Split(START_NS + 20 * HOUR.ns, Fraction(7)), Dividend(START_NS + 50 * HOUR.ns, Decimal("0.5")))
TERMS = st.builds(
    Terms,
    fees=st.sampled_from([FeeSchedule(), FeeSchedule(maker_ppm=-100, taker_ppm=600, minimum=Decimal("0.5"))]),
    slippage=st.sampled_from(
        [(), parse("0.05%"), parse("corwin-schultz:5+volume-share:0.1"), parse("sqrt-impact:1:9")]
    ),
    path=st.sampled_from(["pessimistic", "shortest", "ohlc"]),
    participation_ppm=st.sampled_from([0, 100_000]),
    latency_ns=st.sampled_from([(), (), (20_000_000_000, 90_000_000_000)]),
    borrow_ppm=st.sampled_from([0, 50_000]),
    actions=st.sampled_from([(), ACTIONS]),
)


def plan_of(bars: Bars, terms: Terms, horizon: int) -> Plan:
    return Plan.of(bars.instrument, HOUR, cash=1_000, entry_value=400, horizon=horizon, terms=terms)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**31), n=st.integers(1, 260), warmup=st.integers(1, 40), head=st.sampled_from([0, 3, 60]),
    horizon=st.sampled_from([0, 7]), terms=TERMS, idle=st.sampled_from([0.5, 0.95]),
)  # fmt: skip
def test_the_course_and_the_desk_agree_to_the_byte(
    seed: int, n: int, warmup: int, head: int, horizon: int, terms: Terms, idle: float
) -> None:
    whole = walk(instrument("A/USD"), n + head, seed)
    before, bars = whole[:head], whole[head:]
    plan = plan_of(bars, terms, horizon)
    ours = Whim(seed, warmup, idle)
    result = backtest(ours, bars, plan, seed=5, before=before)

    theirs = Whim(seed, warmup, idle)
    desk = desk_for(plan, theirs, 5)
    desk.warm(before.bar(i) for i in range(max(head - desk.history, 0), head))
    events: list[Event] = []
    for i in range(n):
        if i == n // 2:  # a session that is killed and goes on
            other = Whim(seed, warmup, idle)
            other.record = theirs.record
            again = desk_for(plan, other, 5)
            again.restore(desk.to_bytes())
            desk, theirs = again, other
        events += desk.on_bar(bars.bar(i))[0]
        assert result.equity[i] == desk.engine.account.equity_quanta
        assert result.positions[i] == desk.engine.account.position_lots
    assert ours.record == theirs.record
    assert result.history() == events
    assert result.engine.to_bytes() == desk.engine.to_bytes()


def by_desk(plans: Sequence[Plan], strategies: Sequence[Whim]) -> Any:
    def trader(engine: Engine, book: int) -> Trader:
        stream = feature_set("core25").stream(HOUR.seconds)
        desk = Desk(plans[book], strategies[book], 5, stream, engine=engine, book=book)

        def on_close(bar: Bar, events: Sequence[Event]) -> Iterable[Event]:
            desk.saw(bar, events)
            return desk.apply(desk.decide(bar))

        return on_close

    return trader


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**31), count=st.integers(2, 4), n=st.integers(1, 120), warmup=st.integers(1, 30),
    keep=st.sampled_from([1.0, 0.5]), terms=st.lists(TERMS, min_size=4, max_size=4), idle=st.sampled_from([0.5, 0.95]),
)  # fmt: skip
def test_several_instruments_in_one_account_agree_to_the_byte(
    seed: int, count: int, n: int, warmup: int, keep: float, terms: list[Terms], idle: float
) -> None:
    calendars = ["24/7", "XNYS", "24/7", "BVMF"]
    bars = [walk(instrument(f"I{k}", calendar=calendars[k]), n, seed + k, keep) for k in range(count)]
    plans = [plan_of(b, t, 7) for b, t in zip(bars, terms, strict=False)]
    ours, theirs = ([Whim(seed + k, warmup + k, idle) for k in range(count)] for _ in range(2))
    result = backtest_many(ours, bars, plans, seed=5)
    live = run_moments(bars, plans, by_desk(plans, theirs))
    assert [w.record for w in ours] == [w.record for w in theirs]
    assert result.history() == live.history()
    assert result.digest == live.digest
    np.testing.assert_array_equal(result.equity, live.equity)


def test_a_strategy_of_signals_alone_gets_what_asking_it_at_every_bar_gets() -> None:
    whole = walk(instrument("A/USD"), 3_000, 11)
    plan = plan_of(whole, Terms(fees=FeeSchedule.flat_rate(1_000), participation_ppm=100_000), 30)
    for head in (0, 5, 400):
        before, bars = whole[:head], whole[head:]
        cross = configured("ma-cross", {"fast": 5, "slow": 13})
        fast = backtest(cross, bars, plan, before=before)
        said = signals_of(cross, bars, before)
        assert said is not None
        assert fast.digest == run_signals(bars, plan, said).digest
        desk = desk_for(plan, configured("ma-cross", {"fast": 5, "slow": 13}))
        desk.warm(before.bar(i) for i in range(max(head - desk.history, 0), head))
        events = [e for i in range(len(bars)) for e in desk.on_bar(bars.bar(i))[0]]
        assert sum(e.role == "exit" for e in events) > 20
        assert fast.history() == events


def test_several_instruments_with_signals_alone_are_run_compiled() -> None:
    bars = [walk(instrument(f"I{k}"), 900, 40 + k) for k in range(3)]
    plans = [plan_of(b, Terms(), 0) for b in bars]
    crosses = [configured("ma-cross", {"fast": 5, "slow": 13}) for _ in bars]
    signals = [signals_of(cross, own) for cross, own in zip(crosses, bars, strict=True)]
    assert backtest_many(crosses, bars, plans).digest == run_portfolio(bars, plans, signals).digest  # type: ignore[arg-type]


class Counted:
    """Waits for what it is told to and counts how often it is asked."""

    api, title, Config = 1, "Counted", StrategyConfig

    def __init__(self, wait: Wait, said: np.ndarray) -> None:
        self.wait, self.said, self.asked = wait, said, []  # type: ignore[var-annotated]

    def warmup(self) -> int:
        return 1

    def signals(self, history: Bars) -> np.ndarray:
        return self.said

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        self.asked.append((bar.open_ns - START_NS) // HOUR.ns)
        return (self.wait,) if len(self.asked) > 1 or ctx.signal == 0 else (Enter(), self.wait)


def flat_market(n: int) -> Bars:
    times = START_NS + np.arange(n, dtype=np.int64) * HOUR.ns
    price = np.full(n, 10_000)
    return Bars(instrument("A/USD"), HOUR, times, price, price, price, price, np.full(n, 1e6))


@pytest.mark.parametrize(
    ("wait", "asked"),
    [
        (Wait(bars=10, event=False), [0, 10, 20, 30, 40]),
        (Wait(until_ns=START_NS + 24 * HOUR.ns, event=False), [0, *range(23, 45)]),
        (Wait(signal=True, event=False), [0, 7, 30]),
        (Wait(signal=True), [0, 7, 30]),
        (Wait(), [0]),
        (Wait(bars=5, signal=True), [0, 5, 7, 12, 17, 22, 27, 30, 35, 40]),
    ],
)
def test_a_strategy_is_asked_only_when_what_it_waits_for_has_come(wait: Wait, asked: list[int]) -> None:
    bars = flat_market(45)
    said = np.zeros(45, np.int8)
    said[[7, 30]] = 1
    strategy = Counted(wait, said)
    backtest(strategy, bars, plan_of(bars, Terms(), 0))
    assert strategy.asked == asked


def test_a_fill_ends_a_wait_for_an_event() -> None:
    bars = flat_market(45)
    said = np.zeros(45, np.int8)
    said[0] = 1
    strategy = Counted(Wait(), said)
    backtest(strategy, bars, plan_of(bars, Terms(), 6))
    # bought at the open of bar 1, the exit decided at the close of bar 6, sold at the open of bar 7
    assert strategy.asked == [0, 1, 6, 7]


def test_a_refused_order_voids_the_wait_that_came_with_it() -> None:
    bars = flat_market(10)
    said = np.zeros(10, np.int8)
    said[0] = 1
    strategy = Counted(Wait(), said)
    costly = replace(bars, instrument=bars.instrument.model_copy(update={"min_notional": Decimal(300)}))
    plan = replace(plan_of(costly, Terms(), 0), entry_quanta=100 * 10**8)
    backtest(strategy, costly, plan)
    assert strategy.asked == [0, 1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (3, "holds no intents"),
        ((Wait(event=False),), "waits for nothing"),
        ((Wait(bars=-1),), "not negative"),
        ((Wait(bars=2.5),), "whole numbers"),  # type: ignore[arg-type]
        ((Wait(signal=True),), "no signals"),
        ((Wait(), Wait()), "several waits"),
    ],
)
def test_nonsense_waits_are_named(answer: Any, words: str) -> None:
    class Odd(Whim):
        signals = None

        def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
            return answer  # type: ignore[no-any-return]

    bars = flat_market(3)
    strategy = Odd(1, 1)
    with pytest.raises(StrategyError, match=words):
        backtest(strategy, bars, plan_of(bars, Terms(), 0))
    with pytest.raises(StrategyError, match=words):
        desk_for(plan_of(bars, Terms(), 0), strategy).on_bar(bars.bar(0))


@pytest.mark.parametrize("said", [np.zeros(2, np.int8), np.zeros(3), np.array([0, 3, 0])])
def test_nonsense_signals_are_named(said: np.ndarray) -> None:
    strategy = Counted(Wait(signal=True), said)
    strategy.only_signals = True  # type: ignore[attr-defined]
    bars = flat_market(3)
    with pytest.raises(StrategyError, match="signals of 3 bars"):
        backtest(strategy, bars, plan_of(bars, Terms(), 0))
