"""What is asked of the gate, and what came of it: settings, results that survive a kill, rates with their intervals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pregao.core.bars import Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.learning.calibration.markets import Kind, Market, digest, shuffled, walked
from pregao.learning.calibration.oracle import Edge, oracle_sharpe, planted
from pregao.learning.calibration.trial import judged
from pregao.learning.params import Params
from pregao.learning.pipeline import code_version
from pregao.market.atomic import write_atomic

YEAR_SECONDS = 365.25 * 86_400
LEAST_REAL = 1_500
"""Fewer real bars than these cannot be learnt from, whatever their order."""
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Experiment:
    """What is done. Equal experiments give equal results, market by market.

    Attributes:
        params: of learning and of the gate.
        counts: how many markets of each kind.
        years: of history of each walk, in bars of ``timeframe``; nothing is held out of it.
        seed: another seed makes other markets.
        real: bars to shuffle, in turn.
    """

    params: Params
    counts: Mapping[Kind, int]
    years: float
    timeframe: Timeframe
    seed: int
    real: tuple[Bars, ...] = field(default=())

    def __post_init__(self) -> None:
        if Kind.SHUFFLED in self.counts and not self.real:
            raise UsageError(
                f"There are no real bars to shuffle: no stored series that is not synthetic has {LEAST_REAL} of them.",
                "Ingest some (`pregao ingest`), or leave that kind out: --kinds garch,edge2.",
            )
        for bars in self.real:
            if len(bars) < LEAST_REAL:
                raise UsageError(
                    f"{bars.instrument.key} {bars.timeframe} has {len(bars)} bars; to be shuffled and learnt from it "
                    f"needs {LEAST_REAL}.",
                    "Ingest more history, or name another series with --real.",
                )

    @property
    def bars(self) -> int:
        """How many bars a walk has."""
        return int(self.years * YEAR_SECONDS / self.timeframe.seconds)

    @property
    def tasks(self) -> list[tuple[Kind, int]]:
        """All markets, the kinds taking turns, so that an experiment that was stopped early says something of each."""
        most = max(self.counts.values(), default=0)
        return [(kind, i) for i in range(most) for kind, count in self.counts.items() if i < count]

    @cached_property
    def definition(self) -> dict[str, Any]:
        """Everything that decides what a market's outcome is, as JSON; the number of markets and kinds does not."""
        return {
            "code": code_version(),
            "params": self.params.model_dump(mode="json", exclude={"dataset", "holdout"}),
            "bars": self.bars,
            "timeframe": self.timeframe.name,
            "seed": self.seed,
            "real": [digest(bars) for bars in self.real],
        }

    @property
    def key(self) -> str:
        """Digest of the definition: results of one key belong together."""
        return hashlib.sha256(json.dumps(self.definition, sort_keys=True).encode()).hexdigest()[:16]

    def edge(self, sharpe: float) -> Edge:
        """The planted edge of a net Sharpe ratio.

        Raises:
            UsageError: if no edge earns so much on such markets.
        """
        try:
            return planted(sharpe, self.bars, self.timeframe, self.params.plan)
        except ValueError as error:
            raise UsageError(
                f"A market for this plan cannot be made: {error}.", "Lower the costs or widen the exits in params.yaml."
            ) from None

    def market(self, kind: Kind, index: int, edge: Edge | None) -> Market:
        """One of the markets."""
        seed = (self.seed, list(Kind).index(kind), index)
        if kind is Kind.SHUFFLED:
            return shuffled(self.real[index % len(self.real)], seed, self.params.plan)
        return walked(self.bars, self.timeframe, seed, self.params.plan, edge.reversion if edge else 0.0)

    def row(self, kind: Kind, index: int, edge: Edge | None) -> dict[str, Any]:
        """What came of one market, as JSON; ``oracle`` is the oracle's Sharpe ratio on the bars that were scored."""
        market = self.market(kind, index, edge)
        outcome = judged(market, self.params)
        oracle = oracle_sharpe(market, edge.bound) if edge is not None else None
        return {"kind": kind.value, "index": index, "oracle": oracle, **outcome.to_json()}


