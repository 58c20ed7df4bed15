"""A model whose features look at another instrument: from params.yaml through DVC to a backtest and a session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from learning_project import project
from terminal import typed
from trained_market import BRACKET, market

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, UsageError
from pregao.features.sets import feature_set
from pregao.learning import labels, pipeline, registry
from pregao.learning.others import bars_of, keys_of, named
from pregao.learning.retraining import RetrainReport, retrain
from pregao.market.hours import TradingHours
from pregao.market.store import Store
from pregao.sessions.audit import audit
from pregao.sessions.control import SpecError, spec_of, start
from pregao.sessions.decisions import decisions
from pregao.sessions.journal import Journal
from pregao.sessions.outcomes import collect, skews
from pregao.sessions.runtime import run
from pregao.sessions.shadow import every_row
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest
from pregao.strategies.registry import configured, load
from pregao.strategies.sweeping.local import run as run_sweep
from pregao.strategies.sweeping.runs import Market, Sweep
from pregao.strategies.sweeping.space import dimension, grid

pytestmark = pytest.mark.slow
EDGE, NOISE = "synthetic/synthetic/EDGE-USDT", "synthetic/synthetic/NOISE-USDT"
HOLE = slice(2_700, 2_790)
"""Bars that the other instrument lacks, more than the 60 after which it counts as missing."""


def without(bars: Bars, rows: slice) -> Bars:
    kept = np.ones(len(bars), bool)
    kept[rows] = False
    columns = ("open_ns", "open", "high", "low", "close", "volume")
    return replace(bars, **{name: getattr(bars, name)[kept] for name in columns})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RetrainReport]:
    """`full-market` of one instrument beside another that has a hole, through DVC's stages into the registry."""
    home = tmp_path_factory.mktemp("home")
    other = without(market("NOISE/USDT", bars=3_000, edge=0.0), HOLE)
    for _ in project(home, [market("EDGE/USDT", bars=3_000), other]):
        knobs = yaml.safe_load((home / "params.yaml").read_text())
        knobs["features"] = {"set": "full-market", "others": {"market": "NOISE/USDT"}}
        knobs["model"]["iterations"] = 25
        knobs["random_runs"] = 20
        knobs["combinations"] = {"groups": 4, "test_groups": 2}
        (home / "params.yaml").write_text(yaml.safe_dump(knobs))
        made = retrain(EDGE, "15m")
        assert made.version is not None
        registry.promote(made.name, made.version)
        yield made


def test_what_it_learns_from_are_both_and_nothing_runs_again(trained: RetrainReport) -> None:
    model = registry.load(trained.name)
    assert keys_of(model.meta) == {"market": NOISE}
    assert set(trained.stages.values()) == {"ran"}
    again = retrain(EDGE, "15m")
    assert set(again.stages.values()) == {"unchanged"}
    assert (again.version, again.model_digest) == (trained.version, trained.model_digest)
    rows = labels.Examples.read(pipeline.workspace_folder(EDGE, "15m") / "examples.parquet")
    seen = rows.x[:, rows.names.index("market_return_4")]
    assert np.isfinite(seen).mean() > 0.95


def test_a_session_sees_and_does_what_the_backtest_does(trained: RetrainReport) -> None:
    """Bit for bit: the batch's features, the backtest's account, the journal's own replay; a hole is missing."""
    store, model = Store(), registry.load(trained.name)
    bars = store.bars(store.instrument(EDGE), market(bars=400).timeframe)
    others = bars_of(keys_of(model.meta), bars.timeframe, store)
    journal = Journal()
    values = {"instrument": EDGE, "timeframe": "15m", "strategy": "catboost-ai", "feed": {"speed": 0}}
    session = start(spec_of(values | {"isolated": False} | BRACKET), journal)
    run(session, journal)
    rows = list(every_row(journal, session))
    first = next(row.body["t"] for row in rows if row.kind == "bar")
    begin = int(np.searchsorted(bars.open_ns, first))
    whole = feature_set("full-market").batch(bars, others, TradingHours(bars.instrument.calendar))
    chance = dict(zip(bars.close_ns.tolist(), model.probabilities(whole).tolist(), strict=True))
    said = {row.ts_ns: float(row.body["p"]) for row in rows if row.kind == "intent"}
    assert len(said) > 700
    assert all(p == chance[ns] for ns, p in said.items())
    age = whole[:, feature_set("full-market").names.index("market_age")]
    assert np.isnan(age[begin:]).sum() >= HOLE.stop - HOLE.start - 61
    given = [row for row in rows if row.kind == "bar" and "x" in row.body]
    assert all(row.body["x"]["market"][1] <= row.ts_ns for row in given)
    plan = decisions(journal, session).plan
    strategy = configured("catboost-ai", {})
    tested = backtest(strategy, bars[begin:], plan, model=model, before=bars[:begin], others=others)
    assert [row.body["eq"] for row in rows if row.kind == "bar"] == tested.equity.tolist()
    assert tested.metrics()["trades"] > 3
    assert audit(journal, session).identical
    found = collect(journal, store)["sessions"][0]
    assert found["not_reproduced"] == 0
    assert not any(skew.skewed for skew in skews(journal, store, session).values())
    journal.close()


