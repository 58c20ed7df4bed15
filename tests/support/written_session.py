"""A panel and a session whose bars this process appends to its journal, as a runner would: for the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from panel_process import Panel
from probe_market import INSTRUMENT, random_walk

from pregao.market.store import Store
from pregao.sessions.assembly import assembled
from pregao.sessions.control import spec_of, start
from pregao.sessions.intents import ask
from pregao.settings import settings


class Written:
    """What is measured.

    Attributes:
        panel: which shows it, running.
        journal: this process's.
        id: of the session.
        last: the number of its last row.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel, self.journal = panel, panel.journal
        values = {"instrument": INSTRUMENT.key, "timeframe": "1m", "strategy": "ma-cross", "isolated": False}
        self.id = start(spec_of({**values, "feed": {"speed": 0}}), self.journal)
        parts = assembled(self.journal.session(self.id))
        assert parts.first.bars is not None
        self._machine, self._bars = parts.machine(), parts.first.bars
        self._writer = self.journal.take_ownership(self.id, "benchmark")
        begun = self._machine.start(int(self._bars.open_ns[0]), parts.facts())
        self._writer.append(begun.entries, self._machine.projection(), snapshot=begun.snapshot)
        self.last = self.journal.session(self.id).last_seq

    def append(self, number: int) -> range:
        """Live through a bar and commit what it brings; the numbers of its rows, the bar's own first."""
        book = self._machine.books[0]
        batch = self._machine.moment({0: self._bars.bar(number)}, lambda _, closed: ask(book.desk, closed, book.memory))
        self._writer.append(batch.entries, self._machine.projection(), snapshot=batch.snapshot, trades=batch.trades)
        first, self.last = self.last + 1, self.last + len(batch.entries)
        return range(first, self.last + 1)


@contextmanager
def written(bars: int) -> Iterator[Written]:
    """A panel over the home of the environment, which gets so many bars and some more, and its session."""
    Store().write(random_walk(bars + 400))
    panel = Panel(settings().home)
    panel.serve()
    try:
        yield Written(panel)
    finally:
        panel.end()
        panel.journal.close()
        panel.http.close()
