"""Training with stable-baselines3: run where the extra is installed, skipped with the reason where it is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pregao.core.bars import Bars
from pregao.features.conformance import market
from pregao.operations.project import lay_out
from pregao.settings import settings
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import backtest
from pregao.strategies.conformance import StrategyConformance
from pregao_rl.policy import read
from pregao_rl.strategy import PolicyStrategy, PolicyStrategyConfig
from pregao_rl.training import Knobs, train

for name in ("torch", "stable_baselines3", "gymnasium"):
    pytest.importorskip(name, reason=f"needs {name}: pip install 'pregao-rl[train]'")
QUICK = Knobs(steps=2_000, episode=100, hidden=8)


def plan_of(bars: Bars) -> Plan:
    return Plan.of(bars.instrument, bars.timeframe, take_profit=0, stop_loss=0)


def waves(n: int = 1_200) -> Bars:
    """A market whose next bars follow from its last: it rises for twelve bars and falls for twelve."""
    bars = market(n)
    steps = np.where(np.arange(n) // 12 % 2 == 0, 60, -60) + np.random.default_rng(3).integers(-10, 11, n)
    close = 30_000 + np.cumsum(steps)
    opened = np.r_[close[:1], close[:-1]]
    return Bars(
        bars.instrument, bars.timeframe, bars.open_ns, opened, np.maximum(opened, close) + 5,
        np.minimum(opened, close) - 5, close, bars.volume,
    )  # fmt: skip


class TestTrained(StrategyConformance):
    strategy = "rl-policy"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _a_policy(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        bars = market(800)
        policy = train(bars, plan_of(bars), "core25", QUICK, 7)
        cls.config = {"policy": str(policy.write(tmp_path_factory.mktemp("policies")))}


def test_numpy_computes_what_the_network_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    import stable_baselines3
    import torch

    learners = []

    class Kept(stable_baselines3.PPO):
        def __init__(self, *args: object, **named: object) -> None:
            super().__init__(*args, **named)
            learners.append(self)

    monkeypatch.setattr(stable_baselines3, "PPO", Kept)
    bars = market(800)
    policy = train(bars, plan_of(bars), "core25", QUICK, 7)
    seen = np.random.default_rng(1).uniform(-5, 5, (200, len(policy.mean) + 2)).astype(np.float32)
    with torch.no_grad():
        theirs = learners[0].policy.get_distribution(torch.as_tensor(seen)).distribution.probs.numpy()
    ours = np.array([policy.shares(row.astype(np.float64)) for row in seen])
    assert np.allclose(ours, theirs, atol=1e-5)


def test_the_same_seed_learns_the_same_policy_and_another_one_another() -> None:
    bars = market(800)
    digests = [train(bars, plan_of(bars), "core25", QUICK, seed).digest for seed in (7, 7, 8)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_it_learns_where_there_is_something_to_learn() -> None:
    """On waves that anyone would see it earns after costs, on bars that it has not learnt from."""
    bars = waves()
    policy = train(bars[:800], plan_of(bars), "core25", Knobs(steps=30_000, episode=200), 7)
    strategy = PolicyStrategy(PolicyStrategyConfig())
    strategy.policy = policy
    result = backtest(strategy, bars[800:], plan_of(bars), before=bars[:800])
    held = bars.close[-1] / bars.close[800] - 1
    assert result.metrics()["net_return"] > 0.01 > held / 10


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project's folder of its own."""
    lay_out(tmp_path, print)
    monkeypatch.setenv("PREGAO_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_the_command_trains_judges_keeps_and_lists(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pregao.cli import main as pregao
    from pregao_rl.command import main

    pregao(["ingest", "--source", "synthetic", "--symbol", "NOISE/USDT", "--timeframe", "1h", "--option", "bars=2000"])
    capsys.readouterr()
    main(
        ["train", "NOISE/USDT", "--timeframe", "1h", "--steps", "1000", "--episode", "100", "--combinations", "--json"]
    )
    told = json.loads(capsys.readouterr().out)
    policy = read(Path(told["policy"]))
    assert policy.digest == told["digest"]
    assert told["gate"]["passed"] is False
    assert len(told["gate"]["reasons"]) == 11
    assert told["report"]["overfitting"]["splits"] == 15
    assert (told["version"], told["promoted"]) == ("1", False)
    assert Path(told["policy"]).is_relative_to(home)
    assert {"data_version", "code_version", "params_hash", "train_end_ns"} <= policy.lineage.keys()
    main(["list", "--json"])
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["path"], one["asked"], one["version"]) == (told["policy"], 11, "1")
    main(["fetch", "NOISE/USDT", "--timeframe", "1h", "--version", "1"])
    assert capsys.readouterr().out.strip() == one["path"]
    # The bars held out of training are for the replay: here the whole series is run over.
    pregao(["backtest", "--strategy", "rl-policy", "--set", f"policy={one['path']}", "--data", "NOISE/USDT", "--json"])
    assert json.loads(capsys.readouterr().out)["bars"] == 2_000
    # Asked again without the combinations it is the very same policy, told in words.
    main(["train", "NOISE/USDT", "--timeframe", "1h", "--steps", "1000", "--episode", "100"])
    said = capsys.readouterr().out
    assert said.count("failed  ") + said.count("passed  ") == 11
    assert f"{one['path']}\nVersion 2 of pregao-rl.synthetic.synthetic.NOISE-USDT.1h.\n" in said
    # And a session lives with it, in a process of its own, and can be proved.
    spec = ["--data", "NOISE/USDT", "--timeframe", "1h", "--strategy", "rl-policy", "--set", f"policy={one['path']}"]
    pregao(["trade", "start", *spec, "--entry-value", "1000", "--speed", "0", "--here"])
    capsys.readouterr()
    pregao(["trade", "list", "--all", "--json"])
    (session,) = json.loads(capsys.readouterr().out)
    assert (session["status"], session["bars"]) == ("finished", session["bars_total"])
    pregao(["audit", session["id"], "--json"])
    assert json.loads(capsys.readouterr().out)["identical"] is True
