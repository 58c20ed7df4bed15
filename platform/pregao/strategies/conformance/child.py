"""The strategy in a process of its own, where nobody has touched anything, watched at every step (`watch`).

Reads one JSON document on standard input (`Ask`) and writes one on standard output (`Told`).
"""

from __future__ import annotations

import base64
import faulthandler
import gc
import importlib
import json
import os
import sys
import threading
from typing import Any, NotRequired, TypedDict

from pregao.core.bars import Bar
from pregao.features.conformance import market
from pregao.strategies.conformance.case import Answers, Case, Recorder, futures, joined, own_copy
from pregao.strategies.conformance.watch import Watch, held_files, watch_pandas
from pregao.strategies.contract import Context, Intent


class Ask(TypedDict):
    """What the process is to do."""

    path: list[str]
    module: str
    name: str
    config: dict[str, Any]
    limit: float
    resume: NotRequired[tuple[int, str]]
    cuts: NotRequired[list[int]]


class Told(TypedDict):
    """What came of it: ``seen`` are (row or None, kind, what, where), ``held`` the files left open, ``alone`` the
    answers up to each cut, by cut, where nothing of what follows it was in the process."""

    answers: dict[str, str]
    resumed: dict[str, str]
    seen: list[tuple[int | None, str, str, str]]
    threads: list[str]
    held: list[str]
    alone: dict[str, dict[str, str]]


class _Idle:
    """Sees what a strategy sees, and does not ask it."""

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def on_bar(self, ctx: Context, bar: Bar) -> tuple[Intent, ...]:
        """Look and do nothing."""
        assert ctx.features is not None
        assert ctx.account.equity
        return ()


class Watched(Recorder):
    """A recorder that tells the watch when the strategy is at work."""

    def __init__(self, strategy: Any, bars: Any, watch: Watch) -> None:
        super().__init__(strategy, bars)
        self._watch = watch

    def on_bar(self, ctx: Context, bar: Bar) -> tuple[Intent, ...]:
        """As `Recorder.on_bar`."""
        self._watch.row = self._rows[bar.open_ns]
        made: tuple[Intent, ...] = self._watch.call(lambda: Recorder.on_bar(self, ctx, bar))
        return made


def _alone(case: Case, cuts: list[int]) -> dict[str, dict[str, str]]:
    """The answers up to each cut over bars of which the rest is another market's, and nowhere else in the process."""
    found = {}
    for k, cut in enumerate(cuts):
        case.forget()
        bars = case.bars
        other = joined(bars[:cut], futures(bars[cut:], k)["another market's bars"])
        case.forget()
        market.cache_clear()
        del bars
        gc.collect()
        found[str(cut)] = _texts({row: one for row, one in case.over_history(other).items() if row < cut})
    return found


def run(ask: Ask) -> Told:
    """Import the strategy, run it over history, and on from a saved state."""
    held = held_files()
    watch = Watch(ask["module"].partition(".")[0], ask["config"])
    watch_pandas(watch)
    sys.addaudithook(watch.audit)
    found = importlib.import_module(ask["module"])
    for part in ask["name"].split("."):
        found = getattr(found, part)
    case = Case(found, ask["config"])  # type: ignore[arg-type]
    case.over_history(case.bars, Recorder(_Idle(case.make()), case.bars))  # compiles what is not yet compiled
    faulthandler.dump_traceback_later(ask["limit"], exit=True)
    resumed = _resumed(case, ask["resume"], watch) if "resume" in ask else {}
    answers = _watched(case, watch)
    told: Told = {
        "answers": _texts(answers),
        "resumed": _texts(resumed),
        "seen": watch.seen,
        "threads": [one.name for one in threading.enumerate() if one is not threading.main_thread()],
        "held": sorted(held_files() - held),
        "alone": _alone(case, ask.get("cuts", [])),
    }
    faulthandler.cancel_dump_traceback_later()
    return told


def _resumed(case: Case, saved: tuple[int, str], watch: Watch) -> Answers:
    """Go on from a state that another process saved."""
    row, state = saved
    again = Watched(case.make(), case.bars, watch)
    desk = case.desk(again)
    desk.restore(base64.b64decode(state))
    for i in range(row, len(case.bars)):
        desk.on_bar(case.bars.bar(i))
    return again.answers


def _watched(case: Case, watch: Watch) -> Answers:
    """Make it, run it over history, and call all else that a session calls."""
    watch.row = None
    strategy = watch.call(case.make, making=True)
    watch.call(strategy.warmup)
    answers = case.over_history(case.bars, Watched(strategy, case.bars, watch))
    watch.row = None
    again = case.make()
    watch.call(lambda: again.load(json.loads(json.dumps(strategy.save()))))
    if callable(getattr(strategy, "signals", None)):
        history = own_copy(case.bars)
        watch.call(lambda: strategy.signals(history))
    return answers


def _texts(answers: Answers) -> dict[str, str]:
    return {str(row): answer for row, answer in answers.items()}


def main() -> None:
    """What the strategy prints goes to standard error, so that the document stands alone."""
    out = os.dup(1)
    os.dup2(2, 1)
    ask: Ask = json.load(sys.stdin)
    sys.path[:] = ask["path"]
    document = json.dumps(run(ask))
    with os.fdopen(out, "w") as stream:
        stream.write(document)
