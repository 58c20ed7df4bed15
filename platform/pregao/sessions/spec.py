"""What a person asks for when they press Start: one immutable, validated description of a session."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from pregao.core.rules import broken

MOST = 16
"""Instruments that one account trades at most."""
Mode = Literal["observe", "approve", "auto"]
Money = Annotated[Decimal, Field(gt=0, le=Decimal("1e12"), max_digits=24, decimal_places=8, allow_inf_nan=False)]
Percent = Annotated[Decimal, Field(gt=0, lt=100, decimal_places=4, allow_inf_nan=False)]


class Replay(BaseModel):
    """Bars of the store played back as if they came live.

    Attributes:
        start, end: open times in ns since 1970 UTC, ``start <= t < end``; None is the first or last bar.
        speed: bars a second; 0 plays as fast as possible.
        version: the data version to read; None is what the store holds now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["replay"] = "replay"
    start: int | None = None
    end: int | None = None
    speed: float = Field(default=2.0, ge=0, le=10_000)
    version: str | None = None


class Live(BaseModel):
    """A market followed as it is traded.

    Attributes:
        source: the name of a source that can be followed, such as ``ccxt`` or ``yfinance``.
        symbol: the market, as the source spells it.
        also: further markets that the same account trades.
        options: the source's own options, such as ``{"exchange": "binance"}``; never credentials.
        stale_s: silence after which the market counts as unheard, in seconds; None is the source's own.
        poll_s: seconds between questions where there is no stream; None is the source's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["live"] = "live"
    source: str = Field(min_length=1)
    symbol: str = Field(min_length=1)
    also: tuple[Annotated[str, Field(min_length=1)], ...] = Field(default=(), max_length=MOST - 1)
    options: dict[str, Any] = Field(default_factory=dict)
    stale_s: float | None = Field(default=None, gt=0, le=86_400)
    poll_s: float | None = Field(default=None, gt=0, le=3_600)


class Shadow(BaseModel):
    """The bars of another session, as its journal has them: see `pregao.sessions.shadow`.

    Attributes:
        of: the session that is followed.
        after: open time of its last bar before the first, in ns since 1970 UTC; 0 is from its beginning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["shadow"] = "shadow"
    of: str = Field(min_length=1)
    after: int = Field(default=0, ge=0)


def _kind(feed: Any) -> str:
    """Which feed raw values ask for: a replay, unless they say otherwise."""
    return str(feed.get("kind", "replay") if isinstance(feed, dict) else getattr(feed, "kind", "replay"))


AnyFeed = Annotated[
    Annotated[Replay, Tag("replay")] | Annotated[Live, Tag("live")] | Annotated[Shadow, Tag("shadow")],
    Discriminator(_kind),
]


class PaperBroker(BaseModel):
    """Orders are filled by the simulation engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["paper"] = "paper"


class ExchangeBroker(BaseModel):
    """Orders go to an exchange: its sandbox, unless real money was enabled twice, see `brokers.permission`.

    Attributes:
        exchange: by ccxt's name. The credentials are in the environment, never here.
        options: of the client, such as ``{"base_url": …}``; never credentials.
        sandbox: use the exchange's own sandbox.
        confirmation: what a person typed to trade real money.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["exchange"] = "exchange"
    exchange: str = Field(default="binance", min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)
    sandbox: bool = True
    confirmation: str | None = None


def _broker(broker: Any) -> str:
    """Which broker raw values ask for: paper, unless they say otherwise."""
    return str(broker.get("kind", "paper") if isinstance(broker, dict) else getattr(broker, "kind", "paper"))


AnyBroker = Annotated[
    Annotated[PaperBroker, Tag("paper")] | Annotated[ExchangeBroker, Tag("exchange")], Discriminator(_broker)
]

Share = Annotated[Decimal, Field(gt=0, le=100, decimal_places=4, allow_inf_nan=False)]


