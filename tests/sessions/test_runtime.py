"""A session lived through: it agrees with the backtest, obeys commands, lets go and goes on, and says why it cannot."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from probe_market import INSTRUMENT, MINUTE, START_NS, random_walk
from waiting import wait

from pregao.core.bars import Bars
from pregao.core.errors import PregaoError
from pregao.market.store import Store
from pregao.sessions.assembly import assemble
from pregao.sessions.journal import Journal
from pregao.sessions.machine import Machine
from pregao.sessions.recovery import recover, replay
from pregao.sessions.runtime import Tick, run
from pregao.sessions.views import session_view, trade_view, view
from pregao.simulation.events import Event
from pregao.strategies.backtest import backtest
from pregao.strategies.registry import configured


def events_of(journal: Journal, session_id: str) -> list[Event]:
    """The order events as the journal tells them."""
    found = []
    position, cash = 0, 10_000 * 10**8
    for row in journal.rows(session_id, limit=10**6):
        b = row.body
        if row.kind == "fill":
            position, cash = b["pos"], b["cash"]
            found.append(Event(
                "fill", b["id"], row.ts_ns, b["order"], b["role"], b["side"], b["qty"], b["price"], b["ref"], b["slip"],
                b["fee"], b["pnl"], position, cash, b["rule"], "", b["amb"],
                b["spread"], b["impact"], b["liq"], b["tier"],
            ))  # fmt: skip
        elif row.kind == "order":
            found.append(Event(
                b["state"], b["id"], row.ts_ns, b["order"], b["role"], b["side"], b["qty"], b["price"], 0, 0, 0, 0,
                position, cash, "", b["reason"], False,
            ))  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("strategy", "config", "first"),
    [
        ("probe", {"every": 5}, 0),
        ("probe", {}, 100),
        ("probe", {"every": 3, "rest": 4}, 0),
        ("probe", {"every": 2, "leave": 9, "rest": 60}, 100),
        ("ma-cross", {"fast": 3, "slow": 8}, 100),
        ("buy-and-hold", {}, 0),
    ],
)
def test_a_session_and_a_backtest_over_the_same_bars_agree_to_the_byte(
    begin: Any, journal: Journal, market: Bars, strategy: str, config: dict[str, Any], first: int
) -> None:
    feed = {"speed": 0, "start": int(market.open_ns[first])}
    session_id = begin(strategy=strategy, config=config, feed=feed, horizon=40)
    assert run(session_id, journal) == "finished"
    parts = assemble(journal.session(session_id).spec)
    result = backtest(configured(strategy, config), market[first:], parts.first.plan, seed=7, before=market[:first])
    finished = journal.rows(session_id, limit=10**6)[-1]
    assert finished.body["digest"] == result.engine.digest()
    assert events_of(journal, session_id) == result.history()
    equities = [row.body["eq"] for row in journal.rows(session_id, limit=10**6) if row.kind == "bar"]
    assert equities == result.equity.tolist()
    trades = [trade_view(t, INSTRUMENT) for t in journal.trades(session_id)]
    assert [t["entry"] * 1e9 for t in trades] == pytest.approx(result.trades["entry_ns"].tolist())
    for ours, theirs in (("pnl", "pnl"), ("return", "net_return"), ("entry_price", "entry_price"), ("fees", "fees"),
                         ("exit_price", "exit_price"), ("qty", "quantity")):  # fmt: skip
        assert [t[ours] for t in trades] == pytest.approx(result.trades[theirs].tolist())
    row = journal.session(session_id)
    assert row.equity_quanta == result.equity[-1]
    assert (row.trades_count, row.bars, row.bars_total) == (len(trades), len(market) - first, len(market) - first)
    assert row.win_count == sum(t["pnl"] > 0 for t in trades)


def test_the_whole_journal_comes_out_again_and_every_row_has_a_view(begin: Any, journal: Journal) -> None:
    session_id = begin()
    run(session_id, journal)
    rows = list(journal.verified(session_id))
    assert [r.kind for r in rows[:2]] == ["started", "snapshot"]
    parts = assemble(journal.session(session_id).spec)
    again = parts.machine()
    replay(again, rows)
    assert again.status == "finished"
    shown = [view(row, INSTRUMENT) for row in rows]
    assert [s["s"] for s in shown] == list(range(1, len(rows) + 1))
    bars = [s for s in shown if s["k"] == "bar"]
    assert [b["t"] for b in bars] == [START_NS / 1e9 + 60 * i for i in range(300)]
    market = random_walk(300)
    assert [b["c"] for b in bars] == pytest.approx((market.close * 0.01).tolist())
    assert shown[0]["data_version"] is None
    assert session_view(journal.session(session_id))["pnl"] == pytest.approx(bars[-1]["pnl"])


def in_thread(journal: Journal, session_id: str, **more: Any) -> threading.Thread:
    thread = threading.Thread(target=run, args=(session_id, journal), kwargs=more)
    thread.start()
    return thread


def test_commands_reach_a_running_session_within_a_quarter_of_a_second_between_slow_bars(
    begin: Any, journal: Journal
) -> None:
    session_id = begin(feed={"speed": 0.01})
    thread = in_thread(journal, session_id)
    wait(lambda: journal.session(session_id).status == "running")
    waits = []
    turns = [("pause", "paused"), ("resume", "running")] * 5  # often: the machine may do something else meanwhile
    for kind, status in (*turns, ("flatten", "running"), ("stop", "stopped")):
        asked = time.monotonic()
        number = journal.command(session_id, kind)  # type: ignore[arg-type]
        wait(lambda: journal.answer(number).outcome is not None)  # noqa: B023
        waits.append(time.monotonic() - asked)
        assert journal.session(session_id).status == status
    thread.join(60)
    assert not thread.is_alive()
    assert min(waits) < 0.25
    told = [r.body["outcome"] for r in journal.rows(session_id) if r.kind == "command"]
    assert told == [*["done"] * len(turns), "there is nothing to close", "done"]


def test_stop_during_a_replay_closes_the_position_and_ends(begin: Any, journal: Journal) -> None:
    session_id = begin(feed={"speed": 20}, config={"every": 2, "leave": 1000}, take_profit=50, stop_loss=50)
    thread = in_thread(journal, session_id)
    wait(lambda: journal.session(session_id).position_lots != 0)
    journal.command(session_id, "stop")
    thread.join(60)
    row = journal.session(session_id)
    assert (row.status, row.position, row.trades_count) == ("stopped", 0.0, 1)
    assert row.bars < 300
    assert run(session_id, journal) == "stopped"  # it has ended: nothing happens
    assert len(journal.runs(session_id)) == 1


def test_let_go_and_taken_up_again_it_is_the_same_session(begin: Any, journal: Journal) -> None:
    calm, handed_on = begin(), begin()
    run(calm, journal)
    for share in (70, 120):
        ticks: list[Tick] = []
        status = run(handed_on, journal, stop=lambda: len(ticks) >= share, on_tick=ticks.append)  # noqa: B023
        assert status == "running"
        assert ticks[-1].seq == journal.session(handed_on).last_seq
        assert journal.session(handed_on).heartbeat_ns == 0
    ticks = []
    assert run(handed_on, journal, on_tick=ticks.append) == "finished"
    assert (ticks[-1].bars, ticks[-1].bars_total) == (300, 300)
    assert journal.session(handed_on).chain == journal.session(calm).chain
    assert [r.outcome for r in journal.runs(handed_on)] == ["let go", "let go", "finished"]


def test_a_paused_and_a_stopping_session_stay_so_across_runners(begin: Any, journal: Journal) -> None:
    session_id = begin(feed={"speed": 20}, config={"every": 2, "leave": 1000}, take_profit=50, stop_loss=50)
    go = threading.Event()
    thread = in_thread(journal, session_id, stop=go.is_set)
    wait(lambda: journal.session(session_id).position_lots != 0)
    journal.command(session_id, "pause")
    wait(lambda: journal.session(session_id).status == "paused")
    go.set()
    thread.join()
    at = journal.session(session_id).bars
    assert run(session_id, journal, stop=lambda: journal.session(session_id).bars > at + 40) == "paused"
    assert journal.session(session_id).position_lots != 0
    journal.command(session_id, "stop")
    assert run(session_id, journal) == "stopped"
    assert journal.session(session_id).position_lots == 0


def test_a_failing_strategy_shows_its_traceback_and_goes_on_when_resumed(begin: Any, journal: Journal) -> None:
    session_id = begin(config={"fail_at": 5}, feed={"speed": 20, "end": START_NS + 120 * MINUTE.ns})
    thread = in_thread(journal, session_id)
    wait(lambda: journal.session(session_id).status == "paused")
    assert journal.session(session_id).error == "ZeroDivisionError: told to fail"
    number = journal.command(session_id, "resume")  # it fails at the same step again: its state was put back
    wait(lambda: journal.answer(number).outcome == "done")
    wait(lambda: journal.session(session_id).status == "paused")
    thread.join(60)
    row = journal.session(session_id)
    assert row.status == "finished"
    faults = [view(r, INSTRUMENT) for r in journal.rows(session_id, limit=10**6) if r.kind == "error"]
    assert len(faults) == 2
    assert "pregao_probe.py" in faults[0]["traceback"]


def test_from_any_snapshot_or_from_none_recovery_comes_to_the_same_state(begin: Any, journal: Journal) -> None:
    from sqlalchemy import delete

    from pregao.sessions import schema

    session_id = begin()
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 230)
    parts = assemble(journal.session(session_id).spec)
    states = []
    while True:
        machine = recover(journal, session_id, lambda: Machine(parts.spec, parts.desks(), 300))
        states.append(machine.to_bytes())
        kept = journal.snapshots(session_id)
        if not kept:
            break
        with journal.writing() as connection:
            connection.execute(delete(schema.snapshots).where(schema.snapshots.c.seq == kept[0][0]))
    assert len(states) == 4  # three snapshots, and the beginning
    assert len(set(states)) == 1


def test_a_session_whose_parts_are_gone_fails_with_the_reason_and_goes_on_once_mended(
    begin: Any, journal: Journal, market: Bars
) -> None:
    session_id = begin()
    run(session_id, journal, stop=lambda: journal.session(session_id).bars >= 50)
    good = Store().bars(INSTRUMENT, MINUTE)
    other = replace(good[:60], high=good.high[:60] + 5)
    Store().write(other)
    with pytest.raises(PregaoError, match="not the one that the session has traded on"):
        run(session_id, journal)
    row = journal.session(session_id)
    assert row.status == "failed"
    assert "pregao data checkout" in (row.error or "")
    assert journal.unattended(0) == []
    Store().write(good)
    assert run(session_id, journal) == "finished"
    assert journal.session(session_id).error is None


def test_a_replay_waits_for_the_person_while_a_proposal_is_open(begin: Any, journal: Journal) -> None:
    """At 100 bars a second its three bars would be over in 30 ms; what is answered goes on at the asked pace."""
    config = {"every": 2, "leave": 1000}
    session_id = begin(mode="approve", feed={"speed": 100}, config=config, take_profit=50, stop_loss=50)
    thread = in_thread(journal, session_id)
    wait(lambda: journal.session(session_id).proposal is not None)
    proposed = journal.session(session_id)
    time.sleep(1)
    later = journal.session(session_id)
    assert later.bars == proposed.bars
    assert later.proposal == proposed.proposal
    journal.command(session_id, "approve", {"proposal": proposed.proposal["id"]})
    wait(lambda: [r for r in journal.rows(session_id, limit=10**6) if r.kind == "fill"])
    thread.join(60)
    assert journal.session(session_id).status == "finished"
