"""A sweep: which settings it tries, that each is a single backtest, that no run is lost, what the best proves."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
from candles import MINUTE, ONE
from pydantic import Field

from pregao import __version__
from pregao.core.bars import Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.core.money import PPM
from pregao.core.timeframe import Timeframe
from pregao.simulation import layout
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.report import periods_per_year
from pregao.simulation.significance import Sample, Trials, deflated_sharpe, probabilistic_sharpe
from pregao.simulation.slippage import FixedSlippage
from pregao.simulation.sweeping import Figures
from pregao.simulation.terms import Terms
from pregao.strategies.contract import StrategyConfig
from pregao.strategies.registry import load
from pregao.strategies.sweeping.judging import judge, ranked
from pregao.strategies.sweeping.local import run
from pregao.strategies.sweeping.results import RESULTS, Folder, table
from pregao.strategies.sweeping.resuming import Give, carry_out
from pregao.strategies.sweeping.runs import Market, Row, Runner, Sweep
from pregao.strategies.sweeping.space import Dimension, Space, dimension, grid, random

PLUGIN = Path(__file__).parent / "sweep_plugin"
FIGURES = Figures(1.0, 0.0, 1.0, 0.1, 0.0, 1, 1.0, 0.0, 0, "")


class Config(StrategyConfig):
    """Settings of every kind."""

    fast: int = Field(12, ge=2, le=50)
    slow: int = Field(26, gt=2, lt=100)
    edge: float = Field(0.5, ge=0, le=2)
    side: Literal["long", "short"] = "long"
    strict: bool = False
    free: int = 4
    horizon: int = 3


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))


def walk(n: int, seed: int, name: str = "ONE") -> Bars:
    rng = np.random.default_rng(seed)
    close = np.maximum(1_000 + np.cumsum(rng.integers(-9, 10, n)), 200).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]]
    high = np.maximum(opened, close) + rng.integers(0, 9, n)
    low = np.minimum(opened, close) - rng.integers(0, 9, n)
    return Bars(
        ONE.model_copy(update={"symbol": name}), MINUTE, np.arange(n) * MINUTE.ns, opened, high, low, close,
        rng.integers(1, 50, n) * 1.0,
    )  # fmt: skip


PLAN = {"fee": "0.05", "cash": 1_000_000, "entry_value": 50_000}
RANGES = ("span=3,8", "rise=0:40:20", "fall=15", "side=long,short", "take_profit=0,2", "plan.horizon=0,7")


def sweep(strategy: str = "swept", ranges: tuple[str, ...] = RANGES, bars: tuple[Bars, ...] = ()) -> Sweep:
    config = load(strategy).Config
    space = grid(strategy, config, {}, [dimension(r, config) for r in ranges])
    return Sweep(space, tuple(Market(b, PLAN) for b in bars or (walk(1_500, 1),)))


def written(rows: list[Row]) -> list[str]:
    """Rows to compare: NaN is equal to itself."""
    return [str(row) for row in rows]


def rows_of(asked: Sweep, **options: Any) -> list[Row]:
    return sorted(row for rows in run(asked, asked.runs, options.pop("jobs", 1), **options) for row in rows)


# --- which settings


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("fast=5:9:2", (5, 7, 9)),
        ("fast=5:10:2", (5, 7, 9)),
        ("fast=5:8", (5, 6, 7, 8)),
        ("fast=9:5:-2", (9, 7, 5)),
        ("fast=5:5:1", (5,)),
        ("fast=20,30,20", (20, 30)),
        ("edge=0.1:0.4:0.1", (0.1, 0.2, 0.3, 0.4)),
        ("side=long,short", ("long", "short")),
        ("strict=true,false", (True, False)),
        ("take-profit=1,2.5", (1, 2.5)),
        ("stop_loss=0.5:1.5:0.5", (0.5, 1.0, 1.5)),
        ("plan.horizon=1,2", (1, 2)),
        ("strategy.horizon=1,2", (1, 2)),
    ],
)
def test_values_to_try(text: str, values: tuple[object, ...]) -> None:
    found = dimension(text, Config)
    assert found.values == values
    of_plan = text.startswith(("take", "stop", "plan"))
    assert found.part == ("plan" if of_plan else "strategy")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fast", "is not NAME=VALUES"),
        ("fast=", "is not NAME=VALUES"),
        ("quick=1,2", "There is no setting to sweep named 'quick'"),
        ("plan.fast=1,2", "no setting to sweep"),
        ("horizon=1,2", "Both the strategy and the plan have a 'horizon'"),
        ("fast=15:5:1", "never leads from 15 to 5"),
        ("fast=5:15:-1", "never leads from 5 to 15"),
        ("fast=5:15:0", "a step of 0 never arrives"),
        ("edge=2.0:1.0", "is empty"),
        ("fast=a:b:c", "is not of numbers"),
        ("fast=1:2:3:4", "is not FROM:TO:STEP"),
        ("fast=0:inf:1", "is not FROM:TO:STEP"),
        ("fast=NaN,1", "is no value to try"),
        ("fast=0:1000000000:1", "has 1,000,000,001 values"),
        ("take_profit=1,high", "A take_profit is a number, not 'high'"),
        ("stop_loss=true", "A stop_loss is a number, not True"),
        ("plan.horizon=1.5,2", "A horizon is a whole number of bars"),
        ("plan.horizon=1.0:2.0", "A horizon is a whole number of bars"),
        ("edge=0:1:1e-18", "has 1,000,000,000,000,000,001 values"),
    ],
)
def test_ranges_that_cannot_be(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        dimension(text, Config)
    assert error.value.mend


def test_a_grid_is_every_combination_that_the_strategy_takes(plugin: None) -> None:
    config = load("ma-cross").Config
    space = grid(
        "ma-cross", config, {}, [dimension(t, config) for t in ("fast=5:25:10", "slow=10,20", "stop_loss=1,2")]
    )
    pairs = [(s.strategy["fast"], s.strategy["slow"], s.plan["stop_loss"]) for s in space.settings]
    assert pairs == [(5, 10, 1), (5, 10, 2), (5, 20, 1), (5, 20, 2), (15, 20, 1), (15, 20, 2)]
    assert space.refused == 6
    assert "must be shorter" in space.refusal


@pytest.mark.parametrize(
    ("texts", "fixed", "words"),
    [
        ((), {}, "nothing to sweep"),
        (("fast=1,2", "fast=3"), {}, "fast is swept twice"),
        (("fast=10,20",), {"fast": 5}, "both fixed and swept"),
        (("fast=0,1",), {}, "takes none of the 2 settings: fast: Input should be greater"),
        (("fast=a,b",), {}, "takes none of the 2 settings: fast: Input should be a valid integer"),
        (("fast=5",), {"color": 1}, "takes none of the 1 settings: color"),
        (("edge=0.1:0.9",), {}, "A grid needs a step for edge"),
        (("fast=1:1000", "slow=1:1000", "free=1:1000"), {}, "The grid has 1,000,000,000 settings"),
    ],
)
def test_grids_that_cannot_be(texts: tuple[str, ...], fixed: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        grid("it", Config, fixed, [dimension(t, Config) for t in texts])
    assert error.value.mend


def test_random_settings_are_different_within_bounds_and_the_same_for_a_seed() -> None:
    dims = [dimension("take_profit=0.5:3.0", Config), dimension("fast=5:9", Config)]
    space = random("it", Config, {"free": 7}, dims, 200, seed=7)
    assert space == random("it", Config, {"free": 7}, dims, 200, seed=7)
    assert space != random("it", Config, {"free": 7}, dims, 200, seed=8)
    assert len({str(s) for s in space.settings}) == 200
    assert [d.name for d in space.dimensions] == ["take_profit", "fast", "slow", "edge", "side", "strict"]
    for setting in space.settings:
        assert 5 <= setting.strategy["fast"] <= 9
        assert 3 <= setting.strategy["slow"] <= 99
        assert 0 <= setting.strategy["edge"] <= 2
        assert 0.5 <= setting.plan["take_profit"] <= 3
        assert setting.strategy["free"] == 7
        assert "horizon" not in setting.strategy  # it has no bounds: its default counts
    drawn = [s.plan["take_profit"] for s in space.settings]
    assert 1.6 < np.mean(drawn) < 1.9
    assert {s.strategy["side"] for s in space.settings} == {"long", "short"}


def test_there_may_be_fewer_than_asked_for() -> None:
    fixed = {"fast": 5, "slow": 9, "edge": 1.0, "strict": True}
    assert len(random("it", Config, fixed, [dimension("free=1,2,3", Config)], 10**6, seed=1).settings) == 6


@pytest.mark.parametrize(("count", "words"), [(0, "not 0"), (10**9, "not 1,000,000,000")])
def test_how_many_can_be_drawn(count: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        random("it", Config, {}, [], count, seed=1)


# --- each is a single backtest


def test_every_run_is_the_single_backtest(plugin: None) -> None:
    asked = sweep(bars=(walk(1_500, 1), walk(1_200, 2, "TWO")))
    rows = rows_of(asked)
    assert [k for k, _ in rows] == list(range(96))
    assert len({f.digest for _, f in rows}) > 70
    assert sum(f.trades for _, f in rows) > 2_000
    for k, figures in rows[::3]:
        single = asked.single(k)
        metrics = single.metrics()
        assert figures.digest == single.digest
        assert figures.trades == len(single.trades)
        for name in ("net_return", "sharpe", "max_drawdown", "hit_rate", "fees"):
            np.testing.assert_equal(getattr(figures, name), metrics[name])


def test_a_strategy_without_an_array_of_signals_is_asked_bar_by_bar_with_the_same_results(plugin: None) -> None:
    ranges = ("span=3,8", "rise=0,20", "take_profit=0,2")
    assert written(rows_of(sweep("swept-by-bar", ranges))) == written(rows_of(sweep("swept", ranges)))


def test_bars_before_the_first_warm_it_up(plugin: None) -> None:
    bars = walk(900, 3)
    asked = sweep("swept-by-bar", ("span=30", "rise=0,20"))
    for name in ("swept-by-bar", "swept"):
        of_name = Sweep(replace(asked.space, strategy=name), (Market(bars[400:], PLAN, before=bars[:400]),))
        cold = Sweep(replace(asked.space, strategy=name), (Market(bars[400:], PLAN),))
        rows = rows_of(of_name)
        assert [f.digest for _, f in rows] == [of_name.single(k).digest for k, _ in rows]
        assert rows != rows_of(cold)


def test_plans_that_cannot_be_are_left_out(plugin: None) -> None:
    asked = sweep(ranges=("span=3,8", "entry_value=1000,2000000", "take_profit=2,100"))
    assert [asked.of(k)[1].plan for k in asked.runs] == [{"entry_value": 1000, "take_profit": 2}] * 2
    assert len(asked.refusals) == 6
    assert "The take profit must be between 0 and 99 %" in asked.refusals[1]
    with pytest.raises(UsageError, match=r"None of the 2 settings can be traded: The entry value 2000000 is more"):
        _ = sweep(ranges=("span=3,8", "entry_value=2000000")).runs


def test_costs_are_swept_within_the_terms(plugin: None) -> None:
    terms = Terms(fees=FeeSchedule.flat_rate(500), slippage=(FixedSlippage(100),), path="ohlc", touch_ppm=PPM)
    asked = sweep(ranges=("span=3", "fee=0,0.05,11", "slippage=0.01,0.2"))
    market = Market(walk(900, 1), {"terms": terms, "cash": 1_000_000, "entry_value": 50_000})
    asked = replace(asked, markets=(market,))
    assert len(asked.runs) == 4
    for run_number in asked.runs:
        changes = asked.of(run_number)[1].plan
        plan = market.plan_for(changes)
        fees = FeeSchedule.flat_rate(round(changes["fee"] * 10_000))
        slips = (FixedSlippage(round(changes["slippage"] * 10_000)),)
        assert plan.terms == replace(terms, fees=fees, slippage=slips)
    assert market.plan_for({"stop_loss": 3}).terms == terms
    rows = rows_of(asked)
    assert [f.digest for _, f in rows] == [asked.single(k).digest for k, _ in rows]
    assert rows[0][1].fees == 0 < rows[2][1].fees


def test_finer_bars_tell_the_path(plugin: None) -> None:
    fine = walk(3_000, 4)
    rows = fine.open_ns.reshape(-1, 5)[:, 0]
    parts = [getattr(fine, n).reshape(-1, 5) for n in ("open", "high", "low", "close", "volume")]
    columns = (parts[0][:, 0], parts[1].max(1), parts[2].min(1), parts[3][:, -1], parts[4].sum(1))
    coarse = Bars(fine.instrument, Timeframe.parse("5m"), rows, *columns)
    plan = {"terms": Terms(path="finer"), "cash": 1_000_000, "entry_value": 50_000}
    asked = sweep(ranges=("span=3", "rise=0,20", "take_profit=1", "stop_loss=1"))
    asked = replace(asked, markets=(Market(coarse, plan, finer=fine),))
    found = rows_of(asked)
    assert [f.digest for _, f in found] == [asked.single(k).digest for k, _ in found]
    assert (asked.single(0).events["rule"] == layout.IN_FINER).any()


def test_markets_that_cannot_be_compared() -> None:
    space = Space("it", (), ())
    hour = replace(walk(5, 1), timeframe=type(MINUTE).parse("1h"), open_ns=np.arange(5) * 3_600 * 10**9)
    other = replace(hour, instrument=ONE.model_copy(update={"symbol": "TWO"}))
    for bars, words in (
        ((), "no instrument"),
        ((walk(5, 1), walk(5, 1)), "given twice"),
        ((walk(5, 1)[:0],), "no bars"),
        ((walk(5, 1), other), "bars of 1h and 1m"),
    ):
        with pytest.raises(UsageError, match=words):
            Sweep(space, tuple(Market(b) for b in bars))


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_processes_make_the_same_rows(plugin: None, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = sweep(bars=(walk(1_500, 1), walk(1_200, 2, "TWO")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")]))
    assert written(rows_of(asked, jobs=2, start=start)) == written(rows_of(asked))


def test_runs_that_share_their_signals_stand_together(plugin: None) -> None:
    asked = sweep(ranges=("take_profit=1,2,3", "span=3,8", "stop_loss=1,2"))
    shared = [[asked.of(k)[1].strategy["span"] for k in chunk] for chunk in asked.chunks(asked.runs, 2)]
    assert shared == [[3] * 6, [8] * 6]
    assert [len(c) for c in asked.chunks(asked.runs, 1)] == [12]
    assert [len(c) for c in asked.chunks(asked.runs, 100)] == [1] * 12  # all who work have something to do
    assert [len(c) for c in sweep("swept-by-bar", ("span=3,8",)).chunks([0, 1], 1)] == [1, 1]
    assert sorted(k for c in asked.chunks(asked.runs, 3) for k in c) == asked.runs


def test_a_failing_strategy_is_named_with_its_setting(plugin: None, tmp_path: Path) -> None:
    asked = sweep("swept-by-bar", ("span=3,8", "fail=false,true"))

    def make(runs: list[int], give: Give) -> None:
        for rows in run(asked, runs, 1):
            give(rows)

    words = r"swept-by-bar failed on test/test/ONE with span=3, fail=True: ZeroDivisionError: on purpose"
    with Folder.held(tmp_path / "out", asked) as folder, pytest.raises(PregaoError, match=words):
        carry_out(asked, make, folder)
    with Folder.held(tmp_path / "out", asked) as folder:
        assert [k for k, _ in folder.rows()] == [0]


def test_a_process_that_dies_is_told(plugin: None) -> None:
    asked = sweep("swept-slowly", ("span=3:40:1", "fail=false,true"))
    with pytest.raises(PregaoError, match="A process of the sweep was killed"):
        for _ in run(asked, asked.runs, 2):
            pass


# --- nothing that was made is lost


class StoppedError(Exception):
    """An interruption at a moment of the test's choice."""


