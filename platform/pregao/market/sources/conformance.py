"""The conformance kit of sources: what every source must keep, as tests that pytest finds in a subclass.

    from pregao.market.sources.conformance import SourceConformance

    class TestMine(SourceConformance):
        source = "mine"
        symbol = "BTC/USDT"
        timeframe = "1h"

The source is found by its name, as `pregao ingest --source mine` finds it. Set ``options`` (also from a fixture) to
what it needs, such as the address of a server in the test.
"""
# ruff: noqa: D102  # the name of a test says what it holds the source to

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from pregao.core.bars import COLUMNS, Bars, Ints
from pregao.core.errors import PregaoError, UsageError
from pregao.core.timeframe import NAMES, Timeframe
from pregao.market.ingest import ingest
from pregao.market.reports import IngestReport
from pregao.market.sift import sift
from pregao.market.sources import Request, Series, Source, SourceOptions, read_options
from pregao.market.sources import source as by_name
from pregao.market.store import Store

_WATCHED = """
import json, sys, threading
seen = []
def watch(event, args):
    wrote = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if event == "socket.bind" and args[1] == ("::1", 0):
        return  # so urllib3 looks whether there is IPv6; nothing is sent, and nobody can connect
    if wrote or event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.mkdir", "os.remove"):
        if "__pycache__" not in str(args[0]):  # Python's own, and those of compiled functions
            seen.append(f"{event} {args}")
sys.addaudithook(watch)
import importlib
getattr(importlib.import_module(sys.argv[1]), sys.argv[2])()
threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
json.dump({"seen": seen, "threads": threads}, sys.stdout)
"""


