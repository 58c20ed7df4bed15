"""From the sessions' journals to the outcomes dataset, and back: whether what was decided can be computed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.learning import outcomes, skew
from pregao.learning.model import LoadedModel, UnusableError
from pregao.learning.others import bars_of, keys_of
from pregao.market.store import Store
from pregao.sessions.decisions import Decided, decisions
from pregao.sessions.journal import Journal

Progress = Callable[[str], None]


def collect(journal: Journal, store: Store, progress: Progress | None = None) -> dict[str, Any]:
    """Bring the outcomes dataset of the store's folder up to date with all sessions that trade by a model.

    A session whose journal has not grown, and whose outcomes are all known or have no newer bars to be known by, is not
    read again. The same journals and bars give the same files.

    Returns:
        ``sessions``: for each that was read, `pregao.learning.outcomes.summary`, ``session``, and whether its file
        ``changed``; ``unchanged``: how many were left alone.

    Raises:
        DamagedError: if a journal does not follow from row to row.
        PregaoError: if the registry cannot be reached, or the disk is full.
    """
    tell = progress or (lambda line: None)
    told: list[dict[str, Any]] = []
    unchanged = 0
    every = [(session, book) for session in reversed(journal.sessions()) for book in range(len(session.instruments))]
    for session, book in every:
        if session.model_name is None or session.bars == 0:
            continue
        instrument = session.instruments[book]
        path = outcomes.path_of(store.root, instrument.key, session.spec.timeframe, session.id)
        until = _until(store, instrument, session.spec.timeframe)
        before = outcomes.note_of(path)
        if before in (f"{session.last_seq} all known", f"{session.last_seq} until {until}"):
            unchanged += 1
            continue
        decided = decisions(journal, session.id, book)
        if decided.bars is None:
            continue
        frame = frame_of(decided, store)
        known = not (frame["how"] == "").any()
        note = f"{decided.last_seq} " + ("all known" if known else f"until {until}")
        changed = outcomes.write(path, frame, note, store.root / ".tmp")
        told.append({"session": session.id, "changed": changed, **outcomes.summary(frame)})
        tell(f"{session.id}: {len(frame)} decisions")
    return {"sessions": told, "unchanged": unchanged}


def frame_of(decided: Decided, store: Store) -> pd.DataFrame:
    """A session's rows of the dataset."""
    later = _stored(decided, store, int(decided.bars.open_ns[-1]) + 1 if decided.bars is not None else None)
    every = skew.joined(decided.bars, later)
    assert every is not None  # a session without bars is not asked
    frame = outcomes.labelled(decided.frame, decided.plan if decided.bracketed else None, every)
    frame = frame.drop(columns="exit_ns")
    key = {
        "session": decided.session_id, "instrument": decided.instrument.key, "timeframe": decided.timeframe.name,
        "strategy": decided.spec.strategy, "model": decided.model or "",
    }  # fmt: skip
    for place, (name, value) in enumerate(key.items()):
        frame.insert(place, name, value)
    return _seen(decided, frame, store)


def skews(journal: Journal, store: Store, session_id: str) -> dict[str, skew.Skew]:
    """How a session's logged chances compare with those of the same models on the bars as they are stored now; by
    version of the model.

    Raises:
        NotFoundError, UnusableError: if a model is not in the registry any more, or cannot be used.
    """
    decided = decisions(journal, session_id)
    found = {}
    for version, rows in decided.frame.groupby("model_version"):
        if decided.bars is None or not version:
            continue
        model = _model(decided, str(version))
        bars = _from_warm(decided, store, str(model.meta["feature_set"]), lived=False)
        if bars is not None:
            bars = bars.between(None, int(decided.bars.open_ns[-1]) + 1)
        at_ns, chance = rows["at_ns"].to_numpy(), rows["probability"].to_numpy()
        others = bars_of(keys_of(model.meta), decided.timeframe, store)
        found[str(version)] = skew.compare(model, bars, decided.bars, at_ns, chance, others)
    return found


def _seen(decided: Decided, frame: pd.DataFrame, store: Store) -> pd.DataFrame:
    """With the features that were seen, the model's threshold, whether its training had not seen the bar, and whether
    the logged chance comes out again from all that."""
    threshold, unseen = np.full(len(frame), np.nan), np.zeros(len(frame), bool)
    reproduced = np.zeros(len(frame), bool)
    names: tuple[str, ...] = ()
    x = np.empty((len(frame), 0))
    for version in sorted(set(frame["model_version"]) - {""}):
        try:
            model = _model(decided, version)
        except (NotFoundError, UnusableError):
            continue  # it is gone, or of other features: what it saw cannot be made again
        rows = np.flatnonzero(frame["model_version"] == version)
        at_ns = frame["at_ns"].to_numpy()[rows]
        bars = _from_warm(decided, store, str(model.meta["feature_set"]), lived=True)
        try:
            others = bars_of(keys_of(model.meta), decided.timeframe, store)
        except NotFoundError:
            continue  # what its features looked at besides is not here
        threshold[rows], unseen[rows] = model.meta["threshold"], at_ns > model.meta.get("train_end_ns", 2**62)
        if bars is None:
            continue
        if not names:
            names = tuple(model.meta["features"])
            x = np.full((len(frame), len(names)), np.nan)
        if names == tuple(model.meta["features"]):
            x[rows] = skew.features_at(str(model.meta["feature_set"]), bars, at_ns, others)
            reproduced[rows] = model.probabilities(x[rows]) == frame["probability"].to_numpy()[rows]
    frame = frame.assign(threshold=threshold, unseen=unseen, reproduced=reproduced)
    return outcomes.with_features(frame, names, x)


def _model(decided: Decided, version: str) -> LoadedModel:
    from pregao.learning import registry

    assert decided.model is not None
    return registry.load(decided.model, version)


def _from_warm(decided: Decided, store: Store, features: str, *, lived: bool) -> Bars | None:
    """The bars from the first on which the session was warmed up: as it lived through them, or as they are stored."""
    assert decided.bars is not None
    first = int(decided.bars.open_ns[0])
    if lived and decided.warmed is not None:
        return skew.joined(decided.warmed, decided.bars)
    stored = _stored(decided, store, None)
    before = stored.between(None, first) if stored is not None else None
    if before is not None:
        # A live session may have been given fewer than it asked for.
        count = len(decided.warmed) if decided.warmed is not None else decided.history(features)
        before = before[max(len(before) - count, 0) :]
    if lived:
        return skew.joined(before, decided.bars)
    return skew.joined(before, stored.between(first, None) if stored is not None else None)


def _stored(decided: Decided, store: Store, start_ns: int | None) -> Bars | None:
    try:
        return store.bars(decided.instrument, decided.timeframe).between(start_ns, None)
    except NotFoundError:
        return None


def _until(store: Store, instrument: Instrument, timeframe: str) -> int:
    """Open time of the newest stored bar of a series; 0 if there is none."""
    try:
        return store.coverage(instrument, Timeframe.parse(timeframe)).last_ns
    except NotFoundError:
        return 0
