"""The source `ccxt`: rules from the exchange's markets, symbols and timeframes that it lacks, where it connects to."""

from __future__ import annotations

from decimal import Decimal

import ccxt
import ccxt.pro
import pytest
from venue import Market, Venue
from venue.server import ms
from venue.truth import listed, true_bars

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, UsageError
from pregao.core.timeframe import Timeframe
from pregao.market.sources import ListedSource, Request, read_options, source
from pregao.market.sources.ccxt import CcxtOptions
from pregao.market.sources.ccxt.client import open_client
from pregao.market.sources.ccxt.rules import check_timeframe, instrument_of

NOW = ms("2024-03-01") * 1_000_000


@pytest.fixture(scope="module")
def venue():
    markets = [
        Market("BTC/USDT"),
        Market("ETH/USDT", price=2_000.0),
        Market("ETH/BTC", price=0.06, decimals=5, lot_decimals=4, min_notional="0.00010000"),
        Market("PEPE/USDT", price=0.00001, decimals=8, lot_decimals=0, min_notional="1.00000000"),
    ]
    with Venue(markets) as running:
        yield running


def ask(venue, *symbols, timeframe="1h", **options):
    given = read_options(CcxtOptions, {"base_url": venue.url, **options})
    request = Request(symbols, Timeframe.parse(timeframe), NOW - 3_600_000_000_000, None, given)
    return next(iter(source("ccxt").fetch(request)))


@pytest.mark.parametrize(
    ("symbol", "tick", "lot", "notional"),
    [
        ("BTC/USDT", "0.01", "0.00001", "5"),
        ("ETH/BTC", "0.00001", "0.0001", "0.0001"),
        ("PEPE/USDT", "0.00000001", "1", "1"),
    ],
)
def test_the_rules_are_the_exchanges_exact(venue, symbol, tick, lot, notional):
    instrument, _ = listed(venue, symbol)
    assert (instrument.tick_size, instrument.lot_size) == (Decimal(tick), Decimal(lot))
    assert instrument.min_notional == Decimal(notional)
    assert (instrument.maker_fee_ppm, instrument.taker_fee_ppm) == (1_000, 1_000)
    assert instrument.key == f"ccxt/binance/{symbol.replace('/', '-')}"
    assert (instrument.asset_class, instrument.calendar, instrument.synthetic) == ("crypto", "24/7", False)


def test_all_that_is_traded_is_listed_or_what_has_some_words(venue):
    def found(words=""):
        options = read_options(CcxtOptions, {"base_url": venue.url})
        return [one.symbol for one in source("ccxt").listed(options, words)]

    assert isinstance(source("ccxt"), ListedSource)
    assert found() == ["BTC/USDT", "ETH/BTC", "ETH/USDT", "PEPE/USDT"]
    assert found("eth") == ["ETH/BTC", "ETH/USDT"]
    assert found("usdt ETH") == found("eth-usdt") == ["ETH/USDT"]
    assert found("doge") == []


@pytest.mark.parametrize("spelling", ["BTC/USDT", "BTC-USDT", "btc/usdt", "BTCUSDT"])
def test_a_symbol_in_any_spelling(venue, spelling):
    assert ask(venue, spelling).instrument.symbol == "BTC/USDT"


@pytest.mark.parametrize(
    ("symbol", "near"),
    [("BTC/USD", "BTC/USDT"), ("BTX/USDT", "BTC/USDT"), ("XETH/BTC", "ETH/BTC"), ("PEPEUSD", "PEPE")],
)
def test_an_unknown_symbol_is_refused_with_those_near_it(venue, symbol, near):
    with pytest.raises(NotFoundError) as error:
        ask(venue, "ETH/USDT", symbol)
    assert f"binance has no spot symbol {symbol!r}" in error.value.message
    assert near in error.value.mend
    assert not venue.asked("klines") or venue.asked("klines")[-1].query["symbol"] != "ETHUSDT"  # nothing was begun


def test_a_timeframe_that_the_exchange_lacks_is_refused_with_the_nearest(venue):
    with pytest.raises(UsageError, match="kraken has no 3m bars") as error:
        check_timeframe(ccxt.kraken(), Timeframe.parse("3m"))
    assert "1m, 5m" in error.value.mend


