"""The ensemble: what a record is worth, how votes become orders, and that nothing is counted before it was seen."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.features.conformance import market
from pregao.simulation.plan import Plan
from pregao.simulation.significance import Sample, Trials, deflated_sharpe
from pregao.strategies.backtest import backtest, desk_for
from pregao.strategies.conformance import StrategyConformance
from pregao.strategies.contract import Enter, Exit, Intent, Note
from pregao.strategies.registry import configured
from pregao_ensemble.members import parsed
from pregao_ensemble.strategy import Ensemble, EnsembleConfig
from pregao_ensemble.weights import weigh

DAY = Timeframe.parse("1d")
ONE = Instrument(
    symbol="ONE", source="test", venue="test", asset_class="crypto", base="ONE", quote="USD",
    tick_size=Decimal(1), lot_size=Decimal("0.001"),
)  # fmt: skip
EAGER = {"window": 30, "every": 5, "confidence": 50.0, "quorum": 30.0}
"""Settings with which it trades often, so that there is something to look at."""


class TestEnsemble(StrategyConformance):
    strategy = "ensemble"
    config = EAGER | {"members": "ma-cross fast=3 slow=8; rsi-reversion span=6"}
    anchored = True  # a record begins where the session begins


@pytest.mark.long  # the model's features and those of the member's own, at each bar of each run
class TestEnsembleWithAI(StrategyConformance):
    strategy = "ensemble-ai"
    config = EAGER | {"members": "catboost-ai; ma-cross fast=3 slow=8; rsi-reversion span=6"}
    anchored = True


# What a record is worth


def test_weights_follow_the_deflated_sharpe_ratio_and_add_up_to_one() -> None:
    rng = np.random.default_rng(3)
    records = [rng.normal(mean, 0.01, 400) for mean in (0.004, 0.003, 0.0, -0.003)]
    standings = weigh(records, 400, 0.95)
    samples = [Sample.of(record) for record in records]
    trials = Trials(4, 1 / 399)
    for standing, sample in zip(standings, samples, strict=True):
        assert standing.chance == deflated_sharpe(sample, trials).value
    first, second, third, fourth = standings
    assert first.weight > second.weight > 0
    assert (third.weight, fourth.weight) == (0, 0)
    assert first.weight + second.weight == pytest.approx(1)
    assert "sure" in fourth.why_not


def test_the_same_record_counts_for_less_among_more_members() -> None:
    rng = np.random.default_rng(5)
    good = rng.normal(0.0014, 0.01, 400)
    others = [rng.normal(0, 0.01, 400) for _ in range(9)]
    alone, among = weigh([good], 400, 0.95)[0], weigh([good, *others], 400, 0.95)[0]
    assert alone.weight == 1.0
    assert among.chance < 0.95 < alone.chance
    assert among.weight == 0.0


def test_of_worthless_members_hardly_any_ever_passes() -> None:
    rng = np.random.default_rng(8)
    worthless = [list(rng.normal(0, 0.01, (5, 240))) for _ in range(400)]
    passed = sum(any(s.weight for s in weigh(records, 240, 0.95)) for records in worthless)
    undeflated = sum(any(weigh([record], 240, 0.95)[0].weight for record in records) for records in worthless)
    assert passed <= 400 * 0.05
    assert undeflated >= 400 * 0.15


def test_a_record_too_short_or_of_no_trades_has_no_weight() -> None:
    rng = np.random.default_rng(2)
    young, idle, good = rng.normal(0.01, 0.01, 99), np.zeros(100), rng.normal(0.01, 0.01, 100)
    standings = weigh([young, idle, good], 100, 0.95)
    assert [s.why_not for s in standings[:2]] == ["99 of 100 bars seen", "never traded"]
    assert (standings[2].weight, standings[2].why_not) == (1.0, "")


# How votes become orders


def bars_of(closes: np.ndarray, at: int = 0) -> Bars:
    close = np.asarray(closes, np.int64)
    opened = np.r_[close[:1], close[:-1]]
    times = at + np.arange(len(close)) * DAY.ns
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return Bars(ONE, DAY, times, opened, high, low, close, np.ones(len(close)))


def play(strategy: Any, bars: Bars, **plan: Any) -> dict[int, tuple[Intent, ...]]:
    desk = desk_for(Plan.of(bars.instrument, bars.timeframe, **({"take_profit": 0, "stop_loss": 0} | plan)), strategy)
    return {i: desk.on_bar(bars.bar(i))[1] for i in range(len(bars))}


def rising(n: int, drift: float, seed: int = 1) -> np.ndarray:
    return np.rint(100_000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(drift, 0.01, n)))).astype(np.int64)


def test_it_stays_out_until_a_record_is_whole_and_says_why() -> None:
    strategy = configured("ensemble", {"members": "buy-and-hold", "window": 60, "every": 10})
    spoken = play(strategy, bars_of(rising(120, 0.006)))
    assert isinstance(spoken[0][0], Note)
    assert spoken[0][0].reason == "it stays out, 95% asked: buy-and-hold 1 of 60 bars seen"
    entered = [i for i, said in spoken.items() if any(isinstance(x, Enter) for x in said)]
    assert entered == [60]  # weighed at bars 0, 10, ..., and whole with the sixtieth
    (entry,) = spoken[60]
    assert isinstance(entry, Enter)
    assert (entry.side, entry.fraction) == ("long", 1.0)
    assert entry.reason.startswith("the vote is +100%; weights: buy-and-hold 100% (")


def test_it_leaves_when_the_record_fades() -> None:
    closes = np.concatenate([rising(100, 0.006), rising(100, 0.006)[-1] * rising(150, -0.006, 4) // 100_000])
    spoken = play(configured("ensemble", {"members": "buy-and-hold", "window": 60, "every": 10}), bars_of(closes))
    kinds = [(i, type(x)) for i, said in spoken.items() for x in said if not isinstance(x, Note)]
    assert [kind for _, kind in kinds] == [Enter, Exit]
    assert kinds[1][0] > 100
    assert kinds[1][0] % 10 == 0


def test_after_an_exit_of_the_session_it_waits_for_a_new_vote() -> None:
    strategy = configured("ensemble", {"members": "buy-and-hold", "window": 60, "every": 10})
    result = backtest(strategy, bars_of(rising(200, 0.006)), Plan.of(ONE, DAY, take_profit=3, stop_loss=0))
    assert len(result.trades) == 1


def test_the_vote_is_the_weight_of_those_that_are_in() -> None:
    """A member that is always in and one that is out: the part of the entry value is the first one's weight."""
    strategy = configured("ensemble", {"members": "buy-and-hold; ma-cross fast=3 slow=8", **EAGER})
    spoken = play(strategy, bars_of(rising(300, 0.004)))
    entries = [x for said in spoken.values() for x in said if isinstance(x, Enter)]
    assert entries
    for entry in entries:
        vote = float(entry.reason.split("%")[0].split("+")[1]) / 100
        assert entry.fraction == pytest.approx(vote, abs=0.006)
        assert 0.3 <= entry.fraction <= 1


