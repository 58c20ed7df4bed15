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
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pregao.core.bars import Bar
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe

API = 1
JsonDict = dict[str, Any]
_LOG = logging.getLogger("pregao.strategy")


class StrategyConfig(BaseModel):
    """Base of a strategy's settings: becomes the form, the command line's options and the schema.

    Give each field a ``title``, a ``description`` and bounds; ``json_schema_extra={"unit": "bars"}`` names
    its unit and ``{"live": True}`` says that it may change while a session runs.
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


Intent = Enter | Exit | Note


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


@dataclass(frozen=True, slots=True)
class Account:
    """The account as the strategy may see it, after the last closed bar. Money in the quote currency.

    Attributes:
        equity: cash plus the position at the last close.
        cash: free cash.
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


@dataclass(slots=True)
class Context:
    """What a strategy sees: the past, its account, and nothing else.

    Attributes:
        instrument, timeframe: what is traded.
        now_ns: close time of the last bar, ns since 1970 UTC. There is no other clock.
        account: the account after the last bar.
        closes: the last closes including this bar's, oldest first, float prices, shape ``(m,)``; an own copy,
            at most `Strategy.warmup` long (at least 2).
        features: the vector of `Strategy.feature_set` at this bar, shape ``(k,)``; empty if none is asked for.
        model: the session's model; None for strategies without one.
        rng: the only randomness allowed; drawn anew for each bar from the session's seed and the bar's time.
        log: messages to the session's log.
    """

    instrument: Instrument
    timeframe: Timeframe
    now_ns: int
    account: Account
    closes: NDArray[np.float64]
    features: NDArray[np.float64]
    model: Model | None
    seed: int = 0
    log: logging.Logger = _LOG

    @property
    def rng(self) -> np.random.Generator:
        """See the class. Each use starts from the same point, so keep it in a variable to draw more than once."""
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
