"""Everything that Yahoo can do wrong, to the real client: mended by asking again, told, or refused; never stored."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from yahoo.fixtures import ask, assert_as_traded, at, bars_of, bring, days_ago, stored, yahoo

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.market.sources import BrokenOffError
from pregao.market.store import Store

__all__ = ["yahoo"]


def brought_well(yahoo, **given):
    (series,) = ask(yahoo, "NEWCO", **given)
    assert_as_traded(yahoo.stocks["NEWCO"], bars_of(series))
    assert bars_of(series).open_ns[0] == at("2025-01-02")
    assert bars_of(series).close_ns[-1] > days_ago(6)


@pytest.mark.parametrize("bars_only", [False, True], ids=["facts", "bars"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "text": "<html>down</html>", "times": 2},
        {"status": 500},
        {"status": 429, "headers": {"Retry-After": "0.05"}},
        {"status": 429, "text": "Too Many Requests\r\n"},
        {"hang_up": True},
        {"cut": 0.5},
        {"cut": 0.0},
        {"text": '{"chart": {"result": [{"meta": {"currency"'},
        {"text": "<html><body>*** Will be right back... ***</body></html>"},
        {"text": '{"chart": {"result": null, "error": null}}'},
        {"text": '{"chart": {"result": [{"meta": {}, "indicators": {"quote": [{}]}}], "error": null}}'},
        {"text": "[]"},
        {"text": ""},
        {"wait_s": 5.0},
    ],
    ids=lambda fault: json.dumps(fault)[:40],
)
def test_what_passes_is_asked_again(yahoo, fault, bars_only):
    yahoo.fail(**fault, bars_only=bars_only)
    brought_well(yahoo, timeout_s=4.0)
    assert not yahoo.faults


@pytest.mark.parametrize(
    "damage",
    [
        lambda quote, times: quote["close"].pop(),
        lambda quote, times: times.pop(),
        lambda quote, times: quote.pop("volume"),
        lambda quote, times: quote["open"].__setitem__(5, "a lot"),
    ],
)
def test_columns_that_do_not_belong_together_are_asked_for_again(yahoo, damage):
    yahoo.edit(lambda result: damage(result["indicators"]["quote"][0], result["timestamp"]))
    brought_well(yahoo)


def test_a_crumb_that_is_not_valid_any_more_is_replaced(yahoo):
    brought_well(yahoo)
    yahoo.fail(new_crumb=True)
    brought_well(yahoo)
    assert yahoo.crumb == "crumb/2"
    yahoo.fail(new_crumb=True, bars_only=True)
    brought_well(yahoo)
    assert yahoo.consents >= 1


def test_yahoo_is_left_alone_for_as_long_as_it_asks(yahoo):
    yahoo.fail(status=429, headers={"Retry-After": "0.6"})
    yahoo.fail(status=429, headers={"Retry-After": "Wed, 25 Nov 2020 18:00:00 GMT"})  # that is over
    yahoo.fail(status=503, headers={"Retry-After": "soon"})
    start = time.monotonic()
    brought_well(yahoo)
    assert time.monotonic() - start >= 0.6


def test_more_patience_than_a_command_has_is_told(yahoo):
    yahoo.fail(status=429, headers={"Retry-After": "3600"}, bars_only=True)
    with pytest.raises(BrokenOffError, match=r"no bars of NEWCO: it asks to be left alone for a while \(429\)") as told:
        ask(yahoo, "NEWCO")
    assert told.value.mend == "Try again in 3600 s."


def test_a_server_that_keeps_failing_is_given_up(yahoo):
    yahoo.fail(status=502, times=100)
    with pytest.raises(BrokenOffError, match=r"no bars of NEWCO after 3 attempts: its server failed \(502\)"):
        ask(yahoo, "NEWCO", attempts=3)
    assert len(yahoo.asked) == 3


def test_no_network_says_so(yahoo):
    gone = yahoo.address.rpartition(":")[0] + ":9"
    with pytest.raises(BrokenOffError, match="after 2 attempts: it cannot be reached") as told:
        ask(yahoo, "NEWCO", address=gone, attempts=2)
    assert told.value.mend.startswith("Check the network")


def test_a_server_that_hangs_up_is_not_a_missing_symbol(yahoo):
    yahoo.fail(hang_up=True, times=100)
    with pytest.raises(BrokenOffError, match="it cannot be reached"):
        ask(yahoo, "NEWCO", attempts=2)


def test_a_missing_symbol_is_one_also_where_yfinance_looks_elsewhere_for_it(yahoo, monkeypatch):
    """The first two times in a process it asks other pages for the time zone."""
    monkeypatch.setattr("yfinance.base._tz_info_fetch_ctr", 0)
    for _ in range(3):
        with pytest.raises(NotFoundError, match="no data of the symbol 'NO-SUCH'"):
            ask(yahoo, "NO-SUCH")


def test_a_row_that_is_missing_is_a_gap_in_the_report(yahoo):
    def drop(result):
        del result["timestamp"][-20]
        for column in result["indicators"]["quote"][0].values():
            del column[-20]
        del result["indicators"]["adjclose"][0]["adjclose"][-20]

    yahoo.edit(drop)
    found = bring(yahoo, "NEWCO").series[0].quality.findings
    (gap,) = [finding for finding in found if finding.kind == "gap"]
    assert gap.count == 1
    report = bring(yahoo, "NEWCO", anew=True).series[0]
    assert report.written.added == 1
    assert not [finding for finding in report.quality.findings if finding.kind == "gap"]
    assert_as_traded(yahoo.stocks["NEWCO"], stored("NEWCO"))


def null(result, columns, row=-20):
    quote = result["indicators"]["quote"][0]
    for name in columns:
        quote[name][row] = None


def test_a_row_of_nulls_is_no_bar_and_a_gap(yahoo):
    yahoo.edit(lambda result: null(result, ("open", "high", "low", "close", "volume")))
    found = bring(yahoo, "NEWCO").series[0].quality.findings
    assert [finding.count for finding in found if finding.kind == "gap"] == [1]


def test_a_row_with_a_null_is_refused_by_name_or_left_out(yahoo):
    yahoo.edit(lambda result: null(result, ("high",)), times=2)
    with pytest.raises(UsageError, match=r"Yahoo's bar \d+ of NEWCO has no number as high"):
        bring(yahoo, "NEWCO")
    assert not Store().bars_root.exists()
    report = bring(yahoo, "NEWCO", bad_rows="quarantine").series[0]
    assert [row.why for row in report.quality.quarantined] == ["has no number as high"]


def test_a_null_among_the_bars_that_are_compared_is_named_and_no_sign_of_another_basis(yahoo):
    bring(yahoo, "NEWCO", end_ns=days_ago(8))
    yahoo.edit(lambda result: null(result, ("close",), 2))
    with pytest.raises(UsageError, match="Yahoo's bar 2 of NEWCO has no number as close"):
        bring(yahoo, "NEWCO")
    assert bring(yahoo, "NEWCO").series[0].written.replaced == 0
    assert_as_traded(yahoo.stocks["NEWCO"], stored("NEWCO"))


def test_rows_that_come_twice_or_in_disorder_are_each_stored_once(yahoo):
    def shuffle(result):
        quote, times = result["indicators"]["quote"][0], result["timestamp"]
        order = np.random.default_rng(0).permutation(np.r_[np.arange(len(times)), 7, 8, 9])
        result["timestamp"] = [times[i] for i in order]
        for name, column in quote.items():
            quote[name] = [column[i] for i in order]
        del result["indicators"]["adjclose"]

    yahoo.edit(shuffle)
    bring(yahoo, "NEWCO")
    assert_as_traded(yahoo.stocks["NEWCO"], stored("NEWCO"))


def test_the_price_of_the_moment_beside_the_bars_is_not_one(yahoo):
    def append(result):
        result["timestamp"].append(int(time.time()) - 1_801)
        for column in result["indicators"]["quote"][0].values():
            column.append(column[-1])

    yahoo.edit(append)
    (series,) = ask(yahoo, "NEWCO", timeframe="1m", start_ns=days_ago(6))
    assert_as_traded(yahoo.stocks["NEWCO"], bars_of(series))


def test_a_bar_that_yahoo_corrects_after_its_close_is_corrected_here(yahoo):
    def early(result):
        quote = result["indicators"]["quote"][0]
        for name in ("high", "close"):
            quote[name][-2] = quote[name][-2] + 0.25

    yahoo.edit(early)
    bring(yahoo, "NEWCO")
    written = bring(yahoo, "NEWCO").series[0].written
    assert (written.added, written.replaced) == (0, 1)
    assert_as_traded(yahoo.stocks["NEWCO"], stored("NEWCO"))


def test_a_symbol_that_yahoo_forgets_keeps_what_is_stored(yahoo):
    bring(yahoo, "NEWCO")
    before = stored("NEWCO")
    del yahoo.stocks["NEWCO"]
    with pytest.raises(NotFoundError, match="it does not exist, or is not listed any more"):
        bring(yahoo, "NEWCO")
    assert len(stored("NEWCO")) == len(before)


def test_of_several_symbols_those_that_were_complete_are_kept(yahoo):
    yahoo.edit(lambda result: yahoo.fail(status=503, times=100))  # after the bars of the first one
    with pytest.raises(BrokenOffError, match="no bars of PENNY"):
        bring(yahoo, "NEWCO", "PENNY", attempts=2)
    yahoo.faults.clear()
    assert [instrument.symbol for instrument in Store().instruments()] == ["NEWCO"]
    report = bring(yahoo, "NEWCO", "PENNY")
    assert [one.written.added > 0 for one in report.series] == [False, True]


def backwards(result):
    result["timestamp"].reverse()
    for column in result["indicators"]["quote"][0].values():
        column.reverse()
    del result["indicators"]["adjclose"]


def test_whatever_goes_wrong_the_store_holds_only_bars_that_were_traded(yahoo):
    """Ingests of two years, eight weeks apart, of an unreliable Yahoo."""
    rng = np.random.default_rng(11)
    stock = yahoo.stocks["NEWCO"]
    faults = [
        {"status": 503}, {"status": 429}, {"hang_up": True}, {"cut": 0.7}, {"text": "{}"}, {"new_crumb": True},
        {"edit": lambda result: null(result, ("open", "high", "low", "close", "volume"), -1), "bars_only": True},
        {"edit": lambda result: null(result, ("low",), -1), "bars_only": True},
        {"edit": lambda result: result.pop("events", None), "bars_only": True},
        {"edit": backwards, "bars_only": True},
    ]  # fmt: skip
    refused: list[str] = []
    for month in range(12):
        yahoo.now = at("2025-01-31") / 1e9 + month * 56 * 86_400 + 1
        for kind in rng.choice(len(faults), 2):
            yahoo.fail(**faults[kind], times=int(rng.integers(1, 4)))
        try:
            bring(yahoo, "NEWCO", attempts=3)
        except PregaoError as error:
            refused.append(error.message)
        yahoo.faults.clear()
        if Store().instruments():
            bars = stored("NEWCO")
            true = stock.bars(86_400, 2**40)
            days = stock.sessions["day"].to_numpy()[true["session"]] * 10**9
            rows = np.searchsorted(days, bars.open_ns)
            np.testing.assert_array_equal(days[rows], bars.open_ns)
            np.testing.assert_array_equal(true["close"][rows], bars.close)
            np.testing.assert_array_equal(true["volume"][rows], bars.volume)
    assert 0 < len(refused) < 12
    assert all(refused)
    bring(yahoo, "NEWCO", anew=True)
    assert_as_traded(stock, stored("NEWCO"))
