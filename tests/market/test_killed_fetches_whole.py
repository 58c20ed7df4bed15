"""Several symbols, fetched whole one after the other: what was complete when a run was killed is not fetched again."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingesting import ingesting
from waiting import wait
from yahoo import YahooServer
from yahoo.fixtures import assert_as_traded, assert_prices_as_traded, at, bring, stored, yahoo

from pregao.core.errors import UsageError
from pregao.market import arrived
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

__all__ = ["yahoo"]
NAMES = ["NEWCO", "GE", "PENNY"]
DAY = 86_400


def put_aside() -> list[Path]:
    return sorted((settings().data / ".tmp" / "fetched").rglob("*.parquet"))


def killed_at_the_third(yahoo: YahooServer, home: Path) -> None:
    """A real process, killed with SIGKILL while Yahoo keeps it waiting for the bars of the third symbol."""
    yahoo.fail(times=8)  # three questions for each symbol, the last of them for its bars
    yahoo.fail(wait_s=200, times=9)
    process = ingesting(str(home), "yfinance", NAMES, "1d", {"address": yahoo.address, "pause_s": 0.01})
    wait(lambda: len(put_aside()) == 2)
    process.kill()
    process.join()
    assert process.exitcode == -9
    assert len(put_aside()) == 2
    assert not Store().instruments()  # the store has nothing that is not recorded
    yahoo.faults.clear()
    yahoo.asked.clear()


@pytest.fixture
def killed(yahoo, home) -> YahooServer:
    yahoo.now = at("2026-11-14") / 1e9
    killed_at_the_third(yahoo, home)
    return yahoo


def asked(yahoo: YahooServer, symbol: str) -> list[int]:
    """From which times on bars of a symbol were asked for."""
    return [int(query["period1"]) for path, query in yahoo.asked if path.endswith(f"/{symbol}") and "period1" in query]


def test_it_is_stored_by_the_next_run_which_asks_for_the_rest(killed):
    report = bring(killed, *NAMES)
    assert [(one.symbol, one.written.added > 0) for one in report.series] == [
        ("NEWCO", False),
        ("GE", False),
        ("PENNY", True),
    ]
    assert min(asked(killed, "NEWCO") + asked(killed, "GE")) > killed.now - 40 * DAY  # not their history again
    assert min(asked(killed, "PENNY")) < killed.now - 400 * DAY
    assert not put_aside()
    new = len(stored("NEWCO"))
    assert [v.message for v in Versions().list()] == [
        f"Ingest from yfinance: PENNY 1d +{len(stored('PENNY'))}",
        f"Ingest from yfinance: GE 1d +{len(stored('GE')):,} and 3 actions, NEWCO 1d +{new} and 1 action",
    ]
    assert_as_traded(killed.stocks["NEWCO"], stored("NEWCO"))
    assert_prices_as_traded(killed.stocks["GE"], stored("GE"))
    assert {type(action).__name__ for action in Store().actions(Store().instrument("GE"))} == {"Split", "Dividend"}


def test_another_run_stores_it_too_and_what_has_happened_since_is_asked_for(killed):
    killed.now = at("2026-11-21") / 1e9
    bring(killed, "GE")
    assert [i.symbol for i in Store().instruments()] == ["GE", "NEWCO"]
    assert stored("GE").open_ns[-1] == at("2026-11-20")
    assert stored("NEWCO").open_ns[-1] == at("2026-11-13")


def test_what_was_harmed_is_fetched_again(killed):
    for path in put_aside():
        path.write_bytes(path.read_bytes()[:1_000])
    report = bring(killed, *NAMES)
    assert all(one.written.added for one in report.series)
    assert not put_aside()


def test_a_refused_series_leaves_nothing_of_the_others_for_the_next_run(yahoo):
    with pytest.raises(UsageError, match="does not exist"):
        bring(yahoo, "NEWCO", "NOSUCH")
    assert not put_aside()
    bring(yahoo, "GE")
    assert [i.symbol for i in Store().instruments()] == ["GE"]


def test_a_series_is_the_same_after_its_file(killed, tmp_path):
    path = put_aside()[0]
    series = arrived.from_file(path)
    assert series is not None
    (tmp_path / "again").write_bytes(arrived.to_bytes(series))
    again = arrived.from_file(tmp_path / "again")
    assert again is not None
    assert again.frame.equals(series.frame)
    assert again.actions.equals(series.actions)
    assert again.instrument == series.instrument
    assert (again.timeframe, again.whole, again.remarks) == (series.timeframe, series.whole, series.remarks)
    assert series.origin(0) == again.origin(0)
