"""Which servers are started where, before any of them is."""

from __future__ import annotations

from pathlib import Path

import pytest
from free_ports import free_port

from pregao.operations.servers import LOOPBACK, mlflow_arguments, ports_needed, prefect_environment, running
from pregao.settings import Settings


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # put back afterwards
    taken = {f"{name}_port": free_port() for name in ("panel", "prefect", "mlflow")}
    return {"home": tmp_path, "database_url": "", "mlflow_uri": "", **taken}


def test_an_mlflow_server_of_ones_own_is_used(chosen: dict[str, object]) -> None:
    own = Settings(**{**chosen, "mlflow_uri": "http://mlflow.example:8080"})  # type: ignore[arg-type]
    with running(own, "the tests", print) as servers:
        assert servers.children.keys() == {"prefect", "flows", "panel"}
        assert servers.addresses["mlflow"] == "http://mlflow.example:8080"
        servers.start("mlflow")
        assert servers.ready == {}


def test_only_the_panel_is_ever_open_to_others(chosen: dict[str, object]) -> None:
    wide = Settings(**{**chosen, "host": "0.0.0.0"})  # type: ignore[arg-type]
    assert {need.what: need.host for need in ports_needed(wide).values()} == {
        "panel": "0.0.0.0",
        "Prefect server": LOOPBACK,
        "MLflow server": LOOPBACK,
    }
    assert mlflow_arguments(wide)[:2] == ["--host", LOOPBACK]
    with running(wide, "the tests", print) as servers:
        assert servers.children["prefect"].argv[-4:] == ["--host", LOOPBACK, "--port", str(wide.prefect_port)]
        assert servers.addresses["panel"] == f"http://{LOOPBACK}:{wide.panel_port}"


def test_prefect_answers_its_own_pages_only() -> None:
    origins = prefect_environment("http://127.0.0.1:4200")["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"]
    assert origins == "http://127.0.0.1:4200,http://localhost:4200"
