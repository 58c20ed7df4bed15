"""Moments as a person writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from pregao.core.errors import UsageError


def parse(text: str) -> int:
    """A date or time in ISO 8601 as ns since 1970, UTC unless it names an offset; `UsageError` for other text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time such as 2024-05-31 or 2024-05-31T13:00.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp()) * 1_000_000_000
