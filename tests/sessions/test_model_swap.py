"""The champion of a real MLflow server moves while a session trades: it follows at the next bar, or says why not."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from killable import Point, runner
from mlflow_server import MlflowServer
from probe_market import INSTRUMENT, MINUTE, a_spec, like, of_grid, random_walk
from waiting import wait

from pregao.core.instrument import Instrument
from pregao.features.sets import feature_set
from pregao.learning import registry
from pregao.learning.inference.trees import document_of
from pregao.learning.train import digest_of
from pregao.market.store import Store
from pregao.sessions import champion
from pregao.sessions.audit import audit
from pregao.sessions.champion import RegistryAwayError
from pregao.sessions.control import start
from pregao.sessions.journal import Journal
from pregao.sessions.lineage import lineage
from pregao.sessions.records import JournalRow
from pregao.sessions.runtime import run
from pregao.settings import settings

pytestmark = pytest.mark.servers
CHANGES: tuple[dict[str, Any], ...] = ({}, {}, {"feature_hash": "0" * 64}, {"threshold": None})
FINE = of_grid("FINE", "0.01", "0.00000001")
FINE_MODEL = registry.model_name(FINE, MINUTE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as started:
        yield started


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, server: MlflowServer) -> Iterator[str]:
    """Four versions in the registry, the first of them champion: two good ones, one of other features, and a wreck."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREGAO_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("PREGAO_MLFLOW_URI", server.uri)
        settings.cache_clear()
        Store().write(random_walk(2_000))
        name = registry.model_name(INSTRUMENT, MINUTE)
        registry.prepare()
        _client().create_registered_model(name)
        for seed, change in enumerate(CHANGES):
            _register(name, seed, change)
        Store().write(like(FINE, 2, slice(30, 40), 2_000))
        _client().create_registered_model(FINE_MODEL)
        for seed in (8, 9):
            _register(FINE_MODEL, seed, {}, FINE)
        yield name
    settings.cache_clear()


def _register(name: str, seed: int, change: dict[str, Any], instrument: Instrument = INSTRUMENT) -> None:
    """A small forest on noise; a threshold below every expected value makes it enter whenever it can."""
    import mlflow
    from catboost import CatBoostClassifier

    features = feature_set("core25")
    rng = np.random.default_rng(seed)
    forest = CatBoostClassifier(iterations=5, depth=3, verbose=False, allow_writing_files=False, thread_count=1)
    forest.fit(pd.DataFrame(rng.normal(size=(300, len(features.names))), columns=list(features.names)),
               rng.integers(0, 2, 300))  # fmt: skip
    meta = {
        "features": list(features.names), "feature_set": "core25", "feature_hash": features.hash,
        "digest": digest_of(document_of(forest)), "threshold": -1.0, "payoff": {"win": 0.02, "loss": -0.01},
        "instrument": instrument.key, "timeframe": "1m",
    } | change  # fmt: skip
    with mlflow.start_run():
        mlflow.catboost.log_model(
            forest, name="model", registered_model_name=name, pip_requirements=[],
            metadata={key: value for key, value in meta.items() if value is not None},
        )  # fmt: skip


def _client() -> Any:
    import mlflow
    from mlflow import MlflowClient

    mlflow.set_tracking_uri(settings().tracking_uri)
    return MlflowClient()


def point_at(model: str, version: str) -> None:
    """What MLflow's own page does when a person moves the alias."""
    _client().set_registered_model_alias(model, "champion", version)


