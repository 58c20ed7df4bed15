"""Sources of market data: what a source is, and how it is found by name.

A source is a class with the methods of `Source`. Those of the platform are below; others come from installed
distributions through the entry-point group ``pregao.sources``:

    [project.entry-points."pregao.sources"]
    my-source = "my_package:MySource"
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from pregao.core.errors import PregaoError, UsageError, refusals, unknown
from pregao.core.instrument import AssetClass, Instrument, folder_name
from pregao.core.timeframe import Timeframe

if TYPE_CHECKING:
    from pregao.market.feeds.live import LiveFeed, Watch
    from pregao.market.store import Coverage, Store

GROUP = "pregao.sources"
OVERLAP = 5
"""Bars already stored that are asked for again: a history that the source has re-based since shows in them."""
BUILT_IN = {
    "ccxt": "pregao.market.sources.ccxt:Ccxt",
    "files": "pregao.market.sources.files:Files",
    "sample": "pregao.market.sources.sample:Sample",
    "synthetic": "pregao.market.sources.synthetic:Synthetic",
    "yfinance": "pregao.market.sources.yfinance:YFinance",
}


class BrokenOffError(PregaoError):
    """A source broke off: what it has yielded until then is complete, and is kept before the error is passed on."""


class SourceOptions(BaseModel):
    """Base of a source's own options; a field that is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Span = tuple[int | None, int | None]
"""Open times ``start_ns <= t < end_ns``, ns since 1970 UTC; None is open."""


def _nothing(_instrument: Instrument, _timeframe: Timeframe) -> Coverage | None:
    return None


@dataclass(frozen=True)
class Request:
    """What is asked of a source.

    Attributes:
        symbols: the instruments wanted; empty for all that the source offers.
        timeframe: the bars wanted; None for the source's usual ones.
        start_ns, end_ns: open times wanted, ``start_ns <= t < end_ns``, ns since 1970 UTC; None is open.
        options: validated options, an instance of the source's ``Options``.
        known: rules already in the store, by instrument key.
        stored: what the store has of a series, or None; a source that can go on from there fetches only the rest.
        store: the store that the series go to, so that a source can see what is there; None where there is none.
    """

    symbols: tuple[str, ...]
    timeframe: Timeframe | None
    start_ns: int | None
    end_ns: int | None
    options: Any
    known: Mapping[str, Instrument] = field(default_factory=dict)
    stored: Callable[[Instrument, Timeframe], Coverage | None] = _nothing
    store: Store | None = None

    def missing(self, instrument: Instrument, timeframe: Timeframe) -> list[Span]:
        """The spans of a series that the store lacks, in order: what a source that costs time to ask should fetch.

        That is what lies before the first stored bar, if it is asked for, and what comes after the last one, each with
        `OVERLAP` stored bars. Empty if all that is asked for is stored.
        """
        have = self.stored(instrument, timeframe)
        if have is None:
            return [(self.start_ns, self.end_ns)]
        first, last = have.first_ns, have.last_ns
        spans: list[Span] = []
        until = first + OVERLAP * timeframe.ns
        if self.start_ns is not None and self.start_ns < first and (self.end_ns is None or self.end_ns > self.start_ns):
            spans.append((self.start_ns, until if self.end_ns is None else min(until, self.end_ns)))
        since = last - (OVERLAP - 1) * timeframe.ns
        if self.start_ns is not None:
            since = max(since, self.start_ns)
        if self.end_ns is None or self.end_ns > last + timeframe.ns:
            spans.append((since, self.end_ns))
        return spans


def row_number(i: int) -> str:
    """How a row is named where the source has no better name for it."""
    return f"Row {i}"


def by_time(instrument: Instrument, frame: pd.DataFrame) -> Callable[[int], str]:
    """Names the rows of a venue's frame by their times."""

    def name(i: int) -> str:
        at = frame["timestamp"].iloc[i].tz_localize(None)
        return f"{instrument.venue}'s candle of {instrument.symbol} at {at} UTC"

    return name


class Series(NamedTuple):
    """Bars of one instrument as they came, before any check.

    Attributes:
        instrument, timeframe: whose bars.
        frame: columns ``timestamp`` (UTC), ``open high low close volume`` (float64), index 0..n-1.
        origin: names row ``i`` of the frame for a person, for example ``"prices.csv, line 7"``.
        whole: the frame is the whole series, and takes the place of a stored one.
        actions: splits and dividends, as of `pregao.market.store.Store.write_actions`; prices are as they were traded.
        remarks: what the source has to say of the series, for its quality report: kind of finding -> one sentence.
        part: others of the same series may follow or have come before, without a series of another between them. Each
            part joins what is stored or has come before, so that no hole is left where the source ends early; it is
            put aside at once, and the next run goes on from there. Parts have no actions and are never ``whole``.
    """

    instrument: Instrument
    timeframe: Timeframe
    frame: pd.DataFrame
    origin: Callable[[int], str] = row_number
    whole: bool = False
    actions: pd.DataFrame | None = None
    remarks: Mapping[str, str] = MappingProxyType({})
    part: bool = False


