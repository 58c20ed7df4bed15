"""The limits of a session: each in a scenario, and the property that no order ever leaves them."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probe_market import INSTRUMENT, MINUTE, START_NS
from stage import BARS, Stage, kinds

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.money import PPM
from pregao.sessions.records import JournalRow
from pregao.sessions.risk import PROFILES, Guard, Rules, Wish, rules_of
from pregao.sessions.spec import Risk
from pregao.sessions.views import view
from pregao.simulation.plan import Plan
from pregao.strategies.contract import Enter, Exit

ENTER = Enter("long", 1.0, "go")


def market(*closes: float, start_ns: int = START_NS) -> Bars:
    """Bars with these closes, each opening at the close before."""
    close = np.array([round(price * 100) for price in closes])
    opened = np.r_[close[:1], close[:-1]]
    times = start_ns + np.arange(len(close)) * MINUTE.ns
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return Bars(INSTRUMENT, MINUTE, times, opened, high, low, close, np.ones(len(close)))


def told(rows: list[JournalRow], kind: str) -> list[Any]:
    return [view(r, INSTRUMENT) for r in rows if r.kind == kind]


def spent(stage: Stage) -> list[float]:
    """What each entry cost, without its fee."""
    fills = [f for f in told(stage.rows, "fill") if f["role"] == "entry"]
    return [f["qty"] * f["price"] for f in fills]


def calm(**spec: Any) -> dict[str, Any]:
    """A session without costs, so that figures are round."""
    return {"fee": 0, "slippage": 0, "cash": 10_000, "entry_value": 5_000, **spec}


def test_a_position_is_cut_down_to_its_share_of_the_equity() -> None:
    stage = Stage({0: (ENTER,)}, market(*[1_000] * 5), **calm(risk={"max_position": 20}))
    stage.bars(2)
    assert spent(stage) == pytest.approx([2_000])
    (intent,) = told(stage.rows, "intent")
    assert (intent["acted"], intent["limit"], intent["left"]) == (True, "position", pytest.approx(0.4))
    stage.check()


def test_a_small_wish_is_left_alone() -> None:
    stage = Stage({0: (Enter("long", 0.1),)}, market(*[1_000] * 5), **calm(risk={"max_position": 20}))
    stage.bars(2)
    assert spent(stage) == pytest.approx([500])
    assert "limit" not in told(stage.rows, "intent")[0]


def test_the_exposure_counts_what_is_held_already() -> None:
    plan = Plan.of(INSTRUMENT, MINUTE, cash=10_000, entry_value=5_000)
    guard = Guard(Rules(exposure_ppm=400_000), plan)
    half = 3_000 * 10**8
    assert guard.judge(Wish(PPM, None, 0), 1) == (800_000, "exposure")  # 4,000 of 5,000
    assert guard.judge(Wish(PPM, None, half), 1) == (200_000, "exposure")  # 1,000 are left
    assert guard.judge(Wish(PPM, None, 2 * half), 1) == (0, "exposure")


@pytest.mark.parametrize(
    ("probability", "value"),
    [
        (0.6, 10_000 * 0.5 * (0.6 * 0.2 - 0.4 * 0.1) / (0.2 * 0.1) / 10),  # half of Kelly, worked by hand
        (0.34, 10_000 * 0.5 * (0.34 * 0.2 - 0.66 * 0.1) / (0.2 * 0.1) / 10),
        (0.3, None),  # no edge, no entry
        (float("nan"), None),
        (7.0, 5_000),  # more than certain is certain
    ],
)
def test_kellys_fraction_bounds_an_entry_by_its_chance(probability: float, value: float | None) -> None:
    """Take profit 20 %, stop loss 10 %: with a chance of 60 % Kelly says 400 % of the equity; a twentieth is used."""
    spec = calm(take_profit=20, stop_loss=10, risk={"kelly": "5"})
    stage = Stage({0: (Enter("long", 1.0, "go", probability),)}, market(*[1_000] * 5), **spec)
    stage.bars(2)
    if value is None:
        assert spent(stage) == []
        assert told(stage.rows, "intent")[0]["limit"] == "kelly"
        assert told(stage.rows, "intent")[0]["why"] == "risk"
    else:
        assert spent(stage) == pytest.approx([min(value, 5_000)], rel=1e-3)
    stage.check()


def test_without_an_estimate_kelly_says_nothing() -> None:
    stage = Stage({0: (ENTER,)}, market(*[1_000] * 5), **calm(risk={"kelly": "1"}))
    stage.bars(2)
    assert spent(stage) == pytest.approx([5_000])


def test_after_the_days_loss_there_are_no_entries_until_tomorrow_and_exits_work() -> None:
    """In at 1,000 with half the equity; at 950 2.5 % are lost of a limit of 2 %. The next UTC day begins anew."""
    midnight = -(-START_NS // (86_400 * 10**9)) * 86_400 * 10**9
    falling = market(1_000, 1_000, 950, 950, 950, 950, 950, 950, 950, start_ns=midnight - 6 * MINUTE.ns)
    script = {0: (ENTER,), 3: (Exit("out"),), 4: (ENTER,), 5: (ENTER,), 6: (ENTER,)}
    stage = Stage(script, falling, **calm(risk={"daily_loss": 2}))
    stage.bars(3)
    (risk,) = told(stage.rows, "risk")
    assert (risk["rule"], risk["limit"], risk["reached"]) == ("daily loss", 0.02, pytest.approx(0.025))
    assert "no more entries until tomorrow" in stage.machine.notices["risk"]
    assert stage.machine.status == "running"
    stage.bars(3)
    assert stage.position == 0  # the exit worked
    refused = [i for i in told(stage.rows, "intent") if i["why"] == "risk"]
    assert [i["limit"] for i in refused] == ["daily loss"] * 2
    stage.bars(2)  # the first bar that closes after midnight
    assert stage.position > 0
    assert stage.machine.notices == {}
    stage.check()


def test_the_days_loss_takes_a_waiting_entry_and_a_proposal_back() -> None:
    guard_rows = market(1_000, 1_000, 950, 950, 950, 950)
    stage = Stage({0: (ENTER,)}, guard_rows, **calm(mode="approve", risk={"daily_loss": 2}, approval_bars=50))
    stage.bars()
    assert stage.command("approve") == "done"
    stage.bars(2)
    assert told(stage.rows, "risk")
    assert stage.command("flatten") == "done"
    stage.machine.books[0].desk.strategy.script = {3: (ENTER,)}
    stage.bars()
    assert not stage.machine.proposals.open  # what cannot be done is not proposed either
    assert told(stage.rows, "intent")[-1]["why"] == "risk"


def test_a_drawdown_flattens_and_pauses_and_a_person_goes_on_from_there() -> None:
    stage = Stage(
        {0: (ENTER,), 4: (ENTER,), 7: (ENTER,)}, market(1_000, 1_000, 1_000, 850, 840, 840, 840, 840, 840, 840, 840),
        **calm(risk={"max_drawdown": 7}),
    )  # fmt: skip
    rows = stage.bars(4)
    assert kinds(rows)[-3:] == ["risk", "order", "paused"]
    assert told(rows, "paused")[0]["by"] == "risk"
    assert told(rows, "risk")[0]["reached"] == pytest.approx(0.075)
    assert "closed and the session paused" in stage.machine.notices["risk"]
    stage.bars(2)
    assert stage.position == 0
    assert stage.machine.status == "paused"
    assert stage.command("resume") == "done"
    assert stage.machine.notices == {}
    stage.machine.books[0].desk.strategy.script = {3: (ENTER,)}  # it was asked three times until then
    stage.bars(2)
    assert stage.position > 0  # the fall is counted from where the person went on
    assert stage.machine.status == "running"


def test_after_a_loss_it_cools_down_for_its_bars() -> None:
    script = dict.fromkeys(range(20), (ENTER,))
    prices = market(1_000, 1_000, 980, *[980] * 20)
    stage = Stage(script, prices, **calm(stop_loss=1, risk={"cool_down": 5}))
    stage.bars(20)
    fills = told(stage.rows, "fill")
    lost = next(f for f in fills if f["role"] == "stop_loss")
    again = next(f for f in fills if f["role"] == "entry" and f["ts"] > lost["ts"])
    waits = [i for i in told(stage.rows, "intent") if i.get("limit") == "cool-down"]
    assert len(waits) == 5
    assert (again["t"] - lost["t"]) / 60 == 6  # five bars without, decided at the sixth close, filled at its next open
    stage.check()


def test_limits_hold_at_the_moment_of_the_approval_too() -> None:
    stage = Stage(
        {0: (ENTER,)}, market(*[1_000] * 8), **calm(mode="approve", approval_bars=50, risk={"max_position": 20})
    )  # fmt: skip
    stage.bars()
    stage.machine.guard.halted = True
    assert stage.command("approve") == "the limits do not allow it now: daily loss"
    stage.machine.guard.halted = False
    assert stage.command("approve") == "done"
    stage.bars()
    assert spent(stage) == pytest.approx([2_000])


def test_bars_that_come_late_count_but_trigger_no_flattening_in_the_past() -> None:
    stage = Stage({0: (ENTER,)}, market(1_000, 1_000, 800, 800, 800, 800), **calm(risk={"max_drawdown": 5}))
    stage.bars(2)
    late = stage.bars(2, late=True)
    assert not told(late, "risk")
    assert told(stage.bars(), "risk")
    stage.bars()
    assert stage.position == 0
    stage.check()


def test_a_trailing_stop_follows_the_best_close_and_never_goes_back() -> None:
    prices = market(1_000, 1_000, 1_050, 1_100, 1_080, 1_095, 1_046, 1_046)
    stage = Stage({0: (ENTER,)}, prices, **calm(take_profit=50, stop_loss=5, trailing=True))
    rows = stage.bars(8)
    stops = [b["sl"] for b in told(rows, "bar") if b["sl"]]
    assert stops == [950, 950, 997.5, 1_045, 1_045, 1_045, 1_045]
    (exit_,) = [f for f in told(rows, "fill") if f["role"] == "stop_loss"] or [None]
    assert exit_ is None  # 1,046 is just above it
    stage.check()
    stage = Stage({0: (ENTER,)}, market(1_000, 1_000, 1_100, 1_030, 1_030), **calm(stop_loss=5, trailing=True))
    (exit_,) = [f for f in told(stage.bars(5), "fill") if f["role"] == "stop_loss"]
    assert exit_["price"] == 1_045
    stage.check()


def test_a_trailing_stop_of_a_short_follows_downwards() -> None:
    prices = market(1_000, 1_000, 900, 950, 950)
    stage = Stage({0: (Enter("short"),)}, prices, **calm(stop_loss=5, trailing=True))
    (exit_,) = [f for f in told(stage.bars(5), "fill") if f["role"] == "stop_loss"]
    assert exit_["price"] == 945
    stage.check()


def test_exits_can_be_prices() -> None:
    prices = market(1_000, 1_000, 1_010, 1_031, 1_000)
    stage = Stage({0: (ENTER,)}, prices, **calm(take_profit_price="1030", stop_loss_price="977.5"))
    rows = stage.bars(5)
    bar = told(rows, "bar")[1]
    assert (bar["tp"], bar["sl"]) == (1_030, 977.5)
    (exit_,) = [f for f in told(rows, "fill") if f["role"] == "take_profit"]
    assert exit_["price"] == 1_030
    stage.check()


@pytest.mark.parametrize(
    ("spec", "limit"),
    [({"take_profit_price": "990"}, "take profit price"), ({"stop_loss_price": "1010"}, "stop loss price")],
)
def test_an_exit_on_the_wrong_side_of_the_market_lets_nothing_in(spec: Any, limit: str) -> None:
    stage = Stage({0: (ENTER,)}, market(*[1_000] * 4), **calm(**spec))
    stage.bars(3)
    assert stage.position == 0
    assert told(stage.rows, "intent")[0]["limit"] == limit
    stage.check()


def test_a_profile_is_what_it_says_and_single_limits_win() -> None:
    assert rules_of(Risk()) == Rules()
    assert rules_of(Risk(profile="balanced")) == PROFILES["balanced"]
    mixed = rules_of(Risk(profile="conservative", max_drawdown=Decimal(8), cool_down=0))
    assert mixed == PROFILES["conservative"]._replace(drawdown_ppm=80_000, cool_down_bars=0)
    order = [PROFILES[name] for name in ("conservative", "balanced", "aggressive")]
    for tight, loose in pairwise(order):
        assert all(a < b for a, b in zip(tight[:5], loose[:5], strict=True))
        assert tight.cool_down_bars > loose.cool_down_bars


@pytest.mark.parametrize(
    ("risk", "field"),
    [
        ({"max_position": 0}, "risk.max_position"),
        ({"kelly": 101}, "risk.kelly"),
        ({"daily_loss": "much"}, "risk.daily_loss"),
        ({"profile": "wild"}, "risk.profile"),
        ({"leverage": 3}, "risk.leverage"),
        ({"cool_down": -1}, "risk.cool_down"),
    ],
)
def test_a_limit_that_is_none_is_named(risk: Any, field: str) -> None:
    with pytest.raises(UsageError) as caught:
        Stage({}, risk=risk)
    assert list(caught.value.problems) == [field]  # type: ignore[attr-defined]


def test_exits_that_contradict_each_other_are_named() -> None:
    with pytest.raises(UsageError, match="trails has a distance") as caught:
        Stage({}, trailing=True, stop_loss_price=5)
    assert list(caught.value.problems) == ["trailing"]  # type: ignore[attr-defined]


# -- the property

rates = st.one_of(st.none(), st.decimals("0.5", "100", places=1))
wishes = st.lists(
    st.one_of(
        st.builds(
            Enter, st.sampled_from(["long", "short"]), st.floats(0.001, 1.0), st.just("x"),
            st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
        ),
        st.just(Exit("x")),
    ),
    max_size=3,
).map(tuple)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    risk=st.fixed_dictionaries({
        "max_position": rates, "max_exposure": rates, "kelly": rates, "daily_loss": rates, "max_drawdown": rates,
        "cool_down": st.one_of(st.none(), st.integers(0, 9)),
        "profile": st.sampled_from(["none", "conservative", "balanced", "aggressive"]),
    }),
    script=st.dictionaries(st.integers(0, 119), wishes, max_size=90),
    late=st.sets(st.integers(0, 119), max_size=20),
    mode=st.sampled_from(["auto", "approve"]),
    levels=st.sampled_from([(1, 1), (3, 2), (50, 50), (20, 1)]),
)  # fmt: skip
def test_no_order_ever_leaves_the_limits_whatever_the_strategy_asks(
    risk: Any, script: Any, late: Any, mode: Any, levels: Any
) -> None:
    profit, stop = levels
    stage = Stage(
        script, BARS, risk=risk, mode=mode, cash=10_000, entry_value=9_000, take_profit=profit, stop_loss=stop,
        approval_bars=2,
    )  # fmt: skip
    rules = rules_of(stage.spec.risk)
    equity = peak = day_equity = 10_000.0
    day, lost_at, tripped = -1, None, False
    for i in range(120):
        rows = stage.bars(late=i in late)
        bar = told(rows, "bar")[0]
        if (bar["ts"] - 1e-9) // 86_400 != day:
            day, day_equity = (bar["ts"] - 1e-9) // 86_400, equity
        for fill in told(rows, "fill"):
            if fill["role"] == "entry":  # decided at the close before: `equity` is what it was then
                value = fill["qty"] * fill["price"]
                share = min(x for x in (rules.position_ppm, rules.exposure_ppm, 10 * PPM) if x) / PPM
                assert value <= share * equity * (1 + 1e-9) + 0.01
                assert value <= 9_000 * (1 + 1e-9)
                assert not tripped
                assert lost_at is None or i - 1 - lost_at >= rules.cool_down_bars
                if rules.daily_loss_ppm:
                    assert (day_equity - equity) / day_equity < rules.daily_loss_ppm / PPM or i - 1 in late
        closed = [f for f in told(rows, "fill") if f["role"] != "entry" and f["pos"] == 0]
        equity = bar["eq"]
        peak = max(peak, equity)
        if closed and stage.machine.guard.lost_bar == stage.machine.bars:
            lost_at = i
        if i in late:
            assert not told(rows, "intent")
        elif rules.drawdown_ppm and (peak - equity) / peak >= rules.drawdown_ppm / PPM + 1e-9 and not tripped:
            assert stage.machine.status == "paused"
            tripped = True
        if mode == "approve" and stage.machine.proposals.open:
            stage.command("approve")
    stage.check()
