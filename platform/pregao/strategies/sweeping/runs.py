"""The runs of a sweep: every setting on every instrument, each exactly one backtest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pregao.core.bars import COLUMNS, Bars
from pregao.core.errors import PregaoError, UsageError
from pregao.simulation.backtest import Result
from pregao.simulation.plan import Plan
from pregao.simulation.sweeping import Decisions, Figures, Start, Track
from pregao.strategies.backtest import backtest, signals_of
from pregao.strategies.contract import Model
from pregao.strategies.registry import load
from pregao.strategies.sweeping.space import Setting, Space

Row = tuple[int, Figures]
"""A run's number and what came of it."""

_COSTS = {"fee": "fees", "slippage": "slippage"}
_STARTS = 64
_TOGETHER = 16


@dataclass(frozen=True, eq=False)
class Market:
    """One instrument's bars and the terms on which it is traded.

    Attributes:
        plan: arguments of `Plan.of`, which a setting may replace: its fee and slippage, those of ``terms`` too.
        before: bars that end where ``bars`` begin, to warm up on.
        finer: bars with a shorter timeframe, for the path rule ``finer``.
        model: for strategies that need one.
        others: bars of the other instruments that its features look at, by what those are to them.
    """

    bars: Bars
    plan: Mapping[str, Any] = field(default_factory=dict)
    before: Bars | None = None
    finer: Bars | None = None
    model: Model | None = None
    others: Mapping[str, Bars] = field(default_factory=dict)

    def plan_for(self, changes: Mapping[str, Any]) -> Plan:
        """The plan of a setting; raises `UsageError` if it cannot be."""
        given = {**self.plan, **changes}
        terms = given.pop("terms", None)
        plan = Plan.of(self.bars.instrument, self.bars.timeframe, **given)
        if terms is None:
            return plan
        costs = {own: getattr(plan.terms, own) for name, own in _COSTS.items() if name in changes}
        return replace(plan, terms=replace(terms, **costs))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the instrument, its bars and the model's name, hexadecimal."""
        found = hashlib.sha256(json.dumps(self.bars.instrument.to_json(), sort_keys=True).encode())
        for bars in (self.bars, self.before, self.finer, *(self.others[name] for name in sorted(self.others))):
            if bars is not None:
                found.update(f"{bars.timeframe} {len(bars)}".encode())
                for name in ("open_ns", *COLUMNS, "volume"):
                    found.update(getattr(bars, name).tobytes())
        if self.model is not None:
            found.update(f"{self.model.name} {self.model.version}".encode())
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class Sweep:
    """What is to be done. Run ``k`` is setting ``k % s`` on market ``k // s``, of ``s`` settings.

    Attributes:
        seed: of the strategy's own randomness, the same for every run.
    """

    space: Space
    markets: tuple[Market, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        keys = [m.bars.instrument.key for m in self.markets]
        if not keys:
            raise UsageError("There is no instrument to sweep over.")
        for key in keys:
            if keys.count(key) > 1:
                raise UsageError(f"The instrument {key} is given twice.", "Name each one once.")
        frames = sorted({str(m.bars.timeframe) for m in self.markets})
        if len(frames) > 1:
            raise UsageError(
                f"The instruments have bars of {' and '.join(frames)}: their results cannot be compared.",
                "Name one that all have: --timeframe.",
            )
        for market in self.markets:
            if len(market.bars) == 0:
                raise UsageError(f"There are no bars of {market.bars.instrument.key} to run over.")

    def of(self, run: int) -> tuple[Market, Setting]:
        """What a run is."""
        market, setting = divmod(run, len(self.space.settings))
        return self.markets[market], self.space.settings[setting]

    @cached_property
    def refusals(self) -> dict[int, str]:
        """Runs whose plan cannot be, and why: an entry value above the cash, for example."""
        found: dict[int, str] = {}
        for m, market in enumerate(self.markets):
            judged: dict[tuple[Any, ...], str] = {}
            for s, setting in enumerate(self.space.settings):
                key = tuple(setting.plan.values())
                if key not in judged:
                    try:
                        market.plan_for(setting.plan)
                        judged[key] = ""
                    except (UsageError, TypeError) as error:
                        judged[key] = getattr(error, "message", str(error))
                if judged[key]:
                    found[m * len(self.space.settings) + s] = judged[key]
        return found

    @cached_property
    def runs(self) -> list[int]:
        """The numbers of all runs to be made, ascending.

        Raises:
            UsageError: if no plan can be.
        """
        refused = self.refusals
        found = [k for k in range(len(self.markets) * len(self.space.settings)) if k not in refused]
        if not found:
            raise UsageError(f"None of the {len(refused):,} settings can be traded: {next(iter(refused.values()))}")
        return found

    @cached_property
    def strategy(self) -> type[Any]:
        """The strategy's class: looked up once, since that reads the metadata of all that is installed."""
        return load(self.space.strategy)

    def configured(self, setting: Setting) -> Any:
        """A strategy with the settings of a run."""
        return self.strategy(self.strategy.Config(**setting.strategy))

    def single(self, run: int) -> Result:
        """The whole backtest of one run."""
        market, setting = self.of(run)
        return backtest(
            self.configured(setting), market.bars, market.plan_for(setting.plan), seed=self.seed, model=market.model,
            before=market.before, finer=market.finer, others=market.others,
        )  # fmt: skip

    def chunks(self, runs: Sequence[int], parts: int, most: int = 0) -> list[list[int]]:
        """Runs in lists, so that those which share their signals stand together.

        Args:
            parts: at least so many lists, if there are as many runs: enough for all who work on them.
            most: runs in a list; 0 is few for strategies that run compiled, and one for the others.
        """
        if most == 0:
            most = _TOGETHER if getattr(self.strategy, "only_signals", False) else 1
        most = max(min(most, len(runs) // parts), 1)
        count = len(self.space.settings)
        groups: dict[tuple[Any, ...], list[int]] = {}
        for run in runs:
            key = (run // count, *self.space.settings[run % count].strategy.values())
            groups.setdefault(key, []).append(run)
        found: list[list[int]] = []
        for group in groups.values():
            for at in range(0, len(group), most):
                part = group[at : at + most]
                if found and len(found[-1]) + len(part) <= most:
                    found[-1].extend(part)
                else:
                    found.append(part)
        return found


class Runner:
    """Makes runs of a sweep, one after the other; keeps what neighbours share."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self._tracks: dict[int, Track] = {}
        self._starts: dict[tuple[Any, ...], Start] = {}
        self._heard: tuple[tuple[Any, ...], Decisions | None] = ((), None)

    def run(self, run: int) -> Figures:
        """The figures of one run. What a strategy raises comes through."""
        sweep = self.sweep
        market, setting = sweep.of(run)
        place = run // len(sweep.space.settings)
        if place not in self._tracks:
            self._tracks = {place: Track(market.bars, market.finer)}
            self._starts.clear()
        track = self._tracks[place]
        decisions = self._decisions(place, market, setting)
        if decisions is None:
            return track.of(sweep.single(run))
        key = tuple(setting.plan.values())
        if key not in self._starts:
            if len(self._starts) == _STARTS:
                self._starts.clear()
            self._starts[key] = track.start(market.plan_for(setting.plan))
        return track.run(self._starts[key], decisions)

    def _decisions(self, place: int, market: Market, setting: Setting) -> Decisions | None:
        key = (place, *setting.strategy.values())
        if self._heard[0] != key:
            signals = signals_of(self.sweep.configured(setting), market.bars, market.before)
            self._heard = key, None if signals is None else Decisions.of(signals)
        return self._heard[1]

    def chunk(self, runs: Sequence[int]) -> list[Row]:
        """The rows of several runs.

        Raises:
            PregaoError: naming the setting at which the strategy failed.
        """
        rows: list[Row] = []
        for run in runs:
            try:
                rows.append((run, self.run(run)))
            except Exception as error:
                market, setting = self.sweep.of(run)
                with_what = ", ".join(f"{k}={v}" for k, v in {**setting.strategy, **setting.plan}.items())
                told = error.message if isinstance(error, PregaoError) else f"{type(error).__name__}: {error}."
                raise PregaoError(
                    f"{self.sweep.space.strategy} failed on {market.bars.instrument.key} with {with_what}: {told}",
                    "Mend the strategy or leave that setting out; what is in --out is kept.",
                ) from error
        return rows
