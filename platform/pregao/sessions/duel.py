"""Champion and challenger beside each other: a session and its shadow, on the bars that neither model had seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from pregao.core.errors import PregaoError
from pregao.learning import registry
from pregao.learning.bootstrap import annual, better, sharpe
from pregao.learning.gate import champion_reason
from pregao.learning.params import GateParams
from pregao.learning.rivalry import DRAWS, LEAST_BLOCKS, Rivalry
from pregao.sessions.journal import Journal
from pregao.sessions.records import SessionRow
from pregao.sessions.shadow import every_row
from pregao.simulation.report import YEAR_SECONDS

DEFAULT_BLOCK = 48
"""Bars of a block of the bootstrap where the session has no horizon: how long a trade may be is not known then."""


def duel(journal: Journal, session_id: str, cuts: GateParams, seed: int = 0) -> dict[str, Any] | None:
    """How a session's shadow does beside it, as JSON; None if it has none.

    What is compared are the returns of the two accounts, bar for bar, after the last bar that either model has learnt
    from and after the last time that either was exchanged.

    Returns:
        ``session``, ``shadow`` (its id), ``status`` of the shadow, ``champion`` and ``challenger`` (versions),
        ``bars`` compared, ``start_ns`` of the first of them, ``returns`` ``[champion's, challenger's]`` over them,
        ``sharpes`` annualised, ``p`` (see `pregao.learning.rivalry.Rivalry`), and ``reason``: what the gate says of it,
        as `pregao.learning.gate.Reason`. Figures without a value are None.

    Raises:
        NotFoundError: if there is no such session.
    """
    shadow = journal.shadow_of(session_id)
    if shadow is None:
        return None
    own = journal.session(session_id)
    since_ns = max(_since(journal, row) for row in (own, shadow))
    mine, theirs = (_equity(journal, row.id, since_ns) for row in (own, shadow))
    common = sorted(mine.keys() & theirs.keys())
    one, other = (np.array([equity[t] for t in common], np.float64) for equity in (theirs, mine))
    found: dict[str, Any] = {
        "session": session_id, "shadow": shadow.id, "status": shadow.status,
        "champion": _versions(own), "challenger": _versions(shadow),
        "bars": max(len(common) - 1, 0), "start_ns": common[1] if len(common) > 1 else None,
        "returns": [None, None], "sharpes": [None, None], "p": None,
    }  # fmt: skip
    if len(common) > 3:
        returns = [np.diff(equity) / equity[:-1] for equity in (one, other)]
        per_year = YEAR_SECONDS * 1e9 * (len(common) - 1) / (common[-1] - common[0])
        block = own.spec.horizon or DEFAULT_BLOCK
        found["returns"] = [float(equity[-1] / equity[0] - 1) for equity in (other, one)]
        found["sharpes"] = [annual(float(sharpe(r)), per_year) for r in reversed(returns)]
        if len(returns[0]) >= LEAST_BLOCKS * block:
            found["p"] = better(returns[0], returns[1], block, DRAWS, seed)
    rivalry = Rivalry(
        found["champion"], found["champion"] == found["challenger"], found["bars"], found["start_ns"],
        found["sharpes"][1], found["sharpes"][0], found["p"],
    )  # fmt: skip
    return found | {"reason": champion_reason(rivalry, cuts.max_champion_p).to_json()}


def duels(journal: Journal, name: str, cuts: GateParams, seed: int = 0) -> list[dict[str, Any]]:
    """The duels of all sessions whose shadow trades a registered model's challenger of now, newest first."""
    challenger = registry.aliased(name, registry.CHALLENGER)
    found = []
    for row in journal.sessions():
        if challenger is None or row.spec.model != name or row.spec.feed.kind == "shadow":
            continue
        one = duel(journal, row.id, cuts, seed)
        if one is not None and one["challenger"] == challenger:
            found.append(one)
    return found


def _since(journal: Journal, row: SessionRow) -> int:
    """The moment from which on a session's model of now trades, on bars that it has not learnt from."""
    taken = max((r.ts_ns for r in every_row(journal, row.id) if r.kind == "model" and not r.body["reason"]), default=0)
    return max([taken, *(_trained_until(name, version) for _, name, version in row.traded_by)])


def _trained_until(name: str | None, version: str | None) -> int:
    """The last moment that a version has learnt from; 0 without one, or if it is gone."""
    if name is None or version is None:
        return 0
    try:
        return int(registry.load(name, version).meta.get("train_end_ns", 0))
    except PregaoError:  # when it took over is known all the same
        return 0


def _versions(row: SessionRow) -> str:
    """The versions that a session asks, of several instruments in their order."""
    return ", ".join(version or "" for _, _, version in row.traded_by)


def _equity(journal: Journal, session_id: str, since_ns: int) -> dict[int, int]:
    """Equity in quanta by the bar's open time, from the last bar at or before ``since_ns`` on."""
    found: dict[int, int] = {}
    for row in every_row(journal, session_id):
        if row.kind == "bar" and "eq" in row.body:
            if row.ts_ns <= since_ns:
                found.clear()
            found[row.body["t"]] = row.body["eq"]
    return found
