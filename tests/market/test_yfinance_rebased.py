"""Yahoo rewrites its history at every split; what is stored stays as it was traded, and is never mixed with it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from yahoo.fixtures import assert_as_traded, at, bring, days_ago, stored, yahoo
from yahoo.market import Stock

from pregao.core.actions import Dividend, Split
from pregao.core.errors import PregaoError
from pregao.core.timeframe import Timeframe
from pregao.market.store import Store
from pregao.simulation import layout
from pregao.simulation.backtest import run_signals
from pregao.simulation.fees import FeeSchedule
from pregao.simulation.plan import Plan
from pregao.simulation.terms import Terms

__all__ = ["yahoo"]
BEFORE, AFTER = at("2026-06-13") / 1e9, at("2026-06-27") / 1e9
SPLIT = Split(at("2026-06-15"), Fraction(3, 2))


def actions(symbol: str) -> tuple:
    store = Store()
    return store.actions(store.instrument(symbol))


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Store().bars_root.rglob("*") if path.is_file()}


def test_a_split_between_two_ingests_changes_no_stored_bar(yahoo):
    yahoo.now = BEFORE
    bring(yahoo, "NEWCO")
    before = stored("NEWCO")
    assert actions("NEWCO") == ()
    yahoo.now = AFTER
    report = bring(yahoo, "NEWCO").series[0]
    assert (report.written.added, report.written.replaced, report.actions.added) == (9, 0, 1)
    assert actions("NEWCO") == (SPLIT,)
    after = stored("NEWCO")
    np.testing.assert_array_equal(after.close[: len(before)], before.close)
    np.testing.assert_array_equal(after.volume[: len(before)], before.volume)
    assert_as_traded(yahoo.stocks["NEWCO"], after)


def test_fetched_before_or_after_a_split_the_bars_are_the_same_bytes(yahoo, tmp_path):
    yahoo.now = BEFORE
    bring(yahoo, "NEWCO")
    yahoo.now = AFTER
    bring(yahoo, "NEWCO")
    parts = contents()
    bring(yahoo, "NEWCO", anew=True)
    assert contents() == parts


def test_intraday_bars_are_the_same_too(yahoo):
    stock = yahoo.stocks["NEWCO"]
    ex = str(np.datetime64(days_ago(20), "ns").astype("datetime64[D]"))
    stock.splits = {ex: Fraction(2)}
    start = days_ago(40)
    yahoo.now = days_ago(21) / 1e9
    bring(yahoo, "NEWCO", timeframe="15m", start_ns=start)
    before = stored("NEWCO", "15m")
    yahoo.now = None
    report = bring(yahoo, "NEWCO", timeframe="15m").series[0]
    assert (report.written.replaced, report.actions.added) == (0, 1)
    assert report.written.added > 200
    after = stored("NEWCO", "15m")
    np.testing.assert_array_equal(after.close[: len(before)], before.close)
    assert_as_traded(stock, after)


def test_a_split_that_yahoo_leaves_out_once_is_remembered(yahoo):
    bring(yahoo, "NEWCO", end_ns=at("2026-06-20"))
    yahoo.edit(lambda result: result.pop("events"))
    report = bring(yahoo, "NEWCO", start_ns=at("2026-06-01")).series[0]
    assert report.written.replaced == 0
    assert actions("NEWCO") == (SPLIT,)
    assert_as_traded(yahoo.stocks["NEWCO"], stored("NEWCO"))


def test_prices_divided_by_a_split_that_is_not_listed_are_refused(yahoo):
    yahoo.now = BEFORE
    bring(yahoo, "NEWCO")
    before = contents()
    yahoo.now = AFTER
    yahoo.stocks["NEWCO"].unlisted.add("2026-06-15")
    with pytest.raises(PregaoError, match=r"2026-06-01 to 2026-06-12 they are 0.6667 times those, and no split"):
        bring(yahoo, "NEWCO")
    assert contents() == before
    yahoo.stocks["NEWCO"].unlisted.clear()  # listed a day late, as Yahoo does
    bring(yahoo, "NEWCO")
    assert_as_traded(yahoo.stocks["NEWCO"], stored("NEWCO"))
    assert actions("NEWCO") == (SPLIT,)


def test_a_split_that_is_listed_before_the_prices_are_divided_by_it_is_not_undone(yahoo):
    stock = yahoo.stocks["NEWCO"]
    stock.unapplied.add("2026-06-15")
    yahoo.now = at("2026-06-17") / 1e9
    bring(yahoo, "NEWCO")
    assert_as_traded(stock, stored("NEWCO"))
    assert actions("NEWCO") == (SPLIT,)
    stock.unapplied.clear()
    yahoo.now = AFTER
    assert bring(yahoo, "NEWCO").series[0].written.replaced == 0
    assert_as_traded(stock, stored("NEWCO"))


def mistaken(stock: Stock, splits: dict[str, Fraction]) -> Stock:
    """The same trades, but Yahoo believes in other splits."""
    other = replace(stock, splits=splits)
    other.__dict__["minutes"] = stock.minutes
    return other


def test_a_ratio_that_yahoo_corrects_is_corrected_here(yahoo):
    stock = yahoo.stocks["NEWCO"]
    yahoo.stocks["NEWCO"] = mistaken(stock, {"2026-06-15": Fraction(4)})
    yahoo.now = at("2026-06-17") / 1e9
    bring(yahoo, "NEWCO")
    assert actions("NEWCO") == (Split(SPLIT.ts_ns, Fraction(4)),)
    yahoo.stocks["NEWCO"] = stock
    report = bring(yahoo, "NEWCO").series[0]
    assert (report.written.replaced, report.actions.replaced) == (0, 1)
    assert actions("NEWCO") == (SPLIT,)
    assert_as_traded(stock, stored("NEWCO"))


def test_a_split_that_yahoo_moves_brings_the_whole_series_anew_and_says_why(yahoo):
    stock = yahoo.stocks["NEWCO"]
    yahoo.stocks["NEWCO"] = mistaken(stock, {"2026-06-12": Fraction(3, 2)})
    yahoo.now = at("2026-06-17") / 1e9
    bring(yahoo, "NEWCO")
    yahoo.stocks["NEWCO"] = stock
    yahoo.now = AFTER
    report = bring(yahoo, "NEWCO").series[0]
    (said,) = [finding.text for finding in report.quality.findings if finding.kind == "re-based"]
    assert "no longer agree with the stored ones" in said
    assert "3:2 on 2026-06-12 is gone, 3:2 on 2026-06-15 is new" in said
    assert (report.actions.added, report.actions.removed) == (1, 1)
    assert actions("NEWCO") == (SPLIT,)
    bars = stored("NEWCO")
    assert bars.open_ns[0] == at("2025-01-02")
    assert_as_traded(stock, bars)


def test_brought_anew_a_series_takes_yahoos_word_whole(yahoo):
    """Also where it disagrees without a reason: then nothing of the old series stays, and the report says so."""
    yahoo.now = BEFORE
    bring(yahoo, "NEWCO")
    yahoo.now = AFTER
    yahoo.stocks["NEWCO"].unlisted.add("2026-06-15")
    with pytest.raises(PregaoError, match="--anew"):
        bring(yahoo, "NEWCO")
    with pytest.raises(PregaoError, match="no split that it lists explains it"):
        bring(yahoo, "NEWCO", anew=True, start_ns=at("2026-01-01"))
    report = bring(yahoo, "NEWCO", anew=True).series[0]
    assert report.written.replaced > 350
    assert any("brought anew, as was asked" in finding.text for finding in report.quality.findings)
    bars = stored("NEWCO")
    assert np.abs(np.diff(np.log(bars.close))).max() < 0.1, "all in shares of today"


def test_brought_anew_nothing_that_yahoo_leaves_out_is_lost(yahoo):
    stock = yahoo.stocks["NEWCO"]
    stock.dividends = {"2026-03-02": 0.205}
    bring(yahoo, "NEWCO")
    before = contents()
    yahoo.edit(lambda result: result.pop("events"))
    bring(yahoo, "NEWCO", anew=True)
    assert contents() == before


def test_prices_in_a_muddle_are_refused(yahoo):
    bring(yahoo, "NEWCO", end_ns=days_ago(10))
    before = contents()
    yahoo.edit(lambda result: result["timestamp"].reverse())
    with pytest.raises(PregaoError, match="no longer agree with the stored ones"):
        bring(yahoo, "NEWCO")
    assert contents() == before


def test_apples_seven_for_one(yahoo):
    """Raw prices fall to a seventh; adjusted they go on; who holds the shares keeps what they are worth."""
    bring(yahoo, "AAPL", start_ns=at("2014-01-02"), end_ns=at("2014-12-31"))
    raw = stored("AAPL")
    assert_as_traded(yahoo.stocks["AAPL"], raw)
    cut = int(np.searchsorted(raw.open_ns, at("2014-06-09")))
    moves = np.abs(np.diff(np.log(raw.close)))
    assert moves[cut - 1] == pytest.approx(np.log(7), abs=0.05)
    assert np.delete(moves, cut - 1).max() < 0.06

    today = stored("AAPL", adjusted_as_of=at("2014-12-31"))
    assert np.abs(np.diff(np.log(today.close))).max() < 0.06
    assert today.close[cut:].tolist() != raw.close[cut:].tolist(), "a dividend on 2014-08-07 is still to come"
    eve = stored("AAPL", adjusted_as_of=at("2014-06-08"))
    assert eve.frame()["close"].iloc[cut - 1] == pytest.approx(raw.frame()["close"].iloc[cut - 1], abs=1e-6)

    store = Store()
    apple = store.instrument("AAPL")
    terms = Terms(fees=FeeSchedule.flat_rate(0), actions=store.actions(apple))
    plan = Plan.of(
        apple, Timeframe.parse("1d"), cash=100_000, entry_value=90_000, take_profit=0, stop_loss=0, terms=terms
    )
    signals = np.zeros(len(raw), np.int8)
    signals[0] = layout.ENTER_LONG
    result = run_signals(raw, plan, signals)
    shares = int(result.positions[2])
    assert result.positions[cut] == 7 * shares
    equity = result.equity.astype(float)
    assert np.abs(np.diff(np.log(equity)))[cut - 1] < 0.06
    paid = shares * 3.29 + 7 * shares * 0.47
    price = raw.frame()[["open", "close"]]
    expected = 100_000 - shares * price["open"].iloc[1] + 7 * shares * price["close"].iloc[-1] + paid
    assert result.final_equity == pytest.approx(expected)
    without = run_signals(raw, Plan.of(apple, Timeframe.parse("1d"), cash=100_000, entry_value=90_000, take_profit=0,
                                       stop_loss=0, terms=Terms(fees=FeeSchedule.flat_rate(0))), signals)  # fmt: skip
    assert without.equity[cut] < 0.3 * result.equity[cut]


def test_a_dividend_stays_what_was_paid_after_a_later_split(yahoo):
    stock = yahoo.stocks["NEWCO"]
    stock.dividends = {"2026-03-02": 0.205}
    yahoo.now = BEFORE
    bring(yahoo, "NEWCO")
    yahoo.now = AFTER
    report = bring(yahoo, "NEWCO", anew=True).series[0]
    assert (report.written.added, report.written.replaced, report.written.removed) == (9, 0, 0)
    assert actions("NEWCO") == (Dividend(at("2026-03-02"), Decimal("0.205")), SPLIT)
