"""History from an exchange by the real ccxt client: whatever goes wrong on the way, the venue's truth arrives."""

from __future__ import annotations

import time

import pytest
from aiohttp import web
from venue import Altered, Cut, Delay, Doubled, Malformed, Market, Revision, Short, Shuffled, Status, Venue
from venue.faults import Fault
from venue.server import ms
from venue.truth import true_bars

from pregao.core.bars import Bar, Bars
from pregao.core.errors import NotFoundError
from pregao.core.timeframe import Timeframe
from pregao.market.sift import sift
from pregao.market.sources import BrokenOffError, Request
from pregao.market.sources.ccxt import Ccxt, CcxtOptions
from pregao.market.sources.ccxt.patience import Patience, RateLimitedError, UnreachableError, VenueError
from pregao.market.store import Coverage

QUICK = Patience(tries=4, first_s=0.01, most_s=0.03, longest_s=2.0)
START = ms("2024-02-28") * 1_000_000
MINUTE = 60_000_000_000


@pytest.fixture
def venue():
    with Venue([Market("BTC/USDT"), Market("ETH/USDT", price=2_000.0)]) as running:
        yield running


def fetch(venue, symbols=("BTC/USDT",), timeframe="1m", start=START, end=None, stored=None, patience=QUICK, **options):
    """What the source brings, as series."""
    request = Request(
        symbols=tuple(symbols),
        timeframe=Timeframe.parse(timeframe),
        start_ns=start,
        end_ns=end,
        options=CcxtOptions.model_validate({"base_url": venue.url, **options}),
        **({} if stored is None else {"stored": lambda *_: stored}),
    )
    return Ccxt(patience).fetch(request)


def bars_of(series) -> list[Bar]:
    """The bars of a series, after the checks that an ingest makes; none of its rows may be bad or doubled."""
    sifted = sift(series.frame, series.instrument, series.timeframe, series.origin)
    assert not sifted.bad
    assert not sifted.findings
    bars = Bars.from_frame(sifted.frame, series.instrument, series.timeframe)
    return [bars.bar(i) for i in range(len(bars))]


def only(venue, **asked) -> list[Bar]:
    (series,) = fetch(venue, **asked)
    return bars_of(series)


NOW = ms("2024-03-01") * 1_000_000


class Reshaped(Fault):
    """A document that is JSON, but not the one that was asked for."""

    async def after(self, request, answer):
        return web.json_response({"result": [1, 2, 3]})


