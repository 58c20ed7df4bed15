"""A session as a pure state machine: bars and commands in, journal rows out. No clock, no database, no feed.

The runtime feeds it live, recovery feeds it what the journal recorded, and both must get the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from pregao.core.bars import Bar
from pregao.core.money import PPM
from pregao.sessions import saving
from pregao.sessions.batch import Batch
from pregao.sessions.beside import row_of
from pregao.sessions.books import Book
from pregao.sessions.brokers.account import VenueAccount
from pregao.sessions.brokers.resting import resting
from pregao.sessions.intents import Decision, intent_of
from pregao.sessions.obeying import obey
from pregao.sessions.proposals import Proposals
from pregao.sessions.records import Body, Entry, Projection, Status, canonical
from pregao.sessions.risk import Guard, rules_of
from pregao.sessions.rows import account_body, bar_body, event_row, levels_of
from pregao.sessions.spec import SessionSpec
from pregao.simulation.accounts import WorkingOrder
from pregao.simulation.events import Event
from pregao.simulation.execution import Execution
from pregao.strategies.contract import Exit, Model
from pregao.strategies.desk import Desk

SNAPSHOT_BARS = 100
"""A snapshot is due after so many bars: recovery replays fewer than that."""

Decide = Callable[[int, Bar], Decision]
"""What the strategy at an instrument wants after its bar, by the instrument's place."""
Warm = Mapping[int, tuple[Sequence[Bar], Sequence[Mapping[str, Bar]]]]
"""Of each instrument bars from before the first, and of each of them those of others that the features look at."""


