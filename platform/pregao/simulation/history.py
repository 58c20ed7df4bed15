"""The driver over history: the compiled step for moment after moment, skipping quickly over quiet bars."""

from __future__ import annotations

from typing import Any

import numpy as np

from pregao.core.compiled import compiled
from pregao.core.money import PPM
from pregao.simulation.flows import NEVER
from pregao.simulation.kernel import act, equity, mark, quiet, step
from pregao.simulation.layout import LOG_ROWS, ROOM
from pregao.simulation.tape import Tape

Array = Any


@compiled
def run_one(
    world: Array, setting: Array, logs: Array, tape: Tape, signals: Array, start: int, end: int, watch: bool, equities: Array,
    positions: Array,
) -> int:  # fmt: skip
    """Bars ``start`` to ``end`` of the only instrument: `step` and `act` for one after the other.

    Args:
        world, setting, logs: `layout.WORLD`, `SETTING` and `LOG`, shape ``(1,)``; world and log change.
        signals: shape ``(n,)``: what was decided at each close; empty for nothing at all.
        watch: return after a bar that caused an event.
        equities, positions: shape ``(n,)``; written for the bars done, or empty.

    Returns:
        The index of the first bar not yet done: ``end``, or earlier when the log has no room for another step.
    """
    w, s, log = world[0], setting[0], logs[0]
    account, book, rules = w["account"], w["books"][0], s["rules"][0]
    keep = len(equities) > 0
    i = start
    while i < end:
        if log["count"] > LOG_ROWS - ROOM:
            return i
        if book["wake_low"] < NEVER:
            position = book["position_lots"]
            high, low, until = book["wake_high"], book["wake_low"], book["wake_ns"]
            most = end
            if rules["horizon_bars"] > 0 and position != 0:
                most = min(end, i + rules["horizon_bars"] - 1 - book["bars_held"])
            base = equity(w, s) - position * book["last_ticks"] * rules["tick_quanta"]
            slope = position * rules["tick_quanta"]
            j = i
            silent = len(signals) == 0
            while j < most and tape.high[j] < high and tape.low[j] > low and tape.open_ns[j] < until:
                if not silent and signals[j] != 0:
                    break
                if keep:
                    equities[j] = base + slope * tape.close[j]
                    positions[j] = position
                j += 1
            if j > i:
                mark(w, 0, tape, j - 1, j - i)
                account["open_ns"] = tape.open_ns[j - 1]
                account["closing_ns"] = book["now_ns"]
                account["now_ns"] = book["now_ns"]
                account["bars"] += j - i
                i = j
                continue
        seen = log["count"]
        step(w, s, log, tape, i, i + 1)
        if keep:
            equities[i] = equity(w, s)
            positions[i] = book["position_lots"]
        if len(signals) > 0 and signals[i] != 0:
            act(w, s, log, 0, np.int64(signals[i]), PPM)
        i += 1
        if watch and log["count"] > seen:
            return i
    return end


@compiled
def run_many(
    world: Array, setting: Array, logs: Array, tape: Tape, moments: Array, signals: Array, start: int, equities: Array,
    positions: Array,
) -> int:  # fmt: skip
    """Moments from ``start`` on of several instruments in one account.

    Args:
        moments: first row of each moment, and at the end the number of rows, shape ``(t + 1,)``.
        signals: shape ``(n,)``, one a row of the tape.
        equities: shape ``(t,)``. positions: shape ``(n,)``, that of the row's instrument.

    Returns:
        The index of the first moment not yet done: ``t``, or earlier when the log has no room for another step.
    """
    w, s, log = world[0], setting[0], logs[0]
    account = w["account"]
    for t in range(start, len(moments) - 1):
        if log["count"] > LOG_ROWS - ROOM:
            return t
        first, end = moments[t], moments[t + 1]
        calm = True
        for row in range(first, end):
            calm = calm and quiet(w, s, tape, row, tape.book[row])
        if calm:
            account["open_ns"] = tape.open_ns[first]
            account["closing_ns"] = tape.open_ns[first] + tape.span_ns
            account["now_ns"] = account["closing_ns"]
            account["bars"] += 1
            for row in range(first, end):
                mark(w, tape.book[row], tape, row, 1)
        else:
            step(w, s, log, tape, first, end)
        equities[t] = equity(w, s)
        for row in range(first, end):
            positions[row] = w["books"][tape.book[row]]["position_lots"]
            if signals[row] != 0:
                act(w, s, log, tape.book[row], np.int64(signals[row]), PPM)
    return len(moments) - 1