def test_it_sells_short_only_where_that_is_allowed() -> None:
    falling = bars_of(rising(200, -0.006))
    short = {"members": "buy-and-hold", "window": 60, "every": 10}
    strategy = configured("ensemble", short)
    # A member that is long loses here; one that is short wins, and votes for the short side.
    strategy._members[0]._strategy.on_bar = lambda ctx, bar: (Enter("short"),) if not ctx.account.position else ()
    assert not [x for said in play(strategy, falling).values() for x in said if isinstance(x, Enter)]
    allowed = Bars(
        ONE.model_copy(update={"allow_short": True}), DAY, falling.open_ns, falling.open, falling.high, falling.low,
        falling.close, falling.volume,
    )  # fmt: skip
    strategy = configured("ensemble", short)
    strategy._members[0]._strategy.on_bar = lambda ctx, bar: (Enter("short"),) if not ctx.account.position else ()
    entries = [x for said in play(strategy, allowed).values() for x in said if isinstance(x, Enter)]
    assert [entry.side for entry in entries] == ["short"]


# The record is what the member would have earned, and nothing of the future


@pytest.mark.parametrize("name", ["ma-cross", "rsi-reversion", "donchian-breakout", "grid"])
def test_a_members_record_is_that_of_its_own_backtest(name: str) -> None:
    bars = market(900)
    strategy = Ensemble(EnsembleConfig(members=name, window=5_000))
    play(strategy, bars)
    member = strategy._members[0]
    assert member._desk is not None
    alone = backtest(configured(name, {}), bars, member._desk.plan)
    entry = member._desk.plan.entry_quanta
    assert np.allclose(member.record[1:], np.diff(alone.equity) / entry, rtol=0, atol=1e-9)
    assert sum(event.kind == "fill" for event in alone.history()) > 0


