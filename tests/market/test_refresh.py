"""Going on with what is stored: the options come from the store, the rest is what has happened since."""

from __future__ import annotations

import pytest
from venue import Market, Status, Venue
from venue.server import ms
from venue.truth import true_bars
from yahoo.fixtures import at, stored, yahoo

from pregao.core.timeframe import Timeframe
from pregao.market.ingest import chosen_policies, gather, ingest, keep
from pregao.market.refresh import Job, refreshable
from pregao.market.store import Store
from pregao.market.versions import Versions

__all__ = ["yahoo"]


@pytest.fixture
def venue(home, monkeypatch):
    """An exchange that the environment leads to, as a gateway would be; no stored option names it."""
    with Venue([Market("BTC/USDT"), Market("ETH/USDT", price=2_000.0)]) as running:
        monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", running.url)
        yield running


def go_on(jobs: list[Job]):
    """As the flow does: each fetched by itself, all recorded as one."""
    policies = chosen_policies()
    gathered = [gather(j.source, j.symbols, j.timeframe, j.options, None, lambda _: None, policies) for j in jobs]
    return keep(gathered, policies)


def test_each_series_of_an_exchange_is_gone_on_with(venue):
    ingest("ccxt", ["BTC/USDT"], "15m", {"tick_size": "0.001"}, start_ns=ms("2024-02-01") * 1_000_000)
    ingest("ccxt", ["ETH/USDT"], "1h", start_ns=ms("2024-02-01") * 1_000_000)
    ingest("sample", ["SPX"])  # which cannot go on
    jobs = refreshable()
    assert [(job.venue, job.symbols, job.timeframe) for job in jobs] == [
        ("ccxt binance", ("BTC/USDT",), "15m"),
        ("ccxt binance", ("ETH/USDT",), "1h"),
    ]
    assert jobs[0].options == {"exchange": "binance", "kind": "spot", "tick_size": "0.001"}
    venue.requests.clear()
    venue.advance(minutes=190)
    report = go_on(jobs)
    assert [(one.symbol, one.written.added, one.written.replaced) for one in report.series] == [
        ("BTC/USDT", 12, 0),
        ("ETH/USDT", 3, 0),
    ]
    assert venue.counts()["klines"] == 2  # a page each, from ten stored bars before the end
    assert Versions().list()[0].message == "Ingest from ccxt: BTC/USDT 15m +12, ETH/USDT 1h +3"
    instrument = Store().instrument("BTC/USDT")
    bars = Store().bars(instrument, Timeframe.parse("15m"))
    true = true_bars(venue, "BTC/USDT", "15m", ms("2024-02-01") * 1_000_000, ms("2024-03-02") * 1_000_000)
    assert str(instrument.tick_size) == "0.001"
    assert [bars.bar(i) for i in range(len(bars))] == [
        bar._replace(open=bar.open * 10, high=bar.high * 10, low=bar.low * 10, close=bar.close * 10) for bar in true
    ]
    assert not go_on(jobs).changed


def test_a_contract_is_gone_on_with_as_a_contract(home, monkeypatch):
    with Venue([Market("BTC/USDT", perpetual=True)]) as venue:
        monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", venue.url)
        ingest("ccxt", ["BTC/USDT:USDT"], "1h", {"kind": "swap"}, start_ns=ms("2024-02-20") * 1_000_000)
        (job,) = refreshable()
        assert (job.symbols, job.options["kind"]) == (("BTC/USDT:USDT",), "swap")
        venue.advance(minutes=125)
        assert go_on([job]).added == 2


def test_stocks_are_gone_on_with_by_the_rules_they_were_stored_with(yahoo, monkeypatch):
    monkeypatch.setenv("PREGAO_YAHOO_URL", yahoo.address)
    yahoo.now = at("2026-11-14") / 1e9
    quick = {"pause_s": 0.01}
    ingest("yfinance", ["AAPL"], "1d", {**quick, "fractional": True, "allow_short": True}, start_ns=at("2026-01-01"))
    ingest("yfinance", ["CBA.AX"], "1h", quick, start_ns=at("2026-10-01"))
    before = {name: Store().instrument(name) for name in ("AAPL", "CBA.AX")}
    jobs = refreshable()
    assert [(job.source, job.symbols, job.timeframe, job.options) for job in jobs] == [
        ("yfinance", ("AAPL",), "1d", {}),
        ("yfinance", ("CBA.AX",), "1h", {}),
    ]
    yahoo.now = at("2026-11-21") / 1e9
    yahoo.asked.clear()
    report = go_on(jobs)
    assert [(one.symbol, one.written.added) for one in report.series] == [("AAPL", 5), ("CBA.AX", 30)]
    assert Versions().list()[0].message == "Ingest from yfinance: AAPL 1d +5, CBA.AX 1h +30"
    assert len(Versions().list()) == 3
    assert min(int(query["period1"]) for query in yahoo.charts) > at("2026-10-15") / 1e9  # not the history again
    assert {name: Store().instrument(name) for name in before} == before
    assert stored("AAPL").open_ns[-1] == at("2026-11-20")
    assert not go_on(jobs).changed


def test_one_that_is_refused_keeps_nothing_from_the_others(venue):
    start_ns = ms("2024-02-28") * 1_000_000
    ingest("ccxt", ["BTC/USDT", "ETH/USDT"], "15m", start_ns=start_ns)
    venue.advance(minutes=60)
    venue.market("BTC/USDT").price *= 3
    refused: dict = {}
    policies = chosen_policies()
    gathered = [
        gather(j.source, j.symbols, j.timeframe, j.options, None, lambda _: None, policies) for j in refreshable()
    ]
    report = keep(gathered, policies, refused=refused)
    assert [(one.symbol, one.written.added) for one in report.series] == [("ETH/USDT", 4)]
    assert list(refused) == ["BTC/USDT 15m"]
    assert "is 3 times the stored one: it was re-based" in str(refused["BTC/USDT 15m"])
    assert Versions().list()[0].message == "Ingest from ccxt: ETH/USDT 15m +4"


def test_a_venue_that_fails_is_gone_on_with_the_next_time(venue):
    ingest("ccxt", ["BTC/USDT"], "15m", start_ns=ms("2024-02-28") * 1_000_000)
    venue.advance(minutes=60)
    venue.fault(Status(418, retry_after=900))
    with pytest.raises(Exception, match="refuses more requests"):
        go_on(refreshable())
    assert go_on(refreshable()).added == 4