class Risk(BaseModel):
    """The limits of a session: a profile, and what differs from it. Shares are per cent; None is the profile's own.

    Attributes:
        profile: none has no limits but the session's entry value.
        max_position: the most that one entry may be worth, of the equity.
        max_exposure: the most that position and waiting entries may be worth together, of the equity.
        kelly: the part of Kelly's fraction that an entry may be, where the strategy estimates its chance.
        daily_loss: loss in a UTC day, of the equity at its beginning, after which there are no more entries.
        max_drawdown: fall of the equity below its peak at which the position is closed and the session paused.
        cool_down: bars without an entry after a trade that lost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["none", "conservative", "balanced", "aggressive"] = "none"
    max_position: Share | None = None
    max_exposure: Share | None = None
    kelly: Share | None = None
    daily_loss: Share | None = None
    max_drawdown: Share | None = None
    cool_down: int | None = Field(default=None, ge=0, le=100_000)


Key = Annotated[str, Field(pattern=r"^[^/]+/[^/]+/[^/]+$")]


class SessionSpec(BaseModel):
    """One strategy trading one account on one or more instruments; the account is simulated unless ``broker`` says
    otherwise.

    Money is in the instruments' quote currency, rates in per cent, fees and slippage each side. Entry value, exits and
    horizon hold for each operation, the limits of the risk for the account.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    instrument: Key = Field(description="Key of the instrument: source/venue/symbol")
    also: tuple[Key, ...] = Field(
        default=(), max_length=MOST - 1, description="Keys of further instruments that the same account trades"
    )
    timeframe: str
    strategy: str = Field(min_length=1)
    config: dict[str, Any] = Field(default_factory=dict, description="The strategy's settings")
    mode: Mode = "auto"
    cash: Money = Field(default=Decimal(10_000), description="Simulated money at the start")
    entry_value: Money = Field(default=Decimal(1_000), description="Spent on each entry")
    take_profit: Percent = Field(default=Decimal(2), description="Exit at this gain, per cent of the entry price")
    stop_loss: Percent = Field(default=Decimal(1), description="Exit at this loss, per cent of the entry price")
    take_profit_price: Money | None = Field(default=None, description="Exit at this price instead")
    stop_loss_price: Money | None = Field(default=None, description="Exit at this price instead")
    trailing: bool = Field(default=False, description="The stop loss follows the best close, at its distance")
    horizon: int = Field(default=0, ge=0, le=100_000, description="Exit after this many bars; 0 is never")
    fee: Annotated[Decimal, Field(ge=0, le=10, decimal_places=4)] = Decimal("0.1")
    slippage: Annotated[Decimal, Field(ge=0, le=10, decimal_places=4)] = Decimal("0.02")
    feed: AnyFeed = Replay()
    broker: AnyBroker = PaperBroker()
    model: str | None = Field(default=None, description="Registered model name; None takes the instrument's own")
    meta: Literal["off", "veto"] = Field(
        default="off", description="Whether a meta-model that was judged to help may veto entries of the model"
    )
    shadow: bool = Field(default=True, description="A challenger of the model trades the same bars in shadow")
    seed: int = Field(default=0, ge=0, lt=2**31)
    risk: Risk = Risk()
    isolated: bool = Field(default=True, description="The strategy runs in a process of its own")
    deadline: float = Field(default=5.0, gt=0, le=600, description="Seconds that the strategy may think about a bar")
    memory: int = Field(default=1_024, ge=64, le=1_048_576, description="Megabytes that the strategy may use")
    approval_bars: int = Field(default=3, ge=1, le=1_000, description="Bars that a proposal waits for approval")

    @model_validator(mode="after")
    def _affordable(self) -> SessionSpec:
        if self.entry_value > self.cash:
            more = f"the entry value {self.entry_value:f} is more than the cash {self.cash:f}"
            raise broken("entry_value", more)
        return self

    @model_validator(mode="after")
    def _same_market(self) -> SessionSpec:
        if self.broker.kind == "exchange" and self.feed.kind != "live":
            raise broken("broker", "an exchange takes orders for a market that is followed live, not for a replay")
        return self

    @model_validator(mode="after")
    def _several(self) -> SessionSpec:
        followed = self.feed.also if isinstance(self.feed, Live) else ()
        if not self.also and not followed:
            return self
        if len({self.instrument, *self.also}) <= len(self.also):
            raise broken("also", "an instrument is named twice: an account has each one once")
        if self.take_profit_price is not None or self.stop_loss_price is not None:
            raise broken("take_profit_price", "several instruments have their exits at distances, not at one price")
        return self

    @model_validator(mode="after")
    def _one_stop(self) -> SessionSpec:
        if self.trailing and self.stop_loss_price is not None:
            raise broken("trailing", "a stop loss that trails has a distance, not a price")
        return self
