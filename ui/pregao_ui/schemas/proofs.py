"""What a session's record proves: its audit, where a figure came from, how it compares."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


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


class ComparedOut(BaseModel):
    """A session beside others."""

    session: str
    times: list[float] = Field(description="Seconds since 1970: closes of bars, thinned without losing an extreme")
    equity: list[float] = Field(description="Equity at those times, per cent of the cash at the start")
    figures: dict[str, float | None]
    problem: str = Field(default="", description="Why there is nothing to compare yet")