def test_what_a_model_has_learnt_from_is_no_record() -> None:
    from pregao.strategies.conformance.case import StandInModel

    bars = market(600)
    model = StandInModel("core25")
    model.meta["train_end_ns"] = int(bars.close_ns[399])
    strategy = configured("ensemble-ai", {"members": "catboost-ai; ma-cross", "window": 1_000})
    desk = desk_for(Plan.of(bars.instrument, bars.timeframe), strategy, 0, model)
    for i in range(len(bars)):
        desk.on_bar(bars.bar(i))
    ai, cross = strategy._members
    assert (len(ai.record), len(cross.record)) == (200, 600)
    assert (ai._desk.plan.take_profit_ppm, ai._desk.plan.horizon_bars) == (20_000, 48)


def test_stopped_anywhere_it_goes_on_alike_with_its_members_accounts() -> None:
    bars = market(500)
    config = {"members": "ma-cross fast=3 slow=8; grid; buy-and-hold", **EAGER}
    whole = play(configured("ensemble", config), bars)
    plan = Plan.of(bars.instrument, bars.timeframe, take_profit=0, stop_loss=0)
    for cut in (0, 1, 137, 300):
        first = desk_for(plan, configured("ensemble", config))
        for i in range(cut):
            first.on_bar(bars.bar(i))
        second = desk_for(plan, configured("ensemble", config))
        second.restore(json.loads(json.dumps(first.to_bytes().decode())).encode())
        assert [second.on_bar(bars.bar(i))[1] for i in range(cut, 500)] == [whole[i] for i in range(cut, 500)]


# Its settings


def test_members_are_read_with_their_settings() -> None:
    assert parsed(" ma-cross fast=5 slow=20;rsi-reversion ; ") == [
        ("ma-cross", {"fast": "5", "slow": "20"}),
        ("rsi-reversion", {}),
    ]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ("", "1 to 16 members"),
        ("; ".join(f"ma-cross fast={i} slow=90" for i in range(2, 20)), "1 to 16 members"),
        ("ma-cross fast=5; ma-cross fast=5", "must differ"),
        ("ma-cross fast", "write name=value"),
        ("fast=5", "begins with the name of a strategy"),
    ],
)
def test_members_that_cannot_be_read_are_named(members: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        EnsembleConfig(members=members)


def test_a_member_that_is_not_installed_or_wrongly_set_is_named() -> None:
    with pytest.raises(NotFoundError, match="no-such"):
        configured("ensemble", {"members": "no-such"})
    with pytest.raises(UsageError, match="the fast average must be shorter"):
        configured("ensemble", {"members": "ma-cross fast=30 slow=20"})
    with pytest.raises(UsageError, match="catboost-ai needs a trained model"):
        configured("ensemble", {"members": "catboost-ai; grid"})


def test_a_member_that_fails_is_named() -> None:
    strategy = configured("ensemble", {"members": "grid"})

    def fail(ctx: Any, bar: Any) -> Any:
        raise ZeroDivisionError("in the grid")

    strategy._members[0]._strategy.on_bar = fail
    with pytest.raises(ZeroDivisionError) as failed:
        play(strategy, bars_of(rising(9, 0.0)))
    assert failed.value.__notes__ == ["It happened in 'grid', a member of the ensemble."]
