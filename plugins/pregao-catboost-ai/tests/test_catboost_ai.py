"""The AI's decisions at a desk, with a model trained on the spot and with models made to measure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.features.sets import feature_set
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest, desk_for
from pregao.strategies.conformance import StrategyConformance
from pregao.strategies.contract import Enter, Intent, Note, Reason
from pregao.strategies.registry import configured, discover
from pregao_catboost_ai.strategy import CatBoostAI, CatBoostAIConfig

WARMUP = feature_set("core25").warmup
META = {"threshold": 0.002, "payoff": {"win": 0.02, "loss": -0.01}, "feature_set": "core25"}


class TestConformance(StrategyConformance):
    strategy = "catboost-ai"


class FixedModel:
    """A model whose chance is a function of one feature, so that a test knows what it says."""

    name, version = "test", "1"

    def __init__(self, chance: float | None = None, **meta: Any) -> None:
        self.chance = chance
        self.meta = META | meta

    def probability(self, features: np.ndarray) -> float:
        assert features.shape == (25,)
        assert np.isfinite(features[0])
        return self.chance if self.chance is not None else float(1 / (1 + np.exp(-800 * features[3])))

    def explain(self, features: np.ndarray, top: int = 3) -> tuple[tuple[str, float], ...]:
        return tuple((why.name, why.weight) for why in self.reasons(features, top))

    def reasons(self, features: np.ndarray, top: int = 3) -> tuple[Reason, ...]:
        return (
            Reason("return_8", 0.5, 0.01, "the price rose unusually much over the last 8 bars"),
            Reason("rsi_14", -0.2, 75.0, "the 14-bar RSI is overbought"),
            Reason("atr_14", 0.1, 0.01, "the 14-bar average true range is as usual"),
        )[:top]


@pytest.fixture(scope="module")
def bars() -> Bars:
    instrument = Instrument(
        symbol="TEST/USDT", source="test", venue="test", asset_class="crypto", base="TEST", quote="USDT",
        tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"),
    )  # fmt: skip
    rng = np.random.default_rng(11)
    close = np.rint(30_000 * np.exp(np.cumsum(rng.normal(0, 0.004, 600)))).astype(np.int64)
    open_ = np.r_[close[0], close[:-1]]
    reach = rng.integers(0, 60, 600)
    at = 1_700_000_100 * 10**9 + np.arange(600) * 900 * 10**9
    high, low = np.maximum(open_, close) + reach, np.minimum(open_, close) - reach
    return Bars(instrument, Timeframe.parse("15m"), at, open_, high, low, close, rng.lognormal(3, 1, 600))


@pytest.fixture
def plan(bars: Bars) -> Plan:
    return Plan.of(bars.instrument, bars.timeframe, take_profit=2, stop_loss=1, horizon=48)


def play(bars: Bars, plan: Plan, model: Any, **config: Any) -> Iterator[tuple[int, list[Intent]]]:
    desk = desk_for(plan, CatBoostAI(CatBoostAIConfig(**config)), 0, model)
    for i in range(len(bars)):
        _, intents = desk.on_bar(bars.bar(i))
        yield i, intents


def test_it_is_found_by_its_name() -> None:
    (plugin,) = [p for p in discover() if p.name == "catboost-ai"]
    assert (plugin.state, plugin.distribution) == ("ok", "pregao-catboost-ai")
    strategy = configured("catboost-ai", {"margin": 0.1})
    assert isinstance(strategy, CatBoostAI)
    assert strategy.title == "CatBoost AI"


def test_it_needs_a_model(bars: Bars, plan: Plan) -> None:
    with pytest.raises(UsageError, match="needs a trained model"):
        backtest(CatBoostAI(CatBoostAIConfig()), bars, plan)


def test_it_waits_for_its_features_and_then_speaks_at_every_bar(bars: Bars, plan: Plan) -> None:
    spoken = dict(play(bars, plan, FixedModel(0.1)))
    assert not any(spoken[i] for i in range(WARMUP - 1))
    for i in range(WARMUP - 1, len(bars)):
        (note,) = spoken[i]
        assert isinstance(note, Note)
        assert note.probability == 0.1
        assert note.expected_value == pytest.approx(0.1 * 0.02 - 0.9 * 0.01)
        assert note.top == ()


def test_it_enters_at_the_threshold_and_says_why(bars: Bars, plan: Plan) -> None:
    # 0.4 * 2 % - 0.6 * 1 % is just the threshold of 0.2 %.
    spoken = dict(play(bars, plan, FixedModel(0.4, threshold=0.4 * 0.02 + (1.0 - 0.4) * -0.01)))
    (entry,) = spoken[WARMUP - 1]
    assert isinstance(entry, Enter)
    assert (entry.side, entry.fraction, entry.probability) == ("long", 1.0, 0.4)
    assert entry.top == (("return_8", 0.5), ("rsi_14", -0.2), ("atr_14", 0.1))
    assert entry.reason == (
        "expected value +0.20%, asked for 0.20%: the price rose unusually much over the last 8 bars (return_8, +0.50); "
        "the 14-bar RSI is overbought (rsi_14, -0.20); the 14-bar average true range is as usual (atr_14, +0.10)"
    )
    (held,) = spoken[WARMUP]
    assert isinstance(held, Note)
    assert "in the market already" in held.reason


def test_the_margin_asks_for_more(bars: Bars, plan: Plan) -> None:
    def entries(**config: Any) -> int:
        return sum(isinstance(x, Enter) for _, intents in play(bars, plan, FixedModel(), **config) for x in intents)

    assert entries(margin=5.0) == 0 < entries(margin=0.5) < entries()


def test_the_desk_trades_what_it_says(bars: Bars, plan: Plan) -> None:
    result = backtest(CatBoostAI(CatBoostAIConfig()), bars, plan, model=FixedModel())
    entries = {
        bars.bar(i).close_ns for i, said in play(bars, plan, FixedModel()) if any(isinstance(x, Enter) for x in said)
    }
    assert set(result.trades["entry_ns"]) <= entries
    assert len(result.trades) > 3


def test_it_does_not_see_the_future(bars: Bars, plan: Plan) -> None:
    whole = dict(play(bars, plan, FixedModel()))
    rng = np.random.default_rng(0)
    for cut in (80, 200, 411):
        close, volume = (np.r_[column[:cut], rng.permutation(column[cut:])] for column in (bars.close, bars.volume))
        high, low = np.maximum(bars.high, close), np.minimum(bars.low, close)
        other = replace(bars, high=high, low=low, close=close, volume=volume)
        scrambled = dict(play(other, plan, FixedModel()))
        assert all(scrambled[i] == whole[i] for i in range(cut))


def test_stopped_and_restored_it_goes_on_alike(bars: Bars, plan: Plan) -> None:
    whole = dict(play(bars, plan, FixedModel()))
    for cut in (10, WARMUP, 300):
        first = desk_for(plan, CatBoostAI(CatBoostAIConfig()), 0, FixedModel())
        for i in range(cut):
            first.on_bar(bars.bar(i))
        second = desk_for(plan, CatBoostAI(CatBoostAIConfig()), 0, FixedModel())
        second.restore(first.to_bytes())
        assert [second.on_bar(bars.bar(i))[1] for i in range(cut, len(bars))] == [
            whole[i] for i in range(cut, len(bars))
        ]


def test_its_settings_make_a_form() -> None:
    schema = CatBoostAIConfig.model_json_schema()
    field = schema["properties"]["margin"]
    assert (field["title"], field["minimum"], field["maximum"], field["unit"]) == ("Margin", 0.0, 5.0, "%")
    json.dumps(schema)
    for wrong in ({"margin": -1}, {"margin": 9}, {"margni": 1}):
        with pytest.raises(ValidationError):
            CatBoostAIConfig(**wrong)
