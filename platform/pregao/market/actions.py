"""The table of actions: splits and dividends of an instrument, beside its bars.

``actions.parquet`` has one row for each action, ascending in time; where two have the same time, the split is first.
Columns: ``timestamp`` (ex-date, UTC), ``split`` (new shares and old ones as text, ``7:1``; ``1:1`` for none) and
``dividend`` (float64, in the quote currency for each share of that time; 0 for none).
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import pyarrow as pa

from pregao.core.actions import Action, Dividend, Split, from_frame
from pregao.core.errors import UsageError

FILE = "actions.parquet"
SCHEMA = pa.schema([("timestamp", pa.timestamp("us", "UTC")), ("split", pa.string()), ("dividend", pa.float64())])
COLUMNS = tuple(SCHEMA.names)

Key = tuple[int, type[Action]]


def read_actions(frame: pd.DataFrame) -> dict[Key, Action]:
    """The actions of a table by their time and kind, in order.

    Args:
        frame: as of `pregao.core.actions.from_frame`, in any order.

    Raises:
        UsageError: naming the row that is no action; for funding, which this table has no place for; and where two
            splits, or two dividends, of the same time differ. Equal ones count once.
    """
    if "funding" in frame.columns:
        raise UsageError("The table of actions keeps splits and dividends, not funding.")
    found: dict[Key, Action] = {}
    for action in from_frame(frame):
        if found.setdefault(_key(action), action) != action:
            raise UsageError(f"There are two different actions at one time: {found[_key(action)]} and {action}.")
    return dict(sorted(found.items(), key=lambda item: _order(item[1])))


def to_table(actions: Iterable[Action]) -> pa.Table:
    """Actions as the table that is stored."""
    ordered = sorted(actions, key=_order)
    rows = [
        (pd.Timestamp(action.ts_ns, tz="UTC"), f"{action.ratio.numerator}:{action.ratio.denominator}", 0.0)
        if isinstance(action, Split)
        else (pd.Timestamp(action.ts_ns, tz="UTC"), "1:1", float(action.amount))
        for action in ordered
        if isinstance(action, Split | Dividend)
    ]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def _key(action: Action) -> Key:
    return action.ts_ns, type(action)


def _order(action: Action) -> tuple[int, bool]:
    return action.ts_ns, not isinstance(action, Split)
