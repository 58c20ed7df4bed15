"""The source ``yfinance``: the real client against a Yahoo of our own. History, actions, rules and limits."""

from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from yahoo.fixtures import ask, assert_as_traded, assert_prices_as_traded, at, bars_of, bring, days_ago, stored, yahoo

from pregao.core.actions import Dividend, Split, from_frame
from pregao.core.errors import NotFoundError, UsageError
from pregao.market.sources import source, source_names
from pregao.market.sources.conformance import SourceConformance
from pregao.market.sources.yfinance_rules import TICKS
from pregao.market.sources.yfinance_traded import traded
from pregao.market.store import Store

__all__ = ["yahoo"]


class TestConformance(SourceConformance):
    source = "yfinance"
    symbol = "NEWCO"
    timeframe = "1d"
    unknown_symbol = "NO-SUCH"
    unknown_timeframe = "3m"

    @pytest.fixture(autouse=True)
    def _at_our_own_yahoo(self, yahoo):
        self.options = {"address": yahoo.address, "pause_s": 0.01}


def test_it_is_one_of_the_platforms_sources():
    assert "yfinance" in source_names()
    assert source("yfinance").name == "yfinance"


def test_twelve_years_of_a_stock_as_it_was_traded_with_two_splits_undone(yahoo):
    (series,) = ask(yahoo, "aapl")
    bars = bars_of(series)
    assert_as_traded(yahoo.stocks["AAPL"], bars)
    assert len(bars) > 3_700
    assert bars.open_ns[0] == at("2012-01-03")
    split = int(np.searchsorted(bars.open_ns, at("2014-06-09")))
    assert bars.close[split - 1] / bars.open[split] == pytest.approx(7, rel=0.05)
    assert yahoo.charts[0]["events"] == "div,splits,capitalGains"


def test_its_splits_and_dividends_are_those_of_their_time(yahoo):
    """Yahoo says 0.1175 of the dividend of 2014-05-08: a 28th, after splits of seven and of four for one."""
    (series,) = ask(yahoo, "AAPL")
    assert from_frame(series.actions)[:6] == (
        Dividend(at("2014-05-08"), Decimal("3.29")),
        Split(at("2014-06-09"), Fraction(7)),
        Dividend(at("2014-08-07"), Decimal("0.47")),
        Dividend(at("2015-02-05"), Decimal("0.47")),
        Dividend(at("2020-08-07"), Decimal("0.82")),
        Split(at("2020-08-31"), Fraction(4)),
    )


def test_a_reverse_split_is_undone_and_volumes_are_as_exact_as_yahoo_tells_them(yahoo):
    (series,) = ask(yahoo, "GE")
    bars = bars_of(series)
    true = assert_prices_as_traded(yahoo.stocks["GE"], bars)
    split = int(np.searchsorted(bars.open_ns, at("2021-08-02")))
    assert bars.open[split] / bars.close[split - 1] == pytest.approx(8, rel=0.05)
    off = np.abs(bars.volume - true["volume"])
    assert (off[:split] <= 8).all()
    assert (off[split:] == 0).all()
    assert Split(at("2021-08-02"), Fraction(1, 8)) in from_frame(series.actions)


def test_prices_in_eighths_and_sixteenths_of_a_dollar_are_told_exactly_after_three_splits(yahoo):
    """As America traded until 1997 and 2001; then in cents, all of which are multiples of a quarter of a cent."""
    (series,) = ask(yahoo, "OLD")
    bars = bars_of(series)
    assert series.instrument.tick_size == Decimal("0.0025")
    assert_prices_as_traded(yahoo.stocks["OLD"], bars)
    assert (bars.close[bars.open_ns < at("1997-06-24")] % 50 == 0).all()


SHARED = Path(__file__).parents[3] / "shared" / "data" / "stocks"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared folder with real market data is not here")
def test_apples_real_prices_are_on_cents_again():
    """What Yahoo said of 2012 to 2014 after the split of seven for one, and what was quoted on those days."""
    frame = pd.read_parquet(SHARED / "AAPL_1d_with_actions.parquet")
    open_ns = frame["timestamp"].dt.as_unit("ns").astype("int64").to_numpy()
    given = frame.rename(columns=str.capitalize)
    made = traded(given, open_ns, {at("2014-06-09"): Fraction(7)}, TICKS["stock"])
    assert made.tick_size == Decimal("0.01")
    assert made.frame.iloc[0, 1:].tolist() == [409.40, 412.50, 409.00, 411.23, frame["volume"].iloc[0] / 7]
    eve = made.frame[made.frame["timestamp"] == "2014-06-06"].iloc[0]
    assert eve[["open", "high", "low", "close"]].tolist() == [649.90, 651.26, 644.47, 645.57]


