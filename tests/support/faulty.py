"""Strategies that break the contract, one way each, and the sound one that they are made from."""

from __future__ import annotations

import contextlib
import gc
import importlib.machinery
import importlib.metadata
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from pregao.core.bars import Bar, Bars
from pregao.strategies.contract import Context, Enter, Exit, Intent, StrategyConfig, Wait

Answer = Iterable[Intent]
DIARY = Path(os.devnull)


class Config(StrategyConfig):
    """One setting of each kind."""

    window: int = Field(5, ge=2, le=50, title="Window", description="Closes in the mean")
    step: float = Field(0.001, ge=0, le=1, title="Step", description="How far below the mean")
    names: tuple[str, ...] = Field(("a", "b"), title="Names", description="For the log")


class Sound:
    """Buys below the mean of the last closes, sells above, and counts its calls in vain."""

    api = 1
    title = "Sound"
    Config: ClassVar[type[StrategyConfig]] = Config

    def __init__(self, config: Any) -> None:
        self.config = config
        self.quiet = 0

    def warmup(self) -> int:
        return int(self.config.window) + 8

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        closes = ctx.closes[-self.config.window :]
        return self.decide(ctx, float(closes[-1] / closes.mean() - 1))

    def decide(self, ctx: Context, distance: float) -> Answer:
        if distance < -self.config.step and not ctx.account.position:
            return (Enter(reason="below"),)
        if distance > self.config.step and ctx.account.position:
            return (Exit(),)
        return ()

    def save(self) -> dict[str, Any]:
        return {"quiet": self.quiet}

    def load(self, state: dict[str, Any]) -> None:
        self.quiet = state["quiet"]


class Generator(Sound):
    """The same as a generator, with a lazy import, the session's log and randomness, and its own copies changed."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        import colorsys  # noqa: F401  # code may be imported late

        ctx.log.info("asked at %d", ctx.now_ns)
        closes = ctx.closes
        closes -= closes.mean()
        if ctx.rng.random() < 0.3:
            yield from super().on_bar(ctx, bar)


class Patient(Sound):
    """Waits while it holds, and for a while after that."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        if ctx.account.position:
            return (Wait(bars=30),)
        answer = tuple(super().on_bar(ctx, bar))
        return (*answer, Wait()) if answer else ()


class Signalled(Sound):
    """Buys after a fall, leaves after a rise, by signals or asked."""

    only_signals = True

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        before, now = ctx.closes[-2:]
        return (Enter(),) if now < before else (Exit(),) if now > before else ()

    def signals(self, history: Bars) -> np.ndarray:
        moves = np.diff(history.close, prepend=history.close[:1])
        return np.where(moves < 0, 1, np.where(moves > 0, 2, 0)).astype(np.int8)


class WaitsForSignals(Signalled):
    """The same, woken by its signals."""

    only_signals = False

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return {1: (Enter(), Wait(signal=True)), 2: (Exit(), Wait(signal=True))}.get(ctx.signal, (Wait(signal=True),))


class ReadsItsDiary(Sound):
    """Reads the file that its settings name when it is made, and closes it."""

    class Config(Config):
        """With a file."""

        diary: str = Field("", title="Diary", description="A file")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.said = Path(config.diary).read_text() if config.diary else ""


# What follows is wrong, one way each.


class ReadsTheFutureOfTheBacktest(Sound):
    """Reaches through the context for the bars that a backtest runs over."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        bars = getattr(ctx._past, "bars", None)
        if bars is None:
            return super().on_bar(ctx, bar)
        row = min(ctx._past.row + 1, len(bars) - 1)
        return (Enter(),) if bars.close[row] > bar.close * 1.01 else ()


class ReadsTheFutureInTheFrames(Sound):
    """Looks for the bars in the callers' variables."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        frame = sys._getframe()
        while frame is not None:
            course = frame.f_locals.get("course")
            if course is not None and "seat" in frame.f_locals:
                bars = frame.f_locals["seat"].bars
                row = int(np.searchsorted(bars.open_ns, bar.open_ns))
                later = bars.close[row : row + 4]
                return (Enter(),) if later[-1] > later[0] else ()
            frame = frame.f_back
        return super().on_bar(ctx, bar)