def test_a_sweep_does_what_the_backtests_do_in_one_process_and_in_others(
    trained: RetrainReport, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other processes get the other instrument's bars, too, whether they are forked or begin anew."""
    store, model = Store(), registry.load(trained.name)
    bars = store.bars(store.instrument(EDGE), market(bars=400).timeframe)
    bars, before = bars[2_250:], bars[:2_250]
    others = bars_of(keys_of(model.meta), bars.timeframe, store)
    asked = {"margin": ["0", "0.02"], "take_profit": ["1", "2"]}
    dimensions = [dimension(f"{name}={','.join(values)}", load("catboost-ai").Config) for name, values in asked.items()]
    space = grid("catboost-ai", load("catboost-ai").Config, {}, dimensions)
    plan = {"stop_loss": 1, "horizon": 48}
    whole = Sweep(space, (Market(bars, plan, before, model=model, others=others),))
    results = []
    for setting in space.settings:
        terms = Plan.of(bars.instrument, bars.timeframe, **plan | setting.plan)
        strategy = configured("catboost-ai", setting.strategy)
        results.append(backtest(strategy, bars, terms, model=model, before=before, others=others))
    assert results[0].metrics()["trades"] > 3
    for jobs, begun in ((1, "fork"), (2, "fork"), (2, "spawn")):
        figures = dict(row for rows in run_sweep(whole, whole.runs, jobs, begun) for row in rows)
        assert [figures[k].digest for k in whole.runs] == [result.digest for result in results]
    alone = Sweep(space, (Market(bars, plan, before, model=model, others={"market": others["market"][:-1]}),))
    assert alone.markets[0].digest != whole.markets[0].digest

    words = ("sweep", "--strategy", "catboost-ai", "--data", EDGE, "--grid", "margin=0,0.02", "--jobs", "1", "--json")
    status, out, err = typed(capsys, *words)
    assert status == 0, err
    assert json.loads(out)["runs"] == 2


def test_without_the_other_instrument_it_is_refused(
    trained: RetrainReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    folder = next(path for path in store.root.rglob("*NOISE*") if path.is_dir())
    hidden = tmp_path / "hidden"
    folder.rename(hidden)
    try:
        values = {"instrument": EDGE, "timeframe": "15m", "strategy": "catboost-ai", "feed": {"speed": 0}}
        with pytest.raises(SpecError, match=f"look at {NOISE} as their market, and there are no 15m bars") as caught:
            start(spec_of(values | {"isolated": False} | BRACKET))
        assert "pregao ingest" in caught.value.mend
        assert set(caught.value.problems) == {"model"}
        with pytest.raises(NotFoundError, match="as their market"):
            retrain(EDGE, "15m")
    finally:
        hidden.rename(folder)
    bars = store.bars(store.instrument(EDGE), market(bars=400).timeframe)
    plan = Plan.of(bars.instrument, bars.timeframe, **BRACKET)
    with pytest.raises(UsageError, match="its market, whose bars are not given"):
        backtest(configured("catboost-ai", {}), bars, plan, model=registry.load(trained.name))


def test_what_is_not_named_or_not_there_is_told(trained: RetrainReport) -> None:
    with pytest.raises(UsageError, match="looks at another instrument, its market, and none is named") as caught:
        named(feature_set("full-market"), {})
    assert "params.yaml, under features" in caught.value.mend
    with pytest.raises(UsageError, match="looks at no other instrument 'market'"):
        pipeline.prepare(EDGE, "15m", overrides={"features": {"set": "core25"}})
    with pytest.raises(NotFoundError, match="NOPE/USDT as their market"):
        pipeline.prepare(EDGE, "15m", overrides={"features": {"others": {"market": "NOPE/USDT"}}})
