"""Splits and dividends in a session: what its store knows of them becomes an input of its journal before it is due."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pregao.core.actions import Action, Dividend, Split

Row = list[Any]


def rows_of(actions: Iterable[Action], after_ns: int, known: Iterable[Row]) -> list[Row]:
    """What is to be journaled of actions: those after a time that are not known, ``[ts_ns, kind, value]``, ascending;
    of one time in the order in which they come, as in a backtest.

    Args:
        after_ns: the close of the last bar; what is before it is in no figure of the session any more.
    """
    before = [tuple(row) for row in known]
    found = [
        (action.ts_ns, "split", str(action.ratio)) if isinstance(action, Split)
        else (action.ts_ns, "dividend", str(action.amount))
        for action in actions
        if isinstance(action, Split | Dividend) and action.ts_ns >= after_ns
    ]  # fmt: skip
    found.sort(key=lambda row: row[0])
    last_ns = max((row[0] for row in before), default=0)
    return [list(row) for row in found if row not in before and row[0] >= last_ns]


def actions_of(rows: Iterable[Row]) -> tuple[Action, ...]:
    """The actions that rows tell of."""
    return tuple(
        Split(ts_ns, Fraction(value)) if kind == "split" else Dividend(ts_ns, Decimal(value))
        for ts_ns, kind, value in rows
    )
