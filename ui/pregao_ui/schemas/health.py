"""What answers, as the API tells it."""

from __future__ import annotations

from pydantic import BaseModel


class Health(BaseModel):
    """What answers: the panel itself always does."""

    version: str
    prefect: bool
    prefect_address: str
    mlflow: bool
    mlflow_address: str
    instruments: int
    sessions: int
