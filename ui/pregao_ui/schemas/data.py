"""The store of market data as the API tells it: coverage, quality, versions; and what an ingest is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pregao.market.findings import BadRow, Finding
    from pregao.market.sources import Listed
    from pregao.market.versions import Version

Symbol = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\s,;]+$", examples=["BTC/USDT"])]


class SourceOut(BaseModel):
    """A source of market data, and the JSON schema of its options; ``error`` says why it cannot be used."""

    name: str
    live: bool = Field(description="Whether its markets can be followed as they are traded")
    options: dict[str, Any] | None
    error: str


class ListedOut(BaseModel):
    """A market that a source offers; what its venue does not tell is empty."""

    symbol: str
    name: str
    exchange: str
    asset_class: str

    @classmethod
    def of(cls, one: Listed) -> ListedOut:
        """The shape for a market."""
        return cls(symbol=one.symbol, name=one.name, exchange=one.exchange, asset_class=one.asset_class or "")


class FindingOut(BaseModel):
    """One kind of flaw: how often it occurs, in words, and where the first few are."""

    kind: str
    level: str
    count: int
    text: str
    examples: list[str]

    @classmethod
    def of(cls, finding: Finding) -> FindingOut:
        """The shape for a finding."""
        return cls.model_validate(finding.model_dump())


class BadRowOut(BaseModel):
    """A row that was not let into the store: where it came from (file and line), why, and what it said."""

    where: str
    why: str
    content: str

    @classmethod
    def of(cls, row: BadRow) -> BadRowOut:
        """The shape for a row."""
        return cls.model_validate(row.model_dump())


class StoredSeries(BaseModel):
    """The bars of one instrument and timeframe: how many, from when to when, what is missing, what was found.

    ``periods`` is the share of each month (each year of day bars) that is there, by the market's calendar.
    """

    key: str
    symbol: str
    source: str
    asset_class: str
    synthetic: bool
    timeframe: str
    bars: int
    first: float
    last: float
    missing: int
    coverage: float
    periods: dict[str, float]
    findings: list[FindingOut]


class QualityOut(BaseModel):
    """What was found in a series, and which rows were ever put aside."""

    key: str
    timeframe: str
    findings: list[FindingOut]
    aside: list[BadRowOut]
    aside_count: int


class VersionOut(BaseModel):
    """A recorded state of all bars (DVC): its name, the revision that recorded it, when, and what was done."""

    name: str
    md5: str
    revision: str
    recorded: float
    message: str

    @classmethod
    def of(cls, version: Version) -> VersionOut:
        """The shape for a version."""
        return cls(
            name=version.short,
            md5=version.md5,
            revision=version.revision,
            recorded=version.ts_ns / 1e9,
            message=version.message,
        )


class IngestIn(BaseModel):
    """What to bring: of which source, which instruments (none: all that it offers), which bars, since when."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    source: str = Field(min_length=1, max_length=60)
    symbols: list[Symbol] = Field(default=[], max_length=50)
    timeframe: str | None = Field(default=None, max_length=8)
    since: str | None = Field(default=None, max_length=40, examples=["2024-05-31"])
    exchange: str | None = Field(default=None, max_length=40, pattern=r"^[a-z0-9]+$", description="Of the source ccxt")


class Uploaded(BaseModel):
    """What an uploaded file brought into the store."""

    key: str
    symbol: str
    timeframe: str
    added: int
    replaced: int
    bars: int
    version: str
    findings: list[FindingOut]
    aside: list[BadRowOut]
