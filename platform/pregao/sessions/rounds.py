"""The rounds of a session: what each next thing that its feed says leads to, in a replay, a live market, a shadow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from pregao.core.actions import Action
from pregao.core.bars import Bar, Bars
from pregao.core.errors import PregaoError
from pregao.market.calendars import closed_during
from pregao.market.feeds import Acted, ReplayFeed
from pregao.sessions.assembly import Assembly, market_of
from pregao.sessions.batch import Batch
from pregao.sessions.beside import Heard, Stored
from pregao.sessions.corporate import actions_of, rows_of
from pregao.sessions.following import told
from pregao.sessions.gathering import Moment, Together
from pregao.sessions.journal import Journal
from pregao.sessions.machine import Decide, Machine
from pregao.sessions.places import Place
from pregao.sessions.shadow import Late, Learnt, ShadowFeed
from pregao.sessions.spec import Live, Replay, Shadow

_COLUMNS = ("open_ns", "open", "high", "low", "close", "volume")
ANSWER_S = 30.0
"""A replay with a pace of its own leaves a person at least so long to answer a proposal."""


class Round(Protocol):
    """What a runner asks of a session's feed, over and over."""

    def next(self) -> Batch | None:
        """What the next thing that comes leads to; None if nothing has come within the time that it waits."""
        ...

    def close(self) -> None:
        """Let go of the feed."""
        ...


class ReplayRound:
    """Stored bars, from the moment after the last that was journaled on, at the pace that was asked for.

    Raises:
        PregaoError: if the last bar that was lived through is another one in the store now.
    """

    def __init__(self, parts: Assembly, feed: Replay, machine: Machine, decide: Decide, wait_s: float) -> None:
        self._machine, self._decide, self._wait_s = machine, decide, wait_s
        self._approval_bars = parts.spec.approval_bars
        self._series = [part.bars for part in parts.parts if part.bars is not None]
        for bars, book in zip(self._series, machine.books, strict=True):
            _same_still(bars, book.last)
        last_ns = machine.last.open_ns if machine.last is not None else -1
        at = int(np.searchsorted(parts.moments, last_ns, side="right"))
        self._feed = ReplayFeed(_one_of_each(self._series), feed.speed, at)
        self._speed = feed.speed
        self._others = {n: Stored(part.others) for n, part in enumerate(parts.parts) if part.others}
        self._began_ns = {n: _end_of(part.before) for n, part in enumerate(parts.parts)}
        self._slowed = False

    def next(self) -> Batch | None:
        """What the next moment leads to, or the end of the bars."""
        self._wait_for_an_answer()
        first = self._feed.next(self._wait_s)
        if first is None:
            return self._machine.finish() if self._feed.finished else None
        bars = {}
        for number, series in enumerate(self._series):
            row = int(np.searchsorted(series.open_ns, first.open_ns))
            if row < len(series) and int(series.open_ns[row]) == first.open_ns:
                bars[number] = series.bar(row)
        beside = {number: self._beside(number, bar) for number, bar in bars.items() if number in self._others}
        return self._machine.moment(bars, self._decide, False, beside)

    def close(self) -> None:
        """Nothing is held."""

    def _beside(self, number: int, bar: Bar) -> dict[str, Bar]:
        """What of other instruments is new since the bar before."""
        last = self._machine.books[number].last
        after_ns = last.close_ns if last is not None else self._began_ns[number]
        return self._others[number].at(after_ns, bar.close_ns)

    def _wait_for_an_answer(self) -> None:
        """Slow a replay down while a proposal is open: its bars would be over before anybody has read it.

        Only the pace changes, so the journal stays that of the same bars. One that is to be as fast as possible stays
        that: nobody is expected to look on.
        """
        waits = bool(self._machine.proposals.open)
        if waits == self._slowed or not self._speed:
            return
        self._slowed = waits
        self._feed.speed = min(self._speed, self._approval_bars / ANSWER_S) if waits else self._speed


