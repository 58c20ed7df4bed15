"""What a strategy reaches for beyond what it is given: clocks, the network, files, processes and threads, as seen by
Python's own hooks."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

_CLOCKS = {
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time",
    "process_time_ns", "thread_time", "localtime", "gmtime", "ctime", "clock_gettime", "clock_gettime_ns", "strftime",
    "times", "getrusage",
}  # fmt: skip
_NOW = {"now", "today", "utcnow"}
_COMPILERS = {"numba", "llvmlite"}
_OWN_CLOCK = {*_COMPILERS, "warnings"}
"""Packages that may read the clock in a strategy's call: they do not tell it the time. Nor does the log."""
_PROCESSES = {
    "subprocess.Popen", "os.system", "os.posix_spawn", "os.spawn", "os.exec", "os.fork", "os.forkpty", "pty.spawn",
}  # fmt: skip
_THREADS = {"start_new_thread", "start_joinable_thread"}
_ALWAYS = ("socket.connect", "socket.bind", "socket.sendto")
_CALLED = ("socket.__new__", "socket.getaddrinfo", "socket.gethostbyname")
_FORBIDDEN = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")
_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree")
_LOOKS = {"stat", "lstat", "access", "listdir", "scandir", "readlink"}
"""Functions of the system that tell of files without opening one."""
_CODE = (".py", ".pyc", ".so", ".nbi", ".nbc", ".pyd", ".dll", ".dylib")
_NO_FILES = ("/dev/", "/proc/", "/sys/", "/memfd:")


class Watch:
    """What the strategy reaches for, by the bar at which it does."""

    def __init__(self, package: str, config: Mapping[str, Any]) -> None:
        self.package = package
        self._named = {value for value in config.values() if isinstance(value, str)}
        self.row: int | None = None
        self.calling = self.making = False
        self.seen: list[tuple[int | None, str, str, str]] = []

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Hook of `sys.addaudithook`."""
        what = str(args[0]) if args else ""
        if event == "open":
            self._opened(args, what)
        elif event in _CHANGES:
            if not self._compiled(what):
                self.note("file", f"{event}({what})")
        elif event in _PROCESSES:
            self.note("process", f"{event}({', '.join(str(a) for a in args)[:120]})")
            raise PermissionError("The conformance kit lets no strategy start a process.")
        elif event in _ALWAYS or (self.calling and event in _CALLED):
            if event == "socket.bind" and args[1] == ("::1", 0):
                return  # so urllib3 looks whether there is IPv6; nothing is sent
            self.note("socket", f"{event}({', '.join(str(a) for a in args[1:] or args)[:120]})")
            if event in _FORBIDDEN:
                raise PermissionError("The conformance kit lets no strategy speak to the network.")

    def _opened(self, args: tuple[Any, ...], what: str) -> None:
        writes = bool(args[2] & (os.O_WRONLY | os.O_RDWR))
        if not isinstance(args[0], str | bytes) or (writes and self._compiled(what)):
            return  # a descriptor that is open already, or what compiled code is kept in
        if self.making and not writes and what in self._named:
            return  # a file that its settings name may be read when it is made
        installed = self.making and os.path.dirname(os.path.normpath(what)).endswith((".dist-info", ".egg-info"))
        if (self.calling or writes) and not self._imports(installed):
            self.note("file", f"{'wrote to' if writes else 'opened'} {what}")

    def _compiled(self, what: str) -> bool:
        """Whether what is changed belongs to compiled code, and nothing but importing and compiling changes it now."""
        return _is_code(what) and (not self.calling or self._imports())

    def _imports(self, installed: bool = False) -> bool:
        """Whether something is being imported or compiled; ``installed``: or looked up among what is installed."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            name, code = str(frame.f_globals.get("__name__")), frame.f_code
            if code.co_filename.startswith("<frozen importlib") and code.co_name == "_find_and_load":
                return True
            if name.partition(".")[0] in _COMPILERS or (installed and name.startswith("importlib.metadata")):
                return True
            frame = frame.f_back
        return False

    def profile(self, frame: FrameType, event: str, arg: Any) -> None:
        """Hook of `sys.setprofile`: which of Python's own functions are called."""
        if event != "c_call":
            return
        name, module, owner = arg.__name__, arg.__module__, getattr(arg, "__self__", None)
        if module == "_thread" and name in _THREADS:
            self.note("thread", f"{module}.{name}()")
            return
        if module in ("posix", "nt") and name in _LOOKS:
            if not self._looks(frame):
                self.note("file", f"os.{name}()")
            return
        clock = module in ("time", "posix", "nt", "resource") and name in _CLOCKS
        clock = clock or (name in _NOW and isinstance(owner, type) and issubclass(owner, datetime.date))
        if clock and str(frame.f_globals.get("__name__")).partition(".")[0] not in _OWN_CLOCK and not _logs(frame):
            self.note("clock", f"{module or getattr(owner, '__name__', '')}.{name}()")

    def _looks(self, frame: FrameType | None) -> bool:
        """Whether a look at a file is one of importing or compiling, of a warning that shows its line, or, when it is
        made, at what is installed or at a file that its settings name."""
        while frame is not None:
            if frame.f_globals.get("__name__") in ("linecache", "warnings"):
                return True
            frame = frame.f_back
        return (self.making and bool(self._named)) or self._imports(self.making)

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

    def call(self, function: Callable[[], Any], *, making: bool = False) -> Any:
        """Call the strategy's own code with every eye on it."""
        self.calling, self.making = True, making
        sys.setprofile(self.profile)
        try:
            return function()
        finally:
            sys.setprofile(None)
            self.calling = self.making = False


def _logs(frame: FrameType | None) -> bool:
    """Whether a message to the log is under way: it has the time, and does not give it back."""
    while frame is not None:
        if frame.f_globals.get("__name__") == "logging" and frame.f_code.co_name == "_log":
            return True
        frame = frame.f_back
    return False


def _is_code(path: str) -> bool:
    """Whether a file is code, or belongs to its compiled form, which importing and compiling write."""
    return path.endswith(_CODE) or "__pycache__" in path or "/compiled-" in path


def held_files() -> set[str]:
    """The files that this process has open, where the system tells."""
    found = set()
    with suppress(OSError):
        for one in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                found.add(os.readlink(f"/proc/self/fd/{one}"))
    return {path for path in found if path.startswith("/") and not path.startswith(_NO_FILES) and not _is_code(path)}


def watch_pandas(watch: Watch) -> None:
    """The clock of pandas is compiled, and calls nothing that could be seen."""
    import pandas as pd

    for name in _NOW:
        real = getattr(pd.Timestamp, name)

        def seen(*args: Any, _real: Any = real, _name: str = name, **named: Any) -> Any:
            if watch.calling:
                watch.note("clock", f"pandas.Timestamp.{_name}()")
            return _real(*args, **named)

        setattr(pd.Timestamp, name, seen)
