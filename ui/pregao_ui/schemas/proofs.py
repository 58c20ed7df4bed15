"""What a session's record proves: its audit, where a figure came from, how it compares."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from pregao.sessions.records import Status


class AuditOut(BaseModel):
    """A session's whole journal lived through again, through the same step that a backtest takes."""

    identical: bool = Field(description="Every recorded row came out again, to the byte")
    rows: int = Field(description="Rows that are good, from the first on")
    bars: int
    digest: str = Field(description="SHA-256 of the account that they lead to")
    chain: str = Field(description="Hash of the last of them")
    cuts: int = Field(description="How often the journal was cut because it was damaged")
    problem: str = Field(description="The first row that does not come out again, and why; empty if all do")
    seconds: float


class StepOut(BaseModel):
    """One link of the chain from a figure back to code, model and data."""

    what: Literal["figure", "fill", "order", "decision", "model", "run", "data", "code"]
    seq: int | None = Field(description="Row of the journal that says so; null for what is known from elsewhere")
    facts: dict[str, Any]
    note: str = Field(description="What is missing, and why")


class DuelOut(BaseModel):
    """A session beside its shadow: the two accounts, bar for bar, on bars that neither model has learnt from."""

    session: str
    shadow: str = Field(description="The session of the challenger")
    status: Status
    champion: str = Field(description="Version of the session's model")
    challenger: str
    bars: int = Field(description="Compared")
    start: float | None = Field(description="The first of them, seconds since 1970")
    returns: tuple[float | None, float | None] = Field(description="Of the champion and the challenger, as fractions")
    sharpes: tuple[float | None, float | None]
    p: float | None = Field(description="Chance that the challenger is not better; null with too few bars")
    better: bool = Field(description="Whether the gate takes that for proof")
    text: str = Field(description="What the gate says of it, in the person's language")
    advice: str


class ComparedOut(BaseModel):
    """A session beside others."""

    session: str
    times: list[float] = Field(description="Seconds since 1970: closes of bars, thinned without losing an extreme")
    equity: list[float] = Field(description="Equity at those times, per cent of the cash at the start")
    figures: dict[str, float | None]
    problem: str = Field(default="", description="Why there is nothing to compare yet")