def broken_off(asked: Sweep, after: int) -> Any:
    def make(runs: list[int], give: Give) -> None:
        runner = Runner(asked)
        for k in runs[:after]:
            give(runner.chunk([k]))
        if after < len(runs):
            raise StoppedError

    return make


@pytest.fixture
def asked(plugin: None) -> Sweep:
    return sweep()


def test_an_interrupted_sweep_does_only_what_is_missing_and_ends_the_same(asked: Sweep, tmp_path: Path) -> None:
    with Folder.held(tmp_path / "whole", asked) as folder:
        whole = carry_out(asked, broken_off(asked, 1_000), folder)
    told: list[tuple[int, int]] = []
    for _ in range(2):
        with Folder.held(tmp_path / "parts", asked) as folder, pytest.raises(StoppedError):
            carry_out(asked, broken_off(asked, 10), folder, lambda done, of: told.append((done, of)))
    assert told[0] == (0, 48)
    assert told[11] == (10, 48)
    with Folder.held(tmp_path / "parts", asked) as folder:
        assert str(carry_out(asked, broken_off(asked, 28), folder)) == str(whole)
    assert (tmp_path / "parts" / RESULTS).read_bytes() == (tmp_path / "whole" / RESULTS).read_bytes()
    assert not list((tmp_path / "parts" / "parts").iterdir())
    with Folder.held(tmp_path / "parts", asked) as folder:  # all is there: nothing is made
        assert str(carry_out(asked, broken_off(asked, 0), folder)) == str(whole)


