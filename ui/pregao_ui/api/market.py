"""``/instruments`` and ``/bars``: the market data that is stored."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from pregao_ui.api.problems import NOT_FOUND
from pregao_ui.api.tagged import TaggedRoute
from pregao_ui.schemas.market import BarOut, StoredInstrument
from pregao_ui.services import Services


def router(services: Services) -> APIRouter:
    """Instruments, series and bars."""
    api = APIRouter(route_class=TaggedRoute, tags=["market"])

    @api.get("/instruments")
    def instruments() -> list[StoredInstrument]:
        """The instruments of the store with their timeframes."""
        return services.market.instruments()

    @api.get("/bars", responses=NOT_FOUND)
    def bars(
        instrument: Annotated[str, Query(max_length=200, description="Its key, or an unambiguous symbol")],
        timeframe: Annotated[str, Query(max_length=8)],
        end: Annotated[float | None, Query(ge=0, le=1e11, description="Only bars that open before this time")] = None,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 300,
    ) -> list[BarOut]:
        """The last bars before a time, oldest first."""
        return services.market.bars(instrument, timeframe, end, limit)

    return api
