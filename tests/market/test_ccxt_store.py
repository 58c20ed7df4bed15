"""Whatever an exchange sends, in whatever order: the store never holds a bar that the exchange does not stand by."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from venue import Altered, Cut, Doubled, Malformed, Market, Short, Shuffled, Status, Venue
from venue.faults import Fault
from venue.server import ms
from venue.truth import true_bars

from pregao.core.bars import Bars
from pregao.core.errors import PregaoError
from pregao.core.timeframe import Timeframe
from pregao.market.sift import sift
from pregao.market.sources import Request
from pregao.market.sources.ccxt import Ccxt, CcxtOptions
from pregao.market.sources.ccxt.patience import Patience
from pregao.market.store import Store

START = ms("2024-02-29") * 1_000_000
MINUTE = Timeframe.parse("1m")
QUICK = Patience(tries=3, first_s=0.001, most_s=0.002, longest_s=1.0)
FAULTS = st.sampled_from(
    [
        Fault(),
        Fault(),
        Fault(),
        Status(429, retry_after=0.001),
        Status(418, retry_after=600),
        Status(502),
        Malformed(),
        Malformed(share=0.1),
        Cut(),
        Short((-1,)),
        Short((0, 1)),
        Short(tuple(range(3, 900, 7))),
        Doubled(),
        Shuffled(),
        Altered(lambda row: [*row[:4], "0.0", *row[5:]]),
        Altered(lambda row: [*row[:2], row[3], row[2], *row[4:]]),
        Altered(lambda row: [row[0], *[None] * 11]),
        Altered(lambda row: [row[0] + 10**12, *row[1:]]),
    ]
)
# An exchange that sends the same wrong page twice stands by it: no fault of a run comes twice.
RUN = st.tuples(st.lists(FAULTS, max_size=8, unique_by=id), st.integers(0, 40), st.integers(0, 59))


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.explicit, Phase.generate])
@given(st.lists(RUN, min_size=1, max_size=4))
def test_after_every_run_the_store_is_a_part_of_the_truth_and_after_a_good_one_all_of_it(runs):
    with tempfile.TemporaryDirectory() as folder, Venue([Market("BTC/USDT")]) as venue:
        store = Store(Path(folder))
        for faults, minutes, seconds in [*runs, ([], 0, 0)]:
            venue.mend()
            for fault in faults:
                venue.fault(fault)
            ingest(venue, store)
            have, now = held(store), venue.clock.now() * 1_000_000
            truth = true_bars(venue, "BTC/USDT", "1m", START, now)
            assert have == truth[: len(have)]  # from the beginning, without a hole, and nothing that is not so
            venue.advance(minutes=minutes, seconds=seconds)
        assert len(have) == len(truth)


def ingest(venue: Venue, store: Store) -> None:
    """As `pregao.market.ingest` does, without its versions: what cannot be a bar is left out."""
    known = {instrument.key: instrument for instrument in store.instruments()}
    options = CcxtOptions(base_url=venue.url)
    request = Request(("BTC/USDT",), MINUTE, START, None, options, known, store.covered)
    try:
        for series in Ccxt(QUICK).fetch(request):
            sifted = sift(series.frame, series.instrument, series.timeframe, series.origin)
            store.write(Bars.from_frame(sifted.frame, series.instrument, series.timeframe))
    except PregaoError:
        pass


def held(store: Store) -> list:
    if not store.instruments():
        return []
    bars = store.bars(store.instruments()[0], MINUTE)
    assert np.all(np.diff(bars.open_ns) == MINUTE.ns)
    return [bars.bar(i) for i in range(len(bars))]