def test_results_as_a_table(asked: Sweep, tmp_path: Path) -> None:
    rows = rows_of(asked)
    with Folder.held(tmp_path / "out", asked) as folder:
        file = folder.finish(rows)
    found = pq.read_table(file)
    assert str(found.to_pylist()) == str(table(asked, rows).to_pylist())
    assert found.column_names == [
        "run", "instrument", "setting", "span", "rise", "fall", "side", "take_profit", "horizon", "final_equity",
        "net_return", "sharpe", "bar_sharpe", "max_drawdown", "trades", "hit_rate", "fees", "ambiguous", "digest",
    ]  # fmt: skip
    line = found.slice(13, 1).to_pylist()[0]
    setting = asked.of(13)[1]
    assert {k: line[k] for k in setting.plan} == setting.plan
    assert {k: line[k] for k in setting.strategy} == setting.strategy
    assert line["digest"] == asked.single(13).digest


def test_a_name_that_a_figure_has_is_told_apart(plugin: None) -> None:
    values = {"cash": (1, 2), "trades": (1, None), "mixed": (1, "a"), "flag": (True, False), "part": (1, 2.5)}
    dims = tuple(Dimension(name, "plan", v) for name, v in values.items())
    space = Space(
        "swept", dims, tuple(replace(s, plan=p) for s, p in zip(sweep().space.settings, plans(values), strict=False))
    )
    found = table(Sweep(space, (Market(walk(50, 1)),)), [(0, FIGURES), (1, FIGURES)])
    assert found.column_names[3:8] == ["cash", "plan.trades", "mixed", "flag", "part"]
    assert [str(t) for t in found.schema.types[3:8]] == ["int64", "int64", "string", "bool", "double"]