class LiveRound:
    """Markets as their venue tells them, each from the bar after the last that was journaled on.

    Args:
        commit: journals what a market that has ended leads to, before the runner ends with it.
    """

    def __init__(
        self,
        parts: Assembly,
        feed: Live,
        machine: Machine,
        decide: Decide,
        place: Place,
        commit: Callable[[Batch], None],
    ) -> None:
        self._parts, self._machine, self._decide, self._commit = parts, machine, decide, commit
        self._wait_s = place.poll_s
        self._others: dict[int, Heard] = {}
        markets = []
        for book, part in zip(machine.books, parts.parts, strict=True):
            # The last bar that the venue is known to lack is not asked for again.
            given_up_ns = book.gap_ns - parts.timeframe.ns if book.gap_ns else 0
            after_ns = max(book.last.open_ns if book.last is not None else book.warm_ns, given_up_ns)
            its = market_of(feed, book.number)
            markets.append(place.follow(its, part.instrument, parts.timeframe, after_ns, bool(book.stale)))
            if part.others:
                self._others[book.number] = Heard(place, its, part.others, after_ns)
        calendars = [part.instrument.calendar for part in parts.parts]
        self._together = Together(markets, [partial(closed_during, each, parts.timeframe) for each in calendars])

    def last_price(self, number: int) -> tuple[int, int] | None:
        """The last price that was heard of a market, in ticks, and when by the venue's clock; None before the first."""
        return self._together.markets[number].last_price

    def next(self) -> Batch | None:
        """What the next event of the markets leads to.

        Raises:
            PregaoError: if all of them have ended.
        """
        heard = self._together.next(self._wait_s, self._machine.last)
        if isinstance(heard, Moment):
            beside = {
                number: self._others[number].at(bar.close_ns, heard.late)
                for number, bar in heard.bars.items()
                if number in self._others
            }
            return self._machine.moment(heard.bars, self._decide, heard.late, beside)
        if heard is None:
            return None
        number, event = heard
        book = self._machine.books[number]
        if isinstance(event, Acted):
            return _learnt(self._machine, [event.action], number)
        known = told(event)
        if known is None or (known["state"] == "stale" and book.stale):
            return None
        batch = self._machine.feed(book.marked(known))
        if known["state"] == "ended" and all(each.gone for each in self._machine.books):
            self._commit(batch)
            raise PregaoError(
                f"The market of {self._parts.parts[number].instrument.symbol} has ended: {known['reason']}",
                "What is held stays as it is at the last price; resume the session if the market comes back.",
            )
        return batch

    def close(self) -> None:
        """Let go of the markets."""
        self._together.close()
        for others in self._others.values():
            others.close()


class ShadowRound:
    """The bars that another session has journaled, and the splits and dividends that it knows of, as it goes on."""

    def __init__(self, journal: Journal, feed: Shadow, machine: Machine, decide: Decide, wait_s: float) -> None:
        self._machine, self._decide, self._wait_s = machine, decide, wait_s
        self._feed = ShadowFeed(journal, feed.of, machine.last.open_ns if machine.last else feed.after)

    def next(self) -> Batch | None:
        """What the next bar of the followed session leads to, or its end."""
        given = self._feed.next(self._wait_s)
        if isinstance(given, Learnt):
            return _learnt(self._machine, actions_of(given.rows), given.number)
        if isinstance(given, Late):
            last = self._machine.books[given.body.get("b", 0)].last
            new = last is not None and given.body["t"] > last.open_ns
            return self._machine.feed(given.body) if new else None
        if given is not None:
            return self._machine.moment(given.bars, self._decide, given.late, given.beside)
        return self._machine.finish() if self._feed.finished else None

    def close(self) -> None:
        """Nothing is held."""


def _learnt(machine: Machine, actions: Iterable[Action], number: int) -> Batch | None:
    """Splits and dividends of an instrument that the session does not know yet; None if it knows them."""
    book = machine.books[number]
    rows = rows_of(actions, machine.now_ns, book.known)
    return machine.actions(book.marked({"actions": rows})) if rows else None


def _one_of_each(series: Sequence[Bars]) -> Bars:
    """A bar of each moment, of the first instrument that has one: they set the pace."""
    columns = [np.concatenate([getattr(bars, name) for bars in series]) for name in _COLUMNS]
    _, rows = np.unique(columns[0], return_index=True)
    return Bars(series[0].instrument, series[0].timeframe, *(column[rows] for column in columns))


def _end_of(before: Bars | None) -> int | None:
    """When the last bar before the first closed; None without one."""
    return int(before.close_ns[-1]) if before is not None and len(before) else None


def _same_still(bars: Bars, last: Bar | None) -> None:
    """Raises `PregaoError` if the last bar that was lived through is another one in the store now."""
    if last is None:
        return
    at = int(np.searchsorted(bars.open_ns, last.open_ns))
    if at >= len(bars) or bars.bar(at) != last:
        when = str(np.datetime64(last.open_ns, "ns").astype("datetime64[m]")).replace("T", " ")
        raise PregaoError(
            f"The bar of {when} UTC in the store is not the one that the session has traded on.",
            "Bring that version of the data back with `pregao data checkout`, or start a new session.",
        )