FAULTS = {
    "another document": Reshaped(),
    "a slow answer": Delay(0.05),
    "429 with Retry-After": Status(429, retry_after=0.1),
    "418 with Retry-After": Status(418, retry_after=0.1),
    "500": Status(500),
    "502": Status(502),
    "503 with Retry-After": Status(503, retry_after=0.1),
    "JSON that ends in the middle": Malformed(),
    "no JSON at all": Malformed(share=0.0),
    "a connection cut in mid-answer": Cut(),
    "the last row missing": Short((-1,)),
    "the first row missing": Short((0,)),
    "rows missing in the middle": Short((5, 6, 400)),
    "only the first rows": Short(tuple(range(10, 1_000))),
    "doubled rows": Doubled(),
    "rows in another order": Shuffled(),
    "a price of zero": Altered(lambda row: [*row[:3], "0.00", *row[4:]]),
    "a negative price": Altered(lambda row: [*row[:3], "-5.00", *row[4:]]),
    "a price ten times too high": Altered(lambda row: [*row[:2], "999999.00", row[3], "999999.00", *row[5:]]),
    "a row of nulls": Altered(lambda row: [row[0], *[None] * 11]),
    "words for numbers": Altered(lambda row: [row[0], "a", "b", "c", "d", "e", *row[6:]]),
    "a high below the low": Altered(lambda row: [*row[:2], row[3], row[2], *row[4:]]),
    "a row of another time": Altered(lambda row: [row[0] + 86_400_000_000, *row[1:]]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_in_the_second_of_three_pages_changes_nothing(venue, name):
    truth = true_bars(venue, "BTC/USDT", "1m", START, NOW)
    assert len(truth) == 2_880
    venue.fault(FAULTS[name], after=1)
    assert only(venue) == truth


@pytest.mark.parametrize("name", ["429 with Retry-After", "JSON that ends in the middle", "rows missing in the middle"])
@pytest.mark.parametrize("at", [0, 2])
def test_nor_in_the_first_or_last_page(venue, name, at):
    venue.fault(FAULTS[name], after=at)
    assert only(venue) == true_bars(venue, "BTC/USDT", "1m", START, NOW)


@pytest.mark.parametrize("endpoint", ["time", "exchangeInfo"])
@pytest.mark.parametrize("name", ["429 with Retry-After", "JSON that ends in the middle", "500"])
def test_nor_before_the_first_page(venue, name, endpoint):
    venue.fault(FAULTS[name], on=endpoint)
    assert len(only(venue, start=NOW - 10 * MINUTE)) == 10


def test_an_answer_that_takes_too_long_is_asked_for_again(venue, monkeypatch):
    monkeypatch.setattr("pregao.market.sources.ccxt.client.TIMEOUT_MS", 150)
    venue.fault(Delay(0.4), after=1)
    assert only(venue) == true_bars(venue, "BTC/USDT", "1m", START, NOW)


def test_retry_after_is_honoured(venue):
    venue.fault(Status(429, retry_after=1))
    assert len(only(venue, start=NOW - 10 * MINUTE)) == 10
    refused, again = venue.asked("klines")
    assert 1.0 <= again.at - refused.at < 1.5


def test_waits_grow_and_differ():
    patience = Patience(tries=6, first_s=0.5, most_s=4.0)
    waits = [[patience.wait_s(tried, None) for tried in range(1, 6)] for _ in range(50)]
    for tried, longest in enumerate((0.5, 1.0, 2.0, 4.0, 4.0)):
        column = [wait[tried] for wait in waits]
        assert longest / 2 <= min(column) < max(column) <= longest
        assert len(set(column)) > 40
    assert all(7.0 <= patience.wait_s(1, 7.0) <= 7.35 for _ in range(50))


def test_requests_keep_to_the_rate_limit(venue):
    only(venue, start=NOW - 7_000 * MINUTE)
    times = [asked.at for asked in venue.asked("klines")]
    assert len(times) == 7
    # Binance allows 6,000 weight a minute and klines cost 2: ccxt leaves 20 ms between them, after the first.
    assert times[-1] - times[1] >= 5 * 0.018


# -- what is there, and what is not


def test_the_forming_candle_is_never_brought(venue):
    venue.advance(seconds=90)
    bars = only(venue, start=NOW - 5 * MINUTE)
    assert [bar.open_ns for bar in bars] == [NOW + i * MINUTE for i in range(-5, 1)]
    assert bars == true_bars(venue, "BTC/USDT", "1m", NOW - 5 * MINUTE, NOW + MINUTE)


@pytest.mark.parametrize("off", [-30, 30])
def test_what_is_closed_is_said_by_the_exchanges_clock_not_ours(off):
    """The exchange's clock is half a minute behind or ahead of this machine's, in real time."""
    from venue import MarketClock

    with Venue([Market("BTC/USDT")], start=MarketClock(int((time.time() + off) * 1_000), rate=1.0)) as venue:
        before = venue.clock.now() * 1_000_000
        bars = only(venue, start=before - 10 * MINUTE)
        after = venue.clock.now() * 1_000_000
        assert before - MINUTE < bars[-1].close_ns <= after
        assert bars == true_bars(venue, "BTC/USDT", "1m", before - 10 * MINUTE, bars[-1].close_ns)


@pytest.mark.parametrize("timeframe", ["1m", "3m", "15m", "1h", "4h", "1d", "1w"])
def test_every_timeframe(venue, timeframe):
    start = ms("2024-01-01") * 1_000_000 if timeframe in ("1d", "1w") else START
    assert only(venue, timeframe=timeframe, start=start) == true_bars(venue, "BTC/USDT", timeframe, start, NOW)


def test_a_span_is_brought_exactly(venue):
    bars = only(venue, start=START + 30, end=START + 100 * MINUTE)
    assert [bars[0].open_ns, bars[-1].open_ns] == [START + MINUTE, START + 99 * MINUTE]


def test_history_begins_with_the_listing(venue):
    listing = ms("2024-02-29T07:13:20")
    venue.market("ETH/USDT").listed_ms = listing
    bars = only(venue, symbols=["ETH/USDT"], start=ms("2020-01-01") * 1_000_000)
    assert bars[0].open_ns == ms("2024-02-29T07:13") * 1_000_000
    assert bars == true_bars(venue, "ETH/USDT", "1m", bars[0].open_ns, NOW)


def test_a_halt_is_a_gap_and_nothing_is_filled_in(venue):
    venue.market("BTC/USDT").halts = ((ms("2024-02-28T10:00"), ms("2024-02-29T15:00")),)
    bars = only(venue)
    assert len(bars) == 2_880 - 29 * 60
    assert bars == true_bars(venue, "BTC/USDT", "1m", START, NOW)


def test_a_candle_that_cannot_be_one_however_often_asked_is_left_to_the_checks(venue):
    venue.fault(Altered(lambda row: [*row[:3], "0.00", *row[4:]]), times=10)
    (series,) = fetch(venue, start=NOW - 10 * MINUTE)
    (bad,) = sift(series.frame, series.instrument, series.timeframe, series.origin).bad
    assert bad.where == "binance's candle of BTC/USDT at 2024-02-29 23:58:00 UTC"
    assert len(venue.asked("klines")) == 2  # the same twice is the exchange's word


def test_a_page_that_is_different_every_time_is_no_page(venue):
    for at in ((5,), (5, 7), (3, 5), (5, 9), (2, 5)):
        venue.fault(Short(at))
    series = fetch(venue)
    assert len(bars_of(next(series))) == 5  # up to where the doubt begins
    with pytest.raises(BrokenOffError, match="answers 4 times differently about BTC/USDT"):
        next(series)


# -- going on where the store ends


def stored(first: int, last: int) -> Coverage:
    return Coverage(first, last, (last - first) // MINUTE + 1)


def test_only_what_is_new_is_asked_for(venue):
    bars = only(venue, start=None, stored=stored(START, NOW - 31 * MINUTE))
    assert [bars[0].open_ns, bars[-1].open_ns] == [NOW - 40 * MINUTE, NOW - MINUTE]  # ten known ones, to compare
    (asked,) = venue.asked("klines")
    assert asked.query["startTime"] == str((NOW - 40 * MINUTE) // 1_000_000)


def test_a_candle_that_changed_after_it_closed_is_seen_the_next_time(venue):
    last = NOW - MINUTE
    venue.market("BTC/USDT").revisions.append(Revision("1m", last // 1_000_000, (NOW + 2 * MINUTE) // 1_000_000))
    early = only(venue, start=NOW - 10 * MINUTE)
    venue.advance(minutes=3)
    late = only(venue, start=None, stored=stored(NOW - 10 * MINUTE, last))
    assert early[-1].open_ns == last
    changed = next(bar for bar in late if bar.open_ns == last)
    assert changed != early[-1]
    assert late == true_bars(venue, "BTC/USDT", "1m", NOW - 10 * MINUTE, NOW + 3 * MINUTE)


def test_an_earlier_start_is_filled_backwards_so_that_a_failure_leaves_no_hole(venue):
    first = NOW - 100 * MINUTE
    venue.fault(Status(500), after=2, times=99)
    series = fetch(venue, start=first - 2_500 * MINUTE, stored=stored(first, NOW - MINUTE))
    bars = bars_of(next(series))
    assert bars[0].open_ns == first - 1_000 * MINUTE  # the page next to what is stored
    assert [b.open_ns for b in bars if b.open_ns < first] == [first - i * MINUTE for i in range(1_000, 0, -1)]
    with pytest.raises(BrokenOffError):
        next(series)
    venue.mend()
    again = only(venue, start=first - 2_500 * MINUTE, stored=stored(first - 1_000 * MINUTE, NOW - MINUTE))
    assert again[0].open_ns == first - 2_500 * MINUTE


# -- failures, in plain words


def test_a_failure_keeps_what_is_complete_and_says_so(venue):
    venue.fault(Status(503), after=2, times=99)
    series = fetch(venue, symbols=["BTC/USDT", "ETH/USDT"])
    assert bars_of(next(series)) == true_bars(venue, "BTC/USDT", "1m", START, NOW)[:2_000]
    with pytest.raises(BrokenOffError) as broken:
        next(series)
    assert str(broken.value).startswith("BTC/USDT broke off. binance failed 4 times in a row: ExchangeNotAvailable")
    assert "2,000 bars of BTC/USDT came before and are kept. Run it again: it goes on from there." in str(broken.value)
    assert isinstance(broken.value.__cause__, VenueError)


def test_a_failure_in_the_second_instrument_keeps_the_first(venue):
    venue.fault(Status(503), after=3, times=99)
    series = fetch(venue, symbols=["BTC/USDT", "ETH/USDT"])
    assert len(bars_of(next(series))) == 2_880
    with pytest.raises(BrokenOffError, match="ETH/USDT broke off"):
        next(series)


def test_a_long_ban_is_not_waited_for(venue):
    venue.fault(Status(418, retry_after=900))
    began = time.monotonic()
    with pytest.raises(RateLimitedError, match="refuses more requests from this address for 900 s"):
        only(venue)
    assert time.monotonic() - began < 60
    assert len(venue.asked("klines")) == 1


def test_no_network(venue):
    with pytest.raises(UnreachableError) as offline:
        only(venue, base_url="http://127.0.0.1:9")
    assert "no connection to 127.0.0.1:9" in str(offline.value)
    assert "`sample` and `synthetic` work without one" in str(offline.value)


def test_a_name_that_cannot_be_resolved(venue):
    with pytest.raises(UnreachableError, match=r"no connection to exchange\.invalid"):
        only(venue, base_url="http://exchange.invalid")


def test_a_delisted_symbol_ends_where_its_trading_ended(venue):
    venue.delist("ETH/USDT")
    venue.advance(minutes=60 * 24 * 30)
    bars = only(venue, symbols=["ETH/USDT"])
    assert bars == true_bars(venue, "ETH/USDT", "1m", START, NOW)
    assert len(venue.asked("klines")) == 6  # three pages, nothing twice, and what the last candle is


def test_a_symbol_that_is_gone_is_not_found(venue):
    venue.delist("ETH/USDT", gone=True)
    with pytest.raises(NotFoundError, match="no spot symbol 'ETH/USDT'"):
        only(venue, symbols=["ETH/USDT"])


def test_a_symbol_that_goes_while_it_is_fetched_keeps_what_came(venue):
    venue.fault(Status(400, code=-1121, message="Invalid symbol."), after=1, times=9)
    series = fetch(venue)
    assert len(bars_of(next(series))) == 1_000
    with pytest.raises(BrokenOffError, match="may be delisted") as broken:
        next(series)
    assert isinstance(broken.value.__cause__, NotFoundError)
    assert len(venue.asked("klines")) == 2  # what is wrong stays wrong


def test_answers_of_the_wrong_shape_are_a_failure_not_the_end_of_history(venue):
    """ccxt reads a document that it does not expect as no candles."""
    venue.fault(Reshaped(), times=99)
    with pytest.raises(VenueError, match="sends no candles of BTC/USDT at all"):
        only(venue)
