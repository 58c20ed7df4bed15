"""The monitor on a real Prefect server: what it finds becomes an event, and the event a training of that one model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import yaml
from learning_project import in_process
from trained_market import BRACKET

from pregao.core.bars import Bars
from pregao.core.instrument import Instrument
from pregao.core.timeframe import Timeframe
from pregao.learning import outcomes, pipeline, registry
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.operations.servers import Servers
from pregao.sessions.control import spec_of, start
from pregao.sessions.journal import Journal
from pregao.sessions.runtime import run
from pregao.settings import settings
from pregao_flows import client

pytestmark = [pytest.mark.servers, pytest.mark.slow]
LIGHT = {"model": {"iterations": 60, "learning_rate": 0.1}, "gate": {"min_trades": 20}}


INSTRUMENT = Instrument(
    symbol="DRIFT/USDT", source="synthetic", venue="synthetic", asset_class="crypto", base="DRIFT", quote="USDT",
    tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"), min_notional=Decimal(10), synthetic=True,
)  # fmt: skip
M15 = Timeframe.parse("15m")


def steady(count: int, seed: int = 1, fall: float = 0.0, after: Bars | None = None) -> Bars:
    """A market whose moves go on for a while and whose price is drawn back, the same all the time; or one that falls by
    so much of its price in every bar, such as was never seen before."""
    rng = np.random.default_rng(seed)
    shock = rng.normal(0, 0.004, count)
    level, move, path = 0.0, 0.0, np.zeros(count)
    for i in range(count):
        move = 0.6 * move + shock[i]
        level += move - 0.01 * level
        path[i] = level - fall * i
    first = 100_000 if after is None else int(after.close[-1])
    close = np.maximum(first * np.exp(path), 100).astype(np.int64)
    opened = np.r_[[first], close[:-1]]
    high = (np.maximum(opened, close) * (1 + abs(rng.normal(0, 0.002, count)))).astype(np.int64)
    low = (np.minimum(opened, close) * (1 - abs(rng.normal(0, 0.002, count)))).astype(np.int64)
    start = 1_699_999_200 * 10**9 if after is None else int(after.close_ns[-1])
    at = start + np.arange(count, dtype=np.int64) * M15.ns
    return Bars(INSTRUMENT, M15, at, opened, high, low, close, (rng.random(count) * 100).round(3))


@pytest.fixture
def name(served: Servers) -> Iterator[str]:
    """A champion in the servers' folder, unregistered afterwards: other tests count what is there."""
    import mlflow

    params = settings().home / "params.yaml"
    full = params.read_text()
    knobs = yaml.safe_load(full)
    for section, values in LIGHT.items():
        knobs[section] |= values
    params.write_text(yaml.safe_dump(knobs))
    bars = steady(13_400)[:12_000]
    Store().write(bars)
    Versions().commit("a market to be watched")
    workspace = pipeline.prepare(bars.instrument.key, "15m")
    with pytest.MonkeyPatch.context() as patch:
        verdict = in_process(workspace, patch)
    (workspace.root / "dvc.lock").write_text("")  # DVC was not asked
    registry.promote(workspace.name, registry.log_and_register(workspace, verdict).version)
    (workspace.root / "dvc.lock").unlink()
    yield workspace.name
    params.write_text(full)
    mlflow.MlflowClient(settings().tracking_uri).delete_registered_model(workspace.name)


def monitored(**asked: Any) -> dict[str, Any]:
    done = client.wait(client.ask(client.MONITOR, asked), 180)
    assert done.state == "Completed", done.message
    return client.report(done.id)


def trainings() -> list[dict[str, Any]]:
    """The runs of `retrain` that an event has started, the newest last."""
    wanted = {"flows": {"name": {"any_": ["retrain"]}}, "sort": "EXPECTED_START_TIME_ASC"}
    found = client.request("POST", "/flow_runs/filter", wanted)
    return [one for one in found if (one.get("created_by") or {}).get("type") == "AUTOMATION"]


def called_for(before: int, key: str, seconds: float = 180) -> str:
    """The id of the training that an event has started since."""
    deadline = time.monotonic() + seconds
    while len(trainings()) == before:
        assert time.monotonic() < deadline, "no event has started a training"
        time.sleep(0.3)
    newest = trainings()[-1]
    assert {k: newest["parameters"][k] for k in ("instrument", "timeframe")} == {"instrument": key, "timeframe": "15m"}
    return str(newest["id"])


@pytest.mark.long
def test_what_the_monitor_finds_starts_a_training_of_that_model(name: str) -> None:
    store = Store()
    known = store.instrument("DRIFT/USDT")
    journal = Journal()
    spec = {"instrument": known.key, "timeframe": "15m", "strategy": "catboost-ai", "feed": {"speed": 0}, **BRACKET}
    session = start(spec_of(spec), journal)
    run(session, journal)
    journal.close()
    before = len(trainings())

    quiet = monitored()
    assert quiet["events"] == []
    [model] = quiet["models"]
    assert (model["name"], model["champion"], model["grown"]) == (name, "1", 0.0)
    assert model["note"].startswith("a skill that is lost at once is seen after about")
    assert {"prediction", "ic", "calibration"} <= {f["name"] for f in model["findings"]}
    [gathered] = quiet["outcomes"]["sessions"]
    assert gathered["session"] == session
    assert gathered["not_reproduced"] == 0
    assert len(outcomes.read(store.root, known.key)) == gathered["decisions"] > 500
    assert quiet["outcomes"]["version"].endswith(".dir")
    [skew] = quiet["skew"]
    assert (skew["skewed"], skew["compared"]) == (False, gathered["decisions"])

    [meta] = quiet["meta"]
    assert "the meta-model stays off under 300" in meta["off"]

    # More of the same: no drift, but enough to learn anew.
    more = steady(13_400)
    store.write(more)
    Versions().commit("more of the same")
    assert monitored(grown=0.2)["events"] == []
    [grown] = monitored(grown=0.1)["events"]
    assert (grown["event"], grown["of"]) == ("pregao.grown", name)
    done = client.wait(called_for(before, known.key), 400)
    assert done.state == "Completed", done.message
    assert client.report(done.id)["version"] == "2"
    registry.promote(name, "1")  # whatever the gate made of the second
    before = len(trainings())

    # Another market: the champion is asked about what it never saw.
    store.write(steady(500, seed=5, fall=0.005, after=more))
    Versions().commit("a market that falls and falls")
    drifted = monitored(grown=10)
    assert [(event["event"], event["of"]) for event in drifted["events"]] == [("pregao.drift", name)]
    done = client.wait(called_for(before, known.key), 400)
    assert done.state == "Completed", done.message
    report = client.report(done.id)
    assert (report["name"], report["version"], report["created"]) == (name, "3", True)
    [newest, _, first] = registry.list_models(name)
    assert report["changes"] == newest.changes
    assert newest.changes["champion"] == first.version == "1"
    metas = [registry.load(name, version).meta for version in ("1", "3")]
    assert newest.changes["model"]["examples"] == [meta["examples"] for meta in metas]
    for feature, pair in newest.changes["importance"].items():
        assert pair == [round(meta["importance"][feature], 2) for meta in metas]
    assert newest.changes["same_window"]["text"] in {reason["text"] for reason in report["gate"]["reasons"]}
    assert first.changes == {}
    assert registry.champion(name) == ("3" if report["promoted"] else "1")
    # It has learnt from the newer bars, so they are no reason any more.
    assert monitored(grown=0.01)["models"][0]["grown"] < 0.01
