"""A strategy in a process of its own, with a deadline and a bound on its memory: whatever it does hurts only itself.

`Isolated` has the methods of a strategy and takes its place at the desk. Each call is a message to
`pregao.sessions.cell`; while the strategy thinks, the cell asks back for what it looks up (account, closes, features,
signal, model), so nothing is sent that is not wanted. A cell that hangs, dies, grows too large or answers nonsense is
ended with everything that it has started, and the session's runner gets a `StrategyFault`; the next call starts a new
one, with the strategy's last good state.
"""

from __future__ import annotations

import json
import pickle
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from pregao.core.bars import Bar, Bars
from pregao.core.errors import Finding, PregaoError
from pregao.sessions.intents import intent_of
from pregao.sessions.nursery import NURSERY, Cell
from pregao.strategies.contract import Context, Intent, Model

START_S = 30.0
"""A strategy may be imported and constructed for so long."""
ANSWER_BYTES = 16 * 1024 * 1024
"""An answer is not longer than this."""
_STEP_S = 0.05


class StrategyFault(PregaoError):  # noqa: N818  # it is the strategy's fault, not an error of the platform
    """A strategy failed: it raised, or its process was ended. ``told`` is its own error in one line, ``traceback`` says
    where it was raised."""

    def __init__(self, told: str, traceback: str = "") -> None:
        super().__init__(told)
        self.told = told
        self.traceback = traceback or told


class UnusableError(StrategyFault):
    """A strategy that cannot even be made. ``field`` is what of the session's spec is wrong: strategy or config."""

    def __init__(
        self, told: str, mend: str = "", traceback: str = "", field: str = "strategy", found: Sequence[Finding] = ()
    ) -> None:
        super().__init__(told, traceback)
        self.mend, self.field, self.found = mend, field, found


class Facts(NamedTuple):
    """What the desk has to know of a strategy before it is asked: its warm-up, which features it reads, whether it
    needs a model or trades by signals, and its state at the beginning."""

    warmup: int
    feature_set: str
    needs_model: bool
    has_signals: bool
    state: dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """What a strategy may use: seconds for an answer, and megabytes of memory with all that it has started."""

    deadline_s: float = 5.0
    memory_mb: int = 1_024