class Machine:
    """One session's state.

    Args:
        desks: of each instrument the strategy at the account, which they share.

    Attributes:
        books: the instruments.
        status: as in the session's row.
        bars: moments lived through, each with the bars of one instrument or more.
        last: the first bar of the last of them; None at the beginning.
        proposals: entries that wait for a person.
        peak_quanta: the highest equity at a close so far.
        notices: what the person should read, by what it is about.
        late: moments since the last one that came in time.
    """

    def __init__(self, spec: SessionSpec, desks: Sequence[Desk], bars_total: int) -> None:
        plan = desks[0].plan
        self.spec = spec
        self.bars_total = bars_total
        self.status: Status = "created"
        self.error: str | None = None
        self.stopping = False
        self.bars = 0
        self.last: Bar | None = None
        self.start_ns = 0
        self.peak_quanta = self.cash_quanta = plan.cash_quanta
        self.proposals = Proposals(spec.approval_bars, plan.timeframe.ns, lambda: self.now_ns)
        self.notices: dict[str, str] = {}
        self.late = 0
        self.late_from_ns = 0
        self.guard = Guard(rules_of(spec.risk), plan)
        self.books = tuple(Book(spec, number, desk, self.guard) for number, desk in enumerate(desks))

    @property
    def engine(self) -> Execution:
        """The account."""
        return self.books[0].desk.engine

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to do, ever."""
        return self.status in ("stopped", "finished")

    @property
    def now_ns(self) -> int:
        """The market's time: the close of the last bar, or the start."""
        return self.last.close_ns if self.last is not None else self.start_ns

    def start(self, ts_ns: int, facts: Body, warm: Warm | None = None) -> Batch:
        """The session begins, with what is known about its parts; a snapshot is due at once.

        Args:
            warm: what it is warmed up on, if no store keeps it for a replay: it is journaled.
        """
        self.start_ns = ts_ns
        self.status = "running"
        batch = Batch([Entry(ts_ns, "started", facts)])
        for number, (bars, beside) in (warm or {}).items():
            if bars:
                batch.entries.append(Entry(ts_ns, "warmed", self.books[number].warm(bars, beside)))
        self._snapshot(batch)
        return batch

    def moment(
        self,
        bars: Mapping[int, Bar],
        decide: Decide,
        late: bool = False,
        beside: Mapping[int, Mapping[str, Bar]] | None = None,
    ) -> Batch:
        """Bars that closed together: orders fill, the strategies are asked unless the session is paused or stopping.

        Args:
            bars: by the instruments' places, ascending; not all need to have one.
            late: they are caught up on: what was resting at the venue has filled, but nothing is decided on them.
            beside: bars of other instruments that an instrument's features look at, see `pregao.sessions.beside`.
        """
        batch, beside = Batch(), beside or {}
        came = [(self.books[number], bar) for number, bar in bars.items()]
        self.last = came[0][1]
        self.bars += 1
        events = self._step(bars, beside)
        accounts = [self.engine.account_of(book.number) for book in self.books]
        equity = accounts[0].equity_quanta
        self.peak_quanta = max(self.peak_quanta, equity)
        for book, bar in came:
            body = bar_body(bar, book, accounts[book.number])
            if looked := beside.get(book.number):
                body["x"] = row_of(looked)
            if bar is self.last:
                body |= account_body(accounts, self.cash_quanta, self.peak_quanta)
                if late:
                    body["late"] = True
            batch.entries.append(Entry(bar.close_ns, "bar", body))
        self.record(batch, events)
        for book, bar in came:
            self.proposals.age(batch, book.number)
            self._believed(book, bar)
        self._came(batch, self.last, late)
        for book, bar in came:
            for moved in book.hand.trail(bar.close):
                self.record(batch, moved)
        self.guard.close(self.last.close_ns, equity)
        if not late:
            self._watch_losses(batch)
        if self.stopping:
            self.stop_if_flat(batch)
        for book, bar in came:
            if self.stopping:
                break
            if self.status != "running" or late or book.stale or self.unheard(book):
                book.desk.pass_over()
            else:
                self._follow(batch, book, decide(book.number, bar))
        if self.bars % SNAPSHOT_BARS == 0:
            self._snapshot(batch)
        return batch

    def _step(self, bars: Mapping[int, Bar], beside: Mapping[int, Mapping[str, Bar]]) -> list[Event]:
        """The account meets the bars, and each instrument's desk sees its own."""
        for number, others in beside.items():
            self.books[number].desk.observe(others)
        events = self.engine.step_all(bars)
        for number, bar in bars.items():
            self.books[number].last = bar
            self.books[number].desk.saw(bar, [event for event in events if event.book == number])
        return events

    def command(self, kind: str, body: Body) -> Batch:
        """A person's command; one that does not apply is refused, and that is journaled too."""
        batch = Batch()
        batch.entries.append(Entry(self.now_ns, "command", {}))  # its outcome is known at the end
        batch.outcome = obey(self, batch, kind, body)
        batch.entries[0].body.update(command=kind, body=body, outcome=batch.outcome)
        return batch

    def finish(self) -> Batch:
        """The feed has no more bars: the session ends as it stands, marked to market."""
        self.status = "stopped" if self.stopping else "finished"
        return Batch([Entry(self.now_ns, "finished", self._summary())])

    def feed(self, told: Body) -> Batch:
        """Something happened to a feed, see `following.told`. While a market is not heard nothing is decided in it."""
        batch = Batch([Entry(self.now_ns, "feed", told)])
        book = self.books[told.get("b", 0)]
        match told["state"]:
            case "stale":
                book.stale = told["reason"]
                self._notice(book, "feed", f"The market is not heard: {told['reason']}")
            case "recovered":
                book.stale = ""
                self._notice(book, "feed", "")
            case "held":
                book.held_ns = told["t"]
                self._notice(book, "feed", f"A bar is not believed and held back: {told['reason']}.")
            case "gap":
                book.gap_ns = told["to"]
            case "passed":
                self.record(batch, book.passed(told, self.now_ns))
            case "ended":
                book.gone = True
                if all(each.gone for each in self.books):
                    self.error = told["reason"]
                    if self.status == "running":
                        self.hold(batch, "feed")
                else:
                    self._notice(book, "feed", f"The market has ended: {told['reason']}")
        return batch

    def _notice(self, book: Book, about: str, said: str) -> None:
        """What the person should read of an instrument; nothing any more if it is empty."""
        key = f"{about} {book.number}" if book.number else about
        self.notices.pop(key, None)
        if said:
            self.notices[key] = f"About {book.name}: {said}" if book.name else said

    def unheard(self, book: Book) -> str:
        """Why the exchange that has an instrument's orders is not heard; empty if it is, or there is none."""
        engine = self.engine
        return engine.operations[book.number].away if isinstance(engine, VenueAccount) else ""

    def rests(self) -> str:
        """What may be at the exchange that has the session's orders, in sentences; empty if there is none."""
        account = self.engine
        return resting(account, self.stopping) if isinstance(account, VenueAccount) and account.reached else ""

    def broker(self, told: Body) -> Batch:
        """What the exchange said, see `brokers.courier`: its fills are inputs, the account follows from them."""
        account = self.engine
        assert isinstance(account, VenueAccount)
        batch = Batch([Entry(self.now_ns, "broker", told)])
        book = self.books[told.get("b", 0)]
        operation = account.operations[book.number]
        match told["state"]:
            case "joined":
                operation.name = told["name"]
            case "away":
                operation.away = told["reason"]
                self._notice(book, "broker", f"The broker is not heard: {told['reason']}")
            case "back":
                operation.away = ""
                self._notice(book, "broker", "")
            case "told":
                events = account.hear(told["orders"])
                self.record(batch, events)
                for each in self.books:
                    each.desk.told([event for event in events if event.book == each.number])
        other_fees = account.purse.other_fees
        if other_fees:
            beside = ", ".join(f"{fee:f} {name}" for name, fee in sorted(other_fees.items()))
            self.notices["fees"] = f"Fees of {beside} were paid too; no figure here has them."
        if self.stopping and not self.ended:
            self.stop_if_flat(batch)
        return batch

    def offered(self, told: Body, model: Model | None) -> Batch:
        """The registry has a new champion: from the next bar on it is asked, unless it does not fit.

        Args:
            told: ``version``, ``was`` and the ``reason`` for which it is refused; empty if it is taken.
            model: the model; None on replay, where it is not asked.
        """
        book = self.books[told.get("b", 0)]
        book.offer = told["version"]
        if told["reason"]:
            who = "challenger" if self.spec.feed.kind == "shadow" else "champion"
            self._notice(book, "model", f"The new {who}, version {told['version']}, is not used: {told['reason']}")
        else:
            self._notice(book, "model", "")
            book.take(told["version"], model)
        return Batch([Entry(self.now_ns, "model", told)])

    def actions(self, told: Body) -> Batch:
        """Splits and dividends of an instrument that are to come; the account applies them when they are due."""
        book = self.books[told.get("b", 0)]
        book.known += told["actions"]
        book.learn(told["actions"])
        return Batch([Entry(self.now_ns, "actions", told)])

    def cut(self, told: Body) -> Batch:
        """The journal was damaged and has been cut back to here; ``told`` says why, see `recovery.recover_and_cut`."""
        rows = f"{told['rows']} rows from {told['from']} on are" if told["rows"] else "nothing is"
        self.notices["journal"] = (
            f"The journal was damaged at row {told['row']} ({told['why']}) and was cut there; {rows} in the quarantine."
        )
        return Batch([Entry(self.now_ns, "cut", told)])

    def projection(self) -> Projection:
        """The session's row as it is now; its details tell how each instrument stands."""
        account, waiting = self.engine.account, self.proposals.bodies()
        return Projection(
            self.status, self.error, self.bars, self.bars_total, self.last.open_ns if self.last else 0,
            account.equity_quanta, account.equity_quanta - self.cash_quanta, self.fees_quanta,
            account.position_lots, sum(book.trips.count for book in self.books),
            sum(book.trips.wins for book in self.books), canonical(waiting[0]) if waiting else None,
            self._details(waiting[1:]),
        )  # fmt: skip

    def _details(self, waiting: list[Body]) -> str:
        away = any(self.unheard(book) for book in self.books)
        notices = self.notices | ({"orders": self.rests()} if away else {})
        if self.stopping and not self.ended and not away:
            held = ", ".join(book.desk.plan.instrument.symbol for book in self._held())
            notices["stop"] = f"Stopping: the session ends as soon as its position in {held} is closed."
        details: Body = {"notices": notices} if notices else {}
        first = self.books[0]
        if first.desk.model is not None and first.model_version != first.first_version:
            details["model_version"] = first.model_version
        orders = self.engine.open_orders()
        details["books"] = [self._standing(book, orders) for book in self.books]
        if waiting:
            details["proposals"] = waiting
        return canonical(details)

    def _standing(self, book: Book, orders: list[WorkingOrder]) -> Body:
        """How an instrument stands: position, its cost, bars and exits, last price, fees, round trips, the model that
        is asked."""
        account = self.engine.account_of(book.number)
        return {
            "pos": account.position_lots, "cost": account.cost_quanta, "c": account.last_ticks,
            "held": account.bars_held, **levels_of(orders, book.number),
            "fees": account.fees_quanta, "pnl": book.trips.pnl, "trades": book.trips.count, "wins": book.trips.wins,
            "model_version": book.model_version or None,
        }  # fmt: skip

    @property
    def fees_quanta(self) -> int:
        """Fees paid so far."""
        return sum(self.engine.account_of(book.number).fees_quanta for book in self.books)

    def to_bytes(self) -> bytes:
        """The whole state, see `saving`."""
        return saving.to_bytes(self)

    def restore(self, raw: bytes) -> None:
        """Take back what `to_bytes` gave; raises `PregaoError` if it is not a state of this version."""
        saving.restore(self, raw)

    # What a bar causes

    def _came(self, batch: Batch, bar: Bar, late: bool) -> None:
        """Count the moments that came late, and tell how many they were once one is in time again."""
        if late:
            self.late_from_ns = self.late_from_ns if self.late else bar.open_ns
            self.late += 1
        elif self.late:
            missed = {"bars": self.late, "from": self.late_from_ns, "to": bar.open_ns}
            batch.entries.append(Entry(bar.close_ns, "missed", missed))
            self.late = 0

    def _believed(self, book: Book, bar: Bar) -> None:
        """A bar has come: also one that was held back, or one after it."""
        book.gone = False
        if book.held_ns and bar.open_ns >= book.held_ns:
            book.held_ns = 0
            if not book.stale:
                self._notice(book, "feed", "")

    def _watch_losses(self, batch: Batch) -> None:
        """Act on the limits that need no entry to be reached: see `risk.Rules`."""
        guard = self.guard
        if guard.drawn_down and self.status == "running" and not self.stopping:
            fall = (guard.peak - guard.equity) * PPM // guard.peak
            self._tell_risk(batch, "drawdown", guard.rules.drawdown_ppm, fall)
            self.notices["risk"] = (
                f"The equity fell {fall / 1e4:.2f} % below its peak: the position was closed and the session paused."
                if len(self.books) == 1
                else f"The equity fell {fall / 1e4:.2f} % below its peak: the positions were closed and the session "
                "paused."
            )
            for book in self.books:
                self.record(batch, book.hand.apply(Exit("drawdown")))
            self.hold(batch, "risk")
        elif guard.day_is_lost and not guard.halted:
            guard.halted = True
            loss = (guard.day_equity - guard.equity) * PPM // guard.day_equity
            self._tell_risk(batch, "daily loss", guard.rules.daily_loss_ppm, loss)
            self.notices["risk"] = f"{loss / 1e4:.2f} % were lost today (UTC): no more entries until tomorrow."
            self.proposals.withdraw(batch)
            self._cancel_entries(batch)
        elif not guard.halted and self.notices.get("risk", "").endswith("tomorrow."):
            del self.notices["risk"]

    def _tell_risk(self, batch: Batch, rule: str, limit: int, reached: int) -> None:
        batch.entries.append(Entry(self.now_ns, "risk", {"rule": rule, "limit": limit, "reached": reached}))

    def _follow(self, batch: Batch, book: Book, decision: Decision) -> None:
        """Journal what the strategy wants, and do what the mode lets it do."""
        for body in decision.intents:
            limits: Body = {}
            why, events = self._act(batch, book, body, limits)
            told = body | {"acted": not why, "why": why, "t": book.last.open_ns if book.last else self.start_ns}
            batch.entries.append(Entry(self.now_ns, "intent", book.marked(told | limits)))
            self.record(batch, events)
            if why == "approval":
                self.proposals.make(batch, body, book.number)
        if decision.memory != book.memory:
            book.memory = decision.memory
            batch.entries.append(Entry(self.now_ns, "memory", book.marked({"state": decision.memory})))
        if decision.error:
            self.error = f"{book.name}: {decision.error}" if book.name else decision.error
            fault = {"where": "strategy", "message": decision.error, "traceback": decision.traceback}
            batch.entries.append(Entry(self.now_ns, "error", book.marked(fault)))
            self.hold(batch, "error")

    def _act(self, batch: Batch, book: Book, body: Body, limits: Body) -> tuple[str, list[Event]]:
        """Do what an intent says, or say why not: ``observe``, ``approval``, ``waiting``, ``ignored``, ``note``,
        ``risk``, ``meta`` (the meta-model's veto). Which limit bound an entry, and what it left of it, is put into
        ``limits``."""
        action, hand = body["action"], book.hand
        if action == "note":
            return "note", []
        if action == "wait":
            return "", hand.apply(intent_of(body))
        if self.spec.mode == "observe":
            return "observe", []
        if action == "exit":
            self.proposals.end(batch, "withdrawn", book.number)
        elif body.get("veto"):
            return "meta", []
        elif self.spec.mode == "approve":
            if hand.busy:
                return "ignored", []
            if self.proposals.waits(body["side"], book.number):
                return "waiting", []
            return ("approval" if hand.allowed(body, self.bars, limits) is not None else "risk"), []
        if action == "exit":
            events = hand.apply(intent_of(body))
            return ("" if events else "ignored"), events
        if hand.busy:
            return "ignored", []
        entry = hand.allowed(body, self.bars, limits)
        if entry is None:
            return "risk", []
        events = hand.apply(entry)
        return ("" if events else "ignored"), events

    # What bars and commands cause

    def hold(self, batch: Batch, by: str) -> None:
        """Pause: no new entry from now on, also not one that was already decided; exits stay."""
        self.proposals.withdraw(batch)
        self._cancel_entries(batch)
        self.status = "paused"
        batch.entries.append(Entry(self.now_ns, "paused", {"by": by}))

    def stop_if_flat(self, batch: Batch) -> None:
        """A session that is stopping has ended once it holds nothing, and nothing is on its way; what it holds of a
        market that has ended stays."""
        if not self._held():
            self.status = "stopped"
            batch.entries.append(Entry(self.now_ns, "stopped", self._summary()))

    def _held(self) -> list[Book]:
        """Whose positions and entries a session that is stopping waits for."""
        return [book for book in self.books if book.hand.busy and not (book.gone and book.name)]

    def record(self, batch: Batch, events: list[Event]) -> None:
        """Order events as rows, and the round trips that they close."""
        bar_ns = self.last.open_ns if self.last is not None else self.start_ns
        for event in events:
            batch.entries.append(event_row(event, bar_ns))
            trade = self.books[event.book].trips.fill(event) if event.kind == "fill" else None
            if trade is not None:
                number = sum(book.trips.count for book in self.books)
                batch.trades.append(trade._replace(number=number, book=event.book))
                if trade.pnl_quanta < 0:
                    self.guard.lost(self.bars)

    def _cancel_entries(self, batch: Batch) -> None:
        for book in self.books:
            for order_id in book.hand.entries():
                self.record(batch, self.engine.cancel(order_id))

    # Rows of more than one kind of input

    def _summary(self) -> Body:
        account = self.engine.account
        held = [self.engine.account_of(book.number).position_lots for book in self.books]
        return {
            "status": self.status, "bars": self.bars, "eq": account.equity_quanta,
            "pnl": account.equity_quanta - self.cash_quanta, "fees": self.fees_quanta, "pos": held[0],
            "trades": sum(book.trips.count for book in self.books),
            "wins": sum(book.trips.wins for book in self.books), "digest": self.digest(),
        } | ({"held": held} if len(held) > 1 else {})  # fmt: skip

    def digest(self) -> str:
        """SHA-256 of the account's state, hexadecimal."""
        return hashlib.sha256(self.engine.to_bytes()).hexdigest()

    def _snapshot(self, batch: Batch) -> None:
        """The state as it is now; the row that names it comes last and is not part of it."""
        batch.snapshot = self.to_bytes()
        digest = hashlib.sha256(batch.snapshot).hexdigest()
        batch.entries.append(
            Entry(self.now_ns, "snapshot", {"bars": self.bars, "sha256": digest, "state": saving.STATE})
        )
