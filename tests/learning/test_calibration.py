"""The experiment that measures the gate: its markets are what they say, and a kill costs no result."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from scipy import stats

from pregao.cli import pregao
from pregao.core.bars import COLUMNS, Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.learning.calibration.experiment import Experiment, Rate, Results, summary
from pregao.learning.calibration.markets import BLOCK, Kind, shuffled, walked
from pregao.learning.calibration.oracle import oracle_sharpe, planted
from pregao.learning.calibration.trial import judged
from pregao.learning.params import Params
from pregao.market.sources import Request
from pregao.market.sources.sample import Sample, SampleOptions
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

ROOT = Path(__file__).parents[2]
HOURS4 = Timeframe.parse("4h")
SMALL = ("--kinds", "garch:2,shuffled:2,edge2:2", "--years", "1.2", "--seed", "5", "--jobs", "2")


@pytest.fixture(scope="module")
def index() -> Bars:
    """Twenty years of the S&P 500, real."""
    series = next(iter(Sample().fetch(Request(("SPX",), None, None, None, SampleOptions()))))
    return Bars.from_frame(series.frame, series.instrument, series.timeframe)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, index: Bars) -> Iterator[Path]:
    """A project folder with light knobs and one real series in the store."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(ROOT / "dvc.yaml", folder)
    knobs = yaml.safe_load((ROOT / "params.yaml").read_text())
    knobs["model"] |= {"iterations": 20, "learning_rate": 0.1}
    knobs["random_runs"] = 40
    (folder / "params.yaml").write_text(yaml.safe_dump(knobs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREGAO_HOME", str(folder))
        settings.cache_clear()
        Store().write(index)
        Versions().commit("an index")
        yield folder
    settings.cache_clear()


def returns(bars: Bars) -> np.ndarray:
    return np.diff(bars.close) / bars.close[:-1]


def test_shuffled_bars_are_the_real_ones_in_another_order(index: Bars, params: Params) -> None:
    market = shuffled(index, (1, 2), params.plan)
    found = market.bars
    assert len(found) == len(index) - 1
    np.testing.assert_array_equal(found.open_ns, index.open_ns[1:])
    # The same bars: range over open, and volume, up to the grid of the prices.
    for own, real in (
        (found.high / found.low, index.high[1:] / index.low[1:]),
        (found.close / found.open, index.close[1:] / index.open[1:]),
        (found.volume / found.volume.mean(), index.volume[1:] / index.volume[1:].mean()),
    ):
        np.testing.assert_allclose(np.sort(own), np.sort(real), rtol=1e-5)
    # No drift is left; the first bar's return is from 100,000, where all of them begin.
    assert abs(np.mean(np.diff(np.r_[1e7, found.close]) / np.r_[1e7, found.close[:-1]])) < 1e-7
    assert returns(found).std() == pytest.approx(returns(index).std(), rel=1e-3)
    assert abs(np.corrcoef(returns(found), returns(index)[1:])[0, 1]) < 0.1


def test_shuffling_keeps_what_lasts_a_block_and_nothing_longer(index: Bars, params: Params) -> None:
    # Volumes that number the bars.
    numbered = replace(index, volume=np.arange(len(index), dtype=float))
    found = shuffled(numbered, (3, 4), params.plan).bars.volume
    at = np.rint(found / found.min()).astype(int)
    assert sorted(at) == list(range(1, len(index)))

    def kept(lag: int) -> float:
        """Share of bars that were as far apart before."""
        return float((at[lag:] - at[:-lag] == lag).mean())

    assert kept(1) == pytest.approx(1 - 1 / BLOCK, abs=0.02)
    assert kept(BLOCK // 2) == pytest.approx(0.5, abs=0.05)
    assert kept(2 * BLOCK) < 0.02


def test_walks_are_martingales_whose_volatility_clusters(params: Params) -> None:
    found = [returns(walked(8_000, HOURS4, (1, i), params.plan).bars) for i in range(12)]
    t = [stats.ttest_1samp(r, 0).statistic for r in found]
    assert stats.kstest(t, "norm").pvalue > 0.01
    squares = [np.corrcoef(r[1:] ** 2, r[:-1] ** 2)[0, 1] for r in found]
    assert np.mean(squares) > 0.03
    assert np.mean([stats.kurtosis(r) for r in found]) > 1
    assert len({r.std() for r in found}) == 12


def test_the_same_seed_makes_the_same_market_and_the_edge_its_only_difference(params: Params) -> None:
    one, again = (walked(500, HOURS4, (4, 4), params.plan) for _ in range(2))
    other, edged = walked(500, HOURS4, (4, 5), params.plan), walked(500, HOURS4, (4, 4), params.plan, 0.05)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one.bars, name), getattr(again.bars, name))
    assert (one.bars.close != other.bars.close).any()
    # Until there is a mean to revert to, it is the same walk.
    np.testing.assert_array_equal(one.bars.close[:64], edged.bars.close[:64])
    assert (one.bars.close != edged.bars.close).any()


def test_exits_are_as_far_in_terms_of_volatility_whatever_the_bars(index: Bars, params: Params) -> None:
    slow = walked(1_000, HOURS4, (1, 1), params.plan).plan
    assert (slow.take_profit_ppm, slow.stop_loss_ppm) == (80_000, 40_000)
    daily = shuffled(index, (1, 1), params.plan).plan
    assert daily.take_profit_ppm / daily.stop_loss_ppm == pytest.approx(2, rel=1e-3)
    assert daily.take_profit_ppm / 1e6 == pytest.approx(0.02 / 0.0042 * returns(index).std(), rel=0.02)


def test_the_oracle_earns_what_the_edge_is_said_to_be_worth(params: Params) -> None:
    edge = planted(2.0, 6_000, HOURS4, params.plan, markets=16)
    assert edge.sharpe == pytest.approx(2.0, abs=0.02)
    assert edge.bound < 0
    # On markets that the search has not seen; four standard errors of sixteen markets.
    fresh = [oracle_sharpe(walked(6_000, HOURS4, (77, i), params.plan, edge.reversion), edge.bound) for i in range(16)]
    assert np.mean(fresh) == pytest.approx(2.0, abs=4 * np.std(fresh) / 4 + 4 * edge.standard_error)
    # Who trades the same rule where there is no edge pays the costs.
    idle = [oracle_sharpe(replace(walked(6_000, HOURS4, (77, i), params.plan, 1e-9)), edge.bound) for i in range(16)]
    assert np.mean(idle) < 0.5
    with pytest.raises(ValueError, match="no planted edge earns"):
        planted(60.0, 1_000, HOURS4, params.plan, markets=2)


def test_what_cannot_be_learnt_is_refused_and_says_why(params: Params) -> None:
    market = walked(300, HOURS4, (1, 1), params.plan)
    found = judged(market, params)
    assert not found.promoted
    assert found.failed == ["learning"]
    assert "too few" in str(found.complaint)
    flat = replace(market.bars, **{name: np.full(300, 100_000) for name in COLUMNS})
    assert "never moves" in str(judged(replace(market, bars=flat), params).complaint)


def test_intervals_are_exact() -> None:
    """Clopper and Pearson (1934): the binomial tails of 2.5 %."""
    rate = Rate.of("null", [True] * 3 + [False] * 197)
    assert rate.rate == 0.015
    assert stats.binom.sf(2, 200, rate.low) == pytest.approx(0.025, abs=1e-6)
    assert stats.binom.cdf(3, 200, rate.high) == pytest.approx(0.025, abs=1e-6)
    assert (Rate.of("null", [False] * 200).low, Rate.of("null", []).high) == (0.0, 1.0)


def test_all_null_markets_are_counted_together() -> None:
    def row(kind: str, promoted: bool, *failed: str) -> dict[str, Any]:
        return {
            "kind": kind, "promoted": promoted, "failed": list(failed), "sharpe": 1.0, "oracle": None, "seconds": 2.0,
        }  # fmt: skip

    found = summary([row("garch", True), row("garch", False, "costs"), row("shuffled", False, "costs", "trades")])
    rates = {rate["name"]: (rate["promoted"], rate["markets"]) for rate in found["rates"]}
    assert rates == {"garch": (1, 2), "shuffled": (0, 1), "null": (1, 3)}
    assert found["refused_by"]["garch"] == {"costs": 0.5}
    assert found["refused_by"]["null"] == {"costs": pytest.approx(2 / 3), "trades": pytest.approx(1 / 3)}


def test_killed_and_started_again_it_ends_with_the_same_results(home: Path, tmp_path: Path) -> None:
    def start(out: Path) -> subprocess.Popen[str]:
        code = "import sys; from pregao.cli import main; main(sys.argv[1:])"
        arguments = [sys.executable, "-c", code, "calibrate-gate", *SMALL, "--out", str(out), "--json"]
        return subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PREGAO_HOME": str(home)},
        )  # fmt: skip

    def rows(out: Path) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in out.glob("*/*-?????.json")}

    killed = start(tmp_path / "a")
    deadline = time.monotonic() + 200
    while len(rows(tmp_path / "a")) < 2 and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    # The processes that do the work see that their parent is gone, and go too.
    group = killed.pid
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    while _alive(group) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(group)
    before = rows(tmp_path / "a")
    assert 2 <= len(before) < 6

    resumed = start(tmp_path / "a")
    said, told = resumed.communicate(timeout=200)
    assert resumed.returncode == 0, told
    document = json.loads(said)
    assert f"{len(before)} of 6 markets are done already" in told
    after = rows(tmp_path / "a")
    assert {name: after[name] for name in before} == before

    # What the oracle earns takes long to find, and has been found.
    (found,) = (tmp_path / "a").glob("*/planted-2.json")
    (tmp_path / "b" / found.parent.name).mkdir(parents=True)
    shutil.copy(found, tmp_path / "b" / found.parent.name)
    whole = start(tmp_path / "b")
    again, told = whole.communicate(timeout=200)
    assert whole.returncode == 0, told
    parts = ({name: _timeless(content) for name, content in found.items()} for found in (after, rows(tmp_path / "b")))
    assert next(parts) == next(parts)
    assert {r["name"]: r["markets"] for r in document["rates"]} == {"garch": 2, "shuffled": 2, "edge2": 2, "null": 4}
    assert json.loads(again)["refused_by"] == document["refused_by"]
    assert document["real"] == ["sample/arch/SPX 1d: 5031 bars"]


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _timeless(content: bytes) -> dict[str, Any]:
    return {key: value for key, value in json.loads(content).items() if key != "seconds"}


