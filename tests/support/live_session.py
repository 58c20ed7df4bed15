"""A session on the local exchange while it runs: its runner in a thread, its market minute by minute, its journal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from venue import Venue
from venue.truth import true_bars
from waiting import wait

from pregao.core.bars import Bar
from pregao.core.timeframe import Timeframe
from pregao.sessions.control import spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.records import JournalRow
from pregao.sessions.runtime import run

MINUTE = Timeframe.parse("1m")
STREAM = "btcusdt@kline_1m"


class Running:
    """A session's runner in a thread."""

    def __init__(self, journal: Journal, session_id: str) -> None:
        self.journal, self.id = journal, session_id
        self.go = threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            run(self.id, self.journal, stop=self.go.is_set)
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def follower(venue: Venue, journal: Journal, **always: Any) -> Callable[..., str]:
    """Starts sessions that follow BTC/USDT at the local exchange; ``always``, and the keyword arguments of the call,
    change the spec."""

    def follow(**changes: Any) -> str:
        feed = {
            "kind": "live", "source": "ccxt", "symbol": "BTC/USDT", "options": {"base_url": venue.url},
            "stale_s": 1.5, "poll_s": 0.1,
        }  # fmt: skip
        values = {
            "instrument": "ccxt/binance/BTC-USDT", "timeframe": "1m", "strategy": "probe", "seed": 7, "feed": feed,
            "config": {"every": 3, "leave": 8},
        }  # fmt: skip
        return start(spec_of(values | always | changes), journal)

    return follow


def rows(journal: Journal, session_id: str, *kinds: str) -> list[JournalRow]:
    return [r for r in journal.rows(session_id, limit=10**6) if not kinds or r.kind in kinds]


def bars_of(journal: Journal, session_id: str, book: int = 0) -> list[Bar]:
    """The bars of one of its instruments that a session has lived through."""
    found = [r for r in rows(journal, session_id, "bar") if r.body.get("b", 0) == book]
    return [Bar(r.body["t"], r.ts_ns, *(r.body[n] for n in "ohlc"), float(r.body["v"])) for r in found]


def states(journal: Journal, session_id: str) -> list[str]:
    """What was told of the feed; the clocks differ, since the market's stands still between two bars."""
    told = [r.body["state"] for r in rows(journal, session_id, "feed")]
    return [state for state in told if state not in ("skewed", "revised")]


def play(venue: Venue, journal: Journal, session_id: str, minutes: int) -> None:
    """Let minutes pass one by one, each once the session has traded on the one before."""
    for _ in range(minutes):
        bars = journal.session(session_id).bars
        venue.advance(minutes=1)
        wait(lambda: journal.session(session_id).bars == bars + 1)  # noqa: B023


def begun(venue: Venue, journal: Journal, session_id: str) -> int:
    """Wait until the session listens; the open time of its first bar."""
    venue.subscribed(STREAM, 90)
    return int(rows(journal, session_id, "warmed")[0].body["bars"][-1][1])


def truth(venue: Venue, first_ns: int, bars: int) -> list[Bar]:
    return true_bars(venue, "BTC/USDT", "1m", first_ns, first_ns + bars * MINUTE.ns)
