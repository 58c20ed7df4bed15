"""The session's state machine: modes, commands, proposals, faults; and that replay makes every row again."""

from __future__ import annotations

from typing import Any

import pytest
from probe_market import INSTRUMENT
from stage import BARS, Stage, kinds

from pregao.core.errors import PregaoError
from pregao.sessions.intents import body_of, intent_of
from pregao.sessions.machine import SNAPSHOT_BARS
from pregao.sessions.records import JournalRow, canonical
from pregao.sessions.recovery import DivergedError, replay
from pregao.sessions.views import view
from pregao.strategies.contract import Enter, Exit, Note, Wait

ENTER = Enter("long", 1.0, "go", 0.6, 0.01, (("rsi", 0.5),))


def test_in_auto_an_entry_fills_at_the_next_open_with_its_bracket() -> None:
    stage = Stage({0: (ENTER,)})
    assert kinds(stage.bars()) == ["bar", "intent", "order"]
    assert kinds(stage.bars()) == ["bar", "fill", "order", "order"]
    bar = view(next(r for r in stage.rows[-5:] if r.kind == "bar"), INSTRUMENT)
    fill = view(next(r for r in stage.rows if r.kind == "fill"), INSTRUMENT)
    assert bar["pos"] == fill["pos"] > 0
    assert bar["ent"] == pytest.approx(fill["price"])
    assert bar["sl"] < fill["price"] < bar["tp"]
    assert fill["t"] == bar["t"] == BARS.open_ns[1] / 1e9
    assert bar["eq"] == pytest.approx(bar["cash"] + bar["pos"] * bar["c"])
    assert bar["pnl"] == pytest.approx(bar["eq"] - 10_000)
    assert bar["dd"] == pytest.approx(min(bar["pnl"] / 10_000, 0))
    stage.check()


def test_in_observe_nothing_is_ever_traded() -> None:
    stage = Stage({0: (ENTER,), 1: (Note("hm", 0.4),), 2: (Exit(),)}, mode="observe")
    told = [view(r, INSTRUMENT) for r in stage.bars(4) if r.kind == "intent"]
    assert [t["why"] for t in told] == ["observe", "note", "observe"]
    assert told[0]["p"] == 0.6
    assert told[0]["ev"] == 0.01
    assert told[0]["top"] == [["rsi", 0.5]]
    assert not any(r.kind in ("order", "fill") for r in stage.rows)
    stage.check()


def test_an_approved_entry_acts_and_a_rejected_one_does_not() -> None:
    stage = Stage({0: (ENTER,), 1: (ENTER,), 4: (ENTER,)}, mode="approve")
    assert kinds(stage.bars()) == ["bar", "intent", "proposal"]
    shown = stage.machine.projection().proposal
    assert shown is not None
    assert '"id":1' in shown
    assert view(stage.bars()[1], INSTRUMENT)["why"] == "waiting"  # one proposal at a time
    assert stage.command("reject", proposal=1) == "done"
    assert stage.machine.projection().proposal is None
    assert stage.command("approve") == "there is no open proposal"
    stage.bars(3)
    assert stage.position == 0
    assert stage.command("approve", proposal=1) == "proposal 1 is not open any more"
    assert stage.command("approve", proposal=2) == "done"
    stage.bars()
    assert stage.position > 0
    stage.check()


def test_a_proposal_expires_after_its_bars() -> None:
    stage = Stage({0: (ENTER,)}, mode="approve", approval_bars=2)
    stage.bars(2)
    assert stage.machine.proposals.open
    told = [view(r, INSTRUMENT) for r in stage.bars() if r.kind == "proposal"]
    assert [(t["id"], t["state"]) for t in told] == [(1, "expired")]
    assert stage.command("approve") == "there is no open proposal"
    assert told[0]["side"] == "long"
    stage.check()


def test_an_exit_is_not_asked_and_takes_the_proposal_back() -> None:
    stage = Stage({0: (ENTER,), 1: (Exit("no"),), 3: (ENTER,), 6: (Exit("enough"),)}, mode="approve")
    stage.bars(2)
    assert not stage.machine.proposals.open
    stage.bars(2)
    stage.command("approve")
    stage.bars(2)
    assert stage.position > 0
    stage.bars(2)
    assert stage.position == 0
    stage.check()


