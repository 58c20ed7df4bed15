"""`pregao ingest … --source ccxt`: the real command, the real client, a local exchange."""

from __future__ import annotations

import json

import pytest
from terminal import typed
from venue import Market, Status, Venue
from venue.server import ms
from venue.truth import true_bars

from pregao.market.store import Store


@pytest.fixture
def venue():
    with Venue([Market("BTC/USDT"), Market("ETH/USDT", price=2_000.0)]) as running:
        yield running


@pytest.fixture
def pregao(venue, home, monkeypatch, capsys):
    """The command line, with the environment saying where the exchange is."""
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", venue.url)

    def call(*arguments: str) -> tuple[int, str, str]:
        return typed(capsys, "ingest", "--source", "ccxt", *arguments)

    return call


def test_twice_and_the_second_time_only_what_is_new(venue, pregao, home):
    asked = ("BTC/USDT", "--timeframe", "15m", "--since", "2024-02-01", "--json")
    status, out, err = pregao(*asked)
    assert status == 0, err
    report = json.loads(out)
    assert (report["added"], report["series"][0]["key"]) == (2_784, "ccxt/binance/BTC-USDT")
    assert report["series"][0]["quality"]["findings"] == []
    assert venue.counts() == {"exchangeInfo": 1, "time": 1, "klines": 3}

    venue.requests.clear()
    venue.advance(minutes=95)
    written = json.loads(pregao(*asked)[1])["series"][0]
    assert (written["added"], written["unchanged"], written["replaced"]) == (6, 10, 0)
    assert venue.counts() == {"exchangeInfo": 1, "time": 1, "klines": 1}
    assert int(venue.asked("klines")[0].query["startTime"]) == ms("2024-02-29T21:30")

    store = Store(home / "data")
    instrument = store.instrument("BTC/USDT")
    (length,) = store.timeframes(instrument)
    bars = store.bars(instrument, length)
    start, end = ms("2024-02-01") * 1_000_000, ms("2024-03-02") * 1_000_000
    assert [bars.bar(i) for i in range(len(bars))] == true_bars(venue, "BTC/USDT", "15m", start, end)


def test_what_came_before_a_failure_is_kept_and_the_next_run_goes_on(venue, pregao, home):
    asked = ("BTC/USDT", "ETH/USDT", "--timeframe", "1h", "--since", "2023-12-01")
    venue.fault(Status(418, retry_after=600), after=4)
    status, _, err = pregao(*asked)
    assert status == 1
    assert "ETH/USDT broke off. binance refuses more requests from this address for 600 s." in err
    assert "1,000 bars of ETH/USDT came before and are kept. Run it again: it goes on from there." in err
    venue.mend()
    venue.requests.clear()
    written = {one["symbol"]: one["added"] for one in json.loads(pregao(*asked, "--json")[1])["series"]}
    assert written == {"BTC/USDT": 0, "ETH/USDT": 2_184 - 1_000}
    assert venue.counts()["klines"] == 3
    store = Store(home / "data")
    start, end = ms("2023-12-01") * 1_000_000, ms("2024-03-01") * 1_000_000
    for symbol in ("BTC/USDT", "ETH/USDT"):
        instrument = store.instrument(symbol)
        bars = store.bars(instrument, store.timeframes(instrument)[0])
        assert [bars.bar(i) for i in range(len(bars))] == true_bars(venue, symbol, "1h", start, end)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("BTC/USDT", "--option", "base_url=http://127.0.0.1:9", "--timeframe", "1d"), 1, "no connection to 127.0.0.1"),
        (("BTC/USD",), 2, "Near it: BTC/USDT"),
        ((), 2, "Name those you want"),
        (("BTC/USDT", "--option", "exchange=binanse"), 2, "near it: binance"),
        (("BTC/USDT", "--timeframe", "7m"), 2, "'7m' is not a timeframe"),
    ],
)
def test_what_cannot_be_done_is_said_in_plain_words(pregao, monkeypatch, arguments, status, said):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the waits between tries
    got, out, err = pregao(*arguments)
    assert got == status
    assert said in err
    assert not out