class SourceConformance:
    """What every source must keep.

    Attributes:
        source: its name.
        symbol: an instrument that it offers, with at least 20 bars in the past.
        timeframe: of those bars.
        options: the source's own options.
        start_ns, end_ns: a span with those bars; None is open.
        unknown_symbol: one that it does not offer; None if it takes any.
        unknown_timeframe: one that it does not offer; None if it offers all.
    """

    source: ClassVar[str]
    symbol: ClassVar[str]
    timeframe: ClassVar[str]
    options: Mapping[str, Any] = {}  # a fixture may set it on the instance
    start_ns: int | None = None
    end_ns: int | None = None
    unknown_symbol: ClassVar[str | None] = "NO-SUCH/SYMBOL"
    unknown_timeframe: ClassVar[str | None] = None

    def make(self) -> Source:
        """The source, found by its name."""
        return by_name(self.source)

    def request(self, **changes: Any) -> Request:
        """The request for `symbol` and `timeframe` in the span, with some fields changed."""
        given: dict[str, Any] = {
            "symbols": (self.symbol,),
            "timeframe": Timeframe.parse(self.timeframe),
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "options": read_options(self.make().Options, self.options),
        }
        return Request(**{**given, **changes})

    def fetch(self, **changes: Any) -> Series:
        """The one series of a request, its parts as one."""
        first, *more = self.make().fetch(self.request(**changes))
        if not more:
            return first
        parts = [first, *more]
        assert all(part.part for part in parts)
        assert {(part.instrument.key, part.timeframe) for part in parts} == {(first.instrument.key, first.timeframe)}
        ends = np.cumsum([0, *(len(part.frame) for part in parts)])

        def origin(i: int) -> str:
            k = int(np.searchsorted(ends, i, side="right")) - 1
            return parts[k].origin(i - int(ends[k]))

        return first._replace(frame=pd.concat([part.frame for part in parts], ignore_index=True), origin=origin)

    def test_it_is_a_source_of_this_name(self) -> None:
        made = self.make()
        assert isinstance(made, Source)
        assert made.name == self.source
        assert issubclass(made.Options, SourceOptions)

    def test_importing_and_creating_it_has_no_side_effects(self) -> None:
        """No connection, thread, process, printed line or written file before something is asked of it."""
        kind = type(self.make())
        done = subprocess.run(
            [sys.executable, "-c", _WATCHED, kind.__module__, kind.__qualname__],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"seen": [], "threads": []}

    def test_a_series_has_the_columns_types_and_rules_of_the_contract(self) -> None:
        series = self.fetch()
        frame = series.frame
        assert list(frame.columns) == ["timestamp", *COLUMNS, "volume"]
        assert isinstance(frame["timestamp"].dtype, pd.DatetimeTZDtype)
        assert str(frame["timestamp"].dt.tz) == "UTC"
        assert all(frame[name].dtype == np.float64 for name in (*COLUMNS, "volume"))
        assert frame.index.equals(pd.RangeIndex(len(frame)))
        assert len(frame) >= 20
        assert series.timeframe == Timeframe.parse(self.timeframe)
        assert series.instrument.source == self.source
        assert series.instrument.symbol == self.symbol
        assert all(isinstance(series.origin(i), str) and series.origin(i) for i in (0, len(frame) - 1))

    def test_its_rows_are_bars_in_order_of_time(self) -> None:
        series = self.fetch()
        sifted = sift(series.frame, series.instrument, series.timeframe, series.origin)
        assert not sifted.bad
        assert not sifted.findings
        assert len(Bars.from_frame(series.frame, series.instrument, series.timeframe)) == len(series.frame)

    def test_only_bars_that_have_closed_are_brought(self) -> None:
        times = _times(self.fetch(end_ns=None))
        assert times[-1] + Timeframe.parse(self.timeframe).ns <= time.time_ns()

    def test_the_same_request_gives_the_same_bars(self) -> None:
        one, other = self.fetch(), self.fetch()
        pd.testing.assert_frame_equal(one.frame, other.frame, check_exact=True)
        assert one.instrument == other.instrument

    def test_a_span_is_kept_to_the_bar(self) -> None:
        """``start_ns <= open time < end_ns``, and the bars of a span are those of the whole."""
        whole = self.fetch()
        times = _times(whole)
        lo, hi = len(times) // 3, 2 * len(times) // 3
        part = self.fetch(start_ns=int(times[lo]), end_ns=int(times[hi]))
        expected = whole.frame.iloc[lo:hi].reset_index(drop=True)
        pd.testing.assert_frame_equal(part.frame, expected, check_exact=True)

    def test_a_span_without_bars_is_empty_or_refused(self) -> None:
        long_ago = -(10**18)  # 1938
        try:
            brought = list(self.make().fetch(self.request(start_ns=long_ago, end_ns=long_ago + 10**15)))
        except UsageError:
            return
        assert all(not len(series.frame) for series in brought)

    def test_ingested_again_nothing_changes(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "data")
        first = self._ingest(store)
        before = _contents(store)
        again = self._ingest(store)
        assert first.added > 0
        assert (again.added, again.changed) == (0, False)
        assert again.version.md5 == first.version.md5
        assert _contents(store) == before

    def test_ingested_in_two_parts_it_is_as_at_once(self, tmp_path: Path) -> None:
        times = _times(self.fetch())
        middle = int(times[len(times) // 2])
        parts, once = Store(tmp_path / "parts"), Store(tmp_path / "once")
        self._ingest(parts, end_ns=middle)
        second = self._ingest(parts)
        self._ingest(once)
        assert second.changed
        assert _contents(parts) == _contents(once)

    def test_its_parts_join_so_that_it_can_end_after_any(self) -> None:
        """A series that comes in parts grows at its ends, without a hole, whichever part is the last to come."""
        parts = [part for part in self.make().fetch(self.request()) if part.part]
        whole = np.sort(np.concatenate([_times(part) for part in parts])) if parts else np.empty(0, dtype=np.int64)
        for k, part in enumerate(parts):
            assert part.actions is None
            assert not part.whole
            came = np.sort(np.concatenate([_times(one) for one in parts[: k + 1]]))
            between = whole[(whole >= came[0]) & (whole <= came[-1])]
            assert np.array_equal(np.unique(came), np.unique(between)), f"a hole before part {k + 1}"

    def test_what_it_does_not_offer_is_a_wrong_use(self) -> None:
        wrong: list[dict[str, Any]] = []
        if self.unknown_symbol is not None:
            wrong.append({"symbols": (self.unknown_symbol,)})
        if self.unknown_timeframe is not None:
            assert self.unknown_timeframe in NAMES
            wrong.append({"timeframe": Timeframe.parse(self.unknown_timeframe)})
        for changes in wrong:
            with _refused(changes):
                list(self.make().fetch(self.request(**changes)))
        with _refused("no_such_option"):
            read_options(self.make().Options, {**self.options, "no_such_option": 1})

    def _ingest(self, store: Store, end_ns: int | None = None) -> IngestReport:
        until = self.end_ns if end_ns is None else end_ns
        return ingest(
            self.source, [self.symbol], self.timeframe, self.options, store, start_ns=self.start_ns, end_ns=until
        )


def _times(series: Series) -> Ints:
    times: Ints = series.frame["timestamp"].dt.as_unit("ns").astype("int64").to_numpy()
    return times


def _contents(store: Store) -> dict[str, bytes]:
    files = (path for path in store.bars_root.rglob("*") if path.is_file())
    return {str(path.relative_to(store.root)): path.read_bytes() for path in files}


@contextmanager
def _refused(what: object) -> Iterator[None]:
    """A typed error with a sentence; anything else is a bare traceback for a person."""
    try:
        yield
    except UsageError as error:
        said = error.message
    except PregaoError as error:
        raise AssertionError(f"{what} is a wrong use, a UsageError, not {type(error).__name__}") from error
    else:
        raise AssertionError(f"{what} was not refused")
    assert said, f"the refusal of {what} says nothing"