def test_symbols_must_be_named(venue):
    with pytest.raises(UsageError, match="Name those you want"):
        ask(venue)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"exchange": "binanse"}, "ccxt knows no exchange 'binanse'; near it: binance"),
        ({"kind": "option"}, "spot"),
        ({"base_url": "ftp://x"}, "not of the form"),
        ({"base_url": "https://me:secret@host"}, "without a name or password in it"),
        ({"api_key": "k"}, "has no option 'api_key'"),
        ({"tick_size": "0.003"}, "does not divide"),
        ({"tick_size": "much"}, "does not divide"),
    ],
)
def test_wrong_options_are_refused(venue, options, why):
    with pytest.raises(UsageError, match=why):
        ask(venue, "BTC/USDT", **options)


def test_a_finer_grid_may_be_asked_for_and_a_stored_finer_one_stays(venue):
    assert ask(venue, "BTC/USDT", tick_size="0.001").instrument.tick_size == Decimal("0.001")
    coarse, options = listed(venue)
    client = open_client(options)
    client.load_markets()
    fine = coarse.model_copy(update={"tick_size": Decimal("0.001")})
    assert instrument_of(client, client.market("BTC/USDT"), None, fine).tick_size == Decimal("0.001")
    odd = coarse.model_copy(update={"tick_size": Decimal("0.003")})
    assert instrument_of(client, client.market("BTC/USDT"), None, odd).tick_size == Decimal("0.01")


def test_keys_come_from_the_environment_and_nowhere_else(monkeypatch):
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_KEY", "the-key")
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_SECRET", "the-secret")
    options = CcxtOptions()
    client = open_client(options)
    assert (client.apiKey, client.secret) == ("the-key", "the-secret")
    assert "the-" not in repr(options) + options.model_dump_json()
    assert not open_client(CcxtOptions(exchange="kraken")).apiKey


def test_the_environment_may_say_where_the_exchange_is_and_an_option_goes_before(monkeypatch):
    monkeypatch.setenv("PREGAO_CCXT_BINANCE_URL", "http://gateway:8080/")
    client = open_client(CcxtOptions(), ccxt.pro)
    assert client.urls["api"]["public"] == "http://gateway:8080/api/v3"
    assert client.urls["api"]["ws"]["spot"] == "ws://gateway:8080/ws"
    assert client.urls["api"]["ws"]["ws-api"]["spot"] == "ws://gateway:8080/ws-api/v3"
    other = open_client(CcxtOptions(base_url="https://other"), ccxt.pro)
    assert other.urls["api"]["public"] == "https://other/api/v3"
    assert other.urls["api"]["ws"]["spot"] == "wss://other/ws"


def test_a_linear_perpetual_with_its_rules_and_its_history():
    with Venue([Market("BTC/USDT", perpetual=True, decimals=1, lot_decimals=3)]) as venue:
        series = ask(venue, "BTC/USDT", timeframe="15m", kind="swap")
        instrument = series.instrument
        assert (instrument.symbol, instrument.key) == ("BTC/USDT:USDT", "ccxt/binance/BTC-USDT-USDT")
        assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.1"), Decimal("0.001"))
        assert instrument.min_notional == 5
        assert instrument.allow_short
        bars = Bars.from_frame(series.frame, instrument, series.timeframe)
        assert [bars.bar(i) for i in range(4)] == true_bars(venue, "BTC/USDT", "15m", NOW - 3_600_000_000_000, NOW)
        with pytest.raises(NotFoundError, match="no spot symbol"):
            ask(venue, "BTC/USDT")


def test_contracts_that_cannot_be_accounted_for_are_refused(venue):
    _, options = listed(venue)
    client = open_client(options)
    client.load_markets()
    market = {**client.market("BTC/USDT"), "swap": True, "linear": True, "contractSize": 0.01}
    with pytest.raises(UsageError, match=r"one of 0.01 BTC"):
        instrument_of(client, market, None, None)
    with pytest.raises(UsageError, match="inverse"):
        instrument_of(client, {**market, "inverse": True, "contractSize": 1}, None, None)
    assert instrument_of(client, {**market, "contractSize": 1}, None, None).allow_short
