"""The whole state of a session as bytes, for snapshots: the same history gives the same bytes."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from pregao.core.bars import Bar
from pregao.core.errors import PregaoError
from pregao.sessions.records import canonical

if TYPE_CHECKING:
    from pregao.sessions.machine import Machine

STATE = 5
"""Version of a snapshot's bytes; one of another version is passed over, and the journal replayed instead."""
_MAGIC = b"PRGS%d\n" % STATE
_PLAIN = ("status", "error", "stopping", "bars", "start_ns", "notices", "late", "late_from_ns")
"""What is saved as it is."""


def to_bytes(machine: Machine) -> bytes:
    """The state; `restore` goes on from it."""
    last = machine.last
    proposals, count = machine.proposals.state()
    own: dict[str, Any] = {name: getattr(machine, name) for name in _PLAIN} | {
        "last": None if last is None else [*last[:-1], repr(last.volume)], "peak": machine.peak_quanta,
        "proposals": proposals, "proposed": count, "risk": machine.guard.state(),
        "engine": b64encode(machine.engine.to_bytes()).decode(), "books": [book.state() for book in machine.books],
    }  # fmt: skip
    return _MAGIC + canonical(own).encode()


def restore(machine: Machine, raw: bytes) -> None:
    """Take back what `to_bytes` gave; raises `PregaoError` if it is not a state of this version."""
    if not raw.startswith(_MAGIC):
        raise PregaoError("This is not a saved session of this version of Pregão.")
    state: dict[str, Any] = json.loads(raw[len(_MAGIC) :])
    engine = machine.engine
    plans = [book.desk.plan for book in machine.books]
    restored = engine.from_bytes(plans, b64decode(state["engine"]))
    for book, saved in zip(machine.books, state["books"], strict=True):
        book.desk.engine = restored
        book.restore(saved)
    machine.guard.restore(state["risk"])
    machine.proposals.restore(state["proposals"], state["proposed"])
    machine.peak_quanta = state["peak"]
    last = state["last"]
    machine.last = None if last is None else Bar._make([*last[:-1], float(last[-1])])
    for name in _PLAIN:
        setattr(machine, name, state[name])
