"""The path rules against the truth: the same trades on bars and on the one-minute bars within them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from benchmarks.path_rules_against_minutes import (
    MINUTE,
    RULES,
    SIDES,
    TIMEFRAMES,
    Figures,
    Joined,
    coin,
    extremes,
    figures,
    join,
    main,
    outside,
    pair,
    plan_of,
    random_walk,
    read,
    study,
    true_outcomes,
)

from pregao.core.bars import COLUMNS, Bars
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals

BITCOIN = Path(__file__).parents[3] / "shared" / "data" / "crypto" / "BTC-PERP_1m_2022-01.parquet"
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "inside-a-bar.md"
QUARTER = Timeframe.parse("15m")
WIDTHS = [("0.3", "0.3"), ("0.5", "0.25"), ("0.25", "0.5")]
MARKETS = ("a walk without jumps", "a walk that jumps", "bitcoin")


def bitcoin() -> Bars:
    if not BITCOIN.exists():
        pytest.skip(f"{BITCOIN.name} is not on this machine: the shared data folder is absent")
    return read(BITCOIN, Decimal(1))


@cache
def studied(timeframe: str) -> list[Figures]:
    return study(bitcoin(), timeframe)


@pytest.fixture(scope="module", params=MARKETS)
def minutes(request: pytest.FixtureRequest) -> Bars:
    if request.param == "bitcoin":
        return bitcoin()
    return random_walk(12_000, 3, 0.2 if "that" in request.param else 0.0, step=14)


@pytest.fixture(params=TIMEFRAMES)
def joined(request: pytest.FixtureRequest, minutes: Bars) -> Joined:
    return join(minutes, Timeframe.parse(request.param))


def of_minutes(*candles: tuple[int, int, int, int]) -> Bars:
    """Open, high, low and close of each minute, from 1970 on."""
    table = np.array(candles, np.int64)
    times = np.arange(len(table), dtype=np.int64) * MINUTE.ns
    return Bars(coin(Decimal(1)), MINUTE, times, *table.T, np.ones(len(table)))


def quarter(*candles: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    """A quarter of an hour that begins with these minutes and stays where the last one closes."""
    rest = candles[-1][3]
    return [*candles, *[(rest, rest, rest, rest)] * (15 - len(candles))]


def test_joined_bars_are_their_minutes() -> None:
    minutes = random_walk(200, 5, 0.5)
    columns = (getattr(minutes, name) for name in ("open_ns", *COLUMNS, "volume"))
    holed = Bars(minutes.instrument, MINUTE, *(np.delete(column, 50) for column in columns))
    bars, within, size = join(holed, QUARTER)
    assert size == 15
    # from 45 to 60 a minute is missing, from 195 on there are five only
    assert bars.open_ns.tolist() == [i * QUARTER.ns for i in range(13) if i != 3]
    for i in range(len(bars)):
        part = within.between(int(bars.open_ns[i]), int(bars.close_ns[i]))
        assert len(part) == 15
        assert bars.bar(i)[2:] == (part.open[0], max(part.high), min(part.low), part.close[-1], 15.0)


# Both exits of 1 % lie within the bar in which the trade is entered at 1000; the minutes tell that it rose first.
ROSE_FIRST = [
    *quarter((1000, 1000, 1000, 1000)),
    *quarter((1000, 1015, 1000, 1012), (1012, 1012, 985, 990)),
    *quarter((990, 990, 990, 990)),
]


@pytest.mark.parametrize(
    ("rule", "exit_role", "error"),
    [
        ("pessimistic", layout.STOP_LOSS, -2.0),
        ("optimistic", layout.TAKE_PROFIT, 0.0),
        ("shortest", layout.TAKE_PROFIT, 0.0),  # it fell from 1000 to 990: high first
        ("nearest", layout.TAKE_PROFIT, 0.0),  # as far up as down: high first
        ("ohlc", layout.TAKE_PROFIT, 0.0),
        ("finer", layout.TAKE_PROFIT, 0.0),
        ("finer 5m", layout.TAKE_PROFIT, 0.0),
    ],
)
def test_one_trade_whose_minutes_tell_that_the_price_rose_first(rule: str, exit_role: int, error: float) -> None:
    joined = join(of_minutes(*ROSE_FIRST), QUARTER)
    plan = plan_of(joined, ("1", "1"))
    one = pair(joined, plan, layout.ENTER_LONG, rule)
    assert one.known.tolist() == [True, False, False]  # what is entered at 990 never ends
    assert (one.rule.role[0], one.truth.role[0]) == (exit_role, layout.TAKE_PROFIT)
    told = figures("15m", "all", rule, [one], [np.ones(3, np.int64)])
    assert (told.trades, told.unknown, told.ambiguous, told.ambiguous_bars) == (1, 0, 1, 1)
    assert told.right == (error == 0)
    assert told.true_pnl == pytest.approx(1.0)
    assert told.error == pytest.approx(error)
    assert told.absolute_error == pytest.approx(abs(error))
    assert told.within == 1.0


def test_a_minute_that_reached_both_exits_is_counted_and_left_out() -> None:
    minutes = of_minutes(
        *quarter((1000, 1000, 1000, 1000)), *quarter((1000, 1015, 985, 990)), *quarter((990, 990, 990, 990))
    )
    joined = join(minutes, QUARTER)
    one = pair(joined, plan_of(joined, ("1", "1")), layout.ENTER_LONG, "pessimistic")
    assert one.unknown == 1
    assert not one.known.any()


def test_a_price_that_jumps_over_the_stop_within_the_bar_is_told_apart() -> None:
    minutes = of_minutes(
        *quarter((1000, 1000, 1000, 1000)), *quarter((1000, 1000, 995, 995), (980, 982, 979, 980)), *quarter((980,) * 4)
    )
    joined = join(minutes, QUARTER)
    one = pair(joined, plan_of(joined, ("1", "1")), layout.ENTER_LONG, "pessimistic")
    assert one.moved.tolist() == [True, False, False]
    assert (one.rule.net[0], one.truth.net[0]) == pytest.approx((-0.01, -0.02))  # no bar tells that 990 was jumped over
    assert outside(one)[0] == pytest.approx(0.01)


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("side", SIDES, ids=["long", "short"])
def test_an_outcome_and_its_bounds_are_what_the_backtest_of_that_one_trade_makes(rule: str, side: int) -> None:
    joined = join(of_minutes(*ROSE_FIRST), QUARTER)
    plan = plan_of(joined, ("1", "1"))
    outcome = pair(joined, plan, side, rule).rule
    finer = {"finer": joined.minutes, "finer 5m": joined.fives}.get(rule)
    terms = replace(plan.terms, path=RULES[rule])
    backtest = run_signals(joined.bars, replace(plan, terms=terms), np.array([side, 0, 0], np.int8), finer)
    [trade] = backtest.trades.itertuples()
    assert layout.ROLES[outcome.role[0]] == trade.exit_role
    assert layout.RULE_NAMES[outcome.rule[0]] == trade.exit_rule
    assert outcome.ambiguous[0] == trade.ambiguous
    assert outcome.end[0] == 1
    found = (outcome.worst[0], outcome.net[0], outcome.best[0])
    assert found == pytest.approx([money / (trade.quantity * trade.entry_price) for money in backtest.interval])
    assert found[0] < found[2] or not trade.ambiguous


@pytest.mark.parametrize("width", WIDTHS, ids="/".join)
@pytest.mark.parametrize("side", SIDES, ids=["long", "short"])
def test_rules_against_the_truth_trade_by_trade(joined: Joined, width: tuple[str, str], side: int) -> None:
    plan = plan_of(joined, width)
    truth = true_outcomes(joined, plan, side)
    by = {rule: pair(joined, plan, side, rule, truth) for rule in RULES}
    finer, worse, better = by["finer"].rule, by["pessimistic"], by["optimistic"]
    known, same = worse.known, worse.known & ~worse.moved
    ambiguous = same & (worse.rule.ambiguous == 1)
    assert ambiguous.sum() > 10

    # Told the minutes, the engine finds the truth, exactly, also where it is a guess within a minute.
    for name in ("net", "worst", "best", "role", "ambiguous"):
        assert np.array_equal(getattr(finer, name), getattr(truth, name), equal_nan=True), name

    # Pessimistic is never better than the truth, optimistic never worse; both are wrong somewhere.
    assert (worse.rule.net[same] <= truth.net[same]).all()
    assert (better.rule.net[same] >= truth.net[same]).all()
    assert (worse.rule.net[ambiguous] < truth.net[ambiguous]).any()
    assert (better.rule.net[ambiguous] > truth.net[ambiguous]).any()

    for rule, one in by.items():
        # A rule is wrong in ambiguous bars only, and elsewhere by no more than a jump.
        assert (one.rule.role == truth.role)[known & (worse.rule.ambiguous == 0)].all(), rule
        assert np.array_equal(one.rule.net[same & ~ambiguous], truth.net[same & ~ambiguous]), rule
        # The truth lies within the bounds.
        assert (outside(one)[same] < 1e-12).all(), rule
        if not rule.startswith("finer"):  # which are the two extreme rules, whatever rule is told
            assert one.rule.worst[known] == pytest.approx(worse.rule.net[known], abs=1e-12), rule
            assert one.rule.best[known] == pytest.approx(better.rule.net[known], abs=1e-12), rule


def test_nothing_jumps_in_a_walk_without_jumps() -> None:
    joined = join(random_walk(12_000, 3, 0.0, step=14), QUARTER)
    for side in SIDES:
        one = pair(joined, plan_of(joined, ("0.3", "0.3")), side, "shortest")
        assert not one.moved.any()
        assert outside(one)[one.known].max() < 1e-12


@pytest.mark.parametrize(("timeframe", "bars"), [("15m", 2_988), ("1h", 747)])
def test_the_shortest_way_beats_the_nearer_extreme_on_bitcoin(timeframe: str, bars: int) -> None:
    order = extremes(join(bitcoin(), Timeframe.parse(timeframe)))
    assert order["shortest"].bars == bars
    assert 0.86 < order["shortest"].right < 0.915
    assert 0.76 < order["nearest"].right < 0.815
    assert 0.48 < order["ohlc"].right < 0.52

    of = {(f.group, f.path): f for f in studied(timeframe)}
    assert of["all", "shortest"].ambiguous > 900
    for group in {group for group, _ in of}:
        finer, five, shortest, nearest = (of[group, rule] for rule in ("finer", "finer 5m", "shortest", "nearest"))
        assert 1 == finer.right > five.right > shortest.right > nearest.right, group
        assert 0 == finer.absolute_error < five.absolute_error < shortest.absolute_error < nearest.absolute_error, group
    assert of["all", "pessimistic"].error < of["all", "shortest"].error < of["all", "optimistic"].error


def test_the_page_tells_the_figures_of_bitcoin() -> None:
    found = [f for timeframe in TIMEFRAMES for f in studied(timeframe)]
    of = {(f.timeframe, f.group, f.path): f for f in found}
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("| `") and "%" in line]
    assert len(rows) == 2 * len(RULES)
    names = {"`finer`, 5-minute bars": "finer 5m", "`finer`, 1-minute bars": "finer"}
    for i, (name, *cells) in enumerate([cell.strip() for cell in row] for row in rows):
        rule, timeframe = names.get(name, name.strip("`")), TIMEFRAMES[i // len(RULES)]
        every, long, short = (of[timeframe, group, rule] for group in ("all", "long", "short"))
        told = [float(cell.removesuffix("%")) for cell in cells]
        assert told[:2] == [round(100 * every.right, 2), round(100 * every.right_ambiguous, 1)], (timeframe, rule)
        measured = (every.absolute_error, every.error, long.error, short.error)
        assert told[2:] == pytest.approx(measured, abs=6e-5), (timeframe, rule)


def test_a_minute_off_the_tick_takes_its_bar_along(tmp_path: Path) -> None:
    frame = random_walk(600).frame()
    frame.loc[100, ["high", "close"]] += 0.25
    frame.loc[100, "high"] += 1
    frame.to_parquet(tmp_path / "minutes.parquet")
    minutes = read(tmp_path / "minutes.parquet", Decimal(1))
    assert len(minutes) == 599
    assert len(join(minutes, QUARTER).bars) == 39


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--tick", "none"], "The tick size is a positive number, not 'none'."),
        (["--tick", "-1"], "The tick size is a positive number, not '-1'."),
        (["--tick", "7"], "have prices off the tick 7. Give the venue's tick size with --tick."),
        (["--data", "absent.parquet"], "absent.parquet is not a Parquet file that can be read."),
    ],
)
def test_what_cannot_be_studied_is_told(
    arguments: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random_walk(100).frame().to_parquet(tmp_path / "minutes.parquet")
    monkeypatch.setattr(sys, "argv", ["study", "--data", str(tmp_path / "minutes.parquet"), *arguments])
    assert main() == 2
    said = capsys.readouterr()
    assert why in said.err
    assert said.out == ""


def test_too_few_minutes_and_columns_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="29 minutes make 1 whole 15m bars; at least 2 are needed"):
        join(random_walk(29), QUARTER)
    random_walk(29).frame().drop(columns="low").to_parquet(tmp_path / "minutes.parquet")
    with pytest.raises(UsageError, match="lacks the columns low"):
        read(tmp_path / "minutes.parquet", Decimal(1))


def test_the_table_and_the_document_tell_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random_walk(6_000).frame().to_parquet(tmp_path / "minutes.parquet")
    monkeypatch.setattr(sys, "argv", ["study", "--data", str(tmp_path / "minutes.parquet"), "--json"])
    assert main() == 0
    document = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document["source"] == "minutes.parquet"
    monkeypatch.setattr(sys, "argv", sys.argv[:-1])
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    for timeframe in TIMEFRAMES:
        one = next(f for f in document["figures"] if f["timeframe"] == timeframe)
        begins = f"{timeframe} bars: {one['trades']:,} trades, {one['ambiguous']:,} of them ambiguous"
        assert any(line.startswith(begins) for line in lines)
    for rule in RULES:
        told = [f for f in document["figures"] if f["path"] == rule and f["group"] == "all"]
        shown = [line.split() for line in lines if line.startswith(f"  {rule:<12} ")]
        assert [row[len(rule.split())] for row in shown] == [f"{f['right']:.2%}" for f in told]