def test_paused_the_strategy_is_not_asked_and_its_waiting_entry_is_cancelled() -> None:
    stage = Stage({0: (ENTER,), 3: (ENTER,)})
    stage.bars()
    assert stage.command("pause") == "done"
    assert stage.command("pause") == "the session is already paused"
    stage.bars(5)
    assert stage.position == 0
    assert stage.machine.status == "paused"
    assert not any(r.kind == "intent" for r in stage.rows[5:])
    assert stage.command("resume") == "done"
    assert stage.command("resume") == "the session is not paused"
    stage.bars(4)
    assert stage.position > 0  # the strategy was at its second bar when it was asked again
    stage.check()


def test_paused_the_exits_go_on_working() -> None:
    stage = Stage({0: (ENTER,)})
    stage.spec = stage.spec.model_copy(update={"take_profit": 1, "stop_loss": 1})
    stage.machine = stage.new()
    stage.rows.clear()
    stage.take(stage.machine.start(int(BARS.open_ns[0]), {}))
    stage.bars(2)
    assert stage.position > 0
    stage.command("pause")
    rows = stage.bars(100)
    assert stage.position == 0
    assert next(r for r in rows if r.kind == "fill").body["role"] in ("take_profit", "stop_loss")
    stage.check()


def test_stop_closes_at_the_next_open_and_then_ends() -> None:
    stage = Stage({0: (ENTER,), 2: (ENTER,)})
    stage.bars(2)
    assert stage.command("stop") == "done"
    assert stage.command("stop") == "the session is already stopping"
    assert stage.command("pause") == "the session is stopping"
    assert not stage.machine.ended
    rows = stage.bars()
    assert kinds(rows)[-1] == "stopped"
    assert stage.machine.status == "stopped"
    assert stage.position == 0
    summary = view(rows[-1], INSTRUMENT)
    assert (summary["status"], summary["trades"], summary["pos"]) == ("stopped", 1, 0)
    stage.check()


def test_stop_when_flat_ends_at_once_and_cancels_the_entry() -> None:
    stage = Stage({0: (ENTER,)})
    stage.bars()
    stage.command("stop")
    assert stage.machine.status == "stopped"
    assert stage.machine.engine.open_orders() == []
    stage.check()


def test_stop_without_another_bar_ends_marked_to_market() -> None:
    stage = Stage({0: (ENTER,)})
    stage.bars(2)
    stage.command("stop")
    rows = stage.take(stage.machine.finish())
    assert (stage.machine.status, rows[0].kind) == ("stopped", "finished")
    assert rows[0].body["pos"] == stage.position > 0
    stage.check()


def test_flatten_closes_and_goes_on() -> None:
    stage = Stage({0: (ENTER,), 4: (ENTER,)})
    assert stage.command("flatten") == "there is nothing to close"
    stage.bars(2)
    assert stage.command("flatten") == "done"
    stage.bars()
    assert stage.position == 0
    assert stage.machine.status == "running"
    stage.bars(3)
    assert stage.position > 0
    stage.check()


def test_a_strategy_that_raises_pauses_its_session_and_is_put_back() -> None:
    stage = Stage({0: (ENTER,), 2: ValueError("boom"), 3: (Exit("later"),)})
    stage.bars(2)
    rows = stage.bars()
    assert kinds(rows) == ["bar", "error", "paused"]
    fault = view(rows[1], INSTRUMENT)
    assert fault["message"] == "ValueError: boom"
    assert "in on_bar" in fault["traceback"]
    assert (stage.machine.status, stage.machine.error) == ("paused", "ValueError: boom")
    assert stage.position > 0
    assert stage.machine.books[0].desk.strategy.at == 2
    stage.bars(3)
    stage.machine.books[0].desk.strategy.script = {2: (Exit("mended"),)}
    assert stage.command("resume") == "done"
    assert stage.machine.error is None
    stage.bars(2)
    assert stage.position == 0
    stage.check()


@pytest.mark.parametrize("said", [7, None, ("x",), (Enter(fraction=2),), (Enter("up"),)])  # type: ignore[arg-type]
def test_a_strategy_that_answers_nonsense_pauses_its_session(said: Any) -> None:
    stage = Stage({1: said})
    assert "error" in kinds(stage.bars(2))
    assert stage.machine.status == "paused"
    stage.check()


