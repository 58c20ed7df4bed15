"""Reading the times of bars in the many ways in which files write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pregao.core.errors import UsageError

_OFFSET = r"(?:Z|[+-]\d{2}:?\d{2})$"


def read_times(
    column: pd.Series, zone: str, time_format: str | None, *, daily: bool, path: Path
) -> pd.Series[pd.Timestamp]:
    """A column as UTC times; what cannot be read is NaT.

    Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, by their size. Text is ISO 8601, or
    in ``time_format``. Times that name no zone are in ``zone``. A daily bar is at midnight UTC of its local date.

    Raises `UsageError` if no time at all can be read.
    """
    if pd.api.types.is_numeric_dtype(column) and time_format is None:
        times = _from_numbers(column)
    elif pd.api.types.is_datetime64_any_dtype(column):
        times = column
    else:
        times = _from_text(column.astype("string"), time_format, daily)
    if len(times) and times.isna().all():
        raise UsageError(
            f"The times of {path.name} cannot be read; the first is {str(column.iloc[0])!r}.",
            "Write them as 2024-05-31 13:00, or give --time-format, for example '%d/%m/%Y %H:%M'.",
        )
    if daily:
        local = times if times.dt.tz is None else times.dt.tz_localize(None)
        return local.dt.normalize().dt.tz_localize("UTC")
    if times.dt.tz is None:
        times = times.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    return times.dt.tz_convert("UTC")


def _from_numbers(column: pd.Series) -> pd.Series[pd.Timestamp]:
    numbers = column.astype("float64")
    size = float(np.nanmedian(np.abs(numbers))) if numbers.notna().any() else 0.0
    unit = next((u for u, top in (("s", 1e11), ("ms", 1e14), ("us", 1e17)) if size < top), "ns")
    whole = column if column.dtype.kind in "iu" else numbers
    times: pd.Series[pd.Timestamp] = pd.to_datetime(whole, unit=unit, utc=True, errors="coerce")  # type: ignore[call-overload]
    return times


def _from_text(column: pd.Series, time_format: str | None, daily: bool) -> pd.Series[pd.Timestamp]:
    text = column.str.strip()
    zoned = bool(text.dropna().iloc[:1].str.contains(_OFFSET).any()) and time_format is None
    # The date of a daily bar is the one it was written with, not the one it has in UTC.
    if zoned and daily:
        text = text.str.replace(_OFFSET, "", regex=True)
        zoned = False
    return pd.to_datetime(text, format=time_format or "ISO8601", errors="coerce", utc=zoned)
