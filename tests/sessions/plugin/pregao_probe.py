"""A strategy that does a bit of everything: keeps state, draws, thinks aloud, enters, exits, fails when told to."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pydantic import Field

from pregao.core.bars import Bar
from pregao.strategies.contract import Context, Enter, Exit, Intent, JsonDict, Note, StrategyConfig, Wait


class ProbeConfig(StrategyConfig):
    every: int = Field(7, ge=1, title="Every", description="Enter each so many bars")
    leave: int = Field(31, ge=1, title="Leave", description="Exit each so many bars")
    fail_at: int = Field(0, ge=0, title="Fail at", description="Raise at this bar; 0 is never")
    rest: int = Field(0, ge=0, title="Rest", description="Bars to wait after each order, or until something happens")
    slow_s: float = Field(0, ge=0, le=5, title="Slow", description="Seconds to think")


class Probe:
    api = 1
    title = "Probe"
    Config = ProbeConfig
    feature_set = "core25"

    def __init__(self, config: ProbeConfig) -> None:
        self.config = config
        self.seen = 0
        self.mean = 0.0

    def warmup(self) -> int:
        return 1

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        self.seen += 1
        self.mean += (float(ctx.closes[-1]) - self.mean) / 3
        if self.config.slow_s:
            time.sleep(self.config.slow_s)
        if self.seen == self.config.fail_at:
            self.mean = -1.0
            raise ZeroDivisionError("told to fail")
        chance = float(ctx.rng.random())
        top = (("mean", self.mean / 3), ("feature", float(ctx.features[0])))
        rest = (Wait(bars=self.config.rest),) if self.config.rest else ()
        if self.seen % self.config.leave == 0:
            return (Exit("time is up"), *rest)
        if self.seen % self.config.every == 0:
            side = "long" if chance > 0.3 else "short"
            return (Enter(side, 0.75, "it is time", chance, chance / 100, top), *rest)
        return (Note(f"missed {ctx.missed}" if ctx.missed else "waiting", chance, None, top),)

    def save(self) -> JsonDict:
        return {"seen": self.seen, "mean": self.mean}

    def load(self, state: JsonDict) -> None:
        self.seen, self.mean = state["seen"], state["mean"]


class HarmConfig(StrategyConfig):
    how: str = Field("", title="How", description="What it does to itself at its tenth bar")
    at: int = Field(10, ge=1, title="At", description="At which bar")
    made: str = Field("", title="Made", description="What it does to itself when it is made")


class Harm:
    """A strategy that is fine until it is not."""

    api = 1
    title = "Harm"
    Config = HarmConfig

    def __init__(self, config: HarmConfig) -> None:
        self.config = config
        self.seen = 0
        self.hoard: list[bytearray] = []
        if config.made:
            self.harm(config.made)

    def warmup(self) -> int:
        return 1

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        self.seen += 1
        if self.seen == 3:
            return (Enter("long", 1.0, "in"),)
        if self.seen == self.config.at or (self.config.how in ("leak", "print") and self.seen > self.config.at):
            self.harm(self.config.how)
        return (Note(f"bar {self.seen}"),)

    def harm(self, how: str) -> None:
        import ctypes
        import os
        import signal

        match how:
            case "hang":
                while True:
                    pass
            case "sleep":
                time.sleep(1_000)
            case "exit":
                os._exit(7)
            case "quit":
                raise SystemExit("enough")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "segfault":
                ctypes.string_at(0)
            case "leak":
                self.hoard.append(bytearray(b"x" * (20 * 2**20)))
            case "swallow":
                self.hoard.append(bytearray(b"x" * (2_000 * 2**20)))
            case "fork":
                os.fork()
            case "bomb":
                for _ in range(20):
                    if os.fork() == 0:
                        time.sleep(1_000)
            case "print":
                print("noise" * 100_000, flush=True)
            case "close":
                os.closerange(3, 100)
            case "raise":
                raise ZeroDivisionError("told to fail")
            case "state":
                self.config = HarmConfig(how="unsaveable")

    def save(self) -> JsonDict:
        return {"seen": object()} if self.config.how == "unsaveable" else {"seen": self.seen}  # type: ignore[dict-item]

    def load(self, state: JsonDict) -> None:
        self.seen = state["seen"]