def plans(values: dict[str, tuple[Any, Any]]) -> list[dict[str, Any]]:
    return [{name: pair[i] for name, pair in values.items()} for i in (0, 1)]


def test_another_sweep_in_the_folder_is_refused(asked: Sweep, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Folder.held(out, asked) as folder, pytest.raises(StoppedError):
        carry_out(asked, broken_off(asked, 5), folder)
    others = {
        "48 settings of 'swept', and other settings": sweep(ranges=(*RANGES[:-1], "plan.horizon=0,8")),
        "with other money, costs, rules or another seed": replace(asked, seed=1),
        "over other data: test/test/ONE": sweep(bars=(walk(1_500, 9),)),
        "other money, costs": Sweep(asked.space, (Market(walk(1_500, 1), {**PLAN, "fee": "0.06"}),)),
    }
    for words, other in others.items():
        with pytest.raises(UsageError, match=words), Folder.held(out, other):
            pass
    with Folder.held(out, asked) as folder:
        assert len(folder.rows()) == 5
    file = out / "sweep.json"
    file.write_text(file.read_text().replace(f'"version": "{__version__}"', '"version": "0.0.9"'))
    with pytest.raises(UsageError, match=r"made by version 0\.0\.9 of Pregão"), Folder.held(out, asked):
        pass


def test_folders_that_cannot_be(asked: Sweep, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds other files and no sweep"), Folder.held(tmp_path / "mine", asked):
        pass
    with pytest.raises(UsageError, match="is a file"), Folder.held(tmp_path / "mine" / "letter.txt", asked):
        pass
    with Folder.held(tmp_path / "out", asked) as folder:
        with pytest.raises(PregaoError, match="Another process"), Folder.held(tmp_path / "out", asked):
            pass
        folder.keep(rows_of(asked)[:3])
        part = next((tmp_path / "out" / "parts").iterdir())
        part.write_bytes(b"no parquet")
        with pytest.raises(PregaoError, match="cannot be read"):
            folder.rows()
    (tmp_path / "out" / "sweep.json").write_text("{")
    with pytest.raises(PregaoError, match=r"sweep\.json cannot be read"), Folder.held(tmp_path / "out", asked):
        pass


# --- what the best proves


def test_the_winners_deflated_sharpe_ratio_counts_every_run(asked: Sweep) -> None:
    rows = rows_of(asked)
    verdict = judge(asked, rows, "sharpe")
    best = max(rows, key=lambda row: row[1].sharpe)
    assert verdict.run == best[0]
    single = asked.single(best[0])
    returns = np.diff(single.equity) / single.equity[:-1]
    sample, trials = Sample.of(returns), Trials.of([f.bar_sharpe for _, f in rows])
    assert verdict.trials == 48
    assert verdict.deflated.value == pytest.approx(deflated_sharpe(sample, trials).value, rel=1e-9)
    assert verdict.probabilistic.value == pytest.approx(probabilistic_sharpe(sample).value, rel=1e-9)
    assert verdict.deflated.value < verdict.probabilistic.value
    year = math.sqrt(periods_per_year(single.bars))
    assert verdict.spread == pytest.approx(np.nanstd([f.bar_sharpe for _, f in rows], ddof=1) * year)


def test_the_order_of_the_best(asked: Sweep) -> None:
    rows = [
        (k, FIGURES._replace(sharpe=s, max_drawdown=d))
        for k, s, d in ((0, 1.0, 0.3), (1, math.nan, 0.1), (2, 2.0, 0.1))
    ]
    assert [k for k, _ in ranked(rows, "sharpe")] == [2, 0, 1]
    assert [k for k, _ in ranked(rows, "max_drawdown")] == [1, 2, 0]


def test_what_is_said_of_luck(plugin: None) -> None:
    def said(bars: Bars, *ranges: str) -> str:
        asked = sweep(ranges=ranges, bars=(bars,))
        return judge(asked, rows_of(asked), "sharpe").sentence

    # a price that keeps its direction for long: following it is no luck; a random walk: the best is
    rng = np.random.default_rng(5)
    steps = np.repeat(rng.choice([-3, 3], 40), 40) + rng.integers(-4, 5, 1_600)
    close = (5_000 + np.cumsum(steps)).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]]
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    trend = replace(walk(1_600, 1), open=opened, close=close, high=high, low=low)
    settings = ("span=5,10,15", "rise=10,20", "take_profit=0", "stop_loss=0", "fee=0", "slippage=0")
    assert said(trend, *settings).startswith("Probably not luck. The best of 6 worthless settings")
    assert said(walk(1_600, 21), *settings).startswith("This may well be luck.")
    assert "no gain to explain by luck" in said(walk(1_600, 1), "span=1,2", "rise=0", "fee=5")
    assert said(trend, "span=10", "take_profit=0", "stop_loss=0", "fee=0").startswith("It was the only one tried")
    assert "cannot be told: the returns do not vary" in said(walk(600, 1), "rise=9000,10000")


def test_there_must_be_a_run_to_judge(asked: Sweep) -> None:
    with pytest.raises(UsageError, match="No run was made"):
        judge(asked, [], "sharpe")
