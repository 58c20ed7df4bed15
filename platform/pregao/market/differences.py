"""What changed between two versions of the bars, in bars."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from pregao.core.bars import COLUMNS, Ints
from pregao.market import parquet
from pregao.market.actions import FILE as ACTIONS
from pregao.market.times import among

RULES = "instrument.json"
Content = Callable[[str], Path]
"""The local file with the content of an md5."""


@dataclass(frozen=True, slots=True)
class SeriesChange:
    """What changed in one series, or, with an empty timeframe, in an instrument's rules or actions.

    Attributes:
        key, timeframe: which.
        added, removed, replaced: bars.
        first_ns, last_ns: open times of the first and last bar concerned; 0 if none is.
        what: ``"bars"``, ``"rules"`` or ``"actions"``.
    """

    key: str
    timeframe: str
    added: int = 0
    removed: int = 0
    replaced: int = 0
    first_ns: int = 0
    last_ns: int = 0
    what: str = "bars"

    @property
    def series(self) -> tuple[str, str]:
        """Key and timeframe."""
        return self.key, self.timeframe

    def __str__(self) -> str:
        if self.what != "bars":
            return f"{self.key} {self.what}"
        counts = ((self.added, "+"), (self.removed, "-"), (self.replaced, "~"))
        return f"{self.key} {self.timeframe} " + " ".join(f"{sign}{count:,}" for count, sign in counts if count)


def differences(
    old: Mapping[str, str],
    new: Mapping[str, str],
    old_content: Content,
    new_content: Content,
    without: Collection[tuple[str, str]] = (),
) -> list[SeriesChange]:
    """What changed, by series, in order of their names; series in which no bar differs are left out.

    Args:
        old, new: path below the data folder -> md5, of all files of each version.
        old_content, new_content: where each version's contents are.
        without: series, by key and timeframe, that are not looked at.
    """
    changes = []
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    for folder, files in groupby(names, key=lambda name: Path(name).parent):
        inside = list(files)
        parts = folder.relative_to("bars").parts
        if len(parts) == 3:
            changes += [SeriesChange("/".join(parts), "", what=_what(name)) for name in inside]
            continue
        total = SeriesChange("/".join(parts[:3]), parts[3])
        if total.series in without:
            continue
        for name in inside:
            before = old_content(old[name]) if name in old else None
            after = new_content(new[name]) if name in new else None
            total = _add(total, before, after)
        if total.added or total.removed or total.replaced:
            changes.append(total)
    return changes


def _what(name: str) -> str:
    return {RULES: "rules", ACTIONS: "actions"}.get(Path(name).name, Path(name).name)


def _add(total: SeriesChange, before: Path | None, after: Path | None) -> SeriesChange:
    """The change with that of one file added."""
    if before is None or after is None:
        path = after or before
        assert path is not None
        said = parquet.describe(path)
        change = replace(total, added=total.added + (said.bars if after else 0))
        change = replace(change, removed=change.removed + (said.bars if before else 0))
        return _spanned(change, said.first_ns, said.last_ns)
    old, new = parquet.read(before), parquet.read(after)
    old_ns, new_ns = _times(old), _times(new)
    added, removed = ~among(new_ns, old_ns), ~among(old_ns, new_ns)
    both = ~added
    at = np.searchsorted(old_ns, new_ns[both])
    differs = np.zeros(int(both.sum()), dtype=bool)
    for name in (*COLUMNS, "volume"):
        differs |= old[name].to_numpy()[at] != new[name].to_numpy()[both]
    concerned = np.concatenate([new_ns[added], old_ns[removed], new_ns[both][differs]])
    if not len(concerned):
        return total
    change = replace(
        total,
        added=total.added + int(added.sum()),
        removed=total.removed + int(removed.sum()),
        replaced=total.replaced + int(differs.sum()),
    )
    return _spanned(change, int(concerned.min()), int(concerned.max()))


def _spanned(change: SeriesChange, first: int, last: int) -> SeriesChange:
    known = change.first_ns or change.last_ns
    return replace(
        change,
        first_ns=min(change.first_ns, first) if known else first,
        last_ns=max(change.last_ns, last) if known else last,
    )


def _times(table: pa.Table) -> Ints:
    times: Ints = table["timestamp"].cast(pa.int64()).to_numpy() * 1_000
    return times
