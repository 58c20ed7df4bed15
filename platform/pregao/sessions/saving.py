"""The whole state of a session as bytes, for snapshots: the same history gives the same bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.sessions.records import canonical

if TYPE_CHECKING:
    from pregao.sessions.machine import Machine

STATE = 4
"""Version of a snapshot's bytes; one of another version is passed over, and the journal replayed instead."""
_MAGIC = b"PRGS%d\n" % STATE
_PLAIN = (
    "status", "error", "stopping", "bars", "start_ns", "memory", "notices", "warm_ns", "stale", "held_ns", "gap_ns",
    "late", "late_from_ns", "model_version", "offer",
)  # fmt: skip
"""What is saved as it is."""


def to_bytes(machine: Machine) -> bytes:
    """The state; `restore` goes on from it."""
    last = machine.last
    proposal, proposals = machine.proposals.state()
    own: dict[str, Any] = {name: getattr(machine, name) for name in _PLAIN} | {
        "last": None if last is None else [*last[:-1], repr(last.volume)], "peak": machine.peak_quanta,
        "trips": machine.trips.state(), "proposal": proposal, "proposals": proposals, "risk": machine.guard.state(),
    }  # fmt: skip
    if machine.known:
        own["known"] = machine.known
    return _MAGIC + canonical(own).encode() + b"\n" + machine.desk.to_bytes()


def restore(machine: Machine, raw: bytes) -> None:
    """Take back what `to_bytes` gave; raises `PregaoError` if it is not a state of this version."""
    if not raw.startswith(_MAGIC):
        raise PregaoError("This is not a saved session of this version of Pregão.")
    own, desk = raw[len(_MAGIC) :].split(b"\n", 1)
    state: dict[str, Any] = json.loads(own)
    machine.desk.restore(desk)
    machine.known = state.get("known", [])
    machine.learn(machine.known)
    machine.guard.restore(state["risk"])
    machine.trips.restore(state["trips"])
    machine.proposals.restore(state["proposal"], state["proposals"])
    machine.peak_quanta = state["peak"]
    last = state["last"]
    machine.last = None if last is None else Bar._make([*last[:-1], float(last[-1])])
    for name in _PLAIN:
        setattr(machine, name, state[name])
