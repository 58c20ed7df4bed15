"""From the store through DVC's stages into MLflow's registry and back: real DVC, real MLflow on SQLite."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from learning_project import in_process, project

from pregao.cli import pregao
from pregao.core.bars import Bars
from pregao.core.errors import NotFoundError, PregaoError, UsageError
from pregao.features.sets import feature_set
from pregao.learning import judging, labels, pipeline, registry
from pregao.learning.decision import enters, expected_value
from pregao.learning.gate import judge
from pregao.learning.model import LoadedModel
from pregao.learning.naming import model_name
from pregao.learning.pipeline import Workspace
from pregao.learning.plots import PLOTS
from pregao.learning.portrait import side_by_side
from pregao.learning.retraining import RetrainReport, retrain, train
from pregao.market.atomic import exclusive
from pregao.market.store import Store
from pregao.market.versions import Versions
from pregao.settings import settings

ROOT = Path(__file__).parents[2]
EDGE = "synthetic/synthetic/EDGE-USDT"
NOISE = "synthetic/synthetic/NOISE-USDT"
NAME = "pregao.synthetic.synthetic.EDGE-USDT.15m"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, market: Callable[..., Bars]) -> Iterator[Path]:
    """A project folder with two markets, light knobs, and an empty registry, for all tests of this module."""
    yield from project(tmp_path_factory.mktemp("home"), [market("EDGE/USDT"), market("NOISE/USDT")])


@pytest.fixture(scope="module")
def first(folder: Path) -> RetrainReport:
    """The first retraining of the market with an edge, through DVC."""
    assert registry.list_models() == []
    assert registry.champion(NAME) is None
    assert not (folder / "mlruns" / "mlflow.db").exists()
    return retrain(EDGE, "15m")


@pytest.fixture
def workspace(folder: Path, first: RetrainReport) -> Workspace:
    return pipeline.prepare(EDGE, "15m")


def test_a_market_with_an_edge_gets_a_champion(first: RetrainReport) -> None:
    assert first.gate["passed"], first.gate
    assert (first.version, first.champion, first.created, first.promoted) == ("1", "1", True, True)
    assert first.stages == {"features": "ran", "evaluate": "ran", "train": "ran"}
    assert first.report["prediction"]["auc"] > 0.6
    json.dumps(first.to_json(), allow_nan=False)


def test_the_version_says_where_it_came_from(first: RetrainReport) -> None:
    (info,) = registry.list_models()
    current = Versions().current()
    assert (info.name, info.version, set(info.aliases)) == (NAME, "1", {"champion"})
    assert (info.instrument, info.timeframe) == (EDGE, "15m")
    assert (info.data_version, info.data_revision) == (current.md5, current.revision)
    assert info.feature_hash == feature_set("core25").hash
    assert info.model_digest == first.model_digest
    assert len(info.params_hash) == 64
    assert info.code_version == pipeline.code_version()
    assert info.label == {
        "side": "long", "take_profit_ppm": 20_000, "stop_loss_ppm": 10_000, "horizon_bars": 48, "fee_ppm": 1_000,
        "slippage_ppm": 200,
    }  # fmt: skip
    assert (info.seed, info.thread_count, info.feature_set) == ("7", "2", "core25")
    assert info.inference == "compiled"
    assert info.gate == first.gate
    assert info.metrics["auc"] == first.report["prediction"]["auc"]
    assert info.promotion["by"] == "gate"


def test_the_run_keeps_params_metrics_dataset_and_pictures(first: RetrainReport, folder: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(settings().tracking_uri)
    run = client.get_run(first.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["plan.take_profit"] == "2"
    assert run.data.metrics["prediction.auc"] == pytest.approx(first.report["prediction"]["auc"])
    assert len(client.get_metric_history(first.run_id, "fold.auc")) == 4
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.digest, dataset.dataset.source_type) == (first.data_version, "dvc")
    files = {entry.path for entry in client.list_artifacts(first.run_id, "report")}
    assert {"report/evaluation.json", "report/gate.json", "report/trades.parquet", "report/dvc.lock"} <= files
    assert {"report/report.html", "report/predictions.parquet", "report/pictures.json"} <= files
    plots = {entry.path: entry.file_size for entry in client.list_artifacts(first.run_id, "report/plots")}
    assert set(plots) == {f"report/plots/{name}.png" for name in PLOTS}
    assert min(plots.values()) > 5_000
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert artifacts.is_relative_to(folder / "mlruns" / "artifacts")


def test_the_panel_shows_the_report_of_a_version(first: RetrainReport) -> None:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from pregao_ui import api
    from pregao_ui.services import Services

    app = FastAPI()
    services = Services()
    api.answer_errors(app)
    app.include_router(api.router(services, None))
    http = TestClient(app)
    answer = http.get(f"/api/models/{NAME}/champion/report")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text == http.get(f"/api/models/{NAME}/1/report").text == registry.report_page(NAME, "1")
    assert first.model_digest in answer.text
    for wrong in (f"/api/models/{NAME}/99/report", "/api/models/pregao.nothing.15m/1/report"):
        assert http.get(wrong).status_code == 404


def test_the_doctor_looks_at_the_models(first: RetrainReport) -> None:
    from mlflow import MlflowClient

    from pregao.operations import doctor

    (finding,) = doctor.models(settings())
    assert (finding.level, finding.check) == ("ok", "Models")
    assert "1 of them champion" in finding.found
    client, tag = MlflowClient(), (NAME, "1", "inference")
    before = client.get_model_version(NAME, "1").tags["inference"]
    client.set_model_version_tag(*tag, "CatBoost, since it has 3 outputs")
    (finding,) = doctor.models(settings())
    assert finding.level == "warn"
    assert f"{NAME} by CatBoost, since it has 3 outputs" in finding.found
    shown = CliRunner().invoke(pregao, ["models"], catch_exceptions=False)
    assert f"{NAME} version 1 is evaluated by CatBoost, since it has 3 outputs." in shown.stdout
    client.set_model_version_tag(*tag, before)


def test_a_run_that_a_killed_training_left_open_is_closed(first: RetrainReport, folder: Path) -> None:
    """By the doctor, and by any training or monitor; not while that training still goes on."""
    from mlflow import MlflowClient

    from pregao.operations import doctor

    client = MlflowClient()
    run = client.create_run(client.get_experiment_by_name(NAME).experiment_id)
    with exclusive(folder / "var" / "locks" / f"registry.{NAME}.lock"):
        assert registry.close_broken() == []
    assert client.get_run(run.info.run_id).info.status == "RUNNING"
    (finding,) = doctor.models(settings())
    assert "1 runs that killed trainings had left open in MLflow were closed now" in finding.found
    assert client.get_run(run.info.run_id).info.status == "FAILED"
    assert registry.close_broken() == []


def test_the_champion_loads_and_explains(first: RetrainReport) -> None:
    model = registry.load(NAME)
    assert isinstance(model, LoadedModel)
    assert registry.load(NAME, "1") is model
    assert (model.name, model.version) == (NAME, "1")
    keys = {"take_profit_ppm", "stop_loss_ppm", "horizon_bars", "threshold", "payoff", "feature_set", "feature_hash"}
    assert keys | {"data_version", "train_end_ns"} <= set(model.meta)
    bars = Store().bars(Store().instrument(EDGE), pipeline.Timeframe.parse("15m"))
    assert model.meta["train_end_ns"] == first.train_end_ns == int(bars.close_ns[len(bars) - len(bars) // 4 - 1])
    row = feature_set("core25").batch(bars)[-1]
    assert 0 < model.probability(row) < 1
    top = model.explain(row, 3)
    assert len(top) == 3
    assert {name for name, _ in top} <= set(feature_set("core25").names)
    reasons = model.reasons(row, 3)
    assert len({reason.words for reason in reasons}) == 3
    assert all(reason.words and "=" not in reason.words for reason in reasons)
    assert set(model.meta["usual"]) == set(feature_set("core25").names)
    weights = [abs(weight) for _, weight in top]
    assert weights == sorted(weights, reverse=True)


def test_loading_a_model_leaves_nothing_behind(
    first: RetrainReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    registry._load.cache_clear()
    assert registry.load(NAME).version == "1"
    assert list(tmp_path.iterdir()) == []


def test_the_explanation_adds_up_to_the_prediction(first: RetrainReport) -> None:
    model = registry.load(NAME)
    row = feature_set("core25").batch(Store().bars(Store().instrument(EDGE), pipeline.Timeframe.parse("15m")))[-1]
    blind = model.explain(np.full(25, np.nan), 25)
    told = model.explain(row, 25)
    assert len(told) == len(blind) == 25

    def log_odds(chance: float) -> float:
        return float(np.log(chance / (1 - chance)))

    gained = sum(w for _, w in told) - sum(w for _, w in blind)
    assert gained == pytest.approx(
        log_odds(model.probability(row)) - log_odds(model.probability(np.full(25, np.nan))), abs=1e-6
    )


def test_nothing_new_runs_nothing_and_registers_nothing(first: RetrainReport) -> None:
    again = retrain("EDGE/USDT", "15m")
    assert again.stages == {"features": "unchanged", "evaluate": "unchanged", "train": "unchanged"}
    assert (again.version, again.created, again.promoted, again.champion) == ("1", False, False, "1")
    assert again.model_digest == first.model_digest
    assert len(registry.list_models()) == 1


def test_the_same_data_params_and_seed_give_the_same_model_from_nothing(
    first: RetrainReport, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (
        "examples.parquet",
        "pictures.json",
        "predictions.parquet",
        "trades.parquet",
        "trials.parquet",
        "model.cbm",
        "model.json",
        "evaluation.json",
    )
    before = {name: (workspace.root / name).read_bytes() for name in made}
    for name in made:
        (workspace.root / name).unlink()
    in_process(workspace, monkeypatch)
    assert {name: (workspace.root / name).read_bytes() for name in made} == before
    assert workspace.document("model.json")["digest"] == first.model_digest


def test_a_knob_reruns_just_the_stages_that_read_it(first: RetrainReport) -> None:
    report = train(EDGE, "15m", overrides={"model": {"depth": 3}})
    assert report.stages == {"features": "unchanged", "evaluate": "ran", "train": "ran"}
    assert report.model_digest != first.model_digest
    assert report.version is None
    assert len(registry.list_models()) == 1


def test_what_was_tried_before_counts_and_what_comes_after_does_not(first: RetrainReport, folder: Path) -> None:
    """Whoever turns the knobs until the gate opens has searched: the other knobs of the test above are remembered."""
    attempts = json.loads((pipeline.workspace_folder(EDGE, "15m") / "attempts.json").read_bytes())
    assert len(attempts) == 2
    other = train(EDGE, "15m", overrides={"model": {"depth": 3}})
    again = train(EDGE, "15m")
    deflated = {report.gate["reasons"][0]["name"] for report in (other, again)}
    assert deflated == {"deflated_sharpe"}
    assert "2 tried" in other.gate["reasons"][0]["text"]
    assert "1 tried" in again.gate["reasons"][0]["text"]
    # Cuts make no other model, so they are no attempt.
    train(EDGE, "15m", overrides={"gate": {"min_trades": 30}})
    assert json.loads((pipeline.workspace_folder(EDGE, "15m") / "attempts.json").read_bytes()) == attempts


def test_changed_bars_rerun_the_stages(first: RetrainReport, market: Callable[..., Bars]) -> None:
    bars = market("EDGE/USDT")
    store = Store()
    try:
        store.write(replace(bars[10:20], volume=bars.volume[10:20] + 1))
        Versions().commit("ten bars revised")
        workspace = pipeline.prepare(EDGE, "15m")
        assert pipeline.run(workspace, "features")
        assert not pipeline.run(workspace, "features")
    finally:
        store.write(bars[10:20])
        Versions().commit("and back")


def test_a_market_without_an_edge_gets_no_champion(first: RetrainReport, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = pipeline.prepare(NOISE, "15m")
    verdict = in_process(workspace, monkeypatch)
    shutil.copy(pipeline.workspace_folder(EDGE, "15m") / "dvc.lock", workspace.root)
    done = registry.log_and_register(workspace, verdict)
    assert (done.created, done.promoted) == (True, False)
    assert registry.champion(workspace.name) is None
    (info,) = registry.list_models(workspace.name)
    assert info.aliases == ("challenger",)
    assert not info.gate["passed"]
    with pytest.raises(NotFoundError, match="has no champion"):
        registry.load(workspace.name)


def test_promotions_keep_the_way_back(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    in_process(workspace, monkeypatch)
    refused = judge(
        workspace.document("evaluation.json"), workspace.params.gate.model_copy(update={"min_trades": 10**6})
    )
    second = registry.log_and_register(workspace, refused)
    assert (second.version, second.created, second.promoted) == ("2", True, False)
    assert registry.champion(NAME) == "1"
    by_hand = registry.promote(NAME, "2")
    assert by_hand.promotion["by"] == "person"
    assert not by_hand.gate["passed"]
    aliases = {info.version: set(info.aliases) for info in registry.list_models(NAME)}
    assert aliases == {"1": {"previous"}, "2": {"champion"}}
    assert registry.promote(NAME, "previous").version == "1"
    assert registry.champion(NAME) == "1"
    assert registry.load(NAME, "previous").version == "2"
    for wrong in ("9", "nobody"):
        with pytest.raises(NotFoundError, match="no version or alias"):
            registry.promote(NAME, wrong)


def test_a_server_that_is_not_there_is_said_to_be_gone(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PREGAO_MLFLOW_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings.cache_clear()
    try:
        with pytest.raises(PregaoError, match=r"MLflow at http://127\.0\.0\.1:9 failed: it does not answer"):
            registry.champion(NAME)
    finally:
        monkeypatch.undo()
        settings.cache_clear()


def test_a_model_of_other_features_is_refused(first: RetrainReport) -> None:
    model = registry.load(NAME)
    for change in ({"feature_hash": "0" * 64}, {"feature_set": "core24"}):
        with pytest.raises(PregaoError, match="another definition"):
            LoadedModel(NAME, "1", model.meta | change, model._classifier)
    with pytest.raises(PregaoError, match="not the one that was registered"):
        LoadedModel(NAME, "1", model.meta | {"digest": "0" * 64}, model._classifier)


def test_a_champion_of_features_that_nobody_makes_any_more_is_nothing_to_beat(
    workspace: Workspace, first: RetrainReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not trade either: the new model has to pass the other reasons, and is told why there is no rival."""
    registry._load.cache_clear()
    monkeypatch.setattr("pregao.learning.model.feature_set", lambda name: feature_set("alpha158"))
    rivalry = judging._rivalry(workspace, "0" * 64)
    monkeypatch.undo()
    registry._load.cache_clear()
    assert rivalry is not None
    assert rivalry.champion == registry.champion(NAME)
    assert "of another definition" in rivalry.unusable
    verdict = judge(workspace.document("evaluation.json"), workspace.params.gate, rivalry)
    (reason,) = (r for r in verdict.reasons if r.name == "champion")
    assert reason.passed
    assert "cannot be used any more, so there is nothing to beat" in reason.text


