"""The meta-model: when to trust the first one. It learns from the outcomes dataset, and may veto, never choose a side.

M. López de Prado, *Advances in Financial Machine Learning*, Wiley 2018, chapter 3.6. A second CatBoost sees what the
first one saw and said at each of its signals, and learns whether the trade ended in profit. It stays off under
`LEAST_TRADES` trades that do not overlap, and is judged out of sample before it may say anything.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pregao.core.errors import UsageError
from pregao.learning.folds import walk_forward
from pregao.learning.labels import Examples
from pregao.learning.outcomes import FEATURE
from pregao.learning.params import FoldParams, ModelParams
from pregao.learning.train import fit

Floats = NDArray[np.float64]
LEAST_TRADES = 300
MAX_P = 0.05
_SAID = ("probability", "expected_value", "threshold")


@dataclass(frozen=True)
class Meta:
    """What a walk-forward of the meta-model over a model's signals found.

    Attributes:
        signals: scored out of sample; ``trades`` of all signals do not overlap.
        kept: part of the scored signals that it did not veto.
        net_all, net_kept: mean net result of all scored signals, and of those kept; None where none was kept.
        p: how likely vetoes that know nothing would keep trades as good, see `luck`.
    """

    signals: int
    trades: int
    kept: float
    net_all: float
    net_kept: float | None
    p: float

    @property
    def helps(self) -> bool:
        """Whether vetoing is worth it: surely better, and what is kept earns."""
        return self.p < MAX_P and self.net_kept is not None and self.net_kept > 0

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self) | {"helps": self.helps}


def signals_of(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the outcomes dataset where a model wanted in, that it had not learnt from, whose outcome is known."""
    if not len(frame):
        return pd.DataFrame({"at_ns": np.empty(0, np.int64), "end_ns": np.empty(0, np.int64)})
    wanted = (frame["expected_value"] >= frame["threshold"]) & frame["unseen"] & frame["reproduced"]
    rows: pd.DataFrame = frame[wanted & frame["net"].notna()].sort_values("at_ns", kind="stable")
    return rows.reset_index(drop=True)


def examples_of(frame: pd.DataFrame) -> tuple[Examples, list[str]]:
    """The signals as examples to learn from (see `signals_of`), and the versions of the model that they were of."""
    rows = signals_of(frame)
    names = (*_SAID, *(column for column in frame.columns if column.startswith(FEATURE)))
    at_ns, end_ns, net = (rows[name].to_numpy() for name in ("at_ns", "end_ns", "net"))
    x = np.ascontiguousarray(rows[list(names)].to_numpy(np.float64))
    versions = sorted(set(rows["model_version"])) if "model_version" in rows else []
    return Examples(names, x, at_ns, end_ns, net, np.ones(len(rows), bool)), versions


def apart(at_ns: NDArray[np.int64], end_ns: NDArray[np.int64]) -> int:
    """How many of these trades can be made one after the other, the earliest first."""
    count, free = 0, -1
    for at, end in zip(at_ns, end_ns, strict=True):
        if at >= free:
            count, free = count + 1, int(end)
    return count


def luck(net: Floats, keep: NDArray[np.bool_]) -> float:
    """How often the same vetoes at another time would have kept trades as good or better: a permutation test.

    All circular shifts of the vetoes against the results are tried; they keep as many, in the same clusters, and know
    nothing of the results. ``p = (1 + shifts with a mean at least as high) / (1 + shifts)``; 1 if all or none are kept.
    Comparing with all trades instead would praise any veto where trades lose on average: staying out is better then.

    Args:
        net: results in order of time, shape ``(n,)``; ``keep`` what was not vetoed.
    """
    if keep.all() or not keep.any():
        return 1.0
    # The sum of the kept results at every shift is a circular correlation.
    sums = np.fft.irfft(np.conj(np.fft.rfft(keep.astype(np.float64))) * np.fft.rfft(net), n=len(net))
    return float(np.sum(sums >= sums[0] - 1e-9) / len(net))


def judge(frame: pd.DataFrame, folds: FoldParams, params: ModelParams, seed: int) -> Meta:
    """Train and score the meta-model on the signals of one series, purged by the ends of the trades.

    In each fold it is fitted, stopped, and given its threshold on what was known before the block that is scored, just
    as the first model is.

    Args:
        frame: of `pregao.learning.outcomes.read`.

    Raises:
        UsageError: if there are fewer than `LEAST_TRADES` trades that do not overlap, or a fold teaches nothing.
    """
    rows = signals_of(frame)
    trades = apart(rows["at_ns"].to_numpy(), rows["end_ns"].to_numpy())
    if trades < LEAST_TRADES:
        raise UsageError(
            f"The outcomes have {trades} signals that do not overlap; the meta-model stays off under {LEAST_TRADES}.",
            "Let sessions go on, or replay more history that the model has not seen.",
        )
    examples, _ = examples_of(frame)
    x, at_ns, end_ns, net = examples.x, examples.at_ns, examples.end_ns, examples.net
    scored: list[NDArray[np.int64]] = []
    keeps: list[NDArray[np.bool_]] = []
    for fold in walk_forward(at_ns, end_ns, folds):
        fitted = fit(examples, fold, params, seed)
        scored.append(fold.test)
        keeps.append(fitted.value(x[fold.test]) >= fitted.threshold)
    test, keep = np.concatenate(scored), np.concatenate(keeps)
    return Meta(
        signals=len(test),
        trades=trades,
        kept=float(keep.mean()),
        net_all=float(net[test].mean()),
        net_kept=float(net[test][keep].mean()) if keep.any() else None,
        p=luck(net[test], keep),
    )
