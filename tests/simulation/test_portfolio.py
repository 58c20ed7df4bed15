"""Several instruments in one account: the compiled driver and the live engine agree to the byte, and nothing knows of a
later moment or of another instrument's fills in the same one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_account import Trader, run_moments
from probe_market import COARSE, FINE, like

from pregao.core.bars import Bar, Bars
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.actions import Dividend, Split
from pregao.simulation.backtest import run_signals
from pregao.simulation.baselines import buy_and_hold_all
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.moments import join
from pregao.simulation.plan import Plan
from pregao.simulation.portfolio import PortfolioResult, run_portfolio
from pregao.simulation.slippage import parse
from pregao.simulation.terms import Terms

MINUTE, HOUR = Timeframe.parse("1m"), Timeframe.parse("1h")
START_NS = pd.Timestamp("2024-03-06T00:00", tz="UTC").value


def instrument(name: str, quote: str = "USD", calendar: str = "24/7", base: str = "") -> Instrument:
    return Instrument(
        symbol=name, source="test", venue="test", asset_class="crypto", base=base or name, quote=quote,
        tick_size=Decimal("0.01"), lot_size=Decimal("0.001"), allow_short=True, calendar=calendar,
    )  # fmt: skip


def walk(what: Instrument, n: int, seed: int, frame: Timeframe = MINUTE, keep: float = 1.0) -> Bars:
    """A market that moves enough to reach exits of a few per cent; bars are left out with chance ``1 - keep``."""
    rng = np.random.default_rng(seed)
    close = np.maximum(10_000 * np.exp(np.cumsum(rng.normal(0, 0.006, n))), 500).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]] + rng.integers(-9, 10, n)
    high = np.maximum(opened, close) + rng.integers(0, 90, n)
    low = np.minimum(opened, close) - rng.integers(0, 90, n)
    times = START_NS + np.arange(n, dtype=np.int64) * frame.ns
    rows = rng.random(n) < keep
    rows[0] = True
    columns = (c[rows] for c in (times, opened, high, low, close, rng.random(n).round(3) * 40))
    return Bars(what, frame, *columns)


def plan_of(bars: Bars, terms: Terms | None = None, **more: object) -> Plan:
    return Plan.of(
        bars.instrument, bars.timeframe, cash=1_000, entry_value=400, horizon=7,
        terms=terms or Terms(fees=FeeSchedule.flat_rate(1_000), slippage=parse("0.05%")), **more,
    )  # fmt: skip


def decisions(bars: Bars, seed: int, often: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed + 1_000)
    codes = rng.choice([layout.ENTER_LONG, layout.ENTER_SHORT, layout.LEAVE], size=len(bars))
    return np.where(rng.random(len(bars)) < often, codes, 0).astype(np.int8)


def by_signals(bars: Sequence[Bars], signals: Sequence[np.ndarray]) -> Callable[[Engine, int], Trader]:
    """Traders that do what the arrays say."""

    def trader(engine: Engine, book: int) -> Trader:
        said = dict(zip(bars[book].open_ns.tolist(), signals[book].tolist(), strict=True))

        def on_close(bar: Bar, _: Sequence[Event]) -> Iterable[Event]:
            return engine.signal(said[bar.open_ns], book=book) if said[bar.open_ns] else ()

        return on_close

    return trader


def assert_same(compiled: PortfolioResult, live: PortfolioResult) -> None:
    assert [e._asdict() for e in compiled.history()] == [e._asdict() for e in live.history()]
    assert compiled.events.tobytes() == live.events.tobytes()
    assert compiled.engine.to_bytes() == live.engine.to_bytes()
    np.testing.assert_array_equal(compiled.equity, live.equity)
    for a, b in zip(compiled.positions, live.positions, strict=True):
        np.testing.assert_array_equal(a, b)
    assert compiled.digest == live.digest


TERMS = st.builds(
    Terms,
    fees=st.sampled_from([FeeSchedule(), FeeSchedule(maker_ppm=-100, taker_ppm=600, minimum=Decimal("0.5"))]),
    slippage=st.sampled_from(
        [(), parse("0.05%"), parse("corwin-schultz:5+volume-share:0.1"), parse("sqrt-impact:1:9")]
    ),
    path=st.sampled_from([name for name in layout.PATHS if name != "finer"]),
    participation_ppm=st.sampled_from([0, 100_000]),
    latency_ns=st.sampled_from([(), (1_000_000,), (20_000_000_000, 90_000_000_000)]),
    borrow_ppm=st.sampled_from([0, 50_000]),
)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(1, 5),
    n=st.integers(2, 90),
    keep=st.sampled_from([1.0, 0.9, 0.4]),
    terms=st.lists(TERMS, min_size=5, max_size=5),
)
def test_compiled_and_live_agree_to_the_byte(seed: int, count: int, n: int, keep: float, terms: list[Terms]) -> None:
    calendars = ["24/7", "XNYS", "24/7", "BVMF", "24/7"]
    bars = [walk(instrument(f"I{k}", calendar=calendars[k]), n, seed + k, HOUR, keep) for k in range(count)]
    plans = [plan_of(b, t) for b, t in zip(bars, terms, strict=False)]
    signals = [decisions(b, seed + k) for k, b in enumerate(bars)]
    assert_same(run_portfolio(bars, plans, signals), run_moments(bars, plans, by_signals(bars, signals)))


def test_one_instrument_is_the_ordinary_backtest() -> None:
    bars = walk(instrument("ONE"), 3_000, 5)
    signals = decisions(bars, 5)
    alone, joined = run_signals(bars, plan_of(bars), signals), run_portfolio([bars], [plan_of(bars)], [signals])
    assert joined.digest == alone.digest
    np.testing.assert_array_equal(joined.equity, alone.equity)
    assert joined.metrics() == pytest.approx(alone.metrics(), nan_ok=True)
    pd.testing.assert_frame_equal(joined.trades.drop(columns="instrument"), alone.trades)
    assert joined.interval == pytest.approx(alone.interval)


def test_corporate_actions_of_each_and_a_stop_between_logs() -> None:
    """More events than the log of one call holds, with a split of one and a dividend of another on the way."""
    names = [instrument(f"I{k}") for k in range(3)]
    bars = [walk(name, 24_000, k) for k, name in enumerate(names)]
    middle = int(bars[0].open_ns[10_000])
    actions = [(Split(middle, Fraction(3, 2)),), (Dividend(middle, Decimal("0.5")),), ()]
    plans = [plan_of(b, Terms(actions=a)) for b, a in zip(bars, actions, strict=True)]
    signals = [decisions(b, k, 0.9) for k, b in enumerate(bars)]
    compiled = run_portfolio(bars, plans, signals)
    assert len(compiled.events) > layout.LOG_ROWS
    assert_same(compiled, run_moments(bars, plans, by_signals(bars, signals)))


def test_finer_bars_tell_the_path_of_those_that_have_them() -> None:
    minutes = walk(instrument("I0"), 60 * 50, 3)
    hours = replace_bars(minutes, HOUR)
    other = walk(instrument("I1"), 50, 4, HOUR, keep=0.7)
    terms = Terms(path="finer", fees=FeeSchedule.flat_rate(500))
    bars, plans = [hours, other], [plan_of(hours, terms), plan_of(other, terms)]
    signals = [decisions(hours, 3, 0.5), decisions(other, 4, 0.5)]
    compiled = run_portfolio(bars, plans, signals, finer=[minutes, None])
    assert layout.IN_FINER in compiled.events_of(0)["rule"]
    assert layout.IN_FINER not in compiled.events_of(1)["rule"]
    assert_same(compiled, run_moments(bars, plans, by_signals(bars, signals), finer=[minutes, None]))


def replace_bars(minutes: Bars, frame: Timeframe) -> Bars:
    per = frame.ns // minutes.timeframe.ns

    def shaped(column: np.ndarray) -> np.ndarray:
        return column.reshape(-1, per)

    return Bars(
        minutes.instrument, frame, minutes.open_ns[::per].copy(), minutes.open[::per].copy(),
        shaped(minutes.high).max(axis=1), shaped(minutes.low).min(axis=1), minutes.close[per - 1 :: per].copy(),
        shaped(minutes.volume).sum(axis=1),
    )  # fmt: skip


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), order=st.permutations(range(4)), keep=st.sampled_from([1.0, 0.6]))
def test_the_order_of_independent_instruments_changes_nothing(seed: int, order: list[int], keep: float) -> None:
    """With money enough for all of them no instrument hears of another."""
    bars = [walk(instrument(f"I{k}"), 120, seed + k, keep=keep) for k in range(4)]
    plans = [replace(plan_of(b), cash_quanta=10**6 * 10**8) for b in bars]
    signals = [decisions(b, seed + k) for k, b in enumerate(bars)]
    first = run_portfolio(bars, plans, signals)
    second = run_portfolio([bars[k] for k in order], [plans[k] for k in order], [signals[k] for k in order])
    np.testing.assert_array_equal(first.equity, second.equity)
    for place, k in enumerate(order):
        np.testing.assert_array_equal(first.positions[k], second.positions[place])
        pd.testing.assert_frame_equal(first.trades_of(k), second.trades_of(place))
    left, right = (r.per_instrument.set_index("instrument").sort_index() for r in (first, second))
    pd.testing.assert_frame_equal(left, right)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), keep=st.sampled_from([1.0, 0.6]), cut=st.integers(1, 119))
def test_nothing_knows_the_future(seed: int, keep: float, cut: int) -> None:
    """A history that ends earlier is the beginning of the longer one, with money that is short for three."""
    bars = [walk(instrument(f"I{k}"), 120, seed + k, keep=keep) for k in range(3)]
    plans, signals = [plan_of(b) for b in bars], [decisions(b, seed + k) for k, b in enumerate(bars)]
    end_ns = START_NS + cut * MINUTE.ns
    short = [b.between(None, end_ns) for b in bars]
    whole = run_portfolio(bars, plans, signals)
    part = run_portfolio(short, plans, [s[: len(b)] for s, b in zip(signals, short, strict=True)])
    np.testing.assert_array_equal(part.equity, whole.equity[: len(part.equity)])
    assert part.events.tobytes() == whole.events[: len(part.events)].tobytes()


def steady(name: str, n: int = 6) -> Bars:
    times = START_NS + np.arange(n, dtype=np.int64) * MINUTE.ns
    price = np.full(n, 10_000, np.int64)
    return Bars(instrument(name), MINUTE, times, price, price + 1, price - 1, price.copy(), np.full(n, 1e6))


def free_of_charge(bars: Bars, entry: int) -> Plan:
    free = {"take_profit": 0, "stop_loss": 0, "fee": 0, "slippage": 0}
    return Plan.of(bars.instrument, bars.timeframe, cash=1_000, entry_value=entry, **free)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_money_freed_in_a_moment_is_not_used_in_it(order: tuple[int, int]) -> None:
    """1,000 of cash and entries of 600: while A is held B cannot be bought, nor at the open at which A is sold."""
    bars = [steady("A"), steady("B")]
    plans = [free_of_charge(b, 600) for b in bars]
    buy, leave = layout.ENTER_LONG, layout.LEAVE
    signals = [np.array(s, np.int8) for s in ([buy, 0, leave, 0, 0, 0], [0, 0, buy, buy, 0, 0])]
    bars, plans, signals = ([x[k] for k in order] for x in (bars, plans, signals))
    result = run_portfolio(bars, plans, signals)
    told = {
        (result.names[e.book], e.kind, (e.ts_ns - START_NS) // MINUTE.ns, e.reason)
        for e in result.history()
        if e.kind in ("fill", "rejected")
    }
    assert told == {
        ("A", "fill", 1, ""),
        ("A", "fill", 3, ""),  # sold at the open of bar 3
        ("B", "rejected", 3, "no funds"),  # decided at the close of bar 2, before the sale
        ("B", "fill", 4, ""),  # decided at the close of bar 3, after it
    }


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), keep=st.sampled_from([1.0, 0.6]))
def test_what_the_instruments_made_is_what_the_account_made(seed: int, keep: float) -> None:
    bars = [walk(instrument(f"I{k}"), 200, seed + k, keep=keep) for k in range(3)]
    terms = Terms(fees=FeeSchedule(maker_ppm=-50, taker_ppm=900, flat=Decimal("0.1")), borrow_ppm=100_000)
    result = run_portfolio(
        bars, [plan_of(b, terms) for b in bars], [decisions(b, seed + k) for k, b in enumerate(bars)]
    )
    assert result.per_instrument["pnl"].sum() == pytest.approx(result.final_equity - 1_000, abs=1e-6)
    assert result.interval.pnl == pytest.approx(result.final_equity - 1_000, abs=1e-9)
    assert result.interval.worst <= result.interval.pnl <= result.interval.best
    assert list(result.trades["exit_ns"]) == sorted(result.trades["exit_ns"])
    assert len(result.trades) == sum(len(result.trades_of(b)) for b in range(3))


def test_an_account_in_two_currencies() -> None:
    """Trades of an instrument quoted in euro are told in dollars, at the rate of the euro that the account trades."""
    euro = replace(steady("EUR/USD"), instrument=instrument("EUR/USD", base="EUR"))
    for column in (euro.open, euro.high, euro.low, euro.close):
        column[:] = 200
    stock = steady("SAP")
    stock = replace(stock, instrument=instrument("SAP", quote="EUR"))
    stock.open[3:], stock.high[3:], stock.low[3:], stock.close[3:] = 11_000, 11_000, 11_000, 11_000
    plans = [free_of_charge(b, 100) for b in (euro, stock)]
    signals = [np.zeros(6, np.int8), np.array([1, 0, 0, 2, 0, 0], np.int8)]
    result = run_portfolio([euro, stock], plans, signals, cash={"USD": Decimal(500), "EUR": Decimal(1_000)})
    assert result.currency == "USD"
    assert result.cash == 500 + 2 * 1_000
    assert result.final_equity == pytest.approx(2_500 + 2 * 10)
    assert result.trades_of(1)["pnl"].tolist() == pytest.approx([10])
    assert result.trades["pnl"].tolist() == pytest.approx([20])
    assert result.per_instrument["pnl"].tolist() == pytest.approx([0, 20])
    assert result.metrics()["net_return"] == pytest.approx(20 / 2_500)


def test_positions_and_exposure_between_an_instruments_bars() -> None:
    daily, gappy = steady("A"), steady("B")[::3]
    plans = [free_of_charge(b, 250) for b in (daily, gappy)]
    result = run_portfolio([daily, gappy], plans, [np.zeros(6, np.int8), np.array([1, 0], np.int8)])
    assert result.positions[1].tolist() == [0, 2_500]
    assert result.held(1).tolist() == [0, 0, 0, 2_500, 2_500, 2_500]
    assert result.exposure(1).tolist() == [0, 0, 0, 0.25, 0.25, 0.25]
    assert result.metrics()["exposure"] == 0.5


def wrong(what: str) -> tuple[list[Bars], list[Plan], list[np.ndarray]]:
    bars = [steady("A"), steady("B")]
    plans, signals = [plan_of(b) for b in bars], [np.zeros(6, np.int8)] * 2
    if what == "signals":
        signals = signals[:1]
    elif what == "shape":
        signals = [signals[0], signals[1][:5]]
    elif what == "plans":
        plans = plans[::-1]
    elif what == "empty":
        bars[1], signals = bars[1][:0], [signals[0], signals[1][:0]]
    elif what == "overlap":
        bars[1] = replace(bars[1], open_ns=bars[1].open_ns + 30 * 10**9)
    elif what == "twice":
        bars[1], plans[1] = bars[0], plans[0]
    elif what == "none":
        bars, plans, signals = [], [], []
    elif what == "short":
        plans = plans[:1]
    return bars, plans, signals


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("none", "no bars"),
        ("signals", "2 instruments but signals of 1"),
        ("shape", r"6 bars of B but signals of shape \(5,\)"),
        ("plans", "the plan of test/test/B"),
        ("short", "2 instruments but plans of 1"),
        ("empty", "no bars of B"),
        ("overlap", "bar of B that opens at 2024-03-06 00:00:30 UTC begins before the one of A"),
        ("twice", "twice"),
    ],
)
def test_what_cannot_be_run_is_refused(what: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_portfolio(*wrong(what))


def test_timeframes_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="The bars of B are of 1h, those of A of 1m"):
        join([steady("A"), walk(instrument("B"), 6, 1, HOUR)])


def test_a_dividend_is_paid_in_the_accounts_money_whatever_the_other_instruments_count_it_in() -> None:
    """The finest of them sets the account's unit; a dividend of another one is the same money in it."""
    coarse, fine = like(COARSE, 3, slice(0, 0), 50), like(FINE, 2, slice(0, 0), 50)
    money = {"cash": 100_000, "entry_value": 20_000, "take_profit": 50, "stop_loss": 50}
    plan = Plan.of(COARSE, MINUTE, **money)
    paid = Dividend(int(coarse.open_ns[20]), Decimal("1.25"))
    plan = replace(plan, terms=replace(plan.terms, actions=(paid,)))
    for bars, plans, book in (([coarse], [plan], 0), ([fine, coarse], [Plan.of(FINE, MINUTE, **money), plan], 1)):
        engine = buy_and_hold_all(bars, plans).engine
        state = engine.account_of(book)
        units = state.position_lots * COARSE.lot_size
        assert units > 0
        assert state.dividends_quanta * engine.quantum(book) == pytest.approx(float(units * paid.amount))
