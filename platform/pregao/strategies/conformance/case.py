"""A strategy under examination: the markets that it is run over, and the ways to run it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import COLUMNS, Bar, Bars
from pregao.features.conformance import market
from pregao.features.sets import feature_set
from pregao.simulation.events import Event
from pregao.simulation.plan import Plan
from pregao.strategies.answers import StrategyError, intents_of
from pregao.strategies.backtest import backtest, desk_for
from pregao.strategies.conformance.breach import Breach
from pregao.strategies.contract import Account, Context, Intent, JsonDict, Reason
from pregao.strategies.desk import Desk

Answers = dict[int, str]
"""What a strategy answered of each bar that it was asked about, by the bar's row."""
SEED = 7
CUTS = 12
"""Into two the bars are cut at so many places anywhere, and at twice as many after an order."""
MARKETS = 3
"""Where the bars of one market do not say enough, it is run over so many."""
_BEYOND = 400
_NOTHING = "nothing"


def told(intents: Iterable[Intent]) -> str:
    """An answer as text: equal texts, equal answers, also between processes."""
    return ", ".join(map(repr, intents)) or _NOTHING


class StandInModel:
    """A model for strategies that need one: its chance follows from the features, and nothing else."""

    name, version = "stand-in", "1"

    def __init__(self, features: str) -> None:
        payoff = {"win": 0.02, "loss": -0.01}
        self.meta: JsonDict = {
            "take_profit_ppm": 20_000, "stop_loss_ppm": 10_000, "horizon_bars": 48, "threshold": 0.002,
            "payoff": payoff, "feature_set": features, "feature_hash": "", "data_version": "",
        }  # fmt: skip

    def probability(self, features: NDArray[np.float64]) -> float:
        """Between 0 and 1, above and below any threshold in turn."""
        return float(0.5 + 0.5 * np.sin(1e4 * np.nansum(features[:4])))

    def reasons(self, features: NDArray[np.float64], top: int = 3) -> tuple[Reason, ...]:
        """The first features, whatever they are."""
        return tuple(Reason(f"feature {i}", 0.1, float(x), "is as it is") for i, x in enumerate(features[:top]))

    def explain(self, features: NDArray[np.float64], top: int = 3) -> tuple[tuple[str, float], ...]:
        """The same as pairs."""
        return tuple((why.name, why.weight) for why in self.reasons(features, top))


class Recorder:
    """A strategy that is asked at each bar, also if it trades by signals alone, and whose answers are kept."""

    only_signals = False

    def __init__(self, strategy: Any, bars: Bars) -> None:
        self.inner = strategy
        self.answers: Answers = {}
        self._bars = bars
        self._rows = {int(at): row for row, at in enumerate(bars.open_ns)}
        self._has_signals = callable(getattr(strategy, "signals", None))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def on_bar(self, ctx: Context, bar: Bar) -> tuple[Intent, ...]:
        """Ask the strategy, look at what it answered, and keep it."""
        row = self._rows[bar.open_ns]
        try:
            answer = intents_of(self.inner.on_bar(ctx, bar), self._has_signals)
        except StrategyError as error:
            raise Breach(error.message, error.mend or "Return a tuple of intents.", row, self._bars) from error
        except Breach:
            raise
        except Exception as error:
            raise Breach(
                f"on_bar raised {type(error).__name__}: {error}.",
                "Gaps, flat prices and bars without volume come; so do features that are NaN. Answer them with ().",
                row, self._bars,
            ) from error  # fmt: skip
        self.answers[row] = told(answer)
        return answer


