"""A session as tables for other programs: what happened, in Parquet or CSV files.

``journal`` has every row as it was written, exact and with its hash; the others are read out of it, with times in UTC,
prices and money in the quote currency, quantities in base units. ``instrument`` is the symbol, or the
key where two instruments of the session share one. Of bars that closed
together only the first has the account (equity, profit or loss, drawdown, cash, fees); in the others it is empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from pregao.core.errors import PregaoError
from pregao.sessions.journal import Journal
from pregao.sessions.records import JournalRow
from pregao.sessions.views import View, trade_view, view

Form = Literal["parquet", "csv"]
_BATCH = 5_000
_TIME = pa.timestamp("ns", tz="UTC")
_NUMBER, _TEXT, _WHOLE, _FLAG = pa.float64(), pa.string(), pa.int64(), pa.bool_()

SCHEMAS: Mapping[str, pa.Schema] = {
    "journal": pa.schema({
        "seq": _WHOLE, "ts_ns": _WHOLE, "kind": _TEXT, "body": _TEXT, "chain": _TEXT,
    }),
    "bars": pa.schema({
        "time": _TIME, "instrument": _TEXT, "open": _NUMBER, "high": _NUMBER, "low": _NUMBER, "close": _NUMBER,
        "volume": _NUMBER, "equity": _NUMBER, "pnl": _NUMBER, "drawdown": _NUMBER, "cash": _NUMBER,
        "fees": _NUMBER, "position": _NUMBER, "entry_price": _NUMBER, "take_profit": _NUMBER,
        "stop_loss": _NUMBER, "unrealised": _NUMBER,
    }),
    "fills": pa.schema({
        "time": _TIME, "instrument": _TEXT, "order_id": _WHOLE, "order": _TEXT, "role": _TEXT, "side": _TEXT,
        "quantity": _NUMBER, "price": _NUMBER, "reference": _NUMBER, "slippage": _NUMBER, "fee": _NUMBER,
        "realised": _NUMBER, "position": _NUMBER, "cash": _NUMBER, "rule": _TEXT, "liquidity": _TEXT,
        "ambiguous": _FLAG,
    }),
    "orders": pa.schema({
        "time": _TIME, "instrument": _TEXT, "order_id": _WHOLE, "order": _TEXT, "role": _TEXT, "side": _TEXT,
        "quantity": _NUMBER, "price": _NUMBER, "state": _TEXT, "reason": _TEXT,
    }),
    "decisions": pa.schema({
        "time": _TIME, "instrument": _TEXT, "action": _TEXT, "side": _TEXT, "fraction": _NUMBER,
        "probability": _NUMBER, "expected_value": _NUMBER, "reason": _TEXT, "acted": _FLAG, "why_not": _TEXT,
        "top": _TEXT,
    }),
    "trades": pa.schema({
        "number": _WHOLE, "instrument": _TEXT, "entry_time": _TIME, "exit_time": _TIME, "side": _TEXT,
        "quantity": _NUMBER, "entry_price": _NUMBER, "exit_price": _NUMBER, "fees": _NUMBER, "pnl": _NUMBER,
        "return": _NUMBER, "exit_role": _TEXT, "exit_rule": _TEXT, "ambiguous": _FLAG,
    }),
}  # fmt: skip
"""The tables and their columns."""

_NAMES = {
    "bars": {
        "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "equity": "eq", "pnl": "pnl",
        "drawdown": "dd", "cash": "cash", "fees": "fees", "position": "pos", "entry_price": "ent",
        "take_profit": "tp", "stop_loss": "sl", "unrealised": "upnl",
    },
    "fills": {
        "order_id": "id", "order": "order", "role": "role", "quantity": "qty", "price": "price", "reference": "ref",
        "slippage": "slip", "fee": "fee", "realised": "pnl", "position": "pos", "cash": "cash", "rule": "rule",
        "liquidity": "liq", "ambiguous": "amb",
    },
    "orders": {
        "order_id": "id", "order": "order", "role": "role", "quantity": "qty", "price": "price", "state": "state",
        "reason": "reason",
    },
    "decisions": {
        "action": "action", "side": "side", "fraction": "fraction", "probability": "p", "expected_value": "ev",
        "reason": "reason", "acted": "acted", "why_not": "why",
    },
}  # fmt: skip
_TABLE_OF = {"bar": "bars", "fill": "fills", "order": "orders", "intent": "decisions"}


def export(
    journal: Journal,
    session_id: str,
    folder: Path,
    form: Form = "parquet",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write a session's tables into a folder, one file each; a session that goes on is written as far as it is now.

    Every row of the journal is held against the hash chain on the way. The files take their places when all are
    whole: an export that fails leaves what was there.

    Args:
        progress: told how many rows of how many are done.

    Returns:
        Rows by table.

    Raises:
        NotFoundError: if there is no such session.
        DamagedError: if a row of the journal does not follow from the one before.
        PregaoError: if the folder cannot be written.
    """
    session = journal.session(session_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        parts = {name: folder / f".{name}.{form}.part" for name in SCHEMAS}
        with ExitStack() as open_files:
            writers = {name: open_files.enter_context(_writer(part, name, form)) for name, part in parts.items()}
            counts = dict.fromkeys(SCHEMAS, 0)

            def write(name: str, rows: list[dict[str, Any]]) -> None:
                counts[name] += len(rows)
                if rows:
                    writers[name].write(pa.RecordBatch.from_pylist(rows, SCHEMAS[name]))

            for rows in _batches(journal.verified(session_id)):
                tables: dict[str, list[dict[str, Any]]] = {"journal": [_raw(row) for row in rows]}
                for row in rows:
                    if row.kind in _TABLE_OF:
                        name = _TABLE_OF[row.kind]
                        shown = _line(name, view(row, *session.instruments), row)
                        shown["instrument"] = session.names[row.body.get("b", 0)]
                        tables.setdefault(name, []).append(shown)
                for name, lines in tables.items():
                    write(name, lines)
                if progress is not None:
                    progress(counts["journal"], max(session.last_seq, counts["journal"]))
            write("trades", [_trade(trade_view(t, *session.instruments), t) for t in journal.trades(session_id)])
        for name, part in parts.items():
            part.replace(folder / f"{name}.{form}")
    except OSError as error:
        raise PregaoError(
            f"The tables of {session_id} cannot be written to {folder}: {error.strerror or error}.",
            "Free disk space, or name another folder with --out.",
        ) from error
    return counts


def _batches(rows: Iterator[JournalRow]) -> Iterator[list[JournalRow]]:
    batch: list[JournalRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _raw(row: JournalRow) -> dict[str, Any]:
    return {"seq": row.seq, "ts_ns": row.ts_ns, "kind": row.kind, "body": row.text, "chain": row.chain}


def _line(name: str, shown: View, row: JournalRow) -> dict[str, Any]:
    """A view under the names of its table; a bar's time is its open, everything else's when it happened."""
    found = {column: shown.get(key) for column, key in _NAMES[name].items()}
    found["time"] = row.body["t"] if name == "bars" else row.ts_ns
    if name in ("fills", "orders"):
        found["side"] = {1: "buy", -1: "sell"}.get(shown["side"])
    if name == "decisions":
        found["top"] = json.dumps(shown["top"]) if shown.get("top") else None
    return found


def _trade(shown: View, trade: Any) -> dict[str, Any]:
    names = {"instrument": "symbol", "quantity": "qty", "exit_role": "role", "exit_rule": "rule"}
    found = {column: shown.get(names.get(column, column)) for column in SCHEMAS["trades"].names}
    return found | {"entry_time": trade.entry_ns, "exit_time": trade.exit_ns}


@contextmanager
def _writer(path: Path, name: str, form: Form) -> Iterator[Any]:
    schema = SCHEMAS[name]
    kind = pyarrow.csv.CSVWriter if form == "csv" else pyarrow.parquet.ParquetWriter
    with kind(path, schema) as writer:
        if form == "csv":  # it writes the header with the first batch only
            writer.write(pa.RecordBatch.from_pylist([], schema))
        yield writer
