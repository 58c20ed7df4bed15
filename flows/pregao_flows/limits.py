"""Concurrency limits that the flows share, kept by the Prefect server and editable in its pages."""

from __future__ import annotations

import re
from contextlib import suppress

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

DVC_LIMIT = "dvc"
"""Held while the data repository is committed to or read: DVC's own lock gives up after three seconds."""

VENUE_AT_ONCE = 2
"""Instruments of one venue that are fetched at once, unless the limit was edited: venues answer in the order asked."""

AT_ONCE = 8
"""Instruments that one run fetches at once, of all venues."""


def ensure_venue_limit(venue: str) -> str:
    """The name of a venue's limit, created if it is not there; one that was edited stays as it is."""
    name = "venue-" + re.sub(r"[^a-z0-9]+", "-", venue.lower()).strip("-")
    with get_client(sync_client=True) as prefect:
        try:
            prefect.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            with suppress(ObjectAlreadyExists):  # another task was faster
                prefect.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=VENUE_AT_ONCE))
    return name