@dataclass(frozen=True, eq=False)
class Case:
    """One strategy with its settings.

    Attributes:
        strategy: the class.
        config: its settings.
        deadline: seconds that a call may take.
        anchored: whether its decisions rightly depend on where it began.
    """

    strategy: type[Any]
    config: JsonDict
    deadline: float = 0.1
    anchored: bool = False

    def make(self) -> Any:
        """A strategy object of its own."""
        return self.strategy(self.strategy.Config(**json.loads(json.dumps(self.config))))

    @cached_property
    def needed(self) -> int:
        """Bars before the first decision that strategy and features need."""
        wanted = str(getattr(self.strategy, "feature_set", ""))
        return max(int(self.make().warmup()), 1, feature_set(wanted).warmup if wanted else 0)

    @cached_property
    def bars(self) -> Bars:
        """Enough to be warm for as long again: see `pregao.features.conformance.market` for what happens in them."""
        return self.market(1)

    def forget(self) -> None:
        """Let go of `bars` and of what was answered over them."""
        for name in ("bars", "answers", "acts"):
            self.__dict__.pop(name, None)

    def market(self, seed: int) -> Bars:
        """Seeded bars of an instrument that can be sold short."""
        bars = market(2 * self.needed + _BEYOND, seed)
        return replace(bars, instrument=bars.instrument.model_copy(update={"allow_short": True}))

    @cached_property
    def plan(self) -> Plan:
        """With a take profit and a stop loss."""
        return Plan.of(self.bars.instrument, self.bars.timeframe, take_profit=2, stop_loss=1)

    @property
    def model(self) -> StandInModel | None:
        """A model if the strategy needs one."""
        wanted = str(getattr(self.strategy, "feature_set", ""))
        return StandInModel(wanted) if getattr(self.strategy, "needs_model", False) else None

    def over_history(self, bars: Bars, recorder: Recorder | None = None) -> Answers:
        """The answers of a backtest that asks at each bar that the strategy does not wait through."""
        recorder = Recorder(self.make(), bars) if recorder is None else recorder
        plan = replace(self.plan, instrument=bars.instrument)
        backtest(recorder, bars, plan, seed=SEED, model=self.model)
        return recorder.answers

    def desk(self, recorder: Recorder) -> Desk:
        """A desk as a session has it."""
        return desk_for(self.plan, recorder, SEED, self.model)

    @cached_property
    def answers(self) -> Answers:
        """Those over `bars`."""
        return self.over_history(self.bars)

    @cached_property
    def acts(self) -> list[int]:
        """The bars at which it orders something."""
        return [row for row, answer in self.answers.items() if "Enter(" in answer or "Exit(" in answer]

    def cuts(self, count: int, seed: int) -> list[int]:
        """Where to cut the bars in two: after bars at which it orders something, and anywhere."""
        rng = np.random.default_rng(seed)
        first, last = min(self.answers, default=1), len(self.bars) - 2
        anywhere = rng.integers(first, last, count).tolist()
        acting = rng.permutation(np.array(self.acts, np.int64))[: 2 * count].tolist()
        return sorted({row + 1 for row in acting + anywhere if row < last})


def joined(before: Bars, after: Bars) -> Bars:
    """Two series of one instrument, the second at its own times."""
    columns = (np.concatenate([getattr(b, c) for b in (before, after)]) for c in ("open_ns", *COLUMNS, "volume"))
    return Bars(before.instrument, before.timeframe, *columns)


def futures(bars: Bars, seed: int) -> dict[str, Bars]:
    """Other bars in the place of these, at the same times."""
    n = len(bars)
    other = market(n, 1_000 + seed)
    base = int(bars.open[0])
    flipped = {name: np.maximum(2 * base - getattr(bars, name), 1) for name in COLUMNS}
    swapped = (flipped["open"], flipped["low"], flipped["high"], flipped["close"])

    def at_these_times(*columns: NDArray[Any]) -> Bars:
        return Bars(bars.instrument, bars.timeframe, bars.open_ns, *columns)

    return {
        "another market's bars": at_these_times(*(getattr(other, name) for name in COLUMNS), other.volume),
        "the same bars upside down": at_these_times(*swapped, bars.volume[::-1]),
        "flat bars": at_these_times(*[np.full(n, base)] * 4, np.zeros(n)),
    }


def first_difference(one: Answers, other: Answers, until: int, since: int = 0) -> int | None:
    """The first row in ``[since, until)`` that was answered differently, or asked about only once; None if none."""
    rows = sorted(row for row in one.keys() | other.keys() if since <= row < until)
    return next((row for row in rows if one.get(row) != other.get(row)), None)


class Observer(Desk):
    """A desk whose strategy is asked at each bar and whose orders go nowhere: the account is always the same."""

    def __init__(self, case: Case, recorder: Recorder, held: bool) -> None:
        ready = case.desk(recorder)
        super().__init__(case.plan, recorder, SEED, ready._features, ready.model)
        price = float(case.bars.close[0]) * self._tick
        self._seen = Account(10_000.0, 9_000.0, 1_000 / price, price, 5, False) if held else Account(
            10_000.0, 10_000.0, 0.0, 0.0, 0, False
        )  # fmt: skip

    def market(self, bar: Bar) -> list[Event]:
        """The bar comes; nothing fills."""
        self.saw(bar, [])
        return []

    def apply(self, intents: Iterable[Intent]) -> list[Event]:
        """Nothing is ordered or waited for."""
        return []

    def account(self) -> Account:
        """Always the same."""
        return self._seen


def own_copy(bars: Bars) -> Bars:
    """The same bars in arrays that nobody else holds."""
    columns = (getattr(bars, name).copy() for name in ("open_ns", *COLUMNS, "volume"))
    return Bars.trusted(bars.instrument, bars.timeframe, *columns)
