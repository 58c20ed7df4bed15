"""The rounds of a session: what each next thing that its feed says leads to, in a replay, a live market, a shadow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from pregao.core.actions import Action
from pregao.core.bars import Bar, Bars
from pregao.core.errors import PregaoError
from pregao.market.feeds import Acted, Closed, ReplayFeed
from pregao.sessions.assembly import Assembly
from pregao.sessions.batch import Batch
from pregao.sessions.beside import Heard, Stored
from pregao.sessions.corporate import actions_of, rows_of
from pregao.sessions.following import is_late, told
from pregao.sessions.journal import Journal
from pregao.sessions.machine import Decide, Machine
from pregao.sessions.places import Followed, Place
from pregao.sessions.shadow import ShadowFeed
from pregao.sessions.spec import Live, Replay, Shadow

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
    """Stored bars, from the one after the last that was journaled on, at the pace that was asked for.

    Raises:
        PregaoError: if the last bar that was lived through is another one in the store now.
    """

    def __init__(self, parts: Assembly, feed: Replay, machine: Machine, decide: Decide, wait_s: float) -> None:
        assert parts.bars is not None
        self._parts, self._machine, self._decide, self._wait_s = parts, machine, decide, wait_s
        self._feed = ReplayFeed(parts.bars, feed.speed, _resume_at(parts.bars, machine.last))
        self._others = Stored(parts.others) if parts.others else None
        self._speed = feed.speed
        self._slowed = False

    def next(self) -> Batch | None:
        """What the next bar leads to, or the end of the bars."""
        self._wait_for_an_answer()
        bar = self._feed.next(self._wait_s)
        if bar is not None:
            return self._machine.bar(bar, self._decide, False, self._beside(bar))
        return self._machine.finish() if self._feed.finished else None

    def close(self) -> None:
        """Nothing is held."""

    def _beside(self, bar: Bar) -> dict[str, Bar] | None:
        """What of other instruments is new since the bar before; None if nothing looks at them."""
        if self._others is None:
            return None
        last, warm = self._machine.last, self._parts.before
        if last is not None:
            return self._others.at(last.close_ns, bar.close_ns)
        return self._others.at(int(warm.close_ns[-1]) if warm is not None and len(warm) else None, bar.close_ns)

    def _wait_for_an_answer(self) -> None:
        """Slow a replay down while a proposal is open: its bars would be over before anybody has read it.

        Only the pace changes, so the journal stays that of the same bars. One that is to be as fast as possible stays
        that: nobody is expected to look on.
        """
        waits = self._machine.proposals.open is not None
        if waits == self._slowed or not self._speed:
            return
        self._slowed = waits
        self._feed.speed = min(self._speed, self._parts.spec.approval_bars / ANSWER_S) if waits else self._speed


class LiveRound:
    """A market as its venue tells it, from the bar after the last that was journaled on.

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
        # The last bar that the venue is known to lack is not asked for again.
        given_up_ns = machine.gap_ns - parts.timeframe.ns if machine.gap_ns else 0
        after_ns = max(machine.last.open_ns if machine.last is not None else machine.warm_ns, given_up_ns)
        self._followed: Followed = place.follow(feed, parts.instrument, parts.timeframe, after_ns, bool(machine.stale))
        self._others = Heard(place, feed, parts.others, after_ns) if parts.others else None

    @property
    def last_price(self) -> tuple[int, int] | None:
        """The last price that was heard, in ticks, and when by the venue's clock; None before the first."""
        return self._followed.last_price

    def next(self) -> Batch | None:
        """What the next event of the market leads to.

        Raises:
            PregaoError: if the market has ended.
        """
        event = self._followed.next_event(self._wait_s)
        if isinstance(event, Closed):
            late = is_late(event.bar, self._followed.now_ns)
            beside = self._others.at(event.bar.close_ns, late) if self._others is not None else None
            return self._machine.bar(event.bar, self._decide, late, beside)
        if isinstance(event, Acted):
            return _learnt(self._machine, [event.action])
        known = told(event) if event is not None else None
        if known is None or (known["state"] == "stale" and self._machine.stale):
            return None
        batch = self._machine.feed(known)
        if known["state"] == "ended":
            self._commit(batch)
            raise PregaoError(
                f"The market of {self._parts.instrument.symbol} has ended: {known['reason']}",
                "What is held stays as it is at the last price; resume the session if the market comes back.",
            )
        return batch

    def close(self) -> None:
        """Let go of the markets."""
        self._followed.close()
        if self._others is not None:
            self._others.close()


class ShadowRound:
    """The bars that another session has journaled, and the splits and dividends that it knows of, as it goes on."""

    def __init__(self, journal: Journal, feed: Shadow, machine: Machine, decide: Decide, wait_s: float) -> None:
        self._machine, self._decide, self._wait_s = machine, decide, wait_s
        self._feed = ShadowFeed(journal, feed.of, machine.last.open_ns if machine.last else feed.after)

    def next(self) -> Batch | None:
        """What the next bar of the followed session leads to, or its end."""
        given = self._feed.next(self._wait_s)
        if isinstance(given, list):
            return _learnt(self._machine, actions_of(given))
        if given is not None:
            bar, late, beside = given
            return self._machine.bar(bar, self._decide, late, beside)
        return self._machine.finish() if self._feed.finished else None

    def close(self) -> None:
        """Nothing is held."""


def _learnt(machine: Machine, actions: Iterable[Action]) -> Batch | None:
    """Splits and dividends that the session does not know yet; None if it knows them."""
    rows = rows_of(actions, machine.now_ns, machine.known)
    return machine.actions({"actions": rows}) if rows else None


def _resume_at(bars: Bars, last: Bar | None) -> int:
    """Index of the first bar to play. Raises `PregaoError` if the last one lived through is another one now."""
    if last is None:
        return 0
    at = int(np.searchsorted(bars.open_ns, last.open_ns))
    if at >= len(bars) or bars.bar(at) != last:
        when = str(np.datetime64(last.open_ns, "ns").astype("datetime64[m]")).replace("T", " ")
        raise PregaoError(
            f"The bar of {when} UTC in the store is not the one that the session has traded on.",
            "Bring that version of the data back with `pregao data checkout`, or start a new session.",
        )
    return at + 1
