"""A long fetch that is killed or fails keeps what it had: the next run asks only for the rest, and ends the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ingesting import ingesting
from venue import Altered, Delay, Market, Status, Venue
from venue.server import ms
from waiting import wait

from pregao.core.errors import PregaoError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.market import findings
from pregao.market.ingest import ingest
from pregao.market.pace import Pace
from pregao.market.sources import BrokenOffError
from pregao.market.sources.ccxt.source import PART_PAGES
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

MINUTE = Timeframe.parse("1m")
PAGES = 25
START = ms("2024-03-01") * 1_000_000 - PAGES * 1_000 * MINUTE.ns
SYMBOLS = ["BTC/USDT"]


@pytest.fixture
def venue():
    with Venue([Market("BTC/USDT"), Market("ETH/USDT", price=2_000.0)]) as running:
        yield running


def bring(venue: Venue, store: Store | None = None, start_ns: int | None = START, symbols=SYMBOLS, **how):
    end_ns = venue.clock.now() * 1_000_000
    return ingest("ccxt", symbols, "1m", {"base_url": venue.url}, store, start_ns=start_ns, end_ns=end_ns, **how)


def put_aside(root: Path | None = None) -> list[Path]:
    return sorted(((root or settings().data) / ".tmp" / "fetched").rglob("*.parquet"))


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted((root / "bars").rglob("*")) if p.is_file()}


def asked_ms(venue: Venue) -> list[int]:
    return [int(one.query["startTime"]) for one in venue.asked("klines")]


def killed_after(venue: Venue, home: Path, pages: int, start_ns: int = START, symbols=SYMBOLS) -> None:
    """A real process, killed with SIGKILL while it waits for the last of so many pages."""
    venue.fault(Delay(600), after=pages - 1)
    process = ingesting(str(home), "ccxt", symbols, "1m", {"base_url": venue.url}, start_ns)
    wait(lambda: venue.counts()["klines"] == pages)
    process.kill()
    process.join()
    assert process.exitcode == -9
    venue.mend()
    venue.requests.clear()


def same_as_undisturbed(venue: Venue, tmp_path: Path, start_ns: int = START, symbols=SYMBOLS) -> None:
    """The store, its version and its reports are those of one fetch from beginning to end."""
    clean = Store(tmp_path / "clean")
    undisturbed = bring(venue, clean, start_ns, symbols)
    assert contents(settings().data) == contents(clean.root)
    assert Versions().current().md5 == undisturbed.version.md5
    for instrument in clean.instruments():
        assert findings.stored(Store(), instrument, MINUTE) == findings.stored(clean, instrument, MINUTE)


def test_a_fetch_killed_in_the_middle_is_gone_on_with(venue, home, tmp_path):
    killed_after(venue, home, 13)
    assert not (settings().data / "bars").exists()  # what is not complete is not in the store
    (*_, last) = parts = put_aside()
    assert len(parts) == 12 // PART_PAGES
    lines: list[str] = []
    report = bring(venue, progress=lines.append)
    # Ten bars again, to see that the venue still says the same, and then only what is missing.
    kept = len(parts) * PART_PAGES * 1_000
    first = START // 1_000_000 + (kept - 10) * 60_000
    assert asked_ms(venue) == list(range(first, ms("2024-03-01"), 60_000_000))
    assert f"BTC/USDT 1m: {kept:,} bars were fetched by a run that ended early; it goes on from there" in lines[0]
    assert re.fullmatch(
        rf"BTC/USDT 1m: {kept + 9_990:,} bars, 2024-02-\d\d \d\d:\d\d reached, about \d+ s left", lines[1]
    )
    assert report.added == PAGES * 1_000
    assert [v.message for v in Versions().list()] == [f"Ingest from ccxt: BTC/USDT 1m +{PAGES * 1_000:,}"]
    assert not put_aside()
    assert not last.exists()
    same_as_undisturbed(venue, tmp_path)


def test_killed_again_and_again_it_still_comes_to_the_end(venue, home, tmp_path):
    for pages in (12, 12, 18):
        killed_after(venue, home, pages, symbols=["ETH/USDT", "BTC/USDT"])
    bring(venue, symbols=["ETH/USDT", "BTC/USDT"])
    assert venue.counts()["klines"] <= 2 * PAGES + 2 - 3 * PART_PAGES
    same_as_undisturbed(venue, tmp_path, symbols=["ETH/USDT", "BTC/USDT"])


def test_an_earlier_start_that_is_killed_goes_on_backwards(venue, home, tmp_path):
    recent = START + 12_000 * MINUTE.ns
    bring(venue, start_ns=recent)
    before = contents(settings().data)
    venue.requests.clear()
    killed_after(venue, home, 12)
    assert contents(settings().data) == before
    assert put_aside()
    bring(venue)
    assert len(asked_ms(venue)) <= 5  # one page for what is new, some backwards
    assert min(asked_ms(venue)) == START // 1_000_000
    assert sorted(v.message for v in Versions().list()) == [
        "Ingest from ccxt: BTC/USDT 1m +12,000",
        "Ingest from ccxt: BTC/USDT 1m +13,000",
    ]
    clean = Store(tmp_path / "clean")
    bring(venue, clean, recent)
    bring(venue, clean)
    assert contents(settings().data) == contents(clean.root)


def test_an_exchange_that_fails_before_the_rest_came_leaves_what_was_put_aside_in_the_store(venue, home):
    killed_after(venue, home, 13)
    venue.fault(Status(418, retry_after=600))
    with pytest.raises(BrokenOffError, match="refuses more requests"):
        bring(venue)
    assert Store().coverage(Store().instrument("BTC/USDT"), MINUTE).count == 10_000
    assert not put_aside()


def test_one_refused_row_refuses_all_and_nothing_is_fetched_twice(venue, home):
    """The row is in the second part: it and what came after it is asked for again, what came before is not."""
    at = START // 1_000_000 + 15_500 * 60_000
    wrong = Altered(lambda row: [*row[:3], "0.00", *row[4:]], at=500)
    venue.fault(wrong, after=15, times=2)
    with pytest.raises(UsageError, match="has a low that is not positive"):
        bring(venue)
    assert not (settings().data / "bars").exists()
    assert len(put_aside()) == 1
    venue.mend()
    venue.requests.clear()
    report = bring(venue)  # the exchange has mended it meanwhile
    assert report.added == PAGES * 1_000
    assert min(asked_ms(venue)) == START // 1_000_000 + 9_990 * 60_000 < at


def test_what_was_put_aside_is_left_where_it_does_not_join_the_store_any_more(venue, home, tmp_path):
    bring(venue, start_ns=START + 23_000 * MINUTE.ns)
    instrument = Store().instrument("BTC/USDT")
    venue.advance(minutes=12_000)
    venue.requests.clear()
    killed_after(venue, home, 12, START + 23_000 * MINUTE.ns)
    assert len(put_aside()) == 1
    # The store goes back to an earlier state: between it and what was put aside there would be a hole.
    bars = Store().bars(instrument, MINUTE)
    Store().write(bars[:1_000], replace=True)
    report = bring(venue, start_ns=None)
    assert report.added == 13_000
    assert not put_aside()
    bars = Store().bars(instrument, MINUTE)
    assert len(bars) == 14_000
    assert bars.open_ns[-1] - bars.open_ns[0] == 13_999 * MINUTE.ns


def test_a_damaged_part_and_those_after_it_are_fetched_again(venue, home, tmp_path):
    killed_after(venue, home, 22)
    parts = put_aside()
    assert len(parts) == 2
    parts[1].write_bytes(parts[1].read_bytes()[:100])
    bring(venue)
    assert min(asked_ms(venue)) == START // 1_000_000 + 9_990 * 60_000
    same_as_undisturbed(venue, tmp_path)


def test_a_history_that_was_re_based_meanwhile_is_not_mixed(venue, home, tmp_path):
    killed_after(venue, home, 12)
    venue.market("BTC/USDT").price /= 2
    with pytest.raises(PregaoError, match="was re-based since an earlier run"):
        bring(venue)
    assert not put_aside()
    assert not (settings().data / "bars").exists()
    bring(venue)
    same_as_undisturbed(venue, tmp_path)


def test_anew_asks_for_everything(venue, home):
    killed_after(venue, home, 12)
    lines: list[str] = []
    bring(venue, anew=True, progress=lines.append)
    assert min(asked_ms(venue)) == START // 1_000_000
    assert "ended early" not in " ".join(lines)
    assert not put_aside()


def test_two_at_once_of_the_same_bring_it_once(venue, home, tmp_path):
    """One of them puts aside, the other one fetches for itself; both end well."""
    arguments = (str(home), "ccxt", SYMBOLS, "1m", {"base_url": venue.url}, START)
    running = [ingesting(*arguments) for _ in range(2)]
    for process in running:
        process.join(120)
        assert process.exitcode == 0
    assert [v.message for v in Versions().list()] == [f"Ingest from ccxt: BTC/USDT 1m +{PAGES * 1_000:,}"]
    assert not put_aside()
    same_as_undisturbed(venue, tmp_path)


def test_the_time_left_is_told_by_what_has_come():
    now = [0.0]
    pace = Pace(1_000, lambda: now[0])
    now[0] = 10.0
    assert pace.told(None, (0, 100)) == ", about 90 s left".replace("90 s", "2 min")
    now[0] = 20.0
    assert pace.told((0, 100), (0, 500)) == ", about 20 s left"
    assert pace.told((0, 500), (-100, 500)) == ""  # backwards: how far is not known
    assert pace.told((0, 500), (0, 1_000)) == ""
