"""The live feed: a market followed by its stream, with questions over REST where the stream does not suffice."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from pregao.core.actions import Dividend, Split
from pregao.core.bars import Bar
from pregao.core.errors import NotFoundError, PregaoError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.market.calendars import closed_during
from pregao.market.feeds.events import Acted, Closed, Ended, Event, Recovered, Skewed, Stale, Traded
from pregao.market.feeds.mailbox import Mailbox
from pregao.market.feeds.sequence import JUMP, REFERENCES, Candle, Sequence, Step
from pregao.market.feeds.wire import BusyError, Wire

PAGE = 500
SKEW_S = 1.0
"""A difference of clocks worth telling."""


@dataclass(frozen=True)
class Watch:
    """How a live feed watches its market.

    Attributes:
        stale_s: silence after which the venue is asked whether anything was missed.
        poll_s: between questions, while there is no stream, or something that has closed did not come.
        settle_s: market time that a venue gets to say itself that a candle has closed.
        check_s: a bar delivered as heard is compared with the venue's record after so long.
        jump: a bar further away from those before (in logarithms) is asked for again, and held back if it stays.
        late_s: market time after its close at which a missing bar, whose successor has closed, is given up.
        waiting: bars and warnings that may wait for the reader.
        clock_s: between measurements of the venue's clock.
    """

    stale_s: float = 20.0
    poll_s: float = 2.0
    settle_s: float = 1.0
    check_s: float = 5.0
    jump: float = JUMP
    late_s: float = 30.0
    waiting: int = 1_000
    clock_s: float = 600.0


class _Clock:
    """The venue's time between two measurements of it."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self.measured = float("-inf")
        self._said_ns = 0

    def set(self, venue_ns: int, asked_ns: int, answered_ns: int) -> None:
        self.offset_ns = venue_ns - (asked_ns + answered_ns) // 2
        self.measured = time.monotonic()
        self._said_ns = venue_ns

    def said(self, venue_ns: int, most_ns: int) -> None:
        """A message carries a time: believed if it is not further ahead than ``most_ns``."""
        if self._said_ns < venue_ns <= self.now_ns() + most_ns:
            self._said_ns = venue_ns

    def now_ns(self) -> int:
        return max(time.time_ns() + self.offset_ns, self._said_ns)


