"""Training: proximal policy optimisation by stable-baselines3, and the way from its network to a `Policy`.

Needs ``pip install 'pregao-rl[train]'``; J. Schulman and others, "Proximal Policy Optimization Algorithms", 2017,
arXiv:1707.06347. The knobs are the library's own but for a small network and a little more entropy, and none was tuned.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from pregao.core.bars import Bars
from pregao.core.errors import PregaoError
from pregao.features.sets import feature_set
from pregao.simulation.plan import Plan
from pregao_rl.policy import Policy

MISSING = "Training needs gymnasium, stable-baselines3 and PyTorch, and {name} is not installed."
MEND = (
    "pip install 'pregao-rl[train]'. On Linux PyPI's torch brings some gigabytes of CUDA along; the one for processors "
    "alone: pip install torch --index-url https://download.pytorch.org/whl/cpu"
)
_MADE_WITH = ("pregao", "stable-baselines3", "gymnasium", "torch")


@dataclass(frozen=True)
class Knobs:
    """How to train.

    Attributes:
        steps: bars that are lived through in all.
        episode: bars of an episode.
        hidden: width of the network's two layers.
        discount: what a reward a bar later is worth.
        entropy: how much trying things out is rewarded.
    """

    steps: int = 20_000
    episode: int = 250
    hidden: int = 32
    discount: float = 0.99
    entropy: float = 0.01


def train(bars: Bars, plan: Plan, features: str, knobs: Knobs, seed: int, rows: np.ndarray | None = None) -> Policy:
    """Learn a policy on these bars; nothing else is looked at. The same arguments give the same policy.

    Args:
        rows: the bars that it may live through, see `pregao_rl.environment.TradingEnv`.

    Raises:
        PregaoError: if a library is missing.
        UsageError: if the bars are too few.
    """
    try:
        import torch
        from stable_baselines3 import PPO
        from stable_baselines3.common.logger import Logger

        from pregao_rl.environment import TradingEnv
    except ModuleNotFoundError as error:
        raise PregaoError(MISSING.format(name=error.name), MEND) from None
    env = TradingEnv(bars, plan, features, knobs.episode, rows=rows)
    torch.set_num_threads(1)  # the sum of many threads depends on how many they are
    layers = [knobs.hidden, knobs.hidden]
    learner = PPO(
        "MlpPolicy", env, seed=seed, device="cpu", gamma=knobs.discount, ent_coef=knobs.entropy, n_steps=1_000,
        batch_size=100, policy_kwargs={"net_arch": {"pi": layers, "vf": layers}, "activation_fn": torch.nn.Tanh},
    )  # fmt: skip
    learner.set_logger(Logger(None, []))  # its own would leave a folder behind
    learner.learn(knobs.steps)
    network: Any = learner.policy
    linear = [part for part in network.mlp_extractor.policy_net if isinstance(part, torch.nn.Linear)]
    chosen = feature_set(features)
    return Policy(
        chosen.name, chosen.hash, *env.scale, tuple(_numbers(part) for part in (*linear, network.action_net)),
        lineage={
            "instrument": plan.instrument.key,
            "timeframe": plan.timeframe.name,
            "train_start_ns": int(bars.open_ns[0]),
            "train_end_ns": int(bars.close_ns[-1]),
            "bars": len(bars),
            "plan": {
                "take_profit_ppm": plan.take_profit_ppm, "stop_loss_ppm": plan.stop_loss_ppm,
                "horizon_bars": plan.horizon_bars, "fee_ppm": plan.terms.fees.taker_ppm,
                "slippage_ppm": plan.terms.fixed_slippage_ppm,
            },
            "knobs": asdict(knobs),
            "seed": seed,
            "made_with": {name: metadata.version(name) for name in _MADE_WITH},
        },
    )  # fmt: skip


def _numbers(part: Any) -> tuple[np.ndarray, np.ndarray]:
    return tuple(value.detach().numpy().astype(np.float64) for value in (part.weight, part.bias))  # type: ignore[return-value]