class Results:
    """A folder with one file for each market, written when it is done: a kill loses only what was under way.

    Args:
        root: where experiments are kept; each has a folder of its own, named by its key.
    """

    def __init__(self, root: Path, experiment: Experiment) -> None:
        self.folder = root / experiment.key
        self._experiment = experiment
        self._scratch = root / ".unfinished"

    def begin(self) -> None:
        """Write down what is done here."""
        content = json.dumps(self._experiment.definition, indent=1, sort_keys=True).encode()
        write_atomic(self.folder / "experiment.json", content, self._scratch)

    def put(self, row: dict[str, Any]) -> None:
        """Keep one market's row."""
        write_atomic(self._file(row["kind"], row["index"]), json.dumps(row).encode(), self._scratch)

    def get(self, kind: Kind, index: int) -> dict[str, Any] | None:
        """The row of a market; None if it is not there yet.

        Raises:
            PregaoError: if the file is damaged.
        """
        return self._read(self._file(kind.value, index))

    def edge(self, sharpe: float) -> Edge | None:
        """The planted edge that an earlier run found."""
        found = self._read(self._edge_file(sharpe))
        return None if found is None else Edge(**found)

    def put_edge(self, sharpe: float, edge: Edge) -> None:
        """Keep a planted edge."""
        write_atomic(self._edge_file(sharpe), json.dumps(asdict(edge)).encode(), self._scratch)

    def _file(self, kind: str, index: int) -> Path:
        return self.folder / f"{kind}-{index:05d}.json"

    def _edge_file(self, sharpe: float) -> Path:
        return self.folder / f"planted-{sharpe:g}.json"

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise PregaoError(
                f"{path} cannot be read: {error}.", "Delete it: the market is then judged anew."
            ) from None
        return found


@dataclass(frozen=True)
class Rate:
    """How many of some markets were promoted, with the exact (Clopper-Pearson) interval of 95 %."""

    name: str
    markets: int
    promoted: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Share promoted; NaN of none."""
        return self.promoted / self.markets if self.markets else float("nan")

    @classmethod
    def of(cls, name: str, promoted: Sequence[bool]) -> Rate:
        """From the verdicts."""
        from scipy.stats import binomtest

        if not promoted:
            return cls(name, 0, 0, 0.0, 1.0)
        found = binomtest(sum(promoted), len(promoted)).proportion_ci(CONFIDENCE, method="exact")
        return cls(name, len(promoted), sum(promoted), float(found.low), float(found.high))


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Rates by kind and of all null markets, and how often each reason refused a model.

    Returns:
        ``rates`` (list of `Rate` as JSON, with ``rate``, ``mean_sharpe``, ``mean_oracle``), ``refused_by`` (share of
        the markets of a kind that each reason refused, whether or not others did too), ``seconds`` (of work).
    """
    found = list(rows)
    kinds = [kind for kind in Kind if any(row["kind"] == kind for row in found)]
    parts = {kind.value: [row for row in found if row["kind"] == kind] for kind in kinds}
    null = [row for row in found if not Kind(row["kind"]).sharpe]
    if len([kind for kind in kinds if not kind.sharpe]) > 1:
        parts["null"] = null
    rates, refused = [], {}
    for name, part in parts.items():
        rate = Rate.of(name, [row["promoted"] for row in part])
        sharpes = [row["sharpe"] or 0.0 for row in part]
        oracles = [row["oracle"] for row in part if row["oracle"] is not None]
        rates.append({
            **asdict(rate),
            "rate": rate.rate,
            "mean_sharpe": sum(sharpes) / len(sharpes),
            "mean_oracle": sum(oracles) / len(oracles) if oracles else None,
        })  # fmt: skip
        reasons = sorted({reason for row in part for reason in row["failed"]})
        refused[name] = {r: sum(r in row["failed"] for row in part) / len(part) for r in reasons}
    return {"rates": rates, "refused_by": refused, "seconds": sum(row["seconds"] for row in found)}
