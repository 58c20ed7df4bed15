"""The one shape of every answer that is not good."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

Code = Literal[
    "bad_request", "unauthorized", "forbidden", "not_found", "method_not_allowed", "conflict", "too_large", "invalid",
    "too_many_requests", "internal", "unavailable",
]  # fmt: skip
CODES: dict[int, Code] = {
    400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
    409: "conflict", 413: "too_large", 422: "invalid", 429: "too_many_requests", 500: "internal", 503: "unavailable",
}  # fmt: skip
"""The word for each status, for scripts that tell problems apart."""


class Problem(BaseModel):
    """What happened, the mend, and the fields that are at fault, in the language of the request."""

    code: Code
    message: str = Field(examples=["There is no session named 'btc-usdt-7f3a'."])
    mend: str = Field(default="", description="What to do; empty if there is nothing to do")
    field: str | None = Field(default=None, description="The first field that is at fault", examples=["entry_value"])
    fields: dict[str, str] = Field(default_factory=dict, description="Each field at fault, and what is wrong with it")
