"""Examples to learn from: the features at each bar beside what a bracket trade opened there came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.features.sets import FeatureSet
from pregao.market.hours import TradingHours
from pregao.simulation.outcomes import bracket_outcomes
from pregao.simulation.plan import Plan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_COLUMNS = ("at_ns", "end_ns", "net", "own")


@dataclass(frozen=True, eq=False)
class Examples:
    """One row for each bar at whose close the features are warm, ascending in time.

    In a panel the rows of other instruments stand among them, see `stacked`.

    Attributes:
        names: the features, shape ``(k,)``.
        x: their values, shape ``(n, k)``, NaN where missing.
        at_ns: close of the bar: the moment of the decision, shape ``(n,)``.
        end_ns: close of the bar in which the trade ended, when its outcome was known; -1 where it never ended.
        net: the trade's net result over the money put in, costs included; NaN where it never ended.
        own: whether the row is of the instrument that the model is for, shape ``(n,)``; its own rows alone decide
            payoffs and threshold, and are scored.
    """

    names: tuple[str, ...]
    x: Floats
    at_ns: Ints
    end_ns: Ints
    net: Floats
    own: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.at_ns)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where the outcome is known."""
        return ~np.isnan(self.net)

    @property
    def win(self) -> NDArray[np.bool_]:
        """The label: whether the trade ended in profit, costs paid."""
        return self.net > 0

    def write(self, path: Path) -> None:
        """To Parquet; the same examples give the same bytes."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        features = {name: self.x[:, i] for i, name in enumerate(self.names)}
        pd.DataFrame(columns | features).to_parquet(path, compression="zstd", index=False)

    @classmethod
    def read(cls, path: Path) -> Examples:
        """From the Parquet that `write` made."""
        frame = pd.read_parquet(path)
        names = tuple(c for c in frame.columns if c not in _COLUMNS)
        at_ns, end_ns, net, own = (frame[c].to_numpy() for c in _COLUMNS)
        return cls(names, np.ascontiguousarray(frame[list(names)].to_numpy(np.float64)), at_ns, end_ns, net, own)


def seen_bars(bars: Bars, holdout: float) -> Bars:
    """The bars that training may see: all but the newest part ``holdout``."""
    return bars[: len(bars) - int(len(bars) * holdout)]


def vectors(bars: Bars, features: FeatureSet, others: Mapping[str, Bars] | None = None) -> Floats:
    """The features at each bar, shape ``(n, k)``, with the hours of the instrument's exchange.

    Raises:
        UsageError: if the features look at another instrument that is not given.
    """
    return features.batch(bars, others, TradingHours(bars.instrument.calendar))


def examples(bars: Bars, plan: Plan, features: FeatureSet, others: Mapping[str, Bars] | None = None) -> Examples:
    """The examples of these bars; nothing after the last of them is looked at.

    Args:
        others: the bars of the other instruments that the features look at, by input (``market``).

    Raises:
        UsageError: if the prices never move, there are too few bars for the features to warm up, no trade ends, or the
            features look at another instrument that is not given.
    """
    if len(bars) <= features.warmup + plan.horizon_bars:
        raise UsageError(
            f"{len(bars)} bars of {bars.instrument.symbol} {bars.timeframe} are too few to learn from: the features "
            f"need {features.warmup} and a trade up to {plan.horizon_bars}.",
            "Ingest more history, or choose a shorter timeframe.",
        )
    if int(bars.high.max()) == int(bars.low.min()):
        raise UsageError(
            f"The price of {bars.instrument.symbol} never moves in these {len(bars)} bars: there is nothing to learn.",
            "Check the data with `pregao data quality`.",
        )
    outcomes = bracket_outcomes(bars, plan)
    if np.isnan(outcomes.net).all():
        raise UsageError(
            f"No practice trade of {plan.instrument.symbol} could be opened and closed in these {len(bars)} bars.",
            "Raise plan.entry_value in params.yaml above the price of the smallest lot, or shorten the horizon.",
        )
    warm = slice(features.warmup - 1, None)
    close_ns = bars.close_ns
    end_ns = np.where(outcomes.end >= 0, close_ns[outcomes.end], -1)
    x, net = vectors(bars, features, others)[warm], outcomes.net[warm]
    return Examples(features.names, x, close_ns[warm], end_ns[warm], net, np.ones(len(net), bool))


def stacked(own: Examples, peers: Sequence[Examples]) -> Examples:
    """A panel: the rows of an instrument with those of its peers among them, by time, its own first at each moment.

    A peer's rows teach what the instruments have in common. They come from the time of the own rows only, and what they
    come to after the last own row is not looked at: such an outcome counts as never known.

    Raises:
        UsageError: if a peer has other features, or no row in that time.
    """
    first, last = int(own.at_ns[0]), int(own.at_ns[-1])
    parts = [own]
    for peer in peers:
        if peer.names != own.names:
            raise UsageError("The instruments of a panel need the same features.")
        within = (peer.at_ns >= first) & (peer.at_ns <= last)
        if not within.any():
            raise UsageError(
                "An instrument of the panel has no bars in the time of the one that is learnt for.",
                "Take it out of `panel` in params.yaml, or ingest more of its history.",
            )
        late = peer.end_ns > last
        parts.append(
            Examples(
                own.names,
                peer.x[within],
                peer.at_ns[within],
                np.where(late, -1, peer.end_ns)[within],
                np.where(late, np.nan, peer.net)[within],
                np.zeros(int(within.sum()), bool),
            )
        )
    order = np.argsort(np.concatenate([part.at_ns for part in parts]), kind="stable")
    x, at_ns, end_ns, net, mine = (
        np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("x", "at_ns", "end_ns", "net", "own")
    )
    return Examples(own.names, np.ascontiguousarray(x), at_ns, end_ns, net, mine)
