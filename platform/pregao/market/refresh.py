"""Going on with what is stored: which series can be brought up to date, and by which requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pregao.market import sources
from pregao.market.store import Store


@dataclass(frozen=True)
class Job:
    """One request to a source.

    Attributes:
        source, symbols, timeframe, options: as of `pregao.market.ingest.ingest`.
    """

    source: str
    symbols: tuple[str, ...]
    timeframe: str | None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def venue(self) -> str:
        """Who is asked: an exchange of the source, if the options name one, else the source."""
        exchange = self.options.get("exchange")
        return f"{self.source} {exchange}" if exchange else self.source

    @property
    def label(self) -> str:
        """The request in a few words."""
        return " ".join([self.venue, *self.symbols, self.timeframe or ""]).strip()


def refreshable(store: Store | None = None) -> list[Job]:
    """A job for each stored series whose source can go on with it: it has ``resuming(instrument)``, which gives the
    options to ask with."""
    have = store if store is not None else Store()
    names = sources.source_names()
    jobs = []
    for instrument in have.instruments():
        resuming = getattr(sources.source(instrument.source), "resuming", None) if instrument.source in names else None
        if resuming is not None:
            jobs += [
                Job(instrument.source, (instrument.symbol,), timeframe.name, dict(resuming(instrument)))
                for timeframe in have.timeframes(instrument)
            ]
    return jobs