def test_two_can_prepare_the_registry_at_once(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "params.yaml", tmp_path)
    code = "from pregao.learning.registry import prepare; prepare()"
    environment = {"PREGAO_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for one in both:
        _, said = one.communicate(timeout=120)
        assert one.returncode == 0, said
    assert (tmp_path / "mlruns" / "mlflow.db").stat().st_size > 100_000


def test_the_live_strategy_decides_as_the_evaluation_does(first: RetrainReport) -> None:
    """The plugin bar by bar at the desk, and the evaluation's own arrays, over bars that the model has not seen."""
    from pregao.simulation import layout
    from pregao.simulation.backtest import run_signals
    from pregao.strategies.backtest import backtest
    from pregao.strategies.registry import configured

    model = registry.load(NAME, "1")
    store = Store()
    instrument, timeframe = store.instrument(EDGE), pipeline.Timeframe.parse("15m")
    bars = store.bars(instrument, timeframe, start_ns=model.meta["train_end_ns"])
    plan = pipeline.prepare(EDGE, "15m").params.plan.plan(instrument, timeframe)
    features = feature_set("core25")
    x = features.batch(bars)
    chance = model._classifier.predict_proba(x)[:, 1]
    entered = enters(expected_value(chance, **model.meta["payoff"]), model.meta["threshold"])
    entered[: features.warmup - 1] = False
    want = run_signals(bars, plan, np.where(entered, layout.ENTER_LONG, 0).astype(np.int8))
    got = backtest(configured("catboost-ai", {}), bars, plan, model=model)
    assert len(want.trades) > 5
    assert got.digest == want.digest


@pytest.mark.parametrize(
    ("arguments", "match", "error"),
    [
        (("FOO/BAR", "15m"), "no instrument named 'FOO/BAR'", NotFoundError),
        ((EDGE, "7m"), "not a timeframe", UsageError),
        ((EDGE, "1h"), "no 1h bars", NotFoundError),
    ],
)
def test_unknown_series_are_named(
    folder: Path, arguments: tuple[str, str], match: str, error: type[PregaoError]
) -> None:
    with pytest.raises(error, match=match):
        train(*arguments)


def test_bad_knobs_are_named(folder: Path) -> None:
    with pytest.raises(UsageError, match="take profit must be between"):
        train(EDGE, "15m", overrides={"plan": {"take_profit": 400}})
    with pytest.raises(UsageError, match=r"plan\.take_profit"):
        train(EDGE, "15m", overrides={"plan": {"take_profit": "lots"}})
    with pytest.raises(UsageError, match="market"):
        train(EDGE, "15m", overrides={"features": {"set": "full-market"}})
    with pytest.raises(NotFoundError, match="core26"):
        train(EDGE, "15m", overrides={"features": {"set": "core26"}})
    with pytest.raises(NotFoundError, match="no version named"):
        train(EDGE, "15m", version="00000000")


def known() -> object:
    """All that the registry has: versions with their aliases and tags, and the runs of every experiment."""
    client = mlflow.MlflowClient(settings().tracking_uri)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return registry.list_models(), sorted((run.info.run_id, run.info.status) for run in runs)


@pytest.mark.parametrize(
    ("overrides", "error", "words", "mend"),
    [
        ({"plan": {"horizon": 5_000}}, UsageError, "^4500 bars of EDGE/USDT 15m are too few to learn from", "Ingest"),
        ({"plan": {"fee": 10}}, UsageError, "end in loss", ""),
        ({"features": {"set": "full-market"}}, UsageError, "looks at another instrument, its market", "params.yaml"),
        ({"features": {"set": "none-such"}}, NotFoundError, "no feature set named 'none-such'", "core25"),
    ],
)
def test_what_cannot_be_learnt_from_is_told_and_the_champion_stays(
    first: RetrainReport, overrides: dict[str, dict[str, object]], error: type[PregaoError], words: str, mend: str
) -> None:
    before = known()
    with pytest.raises(error, match=words) as caught:
        retrain(EDGE, "15m", overrides=overrides)
    assert mend in caught.value.mend
    assert known() == before
    assert registry.champion(NAME) == "1"


def test_a_store_without_data_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREGAO_HOME", str(tmp_path))
    settings.cache_clear()
    try:
        with pytest.raises(NotFoundError, match="pregao ingest"):
            train("EDGE/USDT", "15m")
    finally:
        monkeypatch.undo()
        settings.cache_clear()


def test_names_of_two_venues_do_not_clash(market: Callable[..., Bars]) -> None:
    bars = market("EDGE/USDT")
    assert model_name(bars.instrument, bars.timeframe) == NAME
    other = bars.instrument.model_copy(update={"venue": "elsewhere"})
    assert model_name(other, bars.timeframe) != NAME


def test_commands_speak_json_and_text(first: RetrainReport) -> None:
    runner = CliRunner()

    def answer(*arguments: str) -> object:
        result = runner.invoke(pregao, [*arguments, "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    listed = answer("models", "edge")
    assert isinstance(listed, list)
    assert listed[-1]["version"] == "1"
    trained = answer("retrain", "EDGE/USDT")
    assert isinstance(trained, dict)
    assert trained["gate"]["passed"]
    assert trained["champion"] == trained["version"]
    promoted = answer("promote", "1", "--model", "edge")
    assert isinstance(promoted, dict)
    assert promoted["promotion"]["by"] == "person"
    shown = runner.invoke(pregao, ["models"], catch_exceptions=False)
    assert "was refused" in shown.stdout
    assert NAME in shown.stdout
    with pytest.raises(NotFoundError):
        runner.invoke(pregao, ["models", "nothing-like-it"], catch_exceptions=False)


def test_a_new_model_must_beat_the_champion(first: RetrainReport) -> None:
    """A weaker one of the same bars stays challenger, compared with the champion on the held-out quarter."""
    champion = registry.champion(NAME)
    weaker = retrain(EDGE, "15m", overrides={"model": {"iterations": 2, "depth": 1}})
    (reason,) = (r for r in weaker.gate["reasons"] if r["name"] == "champion")
    assert f"of champion {champion} on 1500 bars that neither has seen" in reason["text"]
    assert not reason["passed"]
    assert (weaker.created, weaker.promoted, weaker.champion) == (True, False, champion)
    (info,) = (info for info in registry.list_models(NAME) if info.version == weaker.version)
    assert [r for r in info.gate["reasons"] if r["name"] == "champion"] == [reason]


def test_two_versions_stand_side_by_side(first: RetrainReport) -> None:
    """All figures are those of the two reports; what is better is said by each figure's own direction."""
    weaker = retrain(EDGE, "15m", overrides={"model": {"iterations": 2, "depth": 1}})
    assert first.version is not None
    assert weaker.version is not None
    found = side_by_side((NAME, first.version), (NAME, weaker.version))
    assert found == json.loads(json.dumps(found, allow_nan=False))
    for figure in found["figures"]:
        reports = [first.report[figure["section"]], weaker.report[figure["section"]]]
        assert figure["values"] == [report[figure["key"]] for report in reports]
    by_key = {(f["section"], f["key"]): f for f in found["figures"]}
    auc, loss = by_key["prediction", "auc"], by_key["prediction", "log_loss"]
    assert auc["values"][auc["better"]] == max(auc["values"])
    assert loss["values"][loss["better"]] == min(loss["values"])
    assert found["differ"] == []
    assert set(found["lineage"]) == {"params_hash"}
    for model in found["models"]:
        assert len(model["curve"]["ts_ns"]) == len(model["curve"]["model"]) == len(model["curve"]["drawdown"]["model"])
        assert [fold["fold"] for fold in model["folds"]] == [1, 2, 3, 4]
        assert len(model["calibration"]) == 10
        assert sum(row["share"] for row in model["importance"]) == pytest.approx(100)
    assert {row["name"] for row in found["gate"]} >= {"deflated_sharpe", "champion", "skill"}
    command = ["models", "compare", first.version, weaker.version, "--model", "edge", "--json"]
    told = CliRunner().invoke(pregao, command, catch_exceptions=False)
    assert json.loads(told.stdout) == found
    text = CliRunner().invoke(pregao, command[:-1], catch_exceptions=False).stdout
    assert "prediction auc" in text
    assert "In shadow" not in text
    duel = {
        "session": "s-1", "champion": first.version, "challenger": weaker.version, "bars": 1_200,
        "returns": [0.0123, -0.004], "reason": {"name": "champion", "passed": False, "text": "worse than it (p = 0.8)"},
    }  # fmt: skip
    other = duel | {"session": "s-2", "champion": "77"}
    registry.note_shadow(NAME, weaker.version, [duel, other])
    assert side_by_side((NAME, first.version), (NAME, weaker.version))["shadow"] == [duel]
    text = CliRunner().invoke(pregao, command[:-1], catch_exceptions=False).stdout
    said = f"version {weaker.version} -0.40%, version {first.version} +1.23%. worse than it (p = 0.8)"
    assert f"In shadow of session s-1, 1,200 bars: {said}" in text
    assert "s-2" not in text
    text = CliRunner().invoke(pregao, ["models", "list", "edge"], catch_exceptions=False).stdout
    assert f"{NAME}, in shadow of session s-1, 1,200 bars: {said}" in text
    with pytest.raises(NotFoundError, match="99"):
        CliRunner().invoke(pregao, ["models", "compare", f"{NAME}@1", f"{NAME}@99"], catch_exceptions=False)


def test_a_panel_teaches_one_model(folder: Path, first: RetrainReport, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bars of another instrument come into the snapshot and the examples, and into the model's record."""
    knobs = yaml.safe_load((folder / "params.yaml").read_text())
    try:
        (folder / "params.yaml").write_text(yaml.safe_dump(knobs | {"panel": ["NOISE/USDT"]}))
        workspace = pipeline.prepare(EDGE, "15m")
        assert workspace.params.panel == (NOISE,)
        in_process(workspace, monkeypatch)
        rows = labels.Examples.read(workspace.root / "examples.parquet")
        assert rows.own.sum() * 2 == len(rows)
        meta = workspace.document("model.json")
        assert (meta["panel"], meta["examples"]) == ([NOISE], len(rows))
        assert meta["digest"] != first.model_digest
        for wrong in (["EDGE/USDT"], ["NOISE/USDT", NOISE]):
            (folder / "params.yaml").write_text(yaml.safe_dump(knobs | {"panel": wrong}))
            with pytest.raises(UsageError, match="names it or another instrument twice"):
                pipeline.prepare(EDGE, "15m")
        (folder / "params.yaml").write_text(yaml.safe_dump(knobs | {"panel": ["FOO/BAR"]}))
        with pytest.raises(NotFoundError, match="FOO/BAR"):
            pipeline.prepare(EDGE, "15m")
    finally:
        (folder / "params.yaml").write_text(yaml.safe_dump(knobs))
        pipeline.prepare(EDGE, "15m")


def test_prices_that_never_move_teach_nothing_and_leave_nothing(
    first: RetrainReport, market: Callable[..., Bars]
) -> None:
    noise = market("NOISE/USDT")
    names = ("open", "high", "low", "close")
    flat = replace(noise, instrument=noise.instrument.model_copy(update={"symbol": "FLAT/USDT"}),
                   **{name: np.full_like(noise.open, 100_000) for name in names})  # fmt: skip
    before = known()
    Store().write(flat)
    Versions().commit("a market that stands still")
    with pytest.raises(UsageError, match="never moves") as caught:
        retrain(flat.instrument.key, "15m")
    assert caught.value.mend
    assert known() == before
