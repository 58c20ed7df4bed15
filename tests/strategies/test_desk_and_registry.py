"""The desk runs any strategy over bars; the registry lists plugins and survives broken ones."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from candles import MINUTE, ONE, PLAN

from pregao.core.bars import Bar, Bars
from pregao.core.errors import NotFoundError, UsageError
from pregao.simulation.backtest import run_signals
from pregao.strategies import registry
from pregao.strategies.answers import StrategyError
from pregao.strategies.backtest import backtest, desk_for
from pregao.strategies.contract import Account, Context, Enter, Exit, Intent, Note, StrategyConfig
from pregao.strategies.registry import BrokenPluginError, configured, discover, load


class Empty(StrategyConfig):
    """Nothing to set."""


class Seen(NamedTuple):
    """What a strategy saw of one bar."""

    now_ns: int
    account: Account
    closes: np.ndarray
    chance: float
    again: float


class Scripted:
    """Says what it is told to, bar by bar."""

    api = 1
    title = "Scripted"
    Config = Empty
    script: ClassVar[list[Any]] = []

    def __init__(self, config: Empty) -> None:
        self.at = 0
        self.seen: list[Seen] = []

    def warmup(self) -> int:
        return 1

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        self.seen.append(Seen(ctx.now_ns, ctx.account, ctx.closes, ctx.rng.random(), ctx.rng.random()))
        ctx.closes[:] = 0  # its own copy
        answer = self.script[self.at]
        self.at += 1
        return answer  # type: ignore[no-any-return]

    def save(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: dict[str, Any]) -> None:
        self.at = state["at"]


def market(n: int, seed: int = 3) -> Bars:
    rng = np.random.default_rng(seed)
    close = np.maximum(1_000 + np.cumsum(rng.integers(-30, 31, n)), 50).astype(np.int64)
    opened = np.r_[close[:1], close[:-1]]
    high, low = np.maximum(opened, close) + 8, np.minimum(opened, close) - 8
    times = np.arange(n, dtype=np.int64) * MINUTE.ns
    return Bars(ONE, MINUTE, times, opened, high, low, close, np.ones(n))


def scripted(script: list[Any]) -> Scripted:
    strategy = Scripted(Empty())
    strategy.script = script  # type: ignore[misc]
    return strategy


def test_a_strategy_and_its_signals_make_the_same_history_to_the_byte() -> None:
    bars = market(600)
    signals = np.random.default_rng(5).choice(np.array([0, 0, 0, 1, 2], np.int8), 600)
    script = [{0: (), 1: (Enter(),), 2: (Exit(),)}[int(s)] for s in signals]
    ours, compiled = backtest(scripted(script), bars, PLAN), run_signals(bars, PLAN, signals)
    assert len(ours.trades) > 20
    assert ours.digest == compiled.digest
    assert np.array_equal(ours.equity, compiled.equity)
    assert np.array_equal(ours.positions, compiled.positions)


def test_a_desk_goes_on_from_its_saved_state_as_if_never_stopped() -> None:
    bars = market(300)
    cross = {"fast": 5, "slow": 13}
    whole = desk_for(PLAN, configured("ma-cross", cross))
    history = [whole.on_bar(bars.bar(i)) for i in range(300)]
    for cut in (0, 40, 77, 299):
        first = desk_for(PLAN, configured("ma-cross", cross))
        for i in range(cut):
            first.on_bar(bars.bar(i))
        second = desk_for(PLAN, configured("ma-cross", cross))
        second.restore(first.to_bytes())
        assert [second.on_bar(bars.bar(i)) for i in range(cut, 300)] == history[cut:]
        assert second.to_bytes() == whole.to_bytes()


def test_replaying_recorded_intents_never_asks_the_strategy() -> None:
    bars = market(200)
    live = desk_for(PLAN, configured("ma-cross", {"fast": 3, "slow": 8}))
    record = [live.on_bar(bars.bar(i)) for i in range(200)]
    replay = desk_for(PLAN, scripted([]))
    for i, (events, intents) in enumerate(record):
        assert replay.market(bars.bar(i)) + replay.apply(intents) == events
    assert replay.digest() == live.digest()


def test_warming_up_fills_the_closes_and_leaves_the_account_alone() -> None:
    bars = market(200)
    warm = desk_for(PLAN, configured("ma-cross", {"fast": 3, "slow": 8}))
    assert warm.history == 32
    warm.warm(bars.bar(i) for i in range(100))
    assert warm.engine.account.bars == 0
    result = backtest(configured("ma-cross", {"fast": 3, "slow": 8}), bars[100:], PLAN, before=bars[:100])
    assert len(result.equity) == 100
    assert result.engine.account.bars == 100


def test_the_strategy_sees_only_the_past_and_its_own_account() -> None:
    bars = market(50)
    strategy = scripted([(Enter(),), *[()] * 49])
    backtest(strategy, bars, replace(PLAN, entry_quanta=50_000 * 10**8))
    for i, seen in enumerate(strategy.seen):
        assert seen.now_ns == bars.bar(i).close_ns
        assert seen.closes.tolist() == bars.close[max(i - 1, 0) : i + 1].tolist()
        assert seen.chance == seen.again
    assert strategy.seen[0].account.position == 0
    assert strategy.seen[1].account.position > 0
    assert strategy.seen[1].chance != strategy.seen[2].chance


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "returned None"),
        (("buy",), "an intent is"),
        ((Enter(fraction=0),), "fraction"),
        ((Enter(fraction=float("nan")),), "fraction"),
        ((Enter(side="up"),), "side"),  # type: ignore[arg-type]
    ],
)
def test_nonsense_from_a_strategy_is_named(answer: Any, words: str) -> None:
    with pytest.raises(StrategyError, match=words):
        backtest(scripted([answer]), market(1), PLAN)


def test_a_note_does_nothing() -> None:
    result = backtest(scripted([(Note(reason="thinking"),)] * 20), market(20), PLAN)
    assert len(result.events) == 0


def test_a_strategy_that_needs_a_model_says_so() -> None:
    strategy = scripted([])
    strategy.needs_model = True  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="needs a trained model"):
        desk_for(PLAN, strategy)


def test_settings_are_validated_by_the_strategys_own_config() -> None:
    assert configured("ma-cross", {"fast": 3, "slow": 9}).warmup() == 36
    with pytest.raises(UsageError, match="slow: Input should be"):
        configured("ma-cross", {"slow": "many"})
    with pytest.raises(UsageError, match="shorter than the slow"):
        configured("ma-cross", {"fast": 30, "slow": 9})
    with pytest.raises(UsageError, match="speed: Extra inputs"):
        configured("ma-cross", {"speed": 1})
    with pytest.raises(NotFoundError, match="buy-and-hold"):
        load("nonsense")


def distribution(folder: Path, name: str, body: str, strategy: str = "weird") -> None:
    """An installed distribution with one strategy, as pip would leave it on disk."""
    info = folder / f"{name.replace('-', '_')}-1.2.3.dist-info"
    info.mkdir(parents=True)
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(body)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{strategy} = {module}:Mine\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder


@pytest.mark.parametrize(
    ("module", "body", "words"),
    [
        ("plug-raises", "raise ValueError('no luck')", "ValueError: no luck"),
        ("plug-exits", "import sys; sys.exit(3)", "SystemExit: 3"),
        ("plug-empty", "", "Mine"),
        ("plug-number", "Mine = 3", "it is a int, not a class"),
        ("plug-old", "class Mine: api = 0", "its api is 0, this platform speaks 1"),
        ("plug-bare", "class Mine: api = 1", "its Config is not a StrategyConfig"),
    ],
)
def test_a_broken_plugin_is_shown_with_its_error_and_disturbs_no_other(
    site: Path, module: str, body: str, words: str
) -> None:
    distribution(site, module, body)
    found = {p.name: p.inspected() for p in discover()}
    assert found["weird"].state == "broken"
    assert words in found["weird"].error
    assert (found["weird"].distribution, found["weird"].version) == (module, "1.2.3")
    assert found["ma-cross"].state == "ok"
    with pytest.raises(BrokenPluginError, match=r"Mend or reinstall|contract"):
        load("weird")


def test_two_plugins_with_one_name_are_both_shown_and_neither_wins(site: Path) -> None:
    good = "from pregao_classics.buy_and_hold import BuyAndHold as Mine"
    distribution(site, "plug-one", good, "twin")
    distribution(site, "plug-two", good, "twin")
    found = [p for p in discover() if p.entry.name == "twin"]
    assert [(p.name, p.state) for p in found] == [("plug-one:twin", "ambiguous"), ("plug-two:twin", "ambiguous")]
    assert load("plug-two:twin").title == "Buy and hold"
    with pytest.raises(UsageError, match="Say which: plug-one:twin, plug-two:twin"):
        load("twin")
