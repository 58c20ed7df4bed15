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
from pregao.sessions.brokers.account import VenueAccount
from pregao.sessions.brokers.resting import resting
from pregao.sessions.corporate import Row, actions_of
from pregao.sessions.hand import Hand
from pregao.sessions.intents import Decision, intent_of
from pregao.sessions.obeying import obey
from pregao.sessions.proposals import Proposals
from pregao.sessions.records import Body, Entry, Projection, Status, canonical
from pregao.sessions.risk import Guard, rules_of
from pregao.sessions.roundtrips import RoundTrips
from pregao.sessions.rows import bar_body, event_row
from pregao.sessions.spec import SessionSpec
from pregao.simulation.engine import Engine
from pregao.simulation.events import Event
from pregao.strategies.contract import Exit, Model
from pregao.strategies.desk import Desk

SNAPSHOT_BARS = 100
"""A snapshot is due after so many bars: recovery replays fewer than that."""

Decide = Callable[[Bar], Decision]


class Machine:
    """One session's state.

    Attributes:
        desk: the strategy at its account.
        status: as in the session's row.
        bars: bars lived through.
        last: the last of them; None at the beginning.
        memory: the strategy's own state, canonical JSON.
        proposals: entries that wait for a person.
        peak_quanta: the highest equity at a close so far.
        notices: what the person should read, by what it is about.
        warm_ns: open time of the last bar that it was warmed up on; 0 if that is not its own affair.
        stale: why the market is not heard; empty if it is.
        held_ns: open time of a bar that is not believed; 0 without one.
        known: splits and dividends that the account knows of, see `corporate`.
        late: bars since the last one that came in time.
        model_version, offer: of the model that is asked, and of the last champion that was offered.
    """

    def __init__(self, spec: SessionSpec, desk: Desk, bars_total: int) -> None:
        self.spec = spec
        self.desk = desk
        self.bars_total = bars_total
        self.status: Status = "created"
        self.error: str | None = None
        self.stopping = False
        self.bars = 0
        self.last: Bar | None = None
        self.start_ns = 0
        self.peak_quanta = desk.plan.cash_quanta
        self.memory = canonical(desk.strategy.save())
        self.trips = RoundTrips(desk.plan.instrument.tick_quanta)
        self.proposals = Proposals(spec.approval_bars, desk.plan.timeframe.ns, lambda: self.now_ns)
        self.notices: dict[str, str] = {}
        self.warm_ns = 0
        self.stale = ""
        self.held_ns = 0
        self.gap_ns = 0
        self.known: list[Row] = []
        self.late = 0
        self.late_from_ns = 0
        self.guard = Guard(rules_of(spec.risk), desk.plan)
        self.hand = Hand(spec, desk, self.guard)
        self.model_version = str(desk.model.version) if desk.model is not None else ""
        self.offer = self.first_version = self.model_version

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to do, ever."""
        return self.status in ("stopped", "finished")

    @property
    def now_ns(self) -> int:
        """The market's time: the close of the last bar, or the start."""
        return self.last.close_ns if self.last is not None else self.start_ns

    def start(
        self, ts_ns: int, facts: Body, warm: Sequence[Bar] = (), beside: Sequence[Mapping[str, Bar]] = ()
    ) -> Batch:
        """The session begins, with what is known about its parts; a snapshot is due at once.

        Args:
            warm: bars from before its beginning, if no store keeps them for a replay: they are journaled.
            beside: of each of them the bars of other instruments that the features look at; empty if they do not.
        """
        self.start_ns = ts_ns
        self.status = "running"
        batch = Batch([Entry(ts_ns, "started", facts)])
        if warm:
            self.desk.warm(warm, beside)
            self.warm_ns = warm[-1].open_ns
            rows = [[bar.open_ns, bar.close_ns, *bar[2:6], repr(bar.volume)] for bar in warm]
            told = {"bars": rows} | ({"beside": [row_of(others) for others in beside]} if beside else {})
            batch.entries.append(Entry(ts_ns, "warmed", told))
        self._snapshot(batch)
        return batch

    def bar(self, bar: Bar, decide: Decide, late: bool = False, beside: Mapping[str, Bar] | None = None) -> Batch:
        """A closed bar: orders fill, the strategy is asked unless the session is paused or stopping.

        Args:
            late: it is caught up on: what was resting at the venue has filled, but nothing is decided on it.
            beside: bars of other instruments that the features look at, see `pregao.sessions.beside`.
        """
        batch = Batch()
        if beside:
            self.desk.observe(beside)
        events = self.desk.market(bar)
        self.bars += 1
        self.last = bar
        self.peak_quanta = max(self.peak_quanta, self.desk.engine.account.equity_quanta)
        body = bar_body(bar, self.desk, self.peak_quanta)
        body |= ({"late": True} if late else {}) | ({"x": row_of(beside)} if beside else {})
        batch.entries.append(Entry(bar.close_ns, "bar", body))
        self.record(batch, events)
        self.proposals.age(batch)
        self._came(batch, bar, late)
        for moved in self.hand.trail(bar.close):
            self.record(batch, moved)
        self.guard.close(bar.close_ns, self.desk.engine.account.equity_quanta)
        if not late:
            self._watch_losses(batch)
        if self.stopping:
            self.stop_if_flat(batch)
        elif self.status != "running" or late or self.stale or self.unheard:
            self.desk.pass_over()
        else:
            self._follow(batch, decide(bar))
        if self.bars % SNAPSHOT_BARS == 0:
            self._snapshot(batch)
        return batch

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
        """Something happened to the feed, see `following.told`. While the market is not heard nothing is decided."""
        batch = Batch([Entry(self.now_ns, "feed", told)])
        match told["state"]:
            case "stale":
                self.stale = told["reason"]
                self.notices["feed"] = f"The market is not heard: {told['reason']}"
            case "recovered":
                self.stale = ""
                self.notices.pop("feed", None)
            case "held":
                self.held_ns = told["t"]
                self.notices["feed"] = f"A bar is not believed and held back: {told['reason']}."
            case "gap":
                self.gap_ns = told["to"]
            case "ended":
                self.error = told["reason"]
                if self.status == "running":
                    self.hold(batch, "feed")
        return batch

    @property
    def unheard(self) -> str:
        """Why the exchange that has the session's orders is not heard; empty if it is, or there is none."""
        engine = self.desk.engine
        return engine.away if isinstance(engine, VenueAccount) else ""

    def rests(self) -> str:
        """What may be at the exchange that has the session's orders, in sentences; empty if there is none."""
        account = self.desk.engine
        return resting(account, self.stopping) if isinstance(account, VenueAccount) and account.name else ""

    def broker(self, told: Body) -> Batch:
        """What the exchange said, see `brokers.courier`: its fills are inputs, the account follows from them."""
        account = self.desk.engine
        assert isinstance(account, VenueAccount)
        batch = Batch([Entry(self.now_ns, "broker", told)])
        match told["state"]:
            case "joined":
                account.name = told["name"]
            case "away":
                account.away = told["reason"]
                self.notices["broker"] = f"The broker is not heard: {told['reason']}"
            case "back":
                account.away = ""
                self.notices.pop("broker", None)
            case "told":
                events = account.hear(told["orders"])
                self.record(batch, events)
                self.desk.told(events)
        if account.other_fees:
            beside = ", ".join(f"{fee:f} {name}" for name, fee in sorted(account.other_fees.items()))
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
        self.offer = told["version"]
        if told["reason"]:
            who = "challenger" if self.spec.feed.kind == "shadow" else "champion"
            self.notices["model"] = f"The new {who}, version {told['version']}, is not used: {told['reason']}"
        else:
            self.model_version = told["version"]
            self.notices.pop("model", None)
            if model is not None:
                self.desk.take(model)
        return Batch([Entry(self.now_ns, "model", told)])

    def actions(self, told: Body) -> Batch:
        """Splits and dividends of the instrument that are to come; the account applies them when they are due."""
        self.known += told["actions"]
        self.learn(told["actions"])
        return Batch([Entry(self.now_ns, "actions", told)])

    def learn(self, rows: list[Row]) -> None:
        """Tell the account of actions; also after its state was restored."""
        if isinstance(self.desk.engine, Engine):
            self.desk.engine.learn(actions_of(rows))

    def cut(self, told: Body) -> Batch:
        """The journal was damaged and has been cut back to here; ``told`` says why, see `recovery.recover_and_cut`."""
        rows = f"{told['rows']} rows from {told['from']} on are" if told["rows"] else "nothing is"
        self.notices["journal"] = (
            f"The journal was damaged at row {told['row']} ({told['why']}) and was cut there; {rows} in the quarantine."
        )
        return Batch([Entry(self.now_ns, "cut", told)])

    def projection(self) -> Projection:
        """The session's row as it is now."""
        account, proposal = self.desk.engine.account, self.proposals.body()
        return Projection(
            self.status, self.error, self.bars, self.bars_total, self.last.open_ns if self.last else 0,
            account.equity_quanta, account.equity_quanta - self.desk.plan.cash_quanta, account.fees_quanta,
            account.position_lots, self.trips.count, self.trips.wins,
            canonical(proposal) if proposal is not None else None,
            self._details(),
        )  # fmt: skip

    def _details(self) -> str | None:
        notices = self.notices | ({"orders": self.rests()} if self.unheard else {})
        details: Body = {"notices": notices} if notices else {}
        if self.desk.model is not None and self.model_version != self.first_version:
            details["model_version"] = self.model_version
        return canonical(details) if details else None

    def to_bytes(self) -> bytes:
        """The whole state, see `saving`."""
        return saving.to_bytes(self)

    def restore(self, raw: bytes) -> None:
        """Take back what `to_bytes` gave; raises `PregaoError` if it is not a state of this version."""
        saving.restore(self, raw)

    # What a bar causes

    def _came(self, batch: Batch, bar: Bar, late: bool) -> None:
        """Count the bars that came late, and tell how many they were once one is in time again."""
        if late:
            self.late_from_ns = self.late_from_ns if self.late else bar.open_ns
            self.late += 1
        elif self.late:
            missed = {"bars": self.late, "from": self.late_from_ns, "to": bar.open_ns}
            batch.entries.append(Entry(bar.close_ns, "missed", missed))
            self.late = 0
        if self.held_ns and bar.open_ns >= self.held_ns:
            self.held_ns = 0
            if not self.stale:
                self.notices.pop("feed", None)

    def _watch_losses(self, batch: Batch) -> None:
        """Act on the limits that need no entry to be reached: see `risk.Rules`."""
        guard = self.guard
        if guard.drawn_down and self.status == "running" and not self.stopping:
            fall = (guard.peak - guard.equity) * PPM // guard.peak
            self._tell_risk(batch, "drawdown", guard.rules.drawdown_ppm, fall)
            self.notices["risk"] = (
                f"The equity fell {fall / 1e4:.2f} % below its peak: the position was closed and the session paused."
            )
            self.record(batch, self.hand.apply(Exit("drawdown")))
            self.hold(batch, "risk")
        elif guard.day_is_lost and not guard.halted:
            guard.halted = True
            loss = (guard.day_equity - guard.equity) * PPM // guard.day_equity
            self._tell_risk(batch, "daily loss", guard.rules.daily_loss_ppm, loss)
            self.notices["risk"] = f"{loss / 1e4:.2f} % were lost today (UTC): no more entries until tomorrow."
            self.proposals.end(batch, "withdrawn")
            self._cancel_entries(batch)
        elif not guard.halted and self.notices.get("risk", "").endswith("tomorrow."):
            del self.notices["risk"]

    def _tell_risk(self, batch: Batch, rule: str, limit: int, reached: int) -> None:
        batch.entries.append(Entry(self.now_ns, "risk", {"rule": rule, "limit": limit, "reached": reached}))

    def _follow(self, batch: Batch, decision: Decision) -> None:
        """Journal what the strategy wants, and do what the mode lets it do."""
        for body in decision.intents:
            limits: Body = {}
            why, events = self._act(batch, body, limits)
            told = (
                body | {"acted": not why, "why": why, "t": self.last.open_ns if self.last else self.start_ns} | limits
            )
            batch.entries.append(Entry(self.now_ns, "intent", told))
            self.record(batch, events)
            if why == "approval":
                self.proposals.make(batch, body)
        if decision.memory != self.memory:
            self.memory = decision.memory
            batch.entries.append(Entry(self.now_ns, "memory", {"state": decision.memory}))
        if decision.error:
            self.error = decision.error
            fault = {"where": "strategy", "message": decision.error, "traceback": decision.traceback}
            batch.entries.append(Entry(self.now_ns, "error", fault))
            self.hold(batch, "error")

    def _act(self, batch: Batch, body: Body, limits: Body) -> tuple[str, list[Event]]:
        """Do what an intent says, or say why not: ``observe``, ``approval``, ``waiting``, ``ignored``, ``note``,
        ``risk``, ``meta`` (the meta-model's veto). Which limit bound an entry, and what it left of it, is put into
        ``limits``."""
        action = body["action"]
        if action == "note":
            return "note", []
        if action == "wait":
            return "", self.hand.apply(intent_of(body))
        if self.spec.mode == "observe":
            return "observe", []
        if action == "exit":
            self.proposals.end(batch, "withdrawn")
        elif body.get("veto"):
            return "meta", []
        elif self.spec.mode == "approve":
            if self.hand.busy:
                return "ignored", []
            if self.proposals.waits(body["side"]):
                return "waiting", []
            return ("approval" if self.hand.allowed(body, self.bars, limits) is not None else "risk"), []
        if action == "exit":
            events = self.hand.apply(intent_of(body))
            return ("" if events else "ignored"), events
        if self.hand.busy:
            return "ignored", []
        entry = self.hand.allowed(body, self.bars, limits)
        if entry is None:
            return "risk", []
        events = self.hand.apply(entry)
        return ("" if events else "ignored"), events

    # What bars and commands cause

    def hold(self, batch: Batch, by: str) -> None:
        """Pause: no new entry from now on, also not one that was already decided; exits stay."""
        self.proposals.end(batch, "withdrawn")
        self._cancel_entries(batch)
        self.status = "paused"
        batch.entries.append(Entry(self.now_ns, "paused", {"by": by}))

    def stop_if_flat(self, batch: Batch) -> None:
        """A session that is stopping has ended once it holds nothing, and nothing is on its way."""
        if not self.hand.busy:
            self.status = "stopped"
            batch.entries.append(Entry(self.now_ns, "stopped", self._summary()))

    def record(self, batch: Batch, events: list[Event]) -> None:
        """Order events as rows, and the round trips that they close."""
        bar_ns = self.last.open_ns if self.last is not None else self.start_ns
        for event in events:
            batch.entries.append(event_row(event, bar_ns))
            trade = self.trips.fill(event) if event.kind == "fill" else None
            if trade is not None:
                batch.trades.append(trade)
                if trade.pnl_quanta < 0:
                    self.guard.lost(self.bars)

    def _cancel_entries(self, batch: Batch) -> None:
        for order_id in self.hand.entries():
            self.record(batch, self.desk.engine.cancel(order_id))

    # Rows of more than one kind of input

    def _summary(self) -> Body:
        account = self.desk.engine.account
        return {
            "status": self.status, "bars": self.bars, "eq": account.equity_quanta,
            "pnl": account.equity_quanta - self.desk.plan.cash_quanta, "fees": account.fees_quanta,
            "pos": account.position_lots, "trades": self.trips.count, "wins": self.trips.wins,
            "digest": self.desk.digest(),
        }  # fmt: skip

    def _snapshot(self, batch: Batch) -> None:
        """The state as it is now; the row that names it comes last and is not part of it."""
        batch.snapshot = self.to_bytes()
        digest = hashlib.sha256(batch.snapshot).hexdigest()
        batch.entries.append(
            Entry(self.now_ns, "snapshot", {"bars": self.bars, "sha256": digest, "state": saving.STATE})
        )
