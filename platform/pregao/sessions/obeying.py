"""What a person may command a session; each command says why it is refused, or is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregao.sessions.batch import Batch
from pregao.sessions.records import Body, Entry
from pregao.strategies.contract import Exit

if TYPE_CHECKING:
    from pregao.sessions.machine import Machine


def obey(machine: Machine, batch: Batch, kind: str, body: Body) -> str:
    """Carry a command out; ``done``, or why it was refused."""
    act = {
        "pause": _pause, "resume": _resume, "stop": _stop, "flatten": _flatten, "approve": _approve, "reject": _reject,
    }  # fmt: skip
    if kind not in act:
        return "there is no such command"
    return act[kind](machine, batch, body) or "done"


def _pause(machine: Machine, batch: Batch, body: Body) -> str:
    if machine.status == "paused" or machine.stopping:
        return "the session is stopping" if machine.stopping else "the session is already paused"
    machine.hold(batch, "person")
    return ""


def _resume(machine: Machine, batch: Batch, body: Body) -> str:
    if machine.status != "paused" or machine.stopping:
        return "the session is stopping" if machine.stopping else "the session is not paused"
    machine.status, machine.error = "running", None
    if machine.guard.drawn_down:
        machine.guard.rearm()
    machine.notices.pop("risk", None)
    batch.entries.append(Entry(machine.now_ns, "resumed", {"by": "person"}))
    return ""


def _stop(machine: Machine, batch: Batch, body: Body) -> str:
    if machine.stopping:
        return "the session is already stopping"
    machine.stopping = True
    machine.proposals.withdraw(batch)
    _leave(machine, batch, body, "stop")
    machine.stop_if_flat(batch)
    return ""


def _leave(machine: Machine, batch: Batch, body: Body, reason: str) -> bool:
    """Close the positions, or that of the one instrument that the command names: at the price that was heard last,
    where the command has one, else at the next open; whether there was anything to close."""
    heard = {int(number): price for number, price in body.get("prices", {}).items()}
    if "price" in body:
        heard[0] = [body["price"], body["at"]]
    any_left = False
    for book in machine.books:
        if body.get("book", book.number) != book.number:
            continue
        events = book.hand.apply(Exit(reason))
        if book.number in heard and not book.unheard:
            price, at_ns = heard[book.number]
            events += machine.engine.leave_now(price, at_ns, book.number)
        machine.record(batch, events)
        any_left = any_left or bool(events)
    return any_left


def _flatten(machine: Machine, batch: Batch, body: Body) -> str:
    number = body.get("book")
    if number is None:
        machine.proposals.withdraw(batch)
    elif number >= len(machine.books):
        return "the session has no such instrument"
    else:
        machine.proposals.end(batch, "withdrawn", number)
    return "" if _leave(machine, batch, body, "flatten") else "there is nothing to close"


def _approve(machine: Machine, batch: Batch, body: Body) -> str:
    refused, proposal = machine.proposals.refuses(body), machine.proposals.named(body)
    if refused or proposal is None:
        return refused
    book = machine.books[proposal.book]
    if book.unheard:
        return "the market is not heard now"
    if machine.unheard(book):
        return "the broker is not heard now"
    limits: Body = {}
    intent = book.hand.allowed(proposal.intent, machine.bars, limits)
    if intent is None:
        return f"the limits do not allow it now: {limits['limit']}"
    machine.proposals.end(batch, "approved", book.number)
    events = book.hand.apply(intent)
    machine.record(batch, events)
    return "" if events else "a position is already open"


def _reject(machine: Machine, batch: Batch, body: Body) -> str:
    refused, proposal = machine.proposals.refuses(body), machine.proposals.named(body)
    if proposal is not None:
        machine.proposals.end(batch, "rejected", proposal.book)
    return refused
