"""The environment: one instrument's history, traded through Pregão's own engine, as gymnasium asks for it.

Needs gymnasium: ``pip install 'pregao-rl[env]'``. Any library that speaks to gymnasium can learn in it.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.sets import feature_set
from pregao.learning.labels import vectors
from pregao.simulation import layout
from pregao.simulation.engine import Engine
from pregao.simulation.plan import Plan
from pregao.strategies.contract import Enter, Exit
from pregao.strategies.desk import account_of
from pregao_rl.policy import observation
from pregao_rl.stance import OWN, REACH, intents_for, own_figures


class TradingEnv(gymnasium.Env[np.ndarray, np.int64]):
    """An account that is flat or long, or short where that is allowed, decided anew at each close.

    - **Observation**: `pregao_rl.policy.observation`, shape ``(k + 2,)``, float32.
    - **Action**: 0 flat, 1 long, and 2 short where the instrument allows it. What it asks for fills at the next bar's
      open, with the plan's costs; the plan's take profit, stop loss and horizon hold as in a session.
    - **Reward**: the net change of the account's equity over the next bar, costs included, in per cent of the entry
      value. Rewards add up to the net result.
    - **Episode**: ``episode`` bars from a random one on, beginning flat; ``options={"start": row}`` names the bar. It
      is truncated at its end and terminates when the money is lost. It lies in one stretch of ``rows`` as a whole.

    Args:
        bars: to learn from.
        plan: the operation; its cash must last for an episode.
        features: name of the set.
        episode: bars of an episode.
        scale: mean and standard deviation of each feature, shape ``(2, k)``; by default those of ``rows``.
        rows: the bars that may be lived through, by their place, ascending; by default all at which the features are
            warm.

    Raises:
        UsageError: if the bars are fewer than warm-up and episode need.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  # gymnasium's own way to say it

    def __init__(
        self,
        bars: Bars,
        plan: Plan,
        features: str = "core25",
        episode: int = 250,
        scale: np.ndarray | None = None,
        rows: np.ndarray | None = None,
    ) -> None:
        self.bars, self.plan, self.episode = bars, plan, episode
        chosen = feature_set(features)
        warm = chosen.warmup - 1
        allowed = np.arange(warm, len(bars)) if rows is None else rows[rows >= warm]
        self.starts = _starts(allowed, episode)
        if episode < 1 or not len(self.starts):
            raise UsageError(
                f"{len(bars)} bars are too few for a warm-up of {chosen.warmup} and episodes of {episode} bars.",
                "Give more history, or shorter episodes.",
            )
        frame = vectors(bars, chosen)
        self.scale = scale_of(frame[allowed]) if scale is None else scale
        self._seen = observation(frame, *self.scale, np.zeros((len(bars), OWN)))
        self._rows = [bars.bar(i) for i in range(len(bars))]
        self._tick = float(plan.instrument.tick_size)
        self._percent = 100 / plan.entry_quanta
        width = self._seen.shape[1]
        self.observation_space = spaces.Box(-REACH, REACH, (width,), np.float32)
        self.action_space = spaces.Discrete(3 if plan.instrument.allow_short else 2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A new account at the beginning of an episode."""
        super().reset(seed=seed)
        start = (options or {}).get("start")
        if start is None:
            start = int(self.starts[self.np_random.integers(len(self.starts))])
        elif start not in self.starts:
            first, last = self.starts[0], self.starts[-1]
            raise UsageError(
                f"An episode starts at a bar from {first} to {last} that may be lived through, not {start}."
            )
        self._row, self._end = start, start + self.episode
        self._engine = Engine(self.plan)
        self._engine.step(self._rows[start])
        self._equity = self._engine.account.equity_quanta
        return self._look(), {"row": start}

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Order at this close what the stance asks for, and live through the next bar."""
        for intent in intents_for(int(action), account_of(self._engine, 0)):
            if isinstance(intent, Enter):
                self._engine.signal(layout.ENTER_LONG if intent.side == "long" else layout.ENTER_SHORT)
            elif isinstance(intent, Exit):
                self._engine.signal(layout.LEAVE)
        self._row += 1
        self._engine.step(self._rows[self._row])
        before, self._equity = self._equity, self._engine.account.equity_quanta
        reward = (self._equity - before) * self._percent
        return self._look(), reward, self._equity <= 0, self._row >= self._end, {"row": self._row}

    def _look(self) -> np.ndarray:
        seen = self._seen[self._row].astype(np.float32)
        seen[-OWN:] = own_figures(account_of(self._engine, 0), self._rows[self._row].close * self._tick)
        return seen


def _starts(rows: np.ndarray, episode: int) -> np.ndarray:
    """The bars from which an episode and the bar after it lie in ``rows`` without a gap."""
    return rows[:-episode][rows[episode:] - rows[:-episode] == episode] if 0 < episode < len(rows) else rows[:0]


def scale_of(frame: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each feature over a history, shape ``(2, k)``; missing values left out.

    A feature that never varies, or is always missing, gets a deviation of 1.
    """
    known = np.isfinite(frame)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, frame, 0.0).sum(axis=0) / count
    std = np.sqrt((np.where(known, frame - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.stack([mean, np.where(std > 1e-12, std, 1.0)])
