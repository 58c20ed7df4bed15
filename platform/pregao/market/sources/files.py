"""The user's own data: CSV and Parquet files, in whatever columns, units and time zone they came."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator

from pregao.core.bars import COLUMNS
from pregao.core.errors import UsageError
from pregao.core.instrument import AssetClass, Instrument
from pregao.core.timeframe import NAMES, Timeframe
from pregao.market.grid import common_tick, decimal_tick, on_grid, to_grid
from pregao.market.sources import Request, Series, SourceOptions
from pregao.market.sources.tables import FIELDS, pick_columns, read_table
from pregao.market.sources.times import read_times

VENUE = "local"
_LOTS: dict[AssetClass, Decimal] = {
    "crypto": Decimal("0.00001"),
    "stock": Decimal("0.0001"),  # fractional shares, as retail brokers offer them
    "index": Decimal("0.0001"),
}
_CALENDARS: dict[AssetClass, str] = {"crypto": "24/7", "stock": "XNYS", "index": "XNYS"}


class FilesOptions(SourceOptions):
    """Options of the source ``files``. What is left open is taken from the store, else guessed from the data."""

    paths: tuple[Path, ...] = Field(min_length=1, description="CSV or Parquet files of one series")
    columns: dict[str, str] = Field(default_factory=dict, description="Our column name -> the file's")
    asset_class: AssetClass | None = Field(default=None, description="crypto unless given")
    tick_size: Decimal | None = Field(default=None, gt=0, description="Price grid; else from the decimals present")
    lot_size: Decimal | None = Field(default=None, gt=0, description="Quantity grid")
    quote: str | None = Field(default=None, min_length=1, description="Quote currency; else from the symbol, or USD")
    calendar: str | None = Field(default=None, description="24/7 or a name of exchange_calendars (XNYS, BVMF)")
    time_zone: str = Field(default="UTC", description="Zone of times that name none")
    time_format: str | None = Field(default=None, description="strptime format of the times, unless ISO 8601 or epoch")
    volume_in: Literal["base", "quote"] = Field(default="base", description="Unit of the volume column")
    round_prices: bool = Field(default=False, description="Round prices to tick_size instead of refusing them")

    @field_validator("columns")
    @classmethod
    def _ours(cls, columns: dict[str, str]) -> dict[str, str]:
        wrong = set(columns) - set(FIELDS)
        if wrong:
            raise ValueError(f"{sorted(wrong)[0]!r} is not one of our columns ({', '.join(FIELDS)})")
        return columns

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{name!r} is not a time zone; use a name such as America/Sao_Paulo") from None
        return name


class Files:
    """The source ``files``: one series from one or many files; the key is ``files/local/SYMBOL``."""

    name: ClassVar[str] = "files"
    Options: ClassVar[type[SourceOptions]] = FilesOptions

    def fetch(self, request: Request) -> Iterable[Series]:
        """Read the files as one series.

        Raises:
            UsageError: if there is not exactly one symbol, a file is missing or cannot be read, a column is
                missing, or timeframe or tick size cannot be told from the data.
        """
        options: FilesOptions = request.options
        if len(request.symbols) != 1:
            raise UsageError("Files hold one series: name its instrument.", "Give one --symbol, for example BTC/USD.")
        tables = [read_table(path) for path in options.paths]
        columns = [pick_columns(table.frame, options.columns, table.path) for table in tables]
        starts = np.cumsum([0, *(len(part) for part in columns)])
        if not starts[-1]:
            raise UsageError(f"{options.paths[0]} holds no rows.", "Give a file with bars.")
        frame = pd.concat(columns, ignore_index=True)

        def times(daily: bool) -> pd.Series[pd.Timestamp]:
            parts = [
                read_times(part["timestamp"], options.time_zone, options.time_format, daily=daily, path=table.path)
                for part, table in zip(columns, tables, strict=True)
            ]
            return pd.concat(parts, ignore_index=True)

        timeframe = request.timeframe or _timeframe(times(daily=False))
        frame["timestamp"] = times(daily=not timeframe.intraday)
        instrument = _instrument(request, options, frame)
        if options.round_prices:
            for name in COLUMNS:
                frame[name] = to_grid(frame[name].to_numpy(), instrument.tick_size)
        if options.volume_in == "quote":
            frame["volume"] = frame["volume"] / frame["close"]
        wanted = np.flatnonzero(_wanted(frame["timestamp"], request))

        def origin(i: int) -> str:
            row = int(wanted[i])
            which = int(np.searchsorted(starts, row, side="right")) - 1
            return tables[which].row(row - int(starts[which]))

        yield Series(instrument, timeframe, frame.iloc[wanted].reset_index(drop=True), origin)


def _instrument(request: Request, options: FilesOptions, frame: pd.DataFrame) -> Instrument:
    """The rules: what was asked for, else what the store knows, else what the data and the symbol suggest."""
    symbol = request.symbols[0]
    asset_class: AssetClass = options.asset_class or "crypto"
    base, _, quote = symbol.partition("/")
    guess = Instrument(
        symbol=symbol,
        source=Files.name,
        venue=VENUE,
        asset_class=asset_class,
        base=base or symbol,
        quote=options.quote or quote or "USD",
        tick_size=options.tick_size or Decimal("0.01"),
        lot_size=options.lot_size or _LOTS[asset_class],
        taker_fee_ppm=1_000 if asset_class == "crypto" else 0,
        maker_fee_ppm=1_000 if asset_class == "crypto" else 0,
        calendar=options.calendar or _CALENDARS[asset_class],
    )
    known = request.known.get(guess.key)
    if known is not None:
        asked = {
            "asset_class": options.asset_class,
            "quote": options.quote,
            "lot_size": options.lot_size,
            "calendar": options.calendar,
        }
        changes = {name: value for name, value in asked.items() if value is not None}
        guess = Instrument.model_validate(known.model_dump() | changes)
    tick = options.tick_size
    if tick is None:
        if options.round_prices:
            raise UsageError("Rounding needs to know the grid.", "Give --tick-size.")
        columns = [frame[name].to_numpy() for name in COLUMNS]
        if known is not None and all(on_grid(column, known.tick_size) for column in columns):
            tick = known.tick_size
        else:
            tick = decimal_tick(columns)
            tick = tick if known is None else common_tick(tick, known.tick_size)
    return Instrument.model_validate(guess.model_dump() | {"tick_size": tick})


def _timeframe(times: pd.Series[pd.Timestamp]) -> Timeframe:
    """The most frequent distance between two rows. Raises `UsageError` if that is no timeframe."""
    ordered = np.sort(times.dropna().dt.as_unit("s").astype("int64").to_numpy())
    steps, counts = np.unique(np.diff(ordered), return_counts=True)
    counts = counts[steps > 0]
    steps = steps[steps > 0]
    if len(steps):
        step = int(steps[np.argmax(counts)])
        for name in NAMES:
            if Timeframe.parse(name).seconds == step:
                return Timeframe.parse(name)
    raise UsageError("The length of the bars cannot be told from their times.", "Give --timeframe.")


def _wanted(times: pd.Series[pd.Timestamp], request: Request) -> NDArray[np.bool_]:
    """Which rows are in the span asked for; those without a time are, for the checks to refuse."""
    wanted = np.ones(len(times), dtype=bool)
    if request.start_ns is not None:
        wanted &= ~(times < pd.Timestamp(request.start_ns, tz="UTC")).to_numpy()
    if request.end_ns is not None:
        wanted &= ~(times >= pd.Timestamp(request.end_ns, tz="UTC")).to_numpy()
    return wanted
