"""Watch what has been learnt: gather what came of decisions, check that they can be computed again, look for drift.

What calls for something is told as a Prefect event, on which the deployment of `retrain` has a trigger:

- ``pregao.drift``: a champion's predictions, their worth or their calibration have left their bounds;
- ``pregao.grown``: the data has grown by a set share since the newest version was trained;
- ``pregao.skew``: the stored bars give other chances than those that a session acted on. Nothing is retrained: either
  the venue has revised its bars, or something is wrong.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.concurrency.sync import concurrency
from prefect.events import emit_event

from pregao.core.errors import PregaoError, UsageError
from pregao_flows.limits import DVC_LIMIT
from pregao_flows.messages import Message, because, failing, said, sentence
from pregao_flows.reports import ended_badly, ended_well, leave, table

if TYPE_CHECKING:
    from pregao.learning.watching import Watched

DRIFT, GROWN, SKEW = "pregao.drift", "pregao.grown", "pregao.skew"
_DAY_NS = 86_400 * 10**9
_PLAIN: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


class Event(NamedTuple):
    """What calls for something: the event's name, the model or session that it is of, how it is told, and why."""

    name: str
    of: str
    told: Message
    why: list[Message]


@task(name="gather outcomes", **_PLAIN)
def gather() -> dict[str, Any]:
    """Bring the outcomes dataset up to date with the sessions' journals, and record its version."""
    from pregao.market.store import Store
    from pregao.market.versions import Versions
    from pregao.sessions.journal import Journal
    from pregao.sessions.outcomes import collect

    with closing(Journal()) as journal:
        found = collect(journal, Store(), get_run_logger().info)
    decisions = sum(one["decisions"] for one in found["sessions"])
    with concurrency(DVC_LIMIT, occupy=1, strict=True, lease_duration=60):
        version = Versions().commit_outcomes(f"Outcomes of {decisions} decisions in {len(found['sessions'])} sessions")
    return found | {"version": version}


@task(name="check skew", **_PLAIN)
def check_skew(days: int) -> list[dict[str, Any]]:
    """Compute the decisions of the sessions of the last days again, from the bars as they are stored now."""
    from pregao.market.store import Store
    from pregao.sessions.journal import Journal
    from pregao.sessions.outcomes import skews

    found: list[dict[str, Any]] = []
    with closing(Journal()) as journal:
        since = time.time_ns() - days * _DAY_NS
        for session in journal.sessions():
            if session.model_name is None or session.bars == 0 or session.updated_ns < since:
                continue
            try:
                compared = skews(journal, Store(), session.id)
            except PregaoError as error:
                found.append({"session": session.id, "failed": sentence(error)})
                continue
            found += [
                {"session": session.id, "model": session.model_name, "version": version, **skew.to_json()}
                for version, skew in compared.items()
            ]
    return found


@task(name="watch", task_run_name="watch {name}", **_PLAIN)
def watch_one(name: str, instrument: str, timeframe: str) -> Watched:
    """Drift and growth of one model; kept in its history."""
    from pregao.learning import drift_history
    from pregao.learning.watching import watch

    found = watch(name, instrument, timeframe)
    drift_history.keep(name, found.to_json(), time.time_ns())
    return found


@task(name="compare with the shadow", task_run_name="compare {name} with its shadow", **_PLAIN)
def compare_shadow(name: str) -> list[dict[str, Any]]:
    """How the challenger does in shadow of the sessions of a model; kept with its version, and shown there."""
    from pregao.learning import registry
    from pregao.learning.params import read_params
    from pregao.sessions.duel import duels
    from pregao.sessions.journal import Journal
    from pregao.settings import settings

    with closing(Journal()) as journal:
        found = duels(journal, name, read_params(settings().home / "params.yaml").gate)
    if found:
        registry.note_shadow(name, found[0]["challenger"], found)
    return [{"name": name, **one} for one in found]


@task(name="judge the meta-model", task_run_name="judge the meta-model of {name}", **_PLAIN)
def judge_meta(name: str, instrument: str, timeframe: str) -> dict[str, Any]:
    """Whether a model of when to trust the model is worth it, by the outcomes that there are; used only then."""
    from pregao.learning import meta, meta_store, outcomes
    from pregao.learning.params import read_params
    from pregao.market.store import Store
    from pregao.settings import settings

    params = read_params(settings().home / "params.yaml")
    rows = outcomes.read(Store().root, instrument, timeframe)
    own = rows[rows["model"] == name] if len(rows) else rows
    try:
        found = meta.judge(own, params.folds, params.model, params.seed)
        used = meta_store.learn(name, own, found, params.folds, params.model, params.seed)
    except UsageError as error:
        return {"name": name, "off": error.message}
    return {"name": name, **found.to_json(), "in_use": used}


