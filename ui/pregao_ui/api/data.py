"""``/data``: what the store covers and what was found in it, its versions, ingests, uploads."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, status

from pregao.core.errors import UsageError
from pregao.core.timeframe import NAMES
from pregao.market.sources import source_names
from pregao_ui.api.problems import NOT_FOUND
from pregao_ui.api.refusing import refuse, told
from pregao_ui.api.tagged import TaggedRoute
from pregao_ui.numbers import parse_day
from pregao_ui.refusals import refusal
from pregao_ui.schemas.data import IngestIn, ListedOut, QualityOut, SourceOut, StoredSeries, Uploaded, VersionOut
from pregao_ui.schemas.flows import Asked
from pregao_ui.services import Services
from pregao_ui.services.data import UPLOAD_MOST, UploadTooLongError
from pregao_ui.texts import language_of

FULL = ("yfinance", "ccxt")
"""Sources that offer too much to bring all of it."""


def router(services: Services) -> APIRouter:
    """The store of market data."""
    api = APIRouter(prefix="/data", route_class=TaggedRoute, tags=["market"])

    @api.get("/series")
    def series() -> list[StoredSeries]:
        """Every stored series: span, coverage by the market's calendar, and what was found in it."""
        return services.data.series()

    @api.get("/quality", responses=NOT_FOUND)
    def quality(
        instrument: Annotated[str, Query(max_length=200)], timeframe: Annotated[str, Query(max_length=8)]
    ) -> QualityOut:
        """What was found in one series, and the rows that were put aside."""
        return services.data.quality(instrument, timeframe)

    @api.get("/versions")
    def versions(limit: Annotated[int, Query(ge=1, le=500)] = 20) -> list[VersionOut]:
        """The recorded versions of the store, newest first."""
        return services.data.versions(limit)

    @api.get("/sources")
    def sources() -> list[str]:
        """The installed sources of market data."""
        return source_names()

    @api.get("/sources/{name}", responses=NOT_FOUND)
    def source(name: Annotated[str, Path(max_length=100)]) -> SourceOut:
        """One source: whether it can be followed live, and the JSON schema of its options."""
        return services.data.source(name)

    @api.get("/sources/{name}/instruments", responses=NOT_FOUND)
    def instruments(
        name: Annotated[str, Path(max_length=100)],
        text: Annotated[str, Query(max_length=100, description="Words of a symbol or a name; Yahoo needs some")] = "",
        exchange: Annotated[
            str | None, Query(max_length=40, pattern=r"^[a-z0-9]+$", description="Of the source ccxt")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 100,
    ) -> list[ListedOut]:
        """What a source offers, the best match first, as of an hour ago at most. 503 while its venue is away."""
        options = {"exchange": exchange} if exchange else {}
        return [ListedOut.of(one) for one in services.listings.find(name, options, text)[:limit]]

    @api.post("/ingests", status_code=status.HTTP_202_ACCEPTED)
    def ingest(wanted: IngestIn, request: Request) -> Asked:
        """Ask for market data; follow the run at ``/flows/runs/{run}``. 503 while Prefect is away."""
        names = [name for name in source_names() if name != "files"]
        if wanted.source not in names:
            refuse("source", told(request, "err_choice", limit=", ".join(names)))
        if wanted.source in FULL and not wanted.symbols:
            refuse("symbols", told(request, "err_required"))
        parameters: dict[str, Any] = {"symbols": wanted.symbols, "options": {}}
        if wanted.timeframe:
            if wanted.timeframe not in NAMES:
                refuse("timeframe", told(request, "err_choice", limit=", ".join(NAMES)))
            parameters["timeframe"] = wanted.timeframe
        if wanted.since:
            since_ns = parse_day(wanted.since)
            if since_ns is None:
                refuse("since", told(request, "err_date", example="2024-05-31"))
            parameters["since"] = wanted.since if "-" in wanted.since else "-".join(wanted.since.split("/")[::-1])
        if wanted.source == "ccxt" and wanted.exchange:
            parameters["options"]["exchange"] = wanted.exchange
        name = " ".join([wanted.source, *wanted.symbols, wanted.timeframe or ""]).strip()
        return Asked(run=services.flows.ingest(wanted.source, parameters, name))

    @api.post(
        "/uploads",
        status_code=status.HTTP_201_CREATED,
        openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}},
    )
    async def upload(
        request: Request,
        file: Annotated[str, Query(max_length=200, description="Name of the file")],
        symbol: Annotated[str, Query(min_length=1, max_length=60, pattern=r"^[^\s,;]+$")],
        timeframe: Annotated[str | None, Query(max_length=8, description="Told from its times, if left out")] = None,
    ) -> Uploaded:
        """Bring a CSV or Parquet file of one instrument, sent as the body; rows that cannot be bars are put aside."""
        if timeframe and timeframe not in NAMES:
            refuse("timeframe", told(request, "err_choice", limit=", ".join(NAMES)))
        try:
            path = await services.data.receive(file, request.stream())
            return await asyncio.to_thread(services.data.take, path, symbol, timeframe or None)
        except UploadTooLongError:
            refuse("file", told(request, "err_file_long", limit=f"{UPLOAD_MOST // 1_000_000} MB"))
        except UsageError as error:
            refuse("file", refusal(language_of(request.headers, request.cookies), str(error)))

    return api
