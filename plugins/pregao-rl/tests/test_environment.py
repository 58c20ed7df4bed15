"""The environment: gymnasium's own checker, the engine's own figures, and nothing of the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.conformance import market
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.plan import Plan

pytest.importorskip("gymnasium", reason="needs gymnasium: pip install 'pregao-rl[env]'")
from gymnasium.utils.env_checker import check_env

from pregao_rl.environment import TradingEnv, scale_of


def shortable(bars: Bars) -> Bars:
    return replace(bars, instrument=bars.instrument.model_copy(update={"allow_short": True}))


def env_of(bars: Bars, episode: int = 100, **plan: float) -> TradingEnv:
    return TradingEnv(bars, Plan.of(bars.instrument, bars.timeframe, **plan), episode=episode)


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.filterwarnings("error")
def test_gymnasiums_checker_is_content(short: bool) -> None:
    bars = shortable(market(600)) if short else market(600)
    env = env_of(bars)
    check_env(env, skip_render_check=True)
    assert env.action_space.n == (3 if short else 2)


def test_rewards_add_up_to_what_the_engine_says_of_the_same_orders() -> None:
    bars = market(700)
    plan = Plan.of(bars.instrument, bars.timeframe, take_profit=2, stop_loss=1)
    env = TradingEnv(bars, plan, episode=400)
    start = env.starts[0] + 50
    env.reset(seed=1, options={"start": start})
    # As signals: where it goes in and where it goes out; what changes nothing is no order.
    wanted = np.random.default_rng(4).integers(0, 2, 400)
    signals = np.zeros(401, np.int8)
    signals[:-1] = np.where(wanted == 1, layout.ENTER_LONG, layout.LEAVE)
    rewards = [env.step(int(action))[1] for action in wanted]
    result = run_signals(bars[start : start + 401], plan, signals)
    assert len(result.trades) > 50
    assert np.allclose(rewards, np.diff(result.equity) * 100 / plan.entry_quanta, rtol=0, atol=1e-9)


def test_an_episode_ends_where_it_should_and_begins_with_an_account_of_its_own() -> None:
    env = env_of(market(600), episode=30)
    for seed in (1, 2):
        observed, told = env.reset(seed=seed)
        assert env.starts[0] <= told["row"] <= 600 - 31
        assert observed[-2:].tolist() == [0, 0]
        ends = [env.step(1)[2:4] for _ in range(30)]
        assert ends == [(False, False)] * 29 + [(False, True)]
    first = env.reset(seed=5)[1]["row"]
    assert env.reset(seed=5)[1]["row"] == first != env.reset()[1]["row"]


def test_what_is_seen_does_not_depend_on_what_comes_later() -> None:
    bars = market(600)
    scale = scale_of(np.random.default_rng(1).normal(0, 0.01, (50, 25)))
    env = TradingEnv(bars, Plan.of(bars.instrument, bars.timeframe), episode=100, scale=scale)
    other = market(600, seed=9)
    cut = 300
    columns = {
        name: np.concatenate([getattr(bars, name)[:cut], getattr(other, name)[cut:]])
        for name in ("open", "high", "low", "close", "volume")
    }
    changed = TradingEnv(replace(bars, **columns), env.plan, episode=100, scale=scale)
    seen = []
    for one in (env, changed):
        rows = [one.reset(options={"start": cut - 60})[0]]
        rows += [one.step(i % 3 // 2)[0] for i in range(60)]
        seen.append(np.array(rows))
    assert np.array_equal(seen[0][:60], seen[1][:60])
    assert not np.array_equal(seen[0][60], seen[1][60])


def test_the_scale_leaves_out_what_is_missing_and_what_never_varies() -> None:
    frame = np.array([[1.0, np.nan, 5.0], [3.0, np.nan, 5.0], [np.nan, np.nan, 5.0]])
    assert scale_of(frame).tolist() == [[2.0, 0.0, 5.0], [1.0, 1.0, 1.0]]


def test_bars_that_are_too_few_and_starts_outside_are_refused() -> None:
    with pytest.raises(UsageError, match="too few for a warm-up"):
        env_of(market(100), episode=90)
    with pytest.raises(UsageError, match="starts at a bar from"):
        env_of(market(300)).reset(options={"start": 3})
