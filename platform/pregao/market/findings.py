"""What the quality checks say: findings, bad rows, and the report of an ingest, kept beside the bars."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.atomic import write_atomic
from pregao.market.store import Store

Level = Literal["error", "warning", "info"]
EXAMPLES = 5
LISTED = 1_000
"""At most so many bad rows are listed in a report; all are counted."""


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
    """A row that cannot be a bar: where it came from, why, and what it said."""

    model_config = ConfigDict(frozen=True)

    where: str
    why: str
    content: str


class QualityReport(BaseModel):
    """What an ingest found in one series; equal data give an equal report.

    Attributes:
        key, timeframe: which series.
        rows: rows that the source delivered.
        bars: bars of the whole series after the ingest, from ``first`` to ``last`` (open times, UTC).
        findings: the flaws, worst first.
        quarantined: the bad rows that were left out, at most `LISTED`.
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

    @property
    def clean(self) -> bool:
        """Whether nothing above the level ``info`` was found."""
        return all(finding.level == "info" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return self.model_dump(mode="json")


def save(found: QualityReport, store: Store) -> None:
    """Keep a report beside the bars, in ``quality/<key>/<timeframe>.json`` of the data folder."""
    path = store.root / "quality" / found.key / f"{found.timeframe}.json"
    content = json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n"
    write_atomic(path, content.encode(), store.root / ".tmp")


def stored(store: Store, instrument: Instrument, timeframe: Timeframe) -> QualityReport | None:
    """The report of the last ingest of a series; None if there is none that can be read."""
    path = store.root / "quality" / instrument.key / f"{timeframe}.json"
    try:
        return QualityReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