class FindsTheFutureInMemory(Sound):
    """Looks through all objects for bars that go on: cutting off those that it runs over hides nothing from it."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._found: Any = None

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        if self._found is None:
            held = [one for one in gc.get_objects() if type(one) is Bars and bar.open_ns in one.open_ns]
            self._found = max(held, key=lambda bars: int(bars.open_ns[-1]))
        row = int(np.searchsorted(self._found.open_ns, bar.open_ns))
        later = self._found.close[row : row + 6]
        return (Enter(),) if later[-1] > later[0] else (Exit(),)


class SignalsLookAhead(Signalled):
    """A mean of the whole history."""

    def signals(self, history: Bars) -> np.ndarray:
        return (history.close > history.close.mean()).astype(np.int8)


class CentredWindow(Signalled):
    """Signals that are shifted by one bar."""

    def signals(self, history: Bars) -> np.ndarray:
        return np.r_[super().signals(history)[1:], 0]


class ReadsTheClock(Sound):
    """Trades by the time of day of the machine."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if time.time() > 0 else ()


class ReadsTheClockOfDatetime(Sound):
    """The same, by another name."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if datetime.now().year > 2000 else ()


class ReadsTheClockOfPandas(Sound):
    """The same, compiled."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if pd.Timestamp.now().year > 2000 else ()


class ReadsTheClockWhenMade(Sound):
    """The same, once."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.began = time.monotonic()


class ReadsTheClockOfTheLog(Sound):
    """The same, from a message that it writes to itself."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if logging.makeLogRecord({}).created > 0 else ()


class ReadsTheClockInSave(Sound):
    """Says when it was saved."""

    def save(self) -> dict[str, Any]:
        return {"quiet": self.quiet, "at": time.gmtime().tm_year}


class ReadsTheDay(Sound):
    """Trades by the day of the week of the machine."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if time.strftime("%A") else ()


class SignalsReadTheClock(Signalled):
    """By day it signals, by its own."""

    def signals(self, history: Bars) -> np.ndarray:
        return super().signals(history) if time.time_ns() > 0 else np.zeros(len(history), np.int8)


class OpensASocket(Sound):
    """Asks a server what it thinks; goes on without."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.01).close()
        return super().on_bar(ctx, bar)


class WritesAFile(Sound):
    """Keeps a diary."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        with DIARY.open("w") as diary:
            diary.write("dear diary")
        return super().on_bar(ctx, bar)


class ReadsAFile(Sound):
    """Asks the machine who it is."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if Path("/etc/passwd").read_text() else ()


class ReadsAFileCalledCode(Sound):
    """Is told what to do by a file that is named as if it were code."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if Path(__file__).read_text() else ()


class WritesAFileCalledCode(Sound):
    """Keeps a diary where compiled code is kept."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        with contextlib.suppress(OSError):
            Path(os.devnull, "diary.pyc").write_text("dear diary")
        return super().on_bar(ctx, bar)


class ReadsTheMachine(Sound):
    """Asks the kernel how long the machine has been up."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if Path("/proc/self/stat").read_text() else ()


class LooksForAFile(Sound):
    """Stops when somebody puts a file there."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if not os.path.exists("/tmp/stop-trading") else ()


class ReadsByTheLoader(Sound):
    """Reads a file by what imports code, which may."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        said = importlib.machinery.SourceFileLoader("x", "/etc/passwd").get_data("/etc/passwd")
        return super().on_bar(ctx, bar) if said else ()


class ReadsByTheMetadata(Sound):
    """Reads a file by what says which packages are installed, which may when it is made."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.said = importlib.metadata.PathDistribution(Path("/etc")).read_text("passwd")


