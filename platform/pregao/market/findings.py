"""What the quality checks say: findings, bad rows, and the report of an ingest, kept beside the bars."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pregao.core.errors import UsageError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.atomic import write_atomic
from pregao.market.store import Store

Level = Literal["error", "warning", "info"]
EXAMPLES = 5
LISTED = 1_000
"""At most so many bad rows are listed in a report; all are counted, and all are kept in the quarantine."""
QUARANTINE_MOST = 20_000
"""A series with more rows in quarantine is not data with flaws, it is the wrong data."""


class Finding(BaseModel):
    """One kind of flaw in a series.

    Attributes:
        kind: its name, for example ``"gap"``.
        level: ``error`` where rows were left out, ``warning`` for what a person should look at, ``info`` else.
        count: how often it occurs.
        text: one sentence for a person.
        examples: where it occurs, the first few.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    level: Level
    count: int
    text: str
    examples: tuple[str, ...] = ()


class BadRow(BaseModel):
    """A row that was not let into the store: where it came from, why, and what it said."""

    model_config = ConfigDict(frozen=True)

    where: str
    why: str
    content: str


class Flaws(BaseModel):
    """One kind of flaw within some bars.

    Attributes:
        count: bars concerned; of gaps, bars that are missing.
        places: how often it occurs.
        examples: open times (ns since 1970) of the first few, of gaps the longest few, and how many bars each concerns.
    """

    model_config = ConfigDict(frozen=True)

    count: int
    places: int
    examples: tuple[tuple[int, int], ...] = ()


class PeriodReport(BaseModel):
    """The flaws of the bars of one file of a series.

    Attributes:
        made_from: a digest of all that the checks looked at; while it is the same, so are the flaws.
        bars: how many.
        flaws: by kind.
    """

    model_config = ConfigDict(frozen=True)

    made_from: str
    bars: int
    flaws: dict[str, Flaws] = {}

    @property
    def missing(self) -> int:
        """Bars that the market made by its calendar, and that are not there."""
        return self.flaws["gap"].count if "gap" in self.flaws else 0


class QualityReport(BaseModel):
    """What an ingest found in one series; equal data give an equal report.

    Attributes:
        key, timeframe: which series.
        rows: rows that the source delivered in the last ingest that changed or found anything.
        bars: bars of the whole series after the ingest, from ``first`` to ``last`` (open times, UTC).
        findings: the flaws of those rows and of the whole series, worst first.
        quarantined: the rows that were left out in that ingest, at most `LISTED`.
        arrived: those of the findings that are of the rows as they came.
        periods: the flaws of each file of bars, by its name.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    timeframe: str
    rows: int
    bars: int
    first: str
    last: str
    findings: tuple[Finding, ...] = ()
    quarantined: tuple[BadRow, ...] = ()
    arrived: tuple[Finding, ...] = ()
    periods: dict[str, PeriodReport] = {}

    @property
    def clean(self) -> bool:
        """Whether nothing above the level ``info`` was found."""
        return all(finding.level == "info" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON, without its bookkeeping by files."""
        return self.model_dump(mode="json", exclude={"arrived", "periods"})


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by their level, else in the order given."""
    rank = {"error": 0, "warning": 1, "info": 2}
    return tuple(sorted(findings, key=lambda finding: rank[finding.level]))


def save(found: QualityReport, store: Store) -> None:
    """Keep a report beside the bars, in ``quality/<key>/<timeframe>.json`` of the data folder."""
    content = json.dumps(found.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    write_atomic(_path(store, found.key, found.timeframe, ".json"), content.encode(), store.root / ".tmp")


def stored(store: Store, instrument: Instrument, timeframe: Timeframe) -> QualityReport | None:
    """The report of the last ingest of a series; None if there is none that can be read."""
    try:
        return QualityReport.model_validate_json(_path(store, instrument.key, timeframe.name, ".json").read_bytes())
    except (OSError, ValidationError):
        return None


def quarantine(rows: Iterable[BadRow], store: Store, instrument: Instrument, timeframe: Timeframe) -> None:
    """Keep rows that were left out, in ``quality/<key>/<timeframe>.quarantine.jsonl``, each once.

    Raises `UsageError` if there would be more than `QUARANTINE_MOST`.
    """
    path = _path(store, instrument.key, timeframe.name, ".quarantine.jsonl")
    before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = dict.fromkeys([*before, *(row.model_dump_json() for row in rows)])
    if len(lines) == len(before):
        return
    if len(lines) > QUARANTINE_MOST:
        raise UsageError(
            f"{len(lines):,} rows of {instrument.symbol} {timeframe} would be in quarantine, "
            f"more than the {QUARANTINE_MOST:,} that it holds.",
            f"Look at the data, or clear {path} if you know these rows.",
        )
    write_atomic(path, ("\n".join(lines) + "\n").encode(), store.root / ".tmp")


def quarantined(store: Store, instrument: Instrument, timeframe: Timeframe) -> list[BadRow]:
    """All rows of a series that were ever left out, in the order in which they came."""
    path = _path(store, instrument.key, timeframe.name, ".quarantine.jsonl")
    if not path.exists():
        return []
    return [BadRow.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _path(store: Store, key: str, timeframe: str, ending: str) -> Path:
    return store.root / "quality" / key / f"{timeframe}{ending}"
