"""A sweep on a real Dask cluster of two processes, its chunks run by a real Prefect server: the same file as here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import distributed
import numpy as np
import pytest
from candles import MINUTE, ONE
from free_ports import free_port

from pregao.cli import main
from pregao.core.bars import Bars
from pregao.market.store import Store
from pregao.operations.servers import Servers
from pregao_flows import client

pytestmark = [pytest.mark.servers, pytest.mark.slow]

PLUGIN = Path(__file__).parents[1] / "strategies" / "sweep_plugin"
SWEEP = (
    "sweep", "--data", "ONE", "--data", "TWO", "--grid", "span=3:12:1", "--grid", "rise=0:40:20", "--grid",
    "take_profit=0,2", "--cash", "1000000", "--entry-value", "50000", "--fees", "0.05",
)  # fmt: skip


@pytest.fixture
def stored(served: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two random walks in the store, and the tests' strategies."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    for seed, name in enumerate(("ONE", "TWO")):
        rng = np.random.default_rng(seed)
        close = np.maximum(1_000 + np.cumsum(rng.integers(-9, 10, 2_000)), 200).astype(np.int64)
        opened = np.r_[close[:1], close[:-1]]
        high, low = np.maximum(opened, close) + 3, np.minimum(opened, close) - 3
        instrument = ONE.model_copy(update={"symbol": name})
        times = np.arange(2_000) * MINUTE.ns + 1_704_067_200 * 10**9
        Store().write(Bars(instrument, MINUTE, times, opened, high, low, close, np.full(2_000, 100_000.0)))


@pytest.fixture
def cluster(stored: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A scheduler and two workers, each a process; the scheduler's address."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")]))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as local:
        yield local.scheduler_address


def flow_runs(name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.request("POST", "/flow_runs/filter", {"flows": {"name": {"any_": [name]}}})
    return found


def test_a_cluster_makes_the_same_file(cluster: str, tmp_path: Path) -> None:
    strategy = "swept"
    before = len(flow_runs("sweep"))
    main([*SWEEP, "--strategy", strategy, "--out", str(tmp_path / "here"), "--jobs", "1"])
    main([*SWEEP, "--strategy", strategy, "--out", str(tmp_path / "there"), "--cluster", cluster])
    here, there = ((tmp_path / place / "results.parquet").read_bytes() for place in ("here", "there"))
    assert there == here
    runs = flow_runs("sweep")
    assert len(runs) == before + 1
    [newest] = sorted(runs, key=lambda run: str(run["created"]))[-1:]
    assert newest["state_type"] == "COMPLETED"
    assert newest["parameters"] == {"strategy": strategy, "runs": 116, "cluster": cluster}
    tasks = client.request("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [newest["id"]]}}})
    assert {task["state_type"] for task in tasks} == {"COMPLETED"}
    assert 2 < len(tasks) <= 1 + 2 * 2 * 8


def test_a_failing_strategy_is_named_as_it_is_here(
    cluster: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ["sweep", "--strategy", "swept-by-bar", "--data", "ONE"]
    with pytest.raises(SystemExit) as end:
        main([*asked, "--grid", "span=3:5:1", "--grid", "fail=false,true", "--cluster", cluster])
    assert end.value.code == 1
    said = capfd.readouterr().err
    assert "Error: swept-by-bar failed on test/test/" in said
    assert "ZeroDivisionError: on purpose" in said


def test_no_scheduler_and_no_worker_are_told(stored: None, capfd: pytest.CaptureFixture[str]) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(SystemExit) as end:
        main([*SWEEP, "--strategy", "swept", "--cluster", address])
    assert end.value.code == 1
    assert f"No Dask scheduler answers at {address}." in capfd.readouterr().err
    with distributed.LocalCluster(n_workers=0, processes=True, dashboard_address=None, host="127.0.0.1") as idle:
        with pytest.raises(SystemExit):
            main([*SWEEP, "--strategy", "swept", "--cluster", idle.scheduler_address])
        assert "has no workers" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        main([*SWEEP, "--strategy", "swept", "--cluster", "here and there"])
    assert "No Dask scheduler answers at here and there." in capfd.readouterr().err
