"""Starting and steering with bad input: every problem is one clear sentence at its field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from probe_market import INSTRUMENT, MINUTE, START_NS, a_spec, random_walk

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, UsageError
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.sessions.control import SpecError, command, spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"entry_value": -5}, "entry_value", "greater than 0"),
        ({"entry_value": "lots"}, "entry_value", "given: 'lots'"),
        ({"cash": "2e12"}, "cash", "less than or equal"),
        ({"cash": "NaN"}, "cash", "finite"),
        ({"cash": 100, "entry_value": 200}, "entry_value", "more than the cash"),
        ({"take_profit": 0}, "take_profit", "greater than 0"),
        ({"stop_loss": 100}, "stop_loss", "less than 100"),
        ({"mode": "yolo"}, "mode", "observe"),
        ({"feed": {"speed": -1}}, "feed.speed", "greater than or equal to 0"),
        ({"instrument": "BTC"}, "instrument", "pattern"),
        ({"colour": "red"}, "colour", "not permitted"),
        ({"approval_bars": 0}, "approval_bars", "greater than or equal to 1"),
    ],
)
def test_a_value_out_of_range_is_named_by_its_field(changes: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        a_spec(**changes)
    assert list(caught.value.problems) == [field]
    assert said in caught.value.problems[field]
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"instrument": "synthetic/bench/NONE"}, "instrument", "no instrument named"),
        ({"timeframe": "7m"}, "timeframe", "not a timeframe"),
        ({"timeframe": "1h"}, "timeframe", "no 1h bars"),
        ({"strategy": "wish"}, "strategy", "no strategy named 'wish'"),
        ({"config": {"every": 0}}, "config", "every: Input should be greater"),
        ({"config": {"speed": 1}}, "config", "speed: Extra inputs"),
        ({"model": "pregao.X.1m"}, "model", "uses no model"),
        ({"entry_value": 5}, "entry_value", "below the least order"),
        ({"feed": {"start": START_NS + 10**15}}, "feed.start", "no bars of"),
        ({"feed": {"start": START_NS + 60 * 10**9, "end": START_NS}}, "feed.start", "no bars of"),
        ({"feed": {"version": "abcdef"}}, "feed.version", "no version named"),
    ],
)
def test_what_does_not_exist_is_named_and_no_session_is_made(
    market: Bars, changes: dict[str, Any], field: str, said: str
) -> None:
    journal = Journal()
    with pytest.raises(SpecError) as caught:
        start(a_spec(**changes), journal)
    assert list(caught.value.problems) == [field]
    assert said in caught.value.problems[field]
    assert journal.sessions() == []
    journal.close()


def test_several_problems_are_all_named(market: Bars) -> None:
    with pytest.raises(SpecError) as caught:
        start(a_spec(strategy="wish", entry_value=5, timeframe="9m"))
    assert set(caught.value.problems) >= {"strategy", "timeframe"}


def test_a_strategy_that_needs_a_model_needs_a_champion(market: Bars) -> None:
    with pytest.raises(SpecError, match="no champion") as caught:
        start(a_spec(strategy="catboost-ai"))
    assert "pregao retrain synthetic/bench/TEST-USDT --timeframe 1m" in caught.value.mend


def test_an_entry_that_buys_no_lot_is_refused(home: Any, plugin: None) -> None:
    dear = INSTRUMENT.model_copy(update={"lot_size": Decimal(2), "symbol": "DEAR/USDT"})
    bars = random_walk(50)
    Store().write(Bars(dear, MINUTE, bars.open_ns, bars.open, bars.high, bars.low, bars.close, bars.volume))
    with pytest.raises(SpecError, match="buys less than the least quantity"):
        start(a_spec(instrument=dear.key))


def test_what_was_left_open_is_decided_and_stored(market: Bars) -> None:
    journal = Journal()
    session_id = start(a_spec(), journal)
    spec = journal.session(session_id).spec
    assert (spec.feed.start, spec.feed.end) == (START_NS, int(market.open_ns[-1]) + 1)
    Store().write(random_walk(400))  # a longer store does not lengthen a session that has begun
    assert run(session_id, journal) == "finished"
    assert journal.session(session_id).bars == 300
    journal.close()


def test_a_session_can_replay_an_old_version_of_the_data(market: Bars) -> None:
    old = Versions().commit("first")
    assert old is not None
    Store().write(random_walk(300, seed=2))
    Versions().commit("second")
    journal = Journal()
    session_id = start(a_spec(feed={"speed": 0, "version": old.short}), journal)
    run(session_id, journal)
    closes = [r.body["c"] for r in journal.rows(session_id, limit=10**6) if r.kind == "bar"]
    assert closes == market.close.tolist()
    journal.close()


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("explode", {}, "no command named"),
        ("pause", {"proposal": 1}, "does not take proposal"),
        ("approve", {"colour": 1}, "does not take colour"),
        ("approve", {"proposal": "1"}, "by its number"),
        ("reject", {"proposal": True}, "by its number"),
        ("reject", {"proposal": 0}, "by its number"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(market: Bars, kind: str, body: dict[str, Any], said: str) -> None:
    session_id = start(a_spec())
    with pytest.raises(UsageError, match=said):
        command(session_id, kind, body)


def test_a_command_needs_a_session_that_has_not_ended(market: Bars) -> None:
    with pytest.raises(NotFoundError):
        command("nobody", "pause")
    journal = Journal()
    session_id = start(a_spec(), journal)
    run(session_id, journal)
    with pytest.raises(UsageError, match="has ended"):
        command(session_id, "pause", journal=journal)
    journal.close()


def test_a_spec_is_read_from_plain_values() -> None:
    spec = spec_of({"instrument": "a/b/C", "timeframe": "1m", "strategy": "x", "cash": "500.5", "entry_value": 100})
    assert (spec.cash, spec.entry_value, spec.feed.speed) == (Decimal("500.5"), Decimal(100), 2.0)
