"""Where a figure came from: from the money of a session back to the code, the model and the data that made it.

Profit or loss at a row of the journal <- the fill before it <- its order <- the decision that asked for it <- the
model's version <- its training run <- the version of the data <- the version of the code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.sessions.journal import Journal
from pregao.sessions.records import JournalRow, SessionRow
from pregao.sessions.views import view

_OF_ONE = ("fill", "order", "intent", "proposal", "memory", "model")
"""Kinds that are of one instrument, also without its place: that is the first's."""


class Step(NamedTuple):
    """One link of the chain.

    Attributes:
        what: ``figure``, ``fill``, ``order``, ``decision``, ``model``, ``run``, ``data``, ``code``.
        seq: row of the journal that says so; None for what is known from elsewhere.
        facts: what it says; empty if there is nothing to say, and ``note`` says why.
        note: what is missing, and why.
    """

    what: str
    seq: int | None
    facts: dict[str, Any]
    note: str = ""


def lineage(journal: Journal, session_id: str, seq: int | None = None) -> list[Step]:
    """The chain behind the profit or loss at a row; by default the last one.

    Raises:
        NotFoundError: if there is no such session or row.
        DamagedError: if the journal was changed up to that row.
    """
    session = journal.session(session_id)
    rows = list(journal.verified(session_id))
    if not rows:
        raise UsageError(f"Session {session_id} has not begun yet.", "Wait for its first bar.")
    wanted = rows[-1].seq if seq is None else seq
    if not 1 <= wanted <= rows[-1].seq:
        raise NotFoundError(f"Session {session_id} has no row {wanted}.", f"Its rows are 1 to {rows[-1].seq}.")
    rows = rows[:wanted]
    book = rows[-1].body.get("b", 0 if rows[-1].kind in _OF_ONE else None)
    fill = _last(rows, "fill", book)
    order = None if fill is None else _accepted(rows, fill)
    decision = None if fill is None else _decision(rows, fill)
    return [
        _figure(rows, session),
        _step("fill", fill, session, "nothing has been traded up to here"),
        _step(
            "order", order, session, "" if fill is None else "it is the bracket's own exit, placed by the entry's fill"
        ),
        _step(
            "decision", decision, session, "" if fill is None else "a person asked for it, or the end of the session"
        ),
        *_made_of(rows[0], *_model_at(rows if decision is None else rows[: decision.seq], session, fill)),
    ]


def _figure(rows: list[JournalRow], session: SessionRow) -> Step:
    bar = next((row for row in reversed(rows) if row.kind == "bar" and "eq" in row.body), None)
    if bar is None:
        return Step("figure", None, {}, "no bar has been lived through yet")
    shown = view(bar, *session.instruments)
    names = ("t", "pnl", "eq", "fees") if session.also else ("t", "pnl", "eq", "pos", "fees")  # of the account alone
    return Step("figure", bar.seq, {name: shown[name] for name in names})


def _step(what: str, row: JournalRow | None, session: SessionRow, note: str) -> Step:
    if row is None:
        return Step(what, None, {}, note)
    shown = view(row, *session.instruments)
    return Step(what, row.seq, {k: v for k, v in shown.items() if k not in ("s", "k") and v is not None})


def _last(rows: list[JournalRow], kind: str, book: int | None) -> JournalRow | None:
    """The last row of a kind; where the row that was asked for is of one instrument, of that."""
    return next((r for r in reversed(rows) if r.kind == kind and book in (None, r.body.get("b", 0))), None)


def _accepted(rows: list[JournalRow], fill: JournalRow) -> JournalRow | None:
    """The row with which the order that filled was accepted."""
    number = fill.body["id"]
    return next(
        (r for r in rows if r.kind == "order" and r.body["id"] == number and r.body["state"] == "accepted"), None
    )


def _decision(rows: list[JournalRow], fill: JournalRow) -> JournalRow | None:
    """The decision behind a fill: of an entry or a wanted exit the one before its order; of a bracket's exit, and
    of one whose time was over, the one that opened the position."""
    order = _accepted(rows, fill)
    wanted = fill.body["role"] == "exit" and (order is None or order.body["reason"] != "horizon reached")
    actions = ("exit",) if wanted else ("enter",)
    until = fill.seq if order is None else order.seq
    book = fill.body.get("b", 0)
    for row in reversed(rows[:until]):
        if (
            row.kind == "intent"
            and row.body.get("b", 0) == book
            and row.body["action"] in actions
            and (row.body["acted"] or row.body["why"] == "approval")
        ):
            return row
        if row.kind == "command" and row.body["outcome"] == "done" and wanted:
            return row if row.body["command"] in ("flatten", "stop") else None
    return None


def _model_at(
    rows: list[JournalRow], session: SessionRow, fill: JournalRow | None
) -> tuple[int, str | None, str | None]:
    """The place of the instrument of a fill, the name of the model that was asked for it in the last of these rows, and
    its version: champions take over while a session runs."""
    book = fill.body.get("b", 0) if fill is not None else 0
    own = (row.body for row in reversed(rows) if row.kind == "model" and row.body.get("b", 0) == book)
    name, began_with = session.model_name, session.model_version
    if book:
        _, name, began_with = session.also[book - 1]
    return book, name, next((body["version"] for body in own if not body["reason"]), began_with)


def _made_of(started: JournalRow, book: int, name: str | None, version: str | None) -> list[Step]:
    """Strategy, model, run, data and code."""
    facts = started.body | (started.body["also"][book - 1] if book else {})
    model: dict[str, Any] = {"strategy": facts.get("strategy"), "strategy_version": facts.get("strategy_version")}
    code = {"pregao": facts.get("pregao")}
    data = {"version": facts.get("data_version"), "instrument": facts.get("instrument")}
    if name is None:
        return [
            Step("model", 1, model, "the strategy uses none"),
            Step("run", None, {}, "without a model there was no training"),
            Step("data", 1, data, "" if data["version"] else _unversioned(facts)),
            Step("code", 1, code),
        ]
    model |= {"name": name, "version": version}
    try:
        from pregao.learning import registry

        found = [m for m in registry.list_models(name) if m.version == version]
    except PregaoError as error:
        return [
            Step("model", 1, model),
            Step("run", None, {}, error.message),
            Step("data", 1, data | {"trained_on": facts.get("trained_on")}),
            Step("code", 1, code),
        ]
    if not found:
        missing = f"version {version} of {name} is not in the registry any more"
        return [
            Step("model", 1, model, missing), Step("run", None, {}, missing),
            Step("data", 1, data | {"trained_on": facts.get("trained_on")}), Step("code", 1, code),
        ]  # fmt: skip
    info = found[0]
    run = {
        "run_id": info.run_id, "params_hash": info.params_hash, "features": info.feature_set,
        "feature_hash": info.feature_hash, "seed": info.seed, "digest": info.model_digest,
        "gate": "passed" if info.gate.get("passed") else "refused",
    }  # fmt: skip
    trained = {"trained_on": info.data_version, "trained_on_revision": info.data_revision}
    return [
        Step("model", 1, model),
        Step("run", None, run),
        Step("data", 1, data | trained),
        Step("code", 1, code | {"trained_with": info.code_version}),
    ]


def _unversioned(facts: dict[str, Any]) -> str:
    return "it was followed live; the bars are in the journal" if facts.get("live") else "the data had no version then"