@runtime_checkable
class Source(Protocol):
    """Brings market data. It is created without arguments; `pregao.market.sources.conformance` tests one.

    A source that can go on with a stored series also has ``resuming(instrument) -> Mapping[str, Any]``: the options to
    ask it with. The scheduled flow `ingest` brings such series up to date.
    """

    name: ClassVar[str]
    Options: ClassVar[type[SourceOptions]]

    def fetch(self, request: Request) -> Iterable[Series]:
        """The series asked for, one by one, of bars that have closed.

        Raises `UsageError` for what it does not offer, before the first series, `PregaoError` if its venue cannot be
        reached or answers nonsense, and `BrokenOffError` where it cannot go on after some that are complete.
        """
        ...


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source whose markets can also be followed as they are traded.

    Attributes:
        watch: how closely to watch, unless told otherwise.
        closes: whether its exchanges close over night and at weekends, so that its last bars may be days old.
    """

    watch: ClassVar[Watch]
    closes: ClassVar[bool]

    def live(
        self, instrument: Instrument, timeframe: Timeframe, options: Any, after_ns: int | None, watch: Watch
    ) -> LiveFeed:
        """A feed of the market, opened; ``after_ns`` is the open time of the last bar known.

        Raises:
            NotFoundError: if the venue does not know the market (any more).
            UsageError: for what it does not offer.
            PregaoError: if it cannot be reached.
        """
        ...


class Listed(NamedTuple):
    """A market that a venue trades.

    Attributes:
        symbol: as the source spells it.
        name: of what is traded, for a person; empty if the venue does not tell.
        exchange: where it is listed, for a person; empty if that is the venue itself.
        asset_class: None if the venue does not tell.
    """

    symbol: str
    name: str = ""
    exchange: str = ""
    asset_class: AssetClass | None = None


@runtime_checkable
class ListedSource(Source, Protocol):
    """A source whose venue tells what is traded there.

    Attributes:
        whole: whether it tells all of it when no words are given; else it must be searched.
    """

    whole: ClassVar[bool]

    def listed(self, options: Any, words: str = "") -> list[Listed]:
        """What is traded now with these words in its symbol or name, the best match first; without words all of it.

        Raises:
            UsageError: for what it does not offer.
            PregaoError: if the venue cannot be reached or answers nonsense.
        """
        ...


def source_names() -> list[str]:
    """The names of all sources, without importing them."""
    return sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))})


def source(name: str) -> Source:
    """The source with this name.

    Raises:
        NotFoundError: if there is none; lists the known ones.
        PregaoError: if an installed source cannot be imported.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        made: Source = getattr(importlib.import_module(module), attribute)()
        return made
    for entry in entry_points(group=GROUP, name=name):
        try:
            other: Source = entry.load()()
            return other
        except Exception as error:  # the code is not ours: whatever it raises is the reason that the person needs
            raise PregaoError(f"The source {name!r} cannot be loaded: {type(error).__name__}: {error}.") from error
    raise unknown("source", name, source_names())


def listed(name: str, options: Mapping[str, Any], words: str = "") -> list[Listed]:
    """What a source offers by words, as of `ListedSource.listed`.

    Raises:
        NotFoundError: if there is no such source.
        UsageError: if it does not tell what it has, or for a wrong option; and as `ListedSource.listed`.
        PregaoError: as `source` and `ListedSource.listed`.
    """
    found = source(name)
    if not isinstance(found, ListedSource):
        raise UsageError(f"The source {name!r} does not tell what it has.", "ccxt and yfinance do.")
    return found.listed(read_options(found.Options, options), words)


def read_options(kind: type[SourceOptions], given: Mapping[str, Any]) -> SourceOptions:
    """Validated options. Raises `UsageError` naming the first field that is wrong and why."""
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            raise UsageError(
                f"This source has no option {'.'.join(map(str, first['loc']))!r}.",
                f"It has {', '.join(kind.model_fields) or 'none'}.",
            ) from None
        raise UsageError(f"{refusals(error)[0]}.") from None


def pick(wanted: Iterable[str], offered: Mapping[str, Any], what: str) -> list[str]:
    """The offered symbols that are wanted, in either spelling (``BTC/USDT``, ``BTC-USDT``); all if none is named."""
    by_folder = {folder_name(symbol).casefold(): symbol for symbol in offered}
    chosen: list[str] = []
    for symbol in wanted:
        found = by_folder.get(folder_name(symbol).casefold())
        if found is None:
            raise unknown(f"{what} symbol", symbol, list(offered))
        if found not in chosen:
            chosen.append(found)
    return chosen or list(offered)
