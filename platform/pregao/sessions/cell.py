"""The process that a strategy lives in, one a session, born in the `pregao.sessions.nursery`.

It asks back for what the strategy looks up, and answers with JSON only: nothing that a plugin makes is unpickled by the
session's runner.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.sessions.intents import body_of
from pregao.strategies.answers import intents_of
from pregao.strategies.contract import Account, Context, Reason
from pregao.strategies.registry import configured, load

OUTPUT_BYTES = 64 * 1024 * 1024
"""What a strategy may write into one file: what it prints goes into one, too."""
Want = Callable[..., Any]


class _Model:
    """The session's model; the runner has it, and is asked."""

    def __init__(self, want: Want, name: str, version: str, meta: dict[str, Any]) -> None:
        self._want, self.name, self.version, self.meta = want, name, version, meta

    def probability(self, features: NDArray[np.float64]) -> float:
        return float(self._want("probability", _plain(features)))

    def explain(self, features: NDArray[np.float64], top: int = 3) -> tuple[tuple[str, float], ...]:
        return tuple((name, weight) for name, weight in self._want("explain", _plain(features), int(top)))

    def reasons(self, features: NDArray[np.float64], top: int = 3) -> tuple[Reason, ...]:
        return tuple(self._want("reasons", _plain(features), int(top)))


class _Past:
    """What the strategy looks up, asked of the runner."""

    def __init__(self, want: Want) -> None:
        self._want = want

    def account(self) -> Account:
        return Account(*self._want("account"))

    def closes(self) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._want("closes")
        return found

    def features(self) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._want("features")
        return found

    def signal(self) -> int:
        return int(self._want("signal"))


class _Cell:
    """The strategy and its line to the runner."""

    def __init__(self, line: Connection, strategy: Any) -> None:
        self._line = line
        self._strategy = strategy
        self._context: Context | None = None
        self._own = os.getpid()

    def serve(self) -> None:
        """Answer until the runner hangs up."""
        while True:
            self._answer(pickle.loads(self._line.recv_bytes()))

    def _answer(self, asked: Mapping[str, Any]) -> None:
        try:
            answer = json.dumps(self._done(asked))
        except BaseException as error:  # a plugin may raise anything; the runner is told, and decides
            told = {
                "error": f"{type(error).__name__}: {error}"[:500],
                "traceback": traceback.format_exc()[-20_000:],
            }
            answer = json.dumps(told)
        if os.getpid() != self._own:
            os._exit(0)  # a fork that came back here must not speak for the strategy
        self._line.send_bytes(answer.encode())

    def _done(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if "state" in asked:
            self._strategy.load(asked["state"])
        if "signals" in asked:
            said = np.asarray(self._strategy.signals(asked["signals"]))
            return {"signals": said.tolist(), "dtype": said.dtype.str}
        if "open" in asked:
            instrument, timeframe, seed = asked["open"]
            self._context = Context(instrument, timeframe, _Past(self._want), None, seed)
        context = self._context
        assert context is not None
        if "model" in asked:
            context.model = None if asked["model"] is None else _Model(self._want, *asked["model"])
        context.now_ns, context.missed = asked["now_ns"], asked["missed"]
        answer = self._strategy.on_bar(context, Bar(*asked["bar"]))
        intents = intents_of(answer, callable(getattr(self._strategy, "signals", None)))
        return {"intents": [body_of(intent) for intent in intents], "state": self._strategy.save()}

    def _want(self, *question: Any) -> Any:
        """Ask the runner, and answer what it asks meanwhile: signals are made here."""
        self._line.send_bytes(json.dumps({"want": question}).encode())
        while True:
            told = pickle.loads(self._line.recv_bytes())
            if "told" in told:
                return told["told"]
            if "failed" in told:
                raise RuntimeError(told["failed"])
            self._answer(told)


def _plain(features: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in np.asarray(features).ravel()]


def _leave_with(parent: int) -> None:
    """End when the nursery has, which ends with the runner: a strategy that hangs does not hear that it is left."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def live(line: int, parent: int, name: str, config: str) -> None:
    """Be the strategy's process until the runner hangs up.

    Args:
        line: file descriptor of the line to the runner.
        parent: process id of the nursery, without which it ends.
        name, config: of the strategy; its settings as JSON.
    """
    heard = Connection(line)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    own, strategy = os.getpid(), None
    field = "strategy"
    try:
        load(name)
        field = "config"
        strategy = configured(name, json.loads(config))
        field = "strategy"
        said = json.dumps({"ready": _facts(strategy)})
    except BaseException as error:  # importing and constructing a plugin may do anything
        strategy = None
        known = isinstance(error, PregaoError)
        where = "" if known and error.__cause__ is None else traceback.format_exc()[-20_000:]
        said = json.dumps({
            "error": error.message if isinstance(error, PregaoError) else f"{type(error).__name__}: {error}"[:500],
            "mend": error.mend if isinstance(error, PregaoError) else "",
            "found": list(error.found) if isinstance(error, PregaoError) else [],
            "field": field if known else "strategy", "known": known, "traceback": where,
        })  # fmt: skip
    if os.getpid() != own:
        os._exit(0)  # a fork that came back here must not speak for the strategy
    with suppress(EOFError, ConnectionError):
        heard.send_bytes(said.encode())
        if strategy is not None:
            _Cell(heard, strategy).serve()


def _facts(strategy: Any) -> dict[str, Any]:
    """What the runner has to know of a strategy that has just been made, see `isolation.Facts`."""
    state = strategy.save()
    if not isinstance(state, dict):
        raise TypeError(f"save() returned {type(state).__name__}, not a dictionary")
    return {
        "warmup": int(strategy.warmup()), "feature_set": str(getattr(strategy, "feature_set", "") or ""),
        "needs_model": bool(getattr(strategy, "needs_model", False)),
        "has_signals": callable(getattr(strategy, "signals", None)), "state": state,
    }  # fmt: skip
