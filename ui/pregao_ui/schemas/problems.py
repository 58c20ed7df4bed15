"""The one shape of every answer that is not good."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """An answer other than good: what happened, the mend, and the field if one is at fault."""

    message: str
    mend: str = ""
    fields: dict[str, str] = Field(default_factory=dict)
