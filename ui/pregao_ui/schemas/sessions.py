"""Sessions, their trades and their commands as the API tells and takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.sessions.records import Command, CommandKind, SessionRow, Status, Trade
from pregao.sessions.spec import Mode, Replay
from pregao.sessions.views import Money, broker_of, money_of, shown_body, standings, trade_view
from pregao_ui.schemas.market import InstrumentOut


class BookOut(BaseModel):
    """How one of several instruments of a session stands; money in the quote currency."""

    instrument: str = Field(description="Its key; its rows and trades have its symbol")
    symbol: str
    pos: float = Field(description="Signed quantity")
    ent: float | None = Field(description="Mean entry price")
    c: float | None = Field(description="Last price")
    cost: float
    upnl: float = Field(description="Profit or loss of the open position, before fees")
    held: int = Field(default=0, description="Bars since it was opened")
    tp: float | None = Field(default=None, description="Where its take profit rests")
    sl: float | None = Field(default=None, description="Where its stop loss rests")
    pnl: float = Field(description="Of the closed round trips, net of fees")
    fees: float
    trades: int
    wins: int
    model_version: str | None


class SessionOut(BaseModel):
    """A session as it stands; the stream sends it again whenever it changes."""

    id: str
    created: float
    status: Status
    error: str | None
    instrument: InstrumentOut = Field(description="The first that it trades")
    also: list[InstrumentOut] = Field(description="The further ones, in the same account")
    timeframe: str
    seconds: int = Field(description="Length of a bar")
    strategy: str
    config: dict[str, Any]
    mode: Mode
    broker: str = Field(description="Who has its orders: `paper`, or an exchange, such as `binance sandbox`")
    money: Money = Field(description="Whose money that is")
    model: str | None
    model_version: str | None
    cash: float
    entry_value: float
    take_profit: float
    stop_loss: float
    take_profit_price: float | None = Field(description="The exit's price, if it is none in per cent")
    stop_loss_price: float | None
    trailing: bool
    risk: str = Field(description="Profile of the limits")
    horizon: int
    fee: float
    slippage: float
    live: bool = Field(description="Whether it follows the market as it is traded; else it replays stored bars")
    speed: float = Field(description="Bars a second of a replay; 0 is as fast as possible")
    start: float | None
    end: float | None
    equity: float
    pnl: float
    pnl_percent: float
    fees: float
    position: float
    trades: int
    wins: int
    bars: int
    bars_total: int = Field(description="0 if it follows the market live")
    notices: list[str] = Field(description="Sentences that the person should read")
    books: list[BookOut] = Field(description="How each instrument stands, also between two bars; empty before it began")
    proposal: dict[str, Any] | None = Field(description="The entry that waits for a person, if one does")
    proposals: list[dict[str, Any]] = Field(description="All that wait, one an instrument at most, oldest first")
    heartbeat: float | None = Field(description="When its runner last showed itself, by the wall clock")
    updated: float
    last_seq: int

    @classmethod
    def of(cls, row: SessionRow) -> SessionOut:
        """The shape for a session's row."""
        spec, feed = row.spec, row.spec.feed
        waiting = [shown_body(body, *row.instruments) for body in row.proposals]
        return cls(
            id=row.id,
            created=row.created_ns / 1e9,
            status=row.status,
            error=row.error,
            instrument=InstrumentOut.of(row.instrument),
            also=[InstrumentOut.of(each.instrument) for each in row.also],
            timeframe=spec.timeframe,
            seconds=Timeframe.parse(spec.timeframe).seconds,
            strategy=spec.strategy,
            config=spec.config,
            mode=spec.mode,
            broker=broker_of(spec),
            money=money_of(spec),
            model=row.model_name or spec.model,
            model_version=row.trading_version,
            cash=float(spec.cash),
            entry_value=float(spec.entry_value),
            take_profit=float(spec.take_profit),
            stop_loss=float(spec.stop_loss),
            take_profit_price=None if spec.take_profit_price is None else float(spec.take_profit_price),
            stop_loss_price=None if spec.stop_loss_price is None else float(spec.stop_loss_price),
            trailing=spec.trailing,
            risk=spec.risk.profile,
            horizon=spec.horizon,
            fee=float(spec.fee),
            slippage=float(spec.slippage),
            live=not isinstance(feed, Replay),
            speed=feed.speed if isinstance(feed, Replay) else 1.0,
            start=feed.start / 1e9 if isinstance(feed, Replay) and feed.start is not None else None,
            end=feed.end / 1e9 if isinstance(feed, Replay) and feed.end is not None else None,
            notices=list(row.details.get("notices", {}).values()),
            equity=row.equity,
            pnl=row.pnl,
            pnl_percent=row.pnl_percent,
            fees=row.fees,
            position=row.position,
            trades=row.trades_count,
            wins=row.win_count,
            bars=row.bars,
            bars_total=row.bars_total,
            proposal=waiting[0] if waiting else None,
            proposals=waiting,
            books=[BookOut.model_validate(each) for each in standings(row)],
            heartbeat=row.heartbeat_ns / 1e9 or None,
            updated=row.updated_ns / 1e9,
            last_seq=row.last_seq,
        )


class TradeOut(BaseModel):
    """A closed round trip; ``pnl`` is net of fees, ``return_percent`` of what was put in, ``role`` why it ended."""

    number: int
    symbol: str
    entry: float
    exit: float
    side: Literal["long", "short"]
    quantity: float
    entry_price: float
    exit_price: float
    fees: float
    pnl: float
    return_percent: float
    role: str
    ambiguous: bool

    @classmethod
    def of(cls, trade: Trade, instruments: Sequence[Instrument]) -> TradeOut:
        """The shape for a trade."""
        shown = trade_view(trade, *instruments)
        return cls(**{**shown, "quantity": shown["qty"], "return_percent": 100 * shown["return"]})


class CommandIn(BaseModel):
    """A command to a session; ``proposal`` names what is accepted or refused, ``instrument`` the one position that is
    to be closed, by its symbol or key."""

    model_config = ConfigDict(extra="forbid")

    kind: CommandKind
    proposal: int | None = Field(default=None, ge=1)
    instrument: str | None = Field(default=None, min_length=1, max_length=200)


class EquityOut(BaseModel):
    """The equity after each bar: times of the bars' closes, money in the quote currency."""

    session: str
    times: list[float]
    equity: list[float]


class CommandOut(BaseModel):
    """A command that a session was sent; ``outcome`` is ``done``, or why it was refused, or None while it waits."""

    number: int
    kind: str
    body: dict[str, Any]
    asked: float
    outcome: str | None

    @classmethod
    def of(cls, command: Command) -> CommandOut:
        """The shape for a command of the inbox."""
        return cls(
            number=command.id,
            kind=command.kind,
            body=command.body,
            asked=command.asked_ns / 1e9,
            outcome=command.outcome,
        )


class Accepted(BaseModel):
    """A command was put into the session's inbox; its runner takes it at the next bar."""

    command: int


class Launched(BaseModel):
    """Whether a runner was asked for; if not, why, and the session waits as it is."""

    session: str
    launched: bool
    message: str = ""
