"""The outcomes dataset: each decision with what was seen, and what came of it, costs included; Parquet, versioned.

``data/outcomes/<instrument>/<timeframe>/<session>.parquet``. A decision that was acted on carries what its trade
brought; one that was not (below the threshold, vetoed by a limit, ignored, not approved) carries what the same bracket
would have brought, by the engine's own step. So the rows are all decisions, not those that some filter had chosen.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.market.atomic import write_atomic
from pregao.simulation import layout
from pregao.simulation.outcomes import bracket_outcomes
from pregao.simulation.plan import Plan

FOLDER = "outcomes"
FEATURE = "f:"
"""What the columns of features begin with."""
_NOTE = b"pregao.note"
_SIDES = {"long": layout.ENTER_LONG, "short": layout.ENTER_SHORT}


def labelled(frame: pd.DataFrame, plan: Plan | None, bars: Bars) -> pd.DataFrame:
    """Decisions with their outcomes.

    Args:
        frame: with ``at_ns``, ``side``, ``realised`` (NaN where no trade came of it) and ``exit_ns``.
        plan: of the simulated trade; None if it cannot be simulated.
        bars: what the session lived through, and what came after.

    Returns:
        A copy with ``simulated`` (net result of the bracket opened there), ``net`` (what was realised, else what was
        simulated), ``how`` (traded, simulated, or empty while it is not known) and ``end_ns``, when it was known (-1).
    """
    found = frame.copy()
    simulated, end_ns = np.full(len(frame), np.nan), np.full(len(frame), -1, np.int64)
    if plan is not None and (plan.take_profit_ppm or plan.stop_loss_ppm or plan.horizon_bars):
        closes = bars.close_ns
        for side, sign in _SIDES.items():
            rows = np.flatnonzero((frame["side"] == side) & np.isin(frame["at_ns"], closes))
            if len(rows):
                outcomes = bracket_outcomes(bars, plan, sign)
                place = np.searchsorted(closes, frame["at_ns"].to_numpy()[rows])
                simulated[rows] = outcomes.net[place]
                ends = outcomes.end[place]
                end_ns[rows] = np.where(ends >= 0, closes[ends], -1)
    realised = frame["realised"].to_numpy()
    traded = ~np.isnan(realised)
    found["simulated"] = simulated
    found["net"] = np.where(traded, realised, simulated)
    found["how"] = np.where(traded, "traded", np.where(np.isnan(simulated), "", "simulated"))
    found["end_ns"] = np.where(traded, frame["exit_ns"], end_ns)
    return found


def with_features(frame: pd.DataFrame, names: tuple[str, ...], x: NDArray[np.float64]) -> pd.DataFrame:
    """The same rows with the features that were seen, shape ``(n, k)``, in columns of their own."""
    columns = pd.DataFrame(x, columns=[f"{FEATURE}{name}" for name in names], index=frame.index)
    return pd.concat([frame, columns], axis=1)


def path_of(data: Path, instrument: str, timeframe: str, session_id: str) -> Path:
    """Where a session's outcomes are."""
    return data / FOLDER / instrument / timeframe / f"{session_id}.parquet"


def note_of(path: Path) -> str:
    """What was noted with a file when it was written; empty if there is none that can be read."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return ""
    return bytes(metadata.get(_NOTE, b"")).decode()


def write(path: Path, frame: pd.DataFrame, note: str, scratch: Path) -> bool:
    """Put a session's outcomes in their place; False if that very content was there. The same rows, the same bytes."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({_NOTE: note.encode()})
    made = io.BytesIO()
    pq.write_table(table, made, compression="zstd")
    content = made.getvalue()
    if path.exists() and path.read_bytes() == content:
        return False
    write_atomic(path, content, scratch)
    return True


def read(data: Path, instrument: str | None = None, timeframe: str | None = None) -> pd.DataFrame:
    """All outcomes, or those of a series, in order of time; what several replays lived through is there once.

    The same model asked at the same moment says the same, so of such rows the one that was traded is kept.
    """
    files = sorted((data / FOLDER).glob(f"{instrument or '*/*/*'}/{timeframe or '*'}/*.parquet"))
    parts = [pq.read_table(file).to_pandas() for file in files]
    if not parts:
        return pd.DataFrame()
    every = pd.concat(parts, ignore_index=True)
    every = every.assign(first=every["how"] != "traded").sort_values(["at_ns", "first", "session"], kind="stable")
    same = ["instrument", "timeframe", "model", "model_version", "side", "at_ns"]
    once: pd.DataFrame = every.drop_duplicates(same).drop(columns="first").reset_index(drop=True)
    return once


def summary(frame: pd.DataFrame) -> dict[str, Any]:
    """Counts, and the mean net result of what was traded and of what was not, as JSON."""

    def mean(how: str) -> float | None:
        net = frame.loc[frame["how"] == how, "net"]
        return float(net.mean()) if len(net) else None

    return {
        "decisions": len(frame),
        "traded": int((frame["how"] == "traded").sum()),
        "simulated": int((frame["how"] == "simulated").sum()),
        "open": int((frame["how"] == "").sum()),
        "not_reproduced": int((~frame["reproduced"]).sum()),
        "net_traded": mean("traded"),
        "net_simulated": mean("simulated"),
    }
