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
    machine.proposals.end(batch, "withdrawn")
    _leave(machine, batch, body, "stop")
    machine.stop_if_flat(batch)
    return ""


def _leave(machine: Machine, batch: Batch, body: Body, reason: str) -> bool:
    """Close the position: at the price that was heard last, where the command has one, else at the next open; whether
    there was anything to close."""
    events = machine.hand.apply(Exit(reason))
    if "price" in body and not machine.stale and not machine.held_ns:
        events += machine.desk.engine.leave_now(body["price"], body["at"])
    machine.record(batch, events)
    return bool(events)


def _flatten(machine: Machine, batch: Batch, body: Body) -> str:
    machine.proposals.end(batch, "withdrawn")
    return "" if _leave(machine, batch, body, "flatten") else "there is nothing to close"


def _approve(machine: Machine, batch: Batch, body: Body) -> str:
    refused = machine.proposals.refuses(body)
    proposal = machine.proposals.open
    if refused or proposal is None:
        return refused
    if machine.stale or machine.held_ns:
        return "the market is not heard now"
    if machine.unheard:
        return "the broker is not heard now"
    limits: Body = {}
    intent = machine.hand.allowed(proposal.intent, machine.bars, limits)
    if intent is None:
        return f"the limits do not allow it now: {limits['limit']}"
    machine.proposals.end(batch, "approved")
    events = machine.hand.apply(intent)
    machine.record(batch, events)
    return "" if events else "a position is already open"


def _reject(machine: Machine, batch: Batch, body: Body) -> str:
    refused = machine.proposals.refuses(body)
    if not refused:
        machine.proposals.end(batch, "rejected")
    return refused
