"""A session's settings back in the form: the ticket from which another one like it can be started."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pregao.sessions.records import SessionRow
from pregao.sessions.spec import Live, SessionSpec
from pregao_ui.ticket.form import BEGINNING, DATE, LIVE, PERCENT, PRICE, REPLAY

_SAME = ("mode", "trailing", "shadow", "horizon", "timeframe", "strategy")
_NUMBERS = ("cash", "entry_value", "fee", "slippage")
_BESIDE = ("seed", "isolated", "deadline", "memory", "approval_bars", "broker")
"""What a session can be asked that the form has no field for."""


def left_out(spec: SessionSpec) -> list[str]:
    """What a session was asked that its clone in the form is not, by the spec's names."""
    asked = [name for name in _BESIDE if getattr(spec, name) != SessionSpec.model_fields[name].default]
    return asked + (["limits"] if spec.risk.model_dump(exclude={"profile"}, exclude_none=True) else [])


def ticket_of(row: SessionRow) -> dict[str, Any]:
    """The form's values for a session like this one; ``settings`` are its strategy's own."""
    spec, feed = row.spec, row.spec.feed
    by_price = spec.take_profit_price is not None and spec.stop_loss_price is not None
    values: dict[str, Any] = {name: getattr(spec, name) for name in _SAME}
    values |= {name: float(getattr(spec, name)) for name in _NUMBERS}
    values |= {
        "asset_class": row.instrument.asset_class,
        "exits": PRICE if by_price else PERCENT,
        "take_profit": float(spec.take_profit_price if by_price else spec.take_profit),  # type: ignore[arg-type]
        "stop_loss": float(spec.stop_loss_price if by_price else spec.stop_loss),  # type: ignore[arg-type]
        "risk": spec.risk.profile,
        "meta": spec.meta == "veto",
        "settings": {spec.strategy: dict(spec.config)},
    }
    if isinstance(feed, Live):
        venue = str(feed.options.get("exchange", row.instrument.venue))
        return values | {
            "feed": LIVE,
            "venue": f"{feed.source}/{venue}",
            "instrument": feed.symbol,
            "also": list(feed.also),
        }
    begun = None if feed.start is None else datetime.fromtimestamp(feed.start / 1e9, UTC)
    return values | {
        "feed": REPLAY,
        "instrument": row.instrument.key,
        "also": list(spec.also),
        "start": BEGINNING if begun is None else DATE,
        "date": "" if begun is None else begun.strftime("%Y-%m-%d %H:%M"),
        "speed": feed.speed,
    }
