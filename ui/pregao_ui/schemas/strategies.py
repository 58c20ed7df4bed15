"""Installed strategies as the API tells them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class StrategyOut(BaseModel):
    """An installed strategy; ``settings`` is the JSON schema of its ``Config``, None if it is broken."""

    name: str
    title: str
    summary: str
    distribution: str
    version: str
    state: Literal["ok", "broken", "ambiguous"]
    error: str
    needs_model: bool
    settings: dict[str, Any] | None
