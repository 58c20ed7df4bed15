"""A registration against a real MLflow server that goes away at any request: the champion stays, nothing is half
registered, and doing it again finishes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from learning_project import in_process, project
from mlflow_server import Line, MlflowServer, Requests

from pregao.core.bars import Bars
from pregao.core.errors import PregaoError
from pregao.learning import pipeline, registry
from pregao.learning.gate import Verdict, judge
from pregao.learning.pipeline import Workspace
from pregao.settings import settings

pytestmark = pytest.mark.servers
EVERY = int(os.environ.get("PREGAO_CUTS", "48"))
"""The line is cut at every 48th request; ``PREGAO_CUTS=1``: at each, and the server is killed at three steps."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as started:
        yield started


@pytest.fixture(scope="module")
def line(server: MlflowServer) -> Iterator[Line]:
    made = Line(server.port)
    yield made
    made.cut()


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory, market: Callable[..., Bars], line: Line
) -> Iterator[tuple[Workspace, Verdict]]:
    """A trained model that the gate passes, not registered yet."""
    for _ in project(tmp_path_factory.mktemp("home"), [market("EDGE/USDT")]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PREGAO_MLFLOW_URI", f"http://127.0.0.1:{line.port}")
            patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
            # The proof on 100,000 rows is another test's; here many versions of one model are registered.
            patch.setattr("pregao.learning.model.ROWS", 2_000)
            settings.cache_clear()
            prepared = pipeline.prepare("EDGE/USDT", "15m")
            verdict = in_process(prepared, patch)
            (prepared.root / "dvc.lock").write_text("{}\n")
            yield prepared, verdict
        settings.cache_clear()


_turn = count(1)


def judged(workspace: Workspace, passes: bool = True) -> Verdict:
    """The gate's verdict with a slightly other cut each time, which makes another version of the same model."""
    cuts = workspace.params.gate
    cuts = cuts.model_copy(update={"max_random_p": cuts.max_random_p + next(_turn) * 1e-6})
    verdict = judge(workspace.document("evaluation.json"), cuts)
    return verdict if passes else replace(verdict, passed=False)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Requests:
    return Requests(monkeypatch)


def whole(client: Any, name: str) -> None:
    """The newest versions have their tags, their runs their reports, and the models load."""
    for info in registry.list_models(name)[:2]:
        assert info.model_digest
        assert info.gate["reasons"]
        assert info.inference == "compiled"
        assert client.get_run(info.run_id).info.status == "FINISHED"
        kept = {entry.path for entry in client.list_artifacts(info.run_id, "report")}
        assert {"report/trades.parquet", "report/gate.json", "report/evaluation.json"} <= kept
        assert registry.load(name, info.version).meta["digest"] == info.model_digest


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_line_cut_at_any_request(
    when: str, workspace: tuple[Workspace, Verdict], line: Line, counted: Requests
) -> None:
    """``before`` a request goes out, or ``after`` it was carried out, its answer lost."""
    from mlflow import MlflowClient

    prepared, verdict = workspace
    name = prepared.name
    registry.log_and_register(prepared, verdict)
    counted.arm()
    assert registry.log_and_register(prepared, judged(prepared)).promoted
    steps = list(counted.sent)
    assert len(steps) > 20
    client = MlflowClient(settings().tracking_uri)
    for at in range(1 if when == "before" else min(EVERY, 8), len(steps) + 1, EVERY):
        champion, versions = registry.champion(name), len(registry.list_models(name))
        again = judged(prepared)
        counted.arm(at, **{when: line.cut})
        with pytest.raises(PregaoError, match=r"http://127\.0\.0\.1:\d+ failed: it does not answer") as caught:
            registry.log_and_register(prepared, again)
        step = f"{when} {at}: {counted.sent[at - 1]}"
        counted.arm()
        line.mend()
        now = registry.champion(name)
        if now != champion:
            # The alias has moved, and what was to come after is missing.
            assert now == str(versions + 1), step
            assert f"Whether version {now} became champion" in caught.value.mend, step
        elif "Whether version" not in caught.value.mend:
            assert "The champion is as it was" in caught.value.mend, step
        whole(client, name)
        done = registry.log_and_register(prepared, again)
        assert done.version == registry.champion(name) == str(versions + 1), step
        known = registry.list_models(name)
        assert len(known) == versions + 1, step
        assert set(known[0].aliases) == {"champion"}, step
        assert registry.load(name, "previous").version == champion, step
        assert (known[0].promotion["by"], known[0].promotion["before"]) == ("gate", champion), step
        runs = client.search_runs([client.get_experiment_by_name(name).experiment_id], max_results=1000)
        assert {run.info.status for run in runs} <= {"FINISHED", "FAILED"}, step


KILLS = ("model-versions/create", "mlflow-artifacts", "registered-models/alias")


@pytest.mark.parametrize("kind", KILLS if EVERY < 16 else KILLS[:1])
def test_a_server_killed_in_the_middle(
    kind: str, workspace: tuple[Workspace, Verdict], server: MlflowServer, counted: Requests
) -> None:
    """SIGKILL to the server itself, before it carries a request out; then it is started again on its folder."""
    prepared, verdict = workspace
    name = prepared.name
    registry.log_and_register(prepared, verdict)
    champion = registry.champion(name)
    again = judged(prepared)
    counted.arm()
    registry.log_and_register(prepared, judged(prepared))
    steps = [i for i, step in enumerate(counted.sent, 1) if kind in step and not step.startswith("GET")]
    champion, versions = registry.champion(name), len(registry.list_models(name))
    counted.arm(steps[0], before=server.kill)
    with pytest.raises(PregaoError, match="it does not answer") as caught:
        registry.log_and_register(prepared, again)
    assert "The champion is as it was" in caught.value.mend
    counted.arm()
    server.start()
    assert registry.champion(name) == champion
    done = registry.log_and_register(prepared, again)
    assert (done.version, done.promoted) == (str(versions + 1), True)
    assert registry.champion(name) == done.version
    assert len(registry.list_models(name)) == versions + 1


def test_a_promotion_by_hand_in_mlflows_own_pages_is_recorded_as_such(
    workspace: tuple[Workspace, Verdict],
) -> None:
    from mlflow import MlflowClient

    prepared, verdict = workspace
    name = prepared.name
    first = registry.log_and_register(prepared, verdict)
    second = registry.log_and_register(prepared, judged(prepared, passes=False))
    assert not second.promoted
    before = registry.champion(name)
    MlflowClient(settings().tracking_uri).set_registered_model_alias(name, "champion", second.version)
    told = next(m for m in registry.list_models(name) if m.version == second.version)
    assert (told.promotion["by"], told.promotion["before"]) == ("person", before)
    # The next thing that is registered or promoted writes it down.
    third = registry.log_and_register(prepared, judged(prepared, passes=False))
    told = next(m for m in registry.list_models(name) if m.version == second.version)
    assert (told.promotion["by"], told.promotion["before"]) == ("person", before)
    assert registry.load(name, "previous").version == before
    assert registry.promote(name, "previous").version == before
    assert registry.load(name, "previous").version == second.version
    assert int(third.version) == int(second.version) + 1 > int(first.version)


def test_a_version_that_pregao_did_not_register_is_refused(workspace: tuple[Workspace, Verdict]) -> None:
    """A person may register any model in MLflow; promoting one that no session could use is refused."""
    import mlflow
    import mlflow.sklearn
    from catboost import CatBoostClassifier
    from sklearn.dummy import DummyClassifier

    prepared, verdict = workspace
    name = prepared.name
    registry.log_and_register(prepared, verdict)
    champion = registry.champion(name)
    mlflow.set_tracking_uri(settings().tracking_uri)
    cat = CatBoostClassifier(iterations=2, verbose=False, allow_writing_files=False).fit([[0.0], [1.0]], [0, 1])
    dummy = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
    with mlflow.start_run():
        mlflow.catboost.log_model(cat, name="cat", registered_model_name=name, pip_requirements=["catboost"])
        mlflow.sklearn.log_model(dummy, name="dummy", registered_model_name=name, pip_requirements=["scikit-learn"])
    strange, other = registry.list_models(name)[1::-1]
    with pytest.raises(PregaoError, match="not registered by this Pregão"):
        registry.promote(name, strange.version)
    with pytest.raises(PregaoError, match="no CatBoost model"):
        registry.promote(name, other.version)
    assert registry.champion(name) == champion


def test_a_server_that_never_answers_is_said_to_be_gone(workspace: tuple[Workspace, Verdict], line: Line) -> None:
    prepared, verdict = workspace
    line.cut()
    try:
        for ask in (
            lambda: registry.champion(prepared.name),
            lambda: registry.list_models(),
            lambda: registry.load(prepared.name),
            lambda: registry.promote(prepared.name, "1"),
            lambda: registry.log_and_register(prepared, verdict),
        ):
            with pytest.raises(PregaoError, match=r"MLflow at http://127\.0\.0\.1:\d+ failed: it does not answer"):
                ask()
    finally:
        line.mend()