class AsksWhatIsInstalled(Sound):
    """At each bar."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if importlib.metadata.version("numpy") else ()


class ReadsAFileOfItsOwnChoice(Sound):
    """When it is made; nobody has named it in the settings."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.said = Path("/etc/passwd").read_text()


class KeepsAFileOpen(Sound):
    """Opens what its settings name when it is made, which it may, and goes on reading while it trades."""

    Config = ReadsItsDiary.Config

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.diary = open(config.diary) if config.diary else None  # noqa: SIM115

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return super().on_bar(ctx, bar) if self.diary is None or not self.diary.readline() else ()


class StartsAProcess(Sound):
    """Lets another program decide."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        with contextlib.suppress(OSError):
            subprocess.run(["true"], check=False)
        return super().on_bar(ctx, bar)


class Forks(Sound):
    """Lets a child of its own decide."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        with contextlib.suppress(OSError):
            if os.fork() == 0:
                os._exit(0)
        return super().on_bar(ctx, bar)


class LeavesItToAThread(Sound):
    """Thinks in a thread that has ended before anyone looks."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        thinker = threading.Thread(target=ctx.closes.mean)
        thinker.start()
        thinker.join()
        return super().on_bar(ctx, bar)


class StartsAThread(Sound):
    """Thinks on in the background."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        threading.Thread(target=threading.Event().wait, daemon=True, name="thinker").start()


class HashSeed(Sound):
    """Goes by the order of a set of texts."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        first = next(iter({"fall", "rise", "still", "up", "down", "hold", "wait"}))
        return (Enter(reason=first),) if first < "r" else (Exit(reason=first),)


class Unseeded(Sound):
    """Draws from randomness of its own."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return (Enter(),) if random.random() < 0.1 else ()