def test_a_wait_that_is_over_is_over_on_replay_too_though_the_strategy_then_said_nothing() -> None:
    stage = Stage({0: (Wait(bars=5),), 1: ()})
    stage.bars(SNAPSHOT_BARS + 3)  # the snapshot's bytes are compared
    stage.check()


def test_on_bars_that_come_late_orders_fill_and_nothing_is_decided() -> None:
    stage = Stage(dict.fromkeys(range(50), (ENTER,)))
    stage.bars(1)
    late = stage.bars(3, late=True)
    assert [r.kind for r in late if r.kind in ("fill", "intent")] == ["fill"]  # the entry of before, no other
    assert all(view(r, INSTRUMENT)["late"] for r in late if r.kind == "bar")
    seen: list[int] = []
    asked = stage.machine.books[0].desk.strategy.on_bar
    stage.machine.books[0].desk.strategy.on_bar = lambda ctx, bar: (seen.append(ctx.missed), asked(ctx, bar))[1]
    rows = stage.bars(2)
    assert seen == [3, 0]  # it is told how many it was not asked about
    (missed,) = [r for r in rows if r.kind == "missed"]
    assert (missed.body["bars"], missed.body["from"]) == (3, int(BARS.open_ns[1]))
    stage.check()


def test_a_feed_that_is_stale_withholds_decisions_and_approvals_but_exits_work() -> None:
    stage = Stage({0: (ENTER,), 3: (ENTER,)}, mode="approve")
    stage.bars()
    stage.take(stage.machine.feed({"state": "stale", "reason": "silence"}))
    assert stage.command("approve") == "the market is not heard now"
    assert not [r for r in stage.bars() if r.kind == "intent"]
    stage.take(stage.machine.feed({"state": "recovered", "ms": 5}))
    assert stage.machine.notices == {}
    assert stage.command("approve") == "done"
    stage.bars()
    assert stage.position > 0
    stage.take(stage.machine.feed({"state": "stale", "reason": "silence"}))
    assert stage.command("flatten") == "done"
    stage.bars()
    assert stage.position == 0
    stage.check()


def test_an_unknown_command_is_refused() -> None:
    stage = Stage({})
    stage.bars()
    assert stage.command("explode") == "there is no such command"
    stage.check()


def test_a_state_restored_at_any_bar_goes_on_alike() -> None:
    script = {i: (ENTER,) if i % 9 == 0 else (Exit("time"),) if i % 13 == 0 else (Note("x", 0.1),) for i in range(300)}
    calm = Stage(script)
    calm.bars(150)
    for stop in (1, 37, SNAPSHOT_BARS, 149):
        first = Stage(script)
        first.bars(stop)
        state = first.machine.to_bytes()
        first.machine = first.new()
        first.machine.restore(state)
        assert first.machine.to_bytes() == state
        first.bars(150 - stop)
        assert [r.chain for r in first.rows] == [r.chain for r in calm.rows]
        assert first.machine.to_bytes() == calm.machine.to_bytes()


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(PregaoError, match="not a saved session"):
        Stage({}).machine.restore(b"PRGS9\n{}")


@pytest.mark.parametrize("kind", ["bar", "fill", "order", "intent", "memory", "snapshot"])
def test_a_row_that_does_not_come_out_again_is_an_error(kind: str) -> None:
    stage = Stage({0: (ENTER,), 5: (Exit("x"),)})
    stage.bars(SNAPSHOT_BARS)
    at = next(i for i, r in enumerate(stage.rows) if r.kind == kind and i > 3)
    row = stage.rows[at]
    text = row.text.replace("1", "2", 1) if "1" in row.text else row.text.replace("3", "4", 1)
    stage.rows[at] = JournalRow(row.session_id, row.seq, row.ts_ns, row.kind, text, row.chain)
    with pytest.raises(DivergedError) as caught:
        replay(stage.new(), stage.rows)
    assert caught.value.seq >= row.seq or kind in ("fill", "order")


def test_intents_are_recorded_exactly() -> None:
    for intent in (ENTER, Exit("x"), Note("y", 1 / 3, float("nan"), (("a", -1e-300),)), Enter("short", 0.1)):
        body = body_of(intent)
        assert body_of(intent_of(body)) == body
        canonical(body)