def test_a_session_that_begins_on_the_utc_day_before_is_of_its_local_date(yahoo):
    """Sydney opens at 23:00 or 00:00 UTC; a split there is before the first minute of its day, not in its midst."""
    stock = yahoo.stocks["CBA.AX"]
    (day,) = stock.sessions["day"][stock.sessions["day"] < days_ago(6) // 10**9].tail(1)
    stock.splits = {pd.Timestamp(day, unit="s").strftime("%Y-%m-%d"): Fraction(2)}
    (daily,) = ask(yahoo, "CBA.AX")
    assert_as_traded(stock, bars_of(daily))
    (minutes,) = ask(yahoo, "CBA.AX", timeframe="5m", start_ns=days_ago(30))
    assert_as_traded(stock, bars_of(minutes))
    (split,) = from_frame(minutes.actions)
    opened = stock.opening(next(iter(stock.splits))) * 10**9
    assert split.ts_ns <= opened
    assert opened - split.ts_ns < 14 * 3_600 * 10**9
    assert from_frame(daily.actions) == (split,)
    assert (minutes.instrument.calendar, minutes.instrument.quote) == ("XASX", "AUD")


def test_a_coin_of_a_thousandth_of_a_cent_has_a_grid_that_fits_its_prices(yahoo):
    (series,) = ask(yahoo, "SHIB-USD")
    rules, true = series.instrument, yahoo.stocks["SHIB-USD"].bars(86_400, 2**40)
    assert rules.tick_size <= Decimal("1e-11")
    assert rules.quantum >= Decimal("1e-13")
    close = bars_of(series).frame()["close"].to_numpy()
    np.testing.assert_allclose(close, true["close"][: len(close)] * 1e-12, rtol=1e-7)


@pytest.mark.parametrize(("timeframe", "days"), [("1m", 29), ("5m", 59), ("15m", 30), ("30m", 30), ("1h", 700)])
def test_intraday_bars_are_those_traded_and_all_that_is_kept(yahoo, timeframe, days):
    (series,) = ask(yahoo, "NEWCO", timeframe=timeframe, start_ns=days_ago(days))
    bars = bars_of(series)
    assert_as_traded(yahoo.stocks["NEWCO"], bars)
    first = max(days_ago(days), at("2025-01-02"))
    assert 0 <= bars.open_ns[0] - first < 5 * 86_400 * 10**9
    spans = [int(q["period2"]) - int(q["period1"]) for q in yahoo.charts if q["interval"] != "1d"]
    assert len(spans) == (5 if timeframe == "1m" else 1)
    assert max(spans) <= (7 if timeframe == "1m" else 730) * 86_400


def test_without_a_start_intraday_bars_begin_where_yahoo_keeps_them(yahoo):
    (series,) = ask(yahoo, "NEWCO", timeframe="5m")
    assert days_ago(60) <= bars_of(series).open_ns[0] < days_ago(54)


@pytest.mark.parametrize(("timeframe", "days", "kept"), [("1m", 40, 30), ("5m", 90, 60), ("1h", 800, 730)])
def test_a_longer_history_than_yahoo_keeps_is_refused_with_what_there_is(yahoo, timeframe, days, kept):
    with pytest.raises(UsageError, match=f"Yahoo keeps bars of {timeframe} for {kept} days") as refused:
        ask(yahoo, "NEWCO", timeframe=timeframe, start_ns=days_ago(days))
    first = pd.Timestamp(time.time_ns()) - pd.Timedelta(days=kept) + pd.Timedelta(hours=1)  # an hour to be sure
    day = (first.floor("D") + pd.Timedelta(days=1)).strftime("%Y-%m-%d")
    assert f"--since {day}" in refused.value.mend
    ask(yahoo, "NEWCO", timeframe=timeframe, start_ns=at(day))


def test_a_bar_that_is_not_over_is_not_brought(yahoo):
    """A market that never closes: the last five minutes' bar and today's are still being traded."""
    (series,) = ask(yahoo, "BTC-USD", timeframe="5m", start_ns=days_ago(1))
    bars = bars_of(series)
    assert bars.close_ns[-1] <= time.time_ns() < bars.close_ns[-1] + 2 * 300 * 10**9
    assert_as_traded(yahoo.stocks["BTC-USD"], bars)
    (series,) = ask(yahoo, "BTC-USD", start_ns=days_ago(5))
    assert bars_of(series).open_ns[-1] == days_ago(1)


def test_an_exchange_whose_prices_come_late_has_its_bars_later(yahoo):
    """Its last trade was 14 minutes ago: a bar that would have closed since may still grow."""
    now = int(time.time())
    yahoo.now = now - 14 * 60
    (series,) = ask(yahoo, "BTC-USD", timeframe="5m", start_ns=days_ago(1))
    bars = bars_of(series)
    assert bars.close_ns[-1] <= yahoo.now * 10**9
    assert_as_traded(yahoo.stocks["BTC-USD"], bars)


@pytest.mark.parametrize(
    ("symbol", "rules"),
    [
        ("NEWCO", ("stock", "0.01", "1", "XNAS", "NEWCO", "USD", False)),
        ("GE", ("stock", "0.01", "1", "XNYS", "GE", "USD", False)),
        ("PENNY", ("stock", "0.0001", "1", "XNAS", "PENNY", "USD", False)),
        ("BTC-USD", ("crypto", "0.01", "0.00001", "24/7", "BTC", "USD", False)),
        ("^GSPC", ("index", "0.01", "0.0001", "XNYS", "^GSPC", "USD", False)),
    ],
)
def test_the_rules_of_an_instrument_come_from_yahoos_facts(yahoo, symbol, rules):
    (series,) = ask(yahoo, symbol, start_ns=days_ago(40))
    found = series.instrument
    assert found.key.startswith("yfinance/yahoo/")
    assert (
        found.asset_class, str(found.tick_size), str(found.lot_size), found.calendar, found.base, found.quote,
        found.allow_short,
    ) == rules  # fmt: skip


def test_rules_may_be_given_and_stay(yahoo):
    bring(yahoo, "NEWCO", fractional=True, allow_short=True, start_ns=days_ago(40))
    bring(yahoo, "NEWCO", start_ns=days_ago(40))
    kept = Store().instrument("NEWCO")
    assert (kept.lot_size, kept.allow_short) == (Decimal("0.0001"), True)


def test_an_exchange_that_is_not_known_asks_for_its_calendar(yahoo):
    with pytest.raises(UsageError, match=r"ODD.XX is listed at ZZZ, whose trading days are not known here"):
        ask(yahoo, "ODD.XX")
    (series,) = ask(yahoo, "ODD.XX", calendar="XNYS", start_ns=days_ago(40))
    assert series.instrument.calendar == "XNYS"


def test_what_cannot_be_traded_here_says_so(yahoo):
    with pytest.raises(UsageError, match="EURUSD=X is of the type CURRENCY"):
        ask(yahoo, "EURUSD=X")


def test_a_symbol_that_does_not_exist_is_named_with_some_that_do(yahoo):
    with pytest.raises(NotFoundError, match=r"no data of the symbol 'AAPPL'.*Yahoo has AAPL \(Apple Inc\.\)"):
        ask(yahoo, "AAPPL")


def test_no_symbol_and_no_such_timeframe_are_wrong_uses(yahoo):
    with pytest.raises(UsageError, match="Name some, for example AAPL MSFT"):
        ask(yahoo)
    with pytest.raises(UsageError, match=r"Yahoo has no 4h bars. It has 1m, 5m, 15m, 30m, 1h, 1d"):
        ask(yahoo, "AAPL", timeframe="4h")
    with pytest.raises(UsageError, match=r"no bars of NEWCO in that span. Of 1d, it has those since 2025-01-02"):
        ask(yahoo, "NEWCO", end_ns=at("2020-01-01"))
    assert not Store().bars_root.exists()


def test_a_share_that_is_no_longer_traded_is_brought_and_said_to_be_silent(yahoo):
    report = bring(yahoo, "GONE").series[0]
    said = {finding.kind: finding.text for finding in report.quality.findings}
    assert said["not traded"] == "GONE has not been traded since 2023-03-09: it may be delisted."
    assert_as_traded(yahoo.stocks["GONE"], stored("GONE"))


def test_prices_finer_than_the_stored_grid_make_it_finer(yahoo):
    bring(yahoo, "NEWCO", start_ns=days_ago(200), end_ns=days_ago(100))
    assert Store().instrument("NEWCO").tick_size == Decimal("0.01")

    def half_cents(result):
        quote = result["indicators"]["quote"][0]
        quote["high"][-3] = float(np.float32(quote["high"][-3] + 0.005))

    yahoo.edit(half_cents)
    bring(yahoo, "NEWCO", start_ns=days_ago(200))
    assert Store().instrument("NEWCO").tick_size == Decimal("0.005")
    bring(yahoo, "NEWCO")
    assert Store().instrument("NEWCO").tick_size == Decimal("0.005")