class Isolated:
    """A strategy as the desk sees it; the real one is in a cell, started at the first question. Nothing of its plugin
    is imported here.

    Args:
        facts: see `look_up`.
        name, config: how the cell makes it.
        limits: what it may use.
        log: where what it prints goes; None throws it away.
    """

    def __init__(
        self, facts: Facts, name: str, config: dict[str, Any], limits: Limits, log: Path | None = None
    ) -> None:
        self._warmup = facts.warmup
        self.feature_set, self.needs_model = facts.feature_set, facts.needs_model
        self._arguments = name, json.dumps(config)
        self._limits = limits
        self._log = log
        self._state: dict[str, Any] = facts.state
        self._stale = False
        self._cell: Cell | None = None
        self._line: Connection | None = None
        self._opened = False
        self._model: Model | None = None
        if facts.has_signals:
            self.signals = self._signals

    def prepare(self) -> None:
        """Start the cell before the first question; if it cannot be started, the question says so."""
        with suppress(StrategyFault):
            self._start()

    def warmup(self) -> int:
        """See `contract.Strategy.warmup`."""
        return self._warmup

    def save(self) -> dict[str, Any]:
        """The state after the last answer."""
        return self._state

    def load(self, state: dict[str, Any]) -> None:
        """The state to go on from, told to the cell with the next question."""
        self._state, self._stale = state, True

    def on_bar(self, context: Context, bar: Bar) -> tuple[Intent, ...]:
        """See `contract.Strategy.on_bar`. Raises `StrategyFault`."""
        asked: dict[str, Any] = {"bar": tuple(bar), "now_ns": context.now_ns, "missed": context.missed}
        self._start()
        if not self._opened:
            asked["open"] = context.instrument, context.timeframe, context.seed
        if not self._opened or context.model is not self._model:
            model = context.model
            asked["model"] = None if model is None else (model.name, str(model.version), dict(model.meta))
        answer = self._ask(asked, context)
        self._opened, self._model = True, context.model
        try:
            intents = tuple(intent_of(body) for body in answer["intents"])
            state = answer["state"]
            if not isinstance(state, dict):
                raise TypeError(f"save() returned {type(state).__name__}, not a dictionary")
        except (KeyError, TypeError, ValueError) as error:
            raise self._end(f"its answer cannot be read: {error}") from error
        self._state = state
        return intents

    def close(self) -> None:
        """End the cell and all that it has started; may be called twice."""
        cell, line = self._cell, self._line
        self._cell = self._line = None
        self._opened = False
        if line is not None:
            line.close()
        if cell is not None:
            cell.end()

    def __del__(self) -> None:
        with suppress(Exception):  # at the interpreter's end its modules may be gone
            self.close()

    def _signals(self, history: Bars) -> NDArray[np.int8]:
        self._start()
        answer = self._ask({"signals": history}, None)
        return np.array(answer["signals"], dtype=np.dtype(answer["dtype"]))

    def _start(self) -> Facts | None:
        """Start the cell, if there is none; what it says of the strategy that it has made.

        Raises:
            UnusableError: if it cannot make it.
        """
        if self._cell is not None:
            return None
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._cell = NURSERY.start(theirs.fileno(), self._arguments, self._log)
        except OSError as error:
            ours.close()
            raise StrategyFault(f"The strategy's process cannot be started: {error}.") from error
        self._line = Connection(ours.detach())
        self._opened, self._stale = False, True
        said = self._heard(START_S, START_S)
        if "ready" in said:
            try:
                return Facts(**said["ready"])
            except TypeError as error:
                raise self._end("it did not speak as a strategy's process does") from error
        self.close()
        told = str(said.get("error"))
        if not said.get("known"):
            told = f"The strategy {self._arguments[0]!r} cannot be made: {told}."
        mend, traceback, field = (str(said.get(name, "")) for name in ("mend", "traceback", "field"))
        raise UnusableError(told, mend, traceback, field, said.get("found", ()))

    def _ask(self, asked: dict[str, Any], context: Context | None) -> dict[str, Any]:
        """One question, and all that is asked back on the way to its answer."""
        if self._stale:
            asked, self._stale = {**asked, "state": self._state}, False
        self._say(asked)
        until = time.monotonic() + self._limits.deadline_s
        while True:
            answer = self._heard(until - time.monotonic(), self._limits.deadline_s)
            if "want" in answer:
                asked_at = time.monotonic()
                self._say(self._told(answer["want"], context))
                until += time.monotonic() - asked_at  # what it waited for the platform is not its own time
                continue
            self._weigh()
            if "error" in answer:
                raise StrategyFault(str(answer["error"]), str(answer.get("traceback", "")))
            return answer

    def _told(self, want: Any, context: Context | None) -> dict[str, Any]:
        if context is None:
            return {"failed": "there is nothing to look up now"}
        try:
            what, *rest = want
            if what in ("account", "closes", "features", "signal"):
                found = getattr(context, what)
                return {"told": tuple(found) if what == "account" else found}
            if what in ("probability", "explain", "reasons") and context.model is not None:
                features = np.array(rest[0], np.float64)
                return {"told": getattr(context.model, what)(features, *rest[1:])}
        except StrategyFault:
            raise
        except Exception as error:  # what it asks may be nonsense; it is told, and may handle it
            return {"failed": f"{type(error).__name__}: {error}"}
        return {"failed": f"{want!r} cannot be looked up"}

    def _say(self, message: dict[str, Any]) -> None:
        assert self._line is not None
        try:
            self._line.send_bytes(pickle.dumps(message))
        except OSError as error:
            raise self._end(self._how_it_ended()) from error

    def _heard(self, timeout_s: float, deadline_s: float) -> dict[str, Any]:
        """The next message; its process is watched meanwhile."""
        line = self._line
        assert line is not None
        until = time.monotonic() + timeout_s
        try:
            while not line.poll(min(_STEP_S, max(until - time.monotonic(), 0.0))):
                self._weigh()
                if time.monotonic() >= until:
                    raise self._end(f"it did not answer within {deadline_s:g} s")
            answer = json.loads(line.recv_bytes(ANSWER_BYTES))
            if isinstance(answer, dict):
                return answer
            raise self._end("it did not speak as a strategy's process does")
        except (EOFError, OSError) as error:
            raise self._end(self._how_it_ended()) from error
        except ValueError as error:
            raise self._end("it did not speak as a strategy's process does") from error

    def _weigh(self) -> None:
        """End a cell that, with all that it has started, takes too much memory."""
        assert self._cell is not None
        used = 0
        with suppress(psutil.Error):
            process = psutil.Process(self._cell.pid)
            used = process.memory_info().rss
            if used * 4 > self._limits.memory_mb * 2**20:  # children are looked for when it begins to matter
                used += sum(child.memory_info().rss for child in process.children(recursive=True))
        if used > self._limits.memory_mb * 2**20:
            raise self._end(f"it took {used // 2**20:,} MB of memory; {self._limits.memory_mb:,} are allowed")

    def _how_it_ended(self) -> str:
        if self._cell is None:
            return "its process was ended"
        with suppress(OSError):
            status = self._cell.wait(2.0)
            if status is not None and status < 0:
                return f"its process was ended by {signal.Signals(-status).name}"
            if status is not None:
                return f"its process ended by itself, with status {status}"
        return "it cut its line"

    def _end(self, why: str) -> StrategyFault:
        self.close()
        return StrategyFault(f"The strategy's process was stopped: {why}.")


def look_up(name: str, config: dict[str, Any], limits: Limits) -> Facts:
    """Make a strategy in a process of its own, to learn what it is.

    Raises:
        UnusableError: if there is none of that name, its settings are wrong, or importing or making it fails.
        StrategyFault: if its process hangs, dies, or takes too much.
    """
    unknown = Facts(1, "", False, False, {})
    trial = Isolated(unknown, name, config, limits)
    try:
        facts = trial._start()
        assert facts is not None
        return facts
    finally:
        trial.close()
