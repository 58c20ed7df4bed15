"""What an ingest did, for a person and for a program."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pregao.market.findings import QualityReport
from pregao.market.merging import WriteResult
from pregao.market.versions import Version


@dataclass(frozen=True)
class SeriesReport:
    """What an ingest did to one series: bars and actions written, and the quality of the whole series with them."""

    key: str
    symbol: str
    timeframe: str
    written: WriteResult
    quality: QualityReport
    actions: WriteResult = field(default_factory=WriteResult)

    @property
    def changed(self) -> bool:
        """Whether a stored bar or action was added, replaced or removed."""
        return self.written.changed or self.actions.changed


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        source: the name of the source, or of several.
        series: one report for each series that it brought.
        version: the version of the store after it.
    """

    source: str
    series: tuple[SeriesReport, ...]
    version: Version

    @property
    def added(self) -> int:
        """Bars that the store did not have before."""
        return sum(one.written.added for one in self.series)

    @property
    def changed(self) -> bool:
        """Whether any stored bar or action was added, replaced or removed."""
        return any(one.changed for one in self.series)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {
            "source": self.source,
            "added": self.added,
            "changed": self.changed,
            "version": asdict(self.version),
            "series": [
                {
                    "key": one.key,
                    "symbol": one.symbol,
                    "timeframe": one.timeframe,
                    **asdict(one.written),
                    "actions": asdict(one.actions),
                    "quality": one.quality.to_json(),
                }
                for one in self.series
            ],
        }


def change(one: SeriesReport) -> str:
    """What changed in a series, in the words of a version: ``"BTC/USDT 1m +1,000"``."""
    count = one.written.added - one.written.removed
    what = [f"{count:+,}"] if count else [f"{one.written.replaced:,} replaced"] if one.written.changed else []
    if one.actions.changed:
        acted = one.actions.added + one.actions.replaced + one.actions.removed
        what.append(f"{acted:,} action{'s' if acted > 1 else ''}")
    return f"{one.symbol} {one.timeframe} {' and '.join(what)}"


def describe(one: SeriesReport) -> str:
    """One line about a series: what was written and what was found."""
    done = one.written
    parts = [f"{count:,} {word}" for word, count in asdict(done).items() if count and word != "unchanged"]
    wrote = ", ".join(parts) if parts else f"nothing new, the store already has these {done.unchanged:,} bars"
    wrote += f", {one.actions.added:,} new actions" if one.actions.added else ""
    flaws = ", ".join(f"{f.count:,} {f.kind}" for f in one.quality.findings if f.level != "info") or "clean"
    return f"{one.symbol} {one.timeframe}: {wrote}; {one.quality.bars:,} bars in all; quality: {flaws}"
