"""Many plans over the same bars: the compiled step for one after the other, and the few figures that a sweep keeps.

Each run gives the bytes of `backtest.run_signals`. It is faster because what the runs share is made once, and because
the driver here looks at signals only where they can do something: an entry while a position is open is ignored, and so
is all of it while nothing can happen but an entry.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bars
from pregao.core.compiled import compiled
from pregao.core.errors import UsageError
from pregao.core.money import PPM
from pregao.simulation.backtest import Result
from pregao.simulation.engine import Engine
from pregao.simulation.events import drain, empty_log
from pregao.simulation.flows import NEVER
from pregao.simulation.history import bring
from pregao.simulation.hours import live_rows
from pregao.simulation.kernel import act, equity, mark, step
from pregao.simulation.layout import FILLED, LEAVE, LOG_ROWS, ROOM
from pregao.simulation.plan import Plan
from pregao.simulation.report import curve, periods_per_year
from pregao.simulation.tape import Tape, tape_of

Array = Any


class Figures(NamedTuple):
    """What a sweep keeps of a run; each is exactly the figure of the same name of a single run.

    Attributes:
        final_equity: at the last close, in the quote currency.
        net_return, sharpe, max_drawdown, trades, hit_rate, fees: see `report.metrics`.
        bar_sharpe: the Sharpe ratio per bar, not annualised, as `significance` asks for.
        ambiguous: bars that reached both exits.
        digest: `Result.digest`.
    """

    final_equity: float
    net_return: float
    sharpe: float
    bar_sharpe: float
    max_drawdown: float
    trades: int
    hit_rate: float
    fees: float
    ambiguous: int
    digest: str


class Decisions(NamedTuple):
    """Signals, and where they are.

    Attributes:
        signals: what was decided at each close, see `backtest.run_signals`, shape ``(n,)``.
        some: the bars with any signal, ascending.
        leaves: those with `layout.LEAVE`.
    """

    signals: NDArray[np.int8]
    some: NDArray[np.int64]
    leaves: NDArray[np.int64]

    @classmethod
    def of(cls, signals: NDArray[np.int8]) -> Decisions:
        """From the signals alone."""
        signals = np.ascontiguousarray(signals, np.int8)
        some = np.flatnonzero(signals)
        return cls(signals, some, some[signals[some] == LEAVE])


class Start(NamedTuple):
    """An account before the first bar, from which as many runs begin as are wanted."""

    plan: Plan
    engine: Engine
    words: NDArray[np.int64]
    tape: Tape


class Track:
    """The bars of one instrument, over which many plans run.

    Args:
        finer: bars with a shorter timeframe, for the path rule ``finer``.

    Raises:
        UsageError: if there are no bars.
    """

    def __init__(self, bars: Bars, finer: Bars | None = None) -> None:
        if len(bars) == 0:
            raise UsageError("There are no bars to run over.")
        self.bars = bars
        self._finer = finer
        live = live_rows(bars)
        self._live = None if live is None else live.astype(np.int8)
        self._per_year = periods_per_year(bars)
        self._log = empty_log()
        self._money = np.empty(len(bars), np.float64)

    def start(self, plan: Plan) -> Start:
        """The account of a plan; it can be run any number of times."""
        engine = Engine(plan)
        tape = tape_of(self.bars, self._live, self._finer, engine.actions)
        return Start(plan, engine, engine.world["words"][0].copy(), tape)

    def run(self, start: Start, decisions: Decisions) -> Figures:
        """Trade signals from a start; the figures of the run.

        Raises:
            UsageError: if there are not as many signals as bars.
        """
        n = len(self.bars)
        if decisions.signals.shape != (n,):
            raise UsageError(f"There are {n} bars but signals of shape {decisions.signals.shape}.")
        engine, quantum = start.engine, float(start.plan.instrument.quantum)
        engine.world["words"][0] = start.words
        self._log[0]["count"] = 0
        parts: list[NDArray[Any]] = []
        done = 0
        while True:
            done = run_decisions(
                engine.world, engine.setting, self._log, start.tape, *decisions, done, n, self._money, quantum
            )
            events = drain(self._log)
            if done == n:
                break
            parts.append(events.copy())
        if parts:
            events = np.concatenate([*parts, events])
        return self._figures(start.plan, engine, self._money, events)

    def of(self, result: Result) -> Figures:
        """The figures of a finished run over these bars."""
        money = result.equity.astype(np.float64) * float(result.plan.instrument.quantum)
        assert isinstance(result.engine, Engine)  # a sweep runs over history only
        return self._figures(result.plan, result.engine, money, result.events)

    def _figures(self, plan: Plan, engine: Engine, money: NDArray[np.float64], events: NDArray[Any]) -> Figures:
        """From what a run left behind, with the equity at each close in the quote currency."""
        instrument = plan.instrument
        net, mean, m2, _, _, _, deepest, _, _ = curve(money, _NO_TIMES)
        n = len(money) - 1
        spread = math.sqrt(m2 * n / (n - 1)) if n > 1 else math.nan
        bar_sharpe = mean / spread if spread > 0 else math.nan
        fees, won = round_trips(events, instrument.tick_quanta)
        digest = hashlib.sha256(events.view(np.uint8).data)
        digest.update(engine.to_bytes())
        return Figures(
            float(instrument.money(engine.account.equity_quanta)), net, bar_sharpe * self._per_year**0.5, bar_sharpe,
            deepest,
            len(fees), won / len(fees) if len(fees) else math.nan, float((fees * float(instrument.quantum)).sum()),
            int(engine.world[0]["account"]["ambiguous"]), digest.hexdigest(),
        )  # fmt: skip


_NO_TIMES = np.empty(0, np.int64)


@compiled
def run_decisions(
    world: Array, setting: Array, logs: Array, tape: Tape, signals: Array, some: Array, leaves: Array, start: int,
    end: int, money: Array, quantum: float,
) -> int:  # fmt: skip
    """Bars ``start`` to ``end`` of the only instrument, as `history.run_one` does them, to the same bytes.

    Args:
        world, setting, logs: `layout.WORLD`, `SETTING` and `LOG`, shape ``(1,)``; world and log change.
        signals, some, leaves: see `Decisions`.
        money: shape ``(n,)``; for the bars done it becomes the equity at each close, in the quote currency.
        quantum: money in one quantum.

    Returns:
        The index of the first bar not yet done: ``end``, or earlier when the log has no room for another step.
    """
    w, s, log = world[0], setting[0], logs[0]
    account, book, rules = w["account"], w["books"][0], s["rules"][0]
    any_next = np.searchsorted(some, start)
    leave_next = np.searchsorted(leaves, start)
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
            if until < NEVER:
                most = min(most, np.searchsorted(tape.open_ns, until))
            # the next signal that can do something: any while flat, otherwise only to leave
            if position == 0:
                while any_next < len(some) and some[any_next] < i:
                    any_next += 1
                heard = some[any_next] if any_next < len(some) else end
            else:
                while leave_next < len(leaves) and leaves[leave_next] < i:
                    leave_next += 1
                heard = leaves[leave_next] if leave_next < len(leaves) else end
            stop = min(most, heard + 1)
            j = i
            if high < NEVER or low > 0:
                while j < stop and tape.high[j] < high and tape.low[j] > low:
                    j += 1
            else:
                j = max(stop, i)
            if j > i:
                base = equity(w, s) - position * book["last_ticks"] * rules["tick_quanta"]
                slope = position * rules["tick_quanta"]
                for k in range(i, j):
                    money[k] = float(base + slope * tape.close[k]) * quantum
                opened = tape.open_ns[j - 1]
                bring(w, tape, j - 1, 0, True)
                mark(w, 0, opened + tape.span_ns, j - i)
                account["open_ns"] = opened
                account["closing_ns"] = opened + tape.span_ns
                account["now_ns"] = opened + tape.span_ns
                account["bars"] += j - i
                i = j
                if heard == j - 1:
                    act(w, s, log, 0, np.int64(signals[heard]), PPM)  # type: ignore[arg-type]
                continue
        bring(w, tape, i, 0, True)
        step(w, s, log, tape.open_ns[i], tape.open_ns[i] + tape.span_ns, tape.actions, tape.fine, tape.fine_bars)
        money[i] = float(equity(w, s)) * quantum
        if signals[i] != 0:
            act(w, s, log, 0, np.int64(signals[i]), PPM)  # type: ignore[arg-type]
        i += 1
    return end


@compiled
def round_trips(events: Array, tick_quanta: int) -> tuple[NDArray[np.int64], int]:
    """Fees in quanta of each closed round trip, as `trades.trades_of` has them, and how many trips made a profit."""
    fees = np.empty(len(events), np.int64)
    count, won = 0, 0
    side, taken, paid = 0, 0, 0
    for event in events:
        if event["kind"] == FILLED:
            if side == 0:
                side = event["side"]
            notional = event["qty_lots"] * event["price_ticks"] * tick_quanta
            taken += notional if event["side"] != side else -notional
            paid += event["fee"]
            if event["position_lots"] == 0:
                fees[count] = paid
                count += 1
                won += side * taken - paid > 0
                side, taken, paid = 0, 0, 0
    return fees[:count], won