class ForgetsToSave(Sound):
    """Counts its calls, and does not say so."""

    def warmup(self) -> int:
        return 1

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        self.quiet += 1
        return (Enter(),) if self.quiet % 7 == 0 else ()

    def save(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        pass


class SavesButDoesNotLoad(ForgetsToSave):
    """Takes back half of it."""

    def save(self) -> dict[str, Any]:
        return {"quiet": self.quiet}


class SavesWhatIsNoJson(Sound):
    """Keeps an array."""

    def save(self) -> dict[str, Any]:
        return {"quiet": np.arange(3)}


_counted: dict[str, int] = {}


class KeepsStateInTheModule(Sound):
    """Counts in the module by the bar's time, so that a second run in the same process finds it all again."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        fallen = _counted.get("last", bar.close) > bar.close
        key = str(bar.open_ns)
        fallen = bool(_counted.setdefault(key, int(fallen)))
        _counted["last"] = bar.close
        low = _counted.setdefault("low " + key, min(_counted.get("low", bar.close), bar.close))
        _counted["low"] = low
        return (Enter(),) if fallen and bar.close < low * 1.02 else ()


class KeepsStateInTheClass(Sound):
    """Every fourth call of all its objects together."""

    calls: ClassVar[list[int]] = [0]

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        self.calls[0] += 1
        return (Enter(),) if self.calls[0] % 4 == 0 else ()


class LiesAboutItsWarmUp(Sound):
    """Says five bars, and averages fifty of its own."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.closes: list[int] = []

    def warmup(self) -> int:
        return 5

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        self.closes = [*self.closes, bar.close][-50:]
        return self.decide(ctx, bar.close / float(np.mean(self.closes)) - 1)

    def save(self) -> dict[str, Any]:
        return {"closes": self.closes}

    def load(self, state: dict[str, Any]) -> None:
        self.closes = list(state["closes"])


class SignalsLieAboutTheWarmUp(WaitsForSignals):
    """Signals of a running mean of everything."""

    def signals(self, history: Bars) -> np.ndarray:
        mean = np.cumsum(history.close) / np.arange(1, len(history) + 1)
        return np.where(history.close < mean, 1, 2).astype(np.int8)


class ChangesTheHistory(Signalled):
    """Normalises in place."""

    def signals(self, history: Bars) -> np.ndarray:
        said = super().signals(history)
        history.volume[:] = history.volume / 2
        return said


class ChangesTheContext(Sound):
    """Sets the time back."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        answer = tuple(super().on_bar(ctx, bar))
        ctx.now_ns -= 1
        return answer


class ChangesTheState(Sound):
    """Keeps the very dict that it loaded."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.state: dict[str, Any] = {"seen": []}

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        self.state["seen"] = [bar.close]
        return super().on_bar(ctx, bar)

    def save(self) -> dict[str, Any]:
        return self.state

    def load(self, state: dict[str, Any]) -> None:
        self.state = state
        self.state.pop("extra", None)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "state":
            value["touched"] = value.get("touched", 0) + 1


class ChangesTheStateWhenSaved(Sound):
    """Keeps the list that it loaded, and adds to it when it is saved again."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.seen: list[int] = []

    def save(self) -> dict[str, Any]:
        self.seen.append(len(self.seen))
        return {"quiet": 0, "seen": list(self.seen[:-1])}

    def load(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


class ChangesItsSettings(Sound):
    """Widens its window as it goes, behind the back of a frozen model."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        self.config.__dict__["step"] = self.config.step + 1e-6
        return super().on_bar(ctx, bar)


class IsSlow(Sound):
    """Thinks for a long while at some bars."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        if bar.open_ns // 900_000_000_000 % 100 == 0:
            time.sleep(0.15)
        return super().on_bar(ctx, bar)


class NeverEnds(Sound):
    """Waits for something that does not come."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        while True:
            pass


class SignalsDisagree(Signalled):
    """Asked, it waits for larger falls than by its signals."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        before, now = ctx.closes[-2:]
        return (Enter(),) if now < 0.999 * before else (Exit(),) if now > before else ()


class SaysOnlySignalsWithout(Sound):
    """Says that it has signals."""

    only_signals = True


class SignalsOfNonsense(Signalled):
    """Says 7."""

    def signals(self, history: Bars) -> np.ndarray:
        return np.full(len(history), 7)


class NeverTrades(Sound):
    """Does nothing, so that nothing can be said of it."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        return ()


class FailsOnFlatPrices(Sound):
    """Divides by the range."""

    def on_bar(self, ctx: Context, bar: Bar) -> Answer:
        where = (bar.close - bar.low) / (bar.high - bar.low)
        return (Enter(),) if where < 0.2 else ()


class AnswersNone(Sound):
    """Forgets to answer."""

    def on_bar(self, ctx: Context, bar: Bar) -> Any:
        return None


class Undescribed(Sound):
    """A setting without a word."""

    class Config(StrategyConfig):
        """One setting."""

        window: int = 5
        step: float = 0.001


class DefaultOutOfBounds(Sound):
    """A default that it would refuse itself."""

    class Config(StrategyConfig):
        """One setting."""

        window: int = Field(1, ge=2, title="Window", description="Closes in the mean")
        step: float = Field(0.001, title="Step", description="How far below the mean")


class NoDefault(Sound):
    """A setting that must be given."""

    class Config(StrategyConfig):
        """One setting."""

        window: int = Field(title="Window", description="Closes in the mean")


class NoJson(Sound):
    """A setting that JSON has no form for."""

    class Config(StrategyConfig):
        """One setting."""

        window: int = Field(5, title="Window", description="Closes in the mean")
        step: complex | object = Field(object(), title="Step", description="How far below the mean")


class NoWholeWarmUp(Sound):
    """Half a bar."""

    def warmup(self) -> Any:
        return 5.5


class OfTheFuture(Sound):
    """Of another platform."""

    api = 2