def test_other_knobs_or_seeds_are_another_experiment(params: Params, tmp_path: Path) -> None:
    def key(**changes: Any) -> str:
        given: dict[str, Any] = {"params": params, "counts": {Kind.GARCH: 2}, "years": 2.0, "timeframe": HOURS4}
        return Experiment(**given | {"seed": 1} | changes).key

    assert key(counts={Kind.GARCH: 200, Kind.EDGE2: 5}) == key()
    cuts = params.gate.model_copy(update={"min_trades": 21})
    for change in ({"seed": 2}, {"years": 3.0}, {"params": params.model_copy(update={"gate": cuts})}):
        assert key(**change) != key()
    experiment = Experiment(params, {Kind.GARCH: 1}, 2.0, HOURS4, 1)
    results = Results(tmp_path, experiment)
    results.put({"kind": "garch", "index": 0, "promoted": True})
    assert results.get(Kind.GARCH, 0) == {"kind": "garch", "index": 0, "promoted": True}
    assert results.get(Kind.GARCH, 1) is None
    (results.folder / "garch-00001.json").write_text("{")
    with pytest.raises(PregaoError, match="cannot be read") as caught:
        results.get(Kind.GARCH, 1)
    assert "Delete it" in caught.value.mend


def test_wrong_use_is_told(home: Path, index: Bars, params: Params) -> None:
    def refused(*arguments: str) -> UsageError:
        with pytest.raises(UsageError) as caught:
            CliRunner().invoke(pregao, ["calibrate-gate", *arguments], catch_exceptions=False)
        return caught.value

    assert "'gauss' is no kind" in refused("--kinds", "garch,gauss").message
    assert "'garch:0' is no kind" in refused("--kinds", "garch:0").message
    assert "No kind" in refused("--kinds", ",").message
    assert "no 1d bars" in refused("--timeframe", "1d").message
    with pytest.raises(UsageError, match="no real bars to shuffle") as caught:
        Experiment(params, {Kind.SHUFFLED: 1}, 2.0, HOURS4, 1)
    assert "pregao ingest" in caught.value.mend
    with pytest.raises(UsageError, match="has 900 bars"):
        Experiment(params, {Kind.SHUFFLED: 1}, 2.0, HOURS4, 1, (index[:900],))
