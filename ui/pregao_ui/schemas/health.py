"""What answers, as the API tells it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from pregao.sessions.views import Money


class Health(BaseModel):
    """What answers: the panel itself always does."""

    version: str
    prefect: bool
    prefect_address: str
    mlflow: bool
    mlflow_address: str
    instruments: int
    sessions: int
    money: Money = Field(description="The dearest that a session trades with that has not ended")
    brokers: list[str] = Field(description="The exchanges that have the orders of such sessions")