class LiveFeed:
    """Follows a market: each closed bar once and in order, and what happens to the connection.

    The client runs in a thread of its own. Events wait in a bounded queue; a reader that falls behind misses no bar:
    they are fetched when there is room again.

    Args:
        wire: access to the venue; the feed opens and closes it.
        instrument, timeframe: whose bars.
        after_ns: open time of the last bar that the reader knows; those since are fetched first. None begins with the
            bar that is forming.
        watch: how closely to watch.

    Raises:
        PregaoError: if the venue cannot be reached to begin with.
    """

    def __init__(
        self,
        wire: Wire,
        instrument: Instrument,
        timeframe: Timeframe,
        after_ns: int | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.instrument = instrument
        self.timeframe = timeframe
        self.watch = watch if watch is not None else Watch()
        self._wire = wire
        self._after_ns = after_ns
        self._mail = Mailbox(self.watch.waiting)
        self._acted: set[Split | Dividend] = set()
        self._clock = _Clock()
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._over = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"feed {instrument.symbol}", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            self._thread.join()
            raise self._failed

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self._over and self._mail.empty

    @property
    def now_ns(self) -> int:
        """The venue's time, ns since 1970 UTC, as far as it is known."""
        return self._clock.now_ns()

    @property
    def skew_s(self) -> float:
        """The venue's clock minus this machine's, in seconds, as last measured."""
        return self._clock.offset_ns / 1e9

    def next(self, timeout_s: float) -> Bar | None:
        """The next closed bar; None if there is none within ``timeout_s`` seconds. Other events are passed over."""
        until = time.monotonic() + timeout_s
        while True:
            event = self.next_event(max(0.0, until - time.monotonic()))
            if event is None:
                return None
            if isinstance(event, Closed):
                return event.bar

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event; None if there is none within ``timeout_s`` seconds.

        Raises:
            PregaoError: if the feed itself failed, once everything before has been read.
        """
        if self._over and self._mail.empty:
            if self._failed is not None:
                raise PregaoError(f"The feed of {self.instrument.symbol} failed: {self._failed!r}.") from self._failed
            return None
        return self._mail.get(timeout_s)

    def close(self) -> None:
        """End the thread and its connections."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # it ended just now
                self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(10.0)

    def __enter__(self) -> LiveFeed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- in the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._main = self._loop.create_task(self._follow())
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # whatever it is, the reader gets it
            self._failed = error
        finally:
            self._over = True
            self._ready.set()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _stop(self) -> None:
        self._main.cancel()

    async def _follow(self) -> None:
        self._asking = asyncio.Event()
        self._heard = self._framed = time.monotonic()
        self._delivered = time.monotonic()
        self._stale: float | None = None
        self._messages = 0
        self._inquired = float("-inf")
        self._streaming = False
        self._suspended = False
        self._listener: asyncio.Task[None] | None = None
        try:
            await self._wire.open()
            await self._begin()
            self._ready.set()
            tasks = [asyncio.ensure_future(work()) for work in (self._listen, self._ask, self._tick)]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                every = [*tasks, *([self._listener] if self._listener else [])]
                for task in every:
                    task.cancel()
                await asyncio.gather(*every, return_exceptions=True)
        finally:
            await self._wire.close()

    async def _begin(self) -> None:
        """The clock, the first bar to deliver, and the bars before it."""
        now = await self._measure()
        if abs(self.skew_s) > SKEW_S:
            self._mail.put(Skewed(self.skew_s))
        length = self.timeframe.ns
        about = now // length * length if self._after_ns is None else self._after_ns + length
        rows = list(await self._wire.candles(about - (REFERENCES + 2) * length, now, REFERENCES + 4))
        if self._after_ns is None:
            forming = [row.open_ns for row in rows if row.open_ns + length > now]
            ended = [row.open_ns + length for row in rows if row.open_ns + length <= now]
            first = forming[0] if forming else ended[-1] if ended else now // length * length
        else:
            first = about
        self._sequence = Sequence(
            self.instrument,
            self.timeframe,
            first,
            jump=self.watch.jump,
            late_ns=round(self.watch.late_s * 1e9),
            closed=partial(closed_during, self.instrument.calendar, self.timeframe),
        )
        bars = [self._sequence.bar(row) for row in rows if row.open_ns < first and row.open_ns + length <= now]
        self._sequence.remember(bar for bar in bars if isinstance(bar, Bar))
        self._asking.set()

    async def _measure(self) -> int:
        asked = time.time_ns()
        now = await self._wire.now_ns()
        self._clock.set(now, asked, time.time_ns())
        return now

    # -- the stream

    async def _listen(self) -> None:
        """Keep the stream open, with growing pauses between attempts that bring nothing."""
        if not self._wire.streams:
            await asyncio.Event().wait()
        failures = 0
        while True:
            heard = self._messages
            self._listener = asyncio.ensure_future(self._wire.listen(self._on_candle, self._on_trade))
            await asyncio.wait([self._listener])
            self._streaming = False
            if not self._listener.cancelled():  # else it was half open, and has been let go
                error = self._listener.exception()
                if not isinstance(error, PregaoError):
                    raise error if error is not None else AssertionError("a stream ended without an error")
            self._asking.set()
            failures = 0 if self._messages > heard else failures + 1
            await asyncio.sleep(min(0.25 * 2**failures, 30.0) * random.uniform(0.5, 1.0))

    def _on_candle(self, candle: Candle) -> None:
        self._on_message()
        self._clock.said(candle.said_ns or candle.open_ns, self.timeframe.ns)
        if self._mail.full:
            self._asking.set()  # when the reader has caught up, the venue is asked for what it missed
            return
        self._carry_out(self._sequence.heard(candle, self._clock.now_ns()))

    def _on_trade(self, trade: Traded) -> None:
        self._on_message()
        self._clock.said(trade.ts_ns, self.timeframe.ns)
        self._mail.put(trade)

    def _on_message(self) -> None:
        self._heard = self._framed = time.monotonic()
        self._messages += 1
        self._streaming = True

    def _carry_out(self, step: Step) -> None:
        for event in step.events:
            if isinstance(event, Closed):
                self._delivered = time.monotonic()
            self._mail.put(event)
        if step.ask:
            self._asking.set()

    # -- questions

    async def _ask(self) -> None:
        """Ask the venue whenever somebody wants it, one question at a time."""
        failures = 0
        while True:
            await self._asking.wait()
            self._asking.clear()
            refused_s = 0.0
            try:
                await self._room()
                again = await self._catch_up()
                failures = 0
            except NotFoundError as error:
                self._mail.put(Ended(str(error)))
                self._over = True
                return
            except PregaoError as error:
                failures, again = failures + 1, True
                refused_s = error.retry_after_s if isinstance(error, BusyError) else 0.0
                self._complain(f"The venue does not answer: {error.message}")
            pause = self.watch.poll_s / 8 if not failures else min(self.watch.poll_s * 2 ** (failures - 1), 30.0)
            await asyncio.sleep(max(pause * random.uniform(0.75, 1.0), refused_s))
            if again:
                self._asking.set()

    async def _room(self) -> None:
        while self._mail.full:
            await asyncio.sleep(0.01)

    async def _catch_up(self) -> bool:
        """Everything that has closed by now, page by page; whether to ask again soon."""
        now = await self._measure()
        while True:
            wanted = self._sequence.wanted_ns
            rows = await self._wire.candles(wanted, now, PAGE)
            self._tell_actions()
            step = self._sequence.answered(rows, now)
            forming = [row for row in rows if row.open_ns <= now < row.open_ns + self.timeframe.ns]
            step.events += [event for row in forming for event in self._sequence.shown(row)]
            if step.events:
                self._doubt_stream()
            self._carry_out(step)
            if step.ask:
                return True
            if len(rows) < PAGE or self._sequence.wanted_ns <= wanted:
                break
            await self._room()
        await self._answered(now)
        return False

    def _tell_actions(self) -> None:
        """Splits and dividends before the bars that are ex of them; what is due before a delivered bar is past."""
        for action in sorted(self._wire.actions(), key=lambda action: action.ts_ns):
            if action in self._acted or action.ts_ns <= self._sequence.next_ns - self.timeframe.ns:
                continue
            self._acted.add(action)
            if isinstance(action, Split):
                self._sequence.split(action.ts_ns, float(action.ratio))
            self._mail.put(Acted(action))

    def _doubt_stream(self) -> None:
        """The venue has news that the stream, silent for so long, did not bring: it is half open, and let go."""
        silent = time.monotonic() - self._framed
        if self._streaming and silent > self.watch.stale_s and self._listener is not None:
            self._complain("The stream is silent while the market moves.")
            self._streaming = False
            self._listener.cancel()

    async def _answered(self, now_ns: int) -> None:
        """An answer is as good as a message, unless it lacks what should have closed long ago."""
        behind_ns = now_ns - self._sequence.next_ns - self.timeframe.ns
        if behind_ns > self.watch.stale_s * 1e9 and not self._sequence.holding:
            if time.monotonic() - self._inquired > self.watch.stale_s:
                self._inquired = time.monotonic()
                self._suspended = not await self._wire.trading()
            reason = "has suspended or delisted the market" if self._suspended else "answers, but has no new bars"
            self._complain(f"The venue {reason}.")
            return
        self._heard = time.monotonic()
        if self._stale is not None:
            self._mail.put(Recovered(time.monotonic() - self._stale))
            self._stale = None

    def _complain(self, reason: str) -> None:
        """Say once that nothing is heard, if that is so for long enough."""
        silent = time.monotonic() - self._heard
        if self._stale is None and silent > self.watch.stale_s:
            self._stale = self._heard
            self._mail.put(Stale(silent, reason))

    async def _tick(self) -> None:
        """Notice what does not come."""
        watch = self.watch
        step = max(0.005, min(0.25, watch.poll_s / 4, watch.stale_s / 4))
        asked = time.monotonic()
        while True:
            await asyncio.sleep(step)
            now = time.monotonic()
            if now - asked < watch.poll_s:
                continue
            due = self._clock.now_ns() >= self._sequence.next_ns + self.timeframe.ns + round(watch.settle_s * 1e9)
            unchecked = self._sequence.unchecked and now - self._delivered > watch.check_s
            silent = now - self._heard > watch.stale_s
            if due or unchecked or silent or not self._streaming or now - self._clock.measured > watch.clock_s:
                asked = now
                self._asking.set()
            if now - self._heard > 2 * watch.stale_s:
                self._complain("The venue sends nothing and does not answer.")
