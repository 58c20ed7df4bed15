"""A session of several instruments in one account: as the portfolio's backtest, through kills, commands and limits."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probe_market import COARSE, FINE, INSTRUMENT, MINUTE, START_NS, a_spec, like, of_grid, random_walk
from stage import Scripted

from pregao.core.bars import Bars
from pregao.core.instrument import quantum_of
from pregao.market.store import Store
from pregao.sessions.as_backtest import result_of
from pregao.sessions.assembly import _folder, assembled
from pregao.sessions.audit import audit
from pregao.sessions.batch import Batch
from pregao.sessions.control import spec_of, start
from pregao.sessions.export import export
from pregao.sessions.intents import ask
from pregao.sessions.journal import Journal
from pregao.sessions.machine import Machine
from pregao.sessions.problems import SpecError
from pregao.sessions.records import JournalRow, canonical, link
from pregao.sessions.recovery import recover, replay
from pregao.sessions.runtime import run
from pregao.sessions.spec import MOST
from pregao.simulation.engine import Engine
from pregao.simulation.plan import Plan
from pregao.simulation.portfolio import PortfolioResult
from pregao.strategies.backtest import backtest_many
from pregao.strategies.contract import Enter, Exit
from pregao.strategies.desk import Desk
from pregao.strategies.registry import configured

KEYS = [INSTRUMENT.key, FINE.key, COARSE.key]


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


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_its_tables_name_the_instrument_of_each_row_and_have_the_account_once_a_moment(
    begin_all: Any, journal: Journal, tmp_path: Path, form: Any
) -> None:
    session_id = begin_all(config={"every": 5})
    run(session_id, journal)
    export(journal, session_id, tmp_path, form)
    read = pd.read_parquet if form == "parquet" else pd.read_csv
    bars, fills, orders, decisions, trades = (
        read(tmp_path / f"{name}.{form}") for name in ("bars", "fills", "orders", "decisions", "trades")
    )
    symbols = ["TEST/USDT", "FINE/USDT", "COARSE/USDT"]
    assert bars["instrument"].value_counts().to_dict() == {"TEST/USDT": 300, "FINE/USDT": 280, "COARSE/USDT": 285}
    for table in (fills, orders, decisions, trades):
        assert set(table["instrument"]) == set(symbols)
    row = journal.session(session_id)
    whole = bars["equity"].notna()
    assert whole.sum() == row.bars == 300
    assert not bars["time"][whole].duplicated().any()
    for account in ("pnl", "drawdown", "cash", "fees"):
        assert bars[account].notna().equals(whole)
    assert bars["position"].notna().all()
    assert bars["equity"][whole].iloc[-1] == pytest.approx(row.equity, abs=1e-9)
    assert fills["fee"].sum() == pytest.approx(row.fees, abs=1e-6)
    closed = [float(row.instrument.money(each["pnl"])) for each in row.details["books"]]
    assert trades.groupby("instrument")["pnl"].sum()[symbols].tolist() == pytest.approx(closed)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"also": [FINE.key, FINE.key]}, "also", "named twice"),
        ({"also": [INSTRUMENT.key]}, "also", "named twice"),
        ({"also": ["synthetic/bench/NONE-USDT"]}, "also", "NONE-USDT"),
        ({"also": [FINE.key], "take_profit_price": 2_000}, "take_profit_price", "at distances"),
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


# -- whatever the strategies ask

SHARES = st.one_of(st.none(), st.integers(1, 100))
WISHES = st.lists(
    st.one_of(
        st.builds(
            Enter, st.sampled_from(["long", "short"]), st.floats(0.01, 1.0), st.just("x"),
            st.one_of(st.none(), st.floats(0, 1)),
        ),
        st.just(Exit("x")),
    ),
    max_size=2,
).map(tuple)  # fmt: skip
SCRIPT = st.dictionaries(st.integers(0, 59), WISHES, max_size=50)


class Trio:
    """Three scripted strategies at one account, and the rows that they led to."""

    def __init__(self, scripts: list[dict[int, Any]], markets: list[Bars], **spec: Any) -> None:
        self.spec = a_spec(also=KEYS[1:], **spec)
        quantum = quantum_of(b.instrument for b in markets)
        names = {"cash", "entry_value", "take_profit", "stop_loss", "horizon", "fee", "slippage"}
        money = self.spec.model_dump(include=names)
        self.plans = [Plan.of(b.instrument.counted(quantum), b.timeframe, **money) for b in markets]
        self.scripts, self.markets = scripts, markets
        self.machine = self.new()
        self.rows: list[JournalRow] = []
        self.take(self.machine.start(int(markets[0].open_ns[0]), {}))

    def new(self) -> Machine:
        account = Engine(self.plans)
        desks = [
            Desk(plan, Scripted(script), engine=account, book=number)
            for number, (plan, script) in enumerate(zip(self.plans, self.scripts, strict=True))
        ]
        return Machine(self.spec, desks, 0)

    def take(self, batch: Batch) -> list[JournalRow]:
        new = []
        for ts_ns, kind, body in batch.entries:
            text = canonical(body)
            chain = link(self.rows[-1].chain if self.rows else "", len(self.rows) + 1, ts_ns, kind, text)
            self.rows.append(JournalRow("s", len(self.rows) + 1, ts_ns, kind, text, chain))
            new.append(self.rows[-1])
        return new

    def moment(self, i: int) -> list[JournalRow]:
        at = START_NS + i * MINUTE.ns
        rows = {n: int(np.searchsorted(b.open_ns, at)) for n, b in enumerate(self.markets)}
        bars = {n: self.markets[n].bar(row) for n, row in rows.items() if self.markets[n].open_ns[row] == at}
        books = self.machine.books
        return self.take(self.machine.moment(bars, lambda n, bar: ask(books[n].desk, bar, books[n].memory)))


@settings(max_examples=40, deadline=None)
@given(
    scripts=st.tuples(SCRIPT, SCRIPT, SCRIPT), exposure=SHARES, position=SHARES,
    levels=st.sampled_from([(1, 1), (3, 2), (50, 50)]),
)  # fmt: skip
def test_no_entry_of_any_instrument_takes_the_account_over_its_limits(
    scripts: Any, exposure: int | None, position: int | None, levels: tuple[int, int]
) -> None:
    markets = [like(INSTRUMENT, 1, slice(0, 0)), like(FINE, 2, slice(20, 30)), like(COARSE, 3, slice(0, 8))]
    profit, stop = levels
    limits = {"max_exposure": exposure, "max_position": position}
    trio = Trio(list(scripts), markets, risk=limits, entry_value=6_000, take_profit=profit, stop_loss=stop)
    worth, equity = [0, 0, 0], trio.plans[0].cash_quanta  # what is held at the last close, in quanta
    ticks = [plan.instrument.tick_quanta for plan in trio.plans]
    for i in range(60):
        rows = trio.moment(i)
        entries = [r.body for r in rows if r.kind == "fill" and r.body["role"] == "entry"]
        spent = [body["qty"] * body["price"] * ticks[body.get("b", 0)] for body in entries]
        if entries and exposure is not None:  # decided at the close before, when the equity was this
            assert sum(worth) + sum(spent) <= exposure * equity // 100 * 1.000_001 + 10**8
        for value in spent if position is not None else ():
            assert value <= position * equity // 100 * 1.000_001 + 10**8  # type: ignore[operator]
        for body in (r.body for r in rows if r.kind == "bar"):
            worth[body.get("b", 0)] = abs(body["pos"]) * body["c"] * ticks[body.get("b", 0)]
            equity = body.get("eq", equity)
    again = trio.new()
    replay(again, trio.rows)
    assert again.to_bytes() == trio.machine.to_bytes()


def test_a_bar_that_comes_after_the_account_has_gone_on_ends_what_waited_for_it() -> None:
    """Of the second market: an entry that waits for its open is cancelled; an exit within its reach fills at its level,
    or at its open where that is beyond."""
    markets = [like(INSTRUMENT, 1, slice(0, 0)), like(FINE, 2, slice(1, 2)), like(COARSE, 3, slice(0, 0))]
    go = (Enter("long", 1.0, "go"),)
    trio = Trio([{}, {0: go, 1: go}, {}], markets, take_profit=2, stop_loss=2)

    def passed(i: int, low: int | None = None, high: int | None = None) -> list[JournalRow]:
        bar = random_walk(300, 2).bar(i)
        row = [bar.open, high or bar.high, low or bar.low, bar.close, repr(bar.volume)]
        return trio.take(
            trio.machine.feed({"state": "passed", "t": bar.open_ns, "to": bar.close_ns, "bar": row, "b": 1})
        )

    trio.moment(0)
    trio.moment(1)  # the second market has no bar
    said = passed(1)
    assert [(r.kind, r.body.get("state")) for r in said] == [("feed", "passed"), ("order", "cancelled")]
    trio.moment(2)  # it is asked again, and its entry fills with the next
    (fill,) = [r.body for r in trio.moment(3) if r.kind == "fill"]
    stop = next(r.body["price"] for r in trio.rows if r.kind == "order" and r.body["role"] == "stop_loss")
    del trio.markets[1]
    trio.markets.insert(1, like(FINE, 2, slice(4, 5)))
    trio.moment(4)
    (exit_,) = [r.body for r in passed(4, low=stop - 5, high=fill["price"]) if r.kind == "fill"]
    opened = int(random_walk(300, 2).open[4])
    assert (exit_["ref"], exit_["role"], exit_["pos"], exit_["b"]) == (min(stop, opened), "exit", 0, 1)
    again = trio.new()
    replay(again, trio.rows)
    assert again.to_bytes() == trio.machine.to_bytes()


def test_a_version_of_as_many_markets_as_an_account_takes_is_kept_under_a_name_that_fits() -> None:
    keys = [f"synthetic/some-venue/{'LONG' * 5}{n}-USDT" for n in range(MOST)]
    assert _folder(keys[:1], "1m") == f"synthetic-some-venue-{'LONG' * 5}0-USDT_1m"
    assert len(_folder(keys, "1m")) <= 120
    assert len({_folder(keys[: n + 1], "1m") for n in range(MOST)}) == MOST
