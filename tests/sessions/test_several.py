"""A session of several instruments in one account: as the portfolio's backtest, through kills, commands and limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from probe_market import INSTRUMENT, a_spec, of_grid, random_walk

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.market.store import Store
from pregao.sessions.as_backtest import result_of
from pregao.sessions.assembly import SpecError, assembled
from pregao.sessions.audit import audit
from pregao.sessions.control import spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.recovery import recover, replay
from pregao.sessions.runtime import run
from pregao.simulation.plan import Plan
from pregao.simulation.portfolio import PortfolioResult
from pregao.strategies.backtest import backtest_many
from pregao.strategies.registry import configured

FINE, COARSE = of_grid("FINE", "0.01", "0.00000001"), of_grid("COARSE", "0.5", "0.01")
KEYS = [INSTRUMENT.key, FINE.key, COARSE.key]


def like(instrument: Instrument, seed: int, holes: slice, n: int = 300) -> Bars:
    """A market of an instrument, some of whose bars are missing."""
    b = random_walk(n, seed)
    kept = np.ones(n, bool)
    kept[holes] = False
    columns = (c[kept] for c in (b.open_ns, b.open, b.high, b.low, b.close, b.volume))
    return Bars(instrument, b.timeframe, *columns)  # type: ignore[arg-type]


@pytest.fixture
def markets(market: Bars) -> list[Bars]:
    """Three instruments with grids and holes of their own, in the store."""
    found = [market, like(FINE, 2, slice(40, 60)), like(COARSE, 3, slice(0, 15))]
    for bars in found[1:]:
        Store().write(bars)
    return found


@pytest.fixture
def begin_all(markets: list[Bars], journal: Journal) -> Any:
    """Start a session on the three; keyword arguments change the spec."""

    def begin(**changes: Any) -> str:
        return start(a_spec(**{"also": KEYS[1:], "entry_value": 3_000, "horizon": 40} | changes), journal)

    return begin


def rows_of(journal: Journal, session_id: str, kind: str) -> list[Any]:
    return [row.body for row in journal.rows(session_id, limit=10**6) if row.kind == kind]


def backtested(journal: Journal, session_id: str, markets: list[Bars]) -> PortfolioResult:
    spec = journal.session(session_id).spec
    names = ("cash", "entry_value", "take_profit", "stop_loss", "horizon", "fee", "slippage")
    plans = [Plan.of(b.instrument, b.timeframe, **spec.model_dump(include=set(names))) for b in markets]
    return backtest_many([configured(spec.strategy, spec.config) for _ in markets], markets, plans, seed=7)


@pytest.mark.parametrize("config", [{"every": 5}, {"every": 3, "rest": 4}, {"every": 2, "leave": 9, "rest": 60}])
def test_it_agrees_with_the_backtest_of_the_portfolio_to_the_byte(
    begin_all: Any, journal: Journal, markets: list[Bars], config: dict[str, Any]
) -> None:
    session_id = begin_all(config=config)
    assert run(session_id, journal) == "finished"
    expected = backtested(journal, session_id, markets)
    assert [r["eq"] for r in rows_of(journal, session_id, "bar") if "eq" in r] == expected.equity.tolist()
    assert journal.rows(session_id, limit=10**6)[-1].body["digest"] == expected.engine.digest()
    found = result_of(journal, session_id)
    assert isinstance(found, PortfolioResult)
    assert found.digest == expected.digest
    assert found.metrics() == expected.metrics()
    row = journal.session(session_id)
    assert row.equity_quanta == expected.equity[-1]
    assert row.bars == row.bars_total == len(expected.moments) == 300
    assert [each.symbol for each in row.instruments] == ["TEST/USDT", "FINE/USDT", "COARSE/USDT"]
    trades = journal.trades(session_id)
    assert [t.number for t in trades] == list(range(1, len(trades) + 1))
    assert len(trades) == row.trades_count > 10
    for book in range(3):
        own = [t for t in trades if t.book == book]
        money = float(row.instrument.money(sum(t.pnl_quanta for t in own)))
        assert money == pytest.approx(expected.trades_of(book)["pnl"].sum())
        assert [t.entry_ns for t in own] == expected.trades_of(book)["entry_ns"].tolist()


def test_taken_down_again_and_again_it_comes_to_the_same(begin_all: Any, journal: Journal) -> None:
    calm, torn = begin_all(), begin_all()
    run(calm, journal)
    for share in (1, 45, 99, 100, 101, 250):
        run(torn, journal, stop=lambda: journal.session(torn).bars >= share)  # noqa: B023
    assert run(torn, journal) == "finished"
    assert journal.session(torn).chain == journal.session(calm).chain
    for session_id in (calm, torn):
        assert audit(journal, session_id).identical
    parts = assembled(journal.session(torn))
    whole = parts.machine()
    replay(whole, journal.verified(torn))
    assert recover(journal, torn, parts.machine).to_bytes() == whole.to_bytes()


def test_the_limits_are_the_accounts(begin_all: Any, journal: Journal) -> None:
    session_id = begin_all(config={"every": 2}, risk={"max_exposure": 35}, take_profit=30, stop_loss=30)
    run(session_id, journal)
    row = journal.session(session_id)
    quanta = [instrument.tick_quanta for instrument in row.instruments]
    last, most = [0, 0, 0], 0.0
    for body in rows_of(journal, session_id, "bar"):
        last[body.get("b", 0)] = abs(body["pos"]) * body["c"] * quanta[body.get("b", 0)]
        if "eq" in body:
            most = max(most, sum(last) / body["eq"])
    assert 0.25 < most < 0.42  # what was allowed at a close moves until it fills, and afterwards
    bound = [r for r in rows_of(journal, session_id, "intent") if r.get("limit") == "exposure"]
    assert {r.get("b", 0) for r in bound} == {0, 1, 2}


def test_a_drawdown_closes_all_and_pauses(begin_all: Any, journal: Journal) -> None:
    session_id = begin_all(config={"every": 2}, risk={"max_drawdown": Decimal("1.5")}, take_profit=40, stop_loss=40)
    run(session_id, journal, stop=lambda: journal.session(session_id).status == "paused")
    row = journal.session(session_id)
    assert row.status == "paused"
    assert "positions were closed" in row.details["notices"]["risk"]
    assert sum(each["pos"] != 0 for each in row.details["books"]) > 1
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= row.bars + 25)
    assert [each["pos"] for each in journal.session(session_id).details["books"]] == [0, 0, 0]


def test_one_instrument_is_flattened_and_then_all_are(begin_all: Any, journal: Journal) -> None:
    session_id = begin_all(config={"every": 20, "leave": 999}, take_profit=40, stop_loss=40, horizon=0)

    def held() -> list[bool]:
        return [each["pos"] != 0 for each in journal.session(session_id).details["books"]]

    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 37)
    assert held() == [True, True, True]
    journal.command(session_id, "flatten", {"book": 1})
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 39)
    assert held() == [True, False, True]
    journal.command(session_id, "flatten", {"book": 9})
    journal.command(session_id, "stop")
    assert run(session_id, journal) == "stopped"
    assert held() == [False, False, False]
    told = [r["outcome"] for r in rows_of(journal, session_id, "command")]
    assert told == ["done", "the session has no such instrument", "done"]
    assert audit(journal, session_id).identical


def test_each_instrument_has_a_proposal_of_its_own(begin_all: Any, journal: Journal) -> None:
    session_id = begin_all(mode="approve", config={"every": 2}, approval_bars=50)
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 25)
    row = journal.session(session_id)
    waiting = [row.proposal, *row.details["proposals"]]
    assert [each.get("b", 0) for each in waiting if each] == [0, 1, 2]
    journal.command(session_id, "approve", {"proposal": waiting[1]["id"]})
    journal.command(session_id, "reject", {"proposal": waiting[2]["id"]})
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 28)
    books = journal.session(session_id).details["books"]
    assert [each["pos"] != 0 for each in books] == [False, True, False]
    assert audit(journal, session_id).identical


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"also": [FINE.key, FINE.key]}, "also", "named twice"),
        ({"also": [INSTRUMENT.key]}, "also", "named twice"),
        ({"also": ["synthetic/bench/NONE-USDT"]}, "also", "NONE-USDT"),
        ({"also": [FINE.key], "take_profit_price": 2_000}, "take_profit_price", "at distances"),
        (
            {
                "also": [FINE.key],
                "broker": {"kind": "exchange"},
                "feed": {"kind": "live", "source": "ccxt", "symbol": "A"},
            },
            "broker",
            "one instrument a session",
        ),
    ],
)
def test_what_cannot_share_an_account_is_named_at_its_field(
    markets: list[Bars], journal: Journal, changes: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        start(a_spec(**changes), journal)
    assert said in caught.value.problems[field]
    assert journal.sessions() == []


def test_one_account_has_one_currency(markets: list[Bars], journal: Journal) -> None:
    euro = of_grid("TEST", "0.01", "0.0001", "EUR")
    Store().write(like(euro, 4, slice(0, 0)))
    with pytest.raises(SpecError) as caught:
        start(
            spec_of({"instrument": INSTRUMENT.key, "also": [euro.key], "timeframe": "1m", "strategy": "probe"}), journal
        )
    assert "quoted in EUR" in caught.value.problems["also"]
