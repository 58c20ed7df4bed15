"""A plugin's own file as a version in MLflow, on SQLite and on a server: judged, read back, and out of the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from learning_project import project
from mlflow_server import MlflowServer
from policies import waves

from pregao.core.errors import NotFoundError, PregaoError
from pregao.learning import pipeline, registry
from pregao.learning.gate import Reason, Verdict
from pregao.learning.pipeline import Workspace
from pregao.learning.registry import files
from pregao.settings import settings

NAME = "another.kind.of.model"
FIGURES = {"net_return": 0.1, "sharpe": 1.2, "max_drawdown": 0.05, "trades": 60, "hit_rate": 0.6, "profit_factor": None}
REPORT: dict[str, Any] = {
    "trading": FIGURES, "doubled_costs": FIGURES, "buy_and_hold": FIGURES, "random": {"p": 0.01},
    "prediction": {"auc": 0.6, "skill": 0.1}, "folds": [{"fold": 1, "auc": 0.6}, {"fold": 2, "auc": None}],
}  # fmt: skip


def verdict(passed: bool) -> Verdict:
    return Verdict(passed, (Reason("costs", passed, 0.1, 0.0, "Net return 10%"),))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as started:
        yield started


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.servers)])
def workspace(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    for _ in project(tmp_path, [waves(600)]):
        if request.param == "server":
            monkeypatch.setenv("PREGAO_MLFLOW_URI", request.getfixturevalue("server").uri)
            settings.cache_clear()
        yield pipeline.prepare("test/test/TEST-USDT", "15m")


@pytest.mark.slow
def test_a_file_is_kept_judged_and_read_back(workspace: Workspace, tmp_path: Path) -> None:
    def kept(text: str, passed: bool) -> registry.Registered:
        path = tmp_path / "one.json"
        path.write_text(text)
        return files.register(NAME, path, text, workspace, verdict(passed), REPORT, {"steps": 3})

    assert files.versions(NAME) == []
    with pytest.raises(NotFoundError):
        files.read(NAME, "champion")
    first, again, second = kept("a", passed=True), kept("a", passed=True), kept("b", passed=False)
    assert (first.version, first.created, first.promoted) == ("1", True, True)
    assert (again.version, again.created, again.promoted) == ("1", False, False)
    assert (second.version, second.promoted) == ("2", False)
    assert files.read(NAME, "champion") == ("1", b"a")
    assert files.read(NAME, "challenger") == ("2", b"b")

    newest, oldest = files.versions(NAME)
    assert (newest.aliases, oldest.aliases) == (("challenger",), ("champion",))
    assert oldest.gate == json.loads(json.dumps(verdict(True).to_json()))
    assert (oldest.data_version, oldest.model_digest) == (workspace.version.md5, "a")
    assert oldest.metrics["auc"] == 0.6
    # Nothing that looks for the platform's models finds it.
    assert registry.list_models() == []


@pytest.mark.slow
@pytest.mark.servers
def test_a_registry_that_is_gone_is_said_to_be_so(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREGAO_MLFLOW_URI", "http://127.0.0.1:9")
    settings.cache_clear()
    (tmp_path / "one.json").write_text("a")
    with pytest.raises(PregaoError, match="does not answer"):
        files.register(NAME, tmp_path / "one.json", "a", workspace, verdict(True), REPORT, {})
