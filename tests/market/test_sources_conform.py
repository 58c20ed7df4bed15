"""The platform's own sources keep what every source must; and the kit finds those that do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from venue import Market, Venue
from venue.server import ms

from pregao.core.timeframe import Timeframe
from pregao.market.sources import OVERLAP, Request, Series
from pregao.market.sources.conformance import SourceConformance
from pregao.market.sources.synthetic import Synthetic
from pregao.market.store import Coverage


class TestSynthetic(SourceConformance):
    source = "synthetic"
    symbol = "NOISE/USDT"
    timeframe = "15m"
    options = {"bars": 600}  # noqa: RUF012
    unknown_timeframe = "1d"


class TestSample(SourceConformance):
    source = "sample"
    symbol = "SPX"
    timeframe = "1d"
    unknown_timeframe = "1h"


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    """An exchange of our own, with the real ccxt client before it."""
    with Venue([Market("BTC/USDT")]) as running:
        yield running


class TestCcxt(SourceConformance):
    source = "ccxt"
    symbol = "BTC/USDT"
    timeframe = "1m"
    start_ns = ms("2024-02-29T20:00") * 1_000_000

    @pytest.fixture(autouse=True)
    def _there(self, venue: Venue) -> None:
        self.options = {"base_url": venue.url}


class TestCcxtInParts(TestCcxt):
    """As a history of years comes, which four hours would not."""

    test_a_span_without_bars_is_empty_or_refused = None  # it would be asked for by hundreds of such small pages

    @pytest.fixture(autouse=True)
    def _small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pregao.market.sources.ccxt.history.PAGE", 20)
        monkeypatch.setattr("pregao.market.sources.ccxt.source.PART_PAGES", 3)

    def test_there_are_parts(self) -> None:
        assert [len(part.frame) for part in self.make().fetch(self.request())] == [60, 60, 60, 60]


def a_row(k: int) -> str:
    return f"{1_709_287_200 + 60 * k},{10 + k % 7},{12 + k % 7},{9 + k % 7},{11 + k % 7},{k}\n"


class TestFiles(SourceConformance):
    source = "files"
    symbol = "BTC/USD"
    timeframe = "1m"
    unknown_symbol = None

    @pytest.fixture(autouse=True)
    def _a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "prices.csv"
        path.write_text("timestamp,open,high,low,close,volume\n" + "".join(map(a_row, range(300))))
        self.options = {"paths": [path]}


def spoilt(spoil: Callable[[pd.DataFrame], pd.DataFrame]) -> SourceConformance:
    """The kit on a source whose frames are spoilt."""

    class Spoilt(Synthetic):
        def fetch(self, request: Request) -> Iterator[Series]:
            for series in super().fetch(request):
                yield series._replace(frame=spoil(series.frame.copy()))

    kit = TestSynthetic()
    kit.make = Spoilt
    return kit


def late(frame: pd.DataFrame) -> pd.DataFrame:
    now = pd.Timestamp(time.time_ns(), tz="UTC").floor("15min")
    return frame.assign(timestamp=frame["timestamp"] + (now - frame["timestamp"].iloc[-1]))


@pytest.mark.parametrize(
    ("test", "spoil"),
    [
        ("test_a_series_has_the_columns_types_and_rules_of_the_contract", lambda f: f.rename(columns={"open": "o"})),
        ("test_a_series_has_the_columns_types_and_rules_of_the_contract", lambda f: f.astype({"volume": "float32"})),
        ("test_a_series_has_the_columns_types_and_rules_of_the_contract", lambda f: f.iloc[1:]),
        ("test_its_rows_are_bars_in_order_of_time", lambda f: f.iloc[::-1].reset_index(drop=True)),
        ("test_its_rows_are_bars_in_order_of_time", lambda f: f.assign(high=f["low"] - 1)),
        ("test_only_bars_that_have_closed_are_brought", late),
        ("test_the_same_request_gives_the_same_bars", lambda f: f.assign(volume=float(time.perf_counter_ns()))),
        ("test_a_span_is_kept_to_the_bar", lambda f: f.iloc[1:].reset_index(drop=True)),
        ("test_a_span_without_bars_is_empty_or_refused", lambda f: pd.DataFrame({"timestamp": [0]})),
    ],
)
def test_the_kit_finds_a_source_that_breaks_the_contract(test, spoil):
    with pytest.raises(AssertionError):
        getattr(spoilt(spoil), test)()


HOUR = Timeframe.parse("1h")


def spans(instrument, start: int | None = None, end: int | None = None, have: tuple[int, int] | None = None):
    """The spans to fetch, in hours; ``have`` are the first and last stored hour."""
    ns = HOUR.ns
    stored = None if have is None else Coverage(have[0] * ns, have[1] * ns, 1)
    request = Request(
        (), HOUR, None if start is None else start * ns, None if end is None else end * ns, None,
        stored=lambda instrument, timeframe: stored,
    )  # fmt: skip
    missing = request.missing(instrument, HOUR)
    return [tuple(None if t is None else t // ns for t in span) for span in missing]


def test_only_what_the_store_lacks_is_to_be_fetched_with_a_few_bars_that_it_has(make_instrument):
    asked = partial(spans, make_instrument())
    assert OVERLAP == 5
    assert asked() == [(None, None)]
    assert asked(10, 90) == [(10, 90)]
    assert asked(have=(10, 50)) == [(46, None)]
    assert asked(end=90, have=(10, 50)) == [(46, 90)]
    assert asked(end=51, have=(10, 50)) == []  # the last stored bar is the last one asked for
    assert asked(10, have=(10, 50)) == [(46, None)]
    assert asked(20, 40, have=(10, 50)) == []
    assert asked(5, 40, have=(10, 50)) == [(5, 15)]
    assert asked(5, 8, have=(10, 50)) == [(5, 8)]
    assert asked(5, have=(10, 50)) == [(5, 15), (46, None)]
    assert asked(60, 90, have=(10, 50)) == [(60, 90)]
