"""The driver over history: the compiled step for moment after moment, skipping quickly over quiet bars.

`run_one` and `run_many` trade whole arrays of signals. `run_one` and `run_many` go a part of the way, for a
strategy in Python, and say how far the bars ahead are quiet: until there the account need not be looked after.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pregao.core.compiled import compiled, fetch, inner
from pregao.core.money import PPM
from pregao.simulation.flows import NEVER
from pregao.simulation.kernel import act, arrive, equity, mark, step
from pregao.simulation.layout import LEAVE, LOG_ROWS, ROOM
from pregao.simulation.reel import unwind
from pregao.simulation.tape import Tape

Array = Any
Record = Any


@inner
def bring(w: Record, tape: Tape, row: int, b: int, measured: bool) -> None:
    """The bar of a row arrives; if it is not ``measured``, its volume must follow before anyone looks at it."""
    live = tape.live[row] if len(tape.live) > 0 else 1
    volume = tape.volume[row] if measured else 0.0
    arrive(w, b, tape.open[row], tape.high[row], tape.low[row], tape.close[row], volume, live, row)


@inner
def looks_at_volume(rules: Record) -> bool:
    """Whether the step reads the volume of an instrument's bars."""
    pressed = rules["share_k"] > 0.0 or rules["impact_k"] > 0.0
    return bool(rules["participation_ppm"] > 0 or rules["spread_method"] > 0 or pressed)


@inner
def opens(tape: Tape, row: int) -> int:
    """When the bar of a row opens. A time that is looked up has to come from far away, as all that is looked up."""
    return int(tape.open_ns[0] + row * tape.span_ns if tape.even == 1 else tape.open_ns[row])


@inner
def _quiet_ones(w: Record, s: Record, start: int, end: int) -> int:
    """Before which bar the horizon of the only instrument's position makes the bars from ``start`` on awake."""
    book, horizon = w["books"][0], s["rules"][0]["horizon_bars"]
    if horizon > 0 and book["position_lots"] != 0:
        return int(min(end, start + max(horizon - 1 - book["bars_held"], 0)))
    return end


_BLOCK = 16

# Rows are counted without a sign below, so that no index is looked at whether it counts from the end.


@inner
def _next(signals: Array, start: int, end: int, leave: bool) -> int:
    """The first bar from ``start`` on with a signal, or one to leave; ``end`` if there is none."""
    for row in range(np.uint64(start), np.uint64(end)):
        if signals[row] == LEAVE or (signals[row] != 0 and not leave):
            found: int = np.int64(row)  # type: ignore[assignment]  # signed again: numba keeps it so, `int` would not
            return found
    return end


@inner
def _between(high: Array, low: Array, above: int, below: int, start: int, end: int) -> int:
    """The first bar from ``start`` on that reaches up to ``above`` or down to ``below``; ``end`` if none does."""
    if above == NEVER and below == 0:
        return end
    at, stop = np.uint64(start), np.uint64(end)
    block = np.uint64(_BLOCK)
    while at + block <= stop:
        met = False  # no way out of the loop below, so that it looks at several bars at once
        for row in range(at, at + block):
            met |= high[row] >= above or low[row] <= below
        if met:
            break
        at += block
    for row in range(at, stop):
        if high[row] >= above or low[row] <= below:
            found: int = np.int64(row)  # type: ignore[assignment]  # signed again: numba keeps it so, `int` would not
            return found
    return end


@inner
def _note(marks: Array, row: int, bar: int, base: int, slope: int, position: int) -> None:
    marks[row, 0] = bar
    marks[row, 1] = base
    marks[row, 2] = slope
    marks[row, 3] = position


@inner
def _one(
    w: Record, s: Record, log: Record, tape: Tape, signals: Array, start: int, end: int, watch: bool, marks: Array,
    noted: int,
) -> tuple[int, int]:  # fmt: skip
    """`run_one` of records; the index of the first bar not yet done, and the marks noted."""
    account, book, rules = w["account"], w["books"][0], s["rules"][0]
    silent = len(signals) == 0
    measured = looks_at_volume(rules)
    any_next, leave_next = start - 1, start - 1  # the bars of the next signal, and of the next one to leave
    i, last = start, start - 1  # the bar that arrived last
    while i < end and log["count"] <= LOG_ROWS - ROOM:
        if book["wake_low"] < NEVER and account["moneys"] == 1:
            position = book["position_lots"]
            most, heard = _quiet_ones(w, s, i, end), end
            if book["wake_ns"] < NEVER:
                most = min(most, np.searchsorted(tape.open_ns, book["wake_ns"]))
            if not silent:
                if position == 0:
                    if any_next < i:
                        any_next = _next(signals, i, end, False)
                    heard = any_next
                else:  # a signal to enter does nothing, see `act`
                    if leave_next < i:
                        leave_next = _next(signals, i, end, True)
                    heard = leave_next
                most = min(most, heard + 1)
            high, low = book["wake_high"], book["wake_low"]
            j = _between(tape.high, tape.low, high, low, i, max(most, i))
            if j > i:
                slope = position * rules["tick_quanta"]
                _note(marks, noted, i, equity(w, s) - slope * book["last_ticks"], slope, position)
                noted += 1
                k = j - 1
                account["bars"] += j - i
                if j < end and heard != k:
                    # The next bar is awake and comes at once: what of this one it would write over is not read at all.
                    book["last_ticks"] = tape.close[k]
                    if position != 0:
                        book["bars_held"] += j - i
                else:
                    opened = opens(tape, k)
                    bring(w, tape, k, 0, measured)
                    last = k
                    mark(w, 0, opened + tape.span_ns, j - i)
                    account["open_ns"] = opened
                    account["closing_ns"] = opened + tape.span_ns
                    account["now_ns"] = opened + tape.span_ns
                i = j
                if heard == k:
                    act(w, s, log, 0, np.int64(signals[k]), PPM)  # type: ignore[arg-type]
                continue
        seen = log["count"]
        if book["position_lots"] != 0 and not silent and any_next < i:
            # This bar may end the position. What the next entry will read comes from far away: it is asked for now.
            any_next = _next(signals, i, end, False)
            if any_next < end:
                fetch(tape.open, any_next)
                fetch(tape.high, any_next)
                fetch(tape.low, any_next)
                fetch(tape.close, any_next)
        opened = opens(tape, i)
        bring(w, tape, i, 0, measured)
        last = i
        step(w, s, log, opened, opened + tape.span_ns, tape.actions, tape.fine, tape.fine_bars)
        _note(marks, noted, i, equity(w, s), 0, book["position_lots"])
        noted += 1
        if not silent and signals[i] != 0:
            act(w, s, log, 0, np.int64(signals[i]), PPM)  # type: ignore[arg-type]
        i += 1
        if watch and log["count"] > seen:
            break
    if last >= start:
        book["bar_volume"] = tape.volume[last]
    return i, noted


