"""What features look at beside their instrument's bars: another instrument, known when it has closed; trading hours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from pregao.core.bars import Bar, Bars
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.features.conformance import made, market, other_market
from pregao.features.sets import FeatureSet, feature_set
from pregao.learning.labels import examples
from pregao.market.hours import TradingHours
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest
from pregao.strategies.contract import Context, Intent, JsonDict

FULL = feature_set("full")
MARKET = FeatureSet("market", feature_set("full-market").families[-1:])
AGE, RETURN = MARKET.names.index("market_age"), MARKET.names.index("market_return_1")


def closes(bars: Bars) -> list[Bar]:
    return [bars.bar(i) for i in range(len(bars))]


def test_a_bar_of_the_other_instrument_counts_when_it_has_closed() -> None:
    own, other = closes(market(4)), closes(market(4))
    stream = MARKET.stream(900)
    assert np.isnan(stream.update(own[0])[AGE])
    stream.observe("market", other[0])
    stream.observe("market", other[1])
    stream.observe("market", other[2])  # closes after own[1]: it is known too early, and not looked at
    assert stream.update(own[1])[AGE] == 0
    assert stream.update(own[2])[RETURN] == pytest.approx(np.log(other[2].close / other[1].close))
    assert stream.update(own[3])[AGE] == (own[3].close_ns - own[2].close_ns) / 900e9


def test_a_stale_close_is_missing() -> None:
    bars = market(400)
    age = made(MARKET, bars, bars[:100])[:, AGE]
    since = (bars.close_ns - bars.close_ns[99]) / 900e9
    assert (age[100:][since[100:] <= 60] == since[100:][since[100:] <= 60]).all()
    assert np.isnan(age[100:][since[100:] > 60]).all()
    assert np.isnan(age).any()


def test_the_other_instrument_moves_no_feature_of_ones_own() -> None:
    bars = market(500)
    both = made(feature_set("full-market"), bars, other_market(bars))
    assert both[:, : len(FULL.names)].tobytes() == made(FULL, bars).tobytes()


def test_following_the_market_exactly_has_a_beta_and_a_correlation_of_one() -> None:
    bars = market(300)
    last = dict(zip(MARKET.names, made(MARKET, bars, bars)[-1], strict=True))
    assert last["market_beta_60"] == pytest.approx(1, abs=1e-12)
    assert last["market_correlation_60"] == pytest.approx(1, abs=1e-12)
    assert last["relative_16"] == 0.0


def test_what_cannot_be_used_is_refused() -> None:
    bars = market(300)
    stream = MARKET.stream(900)
    with pytest.raises(UsageError, match="no other instrument 'gold'"):
        stream.observe("gold", bars.bar(0))
    with pytest.raises(UsageError, match="last 60 s, one's own 900 s"):
        stream.observe("market", bars.bar(0)._replace(close_ns=bars.bar(0).open_ns + 60 * 10**9))
    stream.observe("market", bars.bar(3))
    with pytest.raises(UsageError, match="after a later one"):
        stream.observe("market", bars.bar(3))
    with pytest.raises(UsageError, match="looks at the bars of another instrument, its market"):
        MARKET.batch(bars)
    with pytest.raises(UsageError, match="'full' needs the trading hours"):
        FULL.batch(bars)


class Recording:
    """Keeps the features that it is shown."""

    feature_set = "full"

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def warmup(self) -> int:
        return 1

    def on_bar(self, ctx: Context, _: Bar) -> Iterable[Intent]:
        self.seen.append(ctx.features.copy())
        return ()

    def save(self) -> JsonDict:
        return {}

    def load(self, _: JsonDict) -> None:
        return


def quarter_hours() -> tuple[Bars, Plan]:
    bars = market(1_500)
    stock = bars.instrument.model_copy(update={"asset_class": "stock", "calendar": "XNYS", "symbol": "TEST"})
    bars = replace(bars, instrument=stock)
    return bars, Plan.of(stock, Timeframe.parse("15m"), cash=10_000, entry_value=1_000, take_profit=2, stop_loss=1)


def test_a_strategy_sees_what_training_saw_the_exchanges_hours_included() -> None:
    bars, plan = quarter_hours()
    strategy = Recording()
    backtest(strategy, bars, plan)
    batch = FULL.batch(bars, hours=TradingHours("XNYS"))
    assert np.array(strategy.seen).tobytes() == batch.tobytes()
    over = batch[:, FULL.names.index("session_over")]
    assert 0.05 < np.isfinite(over).mean() < 0.5
    assert np.nanmax(over) == 1.0


def test_a_set_that_looks_at_another_instrument_is_refused_where_none_is_given() -> None:
    bars, plan = quarter_hours()
    strategy = Recording()
    strategy.feature_set = "full-market"
    with pytest.raises(UsageError, match="its market, whose bars are not given"):
        backtest(strategy, bars, plan)
    with pytest.raises(UsageError, match="looks at the bars of another instrument, its market"):
        examples(bars, plan, feature_set("full-market"))
    assert len(examples(bars, plan, feature_set("full-market"), {"market": bars})) > 1_000
