"""Ingests in processes of their own at the same time: different instruments side by side, each its own version."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import pytest
from aiohttp import web
from ingesting import ingesting
from venue import Market, Venue
from venue.faults import Fault
from venue.server import ms

from pregao.core.timeframe import Timeframe
from pregao.market import inspection
from pregao.market.ingest import ingest
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

START = ms("2024-02-28") * 1_000_000
COINS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


@pytest.fixture
def venue():
    with Venue([Market(coin, price=1_000.0 * (k + 1)) for k, coin in enumerate(COINS)]) as running:
        yield running


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted((root / "bars").rglob("*")) if p.is_file()}


class Together(Fault):
    """No answer before all coins have been asked for; after a minute, none any more."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.late = False

    async def before(self, request):
        until = time.monotonic() + 60
        while len({one.query["symbol"] for one in self.venue.asked("klines")}) < len(COINS):
            self.late = self.late or time.monotonic() > until
            if self.late:
                return web.Response(status=503)
            await asyncio.sleep(0.01)
        return None


def whole(home: Path) -> None:
    """Every version is what it says it is: git and DVC know all of its bars."""
    subprocess.run(["git", "fsck", "--no-progress"], cwd=settings().data, check=True, capture_output=True)
    for version in Versions().list():
        Versions().snapshot(version, home / "snapshot")
    assert Versions().commit("nothing is left over") is None
    assert not list((settings().data / ".locks").glob("*.json"))


def test_different_instruments_are_brought_side_by_side_and_recorded_one_by_one(venue, home, tmp_path):
    together = Together(venue)
    venue.fault(together, times=100)
    running = [ingesting(str(home), "ccxt", [coin], "1m", {"base_url": venue.url}, START) for coin in COINS]
    for process in running:
        process.join(120)
        assert process.exitcode == 0
    assert not together.late, "one waited for another to end"
    # Each is a version with its own words; none has taken another's bars for those of an interrupted ingest.
    count = (ms("2024-03-01") * 1_000_000 - START) // 60_000_000_000
    assert sorted(v.message for v in Versions().list()) == [f"Ingest from ccxt: {coin} 1m +{count:,}" for coin in COINS]
    whole(home)
    venue.mend()
    clean = Store(tmp_path / "clean")
    ingest("ccxt", COINS, "1m", {"base_url": venue.url}, clean, start_ns=START)
    assert contents(settings().data) == contents(clean.root)
    assert Versions().current().md5 == Versions(clean.root).current().md5


def test_so_are_timeframes_of_one_instrument(venue, home):
    running = [
        ingesting(str(home), "ccxt", ["BTC/USDT"], timeframe, {"base_url": venue.url}, START)
        for timeframe in ("1m", "5m", "1h")
    ]
    for process in running:
        process.join(120)
        assert process.exitcode == 0
    store = Store()
    instrument = store.instrument("BTC/USDT")
    minutes = (ms("2024-03-01") * 1_000_000 - START) // 60_000_000_000
    found = {t.name: inspection.current(store, instrument, t).bars for t in store.timeframes(instrument)}
    assert found == {"1m": minutes, "5m": minutes // 5, "1h": minutes // 60}
    assert len(Versions().list()) == 3
    whole(home)


def test_one_that_is_killed_harms_none_of_the_others(venue, home):
    """Three at once, again and again, one of them killed in the middle of it each time."""
    for k in range(3):
        running = [ingesting(str(home), "ccxt", [coin], "1m", {"base_url": venue.url}, START) for coin in COINS]
        running[k].join(0.3 + 0.4 * k)
        running[k].kill()
        for process in running:
            process.join(120)
        assert [p.exitcode for p in running if p is not running[k]] == [0, 0]
        venue.advance(minutes=30)
    ingest("ccxt", COINS, "1m", {"base_url": venue.url}, start_ns=START)
    store = Store()
    for instrument in store.instruments():
        bars = store.bars(instrument, Timeframe.parse("1m"))
        end = ms("2024-03-01T01:30") * 1_000_000
        assert bars.open_ns.tolist() == list(range(START, end, 60_000_000_000))
    whole(home)
