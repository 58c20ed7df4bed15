"""The engine beside the oracle: random programs, event by event and bar by bar, exactly.

``PREGAO_ORACLE_EXAMPLES=20`` tries twenty times as many.
"""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import oracle
import pytest
from hypothesis import HealthCheck, given, settings
from programs import EngineRun, OracleRun, Program, in_real_units, programs, told

from pregao.simulation.events import Event

TIMES = int(os.environ.get("PREGAO_ORACLE_EXAMPLES", "1"))
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def text(event: dict[str, Any]) -> str:
    shown = {k: float(v) if isinstance(v, Fraction) else v for k, v in event.items()}
    return ", ".join(f"{k}={v}" for k, v in shown.items() if v not in ("", 0, False))


class Ids(dict[int, int]):
    """Orders by their first appearance: which numbers an engine gives is its own affair."""

    def __missing__(self, order_id: int) -> int:
        self[order_id] = len(self)
        return self[order_id]


def same_events(
    program: Program, found: list[Event], expected: list[oracle.Event], ids: tuple[Ids, Ids], when: str
) -> None:
    ours = [d | {"order_id": ids[0][d["order_id"]]} for d in (in_real_units(program, e) for e in found)]
    theirs = [d | {"order_id": ids[1][d["order_id"]]} for d in map(told, expected)]
    if ours != theirs:
        pairs = zip(ours, theirs, strict=False)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
        lines = [f"{when}, event {at}:"]
        lines += [f"  engine  {text(e)}" for e in ours[at:]] + [f"  oracle  {text(e)}" for e in theirs[at:]]
        raise AssertionError("\n".join(lines))


def same_accounts(program: Program, engine: EngineRun, rules: OracleRun, when: str) -> None:
    account = rules.exchange.account
    for book, (tick, lot, quantum) in enumerate(program.units):
        ours, theirs = engine.engine.account_of(book), account.positions[book]
        found = {
            "cash": ours.cash_quanta * quantum, "locked": ours.locked_quanta * quantum,
            "quantity": ours.position_lots * lot, "cost": ours.cost_quanta * quantum,
            "margin": ours.margin_quanta * quantum, "realised": ours.realised_quanta * quantum,
            "fees": ours.fees_quanta * quantum, "funding": ours.funding_quanta * quantum,
            "interest": ours.interest_quanta * quantum, "dividends": ours.dividends_quanta * quantum,
            "best": ours.best_quanta * quantum, "worst": ours.worst_quanta * quantum, "last": ours.last_ticks * tick,
            "held": ours.bars_held, "ambiguous": ours.ambiguous, "equity": ours.equity_quanta * quantum,
        }  # fmt: skip
        expected = {
            "cash": account.cash, "locked": account.locked, "quantity": theirs.quantity, "cost": theirs.cost,
            "margin": theirs.margin, "realised": theirs.realised, "fees": theirs.fees, "funding": theirs.funding,
            "interest": theirs.interest, "dividends": theirs.dividends, "best": theirs.best, "worst": theirs.worst,
            "last": theirs.last, "held": theirs.bars_held, "ambiguous": account.ambiguous,
            "equity": rules.exchange.equity(),
        }  # fmt: skip
        apart = [f"{k}: engine {found[k]}, oracle {expected[k]}" for k in found if found[k] != expected[k]]
        assert not apart, f"{when}, instrument {book}: {'; '.join(apart)}"


def agree(program: Program) -> None:
    """Run both; raise at the first difference."""
    engine, rules, ids = EngineRun(program), OracleRun(program), (Ids({0: 0}), Ids({0: 0}))
    for i, moment in enumerate(program.moments):
        same_events(program, engine.moment(moment), rules.moment(moment), ids, f"bar {i}")
        same_accounts(program, engine, rules, f"bar {i}")
        for asked in moment.asks:
            same_events(program, engine.ask(asked), rules.ask(asked), ids, f"after bar {i}, {asked}")
            same_accounts(program, engine, rules, f"after bar {i}, {asked}")


@pytest.mark.parametrize("path", ["pessimistic", "optimistic", "shortest", "nearest", "ohlc", "finer"])
def test_one_instrument(path: str) -> None:
    @settings(max_examples=250 * TIMES, suppress_health_check=UNHURRIED)
    @given(programs(path=path))
    def check(program: Program) -> None:
        agree(program)

    check()


@settings(max_examples=300 * TIMES, suppress_health_check=UNHURRIED)
@given(programs(books=3, most=8))
def test_several_instruments_in_one_account(program: Program) -> None:
    agree(program)
