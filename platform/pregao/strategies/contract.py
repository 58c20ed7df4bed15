"""The contract of a strategy plugin. A strategy author reads this module and needs no other.

A plugin is a class registered in the entry-point group ``pregao.strategies``:

    [project.entry-points."pregao.strategies"]
    my-strategy = "my_package:MyStrategy"

The platform calls ``on_bar`` after each closed bar. What it returns can fill at the next bar's open at the
earliest. The session's own entry value, take profit, stop loss and horizon are attached by the platform: a
strategy says *when*, the person says *how much*.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pregao.core.bars import Bar, Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe

API = 1
"""The version of this contract."""
APIS = (1,)
"""The versions that still load; see "How the contract changes" in docs/how-to/own-strategy.md."""
JsonDict = dict[str, Any]
_LOG = logging.getLogger("pregao.strategy")


class StrategyConfig(BaseModel):
    """Base of a strategy's settings: becomes the form, the command line's options and the schema.

    Give each field a ``title``, a ``description`` and bounds; ``json_schema_extra={"unit": "bars"}`` names its unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Enter:
    """Open a position with the session's entry value and bracket.

    Attributes:
        side: ``"long"``, or ``"short"`` where the instrument allows it.
        fraction: the part of the session's entry value to use, in (0, 1].
        reason: a few words for the person.
        probability: estimated chance of a profitable exit, in [0, 1]; None if the strategy has none.
        expected_value: estimated net result as a fraction of the entry value; None if there is none.
        top: the features that weighed most, ``(name, contribution)``, largest first.
    """

    side: Literal["long", "short"] = "long"
    fraction: float = 1.0
    reason: str = ""
    probability: float | None = None
    expected_value: float | None = None
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """Close the open position at the market, at the next open."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Do nothing, but show what the strategy thinks of this bar. Fields as in `Enter`."""

    reason: str = ""
    probability: float | None = None
    expected_value: float | None = None
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Do not ask again before one of these comes about; then at the close of the bar in which it does.

    A strategy that says what it waits for is much faster over history: bars that it does not want to see are run
    through without crossing into Python. Live it is asked at the very same bars. If an order that was given along with
    it is refused, the wait is void.

    Attributes:
        bars: so many bars have closed; 0 is not waited for.
        until_ns: a bar closes at or after this time, ns since 1970 UTC; 0 is not waited for.
        event: an order filled or ended, or a split, dividend, funding or interest came.
        signal: `Signals.signals` says something other than 0; only for strategies that have them.
    """

    bars: int = 0
    until_ns: int = 0
    event: bool = True
    signal: bool = False


Intent = Enter | Exit | Note | Wait


class Reason(NamedTuple):
    """Why a model says what it says of a bar: one feature's part in it.

    Attributes:
        name: the feature's name.
        weight: its SHAP value in log-odds: above 0 it speaks for the trade, below 0 against it.
        value: the feature's value, NaN where missing.
        words: what the value says, such as ``the price is at the top of its 20-bar channel``.
    """

    name: str
    weight: float
    value: float
    words: str

    def __str__(self) -> str:
        return f"{self.words} ({self.name}, {self.weight:+.2f})"


@runtime_checkable
class Model(Protocol):
    """What a strategy may ask of a trained model.

    Attributes:
        name: the registered name.
        version: the registry's version number.
        meta: what the model was trained for: ``take_profit_ppm``, ``stop_loss_ppm``, ``horizon_bars``,
            ``threshold`` (least expected value to enter, as a fraction), ``payoff`` (mean net win and loss as
            fractions: ``win``, ``loss``), ``feature_set``, ``feature_hash``, ``data_version``.
    """

    name: str
    version: str
    meta: JsonDict

    def probability(self, features: NDArray[np.float64]) -> float:
        """The chance of a profitable bracket trade opened now; ``features`` has shape ``(k,)``."""
        ...

    def explain(self, features: NDArray[np.float64], top: int = 3) -> tuple[tuple[str, float], ...]:
        """The features that weighed most (SHAP values, log-odds), ``(name, contribution)``, largest first."""
        ...

    def reasons(self, features: NDArray[np.float64], top: int = 3) -> tuple[Reason, ...]:
        """The same in words."""
        ...


class Account(NamedTuple):
    """The account as the strategy may see it, after the last closed bar. Money in the quote currency.

    Attributes:
        equity: cash plus the positions at the last closes; in the reporting currency where there are several.
        cash: free and locked cash together.
        position: signed quantity in base units; 0 when flat.
        entry_price: mean price of the open position; 0.0 when flat.
        bars_held: bars since the position was opened; 0 when flat.
        pending: whether an entry or an exit of this session is waiting to fill.
    """

    equity: float
    cash: float
    position: float
    entry_price: float
    bars_held: int
    pending: bool


class Past(Protocol):
    """Where a `Context` looks things up when a strategy asks for them; nothing of it lies in the future."""

    def account(self) -> Account:
        """See `Context.account`."""
        ...

    def closes(self) -> NDArray[np.float64]:
        """See `Context.closes`."""
        ...

    def features(self) -> NDArray[np.float64]:
        """See `Context.features`."""
        ...

    def signal(self) -> int:
        """See `Context.signal`."""
        ...


class Context:
    """What a strategy sees: the past, its account, and nothing else. It tells of the bar that it comes with, so do
    not keep it from one call to the next.

    Attributes:
        instrument, timeframe: what is traded.
        now_ns: close time of the last bar, ns since 1970 UTC. There is no other clock.
        model: the session's model; None for strategies without one.
        log: messages to the session's log.
        missed: bars that have closed since the last call and that the strategy was not asked about although it did not
            wait: the session was paused, or the bars came too late to be acted on. They are in ``closes`` and
            ``features``; a strategy that keeps sums of its own mends them. Always 0 over history.
    """

    __slots__ = ("_past", "instrument", "log", "missed", "model", "now_ns", "seed", "timeframe")

    def __init__(
        self, instrument: Instrument, timeframe: Timeframe, past: Past, model: Model | None = None, seed: int = 0
    ) -> None:
        self.instrument = instrument
        self.timeframe = timeframe
        self.model = model
        self.seed = seed
        self.log = _LOG
        self.now_ns = 0
        self.missed = 0
        self._past = past

    @property
    def account(self) -> Account:
        """The account after the last bar."""
        return self._past.account()

    @property
    def closes(self) -> NDArray[np.float64]:
        """The last closes including this bar's, oldest first, float prices, shape ``(m,)``.

        An own copy, at most `Strategy.warmup` long (at least 2).
        """
        return self._past.closes()

    @property
    def features(self) -> NDArray[np.float64]:
        """The vector of `Strategy.feature_set` at this bar, shape ``(k,)``, an own copy; empty if none is asked for."""
        return self._past.features()

    @property
    def signal(self) -> int:
        """What `Signals.signals` says of this bar; 0 for strategies without."""
        return self._past.signal()

    @property
    def rng(self) -> np.random.Generator:
        """The only randomness allowed; drawn anew for each bar from the session's seed and the bar's time.

        Each use starts from the same point, so keep it in a variable to draw more than once.
        """
        return np.random.default_rng((self.seed, self.now_ns))


class Strategy(Protocol):
    """A trading strategy. The constructor takes one validated ``Config``."""

    api: ClassVar[int] = API
    title: ClassVar[str]
    Config: ClassVar[type[StrategyConfig]]
    needs_model: ClassVar[bool] = False
    feature_set: ClassVar[str] = ""
    """Name of the feature set that ``ctx.features`` carries; a model's own set wins where it needs one."""

    def __init__(self, config: Any) -> None: ...

    def warmup(self) -> int:
        """Bars needed before the first decision; ``on_bar`` is not called before."""
        ...

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        """What to do after this closed bar; an empty iterable for nothing."""
        ...

    def save(self) -> JsonDict:
        """All state that outlives a call, as JSON; ``{}`` if there is none."""
        ...

    def load(self, state: JsonDict) -> None:
        """Take back what `save` returned."""
        ...


@runtime_checkable
class Signals(Protocol):
    """The vectorised form that a strategy may have besides ``on_bar``, for speed over history.

    Two uses:

    - A strategy whose answers need neither its account nor anything but the bars is backtested by its signals alone,
      wholly compiled, if it says so with ``only_signals = True``. Its ``on_bar`` must then give the same answers
      (``Enter()``, ``Enter("short")``, ``Exit()``): a session asks it, and must trade as the backtest did.
    - A strategy that waits for its next signal (`Wait`) is asked at those bars only, and reads the signal in
      ``ctx.signal``. Live, signals are made of the last ``warmup()`` bars, so they must not depend on older ones.
    """

    only_signals: ClassVar[bool]

    def signals(self, history: Bars) -> NDArray[np.int8]:
        """What each bar says, shape ``(n,)``: 1 enter long, -1 enter short, 2 leave, 0 nothing.

        Entry ``i`` depends on ``history[: i + 1]`` only. The first ``warmup() - 1`` entries are not used: history
        begins with the bars that ``ctx.closes`` has in the first call of ``on_bar``.
        """
        ...
