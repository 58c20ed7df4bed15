"""The members of an ensemble: which strategies, and how each trades on paper beside the others to earn its record."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar
from pregao.core.money import MAX_QUANTA, PPM
from pregao.simulation.plan import Plan
from pregao.strategies.backtest import desk_for
from pregao.strategies.contract import Context, Enter, Exit, JsonDict
from pregao.strategies.desk import Desk

_LOTS = 10_000
"""A shadow account enters with at least so many lots, so that rounding to lots does not show in its record."""
_ENTRIES = 1_000
"""It begins with cash for so many entries, so that a bad record ends by its weight and not by an empty account."""


class Named(NamedTuple):
    """A strategy by name with its own settings, still as texts."""

    name: str
    settings: dict[str, str]

    @property
    def title(self) -> str:
        """As it is written."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.settings.items())])


def parsed(text: str) -> list[Named]:
    """The members that a text names: ``ma-cross fast=5 slow=20; rsi-reversion``.

    Raises:
        ValueError: saying what cannot be read.
    """
    found = []
    for part in text.split(";"):
        words = part.split()
        if not words:
            continue
        name, *settings = words
        pairs = [word.partition("=") for word in settings]
        for (key, sign, value), word in zip(pairs, settings, strict=True):
            if not (key and sign and value):
                raise ValueError(f"{word!r} is no setting of {name}: write name=value, without spaces")
        if "=" in name:
            raise ValueError(f"a member begins with the name of a strategy, not with {name!r}")
        found.append(Named(name, {key: value for key, _, value in pairs}))
    return found


class Costs(NamedTuple):
    """What every shadow account pays and when it leaves by itself, in per cent; 0 is none."""

    fee: float
    slippage: float
    take_profit: float
    stop_loss: float
    horizon: int


class Member:
    """One strategy at a simulated account of its own, fed with the bars that the ensemble sees.

    Args:
        title: as the settings name it.
        strategy: configured.
        window: how many returns of its record are kept.

    Attributes:
        stance: what it holds or has just ordered, as a part of its entry value: above 0 long, below 0 short.
    """

    def __init__(self, title: str, strategy: Any, window: int) -> None:
        self.title = title
        self.stance = 0.0
        self._strategy = strategy
        self._window = window
        self._returns: list[float] = []
        self._desk: Desk | None = None
        self._saved: JsonDict | None = None
        self._price = 0
        self._worth = 0.0

    @property
    def needs_model(self) -> bool:
        """Whether it asks a trained model."""
        return bool(getattr(self._strategy, "needs_model", False))

    @property
    def record(self) -> NDArray[np.float64]:
        """Net result of each bar as a fraction of the entry value, oldest first."""
        return np.array(self._returns)

    def see(self, ctx: Context, bar: Bar, costs: Costs) -> None:
        """Trade this bar on paper: what was ordered fills, costs are paid, the strategy is asked for more."""
        if self._desk is None:
            self._open(ctx, bar, costs)
        desk = self._desk
        assert desk is not None
        if self.needs_model and ctx.model is not None and desk.model is not ctx.model:
            desk.take(ctx.model)
        try:
            _, intents = desk.on_bar(bar)
        except Exception as error:
            error.add_note(f"It happened in {self.title!r}, a member of the ensemble.")
            raise
        account = desk.account()
        entry = desk.plan.entry_quanta * desk.engine.quantum()
        if bar.open_ns >= self._unseen_from(ctx):
            self._returns.append((account.equity - self._worth) / entry)
            del self._returns[: -self._window]
        self._worth = account.equity
        if account.position == 0 and not account.pending:
            self.stance = 0.0
        for intent in intents:
            if isinstance(intent, Exit):
                self.stance = 0.0
            elif isinstance(intent, Enter) and account.position == 0 and account.pending:
                self.stance = intent.fraction if intent.side == "long" else -intent.fraction

    def _unseen_from(self, ctx: Context) -> int:
        """What a model has learnt from says nothing of it: its record begins where its training ended."""
        return int(ctx.model.meta.get("train_end_ns", 0)) if self.needs_model and ctx.model is not None else 0

    def _open(self, ctx: Context, bar: Bar, costs: Costs) -> None:
        saved = self._saved
        price = saved["price"] if saved is not None else int(bar.close)
        plan = _plan(ctx, price, costs, ctx.model.meta if self.needs_model and ctx.model is not None else {})
        self._desk = desk_for(plan, self._strategy, ctx.seed, ctx.model if self.needs_model else None)
        self._price = price
        self._worth = self._desk.account().equity
        if saved is not None:
            self._desk.restore(saved["desk"].encode())
            self._worth = saved["worth"]
            self._saved = None

    def save(self) -> JsonDict | None:
        """Its account, its record and its strategy's own state; None before its first bar."""
        if self._desk is None:
            return self._saved
        return {
            "desk": self._desk.to_bytes().decode(), "price": self._price, "returns": list(self._returns),
            "stance": self.stance, "worth": self._worth,
        }  # fmt: skip

    def load(self, state: JsonDict | None) -> None:
        """Take back what `save` gave; the account is opened at the next bar, which tells its instrument."""
        self._saved, self._desk = (dict(state) if state is not None else None), None
        self._returns = list(state["returns"]) if state is not None else []
        self.stance = float(state["stance"]) if state is not None else 0.0


def _plan(ctx: Context, price: int, costs: Costs, meta: Mapping[str, Any]) -> Plan:
    """A plan whose entries are large enough for the instrument's lots; a model's own exits win."""
    instrument = ctx.instrument
    entry = max(_LOTS * price * instrument.tick_size * instrument.lot_size, 10 * instrument.min_notional)
    entry = min(entry, MAX_QUANTA // (5 * _ENTRIES) * instrument.quantum)  # for prices beyond all that was ever paid
    percent = Decimal(100) / PPM
    return Plan.of(
        instrument, ctx.timeframe, cash=_ENTRIES * entry, entry_value=entry,
        take_profit=meta.get("take_profit_ppm", 0) * percent or str(costs.take_profit),
        stop_loss=meta.get("stop_loss_ppm", 0) * percent or str(costs.stop_loss),
        horizon=meta.get("horizon_bars", 0) or costs.horizon,
        fee=str(costs.fee), slippage=str(costs.slippage),
    )  # fmt: skip