@flow(name="monitor")
def monitor(grown: float = 0.1, days: int = 7) -> State[Any]:
    """Gather outcomes, check skew, watch every registered model; one that fails stops none of the others.

    Args:
        grown: by which part the data must have grown since the newest version was trained to be worth a training.
        days: sessions that were traded within so many days are checked for skew.
    """
    from pregao.learning.registry import close_broken, list_models

    with suppress(PregaoError):  # a registry that is away is told by what needs it
        for name in close_broken():
            get_run_logger().warning("A run of %s that a killed training had left open was closed", name)
    failed: dict[str, BaseException] = {}
    outcomes = _kept(gather(return_state=True), "outcomes", failed)
    skews = _kept(check_skew(days, return_state=True), "skew", failed) or []
    models = sorted({(m.name, m.instrument, m.timeframe) for m in list_models()})
    watched = [_kept(watch_one(*model, return_state=True), model[0], failed) for model in models]
    shadows = [_kept(compare_shadow(m[0], return_state=True), f"shadow of {m[0]}", failed) for m in models]
    metas = [_kept(judge_meta(*model, return_state=True), f"meta-model of {model[0]}", failed) for model in models]
    events: list[Event] = []
    for one in skews:
        if one.get("skewed"):
            why = said("differing", differing=one["differing"], compared=one["compared"])
            events.append(Event(SKEW, one["session"], said("skewed", session=one["session"]), [why]))
            emit_event(SKEW, {"prefect.resource.id": f"pregao.session.{one['session']}"}, payload=one)
    for found in watched:
        if found is not None:
            events += _told(found, grown)
    summary = said("watched", models=len(models))
    for message in [because(event.told, event.why) for event in events] or [said("calm")]:
        summary += message
    document = {
        "outcomes": outcomes,
        "skew": skews,
        "models": [found.to_json() for found in watched if found is not None],
        "shadow": [one for found in shadows for one in found or []],
        "meta": [one for one in metas if one is not None],
        "events": [{"event": event.name, "of": event.of, "why": _joined(event.why)} for event in events],
        "failed": {name: sentence(error) for name, error in failed.items()},
    }
    leave("monitor", _page(summary, document), document, summary.english)
    if failed:
        return ended_badly(failing(summary, failed))
    return ended_well(summary)


def _kept(state: State[Any], name: str, failed: dict[str, BaseException]) -> Any:
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        failed[name] = result
        return None
    return result


def _told(found: Watched, grown: float) -> list[Event]:
    """Emit what calls for a training of this model: one event, since one training answers to all."""
    reasons = [
        said("bounds", figure=f.name, value=f"{f.value:.3f}", low=_bound(f.low), high=_bound(f.high))
        for f in found.drifted
    ]
    if reasons:
        event = Event(DRIFT, found.name, said("drifted", name=found.name), reasons)
    elif found.grown >= grown:
        why = said("grown_by", part=f"{found.grown:.0%}")
        event = Event(GROWN, found.name, said("grown", name=found.name), [why])
    else:
        return []
    payload = found.to_json() | {"why": _joined(event.why)}
    emit_event(event.name, {"prefect.resource.id": f"pregao.model.{found.name}"}, payload=payload)
    return [event]


def _joined(reasons: list[Message]) -> str:
    return "; ".join(map(str, reasons))


def _bound(bound: float | None) -> str:
    return "…" if bound is None else f"{bound:.3f}"


def _bounds(low: float | None, high: float | None) -> str:
    return f"{_bound(low)} to {_bound(high)}"


def _page(summary: Message, document: dict[str, Any]) -> str:
    parts = [f"# {summary}", "## Models"]
    rows: list[list[object]] = [
        [model["name"], model["champion"] or "none", f"{model['grown']:+.1%}", model["window"], model["note"]]
        for model in document["models"]
    ]
    parts.append(table(["model", "champion", "data since trained", "bars judged", "note"], rows))
    found: list[list[object]] = [
        [model["name"], f["name"], "-" if f["value"] is None else f"{f['value']:.4f}", _bounds(f["low"], f["high"]),
         "**drifted**" if f["drifted"] else "as before"]
        for model in document["models"]
        for f in model["findings"]
        if f["drifted"] or not f["name"].startswith("feature ")
    ]  # fmt: skip
    parts.append(table(["model", "figure", "now", "bounds", ""], found))
    parts.append("## Outcomes")
    columns = ("session", "decisions", "traded", "simulated", "open", "not_reproduced", "net_traded", "net_simulated")
    gathered = (document["outcomes"] or {}).get("sessions", [])
    parts.append(table(list(columns), [[one[c] for c in columns] for one in gathered]))
    parts.append("## Skew")
    columns = ("session", "version", "compared", "missing", "differing", "worst", "bars", "absent", "failed")
    parts.append(table(list(columns), [[one.get(c, "") for c in columns] for one in document["skew"]]))
    parts.append("## Challengers in shadow")
    columns = ("name", "session", "shadow", "champion", "challenger", "bars", "sharpes", "p")
    told = [[one[c] for c in columns] + [one["reason"]["text"]] for one in document["shadow"]]
    parts.append(table([*columns, "what the gate says"], told))
    parts.append("## Meta-model")
    columns = ("name", "off", "trades", "signals", "kept", "net_all", "net_kept", "p", "helps", "in_use")
    parts.append(table(list(columns), [[one.get(c, "") for c in columns] for one in document["meta"]]))
    if document["failed"]:
        parts += ["## Failed", table(["what", "why"], [[k, v] for k, v in document["failed"].items()])]
    return "\n\n".join(parts)
