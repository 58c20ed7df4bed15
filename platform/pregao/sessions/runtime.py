"""The runner of a session: feed and commands in, one transaction each, until it ends or is told to let go.

Whoever calls `run` first takes the session's next epoch: any other runner's next write fails. The session then goes
on with the bar after the last one journaled, as if nothing had happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from pregao.core.bars import Bar, Bars
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.features.beside import STALE
from pregao.learning.registry import CHALLENGER, CHAMPION
from pregao.market.feeds.sequence import JUMP
from pregao.market.store import Store
from pregao.sessions.advice import Adviser
from pregao.sessions.assembly import Part, assembled, market_of
from pregao.sessions.batch import Batch
from pregao.sessions.beside import Stored, beside_of
from pregao.sessions.brokers.account import VenueAccount
from pregao.sessions.brokers.courier import Courier, Stand
from pregao.sessions.brokers.joining import lines
from pregao.sessions.brokers.limits import Limits
from pregao.sessions.champion import RegistryAwayError, Watch, loaded
from pregao.sessions.corporate import rows_of
from pregao.sessions.hand import exposures
from pregao.sessions.intents import Decision, ask
from pregao.sessions.isolation import Isolated
from pregao.sessions.journal import Journal
from pregao.sessions.places import Alone, Place
from pregao.sessions.records import ENDED, Body, Projection, Status
from pregao.sessions.recovery import recover_and_cut
from pregao.sessions.rounds import LiveRound, ReplayRound, Round, ShadowRound
from pregao.sessions.shadow import Beside, before
from pregao.sessions.spec import Live, Shadow
from pregao.sessions.writer import LOST, FencedError, UnwritableError, Writer, patiently

LEARN_S = 300.0
"""A session that follows a market looks this often whether its store has new splits or dividends."""
HEARTBEAT_S = 2.0
"""A runner without bars shows itself this often."""


@dataclass(frozen=True, slots=True)
class Tick:
    """How a session stands after an event. Money in the quote currency, position in base units."""

    session_id: str
    seq: int
    status: Status
    error: str | None
    bars: int
    bars_total: int
    equity: float
    pnl: float
    position: float
    trades: int


def run(
    session_id: str,
    journal: Journal,
    *,
    stop: Callable[[], bool] = lambda: False,
    on_tick: Callable[[Tick], None] | None = None,
    runner: str = "",
    place: Place | None = None,
    at_epoch: int | None = None,
) -> Status:
    """Run a session until it ends.

    Args:
        stop: asked at least four times a second; once it is true the runner lets go, the session keeps its status
            and any runner can take it up again. To end the session itself, send it the command ``stop``.
        on_tick: called after each committed event.
        runner: a name for this process; by default host and process id.
        place: what this process's sessions share; None has nothing to share.
        at_epoch: take the session only if its epoch is still this one, see `Journal.take_ownership`.

    Returns:
        The session's status: stopped or finished, or, when it let go, running or paused.

    Raises:
        NotFoundError: if there is no such session.
        FencedError: if another runner took the session over; it goes on there.
        UnwritableError: if the database cannot be written; the session can be taken up again.
        RegistryAwayError: if its model cannot be read because MLflow does not answer; likewise.
        PregaoError: if the session cannot go on (a part is missing, the journal is damaged or does not come out
            again); it is marked as failed with this reason.
    """
    ended = patiently(lambda: journal.session(session_id))
    if ended.status in ENDED:
        return ended.status
    writer = patiently(lambda: journal.take_ownership(session_id, runner, at_epoch))
    outcome = "killed"
    session: _Session | None = None
    try:
        session = patiently(lambda: _Session(journal, writer, on_tick, place or Alone()))
        outcome = session.live(stop)
        return session.machine.status
    except (FencedError, UnwritableError, RegistryAwayError) as error:
        outcome = str(error)
        raise
    except Exception as error:  # whatever it is, the session's page must say it; it is raised again
        outcome = str(error) if isinstance(error, PregaoError) else f"{type(error).__name__}: {error}"
        outcome = f"{outcome} {session.machine.rests() if session is not None else ''}".rstrip()
        where = getattr(error, "traceback", "")
        with suppress(DBAPIError):
            writer.fail(f"{outcome}\n{where}".rstrip())
        raise
    except BaseException as error:  # Ctrl-C or a termination signal: let go, and say so
        outcome = type(error).__name__
        raise
    finally:
        with suppress(DBAPIError):
            writer.release(outcome)


class _Session:
    """A machine, its feed and its writer, together where the journal left them."""

    def __init__(self, journal: Journal, writer: Writer, on_tick: Callable[[Tick], None] | None, place: Place) -> None:
        self._journal = journal
        self._writer = writer
        self._on_tick = on_tick
        self._place = place
        row = journal.session(writer.session_id)
        self._parts = assembled(row)
        for part, began_with in zip(self._parts.parts, row.instruments, strict=True):
            if part.instrument != began_with:
                raise PregaoError(
                    f"The trading rules of {began_with.symbol} in the store are not those that the session began with.",
                    "Ingest it with the same tick and lot size, or start a new session.",
                )
        self._instrument = row.instrument
        self.machine = recover_and_cut(journal, writer, self._parts.machine)
        writer.refresh(self.machine.projection())
        for book in self.machine.books:
            if book.desk.model is not None and book.model_version != book.first_version:
                book.desk.take(loaded(book.desk.model.name, book.model_version))
        self._watches: dict[int, Watch] = {}
        self._round: Round | None = None
        self._courier: Courier | None = None
        self._advisers = [Adviser() for _ in self.machine.books] if row.spec.meta == "veto" else []
        self._beside: Beside | None = None

    def live(self, stop: Callable[[], bool]) -> str:
        """Go on until the session ends or ``stop`` says so; returns what happened."""
        if self.machine.status == "created" and not self._begin(stop):
            return self.machine.status if self.machine.ended else "let go"
        apart = self._isolated()
        for strategy in apart:
            strategy.prepare()
        self._learn()
        self._round = self._open()
        shadows = isinstance(self._parts.spec.feed, Shadow)
        for book in self.machine.books:
            if book.desk.model is not None:
                alias = CHALLENGER if shadows else CHAMPION
                self._watches[book.number] = Watch(book.desk.model, book.offer, alias)
        if self._watches and self._parts.spec.shadow and not shadows:
            self._beside = Beside(self._journal, self._writer.session_id, run, stop)
        self._courier = self._sent_out()
        try:
            return self._loop(stop)
        finally:
            for part in (self._courier, self._beside, self._round, *self._watches.values(), *apart):
                if part is not None:
                    part.close()

    def _loop(self, stop: Callable[[], bool]) -> str:
        machine = self.machine
        poll_at = beat_at = time.monotonic()
        learn_at = beat_at + LEARN_S
        while not machine.ended:
            if stop():
                return "let go"
            now = time.monotonic()
            if now >= poll_at:
                poll_at = now + self._place.poll_s
                self._obey()
                if machine.ended:
                    break
            self._swap()
            self._hear()
            if isinstance(self._round, LiveRound) and now >= learn_at:
                learn_at = now + LEARN_S
                self._learn()
            batch = self._round.next() if self._round is not None else None
            if batch is not None:
                self._commit(batch)
                beat_at = now
            elif now - beat_at > HEARTBEAT_S:
                beat_at = now
                self._beat()
        return machine.status

    def _swap(self) -> None:
        """Take the registry's new champions, if there are any, from the next bar on."""
        for number, watch in self._watches.items():
            offer, book = watch.take(), self.machine.books[number]
            if offer is not None:
                told = {"version": offer.version, "was": book.model_version, "reason": offer.reason}
                self._commit(self.machine.offered(book.marked(told), offer.model))

    def _learn(self) -> None:
        """Journal the splits and dividends that the store knows and the session does not."""
        machine = self.machine
        for book in machine.books:
            instrument = book.desk.plan.instrument
            if instrument.asset_class == "crypto" and not instrument.synthetic:
                continue
            rows = rows_of(Store().actions(instrument), machine.now_ns, book.known)
            if rows:
                self._commit(machine.actions(book.marked({"actions": rows})))

    # The broker

    def _sent_out(self) -> Courier | None:
        """The line to the exchange, if the session's orders go to one."""
        parts, writer, stands = self._parts, self._writer, self._stands()
        if not stands or self.machine.ended:
            return None
        return Courier(
            lines(parts.spec, [part.instrument for part in parts.parts]), self._journal.engine, writer.session_id,
            stands, lambda: self._journal.session(writer.session_id).epoch == writer.epoch,
        )  # fmt: skip

    def _stands(self) -> list[Stand]:
        """How the session stands towards its exchange in each market; nothing if it has none. No order may be worth
        more than the limits allow, nor all of them together: that is held against them before the wire."""
        account, guard = self.machine.engine, self.machine.guard
        if not isinstance(account, VenueAccount):
            return []
        quantum, most = self._instrument.quantum, guard.most()
        worth = exposures(account)
        return [
            Stand(
                tuple(each.wants), each.lots,
                Limits(most * quantum, min(most, guard.together() - sum(worth) + own) * quantum),
                each.name, bool(each.away),
            )
            for each, own in zip(account.operations, worth, strict=True)
        ]  # fmt: skip

    def _hear(self) -> None:
        """Journal what the exchange said, if it said something."""
        told = self._courier.take() if self._courier is not None else None
        if told is not None:
            self._commit(self.machine.broker(told))

    def _isolated(self) -> list[Isolated]:
        strategies = (book.desk.strategy for book in self.machine.books)
        return [strategy for strategy in strategies if isinstance(strategy, Isolated)]

    def _beat(self) -> None:
        with suppress(*LOST):  # a database that stays away shows at the next bar
            self._place.beat(self._writer)

    # The beginning

    def _begin(self, stop: Callable[[], bool]) -> bool:
        """Journal the beginning; a live market that cannot be reached is waited for. False if it was not begun."""
        parts, machine = self._parts, self.machine
        if len(parts.moments):
            self._commit(machine.start(int(parts.moments[0]), parts.facts()))
            return True
        feed = parts.spec.feed
        if isinstance(feed, Shadow):
            warm = {
                book.number: before(self._journal, feed.of, feed.after, book.desk.history, book.number)
                for book in machine.books
            }
            closes = [bars[-1].close_ns for bars, _ in warm.values() if bars]
            began = max(closes, default=self._journal.session(feed.of).created_ns)
            self._commit(machine.start(began, parts.facts(), warm))
            return True
        assert isinstance(feed, Live)
        given: dict[int, tuple[list[Bar], Sequence[Mapping[str, Bar]]]] = {}
        for book, part in zip(machine.books, parts.parts, strict=True):
            its = market_of(feed, book.number)
            found = self._history(its, book.desk.history, stop)
            if found is None:
                return False
            bars = [found.bar(i) for i in range(len(found))]
            given[book.number] = bars, self._along(its, part, bars, stop)
        began = max(bars[-1].close_ns for bars, _ in given.values())
        self._commit(machine.start(began, parts.facts(), given))
        return True

    def _history(self, feed: Live, count: int, stop: Callable[[], bool]) -> Bars | None:
        """The last bars of a live market, asked for until they come; None if the session was not begun."""
        failures, wait_until, beat_at = 0, 0.0, 0.0
        machine, timeframe = self.machine, self._parts.timeframe
        asked = self._place.history(feed, timeframe, count)
        while (given := asked.get(self._place.poll_s)) is None:
            self._obey()
            if machine.ended or stop():
                return None
            now = time.monotonic()
            if now - beat_at > HEARTBEAT_S:
                beat_at = now
                self._beat()
            if isinstance(asked.error, PregaoError) and not isinstance(asked.error, NotFoundError | UsageError):
                if not wait_until:
                    failures += 1
                    wait_until = now + min(0.5 * 2**failures, 30.0)
                    waits = machine.projection()._replace(error=f"{asked.error.message} It is tried again.")
                    self._writer.refresh(waits)
                elif now > wait_until:
                    wait_until = 0.0
                    asked = self._place.history(feed, timeframe, count)
                else:
                    time.sleep(self._place.poll_s)
            elif asked.error is not None:
                raise asked.error
        return given

    def _along(self, feed: Live, part: Part, bars: list[Bar], stop: Callable[[], bool]) -> Sequence[Mapping[str, Bar]]:
        """What the features look at besides, along the bars that a live session is warmed up on.

        What the venue does not give is missing, as it would be at a bar.
        """
        asked = {
            name: self._place.history(beside_of(feed, other), other.timeframe, len(bars) + STALE)
            for name, other in part.others.items()
        }
        found = {}
        for name, one in asked.items():
            while (given := one.get(self._place.poll_s)) is None and one.error is None and not stop():
                self._obey()
            if given is not None:
                found[name] = given
        return Stored(found).along(bars) if part.others else ()

    def _open(self) -> Round | None:
        """The feed, from the bar after the last one journaled on; None if there is nothing more to live through."""
        machine, feed, place = self.machine, self._parts.spec.feed, self._place
        if machine.ended:
            return None
        if isinstance(feed, Shadow):
            return ShadowRound(self._journal, feed, machine, self._asked, place.poll_s)
        if isinstance(feed, Live):
            return LiveRound(self._parts, feed, machine, self._asked, place, self._commit)
        return ReplayRound(self._parts, feed, machine, self._asked, place.poll_s)

    def _asked(self, number: int, bar: Bar) -> Decision:
        """What the strategy wants, with the meta-model's advice where that is wanted."""
        book = self.machine.books[number]
        decision = ask(book.desk, bar, book.memory)
        return self._advisers[number].advised(decision, book.desk) if self._advisers else decision

    def _obey(self) -> None:
        """Carry out the commands that wait, each in a transaction of its own."""
        if not self._place.called(self._writer.session_id):
            return
        try:
            waiting = self._journal.inbox(self._writer.session_id)
        except LOST:  # as above
            return
        for command in waiting:
            if self.machine.ended:
                return
            batch = self.machine.command(command.kind, command.body | self._price_now(command.kind))
            self._commit(batch, (command.id, batch.outcome))

    def _price_now(self, kind: str) -> Body:
        """What exits that a person asks for between two bars of live markets fill at."""
        if kind not in ("stop", "flatten") or not isinstance(self._round, LiveRound):
            return {}
        heard = {}
        for book in self.machine.books:
            price = self._round.last_price(book.number)
            if price is None or book.last is None or abs(math.log(max(price[0], 1) / book.last.close)) > JUMP:
                continue  # not heard, or hard to believe: the next open decides
            heard[book.number] = price
        if len(self.machine.books) == 1:
            return {"price": heard[0][0], "at": heard[0][1]} if heard else {}
        return {"prices": {str(number): list(price) for number, price in heard.items()}} if heard else {}

    def _commit(self, batch: Batch, command: tuple[int, str] | None = None) -> None:
        projection = self.machine.projection()
        self._writer.append(batch.entries, projection, snapshot=batch.snapshot, trades=batch.trades, command=command)
        if self._courier is not None:
            self._courier.update(self._stands())
        if self._on_tick is not None:
            self._on_tick(self._tick(projection))

    def _tick(self, p: Projection) -> Tick:
        money, quantity = self._instrument.money, self._instrument.quantity
        return Tick(
            self._writer.session_id, self._writer.seq, p.status, p.error, p.bars, p.bars_total,
            float(money(p.equity_quanta)), float(money(p.pnl_quanta)), float(quantity(p.position_lots)), p.trades_count,
        )  # fmt: skip
