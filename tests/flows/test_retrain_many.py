"""Many series retrained by one flow: in threads here and on a Dask cluster of two processes, with the same models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributed
import pytest
from free_ports import free_port
from learning_project import project

from pregao.core.bars import Bars
from pregao.core.errors import UsageError
from pregao.core.timeframe import Timeframe
from pregao.learning.registry import list_models
from pregao.market.sources import Request
from pregao.market.sources.synthetic import Synthetic, SyntheticOptions
from pregao.operations.servers import Servers
from pregao.settings import settings
from pregao_flows import client

pytestmark = [pytest.mark.servers, pytest.mark.slow]
EDGE, NOISE, SHORT = (f"synthetic/synthetic/{name}-USDT" for name in ("EDGE", "NOISE", "SHORT"))
SAME = ("model_digest", "gate", "report", "promoted", "version", "data_version", "train_end_ns")


def market(symbol: str, bars: int) -> Bars:
    asked = Request((symbol,), Timeframe.parse("15m"), None, None, SyntheticOptions(bars=bars, edge=2.0))
    series = next(iter(Synthetic().fetch(asked)))
    return Bars.from_frame(series.frame, series.instrument, series.timeframe)


@contextmanager
def folder(home: Path) -> Iterator[None]:
    home.mkdir()
    edge, noise = market("EDGE/USDT", 3_000), market("NOISE/USDT", 3_000)
    short = replace(noise, instrument=noise.instrument.model_copy(update={"symbol": "SHORT/USDT"}))[:100]
    markets = [edge, noise, short]
    for _ in project(home, markets):
        yield


def retrained(**asked: Any) -> tuple[Any, dict[str, Any]]:
    """The last state of a run of the flow in this process, and its report."""
    from pregao_flows.retrain import retrain

    state = retrain(timeframe="15m", return_state=True, **asked)
    return state, client.report(str(state.state_details.flow_run_id))


@pytest.mark.long
def test_a_cluster_makes_the_same_models_and_one_failure_stops_no_other(served: Servers, tmp_path: Path) -> None:
    three = [EDGE, SHORT, NOISE]
    with folder(tmp_path / "here"):
        state, here = retrained(instruments=three)
    assert state.type == "FAILED"
    assert "2 models trained" in state.message
    assert f"failed: {SHORT} 15m: " in state.message
    assert "too few to learn from" in here["failed"][f"{SHORT} 15m"]
    assert [model["instrument"] for model in here["models"]] == [EDGE, NOISE]

    with folder(tmp_path / "there"):
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster:
            state, there = retrained(instruments=three, cluster=cluster.scheduler_address)
            workers = cluster.get_logs(cluster=False, scheduler=False)
        known = list_models()
    assert len(workers) == 2
    assert state.type == "FAILED"
    assert there["failed"] == here["failed"]
    for mine, theirs in zip(here["models"], there["models"], strict=True):
        assert {k: theirs[k] for k in SAME} == {k: mine[k] for k in SAME}
    assert {(m.instrument, m.model_digest) for m in known} == {
        (m["instrument"], m["model_digest"]) for m in there["models"]
    }
    assert all(m.aliases in (("champion",), ("challenger",)) for m in known)


def test_what_is_missing_is_told_before_anything_is_trained(served: Servers, tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with folder(tmp_path / "home"):
        state, _ = retrained(instruments=[EDGE, NOISE], cluster=address)
        assert f"No Dask scheduler answers at {address}." in state.message
        state, report = retrained(instruments=["NOPE", "NADA"])
        assert set(report["failed"]) == {"NOPE 15m", "NADA 15m"}
        assert all("There is no instrument named" in why for why in report["failed"].values())
        assert list_models() == []


def test_a_worker_on_other_ground_trains_nothing(
    served: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pregao_flows.retrain_many import ground_here, trained

    with folder(tmp_path / "home"):
        ground = ground_here()
        with pytest.raises(UsageError, match=r"code is .* and the flow's is another"):
            trained(EDGE, "15m", ground | {"code": "another"})
        monkeypatch.setenv("PREGAO_MLFLOW_URI", "http://127.0.0.1:1")
        settings.cache_clear()
        with pytest.raises(UsageError, match=r"registry is http://127.0.0.1:1"):
            trained(EDGE, "15m", ground)


@pytest.mark.long
def test_a_registry_that_is_away_fails_the_registering_and_the_rest_is_kept(
    served: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder(tmp_path / "home"):
        monkeypatch.setenv("PREGAO_MLFLOW_URI", f"http://127.0.0.1:{free_port()}")
        settings.cache_clear()
        state, report = retrained(instruments=[EDGE, SHORT])
        assert state.type == "FAILED"
        assert report["models"] == []
        assert "failed: it does not answer. " in report["failed"][f"{EDGE} 15m"]
        assert "pregao doctor" in report["failed"][f"{EDGE} 15m"]
        assert "too few to learn from" in report["failed"][f"{SHORT} 15m"]
        monkeypatch.delenv("PREGAO_MLFLOW_URI")
        settings.cache_clear()
        assert list_models() == []
        _, again = retrained(instruments=[EDGE])
        assert (again["version"], again["created"]) == ("1", True)
