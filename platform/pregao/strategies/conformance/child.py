"""The strategy in a process of its own, where nobody has touched anything, watched at every step.

Reads one JSON document on standard input (`Ask`) and writes one on standard output (`Told`).
"""

from __future__ import annotations

import base64
import datetime
import faulthandler
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NotRequired, TypedDict

from pregao.core.bars import Bar
from pregao.strategies.conformance.case import Case, Recorder
from pregao.strategies.contract import Context, Intent

_CLOCKS = {
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time",
    "process_time_ns", "thread_time", "localtime", "gmtime", "ctime", "clock_gettime", "clock_gettime_ns",
}  # fmt: skip
_NOW = {"now", "today", "utcnow"}
_OWN_CLOCK = {"logging", "numba", "llvmlite", "warnings", "pregao"}
"""Packages that may read the clock in a strategy's call: they do not tell it the time."""
_ALWAYS = ("socket.connect", "socket.bind", "socket.sendto", "subprocess.Popen", "os.system", "os.posix_spawn")
_CALLED = ("socket.__new__", "socket.getaddrinfo", "socket.gethostbyname", "os.fork")
_FORBIDDEN = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")
_WRITES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree")
_CODE = (".py", ".pyc", ".so", ".nbi", ".nbc", ".pyd", ".dll", ".dylib")


class Ask(TypedDict):
    """What the process is to do."""

    path: list[str]
    module: str
    name: str
    config: dict[str, Any]
    limit: float
    resume: NotRequired[tuple[int, str]]


class Told(TypedDict):
    """What came of it: ``seen`` are (row or None, kind, what, where)."""

    answers: dict[str, str]
    resumed: dict[str, str]
    seen: list[tuple[int | None, str, str, str]]
    threads: list[str]


class Watch:
    """What the strategy reaches for, by the bar at which it does."""

    def __init__(self, package: str, config: Mapping[str, Any]) -> None:
        self.package = package
        self._named = {value for value in config.values() if isinstance(value, str)}
        self.row: int | None = None
        self.calling = False
        self.seen: list[tuple[int | None, str, str, str]] = []

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Hook of `sys.addaudithook`."""
        what = str(args[0]) if args else ""
        if event == "open":
            writes = bool(args[2] & (os.O_WRONLY | os.O_RDWR))
            if what in self._named and self.row is None and not writes:
                return  # a file that its settings name may be read when it is made
            named = isinstance(args[0], str | bytes) and not _is_code(what)
            if named and (self.calling or writes) and not _importing():
                self.note("file", f"{'wrote to' if writes else 'opened'} {what}")
            return
        if event in _WRITES and not _is_code(what):
            self.note("file", f"{event}({what})")
        elif event in _ALWAYS or (self.calling and event in _CALLED):
            if event == "socket.bind" and args[1] == ("::1", 0):
                return  # so urllib3 looks whether there is IPv6; nothing is sent
            shown = ", ".join(str(a) for a in args[1:] or args)[:120]
            kind = "socket" if event.startswith("socket") else "process"
            self.note(kind, f"{event}({shown})")
            if event in _FORBIDDEN:
                raise PermissionError("The conformance kit lets no strategy speak to the network.")

    def profile(self, frame: FrameType, event: str, arg: Any) -> None:
        """Hook of `sys.setprofile`: which of Python's own functions are called."""
        if event != "c_call":
            return
        name, module, owner = arg.__name__, arg.__module__, getattr(arg, "__self__", None)
        clock = module == "time" and name in _CLOCKS
        clock = clock or (name in _NOW and isinstance(owner, type) and issubclass(owner, datetime.date))
        if clock and str(frame.f_globals.get("__name__")).partition(".")[0] not in _OWN_CLOCK:
            self.note("clock", f"{module or getattr(owner, '__name__', '')}.{name}()")

    def note(self, kind: str, what: str) -> None:
        """Keep what was seen, with the line of the strategy that led to it."""
        if len(self.seen) < 50:
            self.seen.append((self.row, kind, what, self._line()))

    def _line(self) -> str:
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            if str(frame.f_globals.get("__name__")).partition(".")[0] == self.package:
                return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
            frame = frame.f_back
        return ""

    def call(self, function: Callable[[], Any]) -> Any:
        """Call the strategy's own code with every eye on it."""
        self.calling = True
        sys.setprofile(self.profile)
        try:
            return function()
        finally:
            sys.setprofile(None)
            self.calling = False


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


def _importing() -> bool:
    """Whether an import is under way, or a look at what is installed: they read and write what they need."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib") or "zipimport" in frame.f_code.co_filename:
            return True
        if str(frame.f_globals.get("__name__")).startswith("importlib.metadata"):
            return True
        frame = frame.f_back
    return False


def _is_code(path: str) -> bool:
    """Whether a file is code, or belongs to its compiled form; these are read and written by importing alone."""
    return path.endswith(_CODE) or "__pycache__" in path or "/compiled-" in path or path.startswith(("/proc", "/sys"))


def _watch_pandas(watch: Watch) -> None:
    """The clock of pandas is compiled, and calls nothing that could be seen."""
    import pandas as pd

    for name in _NOW:
        real = getattr(pd.Timestamp, name)

        def seen(*args: Any, _real: Any = real, _name: str = name, **named: Any) -> Any:
            if watch.calling:
                watch.note("clock", f"pandas.Timestamp.{_name}()")
            return _real(*args, **named)

        setattr(pd.Timestamp, name, seen)


def run(ask: Ask) -> Told:
    """Import the strategy, run it over history, and on from a saved state."""
    watch = Watch(ask["module"].partition(".")[0], ask["config"])
    _watch_pandas(watch)
    sys.addaudithook(watch.audit)
    found = importlib.import_module(ask["module"])
    for part in ask["name"].split("."):
        found = getattr(found, part)
    case = Case(found, ask["config"])  # type: ignore[arg-type]
    case.over_history(case.bars, Recorder(_Idle(case.make()), case.bars))  # compiles what is not yet compiled
    faulthandler.dump_traceback_later(ask["limit"], exit=True)
    resumed: dict[int, str] = {}
    if "resume" in ask:
        row, state = ask["resume"]
        again = Watched(case.make(), case.bars, watch)
        desk = case.desk(again)
        desk.restore(base64.b64decode(state))
        for i in range(row, len(case.bars)):
            desk.on_bar(case.bars.bar(i))
        resumed = again.answers
    recorder = Watched(watch.call(case.make), case.bars, watch)
    answers = case.over_history(case.bars, recorder)
    faulthandler.cancel_dump_traceback_later()
    threads = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
    return {
        "answers": {str(k): v for k, v in answers.items()},
        "resumed": {str(k): v for k, v in resumed.items()},
        "seen": watch.seen,
        "threads": threads,
    }


def main() -> None:
    """What the strategy prints goes to standard error, so that the document stands alone."""
    out = os.dup(1)
    os.dup2(2, 1)
    ask: Ask = json.load(sys.stdin)
    sys.path[:] = ask["path"]
    document = json.dumps(run(ask))
    with os.fdopen(out, "w") as stream:
        stream.write(document)