@compiled
def run_one(
    reel: Array, signals: Array, start: int, end: int, watch: bool, noted: int, far: int
) -> tuple[int, int, int]:
    """Bars ``start`` to ``end`` of the only instrument: `step` and `act` for one after the other; and a look ahead.

    Args:
        reel: see `reel.wind`; world, log and marks change.
        signals: shape ``(n,)``: what was decided at each close; empty for nothing at all.
        watch: stop after a bar that caused an event.
        noted: marks that are in use.
        far: end of the look ahead.

    Returns:
        The index of the first bar not yet done: ``end``, or earlier when the log has no room for another step. From it
        on the first bar that is not quiet, or ``far``. And the marks that are in use now.
    """
    world, setting, logs, tape, marks, _, _, _, _ = unwind(reel)
    w, s, log = world[0], setting[0], logs[0]
    done, noted = _one(w, s, log, tape, signals, start, end, watch, marks, noted)
    book = w["books"][0]
    if book["wake_low"] == NEVER or w["account"]["moneys"] > 1:
        return done, done, noted
    most = _quiet_ones(w, s, done, far)
    if book["wake_ns"] < NEVER:
        most = min(most, np.searchsorted(tape.open_ns, book["wake_ns"]))
    return done, _between(tape.high, tape.low, book["wake_high"], book["wake_low"], done, max(most, done)), noted


@inner
def quiet(w: Record, s: Record, b: int, open_ns: int) -> bool:
    """Whether the bar that has arrived does nothing but mark the account."""
    book, horizon = w["books"][b], s["rules"][b]["horizon_bars"]
    if book["bar_high"] >= book["wake_high"] or book["bar_low"] <= book["wake_low"] or open_ns >= book["wake_ns"]:
        return False
    return bool(horizon == 0 or book["position_lots"] == 0 or book["bars_held"] + 1 < horizon)


@inner
def _many(
    w: Record, s: Record, log: Record, tape: Tape, moments: Array, signals: Array, start: int, end: int, watch: bool,
    equities: Array, positions: Array,
) -> int:  # fmt: skip
    """`run_many` of records."""
    account = w["account"]
    silent = len(signals) == 0
    for t in range(start, end):
        if log["count"] > LOG_ROWS - ROOM:
            return t
        seen = log["count"]
        first, last = moments[t], moments[t + 1]
        opened = tape.open_ns[first]
        closes = opened + tape.span_ns
        calm = True
        for row in range(first, last):
            bring(w, tape, row, tape.book[row], True)
            calm = calm and quiet(w, s, tape.book[row], opened)
        if calm:
            account["open_ns"] = opened
            account["closing_ns"] = closes
            account["now_ns"] = closes
            account["bars"] += 1
            for row in range(first, last):
                mark(w, tape.book[row], closes, 1)
        else:
            step(w, s, log, opened, closes, tape.actions, tape.fine, tape.fine_bars)
        equities[t] = equity(w, s)
        for row in range(first, last):
            positions[row] = w["books"][tape.book[row]]["position_lots"]
            if not silent and signals[row] != 0:
                act(w, s, log, tape.book[row], np.int64(signals[row]), PPM)  # type: ignore[arg-type]
        if watch and log["count"] > seen:
            return t + 1
    return end


@compiled
def run_many(reel: Array, signals: Array, start: int, end: int, watch: bool, far: int) -> tuple[int, int]:
    """Moments ``start`` to ``end`` of several instruments in one account, as `run_one` does it.

    Args:
        reel: see `reel.wind`; world, log, equity and positions change.
        signals: shape ``(n,)``, one a row of the tape; or empty.
    """
    world, setting, logs, tape, _, moments, equities, positions, held = unwind(reel)
    w, s, log = world[0], setting[0], logs[0]
    done = _many(w, s, log, tape, moments, signals, start, end, watch, equities, positions)
    held[:] = 0
    for t in range(done, far):
        for row in range(moments[t], moments[t + 1]):
            b = tape.book[row]
            book, horizon = w["books"][b], s["rules"][b]["horizon_bars"]
            if tape.high[row] >= book["wake_high"] or tape.low[row] <= book["wake_low"]:
                return done, t
            if tape.open_ns[row] >= book["wake_ns"]:
                return done, t
            held[b] += 1
            if horizon > 0 and book["position_lots"] != 0 and book["bars_held"] + held[b] >= horizon:
                return done, t
    return done, far
