"""A session's machine on a stage: a strategy that says what its script says, a market, and all rows so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from probe_market import INSTRUMENT, MINUTE, a_spec, random_walk

from pregao.core.bars import Bar, Bars
from pregao.sessions.batch import Batch
from pregao.sessions.intents import Decision, ask
from pregao.sessions.machine import Machine
from pregao.sessions.records import JournalRow, canonical, link
from pregao.sessions.recovery import replay
from pregao.sessions.spec import SessionSpec
from pregao.simulation.plan import Plan
from pregao.strategies.contract import Context, Intent, StrategyConfig
from pregao.strategies.desk import Desk

BARS = random_walk(300)


class Scripted:
    """Says at bar i what the script says."""

    api = 1
    title = "Scripted"
    Config = StrategyConfig
    script: ClassVar[dict[int, Any]] = {}

    def __init__(self, script: dict[int, Any]) -> None:
        self.script = script  # type: ignore[misc]
        self.at = 0

    def warmup(self) -> int:
        return 1

    def on_bar(self, ctx: Context, bar: Bar) -> Iterable[Intent]:
        self.at += 1
        said = self.script.get(self.at - 1, ())
        if isinstance(said, Exception):
            self.at = 10**6  # half done
            raise said
        return said  # type: ignore[no-any-return]

    def save(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: dict[str, Any]) -> None:
        self.at = state["at"]


class Stage:
    """A machine, what it has said so far, and the bars that it gets."""

    def __init__(self, script: dict[int, Any], bars_given: Bars = BARS, **spec: Any) -> None:
        self.spec: SessionSpec = a_spec(**{"take_profit": 50, "stop_loss": 50} | spec)
        self.market = bars_given
        self.script = script
        self.machine = self.new()
        self.rows: list[JournalRow] = []
        self.at = 0
        self.take(self.machine.start(int(self.market.open_ns[0]), {"bars": len(self.market)}))

    def new(self) -> Machine:
        s = self.spec
        plan = Plan.of(
            INSTRUMENT,
            MINUTE,
            cash=s.cash,
            entry_value=s.entry_value,
            take_profit=s.take_profit,
            stop_loss=s.stop_loss,
            fee=s.fee,
            slippage=s.slippage,
        )
        return Machine(s, [Desk(plan, Scripted(self.script), s.seed)], len(self.market))

    def take(self, batch: Batch) -> list[JournalRow]:
        new = []
        for ts_ns, kind, body in batch.entries:
            seq, text = len(self.rows) + 1, canonical(body)
            chain = link(self.rows[-1].chain if self.rows else "", seq, ts_ns, kind, text)
            self.rows.append(JournalRow("s", seq, ts_ns, kind, text, chain))
            new.append(self.rows[-1])
        return new

    def bars(self, n: int = 1, late: bool = False) -> list[JournalRow]:
        new: list[JournalRow] = []
        for _ in range(n):
            new += self.take(self.machine.moment({0: self.market.bar(self.at)}, self.decide, late))
            self.at += 1
        return new

    def decide(self, number: int, bar: Bar) -> Decision:
        return ask(self.machine.books[number].desk, bar, self.machine.books[number].memory)

    def command(self, kind: str, **body: Any) -> str:
        batch = self.machine.command(kind, body)
        self.take(batch)
        return batch.outcome

    def check(self) -> None:
        """Replay from the beginning makes the same rows and the same state; no number is a float."""
        again = self.new()
        replay(again, self.rows)
        assert again.to_bytes() == self.machine.to_bytes()
        for row in self.rows:
            _no_floats(row.body)

    @property
    def position(self) -> int:
        return self.machine.engine.account.position_lots


def _no_floats(value: Any) -> None:
    assert not isinstance(value, float)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _no_floats(inner)


def kinds(rows: list[JournalRow]) -> list[str]:
    return [row.kind for row in rows if row.kind != "memory"]
