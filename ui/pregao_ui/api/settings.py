"""``/settings``: keys that are never told again, notifications, limits."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, status

from pregao import keys
from pregao.sessions.notify import targets
from pregao.settings import settings
from pregao_flows.serve import LIMIT
from pregao_ui.api.problems import NOT_FOUND
from pregao_ui.api.sessions import MAX_ROWS
from pregao_ui.api.tagged import TaggedRoute
from pregao_ui.schemas.settings import (
    KeyIn,
    KeyOut,
    LimitsOut,
    NotificationsIn,
    NotificationsOut,
    TargetIn,
    TargetOut,
    TestedOut,
)
from pregao_ui.security import MAX_BODY
from pregao_ui.services import Services

KeyName = Annotated[str, Path(pattern=keys.NAME, examples=["PREGAO_CCXT_BINANCE_KEY"])]


def router(services: Services) -> APIRouter:
    """Settings of the installation."""
    api = APIRouter(prefix="/settings", route_class=TaggedRoute, tags=["settings"])

    @api.get("/keys")
    def list_keys() -> list[KeyOut]:
        """Which keys there are; no route tells what they are."""
        return services.settings.keys()

    @api.put("/keys/{name}")
    def set_key(name: KeyName, key: KeyIn) -> list[KeyOut]:
        """Keep a key of a venue, named as its variable would be."""
        return services.settings.set_key(name, key.value.get_secret_value())

    @api.delete("/keys/{name}", responses=NOT_FOUND)
    def drop_key(name: KeyName) -> list[KeyOut]:
        """Forget a key."""
        return services.settings.drop_key(name)

    @api.get("/notifications")
    def notifications() -> NotificationsOut:
        """What is sent, and where to; addresses are not told."""
        return services.settings.notifications()

    @api.put("/notifications")
    def choose(chosen: NotificationsIn) -> NotificationsOut:
        """Turn notifications on or off, and say what about. What was before they are on is not told."""
        return services.settings.choose_notifications(chosen)

    @api.post("/notifications/targets", status_code=status.HTTP_201_CREATED)
    def add_target(target: TargetIn) -> TargetOut:
        """Add a place to send to, by an address of Apprise."""
        return services.settings.add_target(target.address.get_secret_value(), target.name)

    @api.delete("/notifications/targets/{target_id}", responses=NOT_FOUND)
    def remove_target(target_id: str) -> NotificationsOut:
        """Forget a place to send to."""
        return services.settings.remove_target(target_id)

    @api.post("/notifications/test", responses=NOT_FOUND)
    def test(target: Annotated[str | None, Query(description="One target; all without it")] = None) -> list[TestedOut]:
        """Send a test message now, also while notifications are off."""
        return services.settings.test_notifications(target)

    @api.get("/limits")
    def limits() -> LimitsOut:
        """What this installation allows at once."""
        return LimitsOut(
            sessions_at_once=LIMIT,
            requests_per_second=settings().panel_rate,
            request_bytes=MAX_BODY,
            rows_at_once=MAX_ROWS,
            targets=targets.MOST,
        )

    return api