@pytest.fixture
def journal(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("PREGAO_DATABASE_URL", f"sqlite:///{tmp_path}/sessions.db")
    monkeypatch.setattr(champion, "POLL_S", 0.1)
    settings.cache_clear()
    point_at(model, "1")
    opened = Journal()
    yield opened
    opened.close()
    settings.cache_clear()


@pytest.fixture
def session(journal: Journal, model: str) -> str:
    """A session of the AI that replays slowly enough to be changed on its way."""
    return start(a_spec(strategy="catboost-ai", feed={"speed": 20}, isolated=True), journal)


class Running:
    def __init__(self, journal: Journal, session_id: str) -> None:
        self.go = threading.Event()
        self.thread = threading.Thread(target=run, args=(session_id, journal), kwargs={"stop": self.go.is_set})
        self.thread.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def swaps(journal: Journal, session_id: str) -> list[JournalRow]:
    return [r for r in journal.rows(session_id, limit=10**6) if r.kind == "model"]


def test_a_moved_alias_reaches_the_session_at_its_next_bar_without_a_restart(
    journal: Journal, session: str, model: str
) -> None:
    with Running(journal, session):
        wait(lambda: journal.session(session).bars > 5)
        point_at(model, "2")
        wait(lambda: swaps(journal, session))
        bars = journal.session(session).bars
        wait(lambda: journal.session(session).bars > bars + 5)
        row = journal.session(session)
        assert (row.status, row.model_version, row.trading_version) == ("running", "1", "2")
    assert len(journal.runs(session)) == 1
    (swap,) = swaps(journal, session)
    assert swap.body == {"version": "2", "was": "1", "reason": ""}
    with Running(journal, session):  # another runner goes on with the model of before, and hears of no change again
        bars = journal.session(session).bars
        wait(lambda: journal.session(session).bars > bars + 30)
        assert journal.session(session).trading_version == "2"
        point_at(model, "1")
        wait(lambda: len(swaps(journal, session)) == 2)
        wait(lambda: _entered(journal, session, swaps(journal, session)[1].seq))
    assert [s.body["version"] for s in swaps(journal, session)] == ["2", "1"]
    assert audit(journal, session).identical
    _the_lineage_names_the_model_that_decided(journal, session)


def _entered(journal: Journal, session_id: str, after: int) -> bool:
    """Whether an entry that was decided after a row has filled."""
    later = journal.rows(session_id, after, 10**6)
    wanted = next(
        (r.seq for r in later if r.kind == "intent" and r.body["action"] == "enter" and r.body["acted"]), None
    )
    return wanted is not None and any(r.kind == "fill" and r.seq > wanted for r in later)


def _the_lineage_names_the_model_that_decided(journal: Journal, session: str) -> None:
    """Of each fill, whichever model was asked when it came about."""
    changes = [(0, "1"), *((s.seq, s.body["version"]) for s in swaps(journal, session))]
    named = set()
    for fill in [r for r in journal.rows(session, limit=10**6) if r.kind == "fill"]:
        steps = {step.what: step for step in lineage(journal, session, fill.seq)}
        decided = steps["decision"].seq
        assert decided is not None
        expected = [version for seq, version in changes if seq < decided][-1]
        assert steps["model"].facts["version"] == expected
        assert steps["run"].facts["run_id"]
        named.add(expected)
    assert "1" in named


def test_each_instrument_of_a_session_follows_the_champion_of_its_own_model(journal: Journal, model: str) -> None:
    point_at(FINE_MODEL, "1")
    session = start(a_spec(strategy="catboost-ai", also=[FINE.key], feed={"speed": 20}, isolated=True), journal)
    with Running(journal, session):
        wait(lambda: journal.session(session).bars > 5)
        point_at(FINE_MODEL, "2")
        wait(lambda: swaps(journal, session))
        changed = swaps(journal, session)[0].seq
        wait(lambda: {r.body.get("b", 0) for r in journal.rows(session, changed, 10**6)
                      if r.kind == "fill" and r.body["role"] == "entry"} == {0, 1})  # fmt: skip
    (swap,) = swaps(journal, session)
    assert swap.body == {"version": "2", "was": "1", "reason": "", "b": 1}
    row = journal.session(session)
    assert [each["model_version"] for each in row.details["books"]] == ["1", "2"]
    assert (row.model_name, row.trading_version, row.also[0].model) == (model, "1", FINE_MODEL)
    with Running(journal, session):  # another runner asks both as they were
        bars = journal.session(session).bars
        wait(lambda: journal.session(session).bars > bars + 20)
    assert len(swaps(journal, session)) == 1
    assert audit(journal, session).identical
    for fill in [r for r in journal.rows(session, limit=10**6) if r.kind == "fill"]:
        steps = {step.what: step for step in lineage(journal, session, fill.seq)}
        name, versions = (FINE_MODEL, {"1", "2"}) if fill.body.get("b") else (model, {"1"})
        decided = steps["decision"].seq
        assert decided is not None
        assert steps["model"].facts["name"] == name
        assert steps["model"].facts["version"] in versions
        if fill.body.get("b"):
            assert steps["model"].facts["version"] == ("2" if decided > swap.seq else "1")
        assert steps["run"].facts["run_id"]


@pytest.mark.parametrize(("version", "reason"), [("3", "of another definition"), ("4", "does not tell its threshold")])
def test_a_model_that_does_not_fit_is_refused_and_the_old_one_stays(
    journal: Journal, session: str, model: str, version: str, reason: str
) -> None:
    with Running(journal, session):
        wait(lambda: journal.session(session).bars > 5)
        point_at(model, version)
        wait(lambda: swaps(journal, session))
        bars = journal.session(session).bars
        wait(lambda: journal.session(session).bars > bars + 5)
        row = journal.session(session)
        assert (row.status, row.trading_version) == ("running", "1")
        assert f"version {version}, is not used" in row.details["notices"]["model"]
        assert reason in swaps(journal, session)[0].body["reason"]
        point_at(model, "1")
        wait(lambda: len(swaps(journal, session)) == 2)
        assert set(journal.session(session).details) == {"books"}
    assert audit(journal, session).identical


@pytest.mark.skipif("PREGAO_KILLS" not in os.environ, reason="half a minute: PREGAO_KILLS=1 lets it run")
def test_killed_while_a_model_takes_over_it_takes_over_once(journal: Journal, session: str, model: str) -> None:
    process = runner(str(settings().home), journal.url, session, Point("while a model takes over", 1))
    wait(lambda: journal.session(session).bars > 5)
    point_at(model, "2")
    process.join(120)
    assert process.exitcode == -9
    assert swaps(journal, session) == []
    with Running(journal, session):
        wait(lambda: swaps(journal, session))
        bars = journal.session(session).bars
        wait(lambda: journal.session(session).bars > bars + 5)
    assert len(swaps(journal, session)) == 1
    assert audit(journal, session).identical


def test_without_mlflow_a_session_trades_on_and_one_that_starts_waits(
    journal: Journal, session: str, model: str, server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with Running(journal, session):
        wait(lambda: journal.session(session).bars > 5)
        server.kill()
        try:
            bars = journal.session(session).bars
            wait(lambda: journal.session(session).bars > bars + 40)
            assert journal.session(session).status == "running"
        except BaseException:
            server.start()
            raise
    try:
        registry._load.cache_clear()  # a new process would have read nothing yet
        with pytest.raises(RegistryAwayError, match="does not answer"):
            run(session, journal)
        assert journal.session(session).status == "running"
        assert [row.id for row in journal.unattended(0)] == [session]  # who supervises tries again
    finally:
        server.start()
    with Running(journal, session):
        bars = journal.session(session).bars
        wait(lambda: journal.session(session).bars > bars + 5)
    assert audit(journal, session).identical
